/* Search in the sections of the book, which _static/sections.js holds; it works from the file system. */
(() => {
  "use strict";

  const ROOT = new URL(document.documentElement.dataset.content_root, location.href);
  const MOST = 30; // results that are shown
  const GREEK = {
    α: "alpha", β: "beta", γ: "gamma", δ: "delta", ε: "epsilon", ϵ: "epsilon", ζ: "zeta", η: "eta", θ: "theta",
    κ: "kappa", λ: "lambda", μ: "mu", ν: "nu", ξ: "xi", π: "pi", ρ: "rho", σ: "sigma", τ: "tau", φ: "phi",
    χ: "chi", ψ: "psi", ω: "omega",
  };

  /* --- spelling ------------------------------------------------------------------------------- */

  /** A word as it is compared: no case, accents or Greek letters; British spelling is American. */
  const known = new Map();
  function fold(word) {
    let folded = known.get(word);
    if (folded === undefined) {
      folded = word.normalize("NFKD").toLowerCase().replace(/[\u0300-\u036f]/g, "")
        .replace(/[α-ωϵ]/g, letter => GREEK[letter] ?? letter).replace(/ß/g, "ss")
        .replace(/z/g, "s") // normalise, normalize
        .replace(/ll/g, "l") // labelled, labeled
        .replace(/^gre?y/, "gray").replace(/^cent(re|er|e$)/, "centr") // also while "cente" is typed
        .replace(/(?<=[a-z]{2})ou(r|$)/, "o$1"); // behaviour, behavior
      known.set(word, folded);
    }
    return folded;
  }

  const WORD = /[\p{L}\p{M}\p{N}]+/gu;

  /** Words with their places; what a hyphen, a dot or an underscore joins is marked as joined. */
  function wordsOf(text) {
    const words = [];
    let end = -1;
    for (const found of text.matchAll(WORD)) {
      const joined = found.index === end + 1 && /[-‐‑._]/.test(text[end] ?? "");
      words.push({ folded: fold(found[0]), start: found.index, end: end = found.index + found[0].length, joined });
    }
    return words;
  }

  /** The words as one string in which a space begins a word and a hyphen continues a joined one. */
  const lineOf = text => wordsOf(text).map(word => (word.joined ? "-" : " ") + word.folded).join("");

  /* --- the index ------------------------------------------------------------------------------ */

  let index;

  /** Load the sections once; resolves with all of them. */
  function sections() {
    index ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL("_static/sections.js", ROOT);
      script.onload = () => resolve(window.resnormSections.flatMap(([page, pageTitle, found], rank) =>
        found.map(([name, title, text, code]) => ({
          page, pageTitle, name, title, text, code, rank,
          inTitle: lineOf(name ? title : pageTitle), inText: lineOf(text), inCode: lineOf(code),
        }))));
      script.onerror = reject;
      document.head.append(script);
    });
    return index;
  }

  /** What the query asks for: one pattern per word, and one for all of them side by side. */
  function patternsOf(query) {
    const escaped = word => [...word].map(letter => letter.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    // Letters may be parted: "batchnorm" finds "batch norm", "pre-activation" finds "preactivation".
    // Endings that most forms of a word do not share are left away.
    const stem = word => word.replace(/(?<=[a-z]{3}[^s])s$/, "").replace(/(?<=[a-z]{4})e$/, "");
    // A number is found as it is written: "1" does not find "128".
    const loose = word => escaped(stem(word)).join("[ -]?") + (/^\d+$/.test(word) ? "(?!\\d)" : "");
    const groups = query.trim().split(/\s+/).map(part => wordsOf(part).map(word => word.folded).join("")).filter(Boolean);
    const made = (words, flags) => new RegExp(`[ -]${words.map(loose).join("[ -]?")}`, flags);
    return {
      words: groups.map((word, k) => {
        const pairs = [[groups[k - 1], word], [word, groups[k + 1]]].filter(pair => pair.every(Boolean));
        return new RegExp([[word], ...pairs].map(words => made(words).source).join("|"), "g");
      }),
      phrase: groups.length ? made(groups, "g") : null,
      whole: groups.length ? new RegExp(`^(?: \\d+-\\d+)?${made(groups).source}s?$`) : null,
    };
  }

  const count = (line, pattern) => (line.match(pattern) ?? []).length;

  /** How well a section answers: 0 if a word is missing, more for titles, phrases and many places. */
  function score(section, { words, phrase, whole }) {
    let total = 0;
    for (const word of words) {
      const here = 8 * Math.min(count(section.inTitle, word), 1) + Math.log1p(count(section.inText, word))
        + 0.5 * Math.log1p(count(section.inCode, word));
      if (!here) return 0;
      total += here;
    }
    const rest = words.length - 1; // the longer a phrase, the less it stands somewhere by chance
    if (rest) total += 6 * count(section.inTitle, phrase) + 4 * rest * Math.log1p(count(section.inText, phrase));
    if (whole.test(section.inTitle)) total += 10;
    if (!section.name && words.every(word => count(section.inTitle, word))) total += 6; // a chapter
    // What explains comes before solutions, and before the list of recorded runs.
    return total * (section.title.startsWith("Solution") ? 0.7 : section.page === "book/results.html" ? 0.5 : 1);
  }

  async function find(query) {
    const patterns = patternsOf(query);
    if (!patterns.words.length) return null;
    const all = await sections();
    const found = all.map(section => ({ section, points: score(section, patterns) })).filter(each => each.points > 0);
    found.sort((a, b) => b.points - a.points || a.section.rank - b.section.rank);
    return { patterns, found: found.map(each => each.section) };
  }

  /* --- excerpts ------------------------------------------------------------------------------- */

  /** Places of a text, as [start, end, number of the word], at which the words stand. */
  function placesIn(text, patterns) {
    const words = wordsOf(text), starts = [];
    let line = "";
    words.forEach(word => {
      starts.push(line.length);
      line += (word.joined ? "-" : " ") + word.folded;
    });
    const at = position => { // the last word that begins before a position of the line
      let low = 0, high = starts.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (starts[middle] <= position) low = middle; else high = middle - 1;
      }
      return words[low];
    };
    return patterns.words.flatMap((pattern, word) => [...line.matchAll(pattern)].map(found =>
      [at(found.index).start, at(found.index + found[0].length - 1).end, word])).sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  }

  /** The text between two places as nodes, with the words marked. */
  function marked(text, places, from = 0, to = text.length) {
    const nodes = [];
    let end = from;
    for (const [start, stop] of places) {
      if (start < end || stop > to) continue;
      const mark = document.createElement("mark");
      mark.textContent = text.slice(start, stop);
      nodes.push(text.slice(end, start), mark);
      end = stop;
    }
    return [...nodes, text.slice(end, to)];
  }

  /** About 160 letters around the place at which most different words stand, and most often. */
  function excerpt({ text, code }, patterns) {
    let source = text, places = placesIn(text, patterns);
    if (!places.length && (places = placesIn(code, patterns)).length) source = code;
    const near = start => {
      const here = places.filter(place => place[0] >= start && place[1] < start + 130);
      return 1000 * new Set(here.map(place => place[2])).size + here.length;
    };
    const best = places.reduce((best, [start]) => (near(start) > near(best) ? start : best), places[0]?.[0] ?? 0);
    let from = Math.max(0, best - 40);
    if (from) from = source.indexOf(" ", from) + 1;
    let to = Math.min(source.length, from + 160);
    if (to < source.length) to = Math.max(source.lastIndexOf(" ", to), from);
    return [
      source === text ? "" : "Code: ", from ? "… " : "",
      ...marked(source, places, from, to), to < source.length ? " …" : "",
    ];
  }

  /* --- what the reader sees ------------------------------------------------------------------- */

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    made.append(...children);
    return made;
  }

  function option(section, patterns, id) {
    const address = new URL(section.page + (section.name && `#${section.name}`), ROOT);
    const title = element("span", { class: "rn-found-title" }, ...marked(section.title, placesIn(section.title, patterns)));
    const page = section.name ? [element("span", { class: "rn-found-page" }, section.pageTitle)] : [];
    return element("a", { role: "option", id, href: address, tabindex: "-1", "aria-selected": "false" },
      title, ...page, element("span", { class: "rn-found-text" }, ...excerpt(section, patterns)));
  }

  /** Let a form show what it finds while somebody types. */
  function searching(form, number) {
    const input = form.querySelector("input[type='search']"), id = `rn-found-${number}`;
    const list = element("div", { role: "listbox", id, class: "rn-found", "aria-label": "Places found" });
    const status = element("p", { role: "status", class: "rn-found-status" });
    list.hidden = true;
    form.after(status, list);
    Object.entries({ role: "combobox", "aria-controls": id, "aria-expanded": "false", "aria-autocomplete": "list" })
      .forEach(([name, value]) => input.setAttribute(name, value));
    let active = -1, asked = 0, latest = Promise.resolve();

    function activate(next) {
      const options = [...list.children];
      active = options.length ? (next + options.length) % options.length : -1;
      options.forEach((each, k) => each.setAttribute("aria-selected", String(k === active)));
      if (active < 0) input.removeAttribute("aria-activedescendant");
      else input.setAttribute("aria-activedescendant", options[active].id);
      options[active]?.scrollIntoView({ block: "nearest" });
    }

    async function show() {
      const turn = ++asked;
      let answer;
      try {
        if (input.value.trim()) status.textContent ||= "Searching …";
        answer = await find(input.value);
      } catch {
        status.textContent = "The search could not load its sections. Load the page again.";
        return;
      }
      if (turn !== asked) return; // the reader has typed on
      const found = answer?.found ?? [], shown = found.slice(0, MOST);
      list.replaceChildren(...shown.map((section, k) => option(section, answer.patterns, `${id}-${k}`)));
      list.hidden = !shown.length;
      input.setAttribute("aria-expanded", String(shown.length > 0));
      const places = `${found.length} ${found.length === 1 ? "place" : "places"}`;
      status.textContent = !answer ? "" : !found.length ? "Nothing found. Try fewer or shorter words."
        : found.length > MOST ? `${places}; the best ${MOST} are shown` : places;
      activate(shown.length ? 0 : -1);
    }

    input.addEventListener("focus", () => sections().catch(() => {}), { once: true });
    input.addEventListener("input", () => { latest = show(); });
    input.addEventListener("keydown", event => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && list.children.length) {
        event.preventDefault();
        activate(active + step);
      }
    });
    form.addEventListener("submit", async event => {
      event.preventDefault();
      await latest;
      list.children[active]?.click();
    });
    list.addEventListener("click", event => { // a place on this page: the dialog goes, the page stays
      if (event.target.closest("a")) form.closest("dialog")?.close();
    });
    return { input, show };
  }

  const forms = [...document.querySelectorAll("form.bd-search")].map(searching);
  const page = document.getElementById("search-results");
  if (page) {
    const { input, show } = forms.find(form => !form.input.closest("dialog"));
    input.value = new URLSearchParams(location.search).get("q") ?? "";
    input.focus();
    show();
  }
})();
