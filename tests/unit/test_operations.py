"""The operations of a block, and the diagrams that are drawn from them."""

from dataclasses import dataclass

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

from resnorm import blocks, figures, models, norms
from resnorm.figures.layout import Branches, chain_of, height_of, width_of
from resnorm.models.inception import ConvNormReLU
from resnorm.probes import operations

matplotlib.use("agg")


def on_meta(make, *shape, **kwargs):
    with torch.device("meta"):
        return operations(make(), torch.empty(1, *shape), **kwargs)


def test_a_network_is_listed_with_what_each_operation_reads():
    listed = on_meta(models.lenet5, 1, 32, 32)
    assert [o.label for o in listed] == [
        *("input", "5×5 conv", "tanh", "2×2 average pool, /2"),
        *("5×5 conv", "tanh", "2×2 average pool, /2"),
        *("fully connected", "tanh", "fully connected", "tanh", "fully connected"),
    ]
    assert listed[1].output_shape == (6, 28, 28) and listed[1].parameters == 156
    assert all(b.inputs == (a.name,) for a, b in zip(listed, listed[1:]))  # flatten is left out
    assert listed[-1].output_shape == (10,)


def test_strides_groups_and_norms_are_written():
    labels = [o.label for o in on_meta(lambda: models.alexnet(original=True), 3, 224, 224)]
    assert labels[:6] == [
        *("input", "11×11 conv, /4", "ReLU", "LRN", "3×3 max pool, /2", "5×5 conv, 2 groups")
    ]
    for norm in (nn.BatchNorm2d, norms.BatchNorm2d):
        listed = on_meta(lambda norm=norm: blocks.BasicBlock(8, 8, norm=norm), 8, 4, 4)
        assert [o.label for o in listed if o.kind == "norm"] == ["batch norm"] * 2


def test_a_skip_connection_is_an_addition_that_reads_the_input():
    listed = on_meta(lambda: blocks.BasicBlock(8, 8), 8, 4, 4)
    (addition,) = [o for o in listed if o.kind == "addition"]
    assert listed[0].name in addition.inputs and len(addition.inputs) == 2


def test_a_class_may_stay_whole():
    names = {ConvNormReLU: "conv, norm, ReLU"}
    listed = on_meta(lambda: models.InceptionModule(8, 2, 2, 2, 2, 2, 2), 8, 4, 4, whole=names)
    assert [o.label for o in listed if o.kind == "block"] == ["conv, norm, ReLU"] * 6
    assert listed[-1].kind == "concatenation" and listed[-1].output_shape == (8, 4, 4)


def test_the_module_is_left_as_it_was():
    block = blocks.BasicBlock(8, 8).train()
    before = {k: v.clone() for k, v in block.state_dict().items()}
    operations(block, torch.randn(2, 8, 4, 4))
    assert block.training
    for key, value in block.state_dict().items():
        assert torch.equal(value, before[key])


def test_what_has_no_word_is_named():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.maximum(x, x.flip(1)) + x

    with pytest.raises(ValueError, match="maximum.*a diagram knows input, convolution"):
        operations(Odd(), torch.zeros(1, 2, 3, 3))


# --- layout -------------------------------------------------------------------------------------


@dataclass
class Step:
    name: str
    inputs: tuple = ()
    kind: str = "convolution"
    label: str = "conv"
    output_shape: tuple = (4, 8, 8)


def test_a_residual_block_is_a_branch_and_a_skip():
    steps = [Step("x"), Step("a", ("x",)), Step("b", ("a",)), Step("+", ("x", "b"))]
    chain = chain_of(steps)
    assert chain == ("x", Branches((("a", "b"), ()), "+"), "+")
    assert width_of(chain) == pytest.approx(1.4)
    assert height_of(chain, lambda name: 1.0) == 4


def test_branches_that_join_early_stay_together():
    steps = [Step("x"), Step("a", ("x",)), Step("b", ("x",)), Step("cat", ("a", "b"))]
    steps += [Step("c", ("cat",)), Step("+", ("x", "c"))]
    inner = Branches((("a",), ("b",)), "cat")
    assert chain_of(steps) == ("x", Branches(((inner, "cat", "c"), ()), "+"), "+")


@pytest.mark.parametrize(
    "steps, message",
    [
        ([Step("x"), Step("a", ("y",))], "a reads 'y', which does not run before it"),
        ([Step("x"), Step("a", ("x",)), Step("b", ("x",))], "the branches a, b never join"),
    ],
)
def test_what_is_no_block_is_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        chain_of(steps)


# --- drawing ------------------------------------------------------------------------------------


def written(fig):
    return [text.get_text() for text in fig.axes[0].texts if text.get_text()]


def test_a_diagram_fits_a_phone_and_its_text_stays_inside_of_the_shapes():
    listed = on_meta(lambda: models.InceptionModule(256, 128, 64, 192, 64, 96, 64), 256, 28, 28)
    fig = figures.draw_blocks({"": listed})
    assert fig.get_size_inches()[0] == 3.5
    fig.canvas.draw()
    texts = [t for t in fig.axes[0].texts if t.get_text()]
    # 96 pixels per inch: the size in points times 96 / 72.
    assert min(t.get_size() for t in texts) * 96 / 72 >= 11
    boxes = [p.get_window_extent() for p in fig.axes[0].patches]
    for text in texts:
        extent = text.get_window_extent()
        if text.get_text() in ("input", "256 × 28²"):
            continue
        assert any(
            b.x0 <= extent.x0 and extent.x1 <= b.x1 and b.y0 - 1 <= extent.y0 <= b.y1 for b in boxes
        ), text.get_text()
    plt.close(fig)


def test_a_diagram_writes_labels_and_shapes():
    listed = on_meta(models.lenet5, 1, 32, 32)
    fig = figures.draw_blocks({"LeNet-5": listed})
    assert written(fig)[:5] == ["LeNet-5", "input", "1 × 32²", "5×5 conv", "6 × 28²"]
    assert written(fig)[-2:] == ["fully connected", "10"]
    plt.close(fig)
    fig = figures.draw_blocks({"a": listed, "b": listed}, shapes=False)
    assert "6 × 28²" not in written(fig) and {"a", "b"} <= set(written(fig))
    plt.close(fig)


def test_a_skip_into_a_concatenation_ends_in_its_bar():
    steps = [Step("x"), Step("a", ("x",)), Step("cat", ("x", "a"), kind="concatenation")]
    fig = figures.draw_blocks({"left": steps, "right": steps})
    ax = fig.axes[0]
    bars = sorted(
        (p for p in ax.patches if p.get_height() < p.get_width()), key=lambda p: p.get_x()
    )
    bars = [
        b for b in bars if b.get_edgecolor() == matplotlib.colors.to_rgba(figures.PALETTE["gray"])
    ]
    edges = [(b.get_x(), b.get_x() + b.get_width()) for b in bars]
    assert len(edges) == 2 and edges[0][0] >= 0 and edges[1][1] <= 3.5
    assert edges[0][1] < edges[1][0], "the bars of neighbors must not overlap"
    ends = [t.xy for t in ax.texts if not t.get_text()]
    for (left, right), bar in zip(edges, bars, strict=True):
        top = bar.get_y() + bar.get_height()
        inside = [x for x, y in ends if left < x < right and y == pytest.approx(top)]
        assert len(inside) == 2 and inside[0] != pytest.approx(inside[1])
    plt.close(fig)


def test_one_kind_has_one_color_and_kinds_differ():
    fig = figures.draw_legend()
    looks = {
        (p.get_edgecolor(), type(p).__name__, len(p.get_path().vertices))
        for p in fig.axes[0].patches
    }
    assert len(looks) == 7
    plt.close(fig)


@pytest.mark.parametrize(
    "diagrams, message",
    [
        ({}, "nothing to draw"),
        ({"a": []}, "nothing to draw"),
        ({"a": [Step("x", kind="magic")]}, "x is of kind 'magic'; it must be one of 'input'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(diagrams, message):
    with pytest.raises(ValueError, match=message):
        figures.draw_blocks(diagrams)


# --- costs --------------------------------------------------------------------------------------


@dataclass
class Costed:
    name: str
    parameters: int
    multiply_adds: int
    output_shape: tuple = (4,)


def test_costs_are_drawn_as_shares_with_their_numbers():
    parts = [Costed("conv", 1_000, 9_000_000), Costed("fc", 3_000, 1_000_000)]
    fig = figures.draw_costs(parts, {"fc": "classifier"}, "A network")
    left, right = fig.axes
    assert [bar.get_width() for bar in left.patches] == [0.25, 0.75]
    assert [bar.get_width() for bar in right.patches] == [0.9, 0.1]
    assert [t.get_text() for t in left.texts] == ["1.0 k", "3.0 k", "conv", "classifier"]
    assert right.get_title("left") == "multiply-adds\n10.0 M"
    assert min(t.get_size() for ax in fig.axes for t in ax.texts) * 96 / 72 >= 11
    plt.close(fig)


def test_costs_of_nothing_are_refused():
    with pytest.raises(ValueError, match="1 parts have 5 parameters and 0 multiply-adds"):
        figures.draw_costs([Costed("norm", 5, 0)])


@pytest.mark.parametrize(
    "number, text",
    [(0, "0"), (864, "864"), (9_400, "9.4 k"), (138_357_544, "138 M"), (15_470_264_320, "15.5 G")],
)
def test_counts_are_short(number, text):
    assert figures.short_count(number) == text
