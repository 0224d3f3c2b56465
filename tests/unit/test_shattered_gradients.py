"""Shattered gradients: the orderings and decays of chapter 1.3, over draws of the weights."""

import math

import pytest
import torch
from resnorm.experiments import shattered_gradients as shattered
from resnorm.models import MLP
from resnorm.probes import input_gradients

LAGS = [1, 5, 15]


@pytest.fixture(scope="module")
def acf():
    networks = {
        "plain-50": ("plain", 50),
        "plain-24": ("plain", 24),
        "residual": ("residual_scaled", 24),
        "shallow": ("plain", 2),
    }
    return {
        name: shattered.autocorrelations(*net, range(100, 200), 15)[:, LAGS]
        for name, net in networks.items()
    }


@pytest.mark.parametrize("i", range(3), ids=[f"lag{lag}" for lag in LAGS])
def test_deeper_plain_networks_decorrelate_faster_and_skips_slow_it_down(acf, i):
    order = ["plain-50", "plain-24", "residual", "shallow"]
    means = [acf[name][:, i].mean().item() for name in order]
    errors = [acf[name][:, i].std().item() / math.sqrt(100) for name in order]
    for low, high, a, b in zip(means, means[1:], errors, errors[1:]):
        assert high - low > math.hypot(a, b), (means, errors)  # apart by more than a standard error


def test_batch_norm_without_skips_makes_white_noise_and_with_skips_does_not():
    plain = shattered.autocorrelations("plain_batch_norm", 24, range(20), 15)[:, LAGS]
    residual = shattered.autocorrelations("residual_batch_norm", 24, range(20), 15)[:, LAGS]
    assert (plain.mean(0).abs() < 0.05).all()
    assert residual.mean(0)[0] > 0.6 and residual.mean(0)[1] > 0.15


def test_without_biases_the_gradient_has_two_values():
    series = shattered.gradient_along_line("plain", 24, seed=1, bias_std=0.0)
    low, high = series[:128], series[128:]
    torch.testing.assert_close(low, low[:1].expand(128), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(high, high[:1].expand(128), rtol=1e-3, atol=1e-6)


def test_decay_at_independent_inputs_is_one_half_and_three_quarters_where_the_assumption_holds():
    for seeds in (range(100, 112), range(200, 212)):
        plain = shattered.cosines("plain_batch_norm", [1, 2, 3, 4, 6], seeds)
        assert abs(shattered.fitted_decay([1, 2, 3, 4, 6], plain.mean(0)) / 0.5 - 1) < 0.1
        residual = shattered.cosines("residual", [1, 2, 3], seeds)
        assert abs(shattered.fitted_decay([1, 2, 3], residual.mean(0)) / 0.75 - 1) < 0.1
        assert plain.std(0).max() < 0.06 and residual.std(0).max() < 0.06


def test_where_it_fails_co_firing_has_risen():
    deep = [1, 2, 3, 4, 6, 8, 12]
    slow = shattered.cosines("plain", deep, range(100, 106)).mean(0)
    assert shattered.fitted_decay(deep, slow) > 0.6
    firing, together = shattered.firing("plain", 12, 100)
    assert together[0] == pytest.approx(0.25, abs=0.01) and together[-1] > 0.33
    _, together = shattered.firing("plain_batch_norm", 12, 100)
    assert (together - 0.25).abs().max() < 0.01


def test_firing_counts_pairs_of_different_inputs():
    width, inputs = 7, 5
    firing, together = shattered.firing("plain", 1, 3, width=width, inputs=inputs)
    g = torch.Generator().manual_seed(3)
    x = torch.randn(inputs, width, generator=g)
    on = MLP(width, width, 1, generator=g).embed(x) > 0
    pairs = [
        (on[i] & on[j]).double().mean() for i in range(inputs) for j in range(inputs) if i != j
    ]
    assert firing[0] == pytest.approx(on.double().mean().item())
    assert together[0] == pytest.approx(torch.stack(pairs).mean().item())


def test_the_gradient_along_the_line_is_dy_dx():
    g = torch.Generator().manual_seed(4)
    model = MLP(1, 200, 3, "plain", "he", shattered.BIAS_STD, generator=g).double()
    expected = input_gradients(model, shattered.LINE.double()).squeeze(1).float()
    torch.testing.assert_close(
        shattered.gradient_along_line("plain", 3, 4), expected, rtol=1e-3, atol=1e-4
    )


def test_the_embedding_of_a_residual_network_keeps_the_second_moment():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(64, 512, generator=g)
    assert MLP(512, 512, 1, "residual", generator=g).embed(
        x
    ).square().mean().item() == pytest.approx(1, rel=0.05)


def test_fitted_decay():
    assert shattered.fitted_decay([1, 2, 3], torch.tensor([0.5, 0.25, 0.125])) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="positive values"):
        shattered.fitted_decay([1, 2], torch.tensor([0.5, -0.1]))
