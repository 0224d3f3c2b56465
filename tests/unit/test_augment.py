"""Augmentation of batches: what moves, what stays, in which proportion."""

import numpy as np
import pytest
import torch

from resnorm import augment


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def ramp(n=64, size=8):
    """Each pixel has a value of its own."""
    return torch.arange(1, n * 3 * size * size + 1, dtype=torch.float32).view(n, 3, size, size)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_half_of_the_images_are_mirrored_whole(dtype):
    images = torch.randint(0, 255, (400, 3, 5, 5), generator=generator()).to(dtype)
    out = augment.random_flip(images, generator(1))
    same, mirrored = ((out == other).flatten(1).all(1) for other in (images, images.flip(3)))
    assert (same | mirrored).all() and 160 < mirrored.sum() < 240
    assert torch.equal(out, augment.random_flip(images, generator(1)))


def test_a_crop_is_a_window_of_the_padded_image():
    images, padding = ramp(), 2
    out = augment.random_crop(images, padding, generator())
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    offsets = set()
    for image, source in zip(out, padded, strict=True):
        found = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if torch.equal(source[:, i : i + 8, j : j + 8], image)
        ]
        assert len(found) == 1  # one window, the same for all channels
        offsets.add(found[0])
    assert len(offsets) > 15  # of 25: images move by themselves
    assert torch.equal(augment.random_crop(images, 0, generator()), images)
    assert (augment.random_crop(images, 2, generator(), mode="reflect") > 0).all()
    with pytest.raises(ValueError, match="0 or more"):
        augment.random_crop(images, -1, generator())


def test_cutout_takes_a_square_that_the_border_may_clip():
    out = augment.cutout(torch.ones(300, 3, 16, 16), 6, generator())
    holes = (out[:, 0] == 0).flatten(1).sum(1)
    assert torch.equal(out[:, 0], out[:, 2]) and holes.max() == 36 and 9 <= holes.min() < 36


def test_mixup_mixes_images_and_labels_alike():
    images, labels = torch.eye(6).view(6, 1, 1, 6), torch.arange(6)  # the image says its label
    mixed, soft = augment.mixup(images, labels, 6, generator(), alpha=1.0)
    torch.testing.assert_close(mixed.view(6, 6), soft)
    torch.testing.assert_close(soft.sum(1), torch.ones(6))


@pytest.mark.parametrize("mix", [augment.mixup, augment.cutmix])
@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int16])
def test_class_numbers_may_be_integers_of_any_type(mix, dtype):
    images, labels = torch.randn(6, 3, 8, 8, generator=generator()), torch.arange(6)
    expected_images, expected_soft = mix(images, labels, 6, generator(1))
    found_images, soft = mix(images, labels.to(dtype), 6, generator(1))
    assert torch.equal(found_images, expected_images) and torch.equal(soft, expected_soft)
    again = mix(images, soft, 6, generator(1))[1]  # soft labels can be mixed once more
    assert again.shape == (6, 6)


@pytest.mark.parametrize("mix", [augment.mixup, augment.cutmix])
@pytest.mark.parametrize(
    "labels",
    [torch.arange(6.0), torch.ones(6, 5), torch.eye(6, dtype=torch.int64), torch.tensor(1)],
)
def test_labels_that_are_neither_numbers_nor_shares_of_classes_are_refused(mix, labels):
    with pytest.raises(ValueError, match=r"labels are .* of torch.*integers \(N,\), .*\(N, 6\)"):
        mix(torch.zeros(6, 3, 8, 8), labels, 6, generator())


def test_the_lambda_of_mixup_is_beta():
    images, labels = torch.eye(9).view(9, 1, 1, 9), torch.arange(9)

    def drawn(seed):  # the diagonal holds lambda, or 1 where an image is its own partner
        return augment.mixup(images, labels, 9, generator(seed))[0].view(9, 9).diag().min().item()

    lams = np.array([drawn(seed) for seed in range(800)])
    expected = np.random.default_rng(0).beta(0.2, 0.2, 100_000)
    assert lams.mean() == pytest.approx(0.5, abs=0.05)
    extreme, expected_extreme = (np.mean(np.minimum(v, 1 - v) < 0.01) for v in (lams, expected))
    assert extreme == pytest.approx(expected_extreme, abs=0.06)
    for mix in (augment.mixup, augment.cutmix):
        with pytest.raises(ValueError, match="alpha is 0; it must be positive"):
            mix(images, labels, 9, generator(), alpha=0)


def test_cutmix_counts_the_area_that_is_pasted():
    labels = torch.arange(5)
    images = labels.float().view(5, 1, 1, 1).expand(5, 1, 12, 12)
    shares = []
    for seed in range(200):
        mixed, soft = augment.cutmix(images, labels, 5, generator(seed))
        for image, target in zip(mixed, soft, strict=True):
            counted = torch.bincount(image.flatten().long(), minlength=5) / 144
            torch.testing.assert_close(counted, target)
        shares.append(soft.max().item())
    assert np.std(shares) > 0.1


def test_the_recipe_of_he_et_al_keeps_labels():
    labels = torch.arange(64)
    images, kept = augment.crop_and_flip(2)(ramp(), labels, generator())
    assert images.shape == (64, 3, 8, 8) and kept is labels


def test_cutout_of_no_size_is_refused():
    with pytest.raises(ValueError, match="size is 0; it must be 1 or more"):
        augment.cutout(ramp(), 0, generator())


def test_rand_augment_is_seeded_and_keeps_the_scale_of_the_images():
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    pixels = torch.randint(0, 256, (12, 3, 16, 16), generator=generator()) / 255
    m, s = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
    images, labels = (pixels - m) / s, torch.arange(12)
    changing, torch_state = augment.rand_augment(2, 9, mean, std), torch.get_rng_state()
    out, kept = changing(images, labels, generator(3))
    assert kept is labels and out.shape == images.shape and out.dtype == images.dtype
    assert torch.equal(out, changing(images, labels, generator(3))[0])
    assert not torch.equal(out, changing(images, labels, generator(4))[0])
    assert torch.equal(torch.get_rng_state(), torch_state)  # nobody else's draws change
    back = out * s + m
    assert back.min() > -1e-5 and back.max() < 1 + 1e-5
    assert (out - images).flatten(1).abs().amax(1).gt(0.1).sum() > 6


@pytest.mark.parametrize("arguments", [(0, 9), (2, -1), (2, 31)])
def test_rand_augment_refuses_what_is_out_of_range(arguments):
    with pytest.raises(ValueError, match="num_ops must be 1 or more, magnitude from 0 to 30"):
        augment.rand_augment(*arguments)


def test_compose_applies_one_after_the_other_with_one_generator():
    labels = torch.arange(64)
    both = augment.compose(augment.crop_and_flip(2), lambda x, y, g: (x + 1, y + 1))
    images, changed = both(ramp(), labels, generator())
    expected, _ = augment.crop_and_flip(2)(ramp(), labels, generator())
    assert torch.equal(images, expected + 1) and torch.equal(changed, labels + 1)
