"""The layer with noise, and the finding of chapter 2.4: unsteady distributions, fast training."""

import statistics

import pytest
import torch
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
    # Each example and channel has one scale and one shift. Two positions determine them, and the
    # other positions must agree.
    a, b, c = (t.flatten(2)[..., :3].unbind(-1) for t in (first, clean, clean))
    scale = (a[0] - a[1]) / (b[0] - b[1])
    shift = a[0] - scale * b[0]
    torch.testing.assert_close(a[2], scale * c[2] + shift, rtol=1e-3, atol=1e-3)
    assert scale.std(0).min() > 0.03 and shift.std(0).min() > 0.01
    assert shift.abs().max() <= 0.6 + 1e-3  # shift_range + example_shift


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


@pytest.mark.timeout(120)
def test_noise_shifts_distributions_more_than_no_norm_and_still_trains_fast():
    """Five seeds; the margins are the chapter's."""
    settings = {
        "none": ("no norm", 0.1),
        "none, small steps": ("no norm", 0.01),
        "clean": ("batch norm", 0.1),
        "noisy": ("noisy batch norm", 0.1),
    }
    runs = noisy_batch_norm.compare(data.synthetic(size=12, test=512), settings)
    loss, shift = (
        {name: statistics.mean(measure(r) for r in group) for name, group in runs.items()}
        for measure in (noisy_batch_norm.Run.final_loss, noisy_batch_norm.Run.shift)
    )
    assert shift["noisy"] > max(
        shift["none"], shift["none, small steps"]
    )  # less steady than without norm
    assert shift["clean"] < 0.1 * shift["none, small steps"]
    assert loss["noisy"] < loss["clean"] + 0.5  # and yet it trains as batch norm does
    assert min(loss["none"], loss["none, small steps"]) > loss["noisy"] + 0.7
    reached = [r.steps_to(1.0) for r in runs["noisy"]]
    assert None not in reached
    assert statistics.mean(reached) < 1.5 * statistics.mean(r.steps_to(1.0) for r in runs["clean"])
    assert all(
        r.steps_to(1.0) is None for name in ("none", "none, small steps") for r in runs[name]
    )
