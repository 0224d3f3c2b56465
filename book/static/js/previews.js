/* Previews: what a link leads to appears beside it when the pointer or the keyboard rests on it. */
(() => {
  "use strict";

  const ROOT = new URL(document.documentElement.dataset.content_root, location.href);
  const WAIT = 250, LINGER = 200; // milliseconds, before it comes and before it goes

  let pieces;

  /** Load the pieces of all pages once; resolves with them, by page and id. */
  function loaded() {
    pieces ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL("_static/previews-data.js", ROOT);
      script.onload = () => resolve(window.resnormPreviews);
      script.onerror = reject;
      document.head.append(script);
    });
    return pieces;
  }

  /** The name of a place in the data: its page from the root, and its id. */
  function placeOf(link) {
    const address = new URL(link.href), folder = ROOT.href;
    if (!address.hash || !address.href.startsWith(folder)) return "";
    return decodeURIComponent(address.href.slice(folder.length).replace(/\?[^#]*/, ""));
  }

  /** A piece as nodes, whose addresses count from this page. */
  function nodesOf(html) {
    const template = document.createElement("template"); // loads nothing yet
    template.innerHTML = html;
    for (const name of ["src", "href"]) {
      template.content.querySelectorAll(`[${name}]`).forEach(each =>
        each.setAttribute(name, new URL(each.getAttribute(name), ROOT)));
    }
    template.content.querySelectorAll("a").forEach(each => { each.tabIndex = -1; });
    return template.content;
  }

  const box = document.createElement("div");
  box.className = "rn-preview";
  box.id = "rn-preview";
  box.setAttribute("role", "tooltip");
  box.hidden = true;

  let shownFor = null, timer = 0;

  /** Put the box below the link, or above where more room is, inside the window. */
  function place(link) {
    const at = [...link.getClientRects()].pop(), size = box.getBoundingClientRect(), gap = 6;
    const below = innerHeight - at.bottom >= size.height + gap || at.top < size.height + gap;
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - size.width - 8));
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${(below ? at.bottom + gap : at.top - size.height - gap) + scrollY}px`;
  }

  async function show(link) {
    let found;
    try {
      found = await loaded();
    } catch {
      return; // the link works without
    }
    const html = found[placeOf(link)];
    if (!html || wanted !== link) return;
    hide();
    shownFor = link;
    box.replaceChildren(nodesOf(html));
    box.hidden = false;
    link.setAttribute("aria-describedby", box.id);
    place(link);
    await window.resnorm.typesetNow([...box.querySelectorAll(".math")]);
    if (shownFor === link) place(link);
  }

  function hide() {
    box.hidden = true;
    shownFor?.removeAttribute("aria-describedby");
    shownFor = null;
  }

  let wanted = null;

  /** Show the preview of a link, or none, when the pointer or the keyboard has rested. */
  function want(link, wait) {
    if (link === wanted) return;
    wanted = link;
    clearTimeout(timer);
    timer = setTimeout(() => (link ? show(link) : hide()), wait);
  }

  const linkAt = target => target.closest?.(".bd-article a[href*='#']:not(.headerlink, .rn-self, .rn-preview a)");

  document.body.append(box);
  document.addEventListener("pointerover", event => {
    if (event.pointerType === "touch") return;
    const link = linkAt(event.target);
    if (link) want(link, WAIT);
    else if (box.contains(event.target)) want(shownFor, 0); // it stays while somebody reads it
    else if (wanted !== document.activeElement || !wanted?.matches(":focus-visible")) want(null, LINGER);
  });
  document.addEventListener("focusin", event => {
    const link = linkAt(event.target);
    if (link?.matches(":focus-visible")) want(link, WAIT);
  });
  document.addEventListener("focusout", event => {
    if (linkAt(event.target)) want(null, 0);
  });
  document.addEventListener("keydown", event => {
    if (event.key !== "Escape" || box.hidden) return;
    clearTimeout(timer);
    hide(); // and stay away until another link is wanted
  });
  document.addEventListener("click", () => want(null, 0));
})();
