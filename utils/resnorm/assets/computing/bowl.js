/* Gradient descent in a bowl: condition number, learning rate, and a start that can be dragged. */
(function () {
  "use strict";
  const { clamp, fixed, short, brief, text, line, circle, path, scale } = resnormFigures.pen;
  const STEPS = 50;

  /** Descent on ½(a² + κ b²), whose second derivatives are 1 and κ. The rate is in units of 1/κ. */
  function compute({ start, kappa, rate, steps = STEPS }) {
    const eta = rate / kappa, factors = [1 - eta, 1 - eta * kappa];
    const points = [start], losses = [];
    for (let k = 0; k <= steps; k += 1) {
      const [a, b] = points[k];
      losses.push((a * a + kappa * b * b) / 2);
      if (k < steps) points.push([a * factors[0], b * factors[1]]);
    }
    return { points, losses, factors, eta };
  }

  const TOP = 26, HIGH = 180, MIDDLE = TOP + HIGH / 2, PLOT = [250, 346], SIDE = 10.4;
  const unit = width => (width - 8) / (2 * SIDE);
  const tallest = width => HIGH / 2 / unit(width);

  /** A path until it leaves the frame. */
  function inside(points, width) {
    const most = tallest(width), found = [];
    for (const [a, b] of points) {
      if (Math.abs(a) <= SIDE && Math.abs(b) <= most) { found.push([a, b]); continue; }
      const last = found[found.length - 1];
      if (!last) break;
      const share = Math.min(
        Math.abs(b) > most ? (Math.sign(b) * most - last[1]) / (b - last[1]) : 1,
        Math.abs(a) > SIDE ? (Math.sign(a) * SIDE - last[0]) / (a - last[0]) : 1,
      );
      found.push([last[0] + share * (a - last[0]), last[1] + share * (b - last[1])]);
      break;
    }
    return found;
  }

  resnormFigures.define("bowl", {
    state: () => ({ start: [-9, 2.2], kappa: 20, rate: 1.85 }),
    compute: state => compute(state),
    controls: [
      { label: "Condition κ", min: 1, max: 100, step: 1, get: s => s.kappa, set: (s, v) => { s.kappa = v; }, words: s => String(s.kappa) },
      { label: "Rate η·κ", min: 0.05, max: 2.2, step: 0.05, get: s => s.rate, set: (s, v) => { s.rate = v; }, words: s => fixed(s.rate, 2) },
      { label: "Best rate", act: s => { s.rate = (2 * s.kappa) / (s.kappa + 1); } },
      { label: "Round bowl", act: s => { s.kappa = 1; s.rate = 1; } },
    ],
    height: () => 368,
    handles(state, result, width) {
      const u = unit(width), most = Math.min(3.2, tallest(width));
      const to = (a, b) => { // rounded, so that the keys reach zero
        state.start = [clamp(a, -10, 10), clamp(b, -most, most)].map(each => Math.round(each * 1e6) / 1e6);
      };
      const [a, b] = state.start;
      return [{
        axis: "both", x: width / 2 + u * a, y: MIDDLE - u * b, label: "Start of the descent, moved by the four arrow keys", color: "orange",
        value: a, min: -10, max: 10, step: 0.2, words: `${fixed(a, 1)} along the valley, ${fixed(b, 1)} across it`,
        nudge: (da, db) => to(a + da, b + db), drag: (x, y) => to((x - width / 2) / u, (MIDDLE - y) / u),
      }];
    },
    draw(state, result, width) {
      const u = unit(width), root = Math.sqrt(state.kappa);
      const at = ([a, b]) => [width / 2 + u * a, MIDDLE - u * b];
      let out = text(2, 14, "Equal loss, and 50 steps (drag the start)", "strong");
      // contours: closed where they fit, cut at the frame where they do not
      for (const level of [0.5, 1.25, 2.5, 4.5, 7, 10]) {
        let part = [];
        const most = tallest(width);
        for (let k = 0; k <= 240; k += 1) {
          const turn = (2 * Math.PI * k) / 240, a = level * Math.cos(turn), b = (level * Math.sin(turn)) / root;
          if (Math.abs(b) <= most && Math.abs(a) <= SIDE) part.push(at([a, b]));
          else { if (part.length > 1) out += path(part, "contour"); part = []; }
        }
        if (part.length > 1) out += path(part, "contour");
      }
      out += line(width / 2 - 6, MIDDLE, width / 2 + 6, MIDDLE) + line(width / 2, MIDDLE - 6, width / 2, MIDDLE + 6);
      const way = inside(result.points, width).map(at);
      if (way.length > 1) out += path(way, "orange thin");
      way.slice(1).forEach(([x, y]) => { out += circle(x, y, 2.6, "orange fill"); });

      out += text(2, PLOT[0] - 16, "Loss after k steps (logarithmic)", "strong");
      const logs = result.losses.map(loss => Math.log10(Math.max(loss, 1e-300)));
      const first = Math.ceil(logs[0]), low = -6, high = Math.max(2, first), left = 40, right = width - 8;
      const x = scale(0, STEPS, left, right), y = scale(low, high, PLOT[1], PLOT[0]);
      for (let power = low; power <= high; power += 2) {
        out += line(left, y(power), right, y(power), "faint");
        out += text(left - 6, y(power) + 4, brief(10 ** power), "muted", "end");
      }
      const points = [];
      for (let k = 0; k <= STEPS; k += 1) {
        const height = logs[k];
        if (height > high || height < low) {
          const edge = height > high ? high : low;
          if (k) points.push([x(k - 1 + (edge - logs[k - 1]) / (height - logs[k - 1])), y(edge)]);
          break;
        }
        points.push([x(k), y(height)]);
      }
      out += path(points, "orange bold curve");
      for (const k of [0, 10, 20, 30, 40, 50]) out += text(x(k), PLOT[1] + 17, String(k), "muted", "middle");
      return out;
    },
    tell(state, result) {
      const [along, across] = result.factors, [a, b] = state.start;
      // a direction in which the start is already at the bottom plays no part
      const worst = Math.max(a ? Math.abs(along) : 0, b ? Math.abs(across) : 0);
      const left = steps => Math.hypot(a * along ** steps, b * across ** steps) / Math.hypot(a, b);
      let tenth = 1;
      if (worst < 1 - 1e-12) while (left(tenth) > 0.1 + 1e-9) tenth += 1;
      const end = worst > 1 + 1e-12 ? "It diverges."
        : worst > 1 - 1e-12 ? "It never settles."
          : worst < 1e-12 ? "One step is enough."
            : `One tenth of the distance is left after ${tenth} ${tenth === 1 ? "step" : "steps"}.`;
      return `Each step multiplies the distance by ${fixed(along, 3)} along the valley and by ${fixed(across, 3)} across it. ${end} ` +
        `In 50 steps the loss goes from ${short(result.losses[0])} to ${short(result.losses[STEPS])}.`;
    },
  });
})();
