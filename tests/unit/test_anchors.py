"""Anchors: their shapes, offsets and matches are torchvision's, and bad input is named."""

import math

import pytest
import torch
from torchvision.models.detection import _utils as theirs
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from resnorm import detection


def some_boxes(n, seed, size=40.0):
    g = torch.Generator().manual_seed(seed)
    corners = size * torch.rand(n, 2, 2, generator=g, dtype=torch.float64)
    return torch.cat([corners.amin(1), corners.amax(1) + 0.5], 1)


def test_anchors_are_the_default_boxes_of_ssd():
    generator = DefaultBoxGenerator([[2, 3]], scales=[0.3, 0.5], clip=False)
    images = ImageList(torch.zeros(1, 3, 48, 48), [(48, 48)])
    (wanted,) = generator(images, [torch.zeros(1, 1, 6, 6)])
    s, larger = 48 * 0.3, 48 * math.sqrt(0.3 * 0.5)
    shapes = [(s, s), (larger, larger)]
    for ratio in (2, 3):
        wide = (s * math.sqrt(ratio), s / math.sqrt(ratio))
        shapes += [wide, wide[::-1]]
    found = detection.anchor_boxes(6, 48, shapes)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_offsets_are_torchvisions_and_their_inverse_gives_the_boxes_back(seed):
    boxes, anchors = some_boxes(50, seed), some_boxes(50, seed + 10)
    offsets = detection.encode_offsets(boxes, anchors)
    coder = theirs.BoxCoder((1.0, 1.0, 1.0, 1.0), bbox_xform_clip=math.inf)
    torch.testing.assert_close(offsets, coder.encode_single(boxes, anchors))
    back = detection.decode_offsets(offsets, anchors)
    torch.testing.assert_close(back, boxes, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(back, coder.decode_single(offsets, anchors))
    zero = torch.zeros_like(anchors)
    torch.testing.assert_close(detection.decode_offsets(zero, anchors), anchors)


@pytest.mark.parametrize("seed", range(5))
def test_matches_are_those_of_torchvisions_ssd(seed):
    anchors, boxes = some_boxes(80, seed), some_boxes(6, seed + 20)
    found = detection.match_anchors(anchors, boxes, 0.4)
    wanted = theirs.SSDMatcher(0.4)(detection.box_iou(boxes, anchors))
    assert torch.equal(found, wanted)
    assert set(range(6)) <= set(found.tolist()) | {-1} and (found == -1).any()


def test_an_object_that_no_anchor_fits_gets_its_best_anchor():
    anchors = torch.tensor([[0.0, 0, 4, 4], [4, 0, 8, 4], [0, 4, 4, 8]])
    boxes = torch.tensor([[4.0, 1, 5, 2]])  # IoU 1/16 with the second
    assert detection.match_anchors(anchors, boxes).tolist() == [-1, 0, -1]
    assert detection.match_anchors(anchors, boxes[:0]).tolist() == [-1, -1, -1]


def test_bad_input_is_named():
    box = torch.tensor([[0.0, 0, 4, 4]])
    flat = torch.tensor([[0.0, 0, 4, 0]])
    with pytest.raises(ValueError, match="at least one cell and one shape"):
        detection.anchor_boxes(6, 48, [])
    with pytest.raises(ValueError, match="above 0 in pixels"):
        detection.anchor_boxes(6, 48, [(3.0, -1.0)])
    with pytest.raises(ValueError, match="boxes has a side of length 0"):
        detection.encode_offsets(flat, box)
    with pytest.raises(ValueError, match="each row needs an anchor"):
        detection.decode_offsets(torch.zeros(2, 4), box)
    with pytest.raises(ValueError, match="negative side"):
        detection.encode_offsets(box[:, [2, 1, 0, 3]], box)
    with pytest.raises(ValueError, match="threshold is 0; it is an IoU"):
        detection.match_anchors(box, box, 0)
    with pytest.raises(ValueError, match="there are no anchors"):
        detection.match_anchors(box[:0], box)
