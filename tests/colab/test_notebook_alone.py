"""A notebook opened in Colab: alone in an empty folder, with Colab's versions."""

import json
import shutil
import subprocess

import nbformat
import pytest

import notebooks as tool

#: Tests that install the package into the environment, or need it without: one after the other.
in_the_bare_environment = pytest.mark.xdist_group("bare environment")

#: Run by the environment's interpreter: executes the notebook in the working directory and reports.
RUN = """
import sys, nbformat, tempfile
from traitlets.config import Config
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
probe = nbformat.v4.new_code_cell(
    "import importlib.metadata, json, resnorm, torch\\n"
    "installed = importlib.metadata.version('torch')\\n"
    "print(json.dumps([resnorm.__file__, torch.__version__, installed]))"
)
notebook.cells.append(probe)
with tempfile.TemporaryDirectory() as folder:
    # see tools/nbval_shared.py: no race for ports
    config = Config(KernelManager={"transport": "ipc", "ip": folder + "/socket"})
    NotebookClient(notebook, timeout=600, kernel_name="python3", config=config).execute()
print(probe.outputs[0]["text"])
"""


def run(python, script, *arguments, cwd, env):
    return subprocess.run(
        [python, "-c", script, *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=900,
    )


def torch_version(python):
    """The version of torch that is installed in an environment."""
    code = "import importlib.metadata as m; print(m.version('torch'))"
    result = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def run_alone(path, python, environment, tmp_path):
    """Run a notebook in a folder of its own; returns the files of the package and of torch."""
    folder = tmp_path / "content"
    folder.mkdir()
    shutil.copy(path, folder)
    result = run(python, RUN, path.name, cwd=folder, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.strip().splitlines()[-1])


@in_the_bare_environment
def test_the_first_cell_installs_the_package_and_leaves_torch_alone(
    colab, uninstalled, environment, tmp_path
):
    before = torch_version(colab)
    first = (tool.ROOT / "tools" / "bootstrap_cell.py.txt").read_text("utf-8")
    path = tmp_path / "first.ipynb"
    cells = [nbformat.v4.new_code_cell(first)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=tool.METADATA), path)
    resnorm, imported, installed = run_alone(path, colab, environment, tmp_path)
    (site_packages,) = (colab.parent.parent / "lib").glob("python*/site-packages")
    assert resnorm.startswith(str(site_packages))
    assert imported.split("+")[0] == installed.split("+")[0] == before.split("+")[0]
    assert torch_version(colab) == before


@in_the_bare_environment
@pytest.mark.parametrize(
    "source, advice",
    [
        ("git+https://127.0.0.1:9/resnorm@main", "check the network, then run this cell again."),
        (
            "git+file://localhost{}/nowhere",
            "check the address; it has no such repository or branch.",
        ),
        (
            "git+file://localhost{}/repository@other",
            "check the address; it has no such repository or branch.",
        ),
    ],
    ids=["no network", "no repository", "no branch"],
)
def test_the_first_cell_says_why_it_cannot_install(
    colab, uninstalled, environment, tmp_path, source, advice
):
    first = (tool.ROOT / "tools" / "bootstrap_cell.py.txt").read_text("utf-8")
    author = ["-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "x"]):
        folder = tmp_path / "repository"
        folder.mkdir(exist_ok=True)
        subprocess.run(["git", *words], cwd=folder, check=True)
    source = source.format(tmp_path)
    result = run(colab, first, cwd=tmp_path, env=environment | {"RESNORM_SOURCE": source})
    assert result.returncode != 0
    assert f"Could not install resnorm from {source}: {advice}" in result.stderr


SOURCES = tool.ROOT / "notebooks" / "assignments" / "source"
EDITION = sorted((tool.ROOT / "colab").glob("*/*.ipynb"))  # with the code of the chapters
ALL = [*EDITION, *sorted(SOURCES.glob("*/*.ipynb"))]  # assignments with their answers


@pytest.mark.parametrize("path", tool.longest_first(ALL), ids=lambda path: path.stem)
def test_a_notebook_runs_alone_and_leaves_torch_alone(path, colab, package, environment, tmp_path):
    before = torch_version(colab)
    with_package = environment | {"PYTHONPATH": str(package)}
    resnorm, imported, _ = run_alone(path, colab, with_package, tmp_path)
    assert resnorm.startswith(str(package))
    assert imported.split("+")[0] == torch_version(colab).split("+")[0] == before.split("+")[0]


LIVE = """
import matplotlib, ipywidgets
matplotlib.use("agg")
import matplotlib.pyplot as plt
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
import resnorm

assert ipywidgets.__version__.startswith("7.7"), ipywidgets.__version__

def draw(eps, norm, data):
    fig, ax = plt.subplots()
    ax.set_title(f"{eps} {norm} {data}")
    return fig

boxes, VBox = [], ipywidgets.VBox
ipywidgets.VBox = lambda children: boxes.append(VBox(children)) or boxes[-1]
InteractiveShell.instance()
with capture_output() as captured:
    resnorm.explore(
        draw,
        {"eps": [0.1, 1.0], "norm": ["batch", "layer"], "data": list("abcde")},
        alt=lambda eps, norm, data: f"The picture says {eps} {norm} {data}",
    )
views = [o for o in captured.outputs if "application/vnd.jupyter.widget-view+json" in o.data]
assert len(views) == 1, captured.outputs
assert views[0].data["application/vnd.jupyter.widget-view+json"]["model_id"] == boxes[0].model_id
*controls, picture = boxes[0].children
assert [type(c).__name__ for c in controls] == ["SelectionSlider", "ToggleButtons", "Dropdown"]
seen = {picture.value}
for control, value in zip(controls, [1.0, "layer", "e"]):
    control.value = value
    assert picture.value not in seen
    seen.add(picture.value)
assert 'alt="The picture says 1.0 layer e"' in picture.value
print("moved")
"""


def test_an_interactive_figure_moves_with_the_widgets_that_colab_has(
    colab, package, environment, tmp_path
):
    with_package = environment | {"PYTHONPATH": str(package)}
    result = run(colab, LIVE, cwd=tmp_path, env=with_package)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.strip().endswith("moved")
