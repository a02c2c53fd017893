// What the pages do beyond their theme; nothing here is needed to read them.

// Search results quote the pages they lead to, and a page on disk may not fetch another.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// A table that does not fit is shown row by row.
function fit() {
  for (const box of document.querySelectorAll("article .pst-scrollable-table-container")) {
    const { classList } = box.firstElementChild;
    classList.remove("cards");
    if (box.scrollWidth > box.clientWidth && box.querySelector("[data-column]")) classList.add("cards");
  }
}

// What is wider than the column scrolls, and what scrolls must be reachable by keyboard.
// The theme forgets formulas, and what a dropdown hides.
const SCROLLING = "article :is(pre, .parts, .pst-scrollable-table-container, div.math mjx-container)";
function reach() {
  fit();
  for (const box of document.querySelectorAll(SCROLLING)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(reach));
addEventListener("resize", reach);
addEventListener("toggle", reach, { capture: true });

// Paper is light, whatever the screen is.
const { dataset } = document.documentElement;
let themeOnScreen = dataset.theme;
matchMedia("print").addEventListener("change", ({ matches: isPrinting }) => {
  if (isPrinting) themeOnScreen = dataset.theme;
  dataset.theme = isPrinting ? "light" : themeOnScreen;
});
