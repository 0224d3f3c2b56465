/* Batch norm's backward pass for six values: where each part of dx comes from. */
(function () {
  "use strict";
  const { clamp, sum, mean, fixed, brief, text, line, circle, rect, scale } = resnormFigures.pen;
  const COLORS = ["blue", "orange", "green", "purple", "red", "gray"];
  const SIDE = 3.4, MOST = 2, BASE = 76, BARS = 264, TALL = 68;

  /** The three terms of dx = γ/√(σ²+ε) · (dy − mean(dy) − x̂ mean(dy·x̂)), for each value. */
  function compute({ x, dy, gamma, eps }) {
    const mu = mean(x);
    const variance = mean(x.map(each => (each - mu) ** 2));
    const scaled = gamma / Math.sqrt(variance + eps);
    const normalized = x.map(each => (each - mu) / Math.sqrt(variance + eps));
    const along = mean(dy.map((each, i) => each * normalized[i]));
    const through = dy.map(each => scaled * each);
    const byMean = dy.map(() => -scaled * mean(dy));
    const byVariance = normalized.map(each => -scaled * each * along);
    return {
      normalized, through, byMean, byVariance,
      dx: through.map((each, i) => each + byMean[i] + byVariance[i]),
      dgamma: sum(dy.map((each, i) => each * normalized[i])), dbeta: sum(dy),
    };
  }

  const across = width => scale(-SIDE, SIDE, 6, width - 6);
  const up = scale(-MOST, MOST, BASE + 52, BASE - 52);
  /** The first round number above all bars. */
  function limit(lists) {
    const largest = Math.max(1e-6, ...lists.flat().map(Math.abs));
    const power = 10 ** Math.floor(Math.log10(largest));
    return Math.max(0.5, [1, 1.5, 2, 3, 5, 10].find(each => each * power >= largest) * power);
  }

  const presets = {
    one: state => { state.dy = [0, 0, 0, 0, 1.5, 0]; },
    equal: state => { state.dy = state.x.map(() => 1); },
    along: state => {
      const { normalized } = compute(state); // up to √5 for one value far from five: scaled, not cut
      const fit = Math.min(1, MOST / Math.max(...normalized.map(Math.abs)));
      state.dy = normalized.map(each => fit * each);
    },
  };

  resnormFigures.define("gradient", {
    state: () => ({ x: [-2.4, -1.2, -0.2, 0.7, 1.6, 2.6], dy: [0, 0, 0, 0, 1.5, 0], gamma: 1.5, eps: 1e-5 }),
    compute,
    controls: [
      { label: "One output", act: presets.one },
      { label: "All equal", act: presets.equal },
      { label: "dy = x̂", act: presets.along },
    ],
    height: () => 364,
    handles(state, result, width) {
      const at = across(width), back = scale(6, width - 6, -SIDE, SIDE), down = scale(BASE + 52, BASE - 52, -MOST, MOST);
      return state.x.flatMap((value, i) => [
        {
          axis: "x", x: at(value), y: BASE + 70, label: `Value ${i + 1}`, mark: String(i + 1), color: COLORS[i],
          value, min: -3, max: 3, step: 0.1, words: `${fixed(value)}, receives gradient ${fixed(result.dx[i])}`,
          set(v) { state.x[i] = v; }, drag(x) { state.x[i] = clamp(back(x), -3, 3); },
        },
        {
          axis: "y", x: at(value), y: up(state.dy[i]), label: `Gradient of output ${i + 1}`, color: COLORS[i], radius: 7,
          value: state.dy[i], min: -MOST, max: MOST, step: 0.1,
          set(v) { state.dy[i] = v; }, drag(x, y) { state.dy[i] = clamp(down(y), -MOST, MOST); },
        },
      ]);
    },
    draw(state, result, width) {
      const at = across(width);
      let out = text(2, 14, width < 420 ? "Drag the dots (dy ↕) and numbers (x ↔)" : "dy: drag the dots ↕ · x: drag the numbers ↔", "strong");
      out += line(6, BASE, width - 6, BASE) + line(6, BASE + 70, width - 6, BASE + 70, "faint");
      state.x.forEach((value, i) => {
        out += line(at(value), BASE, at(value), BASE + 70, "faint");
        out += line(at(value), BASE, at(value), up(state.dy[i]), `${COLORS[i]} curve`);
      });

      // below: one group of bars per value, and one for their sums
      let x = 2;
      for (const [name, color] of [["direct", "blue"], ["mean", "orange"], ["variance", "green"], ["dx (sum)", "ours"]]) {
        out += rect(x, BASE + 95, 12, 12, `${color} fill`, 2) + text(x + 17, BASE + 106, name);
        x += 38 + 7 * name.length;
      }
      const lists = [result.through, result.byMean, result.byVariance, result.dx];
      const most = limit([...lists, lists.map(sum)]);
      const height = scale(-most, most, BARS + TALL, BARS - TALL);
      const left = 46, group = (width - left) / 7, bar = Math.min(15, (group - 7) / 4);
      for (const tick of [-1, -0.5, 0, 0.5, 1]) {
        const y = height(tick * most);
        out += line(left, y, width, y, tick ? "faint" : "rule");
        out += text(left - 6, y + 4, tick ? brief(tick * most) : "0", "muted", "end");
      }
      out += rect(left + 6 * group, BARS - TALL, group, 2 * TALL, "gray wash", 4);
      for (let i = 0; i < 7; i += 1) {
        const middle = left + group * (i + 0.5);
        lists.forEach((values, k) => {
          const value = i < 6 ? values[i] : sum(values), color = ["blue", "orange", "green", "ours"][k];
          const high = Math.min(height(value), height(0)), tall = Math.abs(height(value) - height(0));
          out += rect(middle + (k - 2) * bar, high, bar - 1.5, Math.max(1.5, tall), `${color} fill`, 1);
        });
        if (i < 6) out += circle(middle, BARS + 86, 10, `${COLORS[i]} fill`) + text(middle, BARS + 90, String(i + 1), "mark", "middle");
        else out += text(middle, BARS + 91, "all 6", "strong", "middle");
      }
      return out;
    },
    tell(state, result) {
      const each = result.dx.map((value, i) => fixed(value)).join(", ");
      const dot = sum(result.dx.map((value, i) => value * result.normalized[i]));
      return `dx = ${each}. Sum of dx: ${fixed(sum(result.dx))}. Sum of dx·x̂: ${fixed(dot)}. To β: ${fixed(result.dbeta)}; to γ: ${fixed(result.dgamma)}.`;
    },
  });
})();
