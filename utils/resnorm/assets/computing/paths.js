/* Four residual blocks and their sixteen paths: click a block off. */
(function () {
  "use strict";
  const { sum, fixed, text, line, circle, rect, path, scale } = resnormFigures.pen;

  /** All subsets of the blocks, short ones first: each is the path through its blocks. */
  const PATHS = [...Array(16).keys()]
    .map(bits => [0, 1, 2, 3].filter(block => bits & (1 << block)))
    .sort((a, b) => a.length - b.length || a.join().localeCompare(b.join()));
  const CHOOSE = [1, 4, 6, 4, 1];

  /** What a path carries is the product of the factors of its blocks, if all of these are there. */
  function compute({ on, factors, factor }) {
    const each = factors || on.map(() => factor);
    const left = PATHS.map(blocks => blocks.every(block => on[block]));
    const carried = PATHS.map((blocks, i) => (left[i] ? blocks.reduce((product, block) => product * each[block], 1) : 0));
    const counts = CHOOSE.map((_, length) => PATHS.filter((blocks, i) => left[i] && blocks.length === length).length);
    const weights = CHOOSE.map((_, length) => sum(carried.filter((_, i) => PATHS[i].length === length)));
    const total = sum(weights);
    return { left, carried, counts, weights, total, length: sum(weights.map((weight, length) => weight * length)) / total };
  }

  const STREAM = 92, FIRST = 138, ROW = 15, GAP = 12;
  const places = width => [0, 1, 2, 3].map(k => 34 + (k + 0.5) * (width - 68) / 4);

  resnormFigures.define("paths", {
    state: () => ({ on: [true, false, true, true], factor: 0.5 }),
    compute,
    controls: [
      { label: "Branch gradient ×", min: 0, max: 1, step: 0.05, get: s => s.factor, set: (s, v) => { s.factor = v; }, words: s => fixed(s.factor, 2) },
    ],
    height: () => 446,
    handles: (state, result, width) => places(width).map((x, k) => ({
      kind: "switch", x, y: 42, width: Math.min(56, (width - 68) / 4 - 26), height: 40, on: state.on[k], mark: `f${"₁₂₃₄"[k]}`,
      label: `Block ${k + 1}`, flip() { state.on[k] = !state.on[k]; },
    })),
    draw(state, result, width) {
      const step = (width - 68) / 4;
      let out = text(2, 14, "Click a block to remove it", "strong");
      out += text(4, STREAM + 5, "x₀", "strong") + line(26, STREAM, width - 32, STREAM, "ink");
      out += path([[width - 32, STREAM - 4], [width - 24, STREAM], [width - 32, STREAM + 4]], "solid", "Z");
      out += text(width - 2, STREAM + 5, "x₄", "strong", "end");
      places(width).forEach((x, k) => {
        const from = x - step / 2 + 4, to = x + step / 2 - 8;
        out += path([[from, STREAM], [from, 42], [to, 42], [to, STREAM - 9]], state.on[k] ? "ink" : "ink lost");
        out += circle(to, STREAM, 9, "ours paper") + text(to, STREAM + 5, "+", "strong", "middle");
      });

      // the paths, one row each, by length
      const wide = width > 420, left = 2, right = wide ? 0.52 * width : 0.5 * width, bars = right + 20;
      const most = Math.max(1, ...result.weights), size = scale(0, most, 0, width - bars - 40);
      out += text(left, FIRST - 4, "paths by length", "strong") + text(bars, FIRST - 4, wide ? "gradient that they carry together" : "gradient carried", "strong");
      let y = FIRST + 8, length = -1, start = 0;
      PATHS.forEach((blocks, i) => {
        if (blocks.length !== length) {
          if (length >= 0) y += GAP;
          length = blocks.length;
          start = y;
          const middle = start + CHOOSE[length] * ROW / 2;
          out += text(left, middle + 4, String(length), "strong");
          out += rect(bars, middle - 7, size(result.weights[length]), 14, "orange fill", 2);
          out += text(bars + size(result.weights[length]) + 6, middle + 5, fixed(result.weights[length]), "");
          if (wide) out += text(right - 2, middle + 4, `${result.counts[length]} of ${CHOOSE[length]}`, "muted", "end");
        }
        const x0 = left + 18, x1 = right - (wide ? 50 : 0), middle = y + ROW / 2, box = Math.min(22, (x1 - x0) / 5.5);
        const kind = result.left[i] ? "" : " lost";
        out += line(x0, middle, x1, middle, `purple thin${kind}`);
        for (const block of blocks) {
          const x = x0 + (block + 0.5) * (x1 - x0) / 4;
          out += rect(x - box / 2, middle - 5, box, 10, `${state.on[block] ? "purple" : "red"} fill${kind}`, 2);
        }
        y += ROW;
      });
      return out;
    },
    tell(state, result) {
      const off = state.on.flatMap((on, k) => (on ? [] : [String(k + 1)]));
      const without = off.length ? `Without block ${off.join(", ")}` : "With all blocks";
      const left = sum(result.counts);
      return `${without}, ${left} of 16 paths ${left === 1 ? "is" : "are"} left, by length ${result.counts.join(", ")}. ` +
        `They carry ${fixed(result.total)} times the gradient, over ${fixed(result.length)} branches on average.`;
    },
  });
})();
