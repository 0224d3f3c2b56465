/* Non-maximum suppression: five boxes around two objects, their scores and the threshold. */
(function () {
  "use strict";
  const { clamp, fixed, text, line, circle, rect, scale } = resnormFigures.pen;
  const COLORS = ["blue", "orange", "green", "purple", "red"];
  const ENOUGH = 0.5;
  /** The corner at which each box is dragged, so that boxes of one object leave room for all. */
  const CORNERS = [[0, 0], [0.5, 1], [1, 0], [1, 1], [0, 0]];
  const FIELD = [100, 64], RADIUS = 20;
  const OBJECTS = [[32, 33], [50, 33]];
  const TRUTH = OBJECTS.map(([x, y]) => [x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS]);

  function iou(a, b) {
    const both = [0, 1].map(k => Math.max(0, Math.min(a[k + 2], b[k + 2]) - Math.max(a[k], b[k])));
    const shared = both[0] * both[1];
    const area = box => (box[2] - box[0]) * (box[3] - box[1]);
    return shared / (area(a) + area(b) - shared);
  }

  /** Positions by falling score; of equal scores the first comes first. */
  const ranked = scores => scores.map((_, i) => i).sort((i, j) => scores[j] - scores[i] || i - j);

  /** Greedy: the best box that is left stays and drops each box that it overlaps by more than the threshold. */
  function compute({ boxes, scores, threshold, truth = TRUTH }) {
    const overlaps = boxes.map(a => boxes.map(b => iou(a, b)));
    const kept = [], by = boxes.map(() => -1);
    for (const i of ranked(scores)) {
      if (by[i] >= 0) continue;
      kept.push(i);
      boxes.forEach((_, j) => {
        if (by[j] < 0 && !kept.includes(j) && overlaps[i][j] > threshold) by[j] = i;
      });
    }
    // a box that stays is correct if it overlaps its object enough, and no better box has claimed this object
    const claimed = new Map();
    const verdicts = boxes.map(() => "dropped");
    for (const i of kept) {
      const found = truth.map(object => iou(boxes[i], object));
      const best = found.indexOf(Math.max(...found));
      const close = found[best] >= ENOUGH;
      verdicts[i] = !close ? "wrong" : claimed.has(best) ? "duplicate" : "correct";
      if (verdicts[i] === "correct") claimed.set(best, i);
    }
    return { overlaps, kept, by, verdicts, found: claimed.size };
  }

  /* the scene and the list of scores: side by side, or one below the other */
  const side = width => width > 540;
  function layout(width) {
    const unit = (side(width) ? 0.56 * width : width - 4) / FIELD[0];
    const bottom = 26 + unit * FIELD[1];
    const left = side(width) ? 0.56 * width + 26 : 2;
    return { unit, top: 26, bottom, left, head: side(width) ? 14 : bottom + 28 };
  }
  const lane = (place, i) => place.head + 38 + 44 * i;
  const across = (place, width) => scale(0, 1, place.left + 10, width - 58);

  resnormFigures.define("nms", {
    state: () => ({
      boxes: [[13, 11, 53, 51], [21, 14, 61, 54], [31, 13, 71, 53], [28, 9, 69, 54], [78, 5, 96, 25]],
      scores: [0.9, 0.8, 0.7, 0.5, 0.3], threshold: 0.5,
    }),
    compute,
    controls: [
      { label: "Threshold", min: 0, max: 1, step: 0.05, get: s => s.threshold, set: (s, v) => { s.threshold = v; }, words: s => fixed(s.threshold) },
    ],
    height(width) {
      const place = layout(width);
      return Math.max(place.bottom, lane(place, 4) + 26) + 4;
    },
    handles(state, result, width) {
      const place = layout(width), at = across(place, width), back = scale(place.left + 10, width - 58, 0, 1);
      const round = value => Math.round(value * 1e6) / 1e6;
      const corners = state.boxes.map((box, i) => {
        const [u, v] = CORNERS[i], w = box[2] - box[0], h = box[3] - box[1];
        const to = (x, y) => { // of the box's left and top, in units of the scene
          const left = round(clamp(x, 0, FIELD[0] - w)), top = round(clamp(y, 0, FIELD[1] - h));
          state.boxes[i] = [left, top, round(left + w), round(top + h)];
        };
        const fate = result.by[i] < 0 ? "kept" : `dropped by box ${result.by[i] + 1}`;
        return {
          axis: "both", x: 2 + place.unit * (box[0] + u * w), y: place.top + place.unit * (box[1] + v * h),
          label: `Box ${i + 1}, moved by the four arrow keys`, mark: String(i + 1), color: COLORS[i],
          value: box[0], min: 0, max: FIELD[0] - w, step: 1,
          words: `left ${fixed(box[0], 0)}, top ${fixed(box[1], 0)}, ${fate}`,
          nudge: (dx, dy) => to(box[0] + dx, box[1] - dy),
          drag: (x, y) => to((x - 2) / place.unit - u * w, (y - place.top) / place.unit - v * h),
        };
      });
      const scores = state.scores.map((score, i) => ({
        axis: "x", x: at(score), y: lane(place, i), label: `Score of box ${i + 1}`, mark: String(i + 1), color: COLORS[i],
        value: score, min: 0, max: 1, step: 0.05, words: `${fixed(score)}, ${result.by[i] < 0 ? "kept" : `dropped by box ${result.by[i] + 1}`}`,
        set(v) { state.scores[i] = v; }, drag(x) { state.scores[i] = round(clamp(back(x), 0, 1)); },
      }));
      return [...corners, ...scores];
    },
    draw(state, result, width) {
      const place = layout(width), { unit, top } = place, at = across(place, width);
      const x = value => 2 + unit * value, y = value => top + unit * value;
      let out = text(2, 14, width < 420 ? "Five boxes (drag the numbers)" : "Two objects, five boxes (drag the numbers)", "strong");
      out += rect(2, top, unit * FIELD[0], unit * FIELD[1], "rule");
      for (const [a, b] of OBJECTS) out += circle(x(a), y(b), unit * RADIUS, "gray wash") + circle(x(a), y(b), unit * RADIUS, "gray thin quiet");
      // dropped boxes first, so that those that stay lie on top
      for (const stays of [false, true]) {
        state.boxes.forEach((box, i) => {
          if ((result.by[i] < 0) !== stays) return;
          const kind = stays ? "bold curve" : "thin gone";
          out += rect(x(box[0]), y(box[1]), unit * (box[2] - box[0]), unit * (box[3] - box[1]), `${COLORS[i]} ${kind}`);
        });
      }
      out += text(place.left, place.head, "Scores, and what happens", "strong");
      state.scores.forEach((score, i) => {
        const row = lane(place, i), stays = result.by[i] < 0;
        out += line(at(0), row, at(1), row, "faint");
        out += line(at(0), row, at(score), row, `${COLORS[i]} ${stays ? "bold curve" : "thin"}`);
        out += text(width - 2, row + 4, fixed(score), "", "end");
        const rank = ["first", "second", "third", "fourth", "fifth"][result.kept.indexOf(i)];
        const fate = stays ? `kept ${rank}: ${result.verdicts[i]}` : `dropped: IoU ${fixed(result.overlaps[i][result.by[i]])} with ${result.by[i] + 1}`;
        out += text(place.left, row - 15, fate, stays ? "strong" : "");
      });
      return out;
    },
    tell(state, result) {
      const names = which => result.kept.filter(i => result.verdicts[i] === which).map(i => i + 1);
      const parts = [["duplicate", "duplicate", "duplicates"], ["wrong", "box on no object", "boxes on no object"]]
        .flatMap(([which, one, more]) => {
          const found = names(which);
          return found.length ? [`${found.length} ${found.length === 1 ? one : more}`] : [];
        });
      const rest = parts.length ? `, with ${parts.join(" and ")}` : "";
      const dropped = ranked(state.scores).filter(i => result.by[i] >= 0)
        .map(i => `${i + 1} (IoU ${fixed(result.overlaps[i][result.by[i]])} with ${result.by[i] + 1})`);
      return `NMS keeps ${result.kept.map(i => i + 1).join(", ")}${dropped.length ? ` and drops ${dropped.join(", ")}` : ""}. ` +
        `${result.found} of 2 objects ${result.found === 1 ? "is" : "are"} found${rest}.`;
    },
  });
})();
