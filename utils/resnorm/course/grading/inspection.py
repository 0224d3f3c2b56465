"""What an instructor should look at: names that an assignment forbids, and replaced functions."""

from __future__ import annotations

import ast

from nbformat import NotebookNode

from ..sandbox.incidents import Incident
from .cells import meta

#: How the last cell hands over the names of what was replaced.
PATCHED = "application/vnd.resnorm.patched+json"
#: Code of a cell that runs after the last one and lists what the notebook has put into the
#: libraries. It runs beside the student's code, so its answer is a hint and not evidence.
PROBE = f"""
def _probe():
    import sys
    from IPython.display import publish_display_data
    names = ("builtins", "numpy", "torch", "torch.nn", "torch.nn.functional", "resnorm.checking")
    owners = {{name: sys.modules[name] for name in names if name in sys.modules}}
    if "torch" in owners:
        torch = owners["torch"]
        owners |= {{"torch.Tensor": torch.Tensor, "torch.nn.Module": torch.nn.Module}}
    found = [
        f"{{owner}}.{{name}}"
        for owner, space in owners.items()
        for name, value in vars(space).items()
        if getattr(value, "__module__", None) == "__main__"
    ]
    publish_display_data({{"{PATCHED}": found[:20]}})
_probe()
"""


def patched(probe: NotebookNode) -> list[Incident]:
    """Report what a submission has replaced in the libraries.

    Args:
        probe: the cell with the code ``PROBE``, after it ran.
    """
    names = [name for output in probe.outputs for name in output.get("data", {}).get(PATCHED, [])]
    return [
        Incident(-1, "patched", f"{str(name)[:80]} was replaced by the submission's own")
        for name in names[:20]
    ]


def forbidden(notebook: NotebookNode) -> list[Incident]:
    """Report answers that use a name which the assignment asks to write by hand.

    Args:
        notebook: its metadata list the forbidden names, such as ``batch_norm``.
    """
    names = set(notebook.metadata.get("resnorm", {}).get("forbidden", []))
    found = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or (meta(cell) and not meta(cell).get("solution")):
            continue
        try:
            tree = ast.parse(cell.source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | {
            node.id for node in ast.walk(tree) if isinstance(node, ast.Name)
        }
        found += [
            Incident(index, "forbidden", f"uses {name}, which the assignment asks to write by hand")
            for name in sorted(used & names)
        ]
    return found
