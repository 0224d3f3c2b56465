"""The layer with noise, and the experiment with it: what it trains and measures.

Chapter 2.4 asserts the finding over five seeds.
"""

import pytest
import torch
from torch import nn

from resnorm import data, norms
from resnorm.experiments import noisy_batch_norm


def noisy(channels=5, **kwargs):
    return norms.NoisyBatchNorm2d(channels, generator=torch.Generator().manual_seed(0), **kwargs)


def test_without_noise_it_is_batch_norm():
    torch.manual_seed(0)
    x = torch.randn(8, 5, 3, 3, dtype=torch.float64)
    silent = noisy(
        shift_range=0, scale_range=1, example_shift=0, example_scale=0, dtype=torch.float64
    )
    plain = norms.BatchNorm2d(5, dtype=torch.float64)
    for mode in (True, False):
        silent.train(mode), plain.train(mode)
        torch.testing.assert_close(silent(x), plain(x))
    assert silent.state_dict().keys() == plain.state_dict().keys()


def test_noise_is_new_at_every_step_shared_by_positions_and_drawn_per_example():
    torch.manual_seed(0)
    x, layer = torch.randn(8, 5, 4, 4), noisy()
    first, second = layer(x), layer(x)
    assert not torch.allclose(first, second)
    clean = norms.BatchNorm2d(5)(x)
    # There is one scale and one shift for each example and channel. Two positions determine them,
    # and the others agree.
    a, b, c = (t.flatten(2)[..., :3].unbind(-1) for t in (first, clean, clean))
    scale = (a[0] - a[1]) / (b[0] - b[1])
    shift = a[0] - scale * b[0]
    torch.testing.assert_close(a[2], scale * c[2] + shift, rtol=1e-3, atol=1e-3)
    assert scale.std(0).min() > 0.03 and shift.std(0).min() > 0.01
    assert shift.abs().max() <= 0.6 + 1e-3  # shift_range + example_shift


def test_noise_without_batch_norm_is_the_same_noise():
    x = torch.randn(8, 5, 4, 4)
    noise = norms.ChannelNoise2d(5, generator=torch.Generator().manual_seed(0))
    clean = norms.BatchNorm2d(5)(x)
    torch.testing.assert_close(noise(clean), noisy()(x))
    assert not noise.state_dict() and not torch.equal(noise(x), noise(x))
    torch.testing.assert_close(noise.eval()(x), 1.125 * x)
    with pytest.raises(ValueError, match="scale_range must be 1 or more"):
        norms.ChannelNoise2d(5, scale_range=0.5)


def test_evaluation_has_the_mean_of_the_noise():
    torch.manual_seed(0)
    layer = noisy(scale_range=1.5)
    x = torch.randn(4, 5, 2, 2)
    mean = torch.stack([layer(x) for _ in range(2000)]).mean(0)
    torch.testing.assert_close(mean, 1.25 * norms.BatchNorm2d(5)(x), rtol=0, atol=0.05)
    new = noisy(scale_range=1.5).eval()
    torch.testing.assert_close(new(x), 1.25 * norms.BatchNorm2d(5).eval()(x))


@pytest.mark.parametrize(
    "kwargs", [{"scale_range": 0.9}, {"shift_range": -1}, {"example_scale": -0.1}]
)
def test_ranges_are_checked(kwargs):
    with pytest.raises(ValueError, match="scale_range must be 1 or more"):
        noisy(**kwargs)


def test_unknown_arm():
    with pytest.raises(ValueError, match="noisy batch norm"):
        noisy_batch_norm.train_arm("batchnorm", data.synthetic(train=64, test=16, size=8), lr=0.1)


def test_runs_repeat_and_leave_the_global_generator_alone():
    small = data.synthetic(train=128, test=16, size=8)
    state = torch.get_rng_state()
    runs = [
        noisy_batch_norm.train_arm("noisy batch norm", small, lr=0.1, epochs=1) for _ in range(2)
    ]
    assert torch.equal(state, torch.get_rng_state())
    assert runs[0].losses == runs[1].losses
    assert runs[0].means.shape == (2, 6, 32) and runs[0].means[:, :2, 8:].isnan().all()
    assert runs[0].steps_to(0.0) is None and runs[0].steps_to(1e9, window=2) == 2


def run_of(losses=(), diverged=False, means=(), stds=()):
    moments = (torch.tensor(values).float().reshape(-1, 1, 2) for values in (means, stds))
    return noisy_batch_norm.Run("no norm", 0.1, 0, list(losses), diverged, *moments, nn.Identity())


def test_the_final_loss_and_the_steps_to_a_loss_are_means_of_several():
    run = run_of([4.0, 2.0, 3.0, 1.0, 1.0])
    assert run.final_loss(steps=2) == 1.0 and run.final_loss(steps=5) == 2.2
    assert run.steps_to(2.5, window=2) == 3 and run.steps_to(1.0, window=1) == 4
    assert run.steps_to(0.9, window=1) is None
    assert run_of([4.0, 2.0], diverged=True).final_loss(steps=2) == float("inf")


def test_the_shift_is_the_distance_between_steps_in_standard_deviations():
    # The first channel moves by (3, 4), at a mean standard deviation of 6; the second is padding.
    nan = float("nan")
    run = run_of(means=[[9, nan], [0, nan], [3, nan]], stds=[[9, nan], [4, nan], [8, nan]])
    assert run.shift(skip=1) == pytest.approx(5 / 6)
    assert run.shift(skip=0) != pytest.approx(5 / 6)


def test_moments_are_those_of_what_enters_each_relu():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.ReLU())
    moments, x = noisy_batch_norm.Moments(4), torch.randn(5, 3, 7, 7)
    with moments.watch(model), torch.no_grad():
        model(x)
        model(2 * x)
    model(x)  # no longer watched
    means, stds = moments.stacked()
    assert means.shape == stds.shape == (2, 2, 4)
    entering = model[:3](2 * x).detach().movedim(1, 0).flatten(1)
    torch.testing.assert_close(means[1, 1, :2], entering.mean(1))
    torch.testing.assert_close(stds[1, 1, :2], entering.std(1, correction=0))
    assert means[:, 1, 2:].isnan().all() and means[:, 0].isfinite().all()
    assert noisy_batch_norm.Moments(4).stacked()[0].shape == (0, 0, 4)


def test_the_two_arms_with_batch_norm_start_from_the_same_convolutions():
    small = data.synthetic(train=64, test=16, size=8)
    first = []

    def weights(step, model):
        first.append([p for p in model.parameters() if p.ndim == 4])

    for arm in ("batch norm", "noisy batch norm"):
        noisy_batch_norm.train_arm(arm, small, lr=0.0, epochs=1, watch=False, after_step=weights)
    batch, noisy = first  # one step each
    assert all(torch.equal(a, b) for a, b in zip(batch, noisy, strict=True))


def test_noise_is_drawn_where_the_activations_are():
    """On another device, here the one without numbers, nothing of the CPU's generator is used."""
    state = torch.get_rng_state()
    with torch.device("meta"):
        layer, x = norms.NoisyBatchNorm2d(3), torch.randn(4, 3, 2, 2)
    assert layer(x).device.type == "meta" and torch.equal(torch.get_rng_state(), state)
    layer(x).sum()
    noise = norms.ChannelNoise2d(3, generator=torch.Generator().manual_seed(0))
    first = noise(torch.ones(4, 3, 2, 2))
    noise.generator.manual_seed(0)
    assert torch.equal(noise(torch.ones(4, 3, 2, 2)), first)
