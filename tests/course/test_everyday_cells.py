"""What ordinary cells do neither hangs nor looks like an attempt to reach outside."""

import nbformat
import pytest

from resnorm.course.grading.execution import GRADED
from resnorm.course.sandbox import bubblewrap
from resnorm.course.sandbox.limits import Limits
from resnorm.course.sandbox.runner import run


@pytest.fixture(autouse=True)
def a_box(missing):
    if reason := bubblewrap.unavailable():
        missing(reason)


def go(*cells, **options):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    trace = run(notebook, limits=Limits(cell_seconds=300, memory=3 * 2**30), **options)
    return notebook.cells, trace.incidents


@pytest.mark.parametrize(
    "asking",
    [
        "name = input('Your name? ')",
        "import getpass\ngetpass.getpass()",
        "answers = [input() for _ in range(3)]",
        "from ipykernel.kernelbase import Kernel\n"
        "get_ipython().kernel.raw_input('even the kernel')",
    ],
)
def test_input_is_answered_by_an_error_at_once(asking):
    cells, incidents = go(asking, "import sys\nprint(repr(sys.stdin.read()), 'and on')")
    error = cells[0].outputs[-1]
    assert incidents == [] and error.ename == "EOFError"
    assert "put the value into the code" in error.evalue
    assert cells[1].outputs[0].text == "'' and on\n"


def test_the_start_of_a_library_is_no_attempt_to_reach_outside():
    cells, incidents = go(
        "import matplotlib.font_manager as fonts\nfonts._load_fontmanager(try_read_cache=False)",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('a.png')",
        "import ctypes.util, platform\nctypes.util.find_library('c')\nplatform.processor()",
        "from tqdm.auto import tqdm\nlist(tqdm(range(3)))",
        "import IPython, torch.utils.data\n%history",
        "import subprocess\nsubprocess.run(['uname', '-a'], capture_output=True)",
    )
    assert not any(o.output_type == "error" for cell in cells for o in cell.outputs)
    assert [incident.message for incident in incidents] == []


def test_another_program_is_still_reported():
    _, incidents = go("import subprocess\nsubprocess.run(['/bin/ls', '/'])")
    assert [incident.message for incident in incidents] == ["starting /bin/ls"]


def test_helpers_are_imported_from_files_beside_the_notebook(tmp_path):
    """Written by a cell, or handed in; as in JupyterLab and Colab."""
    (tmp_path / "layers.py").write_text("def triple(x):\n    return 3 * x")
    (tmp_path / "numpy.py").write_text("raise RuntimeError('not the library')")
    cells, incidents = go(
        "%%writefile helper.py\ndef double(x):\n    return 2 * x",
        "from helper import double\nfrom layers import triple\nprint(double(triple(7)))",
        "import numpy\nprint(numpy.ones(2).sum())",
        files=sorted(tmp_path.iterdir()),
    )
    printed = [output.get("text", output) for cell in cells for output in cell.outputs]
    assert printed[1:] == ["42\n", "2.0\n"] and incidents == []


def test_what_is_compiled_needs_no_compiler_and_no_minutes():
    cells, incidents = go(
        "import torch\n@torch.compile\ndef double(x):\n    return 2 * x",
        "print(double(torch.ones(2)).sum().item())",
        environment=GRADED | {"CXX": "/nowhere"},
    )
    assert cells[1].outputs[0].get("text") == "4.0\n" and incidents == []


def test_a_long_message_starts_no_thread_that_counts_as_the_students_own():
    cells, _ = go(
        "from resnorm.course.sandbox.observation import observed",
        "print('x' * 200_000)",
        "with observed(['batch_norm']) as found:\n    pass\nprint('seen:', found)",
    )
    assert cells[2].outputs[0].text == "seen: []\n"
