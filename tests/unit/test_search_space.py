"""The space of networks that is searched, and the gates: counts, agreement, and clear errors."""

import pytest
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation as TorchvisionSqueezeExcitation

import results
from resnorm import data, ledger
from resnorm.blocks import SqueezeExcitation
from resnorm.experiments import cifar
from resnorm.experiments.cifar import space, subsets
from resnorm.models import SpaceNet, search_space
from resnorm.probes import multiply_adds
from resnorm.train.precision import autocast_for

ARMS = cifar.EXPERIMENTS["space-short"].arms


def test_the_space_has_every_network_once_and_within_the_budget():
    assert len(ARMS) == len(space.choices()) == 216
    for choice in space.choices():
        arm = ARMS[space.name_of(choice)]
        width = arm.options["width"]
        assert dict(arm.options) == {"width": width, **choice}
        spent = search_space.multiply_adds(width, choice, side=16)
        assert spent <= space.BUDGET < search_space.multiply_adds(width + 1, choice, side=16)


@pytest.mark.parametrize("name", list(ARMS)[::11])
def test_the_formula_counts_what_the_counter_counts(name):
    options = dict(ARMS[name].options)
    model = SpaceNet(**options)
    width = options.pop("width")
    x = torch.zeros(1, 3, 16, 16)
    assert multiply_adds(model, x) == search_space.multiply_adds(width, options, side=16)


def test_the_decisions_change_what_they_say():
    net = {
        kind: SpaceNet(8, kind, kernel=5, blocks=2, growth=1.5, gates=True, shortcut=False)
        for kind in search_space.DECISIONS["kind"]
    }
    for kind, model in net.items():
        blocks = [m for m in model.modules() if isinstance(m, search_space.SpaceBlock)]
        assert len(blocks) == 4 and not any(block.shortcut for block in blocks)
        assert [block.branch[-1].fc2.out_channels for block in blocks] == [8, 8, 12, 12]
        sides = {m.kernel_size for b in blocks for m in b.modules() if isinstance(m, nn.Conv2d)}
        assert sides == ({(5, 5), (1, 1)})
        assert any(m.groups > 1 for m in model.modules() if isinstance(m, nn.Conv2d)) == (
            kind != "basic"
        )


def test_a_shortcut_passes_what_a_dead_branch_loses():
    x = torch.rand(2, 8, 8, 8)
    for shortcut in (True, False):
        block = search_space.SpaceBlock("inverted", 8, 3, gates=False, shortcut=shortcut)
        nn.init.zeros_(block.branch[-1].weight)
        assert torch.equal(block(x), x if shortcut else torch.zeros_like(x))


def test_wrong_choices_and_budgets_are_refused():
    with pytest.raises(ValueError, match="kind is 'dense'; it must be one of 'basic', 'inverted'"):
        SpaceNet(8, "dense")
    choice = space.choices()[0]
    with pytest.raises(ValueError, match="budget is 100 multiply-adds, but .* allow more"):
        search_space.widest(choice, 100, side=16)


def test_validation_images_are_balanced_and_not_trained_on():
    whole = data.synthetic(train=600, test=20, size=8)
    kept = subsets.fewer_and_mislabeled(whole, 200, 0.0)
    images, labels = subsets.held_out(whole, 200, 100)
    pixels = {tuple(image.flatten()[:20].tolist()) for image in kept.train_images}
    assert not any(tuple(image.flatten()[:20].tolist()) in pixels for image in images)
    again = subsets.fewer_and_mislabeled(whole, 300, 0.0)
    assert torch.equal(again.train_images[200:], images)
    assert torch.equal(again.train_labels[200:], labels)
    for given in (0, 501):
        with pytest.raises(ValueError, match=f"held_out is 100 and images is {given}, of 600"):
            subsets.held_out(whole, given, 100)


def test_a_run_records_the_validation_error_beside_the_test_error():
    whole = data.synthetic(train=600, test=200, size=16)
    name = next(iter(ARMS))
    how = {"images": 320, "held_out": 100, "epochs": 1}
    arm = cifar.Arm("space", cifar.Training(side=8, curve=False, **how), ARMS[name].options)
    experiment = cifar.Experiment("?", {name: arm}, "a CPU")
    record = ledger.open_record(None, "test", "none", whole.source, experiment.configuration())
    assert record.configuration["arms"][name]["training"]["held_out"] == 100
    cifar.run(record, experiment, whole, [0])
    found = record.runs[0]["results"]
    model, _, _ = cifar.train_arm(arm, whole, 0)
    images, labels = subsets.held_out(whole, 320, 100)
    with torch.no_grad(), autocast_for(images.device, found["precision"]):
        wrong = model(subsets.resize(images, 8)).argmax(1) != labels
    assert found["validation error"] == pytest.approx(100 * wrong.float().mean().item(), abs=0.01)
    assert "test error" in found


@pytest.mark.parametrize("activation, gate", [(nn.ReLU, nn.Sigmoid), (nn.SiLU, nn.Hardsigmoid)])
def test_gates_are_those_of_torchvision(activation, gate):
    torch.manual_seed(0)
    ours = SqueezeExcitation(12, 3, activation, gate).double()
    theirs = TorchvisionSqueezeExcitation(12, 3, activation, gate).double()
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 12, 5, 7, dtype=torch.float64, requires_grad=True)
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x), rtol=0, atol=1e-12)
    gates = ours.gates(x)
    assert gates.shape == (4, 12, 1, 1) and gates.min() > 0 and gates.max() < 1
    assert torch.autograd.gradcheck(SqueezeExcitation(4, 2).double(), x[:1, :4, :2, :2])


def test_gates_without_channels_are_refused():
    with pytest.raises(ValueError, match="in_channels is 8 and squeeze_channels is 0"):
        SqueezeExcitation(8, 0)


def test_a_long_record_is_shown_from_the_best_arm_to_the_worst():
    arms = [f"arm {i}" for i in range(216)]
    shown = results.evenly_spaced(arms, lambda arm: -int(arm.split()[1]))
    assert shown[0] == "arm 215" and shown[-1] == "arm 0" and len(set(shown)) == 20
