/* What the pages do besides the theme: folds, links into folds, and edges of what scrolls. */
(() => {
  "use strict";

  const SCROLLERS = "div.math, .rn-table, .rn-drawing, .rn-frame, .bd-article pre, .cell_output .text_html";

  /* --- folds --------------------------------------------------------------------------------- */

  /** Name the button of a solution as it reads: "Show the solution to exercise 2.1.3". */
  function nameFold(button) {
    const link = button.closest(".admonition-title").querySelector("a .std, a");
    const what = link ? ` the solution to ${link.textContent.trim().replace(/^E/, "e")}` : "";
    button.setAttribute("aria-label", button.dataset.toggleHint + what);
  }

  /** Open every fold around an element, and the element itself if it is one. */
  function unfold(element) {
    for (let each = element; each; each = each.parentElement) {
      if (each.tagName === "DETAILS") each.open = true;
      if (each.classList.contains("toggle-hidden")) each.querySelector("button.toggle-button").click();
    }
  }

  /** Scroll, and once more when the page has changed, until the reader does something. */
  function settle(scroll) {
    // Sections that come near on the way are laid out now and may differ from the room they had.
    let left = 3;
    const { href } = location;
    const again = () => requestAnimationFrame(() => requestAnimationFrame(() => {
      if (!left || location.href !== href) return;
      left -= 1;
      scroll();
      again();
    }));
    scroll();
    again();
    ["wheel", "touchstart", "keydown", "pointerdown"].forEach(kind =>
      addEventListener(kind, () => { left = 0; }, { once: true, passive: true, capture: true }));
  }

  /** Show what the address names, also where it is folded away. */
  function showTarget() {
    const name = decodeURIComponent(location.hash.slice(1));
    const target = name && document.getElementById(name);
    if (!target) return;
    unfold(target);
    settle(() => target.scrollIntoView());
  }

  /* --- the way back -------------------------------------------------------------------------- */

  const BLOCKS = "article :is(h1, h2, h3, h4, p, li, dt, pre, tr)";

  /** Note in the history which paragraph is read, and where in the window it stands. */
  function keepPlace() {
    const height = innerHeight, middle = document.documentElement.clientWidth / 2;
    for (let y = 0.15; y < 1; y += 0.1) {
      const block = document.elementFromPoint(middle, height * y)?.closest(BLOCKS);
      if (!block) continue;
      const place = {
        block: [...document.querySelectorAll(BLOCKS)].indexOf(block),
        top: block.getBoundingClientRect().top,
      };
      history.replaceState({ ...history.state, place }, "");
      return;
    }
  }

  /** Return to it; whether there is one. The browser restores a distance from the top, which holds
      something else when sections have been laid out since. */
  function returned() {
    const place = history.state?.place;
    const block = place && document.querySelectorAll(BLOCKS)[place.block];
    if (!block?.checkVisibility()) return false;
    settle(() => scrollBy({ top: block.getBoundingClientRect().top - place.top, behavior: "instant" }));
    return true;
  }

  function wayBack() {
    addEventListener("pagehide", keepPlace);
    const leads = "a[href], .primary-toggle, .secondary-toggle, .search-button__button";
    document.addEventListener("click", event => event.target.closest(leads) && keepPlace(), { capture: true });
  }

  function foldsAndLinks() {
    document.querySelectorAll("button.toggle-button").forEach(button => {
      nameFold(button);
      new MutationObserver(() => nameFold(button)).observe(button, { attributeFilter: ["data-toggle-hint"] });
    });
    // The title folds when it is clicked, but the link in it leads to the exercise.
    document.querySelectorAll(".admonition-title a").forEach(link =>
      link.addEventListener("click", event => event.stopPropagation()));
    document.addEventListener("click", event => {
      const link = event.target.closest("a[href^='#']");
      if (link) link.closest("dialog")?.close(); // the contents on a phone
      if (!link || link.hash !== location.hash) return;
      history.replaceState({ ...history.state, place: undefined }, "");
      showTarget(); // no hashchange, but perhaps folded again
    });
    const show = () => returned() || showTarget();
    addEventListener("popstate", show);
    addEventListener("hashchange", show);
    show();
    // The browser restores its distance from the top when the page is there.
    if (history.state?.place) addEventListener("load", () => setTimeout(returned), { once: true });
  }

  /* --- contents ------------------------------------------------------------------------------ */

  /** The headings above the place that is being read, the nearest last. */
  const headingsAbove = () => [...document.querySelectorAll("article :is(h1, h2, h3)")].filter(heading =>
    heading.checkVisibility() && heading.getBoundingClientRect().top < innerHeight * 0.4);

  /** Bring an entry of the contents into sight, where these scroll. */
  function reveal(entry) {
    let box = entry?.parentElement;
    const scrolls = each => /auto|scroll/.test(getComputedStyle(each).overflowY) && each.scrollHeight > each.clientHeight;
    while (box && !scrolls(box)) box = box.parentElement;
    if (!box || box === document.documentElement) return;
    const at = entry.getBoundingClientRect(), room = box.getBoundingClientRect();
    if (at.top < room.top || at.bottom > room.bottom) box.scrollTop += at.top - room.top - room.height * 0.4;
  }

  function contents() {
    const chapter = () => reveal(document.querySelector(".bd-docs-nav li.active > a"));
    const section = () => {
      const name = headingsAbove().pop()?.closest("section")?.id;
      const links = [...document.querySelectorAll(".page-toc a[href^='#']")];
      const here = links.find(link => link.hash === `#${name}`);
      if (!here) return;
      links.forEach(link => link.classList.toggle("active", link === here));
      reveal(here);
    };
    chapter();
    const opened = (button, show) => document.querySelectorAll(button).forEach(each =>
      each.addEventListener("click", () => setTimeout(show))); // when the theme has opened them
    opened(".primary-toggle", chapter);
    opened(".secondary-toggle", section);
  }

  /* --- what scrolls sideways ----------------------------------------------------------------- */

  /** Mark the sides on which more is hidden, and let the keyboard reach what scrolls. */
  function markEdges(box) {
    const hidden = box.scrollWidth - box.clientWidth;
    const scrolls = hidden > 1 && box.clientWidth > 0;
    box.classList.toggle("rn-more-left", scrolls && box.scrollLeft > 1);
    box.classList.toggle("rn-more-right", scrolls && box.scrollLeft < hidden - 1);
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }

  function edges() {
    const sizes = new ResizeObserver(entries => entries.forEach(entry =>
      markEdges(entry.target.matches(SCROLLERS) ? entry.target : entry.target.parentElement)));
    document.querySelectorAll(SCROLLERS).forEach(box => {
      box.addEventListener("scroll", () => markEdges(box), { passive: true });
      sizes.observe(box);
      if (box.firstElementChild && !box.firstElementChild.matches(SCROLLERS)) sizes.observe(box.firstElementChild);
    });
    // An equation gets its width when it is typeset, and another when its fonts arrive.
    const typeset = new MutationObserver(changes => changes.forEach(change =>
      change.target.querySelectorAll(":scope > mjx-container").forEach(each => sizes.observe(each))));
    document.querySelectorAll("div.math").forEach(box => typeset.observe(box, { childList: true }));
  }

  /* --- mathematics, typeset when it comes near ------------------------------------------------ */

  const waiting = new Set(document.querySelectorAll(".math"));
  let mathjax, queue = Promise.resolve();

  /** Load MathJax once. */
  function loaded() {
    mathjax ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.id = "MathJax-script"; // by which it finds its fonts
      script.src = document.querySelector("meta[name='rn-mathjax']").content;
      script.onload = () => MathJax.startup.promise.then(resolve);
      script.onerror = reject;
      document.head.append(script);
    });
    return mathjax;
  }

  /** Typeset these formulas after those that came before; resolves when they stand. */
  function typeset(formulas) {
    const fresh = formulas.filter(formula => waiting.delete(formula));
    // A few at a time, so that the page answers its reader in between.
    for (let k = 0; k < fresh.length; k += 6) {
      const few = fresh.slice(k, k + 6);
      queue = queue.then(loaded).then(() => MathJax.typesetPromise(few)).then(() => {
        few.forEach(markLong);
        return new Promise(go => setTimeout(go));
      });
    }
    return queue;
  }

  /** Mark the sides of a formula in a line that is longer than the line, and so scrolls. */
  function markLong(formula) {
    const box = formula.querySelector(":scope > mjx-container:not([display])"), long = box?.firstElementChild;
    if (!long || long.getBoundingClientRect().width <= box.getBoundingClientRect().width + 1) return;
    box.addEventListener("scroll", () => markEdges(box), { passive: true });
    markEdges(box);
  }

  function mathematics() {
    const near = new IntersectionObserver(
      entries => typeset(entries.filter(entry => entry.isIntersecting).map(entry => {
        near.unobserve(entry.target);
        return entry.target;
      })),
      { rootMargin: "700px 0px" },
    );
    // First the page, then its formulas.
    const begin = () => (window.requestIdleCallback ?? setTimeout)(() => waiting.forEach(formula => near.observe(formula)));
    if (document.readyState === "complete") begin();
    else addEventListener("load", begin, { once: true });
    addEventListener("beforeprint", () => { // which waits for nobody
      if (window.MathJax?.typeset) MathJax.typeset([...waiting].filter(each => waiting.delete(each)));
    });
  }

  /* --- frames of interactive figures ----------------------------------------------------------- */

  function frames() {
    document.querySelectorAll(".rn-explore").forEach(figure => {
      // Whoever comes near a control sees every frame without delay.
      const load = () => {
        const light = figure.querySelector(".rn-image"), dark = figure.querySelector(".rn-image-dark");
        const inDark = dark && document.documentElement.dataset.theme === "dark";
        const source = light.parentElement.querySelector("source");
        const src = source && matchMedia(source.media).matches
          ? JSON.parse(figure.querySelector(".rn-narrow").textContent)
          : JSON.parse(figure.querySelector(".rn-data").textContent).src;
        light.loading = "eager";
        figure.loaded = [...new Set(Object.values(src))].map(address =>
          Object.assign(new Image(), { src: inDark ? darkOf(address) : address }));
      };
      ["pointerenter", "focusin"].forEach(kind => figure.addEventListener(kind, load, { once: true }));
    });
    document.querySelectorAll(".rn-image-dark").forEach(dark => {
      const light = dark.closest(".rn-frame").querySelector(".rn-image");
      const [source, darkSource] = [light, dark].map(each => each.parentElement.querySelector("source"));
      new MutationObserver(() => {
        if (source) darkSource.srcset = darkOf(source.getAttribute("srcset"));
        dark.src = darkOf(light.getAttribute("src"));
        dark.alt = light.alt;
      }).observe(light, { attributeFilter: ["src", "alt"] });
    });
  }

  /** The file of a frame for the dark theme. */
  function darkOf(address) {
    return address.replace(/\.(\w+)$/, "-dark.$1");
  }

  /* --- reports of errors ----------------------------------------------------------------------- */

  /** Name the section that is being read in the title of a report; above the first, the page alone. */
  function nameSection(link) {
    const heading = headingsAbove().pop();
    const address = new URL(link.dataset.address ??= link.href);
    if (heading && heading.tagName !== "H1") {
      const words = heading.cloneNode(true);
      words.querySelectorAll(".headerlink, mjx-container").forEach(each => each.remove());
      address.searchParams.set("title", `${address.searchParams.get("title")}, ${words.textContent.trim()}`);
    }
    link.href = address;
  }

  function reports() {
    document.querySelectorAll("a.rn-report").forEach(link =>
      ["pointerdown", "focus", "click"].forEach(kind => link.addEventListener(kind, () => nameSection(link))));
  }

  window.resnorm = {
    typesetAll: () => typeset([...waiting]).then(() => true),
    typesetNow: formulas => { // formulas that have just come to the page
      formulas.forEach(formula => waiting.add(formula));
      return typeset(formulas);
    },
  };

  wayBack();
  foldsAndLinks();
  contents();
  edges();
  mathematics();
  frames();
  reports();
})();
