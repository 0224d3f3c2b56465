"""The training script of chapter 4.6, started by the command that the chapter prints."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import nbformat
import pytest
import torch

import notebooks as tool
from resnorm import models, norms

CHAPTER = tool.ROOT / "notebooks" / "4-cifar" / "6-more-than-one-gpu.ipynb"
#: Runs the script on a machine that has, as far as the script can tell, so many GPUs.
PRETEND = """
import runpy

import torch

torch.cuda.device_count = lambda: {gpus}
runpy.run_path("train_ddp.py", run_name="__main__")
"""


def command_of_the_chapter():
    """The words of the first command in the chapter's table, which is for two CPU processes."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    commands = re.findall(r"`(torchrun .*?)`", "\n".join(c.source for c in cells))
    return shlex.split(commands[0])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder, in which the chapter's own cells have written the script."""
    monkeypatch.chdir(tmp_path)
    cells = nbformat.read(CHAPTER, as_version=4).cells
    names = {"pathlib": pathlib}
    for cell in cells:
        if cell.cell_type == "code" and "training_script" in cell.source:
            exec(cell.source, names)
    return tmp_path


def start(words, folder):
    """Run a command in the folder as a terminal would, without the machine's own GPUs."""
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "result.json").read_text())


def test_the_printed_command_trains_and_leaves_its_results(folder):
    words = command_of_the_chapter()
    assert words[0] == "torchrun" and words[-1] == "train_ddp.py" and "--nproc_per_node=2" in words
    result = start(words, folder)
    assert len(result["losses"]) == 32 and result["losses"][-1] < result["losses"][0] / 2
    network = models.ConvNet(norms.SyncBatchNorm2d, widths=(8, 16), depth=2)
    network.load_state_dict(torch.load(folder / "network.pt", weights_only=True))


def test_two_processes_leave_a_single_gpu_alone(folder):
    (folder / "pretend.py").write_text(PRETEND.format(gpus=1))
    command = command_of_the_chapter()
    result = start([*command[:-1], "pretend.py"], folder)
    assert len(result["losses"]) == 32
