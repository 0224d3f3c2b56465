// Typesets the formulas, fits what is too large, and starts the deck.
(() => {
  "use strict";

  window.MathJax = {
    loader: { load: [] },
    options: { enableMenu: false },
    startup: { typeset: false, ready: () => { MathJax.startup.defaultReady(); MathJax.startup.promise.then(start); } },
    tex: { tags: "none" },
    chtml: { matchFontHeight: false },
  };

  /** Whether something in a box needs more room than it has. */
  const overflows = box => box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1;

  /** Make formulas and tables smaller where they would leave their place. */
  function fit(slide) {
    slide.style.display = "flex";
    const body = slide.querySelector(".body");
    const widths = [...slide.querySelectorAll(".equation mjx-math")].map(each => each.getBoundingClientRect().width);
    const column = () => slide.querySelector(".said")?.clientWidth ?? 0;
    if (body?.classList.contains("beside") && Math.max(0, ...widths) > 1.25 * column()) body.classList.replace("beside", "stacked");
    slide.querySelectorAll(".equation").forEach((each, k) => {
      if (widths[k] > column() - 8) each.style.fontSize = `${(100 * (column() - 8)) / widths[k]}%`;
    });
    const shown = slide.querySelector(".shown"), tables = slide.querySelectorAll(".shown table");
    for (let size = 23; tables.length && overflows(shown) && size > 13; size--)
      tables.forEach(each => { each.style.fontSize = `${size}px`; });
    slide.style.display = "";
  }

  async function start() {
    const slides = document.querySelectorAll(".slides > section");
    await MathJax.typesetPromise();
    slides.forEach(fit);
    await Reveal.initialize({
      width: 1280,
      height: 720,
      margin: 0,
      center: false,
      display: "flex",
      hash: true,
      history: false,
      slideNumber: "c/t",
      controls: false,
      transition: "none",
      backgroundTransition: "none",
      pdfSeparateFragments: false,
      plugins: [RevealNotes],
    });
    document.documentElement.dataset.ready = "true";
  }
})();
