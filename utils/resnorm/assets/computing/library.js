/* Figures that compute: what they share. A figure is a pure function with a drawing and controls. */
(function () {
  "use strict";
  if (window.resnormFigures) return;
  const known = {};
  let count = 0;

  /* --- numbers and text -------------------------------------------------------------------- */

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const sum = values => values.reduce((total, each) => total + each, 0);
  const mean = values => sum(values) / values.length;
  const escaped = text =>
    String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
  /** A number with a real minus sign and without a negative zero. */
  function fixed(value, digits = 2) {
    const text = Math.abs(value).toFixed(digits);
    return (value < 0 && Number(text) !== 0 ? "−" : "") + text;
  }
  /** Three digits for numbers of any size. */
  function short(value) {
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 1e4 || size < 1e-3) {
      const power = Math.floor(Math.log10(size) + 1e-12);
      const digits = [...String(Math.abs(power))].map(digit => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");
      const front = fixed(value / 10 ** power, 1).replace(/\.0$/, "");
      return `${front === "1" ? "" : `${front}·`}10${power < 0 ? "⁻" : ""}${digits}`;
    }
    return fixed(value, Math.max(0, 2 - Math.floor(Math.log10(size))));
  }

  /** The same without zeros at the end, for axes and small whole numbers. */
  const brief = value => short(value).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

  /* --- shapes: each is a piece of SVG ---------------------------------------------------- */

  const n = value => String(Math.round(value * 100) / 100);
  const text = (x, y, words, kind = "", anchor = "start") =>
    `<text x="${n(x)}" y="${n(y)}" class="${kind}" text-anchor="${anchor}">${escaped(words)}</text>`;
  const line = (x1, y1, x2, y2, kind = "rule") =>
    `<line x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}" class="${kind}"/>`;
  const circle = (x, y, r, kind) => `<circle cx="${n(x)}" cy="${n(y)}" r="${n(r)}" class="${kind}"/>`;
  const rect = (x, y, width, height, kind, round = 0) =>
    `<rect x="${n(x)}" y="${n(y)}" width="${n(Math.max(0, width))}" height="${n(Math.max(0, height))}" ` +
    `rx="${round}" class="${kind}"/>`;
  const path = (points, kind, end = "") =>
    `<path d="M${points.map(point => point.map(n).join(" ")).join("L")}${end}" class="${kind}"/>`;
  /** A linear scale from values to pixels. */
  const scale = (low, high, from, to) => value => from + ((value - low) / (high - low)) * (to - from);

  const pen = { clamp, sum, mean, fixed, short, brief, text, line, circle, rect, path, scale };

  /* --- handles: what can be dragged or switched inside of the drawing --------------------- */

  /** The shape of a handle around its own origin. */
  function shape(handle) {
    if (handle.kind === "switch") {
      const { width, height } = handle;
      return rect(-width / 2, -height / 2, width, height, `block ${handle.on ? "on" : "off"}`, 5) +
        text(0, 5, handle.mark, "strong", "middle");
    }
    const marks = {
      triangle: path([[0, -8], [8, 7], [-8, 7]], `handle ${handle.color}`, "Z"),
      bar: rect(-4, -9, 8, 18, `handle ${handle.color}`, 3),
      point: circle(0, 0, handle.radius || 10, `handle ${handle.color}`),
    };
    return circle(0, 0, 17, "target") + marks[handle.look || "point"] +
      (handle.mark ? text(0, 4, handle.mark, "mark", "middle") : "");
  }

  /** A figure as a piece of SVG that nobody can move: for readers without scripts. */
  function picture(name, width) {
    const figure = known[name], state = figure.state(), result = figure.compute(state);
    const height = figure.height(width);
    const handles = figure.handles(state, result, width)
      .map(each => `<g transform="translate(${n(each.x)} ${n(each.y)})">${shape(each)}</g>`).join("");
    return {
      svg: `<svg class="rnc-drawing" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">` +
        `${figure.draw(state, result, width)}${handles}</svg>`,
      readout: figure.tell(state, result),
    };
  }

  /* --- a figure in a page ------------------------------------------------------------------ */

  const SVG = "http://www.w3.org/2000/svg";
  function element(tag, attributes = {}, ...children) {
    const made = tag === "svg" || tag === "g" ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function live(root, name) {
    const figure = known[name], id = `rnc-${++count}`;
    let state = figure.state(), result, width = 0;
    const svg = root.querySelector("svg"), readout = root.querySelector(".rnc-readout");
    const drawing = element("g", { "aria-hidden": "true" }), layer = element("g");
    svg.replaceChildren(drawing, layer);
    svg.setAttribute("role", "group");
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", svg.getAttribute("aria-label"));
    svg.setAttribute("aria-label", "What can be moved in the drawing");
    readout.setAttribute("role", "status");
    readout.setAttribute("aria-live", "polite");
    root.querySelector("noscript")?.remove();

    /* the drawing */
    let shown = [];
    function update() {
      result = figure.compute(state);
      const handles = figure.handles(state, result, width);
      const height = figure.height(width);
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.setAttribute("width", width);
      svg.setAttribute("height", height);
      drawing.innerHTML = figure.draw(state, result, width);
      while (shown.length > handles.length) shown.pop().remove();
      while (shown.length < handles.length) shown.push(grip(shown.length));
      handles.forEach((handle, i) => place(shown[i], handle));
      if (!handles.length) {
        svg.setAttribute("role", "presentation"); // nothing in it can be reached: it has no name
        svg.removeAttribute("aria-label");
      }
      const words = figure.tell(state, result);
      if (readout.textContent !== words) readout.textContent = words;
      controls.forEach(control => control.show());
    }
    function place(grip, handle) {
      grip.handle = handle;
      grip.setAttribute("transform", `translate(${n(handle.x)} ${n(handle.y)})`);
      grip.setAttribute("class", `rnc-grip ${handle.kind || handle.axis}`);
      grip.setAttribute("aria-label", handle.label);
      if (handle.kind === "switch") {
        grip.setAttribute("role", "switch");
        grip.setAttribute("aria-checked", String(handle.on));
      } else {
        grip.setAttribute("role", "slider");
        grip.setAttribute("aria-orientation", handle.axis === "y" ? "vertical" : "horizontal");
        grip.setAttribute("aria-valuemin", n(handle.min));
        grip.setAttribute("aria-valuemax", n(handle.max));
        grip.setAttribute("aria-valuenow", n(handle.value));
        grip.setAttribute("aria-valuetext", handle.words || fixed(handle.value));
      }
      const inside = shape(handle);
      if (grip.inside !== inside) grip.innerHTML = grip.inside = inside;
    }
    function grip(index) {
      const made = element("g", { tabindex: "0" });
      layer.append(made);
      let offset = null;
      const at = event => {
        const box = svg.getBoundingClientRect();
        return [(event.clientX - box.left) * width / box.width, (event.clientY - box.top) * width / box.width];
      };
      made.addEventListener("pointerdown", event => {
        if (event.button || made.handle.kind === "switch") return;
        const [x, y] = at(event);
        offset = [made.handle.x - x, made.handle.y - y];
        made.setPointerCapture(event.pointerId);
        made.focus({ focusVisible: false });
        readout.setAttribute("aria-live", "off"); // one message at the end, not a hundred on the way
        event.preventDefault();
      });
      made.addEventListener("pointermove", event => {
        if (!offset) return;
        const [x, y] = at(event);
        made.handle.drag(x + offset[0], y + offset[1]);
        update();
      });
      const end = () => {
        if (!offset) return;
        offset = null;
        readout.setAttribute("aria-live", "polite");
      };
      made.addEventListener("pointerup", end);
      made.addEventListener("pointercancel", end);
      made.addEventListener("click", () => {
        if (made.handle.kind === "switch") { made.handle.flip(); update(); }
      });
      made.addEventListener("keydown", event => {
        const handle = made.handle;
        if (event.altKey || event.ctrlKey || event.metaKey) return;
        if (handle.kind === "switch") {
          if (event.key !== " " && event.key !== "Enter") return;
          handle.flip();
        } else if (!keyed(handle, event)) return;
        event.preventDefault();
        update();
      });
      return made;
    }

    /* the controls */
    const box = element("div", { class: "rnc-controls" });
    const longest = Math.max(1, ...figure.controls.filter(each => !each.act && !each.options).map(each => each.label.length));
    box.style.setProperty("--c-label", `${0.7 + 0.58 * longest}em`);
    const controls = figure.controls.map((control, i) => {
      const kind = control.options ? choice : control.act ? button : slider;
      const made = kind(control, `${id}-${i}`, () => state, update);
      box.append(made.element);
      return made;
    });
    const again = button({ label: "Start again", act: () => { state = figure.state(); } }, "", () => state, update);
    box.append(again.element);
    root.insertBefore(box, svg);

    /* its place: width and theme */
    const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    function fit() {
      const box = getComputedStyle(root);
      const room = Math.floor(root.clientWidth - parseFloat(box.paddingLeft) - parseFloat(box.paddingRight));
      const wanted = Math.min(room, figure.widest || 700);
      if (wanted > 100 && wanted !== width) { width = wanted; update(); }
    }
    function theme() {
      if (!root.isConnected) return; // the cell ran again or its output was cleared: no style to read
      brush.fillStyle = getComputedStyle(root).color; // any notation of a color
      brush.fillRect(0, 0, 1, 1);
      const [r, g, b] = brush.getImageData(0, 0, 1, 1).data;
      root.classList.toggle("rnc-dark", 0.3 * r + 0.6 * g + 0.1 * b > 128);
    }
    theme();
    fit();
    if (!width) { width = 340; update(); } // not in sight yet
    new ResizeObserver(() => { theme(); fit(); }).observe(root);
    const watch = new MutationObserver(theme);
    for (const each of [document.documentElement, document.body]) watch.observe(each, { attributes: true });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
  }

  /** Move a handle by a key; whether the key was one that moves. */
  function keyed(handle, event) {
    const step = (handle.step || 0.1) * (event.shiftKey ? 5 : 1), { key } = event;
    if (handle.axis === "both") {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[key];
      if (by) handle.nudge(step * by[0], step * by[1]);
      return Boolean(by);
    }
    const targets = {
      ArrowLeft: handle.value - step, ArrowDown: handle.value - step,
      ArrowRight: handle.value + step, ArrowUp: handle.value + step,
      PageDown: handle.value - 10 * step, PageUp: handle.value + 10 * step,
      Home: handle.min, End: handle.max,
    };
    if (!(key in targets)) return false;
    handle.set(clamp(Math.round(targets[key] * 1e6) / 1e6, handle.min, handle.max));
    return true;
  }

  function slider(control, id, state, update) {
    const input = element("input", {
      type: "range", id, min: control.min, max: control.max, step: control.step, autocomplete: "off",
    });
    const output = element("output", { for: id });
    input.addEventListener("input", () => { control.set(state(), Number(input.value)); update(); });
    return {
      element: element("div", { class: "rnc-control" }, element("label", { for: id }, control.label), input, output),
      show() {
        const words = control.words(state());
        input.value = control.get(state());
        input.setAttribute("aria-valuetext", words);
        output.textContent = words;
      },
    };
  }

  function choice(control, id, state, update) {
    const inputs = Object.keys(control.options).map(value => element("input", { type: "radio", name: id, value, autocomplete: "off" }));
    const labels = inputs.map(input => element("label", { class: "rnc-choice" }, input, element("span", {}, control.options[input.value])));
    inputs.forEach(input => input.addEventListener("change", () => { control.set(state(), input.value); update(); }));
    return {
      element: element("fieldset", { class: "rnc-control" }, element("legend", {}, control.label), ...labels),
      show: () => inputs.forEach(input => { input.checked = input.value === control.get(state()); }),
    };
  }

  function button(control, id, state, update) {
    const made = element("button", { type: "button", class: "rnc-button" }, control.label);
    made.addEventListener("click", () => { control.act(state()); update(); });
    return { element: made, show() {} };
  }

  window.resnormFigures = {
    pen,
    picture,
    /** Add a figure: state, compute, controls, handles, height, draw and tell. */
    define(name, figure) { known[name] ||= figure; },
    /** The numbers of a figure, for tests. */
    compute: (name, state) => known[name].compute(state),
    /** Bring all figures of this name to life that are not alive yet. */
    start(name) {
      for (const root of document.querySelectorAll(`.rnc[data-figure="${name}"]:not([data-live])`)) {
        root.dataset.live = "";
        live(root, name);
      }
    },
  };
})();
