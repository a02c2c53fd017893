// The address, stage by stage: each below the one that it is made from.

const STAGES = ["content", "gate", "shift", "sharpen"];

function render({ model, el }) {
  const names = model.get("rows");
  const columns = model.get("columns");
  const memory = model.get("memory");
  const reached = STAGES.indexOf(model.get("stages")) + 1;
  const inputs = ["key", "strength", "previous", "gate", "kernel", "exponent"].slice(0, [2, 4, 5, 6][reached - 1]);
  const start = Object.fromEntries(inputs.map((name) => [name, model.get(name)]));
  const largest = Math.max(1, ...memory.flat().map(Math.abs));
  const single = (name, label, min, max, places = 1) =>
    slider({ name, label, min, max, places, onmove: (value) => change(model, { [name]: value }) });

  // A location is a column in all parts, so the memory lies on its side.
  const rows = columns.map((_, c) => memory.map((row) => row[c]));
  const keys = columns.map((column, c) =>
    slider({
      name: `key ${c}`, label: column, min: -1, max: 1, places: 1,
      onmove: (value) => change(model, { key: replaced(model.get("key"), c, value) }),
    }),
  );
  const keyBox = make("div", { className: "sliders" }, ...keys.map((s) => s.element));
  keyBox.style.setProperty("--colour", "var(--ntm-key)");
  const locations = table({ name: "memory", rows: columns, columns: names, title: "memory", largest });
  const likeness = table({ name: "similarity", rows: ["K"], columns: names, title: "similarity to the key", places: 2 });

  const strength = single("strength", "strength β", 0, model.get("strongest"));
  const gate = single("gate", "gate g", 0, 1, 2);
  const exponent = single("exponent", "exponent γ", 1, model.get("sharpest"));
  const own = (element, colour) => {
    element.style.setProperty("--colour", `var(--ntm-${colour})`);
    return element;
  };
  const content = bars({ name: "content", colour: "content", title: "content weighting", names });
  const previous = bars({
    name: "previous", colour: "previous", title: "previous weighting", names, label: "previous weight of",
    onmove: (i, value) => change(model, { previous: reweigh(model.get("previous"), i, value) }),
  });
  const gated = bars({ name: "gated", colour: "gated", title: "gated weighting", names });
  const shifted = bars({ name: "shifted", colour: "shifted", title: "shifted weighting", names });
  const sharpened = bars({ name: "sharpened", colour: "sharpened", title: "sharpened weighting", names });

  // Kernels of three and of five taps have other columns, so one is built for each.
  const kernels = Object.fromEntries(
    [3, 5].map((taps) => {
      const offsets = Array.from({ length: taps }, (_, tap) => tap - (taps - 1) / 2);
      const plot = bars({
        name: "kernel", colour: "shifted", title: "shift kernel", label: "mass at offset",
        names: offsets.map((offset) => (offset > 0 ? `+${offset}` : `${offset}`.replace("-", "−"))),
        onmove: (i, value) => change(model, { kernel: reweigh(model.get("kernel"), i, value) }),
      });
      plot.element.classList.add("kernel");
      plot.element.append(
        ...offsets.map((offset, tap) => {
          const text = offset > 0 ? `+${offset}` : `${offset}`.replace("-", "−");
          return Object.assign(make("span", { className: "tick", ariaHidden: "true" }, text), { style: `grid-column:${tap + 2}` });
        }),
      );
      return [taps, plot];
    }),
  );
  const taps = button("Five taps", () => {
    const kernel = model.get("kernel");
    change(model, { kernel: kernel.length === 3 ? [0, ...kernel, 0] : narrowed(kernel) });
  });
  taps.hidden = names.length < 5; // a tap a location at most
  const narrowed = ([a, b, c, d, e]) => [a + b, c, d + e];
  const headings = () => {
    const row = make("div", { className: "numbers", ariaHidden: "true" }, make("span"));
    row.style.setProperty("--columns", names.length);
    row.append(...names.map((name) => make("span", { className: "heading" }, name)));
    return row;
  };

  const stages = [
    stage(1, "content", "Content.", keyBox, locations.element, likeness.element, own(strength.element, "content"), content.element),
    stage(2, "gated", "Gate.", make("p", { className: "label" }, "where the head was, to drag:"), previous.element, own(gate.element, "gated"), gated.element, headings()),
    stage(3, "shifted", "Shift.", make("p", { className: "label" }, "kernel s, to drag: "), kernels[3].element, kernels[5].element, make("div", { className: "buttons" }, taps), shifted.element, headings()),
    stage(4, "sharpened", "Sharpen.", own(exponent.element, "sharpened"), sharpened.element, headings()),
  ].slice(0, reached);

  // The walk shows one stage more each time, and after the last all of them.
  let walked = 0;
  const walk = button("", () => show((walked + 1) % (reached + 1)));
  const show = (step) => {
    walked = step;
    stages.forEach((s, i) => {
      s.element.classList.toggle("later", step > 0 && i >= step);
      s.element.classList.toggle("now", i + 1 === step);
    });
    walk.textContent = step === 0 ? "Step through" : step < reached ? `Step ${step + 1} of ${reached}` : "Show all";
    if (step > 0) stages[step - 1].element.scrollIntoView({ block: "nearest" });
  };
  let seed = 0;
  const surprise = () => {
    const next = random(++seed);
    const shares = (length) => {
      const powers = Array.from({ length }, () => next() ** 4 + 1e-3);
      const sum = powers.reduce((a, b) => a + b, 0);
      return powers.map((power) => power / sum);
    };
    const drawn = {
      key: columns.map(() => Math.round(20 * next() - 10) / 10),
      strength: Math.round(10 * (1 + 19 * next())) / 10,
      previous: shares(names.length),
      gate: Math.round(100 * next()) / 100,
      kernel: shares(model.get("kernel").length),
      exponent: Math.round(10 * (1 + 4 * next())) / 10,
    };
    change(model, Object.fromEntries(inputs.map((name) => [name, drawn[name]])));
  };
  const buttons = make("div", { className: "buttons" });
  if (reached > 1) buttons.append(walk);
  buttons.append(button("Reset", () => (show(0), change(model, start))), button("Surprise me", surprise));
  show(0);

  return mount({
    model, el, inputs, label: "Live figure: how an address is made",
    parts: [...stages.map((s) => s.element), buttons],
    draw(state) {
      const now = address(
        memory, state.previous ?? model.get("previous"), state.key, state.strength,
        state.gate ?? 1, state.kernel ?? [0, 1, 0], state.exponent ?? 1,
      );
      const peak = (weighting) => leading(names, weighting);
      keys.forEach((s, c) => s.show(state.key[c]));
      locations.show(rows);
      likeness.show([cosine_similarity(state.key, memory)]);
      strength.show(state.strength);
      content.show(now.content);
      stages[0].say(
        `Set the key k; K says how much each row resembles it, and the strength β how much that counts. Most weight: ${peak(now.content)}.`,
      );
      if (reached > 1) {
        previous.show(state.previous);
        gate.show(state.gate);
        gated.show(now.gated);
        const percent = Math.round(100 * state.gate);
        stages[1].say(`${percent} % of the content weighting and ${100 - percent} % of the previous one. Most weight: ${peak(now.gated)}.`);
      }
      if (reached > 2) {
        const length = state.kernel.length;
        for (const [size, plot] of Object.entries(kernels)) plot.element.hidden = Number(size) !== length;
        kernels[length].show(state.kernel);
        taps.textContent = length === 3 ? "Five taps" : "Three taps";
        shifted.show(now.shifted);
        stages[2].say(`Mass at +1 moves the weights one location on, and from the last to the first. Most weight: ${peak(now.shifted)}.`);
      }
      if (reached > 3) {
        exponent.show(state.exponent);
        sharpened.show(now.sharpened);
        stages[3].say(`Each weight to the power of γ, then shared out again. Most weight: ${peak(now.sharpened)}.`);
      }
      const last = [now.content, now.gated, now.shifted, now.sharpened][reached - 1];
      return `The head attends to ${listed(names, last)}.`;
    },
  });
}
export default { render };
