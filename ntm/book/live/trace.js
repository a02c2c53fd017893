// A trained machine at work, as it was recorded: nothing here is computed anew.

function render({ model, el }) {
  const { inputs, outputs, writes, reads, adds, changes, read_vectors, says } = JSON.parse(model.get("recorded"));
  const memory = []; // of each step, put together from the rows that are others than before
  for (const rows of changes) memory.push(Object.assign([...(memory.at(-1) ?? [])], Object.fromEntries(rows)));
  const length = model.get("length");
  const times = inputs.length;
  const names = writes[0].map((_, i) => `${i}`);
  const loudest = Math.max(...memory.flat(2).map(Math.abs), ...adds.flat().map(Math.abs));

  const strips = [
    ["input", heat({ values: inputs, colour: "previous", title: "input over time, a step a column" })],
    ["output", heat({ values: outputs, colour: "previous", title: "output over time, a step a column" })],
    ["added", heat({ values: adds, title: "add vector over time, a step a column", largest: loudest })],
    ["write head", heat({ values: writes, colour: "write", title: "write weighting over time, a location a row" })],
    ["read head", heat({ values: reads, colour: "read", title: "read weighting over time, a location a row" })],
  ];
  const cursor = make("div", { className: "cursor" });
  const film = make("div", { className: "film strips" }, ...strips.map(([, map]) => map.element), cursor);
  const labels = make("div", { className: "strip-names" }, ...strips.map(([name]) => make("span", {}, name)));
  const place = (event) => {
    const { left, width } = film.getBoundingClientRect();
    const step = Math.floor((times * (event.clientX - left)) / width);
    change(model, { step: Math.max(0, Math.min(times - 1, step)) });
  };
  film.addEventListener("pointerdown", (event) => (film.setPointerCapture(event.pointerId), place(event)));
  film.addEventListener("pointermove", (event) => film.hasPointerCapture(event.pointerId) && place(event));

  const step = slider({
    name: "step", label: "step", min: 0, max: times - 1, step: 1, places: 0,
    onmove: (value) => (stop(), change(model, { step: value })),
  });
  let playing;
  const stop = () => {
    clearInterval(playing);
    playing = undefined;
    play.textContent = "Play";
  };
  const play = button("Play", () => {
    if (playing) return stop();
    play.textContent = "Pause";
    if (model.get("step") === times - 1) change(model, { step: 0 });
    playing = setInterval(() => {
      change(model, { step: model.get("step") + 1 });
      if (model.get("step") === times - 1) stop();
    }, 600);
  });
  const to = (label, where) => button(label, () => (stop(), change(model, { step: where })));
  const buttons = make(
    "div", { className: "buttons" }, play, ...(length < 0 ? [] : [to("Delimiter", length)]), to("Reset", 0),
  );

  const writePlot = bars({ name: "write", colour: "write", title: "write weighting", names });
  const readPlot = bars({ name: "read", colour: "read", title: "read weighting", names });
  const held = heat({ values: memory[0], title: "memory after this step, a location a column", largest: loudest });
  const added = heat({ values: adds[0].map((x) => [x]), title: "add vector of this step, a component a column", largest: loudest });
  const seen = heat({ values: read_vectors[0].map((x) => [x]), title: "read vector of this step, a component a column", largest: loudest });
  added.element.classList.add("vector");
  seen.element.classList.add("vector");
  held.element.classList.add("held");
  const aligned = make("div", { className: "aligned" }, held.element);
  const stages = [
    stage(1, "previous", "Over time.", make("div", { className: "strips-box" }, labels, film), step.element, buttons),
    stage(2, "write", "The write head.", added.element, writePlot.element),
    stage(3, "memory", "The memory", aligned),
    stage(4, "read", "The read head.", readPlot.element, seen.element),
  ];
  stages.forEach((s) => s.element.classList.add("dense"));

  const unmount = mount({
    model, el, inputs: ["step"], label: `Live figure: a trained machine ${model.get("doing")}`,
    parts: stages.map((s) => s.element),
    draw({ step: t }) {
      step.show(t);
      cursor.style.left = `${(100 * (t + 0.5)) / times}%`;
      writePlot.show(writes[t]);
      readPlot.show(reads[t]);
      held.show(memory[t]);
      added.show(adds[t].map((x) => [x]));
      seen.show(read_vectors[t].map((x) => [x]));
      const at = (weighting) => `location ${strongest(weighting)}, weight ${decimal(Math.max(...weighting))}`;
      stages[0].say(`Step ${t}: ${says[t]}. Drag across the picture, or use the slider.`);
      stages[1].say(`What is added, and where: ${at(writes[t])}.`);
      stages[2].say("after this step’s write, a location a column.");
      stages[3].say(`Where it reads, and what: ${at(reads[t])}.`);
      return `Step ${t}: ${says[t]}. The write head is at ${at(writes[t])}; the read head is at ${at(reads[t])}.`;
    },
  });
  return () => (stop(), unmount());
}
export default { render };
