"""Values, objects, gradients and errors between a test and the box, in one process."""

import contextlib
import functools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resnorm.course.remote import codec
from resnorm.course.remote.codec import Codec, CodecError
from resnorm.course.remote.executor import Executor
from resnorm.course.remote.proxy import Remote, RemoteError, Session

STUDENT = """
import collections, random
import numpy as np
import torch
from torch import nn
def echo(x): return x
def double(x): return 2 * x
def both(x): return x, x * x
def add_to(total, x): total.add_(x)
def fill_view(x): x.data[0] = 7
def scale(array): array *= 3
def layout(x): return x.stride(), x.is_contiguous(memory_format=torch.channels_last)
def fail(x): raise ValueError(f"{x} is wrong")
class Mine(KeyError): pass
def fail_in_an_own_way(): raise Mine("a key")
class Hostile(Exception):
    def __str__(self): raise SystemExit
def fail_with_hostility(): raise Hostile
def leave(): raise SystemExit(3)
def endless():
    while True: yield 1
def draw(): return torch.rand(2), np.random.rand(), random.random()
def circumstances(): return torch.get_default_dtype(), torch.is_grad_enabled()
def change_everything():
    torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False)
Pair = collections.namedtuple("Pair", "first second")
def pair(): return Pair(1, torch.ones(2))
def second(pair): return pair.second
def with_graph(x):
    y = x * x
    return y, (x, y, object())
def through(dy, cache): return torch.autograd.grad(cache[1], cache[0], dy)[0]
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 2), nn.BatchNorm1d(3)
    def forward(self, x): return self.linear(x)
class Anything:
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __eq__(self, other): return True
    def __array__(self, *a): return np.ones(3)
    __hash__ = None
def anything(): return Anything()
"""


@functools.cache
def compiled():
    return compile(STUDENT, "student", "exec")


@pytest.fixture
def session():
    space = {}
    exec(compiled(), space)
    return Session(Executor(space).answer)


@pytest.fixture
def box(session):
    names = [
        line.split()[1].split("(")[0].rstrip(":")
        for line in STUDENT.splitlines()
        if line.startswith(("def ", "class "))
    ]
    return session.names([*names, "there is no such name"])


DTYPES = [
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.int64,
    torch.uint8,
    torch.bool,
    torch.complex64,
]


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    dtype = draw(st.sampled_from(DTYPES))
    seed = draw(st.integers(0, 99))
    value = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    order = draw(st.permutations(range(len(shape))))
    value = value.permute(order).contiguous().permute([order.index(i) for i in range(len(shape))])
    if dtype.is_floating_point and draw(st.booleans()):
        value.requires_grad_()
    return value


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text(max_size=5)
    | tensors()
    | st.sampled_from([torch.float16, torch.Size([2, 3]), slice(1, None), ..., np.float32(0.1)])
    | st.builds(lambda n: np.arange(n, dtype=">i2").reshape(1, -1), st.integers(0, 4))
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.sets(st.integers() | st.text(max_size=2), max_size=3)
    ),
    max_leaves=6,
)


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        facts = [(t.dtype, t.shape, t.requires_grad) for t in (a, b)]
        places = a.numel() < 2 or a.stride() == b.stride() or 1 in a.shape
        return facts[0] == facts[1] and places and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and (a == b).all()
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b or a != a


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_a_value_arrives_as_it_was_sent(value):
    text = codec.written(Codec().encode(value))
    assert same(value, Codec().decode(codec.read(text)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "items", "shape", "dtype", "numbers", "order", "state", "number"]
            )
            | st.text(max_size=3),
            inner
            | st.sampled_from(["tensor", "array", "generator", "dict", "size", "float64", "<f8"]),
            max_size=6,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_other_text_is_refused_or_is_a_plain_value(data):
    with contextlib.suppress(CodecError):
        Codec().decode(codec.read(json.dumps(data)))


@pytest.mark.parametrize(
    "data",
    [
        {"type": "tensor", "dtype": "load", "shape": [1], "numbers": "AAAA"},
        {"type": "tensor", "dtype": "float64", "shape": [9**9], "numbers": ""},
        {"type": "tensor", "dtype": "float64", "shape": [2**62, 2**62], "meta": True},
        {"type": "tensor", "dtype": "float32", "shape": [1], "order": [1], "numbers": "AAAAAA=="},
        {"type": "tensor", "dtype": "int64", "shape": [0], "numbers": "", "requires_grad": True},
        {"type": "array", "dtype": "O", "shape": [1], "numbers": "AAAAAAAAAAA="},
        {"type": "size", "items": ["x"]},
        {"type": "set", "items": [[]]},
        {"type": "object", "number": 0},
        {"type": "generator", "state": 3},
        {"type": "slice", "items": []},
        {"type": []},
        {},
    ],
)
def test_what_no_codec_writes_is_refused(data):
    with pytest.raises(CodecError):
        Codec().decode(data)


def test_what_is_nested_too_deeply_or_too_long_is_refused():
    with pytest.raises(CodecError, match="not JSON|nesting"):
        Codec().decode(codec.read("[" * 10_000 + "]" * 10_000))
    with pytest.raises(CodecError, match="not a text of at most"):
        codec.read(" " * (codec.MAX_TEXT + 1))
    with pytest.raises(CodecError, match="can be sent"):
        codec.written("x" * codec.MAX_TEXT)
    endless = []
    endless.append(endless)
    with pytest.raises(CodecError, match="nesting"):
        Codec().encode(endless)
    with pytest.raises(CodecError, match="10,000 bits"):
        Codec().encode(2**10_001)


def test_names_stand_for_what_they_stand_for_now(session, box):
    assert "there is no such name" not in box
    assert type(box["echo"]) is Remote and box["echo"](3) == 3


def test_an_argument_that_comes_back_is_the_argument(box):
    x = torch.ones(3)
    assert box["echo"](x) is x
    assert box["echo"]([x, {"a": x}])[1]["a"] is x
    assert box["both"](x)[0] is x


def test_channels_last_arrive_as_such(box):
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    assert box["layout"](x) == (x.stride(), True)


def test_changes_of_arguments_are_seen_outside(box):
    total, x, array = torch.zeros(2, 2), torch.ones(2), np.ones(3)
    box["add_to"](total[0], x)
    assert total.tolist() == [[1, 1], [0, 0]]
    box["fill_view"](x)
    assert x.tolist() == [7, 1]
    box["scale"](array)
    assert array.tolist() == [3, 3, 3]
    generator = torch.Generator().manual_seed(1)
    wanted = torch.Generator().manual_seed(1)
    torch.rand(1, generator=wanted)
    box["echo"](generator)
    assert not torch.equal(generator.get_state(), wanted.get_state())


def test_a_leaf_that_requires_gradients_cannot_be_changed_there_either(box):
    leaf = torch.zeros(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        box["add_to"](leaf, torch.ones(2))
    box["add_to"](leaf * 1, torch.ones(2))  # as here, where this is no leaf


def test_gradients_pass_the_box(box):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = box["double"](box["both"](box["double"](x))[1])  # 2 (2x)²
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.tolist() == [16, 32, 48]
    same, square = box["both"](x)
    (same + square).sum().backward()
    assert x.grad.tolist() == [3, 5, 7]
    with torch.no_grad():
        assert not box["double"](x).requires_grad


def test_gradients_of_parameters_are_kept_in_the_box(box):
    net = box["Net"]()
    assert all(p.grad is None for p in net.parameters())
    net(torch.ones(4, 3)).sum().backward()
    assert [p.grad is None for p in net.parameters()] == [False, False, True, True]
    assert net.linear.bias.grad.tolist() == [4, 4]


def test_tensors_that_come_back_keep_their_graph(box):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y, cache = box["with_graph"](x)
    assert box["through"](torch.ones(2), cache).tolist() == [2, 4]
    assert type(cache[2]) is Remote


def test_objects_come_back_as_themselves(box):
    assert box["second"](box["pair"]()).tolist() == [1, 1]
    first, second = box["pair"]()
    assert first == 1 and second.tolist() == [1, 1] and len(box["pair"]()) == 2
    net = box["Net"]()
    state = {name: torch.full_like(value, 2) for name, value in net.state_dict().items()}
    net.load_state_dict(state)
    assert net.norm.running_mean.tolist() == [2, 2, 2] and net.double().training is True
    assert net.linear.weight.dtype == torch.float64
    assert net(torch.ones(1, 3, dtype=torch.float64)).tolist() == [[8, 8]]


def test_errors_keep_their_type_and_message(box):
    with pytest.raises(ValueError, match="^3 is wrong$") as caught:
        box["fail"](3)
    assert isinstance(caught.value, RemoteError)
    with pytest.raises(KeyError, match="a key"):
        box["fail_in_an_own_way"]()
    for name in ("leave", "fail_with_hostility"):
        with pytest.raises(RemoteError):
            box[name]()
    with pytest.raises(RemoteError, match="more than 10,000 items"):
        list(box["endless"]())
    with pytest.raises(TypeError, match="define it in a boxed cell"):
        box["echo"](lambda: 1)


def test_random_numbers_and_defaults_do_not_depend_on_the_student(session, box):
    before = box["draw"]()
    session.requests -= 1  # each request has its own seed
    torch.manual_seed(99)
    again = box["draw"]()
    assert torch.equal(before[0], again[0]) and before[1:] == again[1:]
    assert box["draw"]()[1] != again[1]
    state = torch.get_rng_state()
    box["change_everything"]()
    assert box["circumstances"]() == (torch.float32, True)
    assert torch.equal(state, torch.get_rng_state()) and torch.is_grad_enabled()
    with torch.no_grad():
        assert box["circumstances"]() == (torch.float32, False)


def test_a_tensor_of_the_box_that_is_changed_outside_is_found(session, box):
    state = box["Net"]().state_dict()
    assert session.changed() == []
    state["linear.bias"].zero_()
    assert [value.tolist() for value in session.changed()] == [[0, 0]]


def test_an_object_that_agrees_to_everything_is_not_a_value(box):
    thing = box["anything"]()
    assert type(thing) is Remote and type(thing.shape) is Remote
    assert thing != 3 and thing != thing.shape
    with pytest.raises((TypeError, RemoteError)):
        bool(thing)
    with pytest.raises(TypeError):
        float(thing)


def test_the_meta_device_is_passed_on(box):
    with torch.device("meta"):
        assert {p.device.type for p in box["Net"]().parameters()} == {"meta"}


VALID = {"value": 1, "changed": [], "leaves": []}


@pytest.mark.parametrize(
    "reply",
    [
        None,
        3,
        "",
        "[]",
        "nonsense",
        "{}",
        json.dumps({"value": 1}),
        json.dumps(VALID | {"changed": [[5, 1]]}),
        json.dumps(VALID | {"changed": [[0, {"type": "tensor"}]]}),
        json.dumps(VALID | {"changed": [[0, 3]]}),
        json.dumps(VALID | {"changed": 3}),
        json.dumps(VALID | {"leaves": [[0]]}),
        json.dumps(VALID | {"value": {"type": "argument", "index": 9}}),
        json.dumps(VALID | {"value": {"type": "object", "number": "x"}}),
        json.dumps({"error": {"kind": "X", "kinds": 3, "message": ""}}),
        json.dumps({"error": {"kind": "StopIteration", "kinds": ["StopIteration"], "message": ""}}),
        json.dumps({"error": 3}),
        "9" * 5000,
        " " * (codec.MAX_TEXT + 1),
    ],
)
def test_a_forged_reply_is_an_error_of_the_student(reply):
    session = Session(lambda text: reply)
    function = Remote(session, 0, "function")
    with pytest.raises(RemoteError):
        function(torch.zeros(2))
    with pytest.raises((RemoteError, TypeError, ValueError, OverflowError)):
        len(Remote(Session(lambda text: json.dumps(VALID | {"value": -1})), 0, "list"))


def test_numbers_that_are_not_finite_arrive(box):
    assert math.isnan(box["echo"](math.nan)) and box["echo"](-math.inf) == -math.inf
    assert box["double"](2**100) == 2**101
