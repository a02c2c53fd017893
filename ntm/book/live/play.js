// A trained machine that copies the reader's bits, computed here: step by step while they
// are few, in a worker and drawn as an overview when they are many.

const FEW = 20; // vectors that are set by hand and gone through step by step
const SLICE = 100; // milliseconds of work between two reports

const grouped = (number) => number.toLocaleString("en");

// The reader's vectors, and random ones until they are as many as asked for.
function lengthened(vectors, length) {
  const next = random(length);
  const others = Array.from({ length: Math.max(0, length - vectors.length) }, () =>
    vectors[0].map(() => Math.round(next())),
  );
  return [...vectors.slice(0, length), ...others];
}

// Go through a long sequence, and report every now and then: for each step since the last
// report where the heads were, and how many bits were wrong (null where none was asked for).
async function goThrough({ packed, task, vectors, locations }, report, pause) {
  const machine = unpack(packed);
  const { inputs, targets } = TASKS[task](vectors);
  const place = (weighting) => weighting.reduce((best, weight, i) => (weight > weighting[best] ? i : best), 0);
  let state = initial_state(machine, locations);
  let steps = [];
  let since = performance.now();
  for (let t = 0; t < inputs.length; t++) {
    const done = step(machine, state, inputs[t], { inPlace: true });
    state = done.state;
    const wrong = targets[t] && targets[t].filter((bit, c) => isOne(done.output[c]) !== bit).length;
    steps.push([place(state.write[0]), place(state.read[0]), wrong]);
    if (performance.now() - since > SLICE || t === inputs.length - 1) {
      report(steps);
      steps = [];
      await pause();
      since = performance.now();
    }
  }
}

// In a worker, this same module waits for its sequence.
if (typeof document === "undefined")
  globalThis.onmessage = ({ data }) => goThrough(data, (steps) => postMessage(steps), () => {});

// Start such a walk beside the page, or in slices on it where no worker may be made.
// Returns what stops it.
function start(source, sequence, report) {
  let isStopped = false;
  const heard = (steps) => isStopped || report(steps);
  const sliced = () =>
    goThrough(sequence, heard, () => new Promise((resolve) => isStopped || setTimeout(resolve)));
  let worker;
  try {
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    worker = new Worker(address, { type: "module" });
    worker.onmessage = ({ data }) => heard(data);
    worker.onerror = (event) => (event.preventDefault(), worker.terminate(), isStopped || sliced());
    worker.postMessage(sequence);
  } catch {
    sliced();
  }
  return () => ((isStopped = true), worker?.terminate());
}

// A long copy at a glance: where the heads were, and which vectors came out right.
function overview() {
  const [width, height] = [640, 200];
  let whole; // { length, locations, steps }
  const paths = canvas({ width, height, title: "where both heads are over time, a location a row", paint(context, colourOf) {
    context.clearRect(0, 0, width, height);
    if (!whole) return;
    const { length, locations, steps } = whole;
    [["write", 0], ["read", 1]].forEach(([colour, which]) => {
      context.fillStyle = `rgb(${colourOf(colour)})`;
      steps.forEach((done, t) =>
        context.fillRect((t / (2 * length + 1)) * width, (done[which] / locations) * height, 2, Math.max(2, height / locations)),
      );
    });
  } });
  const answer = canvas({ width: 1, height: 1, title: "the answer, a vector a cell, row by row; wrong ones marked", paint(context, colourOf) {
    if (!whole) return;
    const { length, steps } = whole;
    const columns = Math.ceil((3 * length) ** 0.5);
    Object.assign(context.canvas, { width: columns, height: Math.ceil(length / columns) });
    for (let i = 0; i < length; i++) {
      const wrong = steps[length + 1 + i]?.[2];
      const colour = wrong ? `rgb(${colourOf("shifted")})` : `rgba(${colourOf("previous")}, ${wrong === undefined ? 0.15 : 0.7})`;
      context.fillStyle = colour;
      context.fillRect(i % columns, Math.floor(i / columns), 1, 1);
    }
  } });
  const progress = make("progress", { max: 1, value: 0, ariaLabel: "progress" });
  const element = make("div", { className: "overview" }, progress,
    make("p", { className: "label" }, "where the heads are, over time: ", make("b", { className: "write" }, "write"), " and ", make("b", { className: "read" }, "read")),
    paths.element,
    make("p", { className: "label" }, "the answer, a vector a cell, row by row; wrong ones in orange"),
    answer.element,
  );
  const show = (now) => {
    whole = now;
    progress.value = now.steps.length / (2 * now.length + 1);
    paths.repaint();
    answer.repaint();
  };
  return { element, show };
}

function render({ model, el }) {
  const packed = JSON.parse(model.get("packed"));
  const task = model.get("task");
  const machine = unpack(packed);
  const bits = machine.output_size;
  const [lengths, rooms, loudest] = ["lengths", "rooms", "loudest"].map((name) => model.get(name));
  const inputs = ["words", "length", "locations", "step"];
  const first = Object.fromEntries(inputs.map((name) => [name, model.get(name)]));
  const last = () => 2 * model.get("length") + 1;
  const vectorsNow = () => vectorsOf(model.get("words"));

  // All steps of what is on the screen, computed once.
  let film = [];
  let filmed = "";
  const filmOf = ({ words, locations }) => {
    const key = `${words}|${locations}`;
    if (filmed === key) return film;
    filmed = key;
    let state = initial_state(machine, locations);
    film = [{ state, told: undefined }];
    for (const input of TASKS[task](vectorsOf(words)).inputs) {
      const done = step(machine, state, input);
      state = done.state;
      film.push(done);
    }
    return film;
  };

  const enough = (length) => rooms.find((room) => room >= length + 4) ?? rooms.at(-1);
  const take = (vectors) =>
    change(model, { words: wordsOf(vectors), length: vectors.length, locations: enough(vectors.length), step: 0 });
  const setLength = (length) => {
    const few = Math.min(length, FEW);
    const words = wordsOf(lengthened(vectorsNow(), few));
    change(model, { words, length, locations: enough(length), step: 0 });
  };
  let drawn = 0;
  const surprise = () => {
    const next = random(++drawn);
    take(vectorsNow().map((vector) => vector.map(() => Math.round(next()))));
  };

  const given = strip({
    name: "bit", title: "what comes in", bits,
    onset(x, y, bit) {
      stop();
      const vectors = vectorsNow();
      vectors[x] = replaced(vectors[x], y, bit);
      change(model, { words: wordsOf(vectors) });
    },
  });
  const said = strip({ name: "answer", title: "what goes out", bits });
  const letters = ["", ""].map(() => make("div", { className: "letters", ariaHidden: "true" }));
  const typed = make("input", { type: "text", maxLength: FEW, size: 12, ariaLabel: "letters, each of them eight bits" });
  typed.spellcheck = false;
  typed.addEventListener("input", () => {
    const codes = [...typed.value].map((letter) => letter.charCodeAt(0)).filter((code) => code < 256);
    if (codes.length) (stop(), take(codes.map((code) => [...code.toString(2).padStart(bits, "0")].map(Number))));
  });

  const tape = rows(machine, loudest);
  const vectorMap = (name) => {
    const part = heat({ values: Array(machine.memory_width).fill([0]), title: name, largest: loudest });
    part.element.classList.add("vector");
    return part;
  };
  const [added, seen] = [vectorMap("what is written at this step, a component a column"), vectorMap("what is read at this step, a component a column")];
  const label = (text) => make("p", { className: "label" }, text);
  const caption = (head, text) => make("strong", { className: `label ${head}` }, text);
  const face = make(
    "div", { className: "face" },
    make("div", { className: "said" }, label("what comes in: set its bits"), given.element, letters[0],
      label("what it says from memory"), said.element, letters[1]),
    make("div", { className: "tape" }, label("memory: a location a row, and both heads"),
      caption("write", "writes"), added.element, make("span"),
      ...tape.parts,
      make("span"), seen.element, caption("read", "reads")),
  );
  const whole = overview();

  let playing;
  const stop = () => {
    clearInterval(playing);
    halt?.();
    playing = halt = undefined;
    run.textContent = "Run";
  };
  let halt;
  const play = () => {
    run.textContent = "Pause";
    if (model.get("step") >= last()) change(model, { step: 0 });
    playing = setInterval(() => {
      if (!el.isConnected) return stop();
      change(model, { step: model.get("step") + 1 });
      if (model.get("step") >= last()) stop();
    }, Math.max(120, 400 - 14 * model.get("length")));
  };
  // What is drawn of a long copy is no part of the model: it is too much, and seen once.
  let long = { key: "" };
  const runLong = () => {
    run.textContent = "Stop";
    const [length, locations] = [model.get("length"), model.get("locations")];
    const begun = performance.now();
    long = { key: keyOf(), length, locations, steps: [], seconds: 0 };
    halt = start(model.get("_esm"), { packed, task, vectors: lengthened(vectorsNow(), length), locations }, (steps) => {
      for (const done of steps) long.steps.push(done);
      long.seconds = (performance.now() - begun) / 1000;
      if (long.steps.length === 2 * length + 1) stop();
      onreport();
    });
  };
  const keyOf = () => inputs.slice(0, 3).map((name) => model.get(name)).join("|");
  const run = button("Run", () => {
    if (playing || halt) return stop();
    if (model.get("length") > FEW) runLong();
    else play();
  });
  const by = (label, distance) =>
    button(label, () => (stop(), change(model, { step: Math.max(0, Math.min(last(), model.get("step") + distance)) })));
  const [onward, back] = [by("Step", 1), by("Back", -1)];
  const buttons = make(
    "div", { className: "buttons" }, run, onward, back,
    button("Random", () => (stop(), surprise())), typed,
    button("Reset", () => (stop(), (drawn = 0), change(model, first))),
  );
  const choice = (name, text, options, onmove) =>
    slider({ name, label: text, min: 0, max: options.length - 1, step: 1, options, onmove: (at) => (stop(), onmove(options[at])) });
  const length = choice("length", "vectors", lengths, setLength);
  const locations = choice("locations", "locations", rooms, (room) => change(model, { locations: room, step: 0 }));
  const sliders = make("div", { className: "sliders" }, length.element, locations.element);
  const status = make("p", { className: "status", dataset: { name: "step" } });

  const inOneSentence = (state, done) => {
    const { words, length, step: t } = state;
    const vectors = vectorsOf(words);
    if (t === 0) return `Before the first step: ${length} vectors wait, every location holds the same row, both heads are at location 0.`;
    const [write, read] = ["write", "read"].map((name) => strongest(done.state[name][0]));
    if (t <= length) return `Step ${t}: vector ${t} of ${length} comes in, ${vectors[t - 1].join("")}; the write head is at location ${write}.`;
    if (t === length + 1) return `Step ${t}: the delimiter comes in. From here on the input is silent, and the answer comes from memory.`;
    const i = t - length - 2;
    const wrong = vectors[i].filter((bit, c) => bit !== isOne(done.output[c])).length;
    const verdict = wrong ? `${wrong} of its bits wrong` : "right";
    const all = t === last() ? ` ${tally(film.slice(length + 2).map(({ output }, k) => vectors[k].filter((bit, c) => bit !== isOne(output[c])).length))}` : "";
    return `Step ${t}: the read head is at location ${read}; vector ${i + 1} of ${length} comes out, ${verdict}.${all}`;
  };
  const tally = (wrongs) => {
    const wrong = wrongs.reduce((a, b) => a + b, 0);
    return wrong === 0
      ? `All ${grouped(bits * wrongs.length)} bits are right.`
      : `${grouped(wrong)} of ${grouped(bits * wrongs.length)} bits are wrong, in ${grouped(wrongs.filter(Boolean).length)} of ${grouped(wrongs.length)} vectors.`;
  };
  const overall = ({ length, locations }) => {
    const steps = 2 * length + 1;
    const task = `${grouped(length)} vectors, ${grouped(locations)} locations`;
    if (long.key !== keyOf()) return `${task}: press Run for its ${grouped(steps)} steps.`;
    const done = long.steps.length;
    if (done < steps) return `${task}: step ${grouped(done)} of ${grouped(steps)}.`;
    return `${task}, ${long.seconds.toFixed(1)} seconds in this browser. ${tally(long.steps.slice(length + 1).map((s) => s[2]))}`;
  };

  const draw = (state) => {
    const isLong = state.length > FEW;
    face.hidden = isLong;
    whole.element.hidden = !isLong;
    onward.disabled = isLong || state.step >= last();
    back.disabled = isLong || state.step === 0;
    length.show(lengths.findIndex((option) => option >= state.length));
    locations.show(rooms.findIndex((option) => option >= state.locations));
    status.dataset.value = state.step;
    if (isLong) {
      const shown = long.key === keyOf() ? long : { length: state.length, locations: state.locations, steps: [] };
      whole.show(shown);
      return (status.textContent = overall(state));
    }
    const vectors = vectorsOf(state.words);
    const steps = filmOf(state);
    const done = steps[state.step];
    const answer = steps.slice(state.length + 2, state.step + 1).map(({ output }) => [...output].map(isOne));
    given.show(vectors);
    said.show(answer, vectors);
    given.now(state.step - 1);
    said.now(state.step - state.length - 2);
    const spells = vectors.every((vector) => /[ -~]/.test(letterOf(vector)));
    [vectors, answer].forEach((row, which) => {
      letters[which].style.setProperty("--columns", vectors.length);
      letters[which].replaceChildren(...(spells ? row : []).map((vector) => make("span", {}, letterOf(vector))));
    });
    if (document.activeElement !== typed) typed.value = spells ? vectors.map(letterOf).join("") : "";
    tape.show(done.state);
    added.show([...(done.told?.[0].add_vector ?? Array(machine.memory_width).fill(0))].map((x) => [x]));
    seen.show([...done.state.reads[0]].map((x) => [x]));
    return (status.textContent = inOneSentence(state, done));
  };
  let onreport;
  const unmount = mount({
    model, el, inputs, draw, label: "Live figure: a trained machine copies your bits",
    parts: [make("p", { className: "hook" }, model.get("hook")), buttons, face, whole.element, sliders, status,
      make("p", { className: "about" }, model.get("about"))],
    onready: (redraw) => (onreport = redraw),
  });

  // It begins by itself once it is seen, unless the reader wants no motion.
  const watcher = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return;
    watcher.disconnect();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    change(model, { step: 0 });
    play();
  }, { threshold: 0.4 });
  watcher.observe(el);
  el.addEventListener("pointerdown", () => watcher.disconnect());
  return () => (watcher.disconnect(), stop(), unmount());
}
export default { render };
