"""The classification error: one class number per image, and a NaN is no answer."""

import pytest
import torch
from torch import nn

from resnorm import data, train

SCORES = torch.eye(4)


@pytest.mark.parametrize(
    "labels",
    [
        torch.arange(4).view(4, 1),
        torch.eye(4, dtype=torch.int64),
        torch.zeros(4, 3, 3, dtype=torch.int64),
        torch.arange(3),
    ],
    ids=["a column", "one-hot", "a class per pixel", "one too few"],
)
def test_labels_that_are_no_class_numbers_are_refused(labels):
    with pytest.raises(ValueError, match=r"labels have shape .* 4 images have \(4,\) class"):
        train.error(nn.Identity(), SCORES, labels)


@pytest.mark.parametrize("shape", [(4,), (4, 2, 2), (2, 2)])
def test_scores_of_another_shape_are_refused(shape):
    class Reshaped(nn.Module):
        def forward(self, x):
            return torch.zeros(shape)

    with pytest.raises(ValueError, match="a classifier returns"):
        train.error(Reshaped(), SCORES, torch.arange(4))


@pytest.mark.parametrize("rows, expected", [([0], 25), ([1, 2], 50), ([0, 1, 2, 3], 100)])
def test_a_nan_is_a_wrong_answer(rows, expected):
    scores = SCORES.clone()
    assert train.error(nn.Identity(), scores, torch.arange(4)) == 0
    scores[rows] = float("nan")
    assert train.error(nn.Identity(), scores, torch.arange(4)) == expected


@pytest.mark.parametrize("height, width", [(4, 8), (8, 4), (4, 4)])
def test_progressive_resizing_looks_at_both_sides(height, width):
    seen = []
    images, labels = torch.randn(4, 3, height, width), torch.zeros(4, dtype=torch.int64)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    model[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-2:]))
    split = data.ImageDataset(images, labels, images, labels, "noise")
    train.fit(model, split, epochs=1, batch_size=4, image_size=lambda p: 8, evaluate=False)
    assert seen == [(8, 8)]
