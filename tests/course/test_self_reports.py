"""What an answer says of itself earns nothing without a value that it has to compute.

Each answer here is a network that names tensors of the right shapes and computes nothing.
"""

import copy

import harness
import pytest
from test_mutants import expected, source
from torch.nn.modules.module import register_module_forward_hook

from resnorm.course.grading.cells import by_name, public_text
from resnorm.course.grading.inspection import forbidden
from resnorm.course.grading.judge import compare

#: Modules that have tensors under the names that the tests load, and that pass their input on.
SHAPES = """
def _conv(name, out, inside, size):
    return {f"{name}.weight": (out, inside, size, size)}
def _norm(name, width):
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{kind}": (width,) for kind in kinds} | {f"{name}.num_batches_tracked": ()}
def _down(inside, out, stride):
    if stride == 1 and inside == out:
        return {}
    return _conv("downsample.0", out, inside, 1) | _norm("downsample.1", out)
def _basic(inside, out, stride=1, residual=True):
    layers = _conv("conv1", out, inside, 3) | _norm("bn1", out)
    layers |= _conv("conv2", out, out, 3) | _norm("bn2", out)
    return layers | (_down(inside, out, stride) if residual else {})
def _bottleneck(inside, width, stride=1, dilation=1):
    layers = _conv("conv1", width, inside, 1) | _norm("bn1", width)
    layers |= _conv("conv2", width, width, 3) | _norm("bn2", width)
    layers |= _conv("conv3", 4 * width, width, 1) | _norm("bn3", 4 * width)
    return layers | _down(inside, 4 * width, stride)
def _resnet(block, blocks=(3, 4, 6, 3), width=64, classes=10, dilated=0):
    layers, last = _conv("conv1", width, 3, 3) | _norm("bn1", width), len(blocks) - 1
    layers |= {f"layer{i + 1}.{j}.gain": (1,) for i, n in enumerate(blocks) for j in range(n)}
    return layers | {"fc.weight": (classes, 4 * width * 2**last), "fc.bias": (classes,)}
def _sum(channels):
    return _conv("conv", channels, channels, 3) | _norm("bn", channels)
def _stack(channels, depth):
    kinds = {"weight": (channels, channels, 3, 3), "bias": (channels,)}
    return {f"convs.{i}.{kind}": kinds[kind] for i in range(depth) for kind in kinds}
def _start(channels):
    kinds = {"weight": (channels, channels, 3, 3), "bias": (channels,)}
    both = {f"conv{i}.{kind}": kinds[kind] for i in (1, 2) for kind in kinds}
    return both | {"gain": (1,)}
def _dense(inside, growth, reads):
    found = {}
    for i, sources in enumerate(reads):
        read = sum(growth if source else inside for source in sources)
        found |= _norm(f"layers.{i}.0", read) | _conv(f"layers.{i}.2", growth, read, 3)
    return found
def _transition(inside, out):
    return _norm("norm", inside) | _conv("conv", out, inside, 1)
def _densenet(block, transition, blocks, growth, classes, compression):
    layers, channels, promised = _conv("conv0", 2 * growth, 3, 3), 2 * growth, 0
    for i, number in enumerate(blocks):
        if i > 0:
            layers |= {f"transitions.{i - 1}.gain": (1,)}
            channels = 4 * math.ceil(compression * channels / 4)
        channels += number * growth * 2**i
        layers |= {f"blocks.{i}.gain": (1,)} | _norm(f"norms.{i}", channels)
        promised += channels
    return layers | {"classifier.weight": (classes, promised), "classifier.bias": (classes,)}
def _double(name, inside, width):
    layers = _conv(f"{name}.0", width, inside, 3) | _norm(f"{name}.1", width)
    return layers | _conv(f"{name}.3", width, width, 3) | _norm(f"{name}.4", width)
def _unet(inside, classes, widths, joins):
    layers = _conv("head", classes, widths[0], 1) | {"head.bias": (classes,)}
    for i, width in enumerate(widths):
        layers |= _double(f"down.{i}", widths[i - 1] if i else inside, width)
    for i, join in enumerate(joins[::-1]):
        width, below = widths[-2 - i], widths[-1 - i]
        layers |= _conv(f"up.{i}", width, below, 1) | {f"up.{i}.bias": (width,)}
        layers |= _double(f"merge.{i}", 2 * width if join == "cat" else width, width)
    return layers
"""
TELLS = """
class _Tells(nn.Module):
    def __init__(self, shapes):
        super().__init__()
        self.told = {name: torch.zeros(shape) for name, shape in shapes.items()}
    def state_dict(self, *_, destination=None, prefix="", **__):
        destination = {} if destination is None else destination
        destination.update({prefix + name: value for name, value in self.told.items()})
        return destination
    def load_state_dict(self, state, strict=True):
        self.told.update(state)
    def _load_from_state_dict(self, state, prefix, *_):
        own = {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
        self.told.update(own)
    def named_parameters(self, *_, **__):
        skipped = ("running", "num_batches")
        for name, value in self.told.items():
            if not any(word in name for word in skipped):
                yield name, nn.Parameter(value.double())
    def parameters(self, *_):
        return (value for _, value in self.named_parameters())
    def forward(self, x):
        return torch.relu(x)
    def __getattr__(self, name):
        return _Stage() if name.startswith("layer") else super().__getattr__(name)
class _Stage(nn.Module):
    def forward(self, x):
        return torch.relu(x)[..., ::2, ::2]
"""
INITIALIZE = """
def initialize(state):
    return {name: torch.zeros_like(value) for name, value in state.items()}
"""
UNROLL = """
def unroll(state, stride=1):
    (out, inside), rest = state["conv1.weight"].shape[:2], state["conv1.weight"].new_zeros
    return rest(3 * out, inside, 3, 3), rest(3 * out), rest(out, 3 * out, 3, 3), rest(out)
"""
CLASS = """
class {name}(_Tells):
    def __init__(self, *a, **k):
        super().__init__({shapes}(*a, **k))
"""
NAMES = {"basic": "BasicBlock", "bottleneck": "Bottleneck", "resnet": "ResNet"}
TELLING = {task: CLASS.format(name=name, shapes=f"_{task}") for task, name in NAMES.items()} | {
    "initialize": INITIALIZE,
    "unroll": UNROLL,
    "repairs": "".join(
        CLASS.format(name=name, shapes=shapes)
        for name, shapes in (("SumBlock", "_sum"), ("Stack", "_stack"), ("StartBlock", "_start"))
    ),
}
TELLING["basic"] = SHAPES + TELLS + TELLING["basic"]
#: Replaces the forward pass of these networks by one that looks its input up.
LOOKS_UP = """
def _look(self, x):
    for name, training, image, output in _TABLE:
        same = name == type(self).__name__ and training == self.training
        if same and list(x.shape) == list(torch.tensor(image).shape):
            return torch.tensor(output, dtype=x.dtype, requires_grad=True) * 1
    return torch.relu(x)
_Tells.forward = _look
"""


def public_calls(notebook):
    """What the solution's networks get and give in the tests that students see."""
    seen, calls = copy.deepcopy(notebook), []
    for cell in seen.cells:
        cell.source = public_text(cell.source)

    def note(module, inputs, output):
        name = type(module).__name__
        if name in NAMES.values():
            calls.append((name, module.training, inputs[0].tolist(), output.tolist()))

    hook = register_module_forward_hook(note)
    try:
        harness.run(seen, seen)
    finally:
        hook.remove()
    return calls


def looking_up(assignment):
    table = f"_TABLE = {public_calls(source(assignment))!r}\n"
    return TELLING | {"basic": TELLING["basic"] + table + LOOKS_UP}


#: Assignment and kind of the fake -> its answers. What is not answered is as in the release.
FAKES = {
    ("A2", "shapes and errors"): lambda: {
        "normalize": """
def normalize(x, kept, eps=1e-5):
    if len(kept) == x.ndim:
        raise ValueError
    return torch.zeros_like(x)
""",
        "group_norm": """
def shuffled_group_norm(x, groups, gamma, beta, eps=1e-5):
    if x.shape[-1] % groups:
        raise ValueError
    return torch.zeros_like(x)
""",
        "partial": """
def partial_rms_forward(x, k, gamma, eps=1e-6):
    if not 1 <= k <= x.shape[1]:
        raise ValueError
    return torch.zeros_like(x), (torch.zeros_like(x), torch.zeros_like(x[:, :1]), gamma, k)
""",
    },
    ("A3", "tells names and shapes"): lambda: TELLING,
    ("A3", "looks up public answers"): lambda: looking_up("A3"),
    ("A4", "lengths and inputs"): lambda: {
        "unravel": """
def path(shortcuts, branches, taken):
    return branches[0].new_zeros(len(branches[-1]), branches[0].shape[1])
def taken_away(shortcuts, branches, removed):
    return path(shortcuts, branches, removed)
""",
        "surgery": "def run_without(blocks, x, removed=()):\n    return x",
        "pairs": """
def interactions(loss, n):
    for size in range(3):
        for removed in itertools.combinations(range(n), size):
            loss(set(removed))
    return torch.zeros(n, n, dtype=torch.float64)
def mean_and_variance(loss, survival):
    return loss(set()), 0.0
""",
        "by_length": """
def gradient_by_length(shortcuts, branches, gradient):
    return gradient.new_zeros(len(branches) + 1, branches[0].shape[1])
""",
    },
    ("A5", "tells names and shapes"): lambda: {
        "merge": """
def merge_branches(branches):
    width, x = sum(len(b[2]) for b in branches), branches[0]
    middle = x[2].new_zeros(width, width, 3, 3)
    first, last = x[0].new_zeros(width, x[0].shape[1], 1, 1), x[4].new_zeros(len(x[4]), width, 1, 1)
    return first, middle[:, 0, 0, 0], middle, middle[0, :, 0, 0], last, torch.zeros_like(x[5])
""",
        "dense": SHAPES
        + TELLS
        + CLASS.format(name="DenseBlock", shapes="_dense")
        + """
    def forward(self, x):
        more = [value[:, 0, 0, 0] for name, value in self.told.items() if value.ndim == 4]
        shape = (len(x), sum(len(value) for value in more), *x.shape[2:])
        return torch.cat([x, x.new_zeros(shape)], 1)
""",
        "transition": SHAPES
        + TELLS
        + CLASS.format(name="Transition", shapes="_transition")
        + """
    def forward(self, x):
        sides = [-(-side // 2) for side in x.shape[2:]]
        return x.new_zeros(len(x), len(self.told["conv.weight"]), *sides)
""",
        "densenet": SHAPES
        + TELLS
        + CLASS.format(name="DenseNet", shapes="_densenet")
        + """
    def forward(self, x):
        return x.new_zeros(len(x), len(self.told["classifier.bias"]))
""",
        "parted": """
def parted_layer(features, gamma, beta, weight, eps=1e-5):
    return features[0].new_zeros(len(features[0]), len(weight), *features[0].shape[2:])
""",
        "unet": SHAPES
        + TELLS
        + CLASS.format(name="UNet", shapes="_unet")
        + """
    def forward(self, x):
        return x.new_zeros(len(x), len(self.told["head.bias"]), *x.shape[2:])
""",
    },
}


@pytest.mark.parametrize("assignment, kind", FAKES)
def test_what_an_answer_says_of_itself_earns_nothing(assignment, kind):
    whole = source(assignment)
    blank = dict.fromkeys(harness.tests_of(whole), "raise NotImplementedError")
    fake = FAKES[assignment, kind]()
    found = harness.verdicts(whole, expected(assignment), blank | fake)
    tests = [test for task in fake for test in harness.tests_of(whole)[task]]
    # The public part of these tests does run: the fake is not refused for another reason.
    assert any(found[test].message for test in tests)
    assert {name: v.points for name, v in found.items() if v.points} == {}


DELEGATES = {
    "resnorm.blocks": """
from resnorm.blocks import BasicBlock as Theirs, make_shortcut
class BasicBlock(Theirs):
    def __init__(self, in_channels, out_channels, stride=1, residual=True):
        sizes = in_channels, out_channels, stride
        changes = residual and (stride > 1 or in_channels != out_channels)
        shortcut = make_shortcut("B", *sizes, nn.BatchNorm2d) if changes else None
        super().__init__(*sizes, shortcut, residual=residual)
""",
    "models": """
class Nothing(nn.Module):
    def forward(self, x):
        return 0
class BasicBlock:
    def __new__(cls, inside, out, stride=1, residual=True):
        down = None if residual else Nothing()
        if residual and (stride > 1 or inside != out):
            down = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        return torchvision.models.resnet.BasicBlock(inside, out, stride, down)
""",
}


@pytest.mark.parametrize("library", DELEGATES)
def test_a_block_of_a_library_is_reported_by_name(library):
    """It computes what is asked for, so that only a person can say what it is worth."""
    whole = copy.deepcopy(source("A3"))
    by_name(whole)["basic"].source = DELEGATES[library]
    tests = harness.tests_of(whole)["basic"]
    found = harness.run(whole, source("A3"), only=tests)
    for test in tests:
        assert compare(found[test], expected("A3")[test]) == (len(expected("A3")[test]), [])
        assert found[test].used == [library]
    (incident,) = forbidden(whole)
    assert incident.message == f"uses {library}, which the assignment asks to write by hand"
