"""Strict nbval: kernels that talk through files.

A kernel's manager picks five free TCP ports and lets go of them before the kernel takes them. Of two
processes that start kernels at the same time, one can lose a port to the other, and its kernel dies.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import traitlets
from jupyter_client.manager import KernelManager


def pytest_configure(config):
    if (
        not config.getoption("nbval", False) or sys.platform == "win32"
    ):  # Windows has no such sockets
        return
    import nbval.kernel

    folder = tempfile.mkdtemp(
        prefix="kernels-"
    )  # a short path: the name of a socket has at most 107 bytes
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))

    class FileKernelManager(KernelManager):
        @traitlets.default("transport")
        def _transport(self):
            return "ipc"

        @traitlets.default("ip")
        def _ip(self):
            return str(Path(tempfile.mkdtemp(dir=folder)) / "socket")

    nbval.kernel.KernelManager = FileKernelManager
