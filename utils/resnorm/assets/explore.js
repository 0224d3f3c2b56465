(function (id) {
  const root = document.getElementById(id);
  const data = JSON.parse(root.querySelector(".rn-data").textContent);
  // Frames for a phone, if the figure has them.
  const narrow = JSON.parse(root.querySelector(".rn-narrow")?.textContent ?? "{}");
  const image = root.querySelector(".rn-image"), source = image.parentElement.querySelector("source");
  const label = root.querySelector(".rn-label");
  const inputs = Array.from(root.querySelectorAll("[data-axis]"));
  function update() {
    const state = [];
    for (const input of inputs) {
      if (input.type === "radio" && !input.checked) continue;
      state[Number(input.dataset.axis)] = input.value;
      if (input.type === "range") {
        const text = input.dataset.texts.split("|")[Number(input.value)];
        input.setAttribute("aria-valuetext", text);
        input.nextElementSibling.textContent = text;
      }
    }
    const key = state.join(",");
    if (source) source.srcset = narrow[key];
    image.src = data.src[key];
    image.alt = data.alt[key];
    label.textContent = data.label[key];
  }
  for (const input of inputs) input.addEventListener("input", update);
  // A browser may restore the controls of a page that is visited again, but not the picture.
  window.addEventListener("pageshow", update);
})
