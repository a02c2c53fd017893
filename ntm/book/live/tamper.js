// A trained machine is tampered with while it copies; the reader predicts which vectors of
// the answer change, and then sees.  ntm/book/live/_tamper.py does the same in PyTorch.

const BEAT = 350; // milliseconds a step, when it is shown how the answer comes about

// What is done to the state, once, before a step.
const STATES = {
  overwrite: ({ memory, ...state }, { row, other }) => ({ ...state, memory: memory.map((old, i) => (i === row ? memory[other] : old)) }),
  move: (state, { head, row }) =>
    ({ ...state, ...each(head, (name) => state[name].map((weighting) => weighting.map((_, i) => (i === row ? 1 : 0)))) }),
  noise: ({ memory, ...state }, { amount, noise }) =>
    ({ ...state, memory: memory.map((old, i) => old.map((x, c) => x + amount * noise[i][c])) }),
  remove: ({ memory, write, read, ...state }, { row }) => {
    const others = (values) => values.filter((_, i) => i !== row);
    return { ...state, memory: others(memory), write: write.map(others), read: read.map(others) };
  },
};
// What is done to that which heads are told, from a step on.
const TOLD = {
  gate: () => ({ gate: 0 }),
  exponent: () => ({ exponent: 1 }),
  kernel: ({ kernel }) => ({ kernel: kernel.slice().reverse() }),
};
const each = (head, made) => Object.fromEntries((head === "both" ? ["write", "read"] : [head]).map((name) => [name, made(name)]));

// All steps of a copy that is tampered with: before the first step, and after each.  The
// state before step number `when` is the one that was changed.
export function tampered(machine, inputs, locations, { tool, head, when, ...how }) {
  const change = (told) => told.map((own) => ({ ...own, ...each(head, (name) => ({ ...own[name], ...TOLD[tool](own[name]) })) }));
  const film = [{ state: initial_state(machine, locations) }];
  inputs.forEach((input, t) => {
    if (t + 1 === when && STATES[tool]) film[t] = { ...film[t], state: STATES[tool](film[t].state, { head, ...how }) };
    film.push(step(machine, film[t].state, input, t + 1 >= when && TOLD[tool] ? { change } : {}));
  });
  return film;
}

const TOOLS = { // what each is called, and what it asks for
  overwrite: ["overwrite a row", "row", "other"],
  move: ["move a head", "head", "row"],
  gate: ["close a gate", "head"],
  exponent: ["blunt an exponent", "head"],
  kernel: ["mirror a kernel", "head"],
  noise: ["add noise to the memory", "amount"],
  remove: ["take a location away", "row"],
};
const LABELS = { tool: "what", head: "head", row: "where", other: "copied from", amount: "how much", when: "before step" };
const HOW = Object.keys(LABELS);
const INPUTS = [...HOW, "prediction", "seen", "step"];

function choice({ name, label, options, onchoose }) {
  const select = make("select", { dataset: { name } }, ...options.map(([value, text]) => make("option", { value }, text)));
  select.addEventListener("change", () => onchoose(select.value));
  const show = (value) => ((select.value = value), (select.dataset.value = select.selectedIndex));
  return { element: make("label", { className: "cut" }, label, select), show };
}

function render({ model, el }) {
  const machine = unpack(JSON.parse(model.get("packed")));
  const [presets, noise] = ["presets", "noise"].map((name) => JSON.parse(model.get(name)));
  const vectors = vectorsOf(model.get("words"));
  const [length, locations] = [vectors.length, model.get("locations")];
  const { inputs } = TASKS[model.get("task")](vectors);
  const last = inputs.length;
  const now = () => Object.fromEntries(INPUTS.map((name) => [name, model.get(name)]));
  const first = now();
  const spelled = (answer) => answer.map(letterOf).map((letter) => (/[!-~]/.test(letter) ? letter : "·"));
  const letters = spelled(vectors);
  const answerOf = (film) => film.slice(length + 2).map(({ output }) => [...output].map(isOne));

  // Without tampering: what it would have said, and which vector came in when a row was written.
  const untouched = tampered(machine, inputs, locations, {});
  const target = answerOf(untouched);
  const origin = Array(locations).fill("");
  letters.forEach((letter, k) => (origin[strongest(untouched[k + 1].state.write[0])] = letter));
  const place = (i) => `location ${i}, ${origin[i] ? `row of “${origin[i]}”` : "free"}`;

  let film;
  let filmed;
  const filmOf = (state) => {
    const how = Object.fromEntries(HOW.map((name) => [name, state[name]]));
    const key = JSON.stringify(how);
    if (filmed !== key) [filmed, film] = [key, tampered(machine, inputs, locations, { ...how, noise })];
    return film;
  };
  const outcome = (state) => answerOf(filmOf(state)).map((vector, k) => {
    const hasChanged = vector.some((bit, c) => bit !== target[k][c]);
    return { hasChanged, isRight: hasChanged === (state.prediction[k] === "1") };
  });
  const count = (outcomes, name) => outcomes.filter((one) => one[name]).length;

  let playing;
  const stop = () => (clearInterval(playing), (playing = undefined));
  const put = (values) => {
    stop();
    change(model, { ...values, prediction: "0".repeat(length), seen: false, step: (values.when ?? model.get("when")) - 1 });
  };
  const select = (name, options) =>
    choice({ name, label: LABELS[name], options, onchoose: (value) => put({ [name]: typeof first[name] === "number" ? Number(value) : value }) });
  const places = origin.map((_, i) => [i, place(i)]);
  const range = (name, min, max, step, places) =>
    slider({ name, label: LABELS[name], min, max, step, places, onmove: (value) => put({ [name]: Number(value.toFixed(places)) }) });
  const preset = choice({
    name: "preset", label: "from the text", options: [[-1, "your own"], ...presets.map(({ name }, i) => [i, name])],
    onchoose: (i) => presets[i] && put(presets[i].how),
  });
  const controls = {
    tool: select("tool", Object.entries(TOOLS).map(([tool, [name]]) => [tool, name])),
    head: select("head", ["read", "write", "both"].map((head) => [head, head])),
    row: select("row", places),
    other: select("other", places),
    amount: range("amount", 0, 2, 0.1, 1),
    when: range("when", 1, last, 1, 0),
  };

  const guesses = letters.map((_, k) => make("button", {
    type: "button", className: "guess", dataset: { name: "guess" },
    onclick() {
      const { prediction, seen } = now();
      if (!seen) change(model, { prediction: replaced([...prediction], k, 1 - prediction[k]).join("") });
    },
  }));
  const columns = (className, ...children) => {
    const row = make("div", { className }, ...children);
    row.style.setProperty("--columns", length);
    return row;
  };
  const label = (text) => make("p", { className: "label" }, text);
  const caption = (head) => make("strong", { className: `label ${head}` }, `${head}s`);
  const said = strip({ name: "answer", title: "what it says", bits: machine.output_size });
  const spelling = columns("letters");
  spelling.ariaHidden = "true";
  const tape = rows(machine, model.get("loudest"));
  const names = make("div", { className: "origins", ariaHidden: "true" });

  let score = [0, 0];
  const see = button("See", () => {
    score = [score[0] + count(outcome(now()), "isRight"), score[1] + length];
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return change(model, { seen: true, step: last });
    change(model, { seen: true });
    playing = setInterval(() => (el.isConnected && model.get("step") < last ? go(1) : stop()), BEAT);
  });
  const go = (distance) => change(model, { step: model.get("step") + distance });
  const by = (text, distance) => button(text, () => (stop(), go(distance)));
  const [onward, back] = [by("Step", 1), by("Back", -1)];
  const reset = button("Reset", () => (stop(), (score = [0, 0]), change(model, first)));
  const face = make(
    "div", { className: "face tampered" },
    make("div", { className: "said" }, label("Which vectors of the answer will change? Press them:"), columns("guesses", ...guesses),
      make("div", { className: "buttons" }, see, onward, back, reset),
      label("what it says; a bit that changed has a frame"), said.element, spelling),
    make("div", { className: "tape" }, label("memory, a location a row, with its vector and both heads"),
      caption("write"), make("span"), make("span"), caption("read"), tape.parts[0], names, ...tape.parts.slice(1)),
  );
  const status = make("p", { className: "status", dataset: { name: "step" } });

  const inWords = (state) => {
    const [name, ...asked] = TOOLS[state.tool];
    const once = STATES[state.tool] ? `Before step ${state.when}` : `From step ${state.when} on`;
    const details = asked.map((of) => `; ${LABELS[of]}: ${of in { row: 0, other: 0 } ? place(state[of]) : state[of]}`);
    return `${once}: ${name}${details.join("")}.`;
  };
  const draw = (state) => {
    const { tool, when, row, seen, step: t, prediction } = state;
    preset.show(presets.findIndex(({ how }) => Object.entries(how).every(([name, value]) => state[name] === value)));
    for (const [name, control] of Object.entries(controls)) {
      control.element.hidden = !["tool", "when", ...TOOLS[tool]].includes(name);
      control.show(state[name]);
    }
    see.disabled = seen;
    onward.disabled = !seen || t >= last;
    back.disabled = !seen || t === 0;
    const answer = seen ? answerOf(filmOf(state)).slice(0, Math.max(0, t - length - 1)) : [];
    said.show(answer, target);
    said.now(answer.length - 1);
    spelling.replaceChildren(...spelled(answer).map((letter) => make("span", {}, letter)));
    const outcomes = outcome(state);
    guesses.forEach((guess, k) => {
      const { hasChanged, isRight } = outcomes[k];
      const isKnown = k < answer.length;
      guess.textContent = isKnown ? (isRight ? "✓" : "✗") : letters[k];
      guess.classList.toggle("changed", isKnown && hasChanged);
      guess.dataset.value = prediction[k];
      guess.setAttribute("aria-pressed", prediction[k] === "1");
      guess.setAttribute("aria-disabled", seen);
      guess.setAttribute("aria-label", `vector ${k + 1}, ${letters[k]}, will change${isKnown ? `: it did${hasChanged ? "" : " not"}` : ""}`);
    });
    tape.show(filmOf(state)[t].state);
    const left = origin.filter((_, i) => tool !== "remove" || t < when - 1 || i !== row);
    names.style.setProperty("--locations", left.length);
    names.replaceChildren(...left.map((letter) => make("span", {}, letter)));
    status.dataset.value = t;
    const total = score[1] > length ? `, ${score[0]} of ${score[1]} so far` : "";
    const end = `The answer is ${spelled(answer).join("")}: ${count(outcomes, "hasChanged")} of ${length} vectors changed. You predicted ${count(outcomes, "isRight")} of ${length} right${total}.`;
    return (status.textContent = `${inWords(state)} ${!seen ? "What will change?" : t < last ? `After step ${t} of ${last}.` : end}`);
  };
  const unmount = mount({
    model, el, inputs: INPUTS, draw, label: "Live figure: tamper with a trained machine",
    parts: [
      make("div", { className: "choices" }, preset.element, ...Object.values(controls).map((control) => control.element)),
      face, status, make("p", { className: "about" }, model.get("about")),
    ],
  });
  return () => (stop(), unmount());
}
export default { render };
