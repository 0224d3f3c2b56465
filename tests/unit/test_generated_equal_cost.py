"""The recorded run of chapters 3.4 and 3.5: what the networks cost, and what is recorded."""

import pytest
import torch
from torch import nn

from resnorm import ledger
from resnorm.data import synthetic
from resnorm.experiments import generated_equal_cost as experiment
from resnorm.probes import outline
from resnorm.train import error


def costs(name):
    with torch.device("meta"):
        model = nn.Sequential(experiment.NETWORKS[name][0]())
        part = outline(model, torch.empty(1, 3, 8, 8), ["0"])[0]
    return part.parameters, part.multiply_adds


@pytest.mark.parametrize("names", [("WRN-46-1", "WRN-10-3"), ("1 group", "4 groups", "32 groups")])
def test_networks_that_are_compared_cost_the_same(names):
    for found in zip(*(costs(name) for name in names), strict=True):
        assert max(found) / min(found) < 1.05
    how = {experiment.NETWORKS[name][1:] for name in names}
    assert len(how) == 1  # the same rates and the same number of epochs


def test_the_densenet_has_the_multiply_adds_of_the_resnet_and_fewer_parameters():
    (resnet, additions), (densenet, concatenations) = costs("ResNet-20"), costs("DenseNet-19")
    assert abs(concatenations / additions - 1) < 0.07 and densenet < 0.6 * resnet
    assert experiment.NETWORKS["ResNet-20"][1:] == experiment.NETWORKS["DenseNet-19"][1:]


@pytest.mark.parametrize("groups, inner", [(1, 32), (4, 48), (32, 64)])
def test_more_groups_make_the_middle_wider(groups, inner):
    name = f"{groups} group{'s' * (groups > 1)}"
    block = experiment.NETWORKS[name][0]().layer1[0]
    assert block.conv2.groups == groups and block.conv2.out_channels == inner


def test_every_name_says_its_rate():
    for name, arm in experiment.ARMS.items():
        assert name == f"{arm.name}, rate {arm.lr}"


def test_a_record_holds_what_the_named_arm_scores():
    images = synthetic(train=64, test=experiment.HELD_OUT + 32, size=8, noise=1.0)
    name = "WRN-10-3, rate 0.2"
    arms, record = {name: experiment.ARMS[name]}, ledger.open_record(None, "t", "n", "n", {})
    experiment.run(record, images, [1], arms)
    model = experiment.train_one(arms[name], images, seed=1)
    n = experiment.HELD_OUT
    results = record.runs[0]["results"]
    held_out = error(model, images.test_images[:n], images.test_labels[:n])
    assert results["validation accuracy"] == pytest.approx(100 - held_out, abs=0.01)
    test = error(model, images.test_images[n:], images.test_labels[n:])
    assert results["test error"] == pytest.approx(test, abs=0.01)
