// What leak an exponent bears: the ratio of two weights, the map of both settings, and a
// head that takes its steps.

const LOCATIONS = 400; // so many that 300 steps do not come round
const STEPS = 300;
const TOLD = [1, 10, 30, 100, STEPS];
const LEAKIEST = 0.5; // the ends of the sliders
const SHARPEST = 5;
const FARTHEST = 1.2; // and of the axes of the ratio

// x′ = (x + r)ᵞ: the weights x + r and 1, sharpened
const next = (x, r, exponent) => {
  const [behind, due] = sharpen([x + r, 1], exponent);
  return behind / due;
};
// (1 − ℓ) / ℓ = γ^(γ / (γ − 1)) / (γ − 1)
const most_leak = (exponent) => (exponent > 1 ? 1 / (1 + exponent ** (exponent / (exponent - 1)) / (exponent - 1)) : 0);
const sampled = (count, low, high, point) =>
  Array.from({ length: count + 1 }, (_, i) => point(low + ((high - low) * i) / count));

// Lines in a frame from (0, bottom) to (right, top).
function chart({ name = "", right, bottom = 0, top, across, up, lines, words = [] }) {
  const paths = lines.map(([line, look]) => `<polyline class="${look}" data-line="${line}"/>`).join("");
  const plot = make("div", {
    className: "plot",
    innerHTML: `<svg viewBox="0 ${-top} ${right} ${top - bottom}" preserveAspectRatio="none" role="img">${paths}</svg>`,
  });
  const picture = plot.firstChild;
  plot.append(...words.map((word) => make("span", {}, word)));
  const axis = make("span", { className: "across" }, ...["0", across, `${right}`].map((text) => make("span", {}, text)));
  const show = (title, ...values) => {
    values.forEach((points, i) =>
      picture.children[i].setAttribute("points", points.map(([x, y]) => `${x},${-y}`).join(" ")),
    );
    picture.setAttribute("aria-label", title);
  };
  return { element: make("div", { className: `chart ${name}` }, make("span", {}, up), plot, axis), show };
}

function render({ model, el }) {
  const sliders = [["leak", "ℓ", 0, LEAKIEST], ["exponent", "γ", 1, SHARPEST]].map(([name, letter, min, max]) =>
    slider({ name, label: `${name} ${letter}`, min, max, onmove: (value) => change(model, { [name]: value }) }),
  );
  const box = make("div", { className: "sliders" }, ...sliders.map((s) => s.element));
  box.style.setProperty("--colour", "var(--ntm-sharpened)");
  const buttons = make("div", { className: "buttons" }, ...[
    ["γ = 2, ℓ = 0.20", 0.2, 2], ["γ = 2, ℓ = 0.21", 0.21, 2], ["Level, but not in place", 0.2, 1.1],
    ["Reset", model.get("leak"), model.get("exponent")],
  ].map(([label, leak, exponent]) => button(label, () => change(model, { leak, exponent }))));
  const cobweb = chart({
    right: FARTHEST, top: FARTHEST, across: "ratio x", up: "x′, from 0 to 1.2",
    lines: [["diagonal", "thin"], ["curve", "shifted"], ["cobweb", "sharpened"]],
  });
  const map = chart({
    right: LEAKIEST, bottom: 1, top: SHARPEST, across: "leak ℓ", up: "exponent γ, from 1 to 5",
    lines: [["border", ""], ["here", "point sharpened"]], words: ["keeps its place", "falls behind"],
  });
  const film = chart({
    name: "weights", right: STEPS, top: 1, across: "step", up: "weight, from 0 to 1",
    lines: [["largest", "thin"], ["due", "sharpened"]],
  });
  const told = table({
    name: "weight", rows: ["due row", "largest"], columns: TOLD.map((at) => `step ${at}`), title: "weights", places: 2,
  });
  const stages = [
    stage(1, "sharpened", "A leak, an exponent.", box, buttons),
    stage(2, "shifted", "Weight behind ÷ weight due.", make("div", { className: "charts" }, cobweb.element, map.element)),
    stage(3, "sharpened", "A head takes 300 steps.", film.element, told.element),
  ];
  const diagonal = [[0, 0], [FARTHEST, FARTHEST]];
  const border = sampled(100, 1, SHARPEST, (exponent) => [most_leak(exponent), exponent]);

  return mount({
    model, el, inputs: ["leak", "exponent"], label: "Live figure: the border of what an exponent bears",
    parts: stages.map((s) => s.element),
    draw({ leak, exponent }) {
      sliders[0].show(leak);
      sliders[1].show(exponent);
      const r = leak / (1 - leak);
      const web = [[0, 0]];
      let [x, step] = [0, 0];
      for (; step < STEPS && x <= 1; step++) {
        const then = next(x, r, exponent);
        web.push([x, then], [then, then]);
        x = then;
      }
      const happens = x > 1 ? `passes 1 in step ${step}` : `is ${decimal(x)} after ${STEPS} steps`;
      const curve = sampled(60, 0, FARTHEST, (at) => [at, next(at, r, exponent)]);
      cobweb.show(`From 0, step by step between curve and diagonal, the ratio x ${happens}.`, diagonal, curve, web);

      const most = most_leak(exponent);
      const bears = leak <= most + 1e-12;
      const verdict = `γ = ${decimal(exponent)} bears a leak of ${decimal(most, 3)}`;
      map.show(`${verdict}; the point is ${bears ? "above" : "below"} the border.`, border, [[leak, exponent], [leak, exponent]]);

      let weighting = Array.from({ length: LOCATIONS }, (_, i) => +(i === 0));
      const [due, largest] = [[[0, 1]], [[0, 1]]];
      for (let at = 1; at <= STEPS; at++) {
        weighting = sharpen(shift(weighting, [0, leak, 1 - leak]), exponent);
        due.push([at, weighting[at]]);
        largest.push([at, Math.max(...weighting)]);
      }
      const behind = (STEPS - strongest(weighting) + LOCATIONS) % LOCATIONS;
      const late = behind ? `${behind} rows behind` : "in its place";
      const [last, top] = [due, largest].map((line) => decimal(line[STEPS][1]));
      film.show(`The weight on the due row goes to ${last}, the largest weight to ${top}.`, largest, due);
      told.show([due, largest].map((line) => TOLD.map((at) => line[at][1])));
      stages[0].say("In each step 1 − ℓ of the weight moves on, and ℓ stays.");
      stages[1].say(`It ${happens}; ${verdict}.`);
      stages[2].say(`Thick: the weight on the row that is due. Thin: the largest weight, at last ${late}.`);
      return `${verdict}: the head ${bears ? "keeps its place" : "falls behind"}. After ${STEPS} steps ${last} of the weight is on the due row, and the largest weight, ${top}, is ${late}.`;
    },
  });
}
export default { render };
