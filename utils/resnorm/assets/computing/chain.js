/* The second moment of the stream along a chain of residual blocks, for four orders and any gain. */
(function () {
  "use strict";
  const { fixed, short, brief, text, line, circle, rect, path, scale } = resnormFigures.pen;
  const BLOCKS = 50;
  const ORDERS = {
    linear: { name: "linear, ReLU", color: "red" },
    relu: { name: "ReLU, linear", color: "orange" },
    scaled: { name: "sum ÷ √2", color: "blue" },
    norm: { name: "BN first", color: "green" },
  };

  /**
   * Second moments of stream and branch. Weights have the variance gain/n; the branch is multiplied
   * by its strength before it is added.
   */
  function moments(order, gain, strength, blocks) {
    const stream = [1], branch = [], half = gain / 2;
    let average = 0; // of the stream; only the branch that ends in a ReLU makes it positive
    for (let k = 0; k < blocks; k += 1) {
      const q = stream[k];
      const added = strength ** 2 * half * (order === "norm" ? 1 : q);
      let mixed = 0;
      if (order === "linear") {
        const positive = strength * Math.sqrt(gain * q / (2 * Math.PI));
        mixed = 2 * average * positive;
        average += positive;
      }
      const after = q + added + mixed;
      branch.push(added);
      stream.push(order === "scaled" ? after / 2 : after);
    }
    return { stream, branch };
  }

  function compute({ order, gain, strength, blocks = BLOCKS }) {
    const all = {};
    for (const each of Object.keys(ORDERS)) all[each] = moments(each, gain, strength, blocks).stream;
    const { stream, branch } = moments(order, gain, strength, blocks);
    const share = branch.map((each, k) => each / (each + stream[k]));
    return { stream, branch, share, all };
  }

  /** The first four blocks, with second moments on them. */
  function blocks(state, result, width) {
    const step = (width - 56) / 4, y = 78;
    let out = line(4, y, width - 46, y, "ink");
    out += path([[width - 46, y - 4], [width - 38, y], [width - 46, y + 4]], "solid", "Z");
    for (let k = 0; k < 4; k += 1) {
      const left = 4 + k * step, split = left + 0.28 * step, join = left + 0.93 * step;
      out += path([[split, y], [split, 32], [join, 32], [join, y - 9]], "ink");
      out += rect(split + 0.12 * step, 18, 0.4 * step, 28, "ours paper", 4);
      out += text(split + 0.32 * step, 37, "F", "strong", "middle");
      out += text(join - 5, 62, brief(result.branch[k]), `colored ${ORDERS[state.order].color}`, "end");
      out += circle(join, y, 9, "ours paper") + text(join, y + 5, "+", "strong", "middle");
      out += text(left + 1, y + 19, brief(result.stream[k]), "strong");
    }
    return out + text(5 + 4 * step, y + 19, brief(result.stream[4]), "strong");
  }

  const TOP = 142, BOTTOM = 292, SHARES = [340, 394];

  resnormFigures.define("chain", {
    state: () => ({ order: "norm", gain: 2, strength: 1 }),
    compute,
    controls: [
      {
        label: "Block", options: Object.fromEntries(Object.entries(ORDERS).map(([key, { name }]) => [key, name])),
        get: s => s.order, set: (s, v) => { s.order = v; },
      },
      { label: "Gain g", min: 0.2, max: 4, step: 0.1, get: s => s.gain, set: (s, v) => { s.gain = v; }, words: s => fixed(s.gain, 1) },
      { label: "Branch ×", min: 0.01, max: 1.5, step: 0.01, get: s => s.strength, set: (s, v) => { s.strength = v; }, words: s => fixed(s.strength, 2) },
    ],
    height: () => 418,
    handles: () => [],
    draw(state, result, width) {
      const left = 40, right = width - 104, at = scale(0, BLOCKS, left, right);
      const logs = Object.values(result.all).flat().map(Math.log10);
      const round = size => [1, 2, 5, 10, 20, 40].find(each => size / each <= 5.01) || 80;
      const tick = round(Math.max(...logs, 1) - Math.min(...logs, 0));
      const low = tick * Math.floor(Math.min(...logs, 0) / tick), high = tick * Math.ceil(Math.max(...logs, 1) / tick);
      const height = scale(low, high, BOTTOM, TOP);
      let out = blocks(state, result, width);
      out += text(2, TOP - 14, `Second moment of the stream${width < 420 ? "" : " after k blocks"}`, "strong");
      for (let power = low; power <= high; power += tick) {
        out += line(left, height(power), right, height(power), "faint");
        out += text(left - 6, height(power) + 4, brief(10 ** power), "muted", "end");
      }
      // names at the ends of the curves, moved apart where they would touch
      const ends = Object.keys(ORDERS).map(key => ({ key, y: height(Math.log10(result.all[key][BLOCKS])) })).sort((a, b) => a.y - b.y);
      ends.forEach((end, i) => { end.label = i ? Math.max(end.y, ends[i - 1].label + 16) : end.y; });
      const over = Math.max(0, ends[3].label - BOTTOM - 2);
      for (let i = 3; i >= 0; i -= 1) ends[i].label = Math.min(ends[i].label, i === 3 ? ends[3].label - over : ends[i + 1].label - 16);
      for (const { key, label, y } of ends) {
        const chosen = key === state.order, { color, name } = ORDERS[key];
        const points = result.all[key].map((q, k) => [at(k), height(Math.log10(q))]);
        out += path(points, `${color} ${chosen ? "bold curve" : "thin"}`);
        out += line(right + 2, y, right + 9, label, `${color} thin quiet`);
        out += text(right + 12, label + 4, name, `colored ${color} ${chosen ? "" : "plain"}`);
      }
      for (const k of [0, 10, 20, 30, 40, 50]) out += text(at(k), BOTTOM + 17, String(k), "muted", "middle");

      out += text(2, SHARES[0] - 5, width < 420 ? "Block k: branch / (branch + stream)" : "Share of block k: branch / (branch + stream)", "strong");
      const share = scale(0, 1, SHARES[1], SHARES[0] + 6), bar = (right - left) / BLOCKS;
      for (const part of [0, 0.5, 1]) {
        out += line(left, share(part), right, share(part), "faint");
        out += text(left - 6, share(part) + 4, part === 0.5 ? "½" : String(part), "muted", "end");
      }
      result.share.forEach((part, k) => {
        out += rect(at(k) + 0.5, share(part), bar - 1, SHARES[1] - share(part), `${ORDERS[state.order].color} fill`);
      });
      for (const k of [1, 10, 20, 30, 40, 50]) out += text(at(k) - bar / 2, SHARES[1] + 17, String(k), "muted", "middle");
      return out;
    },
    tell(state, result) {
      const last = result.share[BLOCKS - 1];
      return `${ORDERS[state.order].name}, gain ${fixed(state.gain, 1)}: second moment ${short(result.stream[10])} after 10 blocks, ` +
        `${short(result.stream[BLOCKS])} after 50. Block 50 brings ${fixed(100 * last, last < 0.1 ? 1 : 0)} %.`;
    },
  });
})();
