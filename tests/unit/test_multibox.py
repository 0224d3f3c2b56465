"""A head with anchors: loss and decoding are those of torchvision's SSD, and bad input is named."""

from types import SimpleNamespace

import pytest
import torch
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.ssd import SSD
from torchvision.ops import batched_nms

from resnorm import data, detection

SHAPES = [(14.0, 14.0), (20.0, 10.0)]
ANCHORS = detection.anchor_boxes(6, 48, SHAPES)
SCENES = data.scenes(6, 48, seed=3)
MATCHES = [detection.match_anchors(ANCHORS, boxes) for boxes in SCENES.boxes]


def some_output(seed):
    return torch.randn(6, 2 * 8, 6, 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_that_of_torchvisions_ssd(seed):
    output = some_output(seed)
    scores, offsets = detection.split_per_anchor(output, 2)
    theirs = SSD.compute_loss(
        SimpleNamespace(
            box_coder=BoxCoder(list(detection.multibox.OFFSET_SCALE)), neg_to_pos_ratio=3
        ),
        [{"boxes": b, "labels": k + 1} for b, k in zip(SCENES.boxes, SCENES.labels)],
        {"bbox_regression": offsets, "cls_logits": scores},
        [ANCHORS] * 6,
        MATCHES,
    )
    target = detection.anchor_targets(SCENES.boxes, SCENES.labels, ANCHORS)
    torch.testing.assert_close(detection.anchor_loss(output, target, 2), sum(theirs.values()))


def test_channels_belong_to_the_anchor_in_whose_order_they_stand():
    output = torch.zeros(1, 16, 6, 6)
    output[0, 8 + 2, 4, 1] = 7.0  # second shape, third class score, row 4, column 1
    scores, offsets = detection.split_per_anchor(output, 2)
    assert scores.shape == (1, 72, 4) and offsets.shape == (1, 72, 4)
    assert scores[0, 2 * (4 * 6 + 1) + 1, 2] == 7 and scores.sum() == 7


def test_a_perfect_prediction_is_decoded_into_the_scene():
    target = detection.anchor_targets(SCENES.boxes, SCENES.labels, ANCHORS)
    scores = 20 * torch.nn.functional.one_hot(target[..., 0].long(), 4).float()
    numbers = torch.cat([scores, target[..., 1:]], -1)  # (N, 72, 8)
    output = numbers.unflatten(1, (6, 6, 2)).permute(0, 3, 4, 1, 2).flatten(1, 2)
    assert detection.anchor_loss(output, target, 2) < 1e-6
    found = detection.detect_by_anchors(output, ANCHORS, 2, 48, 0.9)
    assert detection.mean_average_precision(found, SCENES.boxes, SCENES.labels, 3, 0.95) == 1.0


def test_decoding_is_that_of_torchvision():
    output = some_output(7)
    scores, offsets = detection.split_per_anchor(output, 2)
    coder = BoxCoder(list(detection.multibox.OFFSET_SCALE))
    for i, found in enumerate(detection.detect_by_anchors(output, ANCHORS, 2, 48, 0.3)):
        best, labels = scores[i].softmax(-1)[:, 1:].max(-1)
        sure = best >= 0.3
        boxes = coder.decode_single(offsets[i], ANCHORS).clamp(0, 48)[sure]
        kept = batched_nms(boxes, best[sure], labels[sure], 0.5)
        torch.testing.assert_close(found.boxes, boxes[kept], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.scores, best[sure][kept])
        assert torch.equal(found.labels, labels[sure][kept])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="15 channels for 2 anchors per cell"):
        detection.split_per_anchor(torch.zeros(1, 15, 6, 6), 2)
    with pytest.raises(ValueError, match="1 boxes and 2 labels"):
        detection.anchor_targets([torch.tensor([[0.0, 0, 9, 9]])], [torch.tensor([0, 1])], ANCHORS)
