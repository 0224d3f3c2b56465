"""Files that must agree: addresses, versions, commands, and the checks before a commit."""

import os
import re
import shlex
import shutil
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import repository
from repository_files import ROOT, TEXTS

# --- the repository's address ---------------------------------------------------------------------

ADDRESS = repository.read_address(ROOT)


def wrong_addresses(text, address=ADDRESS):
    """Addresses like the course's (same owner or same name) that are not the one in _config.yml."""
    owner, name = address.split("/")[-2:]
    pattern = r"github\.com/([\w.-]+?)/([\w.-]+?)(?=\.git\b|[^\w.-]|\.?$|@)"
    found = re.findall(pattern, text, re.MULTILINE)
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
    text = "git+https://github.com/other/course@main, https://github.com/x/y, " + address + ".git"
    assert wrong_addresses(text, address) == ["other/course"]
    text = "colab.research.google.com/github.com/own/typo/blob"
    assert wrong_addresses(text, address) == ["own/typo"]


# --- versions -------------------------------------------------------------------------------------

PROJECT = tomllib.loads(TEXTS["pyproject.toml"])["project"]
CONDA_NAMES = {"pytorch": "torch"}


def needed_by_readers(project):
    """The requirements of the package and its notebooks."""
    extra = project["optional-dependencies"]["notebooks"]
    return [Requirement(text) for text in project["dependencies"] + extra]


def environment_differences(environment, project):
    """How an environment.yml differs from what pyproject.toml says a reader needs."""
    given = {}
    for requirement in (
        Requirement(item) for item in environment["dependencies"] if isinstance(item, str)
    ):
        given[CONDA_NAMES.get(requirement.name, requirement.name)] = str(requirement.specifier)
    given.pop("pip")
    wanted = {"python": project["requires-python"]}
    wanted |= {each.name: str(each.specifier) for each in needed_by_readers(project)}
    return sorted(
        f"{name}: {given.get(name)} != {wanted.get(name)}"
        for name in given | wanted
        if given.get(name) != wanted.get(name)
    )


def test_the_conda_environment_equals_pyproject():
    environment = yaml.safe_load(TEXTS["environment.yml"])
    assert environment_differences(environment, PROJECT) == []
    assert {"pip": ["-e ."]} in environment["dependencies"]


def test_a_conda_environment_that_differs_is_found():
    environment = yaml.safe_load(TEXTS["environment.yml"])
    items = environment["dependencies"]
    items[items.index("numpy>=2.0")] = "numpy>=1.26"
    items.remove("sympy>=1.12")
    items.append("keras>=3")
    differences = environment_differences(environment, PROJECT)
    assert [line.split(":")[0] for line in differences] == ["keras", "numpy", "sympy"]


def pins(text):
    """Name -> the versions pinned for it (several with markers), and the lines that pin nothing."""
    pinned, others = {}, []
    for line in filter(None, (line.split("#")[0].strip() for line in text.splitlines())):
        match = re.fullmatch(r"([\w.-]+)(\[[\w,-]+\])?==([\w.!+]+)( ; .+)?", line)
        if match:
            pinned.setdefault(canonicalize_name(match[1]), []).append(match[3])
        else:
            others.append(line)
    return pinned, others


def unsatisfied(pinned, project):
    """A sentence for every requirement of the project that the pins do not satisfy."""
    extras = project["optional-dependencies"].values()
    for text in [*project["dependencies"], *(text for extra in extras for text in extra)]:
        requirement = Requirement(text)
        versions = pinned.get(canonicalize_name(requirement.name), [])
        if not versions:
            yield f"{requirement} is not pinned"
        for version in versions:
            if not requirement.specifier.contains(version, prereleases=True):
                yield f"{requirement} is pinned to {version}"


def test_requirements_pin_everything_that_pyproject_asks_for():
    pinned, others = pins(TEXTS["requirements.txt"])
    assert others == [], "requirements.txt holds an address, a hash or an option: run make lock"
    assert list(unsatisfied(pinned, PROJECT)) == [], "run: make lock"


def test_requirements_that_do_not_fit_are_found():
    project = {"dependencies": ["torch>=2.6"], "optional-dependencies": {"x": ["numpy>=2", "tqdm"]}}
    lines = [
        "--index-url https://x",
        "torch==2.5.1",
        "NumPy==2.1 ; python_version > '3'",
        "six @ https://x/six.whl",
    ]
    pinned, others = pins("\n".join(lines))
    assert others == [lines[0], lines[3]]
    wanted = ["torch>=2.6 is pinned to 2.5.1", "tqdm is not pinned"]
    assert list(unsatisfied(pinned, project)) == wanted


def bounds_from_above(requirements):
    """Names of what is not bounded from below only: it could replace Colab's versions."""
    return [
        requirement.name
        for requirement in requirements
        if [bound.operator for bound in requirement.specifier] != [">="]
    ]


def test_what_readers_need_has_lower_bounds_only():
    assert bounds_from_above(needed_by_readers(PROJECT)) == []


def test_a_bound_from_above_is_found():
    requirements = map(Requirement, ["pillow>=10", "numpy", "scipy>=1,<2", "torch==2.6"])
    assert bounds_from_above(requirements) == ["numpy", "scipy", "torch"]


# --- commands -------------------------------------------------------------------------------------


def makefile_faults(text, files):
    """A sentence for each command without explanation, and each tool that does not exist."""
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    explained = re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE)
    for name in sorted(set(phony) ^ set(explained)):
        yield f"{name} needs an entry in .PHONY and an explanation after ##"
    for script in re.findall(r"tools/\w+\.py", text):
        if script not in files:
            yield f"{script} does not exist"


def test_every_command_of_the_makefile_is_explained_and_needs_what_exists():
    assert list(makefile_faults(TEXTS["Makefile"], TEXTS)) == []


def test_a_fault_of_the_makefile_is_found():
    text = ".PHONY: a b\na: ## explained\n\tpython tools/gone.py\nb:\n\ttrue\nc: ## not phony\n"
    faults = list(makefile_faults(text, ["tools/here.py"]))
    assert [fault.split()[0] for fault in faults] == ["b", "c", "tools/gone.py"]


def tool_of(command):
    """What a command line runs: the program's name, with its subcommand if there is one."""
    program, *arguments = shlex.split(command)
    subcommand = [word for word in arguments[:1] if re.fullmatch(r"[a-z][\w-]*", word)]
    return " ".join([program.rsplit("/", 1)[-1], *subcommand])


def tools_of_recipe(printed):
    """The tools of the virtual environment among the commands that ``make -n`` prints."""
    return {tool_of(line) for line in printed.splitlines() if line.startswith(".venv/bin/")}


def tools_of_hooks(configuration):
    """The tools that the hooks of a pre-commit configuration run."""
    hooks = [hook for each in configuration["repos"] for hook in each["hooks"]]
    return {tool_of(hook["entry"]) for hook in hooks}


def test_a_commit_is_checked_by_the_tools_of_make_lint(missing):
    if not shutil.which("make"):
        missing("no make on the PATH")
    # a make above this test must not hand its own options down
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    command = ["make", "-n", "lint"]
    printed = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    tools = tools_of_recipe(printed)
    assert "ruff format" in tools and len(tools) > 2
    assert tools_of_hooks(yaml.safe_load(TEXTS[".pre-commit-config.yaml"])) == tools


@pytest.mark.parametrize(
    "command, tool",
    [
        (".venv/bin/ruff format --check .", "ruff format"),
        (".venv/bin/ruff check --force-exclude", "ruff check"),
        ("lint-imports", "lint-imports"),
        (".venv/bin/mypy --strict utils", "mypy"),
        (".venv/bin/mypy ./utils", "mypy"),
    ],
)
def test_the_tool_of_a_command_is_found(command, tool):
    assert tool_of(command) == tool


def test_a_hook_that_differs_from_make_lint_is_found():
    recipe = "mkdir x\n.venv/bin/ruff format --check .\n.venv/bin/ruff check .\n.venv/bin/mypy\n"
    entries = ["ruff format --force-exclude", "ruff check", "mypy"]

    def tools(entries):
        hooks = [{"id": str(i), "entry": f".venv/bin/{entry}"} for i, entry in enumerate(entries)]
        return tools_of_hooks({"repos": [{"hooks": hooks[:1]}, {"hooks": hooks[1:]}]})

    assert tools(entries) == tools_of_recipe(recipe)
    assert tools(entries[:2]) != tools_of_recipe(recipe)  # one is missing
    assert tools([*entries, "black"]) != tools_of_recipe(recipe)
    assert tools(["ruff format", "ruff format", "mypy"]) != tools_of_recipe(recipe)
