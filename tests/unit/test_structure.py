"""The package as a house: imports go one way, and importing has no effect but to import."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "utils" / "resnorm"
MODULES = [
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py" and path.name != "__main__.py"
]


@pytest.mark.parametrize(
    "module, statement, imported",
    [
        ("norms.batch_norm", "from resnorm.models import resnet", "models.resnet"),
        ("blocks", "from resnorm.train import fit", "train"),
        ("models.resnet", "import resnorm.probes", "probes"),
        ("data", "from resnorm import augment", "augment"),
        ("probes", "from resnorm.train import fit", "train"),
        ("figures.style", "from resnorm.norms import fold", "norms"),
        ("checking", "from resnorm import norms", "norms"),
        ("train", "from resnorm import course", "course"),
        ("course", "from resnorm.models import resnet", "models.resnet"),
    ],
)
def test_make_lint_finds_an_import_against_the_flow(tmp_path, module, statement, imported):
    package = tmp_path / "resnorm"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)  # holds the contracts
    path = package.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    file.write_text(f"{file.read_text('utf-8')}\n{statement}\n", "utf-8")
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 1, result.stdout + result.stderr
    assert re.search(rf"\bresnorm\.{module} -> resnorm\.{imported} ", result.stdout), result.stdout


def in_a_new_process(code):
    """What a program prints, on both streams, in a process of its own."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


def loaded_by(statement):
    """The modules that are loaded after a statement in a new process.

    They say the same on a busy machine, which seconds would not.
    """
    printed, _ = in_a_new_process(
        f"import json, sys\n{statement}\nprint(json.dumps([*sys.modules]))"
    )
    return set(json.loads(printed))


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_by("import resnorm")
    assert "resnorm" in loaded
    heavy = {"torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "IPython", "PIL", "sympy"}
    assert loaded & heavy == set()


def test_the_norms_load_nothing_that_draws():
    loaded = loaded_by("from resnorm import norms, checking")
    assert "torch" in loaded
    assert loaded & {"matplotlib", "ipywidgets", "IPython", "torchvision"} == set()


IMPORT_EACH = """
import contextlib, importlib, io, json, random, socket
import matplotlib.pyplot, numpy, torch

def refuse(*_):
    raise AssertionError("asks the network")

def state():
    return {
        "the random state of PyTorch": torch.get_rng_state().tolist(),
        "the random state of NumPy": numpy.random.get_state()[1].tolist(),
        "the random state of Python": random.getstate(),
        "the settings of matplotlib": dict(matplotlib.rcParams),
        "the default dtype": torch.get_default_dtype(),
        "the recording of gradients": torch.is_grad_enabled(),
    }

socket.socket.connect = refuse
faults = []
for module in MODULES:
    before, printed = state(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            importlib.import_module(module)
        except AssertionError as error:
            faults.append([module, str(error)])
    if printed.getvalue():
        faults.append([module, "prints"])
    after = state()
    faults += [[module, f"changes {name}"] for name in before if after[name] != before[name]]
print(json.dumps(faults))
"""


def effects_of_importing(modules):
    """[module, what importing it does] for every module that does more than it should."""
    printed, errors = in_a_new_process(f"MODULES = {modules}\n{IMPORT_EACH}")
    assert errors == ""
    return json.loads(printed)


def test_importing_every_module_prints_seeds_and_fetches_nothing():
    assert effects_of_importing([f"resnorm.{module}" for module in MODULES]) == []


def test_an_effect_of_an_import_is_found(tmp_path, monkeypatch):
    bad = [
        ("import torch; torch.manual_seed(2)", "changes the random state of PyTorch"),
        ("import numpy; numpy.random.seed(2)", "changes the random state of NumPy"),
        ("import random; random.seed(2)", "changes the random state of Python"),
        ("from matplotlib import rc; rc('font', size=7)", "changes the settings of matplotlib"),
        ("import torch; torch.set_default_dtype(torch.float64)", "changes the default dtype"),
        ("import torch; torch.set_grad_enabled(False)", "changes the recording of gradients"),
        ("import socket; socket.socket().connect(('127.0.0.1', 9))", "asks the network"),
        ("print('hello')", "prints"),
        ("import sys; sys.stderr.write('hello')", "prints"),
    ]  # fmt: skip
    for number, (code, _) in enumerate(bad):
        (tmp_path / f"bad{number}.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    modules = [f"bad{number}" for number in range(len(bad))]
    wanted = [[module, effect] for module, (_, effect) in zip(modules, bad)]
    assert effects_of_importing(modules) == wanted


def test_every_submodule_loads_on_first_use():
    names = sorted({module.removesuffix(".__init__") for module in MODULES} - {"loading"})
    names = [name for name in names if not name.endswith("__main__")]
    assert {"augment", "experiments.cifar.table", "course.cli", "norms.in_numpy"} <= set(names)
    code = "import functools, resnorm\n"
    code += f"for name in {sorted(names, key=lambda name: -name.count('.'))}:\n"
    code += "    print(functools.reduce(getattr, name.split('.'), resnorm).__name__)"
    printed, _ = in_a_new_process(code)
    assert sorted(printed.split()) == [f"resnorm.{name}" for name in names]


@pytest.mark.parametrize(
    "command",
    [
        [
            "-c",
            f"import importlib\nfor name in {MODULES}: importlib.import_module('resnorm.' + name)",
        ],
        ["-m", "resnorm.experiments", "--help"],
        ["-m", "resnorm.course.cli", "release", "--help"],
    ],
    ids=["every module", "experiments", "course"],
)
def test_the_package_works_without_docstrings(command):
    command = [sys.executable, "-OO", *command]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr


def test_explore_is_a_function_of_the_package():
    assert in_a_new_process("import resnorm; print(callable(resnorm.explore))")[0] == "True\n"
