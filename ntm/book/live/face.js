// What a machine that copies looks like: bits that come in and go out, rows, and heads.

const wordsOf = (vectors) => vectors.map((vector) => vector.join("")).join(" ");
const vectorsOf = (words) => words.split(" ").map((word) => [...word].map(Number));
const letterOf = (vector) => String.fromCharCode(parseInt(vector.join(""), 2));
const isOne = (logit) => (logit > 0 ? 1 : 0);

// The bits of vectors as cells, a vector a column; `onset` makes them switches, of which
// the keyboard's arrows reach every one and the tab key one.
function strip({ name, title, bits, onset }) {
  const grid = make("div", { className: `bits ${name}` });
  grid.setAttribute("role", onset ? "group" : "img");
  let cells = [];
  let brush;
  const focus = (x, y) => {
    const cell = cells[x]?.[y];
    if (!cell) return;
    for (const other of cells.flat()) other.tabIndex = other === cell ? 0 : -1;
    cell.focus();
  };
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const made = (x, y) => {
    if (!onset) return make("span", { dataset: { name, row: x } });
    const cell = make("button", { type: "button", tabIndex: x || y ? -1 : 0, dataset: { name, row: x } });
    const value = () => Number(cell.dataset.value);
    cell.addEventListener("click", () => brush === undefined && onset(x, y, 1 - value()));
    cell.addEventListener("pointerdown", ({ pointerType }) => (brush = pointerType === "mouse" ? 1 - value() : undefined));
    cell.addEventListener("pointerup", () => brush !== undefined && value() !== brush && onset(x, y, brush));
    // A mouse that is held down paints what it goes over and what it came from.
    for (const way of ["pointerenter", "pointerleave"])
      cell.addEventListener(way, ({ buttons }) => buttons & 1 && brush !== undefined && onset(x, y, brush));
    cell.addEventListener("keydown", (event) => {
      brush = undefined;
      const way = arrows[event.key];
      if (!way) return;
      event.preventDefault();
      focus(x + way[0], y + way[1]);
    });
    return cell;
  };
  const show = (vectors, targets) => {
    const length = (targets ?? vectors).length;
    if (cells.length !== length) {
      cells = Array.from({ length }, (_, x) => Array.from({ length: bits }, (_, y) => made(x, y)));
      grid.style.setProperty("--columns", length);
      grid.replaceChildren(...cells.flat());
    }
    cells.forEach((column, x) =>
      column.forEach((cell, y) => {
        const bit = vectors[x]?.[y];
        cell.classList.toggle("one", bit === 1);
        cell.classList.toggle("wrong", bit !== undefined && targets !== undefined && targets[x][y] !== bit);
        if (bit === undefined) return delete cell.dataset.value;
        cell.dataset.value = bit;
        if (!onset) return;
        cell.setAttribute("aria-pressed", bit === 1);
        cell.setAttribute("aria-label", `vector ${x + 1}, bit ${y + 1}`);
      }),
    );
    grid.setAttribute("aria-label", `${title}: ${vectors.length ? wordsOf(vectors) : "nothing yet"}`);
  };
  const now = (x) => {
    grid.classList.toggle("running", x >= 0 && x < cells.length);
    grid.style.setProperty("--now", x);
  };
  return { element: grid, show, now };
}

// Where a head is, a location a row: its weights as bars, and a frame round the strongest.
function head(name) {
  const element = make("div", { className: `head ${name}`, role: "img" });
  const frame = make("div", { className: `frame ${name}` });
  let rows = [];
  const show = (weighting) => {
    if (rows.length !== weighting.length) {
      rows = Array.from(weighting, () => make("span", { dataset: { name } }));
      element.replaceChildren(...rows);
      for (const box of [element, frame]) box.style.setProperty("--locations", weighting.length);
    }
    rows.forEach((row, i) => {
      row.dataset.value = weighting[i];
      row.style.setProperty("--weight", weighting[i]);
    });
    const at = strongest(weighting);
    frame.style.setProperty("--at", at);
    element.setAttribute("aria-label", `${name} head: location ${at}, weight ${decimal(weighting[at])}, of ${weighting.length}`);
    return at;
  };
  return { element, frame, show };
}

// The memory, a location a row, between both heads.
function rows({ memory_width }, loudest) {
  const [writes, reads] = [head("write"), head("read")];
  const held = make("div", { className: "memory" });
  let map;
  const show = ({ memory, write, read }) => {
    writes.show(write[0]);
    reads.show(read[0]);
    const values = Array.from({ length: memory_width }, (_, c) => memory.map((row) => row[c]));
    if (map?.size === memory.length) return map.show(values);
    map = { ...heat({ values, title: "memory after this step, a location a row", largest: loudest }), size: memory.length };
    held.replaceChildren(map.element, writes.frame, reads.frame);
  };
  return { parts: [writes.element, held, reads.element], show };
}
