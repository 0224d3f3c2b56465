/* Running statistics: an exponential average of what the batches say, for any momentum. */
(function () {
  "use strict";
  const { mean, fixed, text, line, circle, path, scale } = resnormFigures.pen;
  const STEPS = 200;
  const MOMENTA = [0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1];
  const SIZES = [2, 4, 8, 16, 32, 64, 128, 256];
  const KINDS = { drift: "drifts", jump: "jumps", still: "stays" };

  /** Standard normal numbers, the same for the same seed on every machine. */
  function normal(seed) {
    let state = seed >>> 0;
    const uniform = () => { // mulberry32
      state = (state + 0x6d2b79f5) >>> 0;
      let t = state;
      t = Math.imul(t ^ (t >>> 15), t | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  /** True mean and variance of the channel at a step. */
  function truth(kind, step) {
    const done = kind === "drift" ? step / STEPS : kind === "jump" ? Number(step >= STEPS / 2) : 0.5;
    return [3 * done, 1 + 4 * done];
  }

  function drawn({ kind, size, seed }) {
    const next = normal(seed);
    return Array.from({ length: STEPS }, (_, step) => {
      const [center, variance] = truth(kind, step);
      return Array.from({ length: size }, () => center + Math.sqrt(variance) * next());
    });
  }

  /** As torch.nn.BatchNorm does: the running variance takes the unbiased one of each batch. */
  function compute(state) {
    const batches = state.batches || drawn(state), { momentum } = state;
    const means = batches.map(mean);
    const variances = batches.map((batch, k) => batch.reduce((total, x) => total + (x - means[k]) ** 2, 0) / (batch.length - 1));
    const follow = (values, start) => {
      let average = start;
      return values.map(value => (average = (1 - momentum) * average + momentum * value));
    };
    const running = [follow(means, 0), follow(variances, 1)];
    return { means, variances, runningMean: running[0], runningVariance: running[1] };
  }

  /** Root mean square distance from the truth, over the second half. */
  function error(values, kind, which) {
    const late = values.slice(STEPS / 2).map((value, k) => (value - truth(kind, k + STEPS / 2)[which]) ** 2);
    return Math.sqrt(mean(late));
  }

  const PANELS = [[34, 136], [200, 318]];
  let known = { key: "" };

  resnormFigures.define("running", {
    state: () => ({ momentum: 0.03, size: 4, kind: "drift", seed: 5 }),
    compute(state) {
      if (state.batches) return compute(state);
      const key = [state.kind, state.size, state.seed].join();
      if (known.key !== key) known = { key, batches: drawn(state) };
      return compute({ ...state, batches: known.batches });
    },
    controls: [
      {
        label: "Momentum α", min: 0, max: MOMENTA.length - 1, step: 1,
        get: s => MOMENTA.indexOf(s.momentum), set: (s, v) => { s.momentum = MOMENTA[v]; }, words: s => String(s.momentum),
      },
      {
        label: "Batch size m", min: 0, max: SIZES.length - 1, step: 1,
        get: s => SIZES.indexOf(s.size), set: (s, v) => { s.size = SIZES[v]; }, words: s => String(s.size),
      },
      { label: "The channel", options: KINDS, get: s => s.kind, set: (s, v) => { s.kind = v; } },
      { label: "New batches", act: s => { s.seed += 1; } },
    ],
    height: () => 342,
    handles: () => [],
    draw(state, result, width) {
      const left = 30, at = scale(0, STEPS, left, width - 6);
      const panels = [
        ["mean", [result.means, result.runningMean], [-1.5, 5], [0, 2, 4]],
        ["variance", [result.variances, result.runningVariance], [0, 10], [0, 5, 10]],
      ];
      let out = "";
      panels.forEach(([name, [values, average], [low, high], ticks], which) => {
        const [top, bottom] = PANELS[which], y = scale(low, high, bottom, top);
        const off = fixed(error(average, state.kind, which));
        out += text(2, top - 14, `running ${name}`, "strong");
        out += text(width - 4, top - 14, `off by ${off} (rms${width < 420 ? "" : ", steps 100–199"})`, "", "end");
        for (const tick of ticks) {
          out += line(left, y(tick), width - 6, y(tick), tick ? "faint" : "rule");
          out += text(left - 6, y(tick) + 4, fixed(tick, 0), "muted", "end");
        }
        values.forEach((value, k) => {
          if (value >= low && value <= high) out += circle(at(k), y(value), 2, "gray fill quiet");
        });
        const points = list => list.map((value, k) => [at(k), y(Math.min(high, Math.max(low, value)))]);
        out += path(points(average), "orange bold curve");
        out += path(points(values.map((_, k) => truth(state.kind, k)[which])), "dash");
      });
      for (const step of [0, 50, 100, 150]) out += text(at(step), PANELS[1][1] + 18, String(step), "muted", "middle");
      out += text(width - 6, PANELS[1][1] + 18, width < 420 ? "step" : "training step", "muted", "end");
      // the key, between the panels
      let x = 2;
      const y = PANELS[0][1] + 18;
      for (const [name, mark] of [["one batch", circle(9, y - 4, 2.5, "gray fill")], ["running", line(0, y - 4, 18, y - 4, "orange bold curve")], ["true", line(0, y - 4, 18, y - 4, "dash")]]) {
        out += `<g transform="translate(${x} 0)">${mark}${text(23, y, name)}</g>`;
        x += 42 + 7 * name.length;
      }
      return out;
    },
    tell(state, result) {
      const off = [error(result.runningMean, state.kind, 0), error(result.runningVariance, state.kind, 1)].map(each => fixed(each));
      return `Momentum ${state.momentum}, a memory of about ${Math.round(1 / state.momentum)} ${state.momentum === 1 ? "batch" : "batches"} of ${state.size}: ` +
        `the running mean is off by ${off[0]} and the running variance by ${off[1]} (rms).`;
    },
  });
})();
