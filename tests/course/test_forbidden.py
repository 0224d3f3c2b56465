"""Forbidden functions are noticed in the code and while it runs, whatever they are called there."""

import _thread
import copy
import importlib
import io
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import harness
import nbformat
import pytest
import torch
import torch.nn.functional as F
from odd_notebooks import ASSIGNMENTS, source
from torch import nn
from tqdm import tqdm

from resnorm.course.grading.cells import meta
from resnorm.course.grading.inspection import HINT, forbidden, forbidden_by_test, used
from resnorm.course.grading.submission import restore
from resnorm.course.sandbox.journal import UNSEEN
from resnorm.course.sandbox.observation import observed

ARGUMENTS = "x, None, None, gamma, beta, True, 0.1, eps"
BODY = f"def batch_norm_forward(x, gamma, beta, eps=1e-5):\n    return {{}}({ARGUMENTS}), ()"


def notebook(*own, **answers):
    """A1 with some answers, and with cells of the student's own behind the imports."""
    made = copy.deepcopy(source())
    for cell in made.cells:
        name = meta(cell).get("grade_id")
        if name in answers:
            cell.source = answers[name]
        if name == "backward":
            cell.metadata["resnorm"] = {"forbidden": ["autograd"]}
    names = [meta(cell).get("grade_id") for cell in made.cells]
    place = names.index("imports") + 1
    made.cells[place:place] = [nbformat.v4.new_code_cell(text) for text in own]
    return made


def reasons(*own, **answers):
    return [incident.message for incident in forbidden(notebook(*own, **answers))]


BATCH_NORM = "uses batch_norm, which the assignment asks to write by hand"
AUTOGRAD = "uses autograd, where the task asks to derive the gradient by hand"


@pytest.mark.parametrize(
    "before, function",
    [
        ("from torch.nn.functional import batch_norm as bn", "bn"),
        ("", "torch.nn.functional.batch_norm"),
        ("", "getattr(F, 'batch_norm')"),
        ("", "F.__dict__['batch_norm']"),
        ("", "vars(torch.nn.functional)['batch_norm']"),
        ("", "torch.ops.aten._native_batch_norm_legit"),
        ("", "torch.cudnn_batch_norm"),
        ("import importlib", "importlib.import_module('torch.nn.functional').batch_norm"),
        ("import sys", "sys.modules['torch.nn.functional'].batch_norm"),
        ("import operator", "operator.attrgetter('batch_norm')(F)"),
        ("from torch.nn.functional import *", "batch_norm"),
        ("library = F\nfast = library.batch_norm\nfaster = fast", "faster"),
        ("%matplotlib inline\nbn = F.batch_norm", "bn"),
        ("%%time\nfiles = !ls\nfor _ in range(1):\n    !ls\nbn = F.batch_norm", "bn"),
        ("", "eval('F.batch_norm')"),
    ],
)
def test_a_forbidden_function_is_found_in_the_code(before, function):
    found = reasons(before, forward=BODY.format(function))
    assert found and set(found) == {BATCH_NORM}


@pytest.mark.parametrize(
    "helper",
    [
        "def helper(*a):\n    return F.batch_norm(*a)",
        "class Helper(nn.Module):\n    def __init__(self):\n        self.norm = F.batch_norm\n"
        "    def __call__(self, *a):\n        return self.norm(*a)\nhelper = Helper()",
    ],
)
def test_a_forbidden_function_is_found_behind_a_helper(helper):
    found = forbidden(notebook(helper, forward=BODY.format("helper")))
    assert [(incident.cell, incident.message) for incident in found] == [(3, BATCH_NORM)]


def test_an_answer_that_another_cell_replaces_is_looked_at():
    assert reasons("channel_statistics.__code__ = F.batch_norm.__code__") == [BATCH_NORM]
    assert reasons(BODY.format("F.batch_norm"))[0] == BATCH_NORM


@pytest.mark.parametrize(
    "own",
    [
        "y = F.batch_norm(torch.randn(2, 3, 4, 4), None, None, training=True)",
        "mean = F.batch_norm",
        "def my_own_test():\n    return nn.BatchNorm2d(3)(torch.randn(2, 3, 4, 4))\nmy_own_test()",
        "def batch_norm(x):\n    return x\nbatch_norm(torch.zeros(1))",
        "# F.batch_norm\ntext = 'batch_norm'",
        "def batch_norm(:\n",
        "x" * 300_000,
        "(" * 5000,
        "a" + ".b" * 20_000,
        "a" + ".b" * 970,
    ],
)
def test_what_no_answer_uses_is_not_reported(own):
    assert reasons(own) == []


@pytest.mark.parametrize(
    "check",
    [
        "x = torch.randn(2, 3, 4, 4)\ny = F.batch_norm(x, None, None, training=True)",
        "def check():\n    return nn.BatchNorm2d(3)(torch.randn(2, 3, 4, 4))\n\n\ncheck()",
        "x = torch.ones(3, requires_grad=True)\n(x * x).sum().backward()",
        "from torch.nn.functional import batch_norm\nprint(batch_norm)",
    ],
)
def test_a_check_in_the_cell_of_an_answer_is_not_reported(check):
    assert marked_up(check) == []


@pytest.mark.parametrize(
    "use",
    [
        "batch_norm_forward = F.batch_norm",
        "batch_norm_forward.__code__ = F.batch_norm.__code__",
        "setattr(batch_norm_forward, '__code__', F.batch_norm.__code__)",
        "if True:\n    def batch_norm_forward(*x):\n        return F.batch_norm(*x)",
    ],
)
def test_what_the_cell_of_an_answer_puts_into_it_is_reported(use):
    assert marked_up(use) == [BATCH_NORM]


def marked_up(more):
    """The reports on an answer with more code in its cell, in the form in which it is graded."""
    handed_in = copy.deepcopy(source())
    for cell in handed_in.cells:
        if meta(cell).get("grade_id") in ("forward", "backward"):
            cell.source += f"\n\n\n{more}"
    graded, _ = restore(handed_in, source())
    graded.metadata["resnorm"] = dict(source().metadata["resnorm"])
    return sorted({incident.message for incident in forbidden(graded)})


def test_a_function_of_that_name_that_the_answer_defines_is_not_reported():
    layer = (
        "class Layer(nn.Module):\n"
        "    def batch_norm(self, x):\n        return x\n"
        "    def forward(self, x):\n        return self.batch_norm(x)\n"
    )
    assert reasons(forward=layer + BODY.format("Layer().batch_norm")) == []


@pytest.mark.parametrize(
    "gradient",
    [
        "torch.autograd.grad(y, x, dy)",
        "y.backward(dy)",
        "vjp(batch_norm_forward, x)[1](dy)",
        "torch.func.jacrev(batch_norm_forward)(x)",
        "getattr(torch.autograd, 'grad')(y, x, dy)",
        "torch.autograd.functional.vjp(batch_norm_forward, x, dy)",
    ],
)
def test_autograd_is_found_where_a_task_forbids_it(gradient):
    answer = f"def batch_norm_backward(dy, cache):\n    x, y = cache\n    return {gradient}"
    assert reasons("from torch.func import vjp", backward=answer) == [AUTOGRAD]
    elsewhere = answer.replace("batch_norm_backward", "check_my_gradient")
    assert reasons("from torch.func import vjp", elsewhere) == []
    assert reasons("from torch.func import vjp", merge=elsewhere) == []  # not forbidden there


def blocks_of(answer):
    """The reports on A3 with this answer to its second task."""
    made = nbformat.read(next((ASSIGNMENTS / "source" / "A3").glob("*.ipynb")), as_version=4)
    next(cell for cell in made.cells if meta(cell).get("grade_id") == "basic").source = answer
    return [incident.message for incident in forbidden(made)]


@pytest.mark.parametrize(
    "answer",
    [
        "from resnorm.blocks import BasicBlock",
        "from resnorm.blocks.postact import *",
        "from resnorm import *\nBasicBlock = blocks.BasicBlock",
        "import resnorm\nBasicBlock = resnorm.blocks.BasicBlock",
        "import resnorm\nBasicBlock = getattr(resnorm, 'blocks').BasicBlock",
        "import resnorm.blocks.postact as own\nclass BasicBlock(own.BasicBlock):\n    pass",
        "from resnorm import blocks as own\ndef BasicBlock(*a):\n    return own.BasicBlock(*a)",
        "import importlib\nBasicBlock = importlib.import_module('resnorm.blocks').BasicBlock",
        "import sys\nBasicBlock = sys.modules['resnorm.blocks.postact'].BasicBlock",
    ],
)
def test_a_module_of_the_package_is_found_in_the_code(answer):
    found = blocks_of(answer)
    assert set(found) == {"uses resnorm.blocks, which the assignment asks to write by hand"}


@pytest.mark.parametrize(
    "body",
    [
        "self.blocks, self.norms = nn.ModuleList(), nn.ModuleList()\n"
        "        self.size = len(self.blocks) + len(self.norms)",
        "setattr(self, 'blocks', 3)\n        self.size = getattr(self, 'blocks')",
        "self.size = [block.norms for block in sizes[0].blocks]",
        "blocks = norms = list(sizes)\n        self.size = len(blocks) + len(norms)",
        "self.add_module('norms', nn.ReLU())\n        self.size = vars(self)['norms']",
        "from resnorm import checking\n        checking.blocks = 3",
    ],
)
def test_own_attributes_named_like_a_module_of_the_package_are_not_reported(body):
    own = f"class BasicBlock(nn.Module):\n    def __init__(self, *sizes):\n        {body}\n"
    assert blocks_of(own) == []


def test_a_module_of_the_package_is_noticed_where_it_runs():
    from resnorm import blocks

    space = {"__name__": "__main__", "nn": nn}
    exec(
        "class Own(nn.Module):\n    blocks = norms = nn.Identity()\n"
        "    def forward(self, x): return self.norms(self.blocks(x))",
        space,
    )
    names = ["resnorm.blocks", "resnorm.norms"]
    with observed(names) as found:
        space["Own"]()(X)
        assert found == []
        blocks.BasicBlock(3, 3)(X)
    assert found == ["resnorm.blocks"]


#: Assignment -> the modules of the package that do what it asks to write. A6 asks for none.
OFFERED = {
    "A1": {"resnorm.norms"},
    "A2": {"resnorm.norms"},
    "A3": {"resnorm.blocks", "resnorm.models", "resnorm.norms"},
    "A4": {"resnorm.blocks", "resnorm.models", "resnorm.probes"},
    "A5": {"resnorm.blocks", "resnorm.models", "resnorm.segmentation"},
    "A6": set(),
}


@pytest.mark.parametrize("assignment", OFFERED)
def test_what_the_package_offers_for_a_task_is_forbidden_in_all_of_its_answers(assignment):
    made = nbformat.read(next((ASSIGNMENTS / "source" / assignment).glob("*.ipynb")), as_version=4)
    answers = [
        cell
        for cell in made.cells
        if cell.cell_type == "code" and meta(cell).get("solution") and not meta(cell).get("grade")
    ]
    for answer in answers:
        for module in OFFERED[assignment]:
            answer.source = f"import {module} as library\ndouble = library.double"
            assert len(forbidden(made)) == 1, (meta(answer)["grade_id"], module)
        answer.source = "pass"


def test_each_test_knows_what_its_answer_must_not_use():
    names = forbidden_by_test(notebook())
    assert "batch_norm" in names["test_fold"] and "autograd" not in names["test_fold"]
    assert {"batch_norm", "autograd"} <= set(names["test_backward_input"])
    assert "autograd" not in names["test_merge"]


def test_only_listed_names_are_reported_from_the_run():
    found = {
        "test_backward_input": ["autograd", "<script>", "batch_norm"],
        "test_fold": ["autograd"],
        "made up": ["batch_norm"],
    }
    assert [incident.message for incident in used(found, notebook())] == [
        f"{reason} (test_backward_input; {HINT})" for reason in (AUTOGRAD, BATCH_NORM)
    ]


X, ONE = torch.randn(2, 3, 4, 4), torch.ones(3)
POSITIONAL = (X, ONE, ONE, None, None, True, 0.1, 1e-5, False)
COMPOSED = getattr(F, "batch" + "_norm")


def in_a_thread():
    thread = threading.Thread(target=torch.batch_norm, args=POSITIONAL)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "call",
    [
        lambda: COMPOSED(X, None, None, training=True),
        lambda: nn.BatchNorm2d(3)(X),
        lambda: nn.BatchNorm2d.forward(nn.BatchNorm2d(3), X),
        lambda: torch.batch_norm(*POSITIONAL),
        lambda: list(map(torch.batch_norm, *([value] for value in POSITIONAL))),
        lambda: torch.ops.aten.native_batch_norm(*POSITIONAL[:-1]),
        lambda: torch.ops.aten._native_batch_norm_legit(X, ONE, ONE, True, 0.1, 1e-5),
        in_a_thread,
    ],
)
def test_a_forbidden_function_is_noticed_where_it_runs(call):
    with observed(["batch_norm", "rms_norm", "autograd"]) as found:
        call()
    assert found == ["batch_norm"]


#: Functions in TorchScript, which a profile function and a mode of Python do not see.
SCRIPT = torch.jit.CompilationUnit(
    """
def norm(x):
    return torch.{}(x, None, None, None, None, True, 0.1, 1e-5, False)

def gradient(x):
    x = x.detach().requires_grad_(True)
    y = x * x
    seeds = torch.jit.annotate(List[Optional[Tensor]], [y.detach()])
    return torch.autograd.grad([y], [x], seeds)[0]

def root_mean_square(x):
    return torch.{}(x, [4])
""".format("batch" + "_norm", "rms" + "_norm")
)


def quietly(call):
    """Do something where torch's functions are not handed to modes."""

    def run():
        with torch._C.DisableTorchFunction():
            return list(map(call, [X]))

    return run


@pytest.mark.parametrize(
    "call, names",
    [
        (lambda: SCRIPT.norm(X), ["batch_norm"]),
        (lambda: SCRIPT.root_mean_square(X), ["rms_norm"]),
        (lambda: SCRIPT.gradient(X), ["autograd"]),
        (quietly(lambda x: COMPOSED(x, None, None, training=True)), ["batch_norm"]),
        (lambda: [SCRIPT.norm(X)] + [F.relu(X) for _ in range(3000)], ["batch_norm"]),
    ],
)
def test_torchscript_and_hidden_calls_are_noticed_where_they_run(call, names):
    with observed(["batch_norm", "rms_norm", "autograd"]) as found:
        call()
    assert found == names


def leaf():
    return X.clone().requires_grad_()


def square(x):
    return x.square().sum()


#: Autograd's own engine, and what it takes: not again, no graph, nobody's gradients, accumulate.
ENGINE = torch.autograd.Variable._execution_engine
FLAGS = [False], [False], [()], [True], [True]


def forward_mode():
    with torch.autograd.forward_ad.dual_level():
        torch.autograd.forward_ad.make_dual(X, X)


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.autograd.grad(square(x := leaf()), x),
        lambda: square(leaf()).backward(),
        lambda: list(map(torch.Tensor.backward, [square(leaf())])),
        lambda: list(map(ENGINE.run_backward, [(square(leaf()),)], [(ONE.sum(),)], *FLAGS)),
        lambda: torch.autograd.functional.vjp(square, X),
        lambda: torch.func.grad(square)(X),
        lambda: torch.func.jvp(square, (X,), (X,)),
        forward_mode,
    ],
)
def test_autograd_is_noticed_where_it_runs(call):
    with observed(["autograd", "batch_norm"]) as found:
        call()
    assert found == ["autograd"]


def test_the_solution_uses_nothing_that_is_forbidden():
    space = {"__name__": "__main__"}
    for name in ("imports", "channel_statistics", "forward", "backward"):
        exec(harness.solution(source(), name), space)
    with observed(forbidden_by_test(notebook())["test_backward_input"]) as found:
        y, cache = space["batch_norm_forward"](leaf(), ONE, ONE)
        with torch.no_grad():
            space["batch_norm_backward"](y, cache)
    assert found == []


def test_modules_and_classes_of_libraries_are_noticed_and_those_of_the_notebook_are_not():
    import torchvision

    space = {"__name__": "__main__", "torch": torch, "__builtins__": __builtins__}
    exec(
        "class UNet(torch.nn.Module):\n    def forward(self, x): return lesion(x)\n"
        "def lesion(x): return x",
        space,
    )
    names = ["models", "UNet", "lesion", "BatchNorm2d"]
    with observed(names) as found:
        space["UNet"]()(X)
        assert found == []
        torchvision.models.resnet.BasicBlock(3, 3)(X)
    assert found == ["models", "BatchNorm2d"]


def test_what_the_tests_hand_in_is_not_observed():
    space = {"__name__": "__boxed__", "F": F}
    exec("def loss(x):\n    return F.batch_norm(x, None, None, training=True).sum()", space)
    with observed(["batch_norm", "rms_norm"], exempt=space) as found:
        space["loss"](X)
        with pytest.raises(TypeError):
            space["loss"]()
        space["loss"](X)
        assert found == []
        F.rms_norm(X, (4,))
        F.batch_norm(X, None, None, training=True)
    assert found == ["rms_norm", "batch_norm"]


def test_nothing_is_observed_afterwards_and_errors_pass():
    with pytest.raises(ZeroDivisionError), observed(["batch_norm"]) as found:
        print(1 / 0)
    F.batch_norm(X, None, None, training=True)
    nn.BatchNorm2d(3)(X)
    assert found == []


def test_tasks_that_ask_for_a_derivation_forbid_autograd():
    found = {}
    for path in sorted((ASSIGNMENTS / "source").glob("A*/*.ipynb")):
        tests = forbidden_by_test(nbformat.read(path, as_version=4))
        found |= {test: path.parent.name for test, names in tests.items() if "autograd" in names}
    assert found == {
        "test_backward_parameters": "A1",
        "test_backward_input": "A1",
        "test_weighted_input": "A1",
        "test_group_parameters": "A2",
        "test_group_input": "A2",
        "test_partial_input": "A2",
    }


@pytest.mark.parametrize("assignment", ["A1", "A2", "A3", "A4", "A5", "A6"])
def test_right_answers_are_not_reported(assignment):
    """Those that are written differently from ours."""
    path = next((ASSIGNMENTS / "source" / assignment).glob("*.ipynb"))
    ours = nbformat.read(path, as_version=4)
    for task, edits in importlib.import_module(f"mutants.{assignment.lower()}").RIGHT.items():
        for edit in edits.values():
            theirs = copy.deepcopy(ours)
            cell = next(cell for cell in theirs.cells if meta(cell).get("grade_id") == task)
            cell.source = harness.edited(harness.solution(ours, task), edit)
            assert forbidden(theirs) == []


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("function", [lambda x: (x - 1) * 2 + 3, torch.sin, nn.Tanh().forward])
def test_what_is_compiled_computes_the_same_when_it_is_observed(backend, function):
    torch._dynamo.reset()
    compiled, x = torch.compile(function, backend=backend), torch.linspace(-1, 1, 5)
    with observed(["batch_norm"]):
        first = compiled(x)
    assert torch.equal(first, function(x)) and torch.equal(compiled(x), function(x))


def nested():
    with observed(["none"]):
        pass


SWITCHED_OFF = {
    "the record": torch.autograd._disable_profiler_legacy,
    "the record for a while": lambda: torch.autograd._enable_record_function(True),
    "for a while": lambda: sys.setprofile(sys.getprofile()),
    "another observation": nested,
    "the operators passed by": lambda: torch.ops.aten.relu.default.redispatch(
        torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), X
    ),
    "profile": lambda: sys.setprofile(None),
    "profile replaced": lambda: sys.setprofile(lambda *_: None),
    "profile of others": lambda: sys.setprofile(print) or sys.setprofile(None),
}


@pytest.mark.parametrize("how", SWITCHED_OFF)
def test_switching_the_observation_off_is_noticed(how):
    with observed(["batch_norm"]) as found:
        SWITCHED_OFF[how]()
    assert found == [UNSEEN]


def profiled(function):
    """Compute under a profile of the student's own."""
    with torch.profiler.profile(record_shapes=True) as found:
        y = function(X)
    return y, {event.key for event in found.key_averages()}


def profiled_as_before():
    from torch.autograd.profiler_legacy import profile

    with profile() as found:
        F.relu(X)
    return found.key_averages()


def test_an_answer_may_profile_itself_and_is_reported():
    with observed(["batch_norm", "autograd"]) as found:
        y, names = profiled(F.relu)
        again, _ = profiled(F.relu)
        for _ in range(3000):  # of which a record would have been looked at
            F.relu(X)
    assert torch.equal(y, F.relu(X)) and torch.equal(again, y) and "aten::relu" in names
    assert found == [UNSEEN]
    with observed(["batch_norm"]) as found:
        assert profiled_as_before()
    assert found == [UNSEEN]
    with observed(["batch_norm", "autograd"]) as found:
        profiled(lambda x: COMPOSED(x, None, None, training=True))
    assert set(found) == {UNSEEN, "batch_norm"}
    with observed(["batch_norm"]) as found:
        F.relu(X)
    assert found == []


def test_a_profile_that_an_earlier_cell_has_begun_costs_the_answer_nothing():
    with torch.profiler.profile() as profile, observed(["batch_norm"]) as found:
        y = F.relu(X)
    assert torch.equal(y, F.relu(X)) and found == [UNSEEN]
    assert "aten::relu" in {event.key for event in profile.key_averages()}
    with observed(["batch_norm"]) as found:
        list(map(torch.batch_norm, *([value] for value in POSITIONAL)))
    assert found == ["batch_norm"]


@pytest.mark.parametrize("kind", ["a thread", "a pool", "a thread without a name"])
def test_a_thread_from_before_is_noticed(kind):
    begun, end = threading.Event(), threading.Event()

    def wait():
        begun.set()
        end.wait(60)

    with ThreadPoolExecutor(1) as pool:
        if kind == "a thread":
            threading.Thread(target=wait).start()
        elif kind == "a pool":
            pool.submit(wait)
        else:
            _thread.start_new_thread(wait, ())
        assert begun.wait(60)
        with observed(["batch_norm"]) as found:
            F.relu(X)
        end.set()
    assert found == [UNSEEN]
    (incident,) = used({"test_forward": found}, notebook())
    assert "a thread or a process of its own, or switches observation off" in incident.message


def test_the_thread_of_a_progress_bar_is_not_noticed():
    for _ in range(100):  # until the threads of other tests have ended
        with observed(["batch_norm"]) as found:
            F.relu(X)
        if not found:
            break
        time.sleep(0.1)
    with tqdm(total=1, file=io.StringIO()) as bar:
        bar.update()
    assert bar.monitor.is_alive()
    with observed(["batch_norm"]) as found:
        F.relu(X)
    assert found == []


def test_what_many_tests_notice_is_said_once():
    found = {"test_forward": [UNSEEN], "test_fold": [UNSEEN, "batch_norm"]}
    messages = [incident.message for incident in used(found, notebook())]
    assert messages == [messages[0], f"{BATCH_NORM} (test_fold; {HINT})"]
    assert "(test_forward, test_fold; " in messages[0]
