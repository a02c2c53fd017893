// The reader is the controller: settings for each step, what they do to the weighting and
// to the memory, and in a sentence what went wrong.

const SHARP = 0.75; // of the weight on one location; with less a weighting is called smeared
const KEYS = ["start mark", "input", "last read"]; // as in ntm/book/live/_controller.py
const KERNELS = { back: [0.8, 0.1, 0.1], stay: [0.1, 0.8, 0.1], on: [0.1, 0.1, 0.8] };
const WEIGHTINGS = { previous: "before", content: "content", gated: "gate", shifted: "shift", sharpened: "sharpen" };

const digit = (x) => (x > 0.5 ? 1 : x < -0.5 ? -1 : 0);
const isLike = (row, vector) => row.every((x, c) => digit(x) === vector[c]);
const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// All steps of a level, computed for these settings.
function filmOf({ vectors }, { memory: start, steps }, settings) {
  const silence = start[0].map(() => 0);
  let [memory, weighting, read_vector] = [start, start.map((_, i) => (i === 0 ? 1 : 0)), silence];
  return steps.map(({ given }, t) => {
    const { key: choice, strength, gate, kernel, exponent, erase, add } = settings[t];
    const [before, previous, input] = [memory, weighting, vectors[given] ?? silence];
    const key = [vectors["the start mark"], input, read_vector][KEYS.indexOf(choice)];
    const stages = address(before, previous, key, strength, gate, kernel, exponent);
    weighting = stages.sharpened;
    memory = write(before, weighting, silence.map(() => erase), input.map((x) => add * x));
    read_vector = read(memory, weighting);
    return { key, previous, ...stages, before, memory, read_vector };
  });
}

// Which setting changes at which step after the first.
const changesOf = (settings) =>
  settings.slice(1).flatMap((now, t) => Object.keys(now).filter((name) => !isSame(now[name], settings[t][name])));

// What a step did, in one word and in one sentence.
function judge({ vectors }, { steps }, film, settings, t) {
  const { given, due } = steps[t];
  const { before, memory, content, sharpened, read_vector } = film[t];
  const [at, locations] = [strongest(sharpened), sharpened.length];
  const placeOf = (name, rows) => rows.findIndex((row) => isLike(row, vectors[name]));
  const vanishes = (name, u) => placeOf(name, film[u].before) >= 0 && placeOf(name, film[u].memory) < 0;
  const needed = [...new Set(steps.slice(t).map((step) => step.due)), due ? null : "the start mark"].filter(Boolean);
  const lost = needed.find((name) => vanishes(name, t));
  const weight = decimal(sharpened[at]);
  if (!due && settings[t].add <= 0.5)
    return ["unwritten", `Not written: only ${decimal(settings[t].add)} of ${given} is added.`];
  if (due && !lost && isLike(read_vector, vectors[due]))
    return ["well", `Well: ${due} is read from location ${at}, every bit right.`];
  if (sharpened[at] < SHARP) {
    const best = Math.max(...content);
    if (settings[t].gate * (1 - best) > 1 - SHARP)
      return ["undecided", `Look-up undecided: no row has more than ${decimal(best)} of the content weighting, and the gate lets it in.`];
    return ["smeared", `Smeared: only ${weight} of the weight is on location ${at}, the rest on others.`];
  }
  if (lost) return ["overwrote", `Overwrote: ${lost} was in location ${placeOf(lost, before)}, and was still needed.`];
  if (!due) {
    if (isLike(memory[at], vectors[given])) return ["well", `Well: ${given} is in location ${at}, with a weight of ${weight}.`];
    return ["unerased", `Not erased: ${given} is mixed with what was in location ${at} before.`];
  }
  const place = placeOf(due, before);
  if (place < 0) {
    const begun = steps.findIndex((step) => step.given === due);
    const u = steps.findIndex((_, u) => u < t && (vanishes(due, u) || (u === begun && placeOf(due, film[u].memory) < 0)));
    return ["lost", `Lost: ${due} is nowhere in the memory since step ${u}; go back there.`];
  }
  const off = (at - place + locations) % locations;
  const distance = Math.min(off, locations - off);
  return ["off", `${distance === 1 ? "One" : distance} off: location ${at} is read, and ${due} is in location ${place}.`];
}

function render({ model, el }) {
  const game = JSON.parse(model.get("game"));
  const { vectors, levels, defaults } = game;
  const programOf = (level) => JSON.parse(model.get("game")).levels[level - 1].program; // Python may set it
  const { memory, steps } = levels[0]; // all levels are of one size
  const [bits, last] = [memory[0].length, steps.length - 1];
  const fresh = () => steps.map(() => structuredClone(defaults));

  // A setting stays as it is until the step at which it was changed next.
  const set = (name, value) => {
    const [settings, t] = [model.get("settings"), model.get("step")];
    const end = settings.findIndex((s, u) => u > t && !isSame(s[name], settings[t][name]));
    const isMeant = (u) => u >= t && (end < 0 || u < end);
    change(model, { settings: settings.map((s, u) => (isMeant(u) ? { ...s, [name]: value } : s)) });
  };
  const go = (step) => change(model, { step: Math.max(0, Math.min(last, step)) });

  const coloured = (element, colour) => {
    element.style.setProperty("--colour", `var(--ntm-${colour})`);
    return element;
  };
  const row = (name, index) => {
    const cells = Array.from({ length: bits }, () => make("span", { dataset: { name, row: index } }));
    const element = make("span", { className: "entries", role: "img" }, ...cells);
    const show = (values, title, target) => {
      cells.forEach((cell, c) => {
        cell.classList.toggle("wrong", Boolean(target) && digit(values[c]) !== target[c]);
        if (values) return paint(cell, values[c], 1);
        delete cell.dataset.value;
        cell.style.setProperty("--share", "0%");
      });
      element.ariaLabel = `${title}: ${values ? values.map((x) => decimal(x, 1)).join(" ") : "nothing"}`;
    };
    return { element, cells, show };
  };
  const pressed = (button, isOn) => button.setAttribute("aria-pressed", isOn);

  // What comes in and what goes out, a step a row.
  const lines = steps.map((_, t) => {
    const number = make("button", { type: "button", tabIndex: -1, onclick: () => go(t), ariaLabel: `go to step ${t}` }, `${t}`);
    const [given, answer] = [row("given", t), row("answer", t)];
    const [due, mark] = [make("span", { className: "due" }), make("span", { className: "sign", ariaHidden: "true" })];
    return { number, given, due, answer, mark };
  });
  const timeline = make(
    "div", { className: "timeline" },
    ...["step", "comes in", "due", "goes out", ""].map((text) => make("span", { className: "label" }, text)),
    ...lines.flatMap(({ number, given, due, answer, mark }) => [number, given.element, due, answer.element, mark]),
  );

  // The settings of this step.
  const choice = (label, options, onpick, ...more) => {
    const buttons = options.map((option) => button(option, () => onpick(option)));
    const element = make("div", { className: "choice", role: "group", ariaLabel: label }, make("span", {}, label), ...buttons, ...more);
    return { element, show: (place) => buttons.forEach((b, i) => pressed(b, i === place)) };
  };
  const keyRow = row("key", 0);
  const key = choice("key k", KEYS, (name) => set("key", name), keyRow.element);
  const taps = KERNELS.stay.map(() => make("span", { dataset: { name: "kernel" } }));
  const kernel = choice("kernel s", Object.keys(KERNELS), (name) => set("kernel", KERNELS[name]), make("span", { className: "taps" }, ...taps));
  const single = (name, label, colour, min, max, places) => {
    const part = slider({ name, label, min, max, places, onmove: (value) => set(name, value) });
    coloured(part.element, colour);
    return part;
  };
  const sliders = {
    strength: single("strength", "strength β", "content", 0, model.get("strongest"), 1),
    gate: single("gate", "gate g", "gated", 0, 1, 2),
    exponent: single("exponent", "exponent γ", "sharpened", 1, model.get("sharpest"), 1),
    erase: single("erase", "erase", "write", 0, 1, 2),
    add: single("add", "add", "write", 0, 1, 2),
  };
  const { strength, gate, exponent, erase, add } = sliders;
  const settingsBox = make(
    "div", { className: "settings" }, coloured(key.element, "content"), strength.element, gate.element,
    coloured(kernel.element, "shifted"), exponent.element, erase.element, add.element,
  );

  // What they do: all stages of the weighting, and the memory after the write.
  const places = memory.map((_, i) => {
    const weights = Object.keys(WEIGHTINGS).map((name) => coloured(make("span", { className: "weight", dataset: { name } }), name));
    return { weights, row: row("memory", i) };
  });
  const titles = Object.entries(WEIGHTINGS).map(([name, title]) => coloured(make("span", { className: "stage-name" }, title), name));
  const bars = make("div", { className: "weights", role: "img" }, ...titles, ...places.flatMap((p) => p.weights));
  const table = make(
    "div", { className: "locations" },
    make("div", { className: "names", ariaHidden: "true" }, make("span"), ...places.map((_, i) => make("span", {}, `${i}`))),
    bars,
    make("div", { className: "rows" }, make("span", { className: "label" }, "memory after the write"), ...places.map((p) => p.row.element)),
  );

  const levelButtons = levels.map((_, i) => button(`Level ${i + 1}`, () => change(model, { level: i + 1, step: 0, settings: fresh() })));
  const task = make("p", { className: "task" });
  const [verdict, score] = [make("p", { className: "status" }), make("p", { className: "score" })];
  const [back, onward] = [button("Back", () => go(model.get("step") - 1)), button("Step", () => go(model.get("step") + 1))];
  const program = button("The chapter’s program", () => change(model, { settings: programOf(model.get("level")) }));
  const reset = button("Reset", () => change(model, { step: 0, settings: fresh() }));

  return mount({
    model, el, inputs: ["level", "settings", "step", "game"], label: "Live figure: you are the controller",
    parts: [make("div", { className: "game" },
      make("div", { className: "buttons" }, ...levelButtons), task,
      make("div", { className: "sides" }, timeline, settingsBox), table, verdict, score,
      make("div", { className: "buttons" }, back, onward, program, reset))],
    draw({ level: number, settings, step }) {
      const level = levels[number - 1];
      const film = filmOf(game, level, settings);
      const now = film[step];
      const verdicts = film.map((_, t) => judge(game, level, film, settings, t));
      const { given, due } = level.steps[step];
      levelButtons.forEach((b, i) => pressed(b, i + 1 === number));
      task.textContent = level.task;

      lines.forEach((line, t) => {
        const [wanted, isDone] = [level.steps[t].due, t <= step];
        line.number.ariaCurrent = t === step ? "step" : "false";
        line.given.show(vectors[level.steps[t].given], `step ${t}, comes in`);
        line.due.textContent = wanted?.split(" ").at(-1) ?? "";
        const isSeen = isDone && wanted;
        line.answer.show(isSeen ? film[t].read_vector : undefined, `step ${t}, goes out`, isSeen && vectors[wanted]);
        line.mark.textContent = !isDone ? "" : verdicts[t][0] === "well" ? "✓" : "✗";
      });

      const { key: chosen, kernel: mass } = settings[step];
      key.show(KEYS.indexOf(chosen));
      keyRow.show(now.key, "key");
      kernel.show(strongest(mass));
      taps.forEach((tap, i) => {
        tap.dataset.value = mass[i];
        tap.textContent = decimal(mass[i]);
      });
      for (const [name, part] of Object.entries(sliders)) part.show(settings[step][name]);

      const names = Object.keys(WEIGHTINGS);
      const at = strongest(now.sharpened);
      places.forEach(({ weights, row }, i) => {
        weights.forEach((weight, stage) => {
          const value = now[names[stage]][i];
          weight.dataset.value = value;
          weight.style.setProperty("--weight", value);
        });
        row.show(now.memory[i], `location ${i}`);
        row.element.classList.toggle("write", i === at && !due);
        row.element.classList.toggle("read", i === at && Boolean(due));
      });
      bars.ariaLabel = names.map((name) => `${WEIGHTINGS[name]}: ${leading(memory.map((_, i) => `location ${i}`), now[name])}`).join("; ");

      const answered = level.steps.flatMap((s, t) => (s.due && t <= step ? film[t].read_vector.map((x, c) => digit(x) === vectors[s.due][c]) : []));
      const [right, all] = [answered.filter(Boolean).length, bits * level.steps.filter((s) => s.due).length];
      const changes = changesOf(settings).length;
      const isFrugal = !level.most || changes <= level.most;
      const allowed = level.most ? ` of at most ${level.most}` : "";
      const end = step < last ? "" : right < all ? " Not won yet." : isFrugal ? " You have won this level." : " All right, but with too many changes.";
      [back.disabled, onward.disabled, program.hidden] = [step === 0, step === last, !programOf(number)];
      const happens = [given && `${given} comes in`, due && `${due} is due`].filter(Boolean).join(", ");
      verdict.textContent = `Step ${step} of ${last}: ${happens}. ${verdicts[step][1]}`;
      verdict.dataset.kind = verdicts[step][0];
      score.textContent = `Bits right: ${right} of ${all}. Changes after step 0: ${changes}${allowed}.${end}`;
      return `${verdict.textContent} ${score.textContent}`;
    },
  });
}
export default { render };
