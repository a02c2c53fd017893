// Brings the live figures to life without a kernel, from the state that their notebook stored.
// Each runs the JavaScript that it also runs in JupyterLab, with a model that is a plain map.

const FORMAT = 1; // as in ntm/explorables/_widget.py
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

const load = (source) => {
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  return import(address).finally(() => URL.revokeObjectURL(address));
};

async function enliven(view, states) {
  const values = states[JSON.parse(view.textContent).model_id]?.state;
  if (values?.format !== FORMAT || !values._esm) throw new Error("its state is missing or of another version");
  const box = document.createElement("div");
  const { default: figure } = await load(values._esm);
  await figure.render({ model: modelOf(structuredClone(values)), el: box });
  return [box, values._css];
}

async function enlivenAll() {
  let states = {};
  try {
    states = JSON.parse(document.querySelector(STATE).textContent).state;
  } catch {
    // Every figure will say that its state is missing.
  }
  for (const view of document.querySelectorAll(VIEWS)) {
    const output = view.closest(".cell_output") ?? view.parentElement;
    const still = output.querySelector("img");
    const box = document.createElement("div");
    try {
      const [live, css] = await enliven(view, states);
      if (!document.getElementById("live-figures"))
        document.head.append(Object.assign(document.createElement("style"), { id: "live-figures", textContent: css }));
      box.className = "live";
      box.append(live);
      output.classList.add("is-live");
    } catch (error) {
      box.className = "not-live";
      box.textContent = `This figure stays still: ${error.message}.`;
    }
    if (still) still.before(box);
    else view.before(box);
  }
  document.documentElement.dataset.live = performance.now();
}

if (document.readyState === "loading") addEventListener("DOMContentLoaded", enlivenAll);
else enlivenAll();
