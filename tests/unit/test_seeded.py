"""Networks that come from a seed, and the choice of an arm by its name."""

import pytest
import torch
from torch import nn

from resnorm import data
from resnorm.experiments import choice, seeded


@pytest.fixture(scope="module")
def tiny():
    return data.synthetic(train=32, test=8, size=8, num_classes=3)


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, 3))


def test_a_seed_decides_what_is_drawn_and_the_global_generator_is_undisturbed():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded.seeded(1):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(1)
    assert torch.equal(inside, torch.rand(2))


def test_training_draws_from_the_seed_where_the_weights_ended(tiny):
    state = torch.get_rng_state()
    built = seeded.build_seeded(network, tiny, 3)
    (one, history), (two, again) = (
        seeded.train_seeded(network, tiny, 3, epochs=1, batch_size=8) for _ in range(2)
    )
    assert torch.equal(state, torch.get_rng_state())
    assert history.losses == again.losses and not history.test_errors
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert built[0].weight.is_contiguous(memory_format=torch.channels_last)

    # The first loss depends on the random draws of dropout, which come after the weights.
    torch.manual_seed(3)
    model = network()
    order = torch.randperm(32, generator=torch.Generator().manual_seed(3))[:8]
    first = nn.functional.cross_entropy(model(tiny.train_images[order]), tiny.train_labels[order])
    assert history.losses[0] == pytest.approx(first.item(), rel=1e-5)


def test_a_name_that_is_not_in_the_table_is_refused_with_those_that_are():
    assert choice.choose("arm", "b", {"a": 1, "b": 2}) == 2
    with pytest.raises(ValueError, match="arm is 'c'; it must be one of a, b"):
        choice.choose("arm", "c", {"a": 1, "b": 2})
