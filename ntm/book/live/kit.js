// What all live figures are made of: sliders, bars, heat maps, captions, buttons.
// Everything that moves is the browser's own slider, so it has keyboard, touch and name.

const make = (tag, { dataset = {}, ...properties } = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, dataset);
  element.append(...children);
  return element;
};
const decimal = (value, places = 2) => {
  const text = value.toFixed(places);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
};
const strongest = (weighting) => weighting.indexOf(Math.max(...weighting));
// Who has the most weight: all those of whom the same number is seen.
const leading = (names, weights) => {
  const most = decimal(Math.max(...weights));
  const first = names.filter((_, i) => decimal(weights[i]) === most);
  return first.length === 1 ? `${first[0]}, ${most}` : `${first.slice(0, -1).join(", ")} and ${first.at(-1)}, ${most} each`;
};
const listed = (names, values) => names.map((name, i) => `${name} ${decimal(values[i])}`).join(", ");

// Weights with that of one location changed; the others share what is left as before.
const reweigh = (weights, place, value) => {
  const rest = 1 - weights[place];
  const others = weights.length - 1;
  return weights.map((weight, i) => {
    if (i === place) return value;
    return rest > 1e-9 ? (weight * (1 - value)) / rest : (1 - value) / others;
  });
};
const replaced = (values, place, value) => values.map((old, i) => (i === place ? value : old));

let count = 0;

// A horizontal slider with its name and its value; `show` moves it.  With `options` it
// chooses one of these numbers.
function slider({ name, label, min, max, step = "any", places = 2, options, onmove }) {
  const id = `ntm-${++count}`;
  const input = make("input", { type: "range", min, max, step, dataset: { name } });
  // Not an <output>: a reader would hear each of them change, not only the one moved.
  const value = make("span", { className: "value", ariaHidden: "true" });
  input.setAttribute("aria-labelledby", id);
  input.addEventListener("input", () => onmove(input.valueAsNumber));
  const show = (number) => {
    input.value = number;
    input.dataset.value = options?.[number] ?? number;
    value.textContent = options?.[number].toLocaleString("en") ?? decimal(number, places);
    input.setAttribute("aria-valuetext", value.textContent);
  };
  return { element: make("div", { className: "slider" }, make("span", { id }, label), input, value), show };
}

// A weighting as upright bars, a location a column; with `onmove` they can be dragged.
function bars({ name, colour, title, names, label, onmove }) {
  const columns = names.map((place, i) => {
    const fill = make("div", { className: "fill" });
    const value = make("span", { className: "number" });
    const track = make("div", { className: "track" }, fill);
    const column = make("div", { className: "column", dataset: { name, index: i } }, value, track);
    let input;
    if (onmove) {
      input = make("input", { type: "range", min: 0, max: 1, step: "any", ariaLabel: `${label} ${place}` });
      input.addEventListener("input", () => onmove(i, input.valueAsNumber));
      track.append(input);
    }
    return { column, fill, value, input };
  });
  const plot = make("div", { className: "bars" }, make("div", { className: "axis" }), ...columns.map((c) => c.column));
  plot.setAttribute("role", onmove ? "group" : "img");
  plot.style.setProperty("--colour", `var(--ntm-${colour})`);
  const show = (weights) => {
    columns.forEach(({ column, fill, value, input }, i) => {
      const text = decimal(weights[i]);
      column.dataset.value = weights[i];
      fill.style.height = `${100 * weights[i]}%`;
      value.textContent = text;
      if (input) {
        input.value = weights[i];
        input.setAttribute("aria-valuetext", text);
      }
    });
    plot.ariaLabel = onmove ? title : `${title}: ${listed(names, weights)}`;
  };
  return { element: plot, show };
}

// Numbers as coloured cells, with a heading over each column and a name before each row.
function table({ name, rows, columns, title, places = 1, largest = 1 }) {
  const cells = rows.map((_, i) =>
    columns.map((_, j) => make("span", { className: "cell", dataset: { name, row: i, column: j } })),
  );
  const grid = make("div", { className: "numbers", role: "img" });
  grid.style.setProperty("--columns", columns.length);
  grid.append(make("span"), ...columns.map((heading) => make("span", { className: "heading" }, heading)));
  rows.forEach((row, i) => grid.append(make("span", { className: "row-name" }, row), ...cells[i]));
  const show = (values) => {
    values.forEach((row, i) => row.forEach((x, j) => paint(cells[i][j], x, largest, decimal(x, places))));
    grid.ariaLabel = `${title}: ${rows.map((row, i) => `${row}: ${listed(columns, values[i])}`).join("; ")}`;
  };
  return { element: grid, show };
}

function paint(cell, value, largest, text) {
  cell.dataset.value = value;
  cell.style.setProperty("--share", `${Math.min(1, Math.abs(value) / largest) * 42}%`);
  cell.classList.toggle("negative", value < 0);
  if (text !== undefined) cell.textContent = text;
}

// A drawing: `paint(context, colourOf)` draws it, in the colours of the page's theme.
function canvas({ width, height, title, paint }) {
  const element = make("canvas", { className: "heat", width, height });
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", title);
  const context = element.getContext("2d");
  const colourOf = (name) => {
    const code = getComputedStyle(element).getPropertyValue(`--ntm-${name}`).trim();
    return [1, 3, 5].map((at) => parseInt(code.slice(at, at + 2), 16));
  };
  const repaint = () => element.isConnected && paint(context, colourOf);
  // Colours are known once it is on the page, and change with the page's theme.
  new ResizeObserver(repaint).observe(element);
  const theme = new MutationObserver(() => (element.isConnected ? repaint() : theme.disconnect()));
  const watch = (element, attribute) => theme.observe(element, { attributeFilter: [attribute] });
  watch(document.documentElement, "data-theme");
  if (document.body) watch(document.body, "data-jp-theme-light");
  return { element, repaint };
}

// Many numbers without text, a pixel each and a column a step; `colour` for weights, else
// by sign.  How opaque a pixel is says how large its number is.
function heat({ values, colour, title, largest = 1 }) {
  const [width, height] = [values.length, values[0].length];
  let shown = values;
  const paint = (context, colourOf) => {
    const pixels = context.createImageData(width, height);
    const [more, less] = [colour ?? "memory", "shifted"].map(colourOf);
    shown.forEach((column, x) =>
      column.forEach((value, y) => {
        const opaque = Math.round(255 * Math.min(1, Math.abs(value) / largest));
        pixels.data.set([...(value < 0 ? less : more), opaque], 4 * (y * width + x));
      }),
    );
    context.putImageData(pixels, 0, 0);
  };
  const { element, repaint } = canvas({ width, height, title, paint });
  const show = (numbers) => {
    shown = numbers;
    repaint();
  };
  return { element, show };
}

// A numbered part of a figure: what happens here in a sentence, then the parts themselves.
function stage(number, colour, title, ...parts) {
  const text = make("span");
  const heading = make("p", { className: "caption" }, make("b", {}, `${number}`), make("strong", {}, title), " ", text);
  heading.style.setProperty("--colour", `var(--ntm-${colour})`);
  const element = make("div", { className: "stage" }, heading, ...parts);
  return { element, say: (sentence) => (text.textContent = sentence) };
}

const button = (label, onclick) => make("button", { type: "button", onclick }, label);

// Numbers that look random, the same for the same seed.
const random = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};

// Put a figure together.  `draw(state)` shows a state and returns it in one sentence;
// `inputs` are the names that readers and Python may change.  `onready` gets what draws
// again, for a figure that changes without them.
const QUIET = 500; // milliseconds without a change before its sentence is spoken
const APART = 1000; // between two sentences
function mount({ model, el, label, inputs, parts, draw, onready }) {
  const spoken = make("p", { className: "spoken", role: "status" });
  const figure = make("div", { className: "ntm-figure", role: "group" }, ...parts, spoken);
  figure.setAttribute("aria-label", label);
  let later;
  let last = -APART;
  const redraw = () => {
    const sentence = draw(Object.fromEntries(inputs.map((name) => [name, model.get(name)])));
    figure.setAttribute("aria-label", `${label}. ${sentence}`);
    return sentence;
  };
  const speak = (sentence) => {
    clearTimeout(later);
    later = setTimeout(() => {
      last = performance.now();
      spoken.textContent = sentence;
    }, Math.max(QUIET, last + APART - performance.now()));
  };
  // What is changed together is drawn once.
  let isDue = false;
  const onchange = () => {
    if (isDue) return;
    isDue = true;
    queueMicrotask(() => ((isDue = false), speak(redraw())));
  };
  for (const name of inputs) model.on(`change:${name}`, onchange);
  redraw();
  onready?.(onchange);
  el.append(figure);
  return () => {
    clearTimeout(later);
    for (const name of inputs) model.off(`change:${name}`, onchange);
  };
}

// Change what the model holds, and tell Python if there is one.
const change = (model, values) => {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  model.save_changes();
};
