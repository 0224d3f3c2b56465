/* Six values of a channel, normalized: drag a value, the mean or the spread of the batch. */
(function () {
  "use strict";
  const { clamp, mean, fixed, short, text, line, circle, path, scale } = resnormFigures.pen;
  const COLORS = ["blue", "orange", "green", "purple", "red", "gray"];
  const LOW = -6, HIGH = 6, SIDE = 6.6;
  const EPS = [1e-5, 1e-3, 0.01, 0.1, 0.3, 1, 3, 10];

  /** Batch norm of one channel in training; the variance divides by the number of values. */
  function compute({ x, gamma, beta, eps }) {
    const mu = mean(x);
    const variance = mean(x.map(each => (each - mu) ** 2));
    const root = Math.sqrt(variance + eps);
    const normalized = x.map(each => (each - mu) / root);
    return { mean: mu, variance, normalized, y: normalized.map(each => gamma * each + beta) };
  }

  const deviation = values => {
    const mu = mean(values);
    return Math.sqrt(mean(values.map(each => (each - mu) ** 2)));
  };
  const across = width => scale(-SIDE, SIDE, 4, width - 4);
  const ROWS = [54, 158, 262];

  function row(name, values, y, width, top) {
    const at = across(width), mu = mean(values), s = deviation(values);
    let out = line(4, y, width - 4, y);
    if (!top) values.forEach((each, i) => { out += circle(at(each), y, 6.5, `${COLORS[i]} fill`); });
    out += path([[at(mu - s), y + 20], [at(mu + s), y + 20]], "ours curve");
    out += line(at(mu - s), y + 15, at(mu - s), y + 25, "ink");
    if (!top) {
      out += line(at(mu + s), y + 15, at(mu + s), y + 25, "ink");
      out += path([[at(mu), y + 14], [at(mu) + 6, y + 26], [at(mu) - 6, y + 26]], "ours paper", "Z"); // hollow: it cannot be dragged
    }
    out += text(2, y - 34, name, "strong over");
    return out + text(width - 2, y - 34, `mean ${fixed(mu)}, variance ${fixed(s * s)}`, "over", "end");
  }

  resnormFigures.define("normalize", {
    state: () => ({ x: [-4, -2.5, -1.5, -0.5, 0.5, 1.5], gamma: 1.5, beta: 1, eps: 1e-5 }),
    compute,
    controls: [
      { label: "γ", min: -2, max: 2, step: 0.1, get: s => s.gamma, set: (s, v) => { s.gamma = v; }, words: s => fixed(s.gamma, 1) },
      { label: "β", min: -2, max: 2, step: 0.1, get: s => s.beta, set: (s, v) => { s.beta = v; }, words: s => fixed(s.beta, 1) },
      {
        label: "ε", min: 0, max: EPS.length - 1, step: 1,
        get: s => EPS.indexOf(s.eps), set: (s, v) => { s.eps = EPS[v]; }, words: s => short(s.eps),
      },
    ],
    height: () => 312,
    handles(state, result, width) {
      const at = across(width), back = scale(4, width - 4, -SIDE, SIDE), s = Math.sqrt(result.variance), mu = result.mean;
      const points = state.x.map((value, i) => ({
        axis: "x", x: at(value), y: ROWS[0], label: `Value ${i + 1}`, mark: String(i + 1), color: COLORS[i],
        value, min: LOW, max: HIGH, step: 0.1, words: `${fixed(value, 2)}, normalized ${fixed(result.normalized[i])}`,
        set(v) { state.x[i] = v; }, drag(x) { state.x[i] = clamp(back(x), LOW, HIGH); },
      }));
      const least = LOW - Math.min(...state.x), most = HIGH - Math.max(...state.x);
      const shift = to => {
        const by = clamp(to - mu, least, most);
        state.x = state.x.map(each => each + by);
      };
      const room = Math.min(...state.x.map(each => (each > mu ? (HIGH - mu) / (each - mu) : each < mu ? (LOW - mu) / (each - mu) : Infinity)));
      const widest = s > 1e-9 ? s * room : 0;
      const spread = to => {
        if (s > 1e-9) state.x = state.x.map(each => mu + (each - mu) * clamp(to, Math.min(0.1, s), widest) / s);
      };
      return [
        ...points,
        {
          axis: "x", look: "triangle", x: at(mu), y: ROWS[0] + 20, label: "Mean of the batch", color: "ours",
          value: mu, min: mu + least, max: mu + most, step: 0.1, set: shift, drag: x => shift(back(x)),
        },
        {
          axis: "x", look: "bar", x: at(mu + s), y: ROWS[0] + 20, label: "Standard deviation of the batch", color: "ours",
          value: s, min: Math.min(0.1, s), max: widest, step: 0.1, set: spread, drag: x => spread(back(x) - mu),
        },
      ];
    },
    draw(state, result, width) {
      const at = across(width);
      let out = "";
      for (let tick = -6; tick <= 6; tick += 2) {
        out += line(at(tick), ROWS[0] - 16, at(tick), ROWS[2] + 30, "faint");
        out += text(at(tick), ROWS[2] + 45, fixed(tick, 0), "muted", "middle");
      }
      state.x.forEach((value, i) => {
        const places = [value, result.normalized[i], result.y[i]];
        for (const k of [0, 1]) out += line(at(places[k]), ROWS[k], at(places[k + 1]), ROWS[k + 1], `${COLORS[i]} thin quiet`);
      });
      const names = width < 420 ? ["x (drag)", "x̂", "y"] : ["x, the batch (drag points, triangle, bar)", "x̂ = (x − μ) / √(σ² + ε)", "y = γ x̂ + β"];
      [state.x, result.normalized, result.y].forEach((values, k) => { out += row(names[k], values, ROWS[k], width, k === 0); });
      return out;
    },
    tell(state, result) {
      const before = `The batch has mean ${fixed(result.mean)} and variance ${fixed(result.variance)}.`;
      const values = result.normalized.map(each => fixed(each)).join(", ");
      return `${before} Normalized: ${values}; mean ${fixed(mean(result.normalized))}, variance ${fixed(deviation(result.normalized) ** 2)}.`;
    },
  });
})();
