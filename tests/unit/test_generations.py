"""The small networks of chapter 1.1: equal work, the traits of their generation, and norms."""

import pytest
import torch
from torch import nn

from resnorm import data, models, probes
from resnorm.experiments import cifar
from resnorm.experiments.cifar.generations import RATES

ARMS = cifar.EXPERIMENTS["generations-short"].arms
MAKERS = {
    "LeNet-5": models.small_lenet,
    "AlexNet": models.small_alexnet,
    "VGG": models.small_vgg,
    "Inception": models.small_inception,
}
IMAGE = torch.zeros(1, 3, 32, 32)


def layers_of(model, kind):
    return [module for module in model.modules() if isinstance(module, kind)]


@pytest.mark.parametrize("norm", [None, nn.BatchNorm2d])
@pytest.mark.parametrize("name", MAKERS)
def test_all_do_about_the_work_of_lenet(name, norm):
    model = MAKERS[name](norm)
    work = probes.multiply_adds(model, IMAGE)
    assert abs(work / probes.multiply_adds(models.lenet5(in_channels=3), IMAGE) - 1) < 0.04
    convolutions = len(layers_of(model, nn.Conv2d))
    assert len(layers_of(model, nn.BatchNorm2d)) == (convolutions if norm else 0)


def test_the_counts_that_the_chapter_states():
    counts = {
        name: (probes.multiply_adds(make(), IMAGE), sum(p.numel() for p in make().parameters()))
        for name, make in MAKERS.items()
    }
    assert counts == {
        "LeNet-5": (651_720, 62_006),
        "AlexNet": (648_704, 27_260),
        "VGG": (639_872, 23_044),
        "Inception": (659_584, 13_816),
    }
    with_average = models.small_vgg(nn.BatchNorm2d, head="global")
    assert probes.multiply_adds(with_average, IMAGE) == 629_232


def test_each_has_the_traits_of_its_generation():
    kernels = {
        name: [conv.kernel_size[0] for conv in layers_of(make(), nn.Conv2d)]
        for name, make in MAKERS.items()
    }
    assert kernels["LeNet-5"] == [5, 5] and kernels["AlexNet"] == [5, 5, 3, 3, 3]
    assert kernels["VGG"] == [3] * 6
    assert len(layers_of(models.small_inception(), models.InceptionModule)) == 3
    assert {pool.kernel_size for pool in layers_of(models.small_alexnet(), nn.MaxPool2d)} == {3}
    heads = {name: len(layers_of(make(), nn.Linear)) for name, make in MAKERS.items()}
    assert heads == {"LeNet-5": 3, "AlexNet": 3, "VGG": 3, "Inception": 1}
    assert len(layers_of(models.small_vgg(head="global"), nn.Linear)) == 1


def test_without_norm_the_small_lenet_computes_what_lenet_computes():
    mine, lenet = models.small_lenet(), models.LeNet5(10, 3, "relu", "max")
    lenet.load_state_dict(mine.state_dict())
    x = torch.randn(4, 3, 32, 32)
    assert torch.equal(mine(x), lenet(x))


def test_the_norms_of_the_small_lenet_stand_after_its_convolutions():
    features = models.small_lenet(nn.BatchNorm2d).features
    kinds = [type(layer).__name__ for layer in features]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"] * 2
    old = cifar.build(ARMS["LeNet-5, rate 0.1"], data.synthetic(train=10, test=10, size=32), 0)
    kinds = [type(layer).__name__ for layer in old.features]
    assert kinds == ["Conv2d", "Tanh", "AvgPool2d"] * 2


@pytest.mark.parametrize("make", MAKERS.values())
def test_every_parameter_gets_a_gradient_and_other_images_are_taken(make):
    torch.manual_seed(0)
    model = make(nn.BatchNorm2d, in_channels=1, num_classes=7)
    y = model(torch.randn(8, 1, 32, 32))
    assert y.shape == (8, 7)
    y.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters() if p.ndim > 1)


def test_an_unknown_head_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="head is 'narrow'.*wide.*global"):
        models.small_vgg(head="narrow")


def test_the_arms_differ_in_network_norm_and_rate_alone():
    assert len(ARMS) == 10 * len(RATES)
    assert len({(arm.model, str(arm.options)) for arm in ARMS.values()}) == 10
    assert {arm.training.lr for arm in ARMS.values()} == set(RATES)
    assert len({str({**vars(arm.training), "lr": 0}) for arm in ARMS.values()}) == 1
    images = data.synthetic(train=10, test=10, size=32)
    work = {
        probes.multiply_adds(cifar.build(arm, images, 0), IMAGE)
        for name, arm in ARMS.items()
        if name.endswith("rate 0.1")
    }
    assert max(work) / min(work) < 1.05
