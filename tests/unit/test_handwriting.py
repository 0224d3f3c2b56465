"""Generated digits, and the strokes that they are drawn with."""

import pytest
import torch

from resnorm import data
from resnorm.data.drawing import distance_to_segment, pixel_grid


def test_digits_have_the_shapes_and_the_labels_of_the_mnist_task():
    made = data.digits(train=200, test=30, size=28, seed=3)
    assert made.train_images.shape == (200, 1, 28, 28)
    assert made.test_images.shape == (30, 1, 28, 28)
    assert made.train_images.dtype == torch.float32
    assert set(made.train_labels.tolist()) == set(range(10))
    assert "generated" in made.source


def test_the_seed_decides_everything():
    first, again = data.digits(20, 5, seed=1), data.digits(20, 5, seed=1)
    torch.testing.assert_close(first.train_images, again.train_images, rtol=0, atol=0)
    assert not torch.equal(first.train_images, data.digits(20, 5, seed=2).train_images)


def test_without_noise_there_is_ink_on_an_empty_ground():
    images = data.digits(100, 1, noise=0.0).train_images
    assert images.min() == 0
    assert images.max() <= 1
    ink = images.flatten(1).mean(1)
    assert ink.min() > 0.01
    assert ink.max() < 0.4
    border = torch.ones(32, 32, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert (images[:, 0, border] > 0).any(1).float().mean() < 0.1  # few strokes are cut off


def test_noise_has_the_standard_deviation_asked_for():
    clean = data.digits(50, 1, noise=0.0, seed=4).train_images
    noisy = data.digits(50, 1, noise=0.25, seed=4).train_images
    assert abs(float((noisy - clean).std()) - 0.25) < 0.01


def test_two_images_of_a_digit_differ_and_yet_resemble_each_other():
    made = data.digits(600, 1, noise=0.0)
    blurred = torch.nn.functional.avg_pool2d(made.train_images, 4).flatten(1)
    means = torch.stack([blurred[made.train_labels == digit].mean(0) for digit in range(10)])
    nearest = torch.cdist(blurred, means).argmin(1)
    agreement = (nearest == made.train_labels).float().mean()
    assert 0.4 < agreement < 0.95  # a nearest mean does better than chance, and is not enough
    for digit in range(10):
        same = made.train_images[made.train_labels == digit]
        assert (same[0] - same[1]).abs().max() > 0.5


@pytest.mark.parametrize("wrong", [{"train": 0}, {"test": 0}, {"size": 15}])
def test_a_number_that_is_too_small_is_named(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{name}={value}.*must be 16 or more"):
        data.digits(**{"train": 4, "test": 4} | wrong)


def test_distances_from_a_stroke():
    start, end = torch.tensor([[2.0, 1.0]]), torch.tensor([[2.0, 5.0]])
    distance = distance_to_segment(pixel_grid(8), start, end)[0]
    assert distance.shape == (8, 8)
    assert distance[2, 3] == 0
    assert distance[4, 3] == 2
    assert distance[2, 7] == 2  # beyond the end
    torch.testing.assert_close(distance[5, 5], torch.tensor(3.0))


def test_a_stroke_without_length_is_a_point():
    point = torch.tensor([[3.0, 3.0]])
    distance = distance_to_segment(pixel_grid(6), point, point)[0]
    torch.testing.assert_close(distance, (pixel_grid(6) - 3).norm(dim=-1))
