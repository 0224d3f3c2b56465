"""A notebook opened in Colab: alone in an empty folder, with Colab's versions, and nothing installed."""

import json
import shutil
import subprocess

import pytest

import notebooks as tool

#: Run by the environment's interpreter: executes the notebook in the working directory and reports.
RUN = """
import sys, nbformat, tempfile
from traitlets.config import Config
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
probe = nbformat.v4.new_code_cell(
    "import importlib.metadata, json, resnorm, torch\\n"
    "print(json.dumps({'resnorm': resnorm.__file__, 'imported': torch.__version__, 'installed': importlib.metadata.version('torch')}))"
)
notebook.cells.append(probe)
with tempfile.TemporaryDirectory() as folder:
    files = {"transport": "ipc", "ip": folder + "/socket"}  # see the conftest.py of the root: no race for ports
    NotebookClient(notebook, timeout=600, kernel_name="python3", config=Config(KernelManager=files)).execute()
print(probe.outputs[0]["text"])
"""


def torch_version(python):
    code = "import importlib.metadata as m; print(m.version('torch'))"
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def run(python, script, *arguments, cwd, env):
    return subprocess.run(
        [python, "-c", script, *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.parametrize("path", tool.all_notebooks(), ids=lambda path: path.stem)
def test_a_notebook_runs_alone_and_leaves_torch_alone(
    path, colab, uninstalled, environment, tmp_path
):
    before = torch_version(colab)
    folder = tmp_path / "content"
    folder.mkdir()
    shutil.copy(path, folder)
    result = run(colab, RUN, path.name, cwd=folder, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    report = json.loads(result.stdout.strip().splitlines()[-1])
    site_packages = next((colab.parent.parent / "lib").glob("python*/site-packages"))
    assert report["resnorm"].startswith(str(site_packages))
    assert (
        report["imported"].split("+")[0]
        == report["installed"].split("+")[0]
        == before.split("+")[0]
    )
    assert torch_version(colab) == before


@pytest.mark.parametrize(
    "path",
    sorted((tool.ROOT / "notebooks" / "assignments" / "source").glob("*/*.ipynb")),
    ids=lambda path: path.stem,
)
def test_an_assignment_can_be_solved_alone(path, colab, uninstalled, environment, tmp_path):
    folder = tmp_path / "content"
    folder.mkdir()
    shutil.copy(path, folder)
    result = run(colab, RUN, path.name, cwd=folder, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]


def test_without_the_network_the_first_cell_says_what_to_do(
    colab, uninstalled, environment, tmp_path
):
    first = (tool.ROOT / "tools" / "bootstrap_cell.py.txt").read_text("utf-8")
    nowhere = f"git+file://localhost{tmp_path}/nowhere"
    result = run(colab, first, cwd=tmp_path, env=environment | {"RESNORM_SOURCE": nowhere})
    assert result.returncode != 0
    assert (
        f"Could not install resnorm from {nowhere}: check the network, then run this cell again."
        in result.stderr
    )


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
    colab, uninstalled, environment, tmp_path
):
    source = environment["RESNORM_SOURCE"]
    install = [colab, "-m", "pip", "install", "-q", "--no-deps", f"resnorm @ {source}"]
    installed = subprocess.run(
        install, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert installed.returncode == 0, installed.stderr[-2000:]
    result = run(colab, LIVE, cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.strip().endswith("moved")
