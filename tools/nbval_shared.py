"""A pytest plugin: strict nbval, with three additions.

- Pictures are compared as well, where text is: nbval leaves them out, so a stale one would pass.
- What has passed is kept as executed (``tools/executed.py``): the book needs no second execution.
- Kernels talk through files. A kernel's manager picks five free TCP ports and lets go of them
  before the kernel takes them; of two processes that start kernels at the same time, one can lose
  a port to the other, and its kernel dies.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import traitlets
from jupyter_client.manager import KernelManager


def pytest_configure(config):
    """Change nbval where it is in use."""
    if not config.getoption("nbval", False):
        return
    import nbval.kernel
    import nbval.plugin

    config.pluginmanager.register(SharedExecution(), "shared-execution")
    compare_pictures(nbval.plugin.IPyNbCell)
    if sys.platform == "win32":  # has no such sockets
        return
    # A short path, because the name of a socket has at most 107 bytes.
    folder = tempfile.mkdtemp(prefix="kernels-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))

    class FileKernelManager(KernelManager):
        @traitlets.default("transport")
        def _transport(self):
            return "ipc"

        @traitlets.default("ip")
        def _ip(self):
            return str(Path(tempfile.mkdtemp(dir=folder)) / "socket")

    nbval.kernel.KernelManager = FileKernelManager


def compare_pictures(cell_class):
    """Make a cell fail whose stored pictures are not those that its code draws."""
    import executed
    import pictures

    def drawn(outputs):
        return [
            output["data"]["image/png"]
            for output in outputs
            if "image/png" in output.get("data", {})
        ]

    compare_text = cell_class.compare_outputs

    def compare_outputs(self, test, ref, skip_compare=None):
        test = executed.without_frames(test)
        if not compare_text(self, test, ref, skip_compare):
            return False
        new, stored = drawn(test), drawn(ref)
        if len(new) != len(stored):
            problem = f"{len(stored)} are stored, {len(new)} are drawn"
        else:
            varies = "picture-varies" in self.cell.metadata.get("tags", [])
            found = (pictures.difference(*pair, varies) for pair in zip(stored, new, strict=True))
            problem = next((difference for difference in found if difference), None)
        if problem:
            self.comparison_traceback.append(
                f"a stored picture is not what the code draws: {problem}. "
                "Look at it, then run: make notebooks ONLY=" + self.path.name
            )
        return problem is None

    cell_class.compare_outputs = compare_outputs


class SharedExecution:
    """Keeps each notebook all of whose cells ran and passed, with its outputs."""

    def __init__(self):
        self.passed = {}
        self.before = {}  # fingerprints from before the kernels started

    def pytest_runtest_setup(self, item):
        """Note what decides the outputs before the first cell of a notebook runs."""
        import executed

        if hasattr(item, "cell_num") and item.path not in self.before:
            self.before[item.path] = executed.fingerprint(item.parent.nb)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        """Remember the cells that passed."""
        report = (yield).get_result()
        if report.when == "call" and report.passed and hasattr(item, "cell_num"):
            self.passed.setdefault(item.path, []).append(item)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item, nextitem):
        """Keep the notebook after its last cell."""
        import nbformat

        import executed

        if not hasattr(item, "cell_num") or not executed.is_set():
            return
        if nextitem is not None and nextitem.path == item.path:
            return
        notebook, items = item.parent.nb, self.passed.pop(item.path, [])
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if [each.cell_num for each in items] != list(range(len(cells))):
            return  # a cell failed, or only some were asked for
        done = nbformat.from_dict(notebook)
        done_cells = [cell for cell in done.cells if cell.cell_type == "code"]
        for number, (cell, each) in enumerate(zip(done_cells, items, strict=True), start=1):
            cell.execution_count = number
            cell.outputs = [nbformat.from_dict(output) for output in each.test_outputs]
        executed.save(item.path, done, self.before[item.path], by="nbval")
