// A small memory: drag the weighting, see what is read; then what a write leaves behind.

function render({ model, el }) {
  const rows = model.get("rows");
  const columns = model.get("columns");
  const memory = model.get("memory");
  const writes = model.get("parts") === "write";
  const start = Object.fromEntries(["weighting", "erase_vector", "add_vector"].map((n) => [n, model.get(n)]));
  const largest = Math.max(1, ...memory.flat().map(Math.abs));

  const attention = rows.map((row, i) =>
    slider({
      name: `weighting ${i}`, label: row, min: 0, max: 1,
      onmove: (value) => change(model, { weighting: reweigh(model.get("weighting"), i, value) }),
    }),
  );
  const before = table({ name: "memory", rows, columns, title: "memory", largest });
  const result = table({ name: "read_vector", rows: ["r"], columns, title: "read vector", places: 2, largest });
  const vector = (name, symbol, min, max) =>
    columns.map((column, c) =>
      slider({
        name: `${name} ${c}`, label: `${symbol} ${column}`, min, max,
        onmove: (value) => change(model, { [name]: replaced(model.get(name), c, value) }),
      }),
    );
  const erases = vector("erase_vector", "e", 0, 1);
  const adds = vector("add_vector", "a", -1, 1);
  const erased = table({ name: "erased", rows, columns, title: "memory after the erase", places: 2, largest });
  const written = table({ name: "written", rows, columns, title: "memory after the add", places: 2, largest });

  const sliders = (list, colour) => {
    const box = make("div", { className: "sliders" }, ...list.map((s) => s.element));
    box.style.setProperty("--colour", `var(--ntm-${colour})`);
    return box;
  };
  const stages = writes
    ? [
        stage(1, "memory", "The memory", before.element),
        stage(2, "write", "The weighting.", sliders(attention, "write")),
        stage(3, "write", "Erase.", sliders(erases, "write"), erased.element),
        stage(4, "write", "Add.", sliders(adds, "write"), written.element),
      ]
    : [
        stage(1, "memory", "The memory", before.element),
        stage(2, "read", "The weighting.", sliders(attention, "read")),
        stage(3, "read", "The read vector", result.element),
      ];
  let seed = 0;
  const surprise = () => {
    const next = random(++seed);
    const powers = rows.map(() => next() ** 3 + 1e-3);
    const sum = powers.reduce((a, b) => a + b, 0);
    change(model, {
      weighting: powers.map((power) => power / sum),
      erase_vector: columns.map(() => Math.round(next())),
      add_vector: columns.map(() => decimalOf(2 * next() - 1)),
    });
  };
  const decimalOf = (x) => Math.round(10 * x) / 10;
  const buttons = make(
    "div", { className: "buttons" },
    button("Reset", () => change(model, start)),
    button("Surprise me", surprise),
  );

  return mount({
    model, el, inputs: ["weighting", "erase_vector", "add_vector"],
    label: writes ? "Live figure: writing to a memory" : "Live figure: reading from a memory",
    parts: [...stages.map((s) => s.element), buttons],
    draw({ weighting, erase_vector, add_vector }) {
      attention.forEach((s, i) => s.show(weighting[i]));
      before.show(memory);
      const focus = `the most weight is on ${leading(rows, weighting)}`;
      stages[1].say(`Drag one weight, and the others share what is left, so that they sum to 1. Now ${focus}.`);
      if (!writes) {
        const read_vector = read(memory, weighting);
        result.show([read_vector]);
        stages[0].say("holds one row a location.");
        stages[2].say("is the sum of the rows, each as loud as its weight.");
        return `Now ${focus}. The read vector is ${listed(columns, read_vector)}.`;
      }
      erases.forEach((s, c) => s.show(erase_vector[c]));
      adds.forEach((s, c) => s.show(add_vector[c]));
      const after = erase(memory, weighting, erase_vector);
      erased.show(after);
      const last = add(after, weighting, add_vector);
      written.show(last);
      stages[0].say("before the write.");
      stages[2].say("Each number fades by its weight times e, the erase vector.");
      stages[3].say("Each row gains its weight times a, the add vector.");
      const most = strongest(weighting);
      return `Now ${focus}. After the write, ${rows[most]} holds ${listed(columns, last[most])}.`;
    },
  });
}
export default { render };
