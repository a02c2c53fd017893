// The machine in double precision: ntm/heads.py, ntm/controllers.py and ntm/machine.py,
// name by name, on top of arithmetic.js; a test holds it to every shipped machine.

// A task's sequence from its vectors of bits, as in ntm/tasks; a step with a target of null
// asks for nothing.  Another task's machine needs a line here.
export const TASKS = {
  copy: (vectors) => {
    const bits = vectors[0].length;
    const silence = Array(bits).fill(0);
    return {
      inputs: [...vectors.map((vector) => [...vector, 0]), [...silence, 1], ...vectors.map(() => [...silence, 0])],
      targets: [...vectors.map(() => null), null, ...vectors],
    };
  },
};

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const softplus = (x) => (x > 20 ? x : Math.log1p(Math.exp(x)));

// A machine from what ntm/book/live/_machine.py packed: its numbers one after the other.
export function unpack({ config, shapes, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const numbers = Float64Array.from(new Float32Array(bytes.buffer));
  const parameters = {};
  let at = 0;
  for (const [name, shape] of shapes) {
    const size = shape.reduce((a, b) => a * b, 1);
    parameters[name] = numbers.slice(at, (at += size));
  }
  return { ...config, parameters };
}

function linear({ parameters }, name, inputs) {
  const weight = parameters[`${name}.weight`];
  const length = inputs.length;
  return parameters[`${name}.bias`].map((bias, row) => {
    let sum = bias;
    for (let i = 0; i < length; i++) sum += weight[row * length + i] * inputs[i];
    return sum;
  });
}

const CONTROLLERS = {
  // h = tanh(W x + b)
  feedforward: {
    begin: () => [],
    step: (machine, inputs) => [linear(machine, "controller.hidden", inputs).map(Math.tanh), []],
  },
  // i, f, o = σ(W [x, h] + b);  c' = f ∘ c + i ∘ tanh(W [x, h] + b);  h' = o ∘ tanh(c')
  lstm: {
    begin: ({ parameters }) => [parameters["controller.initial_hidden"], parameters["controller.initial_cell"]],
    step(machine, inputs, [hidden, cell]) {
      const raw = linear(machine, "controller.gates.0", [...inputs, ...hidden]);
      const part = (which) => raw.slice(which * cell.length, (which + 1) * cell.length);
      const [enter, keep, leave] = [0, 1, 2].map((which) => part(which).map(sigmoid));
      const candidate = part(3).map(Math.tanh);
      const next = cell.map((c, i) => keep[i] * c + enter[i] * candidate[i]);
      const output = next.map((c, i) => leave[i] * Math.tanh(c));
      return [output, [output, next]];
    },
  },
};

// k = raw;  β = softplus(raw);  g = σ(raw);  s = softmax(raw);  γ = 1 + softplus(raw)
function address_parameters(raw, width) {
  return {
    key: raw.slice(0, width),
    strength: softplus(raw[width]),
    gate: sigmoid(raw[width + 1]),
    kernel: softmax(raw.slice(width + 2, -1)),
    exponent: 1 + softplus(raw.at(-1)),
  };
}

// What each of the heads is told: [{ write, erase_vector, add_vector, read }, …].
function heads(machine, hidden) {
  const raw = linear(machine, "heads.linear", hidden);
  const width = machine.memory_width;
  const each = raw.length / machine.num_heads;
  const where = (each - 2 * width) / 2;
  return Array.from({ length: machine.num_heads }, (_, head) => {
    const own = raw.slice(head * each, (head + 1) * each);
    return {
      write: address_parameters(own.slice(0, where), width),
      erase_vector: own.slice(where, where + width).map(sigmoid),
      add_vector: own.slice(where + width, where + 2 * width),
      read: address_parameters(own.slice(where + 2 * width), width),
    };
  });
}

// The state before the first step: one learned row everywhere, all heads at location 0.
export function initial_state(machine, locations = machine.memory_locations) {
  const { parameters, num_heads, memory_width, controller } = machine;
  const each = (make) => Array.from({ length: num_heads }, (_, head) => make(head));
  const first = () => new Float64Array(locations).fill(1, 0, 1);
  return {
    memory: Array.from({ length: locations }, () => parameters.initial_row.slice()),
    write: each(first),
    read: each(first),
    reads: each((head) => parameters.initial_reads.slice(head * memory_width, (head + 1) * memory_width)),
    carried: CONTROLLERS[controller].begin(machine),
  };
}

// One step: what goes out, as logits; the next state; what the heads were told.  The
// memory is a copy, or with `inPlace` the same one.  `change` may alter what is told.
export function step(machine, state, inputs, { inPlace = false, change = (told) => told } = {}) {
  const [hidden, carried] = CONTROLLERS[machine.controller].step(machine, [...inputs, ...state.reads.flatMap((vector) => [...vector])], state.carried);
  const told = change(heads(machine, hidden));
  const look = (memory, previous, which) =>
    told.map(({ [which]: { key, strength, gate, kernel, exponent } }, head) =>
      address(memory, previous[head], key, strength, gate, kernel, exponent).sharpened,
    );
  const writes = look(state.memory, state.write, "write");
  const memory = inPlace ? state.memory : copied(state.memory);
  told.forEach(({ erase_vector }, head) => erase(memory, writes[head], erase_vector, memory));
  told.forEach(({ add_vector }, head) => add(memory, writes[head], add_vector, memory));
  const looks = look(memory, state.read, "read");
  const reads = looks.map((weighting) => read(memory, weighting));
  const output = linear(machine, "output", [...hidden, ...reads.flatMap((vector) => [...vector])]);
  return { output, told, state: { memory, write: writes, read: looks, reads, carried } };
}
