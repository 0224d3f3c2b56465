"""Transformers: equal to torch's layers, and a stream that can be read and lesioned."""

import pytest
import torch
from torch import nn

from resnorm import blocks, models
from resnorm.probes import gradient_by_path_length, lesion, removable

DOUBLE = {"dtype": torch.float64}


def torch_layer(norm_first, **options):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        16, 4, 24, dropout=0.0, batch_first=True, norm_first=norm_first, **options, **DOUBLE
    )
    for norm in (layer.norm1, layer.norm2):  # not the identity
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return layer


def stream(n=3, length=7, width=16):
    g = torch.Generator().manual_seed(1)
    return torch.randn(n, length, width, generator=g, **DOUBLE)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_a_layer_is_torchs_forward_and_backward(norm_first, training):
    theirs = torch_layer(norm_first, layer_norm_eps=1e-3).train(training)
    ours = models.encoder_layer(theirs).train(training)
    results = []
    for layer in (ours, theirs):
        x = stream().requires_grad_()
        y = layer(x)
        y.pow(3).sum().backward()
        results.append((y.detach(), x.grad))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-9)
    parts = {name: p.grad for name, p in theirs.named_parameters()}
    pairs = {
        "0.branch.in_proj.weight": "self_attn.in_proj_weight",
        "0.branch.out_proj.bias": "self_attn.out_proj.bias",
        "0.norm.weight": "norm1.weight",
        "1.branch.linear1.weight": "linear1.weight",
        "1.norm.bias": "norm2.bias",
    }
    for name, parameter in ours.named_parameters():
        if name in pairs:
            torch.testing.assert_close(parameter.grad, parts[pairs[name]], rtol=1e-9, atol=1e-9)


def test_causal_attention_is_torchs_with_a_mask():
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(16, 4, batch_first=True, **DOUBLE)
    ours = blocks.SelfAttention(16, 4, causal=True).double()
    ours.in_proj.weight.data, ours.in_proj.bias.data = theirs.in_proj_weight, theirs.in_proj_bias
    ours.out_proj.load_state_dict(theirs.out_proj.state_dict())
    mask = nn.Transformer.generate_square_subsequent_mask(7, **DOUBLE)
    expected, _ = theirs(stream(), stream(), stream(), attn_mask=mask, need_weights=False)
    torch.testing.assert_close(ours(stream()), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("order", ["pre", "post", "none"])
def test_gradients_of_a_sublayer(order):
    torch.manual_seed(0)
    scale = {"layer_scale": 0.5} if order == "pre" else {}
    sublayer = blocks.Sublayer(blocks.SelfAttention(4, 2), 4, order, **scale).double()
    names = [name for name, _ in sublayer.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(sublayer, dict(zip(names, parameters)), (x,))

    x = stream(1, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(function, (x, *sublayer.parameters()), atol=1e-6)


@pytest.mark.parametrize(
    "options, shape", [({"layer_scale": 1e-4}, (16,)), ({"rezero": True, "order": "none"}, ())]
)
def test_small_branches_start_near_the_identity(options, shape):
    torch.manual_seed(0)
    sublayer = blocks.Sublayer(blocks.FeedForward(16, 32), 16, **options).double()
    torch.testing.assert_close(sublayer(stream()), stream(), rtol=0, atol=2e-3)
    assert sublayer.scale.shape == shape
    sublayer(stream()).pow(2).sum().backward()
    assert sublayer.scale.grad.abs().sum() > 0


def model(**options):
    torch.manual_seed(0)
    return models.Transformer(10, 8, 16, layers=3, heads=4, **options).double()


TOKENS = torch.randint(10, (5, 6), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("order", ["pre", "post"])
def test_the_stream_can_be_read_at_any_depth(order):
    net = model(order=order)
    states = net.streams(TOKENS)
    assert len(states) == 7 and net(TOKENS).shape == (5, 6, 10)
    torch.testing.assert_close(net.read(states[-1]), net(TOKENS))
    assert torch.equal(states[0], net.embed(TOKENS))


def test_a_causal_model_does_not_see_the_future():
    net, changed = model(causal=True), TOKENS.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 10
    before, after = net(TOKENS), net(changed)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().max() > 1e-3


def test_the_probes_of_chapter_3_2_work_on_sublayers():
    net = model()
    names = removable(net, TOKENS, blocks.Sublayer)
    assert names == [f"blocks.{i}" for i in range(6)]
    states = net.streams(TOKENS)
    with lesion(net, ["blocks.2", "blocks.3"]):
        h = net.blocks[1](net.blocks[0](states[0]))
        expected = net.read(net.blocks[5](net.blocks[4](h)))
        torch.testing.assert_close(net(TOKENS), expected)
    dy = torch.ones_like(states[-1])
    profile = gradient_by_path_length(net.blocks, states[0].detach(), dy, samples=2)
    assert profile.lengths[-1] == 6 and profile.norms.isfinite().all()


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: blocks.SelfAttention(10, 4), "heads is 4 and width 10; heads must divide"),
        (lambda: blocks.Sublayer(nn.Identity(), 4, "middle"), "order is 'middle'; it must be"),
        (
            lambda: blocks.Sublayer(nn.Identity(), 4, layer_scale=0.1, rezero=True),
            "layer_scale=0.1 and rezero=True both scale the branch",
        ),
        (
            lambda: model()(torch.zeros(1, 9, dtype=torch.long)),
            "have 9 positions; this model has 8",
        ),
        (
            lambda: models.encoder_layer(nn.TransformerEncoderLayer(8, 2, 8)),
            "make it with batch_first=True",
        ),
        (
            lambda: models.encoder_layer(
                nn.TransformerEncoderLayer(8, 2, 8, activation="gelu", batch_first=True)
            ),
            "it must be ReLU",
        ),
    ],
)
def test_error_messages(make, words):
    with pytest.raises(ValueError, match=words):
        make()
