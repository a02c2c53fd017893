// A focus that is shifted again and again, once as it is and once sharpened each time.

function render({ model, el }) {
  const locations = model.get("locations");
  const most = model.get("longest");
  const names = Array.from({ length: locations }, (_, i) => `${i}`);
  const inputs = ["steps", "kernel", "exponent"];
  const start = Object.fromEntries(inputs.map((name) => [name, model.get(name)]));
  const focus = names.map((_, i) => (i === model.get("first") ? 1 : 0));

  const kernel = ["−1", "0", "+1"].map((offset, tap) =>
    slider({
      name: `kernel ${tap}`, label: `s(${offset})`, min: 0, max: 1,
      onmove: (value) => change(model, { kernel: reweigh(model.get("kernel"), tap, value) }),
    }),
  );
  const exponent = slider({
    name: "exponent", label: "exponent γ", min: 1, max: 5, places: 1,
    onmove: (value) => change(model, { exponent: value }),
  });
  const steps = slider({
    name: "steps", label: "steps", min: 0, max: most, step: 1, places: 0,
    onmove: (value) => change(model, { steps: value }),
  });
  const empty = Array.from({ length: most + 1 }, () => focus);
  const pictures = [
    { name: "blurred", colour: "shifted", title: "shift alone" },
    { name: "kept", colour: "sharpened", title: "shift, then sharpen" },
  ].map(({ name, colour, title }) => ({
    map: heat({ values: empty, colour, title: `${title}: the weighting over time, a step a column` }),
    plot: bars({ name, colour, title, names }),
  }));
  const cursors = pictures.map(() => make("div", { className: "cursor" }));
  const parts = pictures.map(({ map, plot }, i) => [
    make("div", { className: "film" }, map.element, cursors[i]), plot.element,
  ]);
  const box = (list, colour) => {
    const element = make("div", { className: "sliders" }, ...list.map((s) => s.element));
    element.style.setProperty("--colour", `var(--ntm-${colour})`);
    return element;
  };
  const stages = [
    stage(1, "previous", "A focus, and a kernel.", box([...kernel, steps], "shifted")),
    stage(2, "shifted", "Shift alone.", ...parts[0]),
    stage(3, "sharpened", "Shift, then sharpen.", box([exponent], "sharpened"), ...parts[1]),
  ];
  for (const s of stages) s.element.classList.add("dense");
  const buttons = make("div", { className: "buttons" }, button("Reset", () => change(model, start)));

  const walk = (next) => {
    const weightings = [focus];
    for (let step = 0; step < most; step++) weightings.push(next(weightings[step]));
    return weightings;
  };

  let drawn = "";
  return mount({
    model, el, inputs, label: "Live figure: a focus shifted again and again",
    parts: [...stages.map((s) => s.element), buttons],
    draw(state) {
      kernel.forEach((s, tap) => s.show(state.kernel[tap]));
      exponent.show(state.exponent);
      steps.show(state.steps);
      const films = [
        walk((weighting) => shift(weighting, state.kernel)),
        walk((weighting) => sharpen(shift(weighting, state.kernel), state.exponent)),
      ];
      const setting = JSON.stringify([state.kernel, state.exponent]);
      films.forEach((film, i) => {
        if (setting !== drawn) pictures[i].map.show(film);
        pictures[i].plot.show(film[state.steps]);
        cursors[i].style.left = `${(100 * (state.steps + 0.5)) / (most + 1)}%`;
      });
      drawn = setting;
      const [blurred, kept] = films.map((film) => decimal(Math.max(...film[state.steps])));
      stages[0].say("All weight begins on one location. Drag the kernel, then the number of steps.");
      stages[1].say(`After ${state.steps} steps the largest weight is ${blurred}.`);
      stages[2].say(`After ${state.steps} steps the largest weight is ${kept}.`);
      return `After ${state.steps} steps the largest weight is ${blurred} with shifts alone, and ${kept} if each is sharpened.`;
    },
  });
}
export default { render };
