"""Plans: what they build is what the package has, what they cost is what is computed."""

import json
import struct

import pytest
import torch

from resnorm import models, plans
from resnorm.plans.kinds import KINDS
from resnorm.probes import multiply_adds


def residual(out, stride=1):
    shortcut = [plans.max_pool(1, 2), plans.pad_channels(out)] if stride == 2 else []
    branch = [plans.conv(out, stride=stride), plans.batch_norm(), plans.relu()]
    return [plans.add(shortcut, [*branch, plans.conv(out), plans.batch_norm()]), plans.relu()]


def resnet20():
    layers = [plans.conv(16), plans.batch_norm(), plans.relu()]
    for width in (16, 32, 64):
        for block in range(3):
            layers += residual(width, 2 if width > 16 and block == 0 else 1)
    return [*layers, plans.global_pool(), plans.linear(10)]


#: Every kind of layer at least once.
ZOO = [
    plans.conv(8, 5, 2, bias=True),
    plans.group_norm(2),
    plans.silu(),
    plans.concat([], [plans.conv(8, 3, groups=8), plans.gelu()]),
    plans.multiply([], [plans.global_pool(), plans.conv(16, 1), plans.sigmoid()]),
    plans.dropout(0.1),
    plans.avg_pool(3, 2),
    plans.pad_channels(20),
    plans.batch_norm(),
    plans.relu(),
    plans.add([], [plans.conv(20, 1)]),
    plans.max_pool(),
    plans.linear(7),
    plans.linear(10, bias=False),
]


def test_a_planned_resnet_is_that_of_the_package():
    made, planned = models.cifar_resnet(20).eval(), plans.build(resnet20()).eval()
    state = zip(planned.state_dict(), made.state_dict().values(), strict=True)
    planned.load_state_dict(dict(state))
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(planned(x), made(x))
    assert plans.cost(resnet20()).parameters == 269_722


@pytest.mark.parametrize("plan", [resnet20(), ZOO], ids=["ResNet-20", "zoo"])
def test_the_cost_is_what_is_computed(plan):
    network, cost = plans.build(plan), plans.cost(plan)
    x = torch.zeros(2, 3, 32, 32)
    assert cost == network.cost
    assert cost.parameters == sum(p.numel() for p in network.parameters())
    assert cost.multiply_adds == multiply_adds(network, x)
    assert network.eval()(x).shape == (2, cost.output)


def test_the_zoo_has_every_kind():
    text = json.dumps(ZOO)
    assert all(f'"layer": "{kind}"' in text for kind in KINDS)


def test_a_file_gives_back_the_network_and_leaves_the_random_state(tmp_path):
    network = plans.build(ZOO)
    for _ in range(3):
        network(torch.randn(4, 3, 32, 32))  # so that running statistics are not at their start
    plans.save(tmp_path / "a", network, epochs=12)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = plans.load(tmp_path / "a")
    assert torch.equal(torch.get_rng_state(), before)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(found.network(x), network.eval()(x))
    assert (found.epochs, found.parameters) == (12, found.cost.parameters)


def test_a_network_keeps_its_plan_when_its_maker_goes_on_with_the_list(tmp_path):
    plan = [plans.conv(8), plans.global_pool(), plans.linear(10)]
    network = plans.build(plan).eval()
    plan.insert(1, plans.relu())  # which has no weights that would tell
    plan[0]["stride"] = 2
    plans.save(tmp_path / "a", network, epochs=1)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(plans.load(tmp_path / "a").network(x), network(x))


def test_only_planned_networks_are_saved(tmp_path):
    with pytest.raises(TypeError, match="give what plans.build returned"):
        plans.save(tmp_path / "a", torch.nn.Linear(2, 2), epochs=1)


@pytest.mark.parametrize("epochs", [8.0, "8", None, -1, 10**6])
def test_epochs_that_a_grader_would_not_read_are_not_saved(tmp_path, epochs):
    with pytest.raises((TypeError, ValueError), match="epochs is .*; it must be"):
        plans.save(tmp_path / "a", plans.build([plans.linear(10)]), epochs=epochs)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "plan, message",
    [
        ("relu", "the plan must be a list of layers, but is of type str"),
        ([plans.relu], "layer 1 .*a layer is what a function of resnorm.plans returns"),
        ([{"layer": "eval"}], r"layer 1 \(eval\): there is no such layer; there are conv, "),
        ([plans.conv(8, groups=2)], "2 groups do not divide 3 input and 8 output channels"),
        ([plans.conv(8.0)], "out is 8.0; it must be of type int, from 1 to 4096"),
        ([plans.conv(True)], "out is True; it must be of type int"),
        ([{**plans.relu(), "p": 1}], "relu takes no options, but has p"),
        ([{**plans.relu(), "p" * 10**6: 1}], "relu takes no options, but has p{80}$"),
        ([plans.relu(), plans.add([], [plans.conv(5)])], r"layer 2 \(add\): .*cannot be added"),
        ([plans.add([], [plans.relu(), plans.max_pool(31, 2), plans.max_pool(3)])], "layer 1, bra"),
        ([plans.add([])], "add has 1 branches; give 2 to 64"),
        ([plans.conv(8), plans.pad_channels(4)], "there are 8 channels already"),
        ([plans.conv(8)] * 2001, "return more than 8,000,000 values"),
    ],
)
def test_a_plan_that_cannot_be_built_says_where_and_why(plan, message):
    for function in (plans.cost, plans.build):
        with pytest.raises(plans.PlanError, match=message):
            function(plan)


def test_branches_are_not_nested_without_end():
    plan = []
    for _ in range(8):
        plan = [plans.add([], plan)]
    with pytest.raises(plans.PlanError, match="nested more than 6 deep"):
        plans.cost(plan)


GOOD = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


@pytest.mark.parametrize(
    "header, data, message",
    [
        (b"", b"", "no file of plain tensors"),
        (b"[]", b"", "does not name tensors"),
        (b"{]", b"", "no JSON"),
        (b'{"a": 1, "a": 2}', b"", "no JSON"),
        (json.dumps({"a": GOOD["a"] | {"dtype": "F64"}}).encode(), bytes(8), "not of type float32"),
        (json.dumps({"a": GOOD["a"] | {"shape": [-2]}}).encode(), bytes(8), "not described"),
        (json.dumps({"a": GOOD["a"] | {"shape": [0]}}).encode(), bytes(8), "not described"),
        (json.dumps({"a": GOOD["a"] | {"data_offsets": [4, 12]}}).encode(), bytes(12), "not descr"),
        (json.dumps(GOOD | {"b": GOOD["a"]}).encode(), bytes(8), "not described"),
        (json.dumps(GOOD).encode(), bytes(7), "ends before its last tensor"),
        (json.dumps(GOOD).encode(), bytes(9), "1 bytes of the file belong to no tensor"),
        (json.dumps(GOOD | {"__metadata__": {"a": 1}}).encode(), bytes(8), "not texts by name"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(tmp_path, header, data, message):
    path = tmp_path / "file"
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    with pytest.raises(plans.TensorFileError, match=message):
        plans.read_tensors(path, 1000)


def test_tensors_come_back_and_a_large_file_is_not_read(tmp_path):
    tensors = {"a": torch.randn(2, 3), "b": torch.tensor(1.5)}
    plans.write_tensors(tmp_path / "a", tensors, {"note": "x"})
    found, metadata = plans.read_tensors(tmp_path / "a", 1000)
    assert metadata == {"note": "x"} and list(found) == ["a", "b"]
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    with pytest.raises(plans.TensorFileError, match="at most 100 are read"):
        plans.read_tensors(tmp_path / "a", 100)
