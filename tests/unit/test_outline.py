"""The outline of a model: shapes, parameters, multiply-adds."""

import pytest
import torch
from torch import nn

from resnorm import models
from resnorm.probes import multiply_adds, outline


def test_shapes_parameters_and_multiply_adds_of_a_small_net():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 5),
    )
    conv, linear = outline(net, torch.zeros(2, 3, 8, 8), [nn.Conv2d, nn.Linear])
    assert (conv.name, conv.kind, conv.input_shape, conv.output_shape) == (
        "0",
        "Conv2d",
        (3, 8, 8),
        (4, 4, 4),
    )
    assert conv.parameters == 4 * 3 * 9 and conv.multiply_adds == 4 * 4 * 4 * 3 * 9
    assert linear.parameters == 64 * 5 + 5 and linear.multiply_adds == 64 * 5


def test_multiply_adds_of_a_model_are_those_of_one_example_and_of_its_parts():
    net = models.cifar_resnet(8)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    total = multiply_adds(net, torch.randn(3, 3, 32, 32))
    assert total == sum(
        part.multiply_adds
        for part in outline(net, torch.randn(1, 3, 32, 32), [nn.Conv2d, nn.Linear])
    )
    # A convolution that keeps the channels costs the same in every stage; one that doubles them
    # costs half.
    square = 32 * 32 * 9 * 16 * 16
    assert total == 32 * 32 * 9 * 3 * 16 + (2 + 1.5 + 1.5) * square + 64 * 10
    assert net.training and all(
        torch.equal(net.state_dict()[key], value) for key, value in state.items()
    )


@pytest.mark.parametrize("name", ["0", "1"])
@pytest.mark.parametrize("runs", [1, 2, 3])
def test_a_module_that_runs_several_times_counts_once_in_each_part(name, runs):
    repeated = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4)))
    net = nn.Sequential(*[repeated] * runs)
    parts = outline(net, torch.zeros(2, 4), [f"0.{name}"])
    assert [part.multiply_adds for part in parts] == [16] * runs
    assert multiply_adds(net, torch.zeros(2, 4)) == 32 * runs


class Products(nn.Module):
    """A linear layer and a matrix product."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8, bias=False)

    def forward(self, x):
        return self.linear(x) @ x.mT


def test_matrix_products_count_as_the_docstring_says():
    assert multiply_adds(Products(), torch.zeros(3, 5, 8)) == 5 * 8 * 8 + 5 * 5 * 8
    assert "matrix products" in multiply_adds.__doc__


def test_it_leaves_the_model_alone_and_works_without_data():
    with torch.device("meta"):
        model = models.resnet18()
        parts = outline(model, torch.empty(1, 3, 224, 224), ["layer1", "layer4"])
    assert [part.output_shape for part in parts] == [(64, 56, 56), (512, 7, 7)]
    assert model.training and not model.layer1._forward_hooks
    assert parts[0].parameters == sum(p.numel() for p in model.layer1.parameters())


def test_a_missing_layer_is_named():
    with pytest.raises(ValueError, match="no layer named 'layer9'"):
        outline(models.cifar_resnet(8), torch.zeros(1, 3, 32, 32), ["layer9"])
