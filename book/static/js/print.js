// Paper: light colors, formulas that fit, and solutions only where they were asked for.
(() => {
  "use strict";

  const root = document.documentElement;
  //: Width of the text on an A4 page and its size of type, in pixels: see print.css.
  const PAGE = 688, TYPE = 9.2 * 4 / 3;
  let undo = [];

  /** Set a property now, and put it back after printing. */
  function set(object, name, value) {
    const before = object[name];
    object[name] = value;
    undo.push(() => { object[name] = before; });
  }

  /** Shrink the displayed formulas that are wider than the page, beside their numbers. */
  function fitFormulas() {
    document.querySelectorAll("div.math > mjx-container").forEach(formula => {
      const size = parseFloat(getComputedStyle(formula.parentElement).fontSize);
      const inner = formula.querySelector("mjx-math") ?? formula;
      const number = formula.parentElement.querySelector(".eqno") ? 70 : 0;
      const indent = formula.closest("li, .admonition") ? 45 : 0;
      const width = inner.getBoundingClientRect().width * TYPE / size;
      if (width > PAGE - number - indent) formula.style.setProperty("--rn-fit", (PAGE - number - indent) / width);
    });
  }

  /** Open every hint, answer and solution. */
  function openSolutions() {
    root.classList.add("rn-with-solutions");
    undo.push(() => root.classList.remove("rn-with-solutions"));
    document.querySelectorAll("details.sd-dropdown").forEach(each => set(each, "open", true));
    document.querySelectorAll(".toggle-hidden").forEach(each => {
      each.classList.remove("toggle-hidden");
      undo.push(() => each.classList.add("toggle-hidden"));
    });
  }

  function prepare() {
    if (root.dataset.theme !== "light") set(root.dataset, "theme", "light");
    if (root.dataset.print === "solutions") openSolutions();
    fitFormulas();
  }

  function restore() {
    undo.reverse().forEach(each => each());
    undo = [];
  }

  /** Wait for every formula and picture of the page. */
  async function complete() {
    await window.resnorm.typesetAll();
    const pictures = [...document.images];
    pictures.forEach(each => { each.loading = "eager"; });
    await Promise.allSettled(pictures.map(each => each.decode()));
  }

  addEventListener("beforeprint", prepare);
  addEventListener("afterprint", restore);
  document.querySelectorAll("button[data-print]").forEach(button =>
    button.addEventListener("click", async () => {
      await complete();
      root.dataset.print = button.dataset.print;
      window.print();
      delete root.dataset.print;
    }));
  Object.assign(window.resnorm, { complete, fitFormulas });
})();
