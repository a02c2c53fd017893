// Brings the live figures to life without a kernel, from the state that their notebook stored.
// Each runs the JavaScript that it also runs in JupyterLab, with a model that is a plain map.

const FORMAT = 1; // as in ntm/book/live/_widget.py
const VIEWS = 'script[type="application/vnd.jupyter.widget-view+json"]';
const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';

function modelOf(values) {
  const listeners = new Map();
  const of = (event) => listeners.get(event) ?? listeners.set(event, new Set()).get(event);
  return {
    get: (name) => values[name],
    set(name, value) {
      values[name] = value;
      for (const listener of of(`change:${name}`)) listener();
    },
    on: (event, listener) => of(event).add(listener),
    off: (event, listener) => of(event).delete(listener),
    save_changes() {},
  };
}

// At once: an `import` waits for the browser, and the deferred scripts would overtake it.
function load(source) {
  const body = source.replace(/^export (default )?/gm, (_, last) => (last ? "return " : ""));
  return (async () => new Function(`"use strict";\n${body}`)())();
}

// Their state stands in the head, before this script.
let states = {};
try {
  states = JSON.parse(document.querySelector(STATE).textContent).state;
} catch {
  // Every figure will say that its state is missing.
}
const modules = new Map();
const styles = new Set();
for (const { state } of Object.values(states)) {
  if (state._esm && !modules.has(state._esm)) {
    const module = load(state._esm);
    module.catch(() => {}); // the figure that needs it will say so
    modules.set(state._esm, module);
  }
}

async function enliven(view) {
  const values = states[JSON.parse(view.textContent).model_id]?.state;
  if (values?.format !== FORMAT || !values._esm) throw new Error("its state is missing or of another version");
  const figure = await modules.get(values._esm);
  if (!styles.has(values._css)) document.head.append(Object.assign(document.createElement("style"), { textContent: values._css }));
  styles.add(values._css);
  const box = document.createElement("div");
  box.className = "live";
  await figure.render({ model: modelOf(structuredClone(values)), el: box });
  return box;
}

async function put(view) {
  const output = view.closest(".cell_output") ?? view.parentElement;
  const still = output.querySelector("img") ?? view;
  try {
    still.before(await enliven(view));
    output.classList.add("is-live");
  } catch (error) {
    const line = document.createElement("p");
    line.className = "not-live";
    line.textContent = `This figure stays still: ${error.message}.`;
    still.before(line);
  }
}

// Each as soon as the page has been read so far, and all before the deferred scripts, of
// which the formulas' is a large one.
const begun = new Map();
function begin() {
  const isRead = document.readyState !== "loading";
  for (const view of document.querySelectorAll(VIEWS))
    if (!begun.has(view) && (isRead || view.textContent.trim().endsWith("}"))) begun.set(view, put(view));
}
const reading = new MutationObserver(begin);
reading.observe(document, { childList: true, subtree: true });
document.addEventListener("readystatechange", async () => {
  if (document.readyState !== "interactive") return;
  reading.disconnect();
  begin();
  await Promise.all(begun.values());
  document.documentElement.dataset.live = performance.now();
});
