"""The recorded runs of chapters 3.7 and 3.8 on blocks and boxes: what they train and measure."""

import pytest
import torch

from resnorm import data, detection, ledger, probes
from resnorm.experiments import generated_blocks, generated_boxes, neighbors

TINY = generated_boxes.Recipe(steps=3, batch_size=2)


def scenes_of(n, seed):
    return data.scenes(n, 48, seed=seed, **generated_boxes.WORLD)


def empty_record(name):
    return ledger.open_record(None, name, "none", "none", {})


def test_mirrored_boxes_lie_on_the_mirrored_objects():
    scenes = scenes_of(4, 0)
    both = generated_boxes.mirrored(scenes)
    assert len(both) == 8 and both.source == scenes.source
    for mask, boxes in zip(both.masks, both.boxes):
        rows, columns = mask.nonzero().unbind(1)
        low, high = boxes[:, :2].amin(0), boxes[:, 2:].amax(0)
        assert columns.min() >= low[0] - 1 and columns.max() <= high[0] + 1
        assert rows.min() >= low[1] - 1 and rows.max() <= high[1] + 1


def test_the_centers_of_a_pair_share_a_cell_at_one_place_only():
    for place in generated_boxes.PAIR_PLACES:
        pairs, alone = neighbors.close_pairs(place, 12)
        assert len(alone) == 2 * len(pairs) > 6
        for boxes, labels in zip(pairs.boxes, pairs.labels):
            first, second = (detection.to_centers(boxes)[:, :2] // 8).tolist()
            assert (first == second) == (place == 16) and labels[0] != labels[1]
        over = alone.masks[1::2] > 0
        assert torch.equal(pairs.masks[over], alone.masks[1::2][over])
        assert torch.equal(pairs.masks[~over], alone.masks[::2][~over])


def test_both_objects_count_only_if_both_are_found():
    pairs, _ = neighbors.close_pairs(15, 12)
    ones = [torch.ones(2) for _ in pairs.boxes]
    perfect = [detection.Detections(*each) for each in zip(pairs.boxes, ones, pairs.labels)]
    assert neighbors.both_found(perfect, pairs) == 1.0
    half = [detection.Detections(*(part[:1] for part in one)) for one in perfect]
    assert neighbors.both_found(half, pairs) == 0.0
    none = [detection.Detections(*(part[:0] for part in one)) for one in perfect]
    assert neighbors.both_found(none, pairs) == 0.0


@pytest.mark.parametrize("shapes", (0, 1, 4))
def test_a_head_trains_repeatably_and_is_recorded(shapes):
    arm = generated_boxes.Arm(shapes, 0.01)
    parts = generated_boxes.PageData(*(scenes_of(n, n) for n in (5, 3, 4)))
    state = torch.get_rng_state()
    first, second = (
        generated_boxes.train_one(arm, parts.training, seed=1, recipe=TINY) for _ in range(2)
    )
    assert torch.equal(state, torch.get_rng_state()) and not first.training
    for a, b in zip(first.parameters(), second.parameters()):
        assert torch.equal(a, b)
    record = empty_record("boxes-generated")
    generated_boxes.run(record, parts, [0], {"a": arm}, recipe=TINY)
    (run,) = record.runs
    assert run["results"]["steps"] == 3 and 0 <= run["results"]["both found at 16"] <= 1


def test_boxes_stay_on_the_cpu():
    with pytest.raises(ValueError, match="add --device cpu"):
        generated_boxes.PageData(*(scenes_of(1, n) for n in range(3))).to("meta")


def test_blocks_are_as_wide_as_their_arithmetic_allows():
    x = torch.zeros(1, 3, 16, 16)
    for kind, width in generated_blocks.WIDTHS.items():
        this, wider = (
            probes.multiply_adds(generated_blocks.Trial(kind, c), x) for c in (width, width + 1)
        )
        assert this <= 170_000 < wider, kind


def test_the_last_activation_is_all_that_differs():
    x = torch.randn(2, 3, 16, 16)
    for kind in generated_blocks.WIDTHS:
        relu, linear = (generated_blocks.Trial(kind, 8, flag).eval() for flag in (False, True))
        linear.load_state_dict(relu.state_dict())
        assert not torch.equal(relu(x), linear(x))
        linear.last = torch.nn.ReLU()
        assert torch.equal(relu(x), linear(x))


def test_held_out_images_are_not_trained_on():
    recipe = generated_blocks.Recipe(steps=2, batch_size=4)
    images = generated_blocks.page_data(recipe)
    arm = generated_blocks.Arm("plain", False, 0.01)
    first = generated_blocks.train_one(arm, images, recipe=recipe)
    images.train_images[-generated_blocks.HELD_OUT :] = float("nan")
    second = generated_blocks.train_one(arm, images, recipe=recipe)
    for a, b in zip(first.state_dict().values(), second.state_dict().values()):
        assert torch.equal(a, b)
    record = empty_record("blocks-generated")
    data_ = generated_blocks.page_data(recipe)
    generated_blocks.run(record, data_, [0], {"a": arm}, recipe=recipe)
    assert record.runs[0]["results"].keys() == {"validation accuracy", "test error", "steps"}
