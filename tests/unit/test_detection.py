"""Detection: boxes, suppression, precision, the grid with its loss, and generated scenes."""

from fractions import Fraction

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from resnorm import data, detection
from resnorm.detection import Detections


def random_boxes(n, seed, size=20.0, whole=False):
    g = torch.Generator().manual_seed(seed)
    corners = size * torch.rand(n, 2, 2, generator=g, dtype=torch.float64)
    corners = corners.round() if whole else corners
    low, high = corners.amin(1), corners.amax(1)
    return torch.cat([low, high + 0.5], 1)  # no box is empty


# --- boxes ---------------------------------------------------------------------------------------


def test_iou_by_hand():
    a = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    b = torch.tensor([[2.0, 2.0, 6.0, 6.0], [0.0, 0.0, 4.0, 4.0], [4.0, 0.0, 8.0, 4.0]])
    assert detection.box_iou(a, b).tolist() == [[pytest.approx(4 / 28), 1.0, 0.0]]


@given(st.integers(0, 10**6), st.integers(0, 30), st.integers(0, 40))
def test_iou_is_torchvisions(seed, n, m):
    a, b = random_boxes(n, seed), random_boxes(m, seed + 100)
    theirs = torchvision.ops.box_iou(a, b)
    torch.testing.assert_close(detection.box_iou(a, b), theirs, rtol=1e-14, atol=1e-14)


def test_random_boxes_touch_and_miss_each_other():
    overlaps = detection.box_iou(random_boxes(30, 0), random_boxes(40, 100))
    assert (overlaps > 0).any() and (overlaps == 0).any()


def test_empty_boxes_overlap_nothing():
    empty = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    assert detection.box_iou(empty, empty).item() == 0
    assert detection.box_iou(torch.zeros(0, 4), empty).shape == (0, 1)


def test_gradients_of_iou_are_torchvisions():
    a, b = random_boxes(6, 1), random_boxes(6, 2)
    for box in (a, b):
        box.requires_grad_()
    ours, theirs = (
        torch.autograd.grad(f(a, b).square().sum(), [a, b])
        for f in (detection.box_iou, torchvision.ops.box_iou)
    )
    for x, y in zip(ours, theirs):
        torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-12)


@given(st.integers(0, 10**6))
def test_corners_and_centers_are_inverse(seed):
    boxes = random_boxes(5, seed)
    torch.testing.assert_close(detection.to_corners(detection.to_centers(boxes)), boxes)
    theirs = torchvision.ops.box_convert(boxes, "xyxy", "cxcywh")
    torch.testing.assert_close(detection.to_centers(boxes), theirs)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 25), st.floats(0.05, 0.95), st.booleans())
def test_suppression_is_torchvisions(seed, n, threshold, ties):
    boxes = random_boxes(n, seed, size=6.0)
    g = torch.Generator().manual_seed(seed)
    scores = torch.rand(n, generator=g, dtype=torch.float64)
    scores = (3 * scores).round() if ties else scores
    labels = torch.randint(3, (n,), generator=g)
    ours = detection.nms(boxes, scores, threshold)
    theirs = torchvision.ops.nms(boxes, scores, threshold)
    assert scores[ours].tolist() == scores[theirs].tolist()
    assert ties or ours.tolist() == theirs.tolist()
    by_class = detection.nms(boxes, scores, threshold, labels)
    theirs = torchvision.ops.batched_nms(boxes, scores, labels, threshold)
    assert ties or by_class.tolist() == theirs.tolist()


def test_suppression_keeps_the_first_of_equal_scores():
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]]).repeat(3, 1)
    assert detection.nms(boxes, torch.tensor([0.5, 0.9, 0.9]), 0.5).tolist() == [1]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: detection.box_iou(torch.tensor([[4.0, 0, 2, 3]]), torch.zeros(1, 4)), r"a\[0\]"),
        (lambda: detection.box_iou(torch.zeros(1, 4), torch.zeros(4)), r"b has the shape \(4,\)"),
        (
            lambda: detection.nms(torch.tensor([[0.0, 5, 2, 3]]), torch.ones(1), 0.5),
            "negative side; the order is left, top, right, bottom",
        ),
        (
            lambda: detection.nms(torch.zeros(3, 4), torch.ones(2), 0.5),
            r"3 boxes, but scores has the shape \(2,\)",
        ),
        (
            lambda: detection.nms(torch.zeros(3, 4), torch.ones(3), 0.5, torch.ones(3, 1)),
            r"3 boxes, but labels has the shape \(3, 1\)",
        ),
        (lambda: detection.nms(torch.zeros(1, 4), torch.ones(1), 1.5), "threshold is 1.5"),
    ],
)
def test_bad_boxes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- precision -----------------------------------------------------------------------------------


def overlap(a, b):
    """IoU of two boxes as a fraction, from the definition."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return Fraction(both, union)


def reference(images, label, threshold):
    """Average precision in exact arithmetic, without curves.

    Every correct detection adds 1 / objects times the best precision at its rank or a later one.
    """
    ranked = []  # (minus score, image, position)
    for i, (found, _) in enumerate(images):
        ranked += [(-score, i, j) for j, (_, score, k) in enumerate(found) if k == label]
    objects = sum(k == label for _, truth in images for _, k in truth)
    taken, hits = set(), []
    for _, i, j in sorted(ranked):
        box = images[i][0][j][0]
        candidates = [(overlap(box, b), -t) for t, (b, k) in enumerate(images[i][1]) if k == label]
        best, t = max(candidates, default=(Fraction(0), 0))
        hit = best >= threshold and (i, -t) not in taken
        hits.append(hit)
        if hit:
            taken.add((i, -t))
    precisions = [Fraction(sum(hits[: r + 1]), r + 1) for r in range(len(hits))]
    area = sum((max(precisions[r:]) for r, hit in enumerate(hits) if hit), Fraction(0))
    return area / objects if objects else None


side = st.integers(1, 4)
box = st.tuples(st.integers(0, 4), st.integers(0, 4), side, side).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
image = st.tuples(
    st.lists(st.tuples(box, st.integers(0, 5), st.integers(0, 1)), max_size=6),
    st.lists(st.tuples(box, st.integers(0, 1)), max_size=4),
)


def as_tensors(images):
    found, boxes, labels = [], [], []
    for detections, truth in images:
        found.append(
            Detections(
                torch.tensor([b for b, _, _ in detections]).view(-1, 4).double(),
                torch.tensor([s / 5 for _, s, _ in detections]),
                torch.tensor([k for _, _, k in detections], dtype=torch.long),
            )
        )
        boxes.append(torch.tensor([b for b, _ in truth]).view(-1, 4).double())
        labels.append(torch.tensor([k for _, k in truth], dtype=torch.long))
    return found, boxes, labels


@settings(max_examples=300)
@given(st.lists(image, min_size=1, max_size=4), st.sampled_from([0.25, 0.5, 0.75]))
def test_average_precision_is_that_of_an_independent_reference(images, threshold):
    found, boxes, labels = as_tensors(images)
    expected = [reference(images, label, Fraction(threshold)) for label in (0, 1)]
    for label, wanted in enumerate(expected):
        curve = detection.precision_recall(found, boxes, labels, label, threshold)
        ours = detection.average_precision(curve)
        assert ours != ours if wanted is None else ours == pytest.approx(float(wanted), abs=1e-12)
    known = [float(value) for value in expected if value is not None]
    if known:
        ours = detection.mean_average_precision(found, boxes, labels, 2, threshold)
        assert ours == pytest.approx(sum(known) / len(known), abs=1e-12)


def test_average_precision_by_hand():
    """Two objects; the ranked detections are right, wrong, a duplicate, right."""
    truth = torch.tensor([[0.0, 0, 4, 4], [10.0, 0, 14, 4]])
    found = Detections(
        torch.tensor([[0.0, 0, 4, 4], [20.0, 0, 24, 4], [0.0, 0, 4, 3], [10.0, 0, 14, 4]]),
        torch.tensor([0.9, 0.8, 0.7, 0.6]),
        torch.zeros(4, dtype=torch.long),
    )
    curve = detection.precision_recall([found], [truth], [torch.zeros(2)], 0)
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 1 / 3, 2 / 4])
    assert curve.recall.tolist() == [0.5, 0.5, 0.5, 1.0] and curve.objects == 2
    assert detection.average_precision(curve) == pytest.approx(0.5 * 1 + 0.5 * 0.5)


def test_perfect_detections_have_an_average_precision_of_one():
    made = data.scenes(20, 32, seed=1)
    found = [Detections(b, torch.ones(len(b)), k) for b, k in zip(made.boxes, made.labels)]
    assert detection.mean_average_precision(found, made.boxes, made.labels, 3) == 1
    nothing = [Detections(b[:0], torch.zeros(0), k[:0]) for b, k in zip(made.boxes, made.labels)]
    assert detection.mean_average_precision(nothing, made.boxes, made.labels, 3) == 0


def test_bad_detections_are_refused():
    one, label = torch.tensor([[0.0, 0, 1, 1]]), torch.zeros(1, dtype=torch.long)
    good = Detections(one, torch.ones(1), label)
    for found, boxes, labels, options, message in (
        ([good], [one, one], [label], {}, "detections of 1 images, boxes of 2"),
        ([good._replace(scores=torch.ones(0))], [one], [label], {}, "1 boxes, but scores"),
        ([good._replace(labels=torch.ones(2))], [one], [label], {}, "1 boxes, but labels"),
        ([good], [one.flip(1)], [label], {}, "the true boxes.0. .* negative side"),
        ([good], [one], [label[:0]], {}, "give one label per box"),
        ([good], [one], [label], {"threshold": 0.0}, "threshold is 0.0"),
        ([good], [one[:0]], [label[:0]], {}, "no image has an object"),
    ):
        with pytest.raises(ValueError, match=message):
            detection.mean_average_precision(found, boxes, labels, 3, **options)


# --- the grid ------------------------------------------------------------------------------------


def test_targets_by_hand():
    boxes, labels = [torch.tensor([[8.0, 20.0, 24.0, 40.0]])], [torch.tensor([2])]
    target = detection.assign(boxes, labels, grid=6, image_size=48, num_classes=3)
    assert target.shape == (1, 8, 6, 6) and target[:, 4].sum() == 1
    # The center (16, 30) lies at the left border of column 2, and at 3/4 of row 3.
    assert target[0, :, 3, 2].tolist() == pytest.approx([0, 0.75, 1 / 3, 5 / 12, 1, 0, 0, 1])


def test_a_cell_keeps_the_first_of_two_centers():
    boxes = [torch.tensor([[0.0, 0, 6, 6], [1.0, 1, 7, 7]])]
    target = detection.assign(boxes, [torch.tensor([1, 0])], 4, 32, 2)
    assert target[:, 4].sum() == 1 and target[0, 5:, 0, 0].tolist() == [0, 1]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([3, 4, 6]))
def test_the_prediction_that_equals_its_target_is_decoded_to_the_truth(seed, grid):
    made = data.scenes(3, 48, seed=seed)
    target = detection.assign(made.boxes, made.labels, grid, 48, 3)
    ideal = torch.cat([target[:, :2], target[:, 2:4].sqrt(), target[:, 4:5]], 1)
    output = torch.cat([ideal, 0 * ideal, target[:, 5:]], 1)
    assert detection.grid_loss(output, target).total.item() < 1e-10
    kept = int(target[:, 4].sum())
    found = detection.detect(output, 3, 48, confidence=0.5, overlap=1.0)
    assert sum(len(image.boxes) for image in found) == kept
    for image, boxes, labels in zip(found, made.boxes, made.labels):
        for box, label in zip(image.boxes, image.labels):
            close = (boxes - box).abs().amax(1) < 1e-3
            assert close.any() and labels[close].tolist() == [label]


def loss_by_loops(output, target, coord, noobj):
    """Equation 3 of the paper with loops over images, cells and boxes."""
    n, _, grid, _ = output.shape
    classes = target.shape[1] - 5
    count = (output.shape[1] - classes) // 5
    terms = dict.fromkeys(("center", "size", "confident", "unsure", "classes"), 0.0)
    for i in range(n):
        for row in range(grid):
            for column in range(grid):
                cell, wanted = output[i, :, row, column], target[i, :, row, column]
                truth = torch.tensor(
                    [*(wanted[:2] + torch.tensor([column, row])) / grid, *wanted[2:4]]
                )
                ious = []
                for b in range(count):
                    x, y, w, h, _ = cell[5 * b : 5 * b + 5]
                    sides = [w.clamp(min=0) ** 2, h.clamp(min=0) ** 2]
                    box = torch.stack([(x + column) / grid, (y + row) / grid, *sides])
                    both = torchvision.ops.box_convert(torch.stack([box, truth]), "cxcywh", "xyxy")
                    ious.append(torchvision.ops.box_iou(both[:1], both[1:]).item())
                best = max(range(count), key=lambda b: ious[b])
                for b in range(count):
                    x, y, w, h, sure = cell[5 * b : 5 * b + 5]
                    if wanted[4] and b == best:
                        terms["center"] += coord * ((x - wanted[0]) ** 2 + (y - wanted[1]) ** 2)
                        roots = (w - wanted[2].sqrt()) ** 2 + (h - wanted[3].sqrt()) ** 2
                        terms["size"] += coord * roots
                        terms["confident"] += (sure - ious[b]) ** 2
                    else:
                        terms["unsure"] += noobj * sure**2
                if wanted[4]:
                    terms["classes"] += (cell[5 * count :] - wanted[5:]).square().sum()
    return {name: value / n for name, value in terms.items()}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_loss_is_the_papers_equation(count):
    made = data.scenes(4, 48, seed=3)
    target = detection.assign(made.boxes, made.labels, 4, 48, 3).double()
    g = torch.Generator().manual_seed(0)
    # Positive sides near the truth, so that some box of every object overlaps it.
    output = 0.4 + 0.3 * torch.rand(4, 5 * count + 3, 4, 4, generator=g, dtype=torch.float64)
    ours = detection.grid_loss(output, target, coord=4.0, noobj=0.3)
    for name, value in loss_by_loops(output, target, 4.0, 0.3).items():
        assert getattr(ours, name).item() == pytest.approx(float(value), rel=1e-9), name
    assert ours.total.item() == pytest.approx(sum(term.item() for term in ours))


def test_a_box_that_overlaps_nothing_still_learns():
    """Of two boxes without overlap the one with the closer numbers answers."""
    target = detection.assign([torch.tensor([[4.0, 4, 12, 12]])], [torch.tensor([0])], 1, 16, 1)
    output = torch.zeros(1, 11, 1, 1, requires_grad=True)
    with torch.no_grad():
        output[0, :4, 0, 0] = torch.tensor([5.0, 5.0, 0.1, 0.1])
        output[0, 5:9, 0, 0] = torch.tensor([2.0, 2.0, 0.1, 0.1])
    (gradient,) = torch.autograd.grad(detection.grid_loss(output, target).total, output)
    assert (gradient[0, :4] == 0).all() and (gradient[0, 5:9] != 0).all()


def test_the_overlap_in_the_loss_is_a_constant_for_the_gradient():
    made = data.scenes(2, 48, seed=4)
    target = detection.assign(made.boxes, made.labels, 4, 48, 3)
    output = torch.rand(2, 13, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(detection.grid_loss(output, target).confident, output)
    assert (gradient[:, [4, 9]] != 0).any()
    rest = [k for k in range(13) if k not in (4, 9)]
    assert (gradient[:, rest] == 0).all()


def test_bad_grids_are_refused():
    boxes, labels = [torch.tensor([[0.0, 0, 8, 8]])], [torch.tensor([0])]
    outside = [torch.tensor([[30.0, 0, 38, 8]])]
    for call, message in (
        (lambda: detection.assign(boxes, labels, 5, 32, 1), "does not divide .* 1, 2, 4, 8, 16"),
        (lambda: detection.assign(boxes, [torch.tensor([1])], 4, 32, 1), "a label is 1"),
        (lambda: detection.assign(outside, labels, 4, 32, 1), r"lies at \(34, 4\), outside"),
        (lambda: detection.assign([-boxes[0]], labels, 4, 32, 1), "negative side"),
        (lambda: detection.decode(torch.zeros(1, 12, 4, 4), 3, 32), "13 for B = 2"),
        (lambda: detection.decode(torch.zeros(1, 3, 4, 4), 3, 32), "has 3 channels"),
        (
            lambda: detection.grid_loss(torch.zeros(1, 13, 4, 4), torch.zeros(1, 8, 5, 5)),
            "batch and grid must be the same",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()


# --- generated scenes ----------------------------------------------------------------------------


def test_scenes_agree_with_their_masks():
    made = data.scenes(40, 48, objects=(1, 4), overlap=0.0, seed=5)
    assert made.images.shape == (40, 3, 48, 48) and made.masks.shape == (40, 48, 48)
    assert made.images.min() >= 0 and made.images.max() <= 1 and len(made) == 40
    counts = [len(boxes) for boxes in made.boxes]
    assert min(counts) >= 1 and max(counts) == 4
    for mask, boxes, labels in zip(made.masks, made.boxes, made.labels):
        assert set((labels + 1).tolist()) == set(mask.unique().tolist()) - {0}
        covered = torch.zeros_like(mask, dtype=torch.bool)
        for (left, top, right, bottom), label in zip(boxes.tolist(), labels.tolist()):
            rows, columns = slice(round(top), round(bottom)), slice(round(left), round(right))
            inside = mask[rows, columns]
            covered[rows, columns] = True
            share = (inside == label + 1).float().mean().item()
            # pi / 4 of its box, all of it, and half of it
            assert share == pytest.approx((0.785, 1.0, 0.5)[label], abs=0.12)
        assert not mask[~covered].any()


def test_the_same_seed_gives_the_same_scenes():
    state = torch.get_rng_state()
    first, again, other = (data.scenes(3, 32, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.images, again.images) and torch.equal(first.masks, again.masks)
    assert not torch.equal(first.images, other.images)


def test_boxes_overlap_no_more_than_allowed():
    made = data.scenes(60, 48, objects=(2, 5), overlap=0.2, seed=6)
    for boxes in made.boxes:
        assert boxes.min() >= 0 and boxes.max() <= 48
        low = torch.maximum(boxes[:, None, :2], boxes[:, :2])
        high = torch.minimum(boxes[:, None, 2:], boxes[:, 2:])
        both = (high - low).clamp(min=0).prod(-1).fill_diagonal_(0)
        areas = detection.box_area(boxes)
        assert (both <= 0.2 * torch.minimum(areas[:, None], areas) + 1e-3).all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n": 0}, "n must be 1 or more"),
        ({"size": 8}, "size 16 or more"),
        ({"objects": (3, 1)}, "objects is"),
        ({"sides": (0.5, 1.5)}, "sides is"),
        ({"sides": (0.01, 0.5)}, "at least 3 pixels"),
        ({"overlap": 1.5}, "overlap is 1.5"),
    ],
)
def test_impossible_scenes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        data.scenes(**{"n": 2, "size": 32} | options)
