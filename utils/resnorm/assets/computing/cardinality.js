/* A ResNeXt block: cardinality and width of a group, and what they cost. */
(function () {
  "use strict";
  const { clamp, sum, fixed, text, line, circle, rect, path, scale } = resnormFigures.pen;
  const CARDINALITIES = [1, 2, 4, 8, 16, 32, 64], WIDEST = 96;
  const CHANNELS = 256, SIDE = 56;
  /** Table 2 of Xie et al. (2017), and the top-1 errors of ResNet-50 and ResNeXt-50 in their table 3. */
  const PUBLISHED = [[1, 64, 23.9], [2, 40, 23.0], [4, 24, 22.6], [8, 14, 22.3], [32, 4, 22.2]];

  /** Weights of 1×1 down, grouped 3×3 and 1×1 up, and multiply-adds on a map of the given side. */
  function compute({ cardinality, width, channels = CHANNELS, side = SIDE }) {
    const inner = cardinality * width;
    const weights = [channels * inner, 9 * inner * width, inner * channels];
    const total = sum(weights);
    return { inner, weights, total, multiplyAdds: total * side * side };
  }

  /** The width of a group, not rounded, at which a block of this cardinality costs the budget. */
  function solved(cardinality, budget, channels = CHANNELS) {
    return (-channels + Math.sqrt(channels ** 2 + 9 * budget / cardinality)) / 9;
  }
  const BUDGET = compute({ cardinality: 1, width: 64 }).total;
  const fitted = cardinality => Math.round(solved(cardinality, BUDGET));
  const grouped = value => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
  /** A number of weights against the budget: in percent, or as a factor where it is far above. */
  function against(total, same, times, percent) {
    const ratio = total / BUDGET, off = fixed(Math.abs(100 * (ratio - 1)), 1);
    return Number(off) === 0 ? same : ratio > 2 ? times(fixed(ratio, ratio < 10 ? 1 : 0)) : percent(off, ratio > 1);
  }

  /* the plane: doublings of the cardinality to the right, doublings of the width upward */
  const TOP = 34, BOTTOM = 216, LEFT = 36, BELOW = 286;
  const wide = width => width > 540;
  const right = width => (wide(width) ? 0.56 * width : width - 12);
  const plane = width => ({ x: scale(0, 6, LEFT + 10, right(width) - 14), y: scale(0, Math.log2(WIDEST), BOTTOM, TOP) });

  resnormFigures.define("cardinality", {
    state: () => ({ cardinality: 32, width: 4 }),
    compute: state => ({ ...compute(state), budget: BUDGET, solved: solved(state.cardinality, BUDGET) }),
    controls: [
      {
        label: "Cardinality C", min: 0, max: CARDINALITIES.length - 1, step: 1,
        get: s => CARDINALITIES.indexOf(s.cardinality), set: (s, v) => { s.cardinality = CARDINALITIES[v]; }, words: s => String(s.cardinality),
      },
      { label: "Group width d", min: 1, max: WIDEST, step: 1, get: s => s.width, set: (s, v) => { s.width = v; }, words: s => String(s.width) },
      { label: "Fit d to the budget", act: s => { s.width = fitted(s.cardinality); } },
    ],
    height: width => (wide(width) ? 250 : BELOW + 196),
    handles(state, result, width) {
      const { x, y } = plane(width), back = [scale(x(0), x(6), 0, 6), scale(y(0), y(1), 0, 1)];
      const place = Math.log2(state.cardinality);
      const to = (power, d) => {
        state.cardinality = CARDINALITIES[clamp(Math.round(power), 0, 6)];
        state.width = clamp(Math.round(d), 1, WIDEST);
      };
      return [{
        axis: "both", x: x(place), y: y(Math.log2(state.width)), color: "orange",
        label: "Cardinality and width of a group, moved by the four arrow keys",
        value: place, min: 0, max: 6, step: 1, words: `${state.cardinality} groups of ${state.width} channels, ${grouped(result.total)} weights`,
        nudge: (dx, dy) => to(place + Math.sign(dx), state.width + dy),
        drag: (px, py) => to(back[0](px), 2 ** back[1](py)),
      }];
    },
    draw(state, result, width) {
      const { x, y } = plane(width), end = right(width);
      let out = text(2, 14, width < 420 ? "Equal cost, top-1 error (drag the dot)" : "Equal cost, and top-1 errors (drag the dot)", "strong");
      CARDINALITIES.forEach((cardinality, i) => {
        out += line(x(i), TOP, x(i), BOTTOM, "faint") + text(x(i), BOTTOM + 17, String(cardinality), "muted", "middle");
      });
      for (const d of [1, 2, 4, 8, 16, 32, 64]) out += line(LEFT, y(Math.log2(d)), end, y(Math.log2(d)), "faint") + text(LEFT - 6, y(Math.log2(d)) + 4, String(d), "muted", "end");
      out += text(end, BOTTOM + 33, "cardinality C", "muted", "end") + text(2, TOP - 4, "d", "muted");
      const curve = Array.from({ length: 61 }, (_, i) => [x(i / 10), y(Math.log2(solved(2 ** (i / 10), BUDGET)))]);
      out += path(curve, "blue curve");
      for (const [C, d, error] of PUBLISHED) {
        const place = [x(Math.log2(C)), y(Math.log2(d))];
        out += circle(...place, 5, "blue fill") + text(place[0] + 9, place[1] - 8, `${fixed(error, 1)} %`, "colored blue over");
      }

      // what it costs: the three convolutions, and which weights of the 3×3 there are
      const left = wide(width) ? end + 30 : 2, top = wide(width) ? 14 : BELOW;
      out += text(left, top, "Weights", "strong");
      const names = ["1×1 down", `3×3, C ${state.cardinality}`, "1×1 up"], room = width - left - 74 - 76;
      const size = scale(0, Math.max(BUDGET, result.total), 0, room);
      let from = 0;
      names.forEach((name, k) => {
        const middle = top + 24 + 22 * k;
        out += text(left, middle + 4, name, "");
        out += rect(left + 74 + size(from), middle - 7, size(result.weights[k]), 14, `${k === 1 ? "orange" : "gray"} fill`, 2);
        out += text(width - 2, middle + 4, grouped(result.weights[k]), "", "end");
        from += result.weights[k];
      });
      const bar = left + 74 + size(BUDGET);
      out += line(bar, top + 12, bar, top + 82, "dash");
      out += text(left, top + 96, `budget (dashed): ${grouped(BUDGET)}`, "muted");
      const side = 92, first = top + 104;
      const tile = side / state.cardinality;
      out += rect(left, first, side, side, "gray wash");
      for (let g = 0; g < state.cardinality; g += 1) out += rect(left + g * tile, first + g * tile, tile, tile, "orange fill");
      const words = [`3×3: ${result.inner} × ${result.inner}`, `in ${state.cardinality} ${state.cardinality === 1 ? "block" : "blocks"} of`, `${state.width} × ${state.width} channels`, against(result.total, "the budget", each => `${each} × budget`, (each, more) => `sum ${more ? "+" : "−"}${each} %`)];
      words.forEach((each, k) => { out += text(left + side + 14, first + 20 + 19 * k, each, k === 3 ? "strong" : ""); });
      return out;
    },
    tell(state, result) {
      const paper = PUBLISHED.find(([C, d]) => C === state.cardinality && d === state.width);
      const error = paper ? ` The paper’s error: ${fixed(paper[2], 1)} %.` : "";
      return `${state.cardinality} ${state.cardinality === 1 ? "group" : "groups"} of ${state.width}, inner width ${result.inner}: ${grouped(result.total)} weights, ` +
        `${against(result.total, "as many as", each => `${each} times`, (each, more) => `${each} % ${more ? "more" : "fewer"} than`)} the plain bottleneck’s; ${grouped(result.multiplyAdds / 1e6)} million multiply-adds at ${SIDE} × ${SIDE}.${error}`;
    },
  });
})();
