/* The receptive field of one unit behind three layers, each with kernel, stride and dilation. */
(function () {
  "use strict";
  const { clamp, text, line, circle, rect, path, scale } = resnormFigures.pen;
  const KERNELS = [1, 2, 3, 5, 7], STRIDES = [1, 2], DILATIONS = [1, 2, 4];
  const SIZES = [31, 63, 127, 191];
  const FIRST = () => ({ kernel: 3, stride: 1, dilation: 1 });

  /** Units of each layer, none padded: what one output sees, and along how many paths it sees it. */
  function compute({ layers, output, size: wanted }) {
    // side and jump after each layer, by the rule of the chapter
    const sides = [1], jumps = [1], adds = [];
    layers.forEach(({ kernel, stride, dilation }, l) => {
      adds.push((kernel - 1) * dilation * jumps[l]);
      sides.push(sides[l] + adds[l]);
      jumps.push(jumps[l] * stride);
    });
    const side = sides[layers.length], jump = jumps[layers.length];
    const size = wanted || SIZES.find(each => each >= side + 8) || side + 8;
    const counts = [size];
    for (const { kernel, stride, dilation } of layers) {
      counts.push(Math.floor((counts[counts.length - 1] - dilation * (kernel - 1) - 1) / stride) + 1);
    }
    const last = counts[layers.length] - 1;
    const unit = clamp(output === undefined ? Math.floor(last / 2) : output, 0, last);
    // backward, layer by layer: the number of paths from each unit to the output
    const paths = [];
    paths[layers.length] = Array.from({ length: counts[layers.length] }, (_, i) => Number(i === unit));
    for (let l = layers.length - 1; l >= 0; l -= 1) {
      const { kernel, stride, dilation } = layers[l];
      paths[l] = Array(counts[l]).fill(0);
      paths[l + 1].forEach((n, i) => {
        if (n) for (let k = 0; k < kernel; k += 1) paths[l][i * stride + k * dilation] += n;
      });
    }
    return { size, sides, jumps, adds, counts, unit, paths, side, jump, seen: paths[0].filter(n => n > 0).length };
  }

  const ROWS = [236, 178, 120, 62], BARS = [258, 312];
  /** Place of a unit: the middle of what it sees. */
  const places = (result, width) => {
    const at = scale(-0.5, result.size - 0.5, 4, width - 4);
    return (l, i) => at((result.sides[l] - 1) / 2 + i * result.jumps[l]);
  };

  const set = name => (state, value) => { state.layers[state.chosen][name] = value; };
  const stepper = (label, name, values) => ({
    label, min: 0, max: values.length - 1, step: 1,
    get: s => values.indexOf(s.layers[s.chosen][name]), set: (s, v) => set(name)(s, values[v]),
    words: s => String(s.layers[s.chosen][name]),
  });
  const preset = change => state => {
    state.layers = [0, 1, 2].map(l => ({ ...FIRST(), ...change(l) }));
    delete state.output;
  };

  resnormFigures.define("receptive", {
    state: () => ({ layers: [FIRST(), { ...FIRST(), stride: 2 }, FIRST()], chosen: 2 }),
    compute,
    controls: [
      {
        label: "Layer", options: { 0: "1", 1: "2", 2: "3" },
        get: s => String(s.chosen), set: (s, v) => { s.chosen = Number(v); },
      },
      stepper("Kernel k", "kernel", KERNELS),
      stepper("Stride s", "stride", STRIDES),
      stepper("Dilation d", "dilation", DILATIONS),
      { label: "Three plain", act: preset(() => ({})) },
      { label: "Three strides of 2", act: preset(() => ({ stride: 2 })) },
      { label: "Dilations 1, 2, 4", act: preset(l => ({ dilation: 2 ** l })) },
    ],
    height: () => 334,
    handles(state, result, width) {
      const at = places(result, width), top = result.counts.length - 1, last = result.counts[top] - 1;
      const back = scale(at(top, 0), at(top, 1), 0, 1);
      return [{
        axis: "x", x: at(top, result.unit), y: ROWS[top], label: "Output unit", color: "orange", radius: 8,
        value: result.unit, min: 0, max: last, step: 1, words: `${result.unit + 1} of ${last + 1}`,
        set(v) { state.output = Math.round(v); }, drag(x) { state.output = clamp(Math.round(back(x)), 0, last); },
      }];
    },
    draw(state, result, width) {
      const at = places(result, width), deep = state.layers.length, pixel = (width - 8) / result.size;
      const row = l => ROWS[l];
      let out = "";
      // the ways from the output down to the pixels
      state.layers.forEach(({ kernel, stride, dilation }, l) => {
        const kind = `${l === state.chosen ? "orange" : "gray"} thin`;
        result.paths[l + 1].forEach((n, i) => {
          if (!n) return;
          for (let k = 0; k < kernel; k += 1) out += line(at(l + 1, i), row(l + 1), at(l, i * stride + k * dilation), row(l), kind);
        });
      });
      // the units, those that count in color
      for (let l = 1; l <= deep; l += 1) {
        const room = pixel * result.jumps[l], radius = clamp(0.36 * room, 1, 5);
        result.paths[l].forEach((n, i) => {
          if (!n) out += circle(at(l, i), row(l), Math.min(radius, 2.4), "gray fill quiet");
        });
        result.paths[l].forEach((n, i) => {
          if (n) out += circle(at(l, i), row(l), radius, l === deep ? "orange fill" : "blue fill");
        });
        const { kernel, stride, dilation } = state.layers[l - 1];
        out += text(2, row(l) - 16, `${width > 420 ? "layer " : ""}${l}: k ${kernel}, s ${stride}, d ${dilation}`, `over ${l - 1 === state.chosen ? "strong" : ""}`);
        out += text(width - 2, row(l) - 16, `sees ${result.sides[l]}, jump ${result.jumps[l]}`, `over ${l - 1 === state.chosen ? "strong" : ""}`, "end");
      }
      const question = width > 420 ? "Which pixels does one output see?" : "What does one output see?";
      out += text(2, 14, `${question} (drag it ↔)`, "strong");
      // the row of pixels, and below it the number of paths
      const most = Math.max(...result.paths[0]), gap = pixel > 4 ? 0.5 : 0;
      const tall = scale(0, most, 0, BARS[1] - BARS[0]);
      result.paths[0].forEach((n, i) => {
        const x = at(0, i) - pixel / 2;
        out += rect(x + gap, row(0) - 7, pixel - 2 * gap, 14, n ? "blue fill" : "gray wash");
        if (n) out += rect(x + gap, BARS[0], pixel - 2 * gap, tall(n), "blue fill");
      });
      out += line(4, BARS[0], width - 4, BARS[0]);
      const left = at(0, result.paths[0].findIndex(n => n > 0)) - pixel / 2, right = left + result.side * pixel;
      out += path([[left, row(0) + 10], [left, row(0) + 15], [right, row(0) + 15], [right, row(0) + 10]], "ink");
      out += text(2, BARS[1] + 18, `${result.size} pixels in a row`, "muted");
      out += text(width - 2, BARS[1] + 18, `bars: paths${width > 540 ? " to the output (its gradient, if all weights are 1)" : ""}, at most ${most}`, "muted", "end");
      return out;
    },
    tell(state, result) {
      const l = state.chosen, { kernel, dilation } = state.layers[l];
      const rule = `Layer ${l + 1} adds (${kernel} − 1) · ${dilation} · ${result.jumps[l]} = ${result.adds[l]} to the field of ${result.sides[l]}.`;
      const holes = result.side - result.seen;
      const all = holes ? `only ${result.seen} pixels in a window of ${result.side}` : `${result.side} ${result.side === 1 ? "pixel" : "pixels"}`;
      const first = 1 + result.paths[0].findIndex(n => n > 0), outputs = result.counts[state.layers.length];
      const place = result.side === 1 ? `number ${first}` : `${first} to ${first + result.side - 1}`;
      return `Output ${result.unit + 1} of ${outputs} sees ${all}: ${place} of ${result.size}. The next output’s window starts ${result.jump} further on. ${rule}`;
    },
  });
})();
