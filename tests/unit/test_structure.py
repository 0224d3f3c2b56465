"""The house: imports flow one way, files agree with one another, nothing private slips in."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import repository
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "utils" / "resnorm"

# --- the package --------------------------------------------------------------------------------

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py"
}


@pytest.mark.parametrize(
    "module, statement",
    [
        ("norms/batch_norm", "from ..models import resnet"),
        ("blocks/__init__", "from ..train import fit"),
        ("models/resnet", "import resnorm.probes"),
        ("figures/style", "from ..norms import fold"),
        ("probes/outline", "from ..train import fit"),
        ("checking", "from . import norms"),
        ("course/grading", "from ..models import resnet"),
    ],
)
def test_make_lint_finds_an_import_against_the_flow(tmp_path, module, statement):
    shutil.copytree(PACKAGE, tmp_path / "resnorm", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    file = tmp_path / "resnorm" / f"{module}.py"
    file.write_text(f"{file.read_text('utf-8')}\n{statement}\n", "utf-8")
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "BROKEN" in result.stdout, result.stdout + result.stderr


def in_a_new_process(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result


def test_importing_the_package_loads_nothing_heavy():
    # a list of modules, not seconds: it says the same on a busy machine
    heavy = ["torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "IPython", "PIL", "sympy"]
    loaded = json.loads(
        in_a_new_process("import json, sys, resnorm; print(json.dumps(list(sys.modules)))").stdout
    )
    assert "resnorm" in loaded
    assert [name for name in heavy if name in loaded] == []


def test_the_norms_load_nothing_that_draws():
    code = "import json, sys; from resnorm import norms, checking; print(json.dumps(list(sys.modules)))"
    loaded = json.loads(in_a_new_process(code).stdout)
    assert "torch" in loaded
    assert [
        name for name in ("matplotlib", "ipywidgets", "IPython", "torchvision") if name in loaded
    ] == []


def test_importing_every_module_prints_seeds_and_fetches_nothing():
    code = f"""
import random, socket, numpy, torch, matplotlib.pyplot
def refuse(*_): raise AssertionError("the network was touched on import")
socket.socket.connect = refuse
torch.manual_seed(1); numpy.random.seed(1); random.seed(1)
state = lambda: (torch.get_rng_state().tolist(), random.getstate(), numpy.random.get_state()[1].tolist(),
                 dict(matplotlib.rcParams), torch.get_default_dtype(), torch.is_grad_enabled())
before = state()
import importlib
for module in {[m.removesuffix(".__init__") for m in MODULES if not m.endswith("__main__")]}:
    importlib.import_module("resnorm." + module)
assert state() == before, "a global state changed on import"
"""
    result = in_a_new_process(code)
    assert result.stdout == "" and result.stderr == ""


def test_every_submodule_loads_on_first_use():
    rooms = sorted({module.split(".")[0] for module in MODULES})
    assert {"augment", "blocks", "experiments", "ledger", "segmentation", "train"} <= set(rooms)
    code = f"import resnorm\nfor name in {rooms}: print(getattr(resnorm, name).__name__)"
    loaded = in_a_new_process(code).stdout.split()
    assert loaded == [f"resnorm.{name}" for name in rooms]
    assert in_a_new_process("import resnorm; print(callable(resnorm.explore))").stdout == "True\n"


# --- files that must agree ------------------------------------------------------------------------


def tracked_files():
    """Files of the repository, those not yet added included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    paths = (ROOT / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file()]


def text_of(path):
    """The text of a file, or None if it holds none; vendored files are others' text."""
    if "vendor" in path.parts:
        return None
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return None


TEXTS = {
    path.relative_to(ROOT).as_posix(): text
    for path in tracked_files()
    if (text := text_of(path)) is not None
}
ADDRESS = repository.read_address(ROOT)


def wrong_addresses(text, address=ADDRESS):
    """Addresses like the course's (same owner or same name) that are not the one in _config.yml."""
    owner, name = address.split("/")[-2:]
    found = re.findall(
        r"github\.com/([\w.-]+?)/([\w.-]+?)(?=\.git\b|[^\w.-]|\.?$|@)", text, re.MULTILINE
    )
    return [f"{o}/{n}" for o, n in found if (o == owner or n == name) and (o, n) != (owner, name)]


def test_every_address_of_the_course_is_the_one_in_the_configuration():
    wrong = {
        name: found
        for name, text in TEXTS.items()
        if (found := wrong_addresses(text)) and not name.startswith("tests/")
    }
    assert not wrong, f"run: make repository URL={ADDRESS}"
    assert ADDRESS in TEXTS["tools/bootstrap_cell.py.txt"]


def test_another_address_of_the_course_is_found():
    address = "https://github.com/own/course"
    text = "git+https://github.com/other/course@main and https://github.com/own/course.git, https://github.com/x/y"
    assert wrong_addresses(text, address) == ["other/course"]
    assert wrong_addresses("colab.research.google.com/github.com/own/typo/blob", address) == [
        "own/typo"
    ]


def pyproject():
    return tomllib.loads(TEXTS["pyproject.toml"])["project"]


CONDA_NAMES = {"pytorch": "torch"}


def environment_differences(environment, project):
    """How an environment.yml differs from what pyproject.toml says a reader needs."""
    plain = [item for item in environment["dependencies"] if isinstance(item, str)]
    given = {}
    for requirement in map(Requirement, plain):
        given[CONDA_NAMES.get(requirement.name, requirement.name)] = str(requirement.specifier)
    given.pop("pip")
    wanted = {"python": project["requires-python"]}
    for requirement in map(
        Requirement, project["dependencies"] + project["optional-dependencies"]["notebooks"]
    ):
        wanted[requirement.name] = str(requirement.specifier)
    return sorted(
        f"{name}: {given.get(name)} != {wanted.get(name)}"
        for name in given | wanted
        if given.get(name) != wanted.get(name)
    )


def test_the_conda_environment_equals_pyproject():
    environment = yaml.safe_load(TEXTS["environment.yml"])
    assert environment_differences(environment, pyproject()) == []
    assert {"pip": ["-e ."]} in environment["dependencies"]


def test_a_conda_environment_that_differs_is_found():
    environment = yaml.safe_load(
        TEXTS["environment.yml"]
        .replace("numpy>=2.0", "numpy>=1.26")
        .replace("  - sympy>=1.12\n", "")
    )
    assert [line.split(":")[0] for line in environment_differences(environment, pyproject())] == [
        "numpy",
        "sympy",
    ]


def pins(text):
    """name -> the versions pinned for it (several where markers differ); complaints about other lines."""
    pinned, complaints = {}, []
    for line in filter(None, (line.split("#")[0].strip() for line in text.splitlines())):
        match = re.fullmatch(r"([\w.-]+)(\[[\w,-]+\])?==([\w.!+]+)( ; .+)?", line)
        if match:
            pinned.setdefault(canonicalize_name(match[1]), []).append(match[3])
        else:
            complaints.append(f"no plain pin: {line}")
    return pinned, complaints


def unsatisfied(pinned, project):
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    for requirement in map(Requirement, requirements):
        versions = pinned.get(canonicalize_name(requirement.name), [])
        if not versions:
            yield f"{requirement} is not pinned"
        for version in versions:
            if not requirement.specifier.contains(version, prereleases=True):
                yield f"{requirement} is pinned to {version}"


def test_requirements_pin_everything_that_pyproject_asks_for():
    pinned, complaints = pins(TEXTS["requirements.txt"])
    assert complaints == []  # no addresses, no hashes, no options
    assert list(unsatisfied(pinned, pyproject())) == [], "run: make lock"


def test_requirements_that_do_not_fit_are_found():
    project = {"dependencies": ["torch>=2.6"], "optional-dependencies": {"x": ["numpy>=2", "tqdm"]}}
    pinned, complaints = pins(
        "--index-url https://x\ntorch==2.5.1\nNumPy==2.1 ; python_version > '3'\nsix @ https://x/six.whl"
    )
    assert len(complaints) == 2
    assert list(unsatisfied(pinned, project)) == [
        "torch>=2.6 is pinned to 2.5.1",
        "tqdm is not pinned",
    ]


def test_what_is_needed_at_run_time_has_lower_bounds_only():
    for requirement in map(
        Requirement, pyproject()["dependencies"] + pyproject()["optional-dependencies"]["notebooks"]
    ):
        assert [s.operator for s in requirement.specifier] == [">="], (
            f"{requirement}: Colab moves, and must not be replaced"
        )


def test_every_command_of_the_makefile_is_explained_and_needs_what_exists():
    text = TEXTS["Makefile"]
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    explained = re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE)
    assert sorted(phony) == sorted(explained)
    for script in re.findall(r"tools/\w+\.py", text):
        assert script in TEXTS


# --- what must not be in a file ---------------------------------------------------------------------

# Written in pieces, so that this file does not hold what it forbids.
HOSTS = [
    "py" + "pi.org", "python" + "hosted.org", "download." + "pytorch.org", "anaconda" + ".org", "npm" + "js.org",
    "pkg" + ".dev", "gc" + "r.io", "gh" + "cr.io", "docker" + ".io", "docker" + ".com", "qu" + "ay.io",
]  # fmt: skip
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.}/-])/(?:root|home/\w+|Users/\w+|workspace|work/\w+|opt/\w+|tmp/[\w-]+)(?=/|\b)"
    r"|\b[A-Z]:\\+Users\\",
    "the host of a package registry": "|".join(map(re.escape, HOSTS)),
    "a secret": r"\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bAKIA[A-Z0-9]{16}\b|\bhf_[A-Za-z]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\b(?:api[_-]?key|token|secret|password|passwd)\s*[:=]\s*[\"'][\w/+-]{12,}[\"']",
    "an address in a private network": r"(?<![\w.=])(?:10\.\d+|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b",
}


def private(text):
    """What ``text`` holds that no file of the course may, as (kind, match)."""
    text = re.sub(r"[A-Za-z0-9+/]{200,}={0,2}", "", text)  # pictures
    return [
        (kind, match[0])
        for kind, pattern in FORBIDDEN.items()
        for match in re.finditer(pattern, text)
    ]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_no_file_names_a_machine_a_registry_or_a_secret(name):
    assert private(TEXTS[name]) == [], (
        f"{name}: take it out; use relative paths, variables and environment settings"
    )


@pytest.mark.parametrize(
    "text, kind",
    [
        ('File "/home' + '/anna/course/a.py"', "a path of one machine"),
        ("cd /" + "root/x", "a path of one machine"),
        ("/tmp" + "/ipykernel_123/1.py", "a path of one machine"),
        ("C:" + r"\\Users\\anna", "a path of one machine"),
        ("--index-url https://" + HOSTS[0] + "/simple", "the host of a package registry"),
        ("image: us-docker." + HOSTS[5] + "/x", "the host of a package registry"),
        ("ghp_" + "a1" * 12, "a secret"),
        ("token" + " = 'abcdefghijklmnop'", "a secret"),
        ("http://192." + "168.1.7:8000", "an address in a private network"),
    ],
)
def test_private_things_are_found(text, kind):
    assert [k for k, _ in private(text)] == [kind]


def test_ordinary_text_is_not_taken_for_private():
    assert (
        private(
            "see _build/html and ../ro"
            + "ot/x, `tmp_path`, version 10.2.3, secrets.GITHUB_TOKEN, ~/"
            + "work"
        )
        == []
    )


def test_no_large_file_is_in_the_repository():
    large = {
        p.relative_to(ROOT).as_posix(): p.stat().st_size
        for p in tracked_files()
        if p.stat().st_size > 2_500_000
    }
    assert not large, "a clone should take seconds"
