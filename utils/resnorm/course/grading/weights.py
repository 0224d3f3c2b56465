"""Grade the weights that a student handed in: count the network, and let it predict.

The network is built here, from its plan (:mod:`resnorm.plans`). Nothing that the student's code
says or does takes part, and reading the file executes nothing. The network still computes for as
long as its maker likes, so it runs in a process of its own, with the limits of a submission.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sandbox.incidents import Incident
from ..sandbox.limits import Limits
from .cells import ours
from .trusted import END, limit_this_process, started
from .verdicts import Verdict, worth

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: Largest number of images that are predicted at a time, and of values that a layer may return
#: for them.
MOST_IMAGES, MOST_VALUES = 500, 2**24
#: From this percentage on, a network that was trained honestly is better on images that it was
#: trained on, by more than this many points. Recorded runs with 86 to 91 % were better by 4 to 8.
LEARNED, LEAST_GAP = 80.0, 1.0
#: Below it, the difference is small, and chance may turn it around by fewer points than this.
CHANCE = 2.0
#: The process is given up after this many times the computing time that it may take.
PATIENCE = 3


@dataclass(frozen=True)
class Examined:
    """What was found out about a network.

    Attributes:
        problem: why it was not run; empty if it was.
        parameters: number of values in the file's tensors, without running statistics.
        multiply_adds: for one image.
        epochs: passes over the training images, by what the student says; 0 for unknown.
        correct: number of hidden images that are classified correctly.
        total: number of hidden images.
        familiar: percentage of correct ones among images that everybody trains on.
    """

    problem: str = ""
    parameters: int = 0
    multiply_adds: int = 0
    epochs: int = 0
    correct: int = 0
    total: int = 0
    familiar: float = 0.0

    @property
    def percent(self) -> float:
        """Percentage of hidden images that are classified correctly."""
        return 100 * self.correct / max(1, self.total)


def rules(cell: NotebookNode) -> Mapping[str, Any]:
    """Get the rules by which a cell is graded by weights; empty for other cells.

    ``file`` is the name of what is handed in. ``parameters`` and ``multiply_adds`` are the budget,
    and ``levels`` pairs (percent correct, points), rising. ``short`` may hold other levels for a
    network of fewer ``multiply_adds`` and a training of at most so many ``epochs``, with the
    percentage from which on such a training is ``doubtful``.

    Args:
        cell: the instructor's cell.
    """
    return ours(cell).get("weights", {})


def weights_file(source: NotebookNode) -> str | None:
    """Name the file with weights that an assignment is graded by, or None.

    Args:
        source: the instructor's notebook.
    """
    return next((rules(cell)["file"] for cell in source.cells if rules(cell)), None)


def examine(
    source: NotebookNode, files: Iterable[Path], hidden: Path | None, limits: Limits
) -> Examined:
    """Find the file of a submission, count its network, and run it on the hidden images.

    Args:
        source: the instructor's notebook, of which a cell is graded by weights.
        files: what was handed in beside the notebook.
        hidden: the file of ``hidden_images``.
        limits: what one submission may use.

    Returns:
        What was found out.

    Raises:
        OSError: the process failed, for which the submission is not to blame: what a file can do
            wrong is said in what is returned.
    """
    budget = next(rules(cell) for cell in source.cells if rules(cell))
    found = {path.name: path for path in files}
    if budget["file"] not in found:
        beside = f", only {', '.join(sorted(found))[:200]}" if found else ""
        return Examined(f"there was no {budget['file']} beside the notebook{beside}")
    if hidden is None:
        return Examined("there are no hidden images: run resnorm-course hide")
    arguments = found[budget["file"]], hidden, dict(budget), limits
    process, connection = started(source, _serve, *arguments)
    try:
        if not connection.poll(PATIENCE * limits.notebook_seconds):
            raise OSError("the process that runs networks did not end")  # nor use up its time
        answer = json.loads(connection.recv_bytes())
    except EOFError:
        process.join(END)
        if process.exitcode == -signal.SIGXCPU:
            return Examined(f"the network took more than {limits.notebook_seconds:.0f} s")
        code = process.exitcode
        raise OSError(f"the process that runs networks ended with exit code {code}") from None
    finally:
        process.kill()
        process.join()
        connection.close()
    if "bug" in answer:
        raise OSError(f"the process that runs networks failed: {answer['bug']}")
    return Examined(**answer)


def by_weights(cell: NotebookNode, examined: Examined) -> Verdict:
    """Mark a cell by what was found out about the network.

    Args:
        cell: the instructor's cell, with rules.
        examined: the network.
    """
    name, possible, bonus = worth(cell)
    if examined.problem:
        return Verdict(name, 0.0, possible, 0, examined.total, examined.problem, bonus)
    levels, percent = _levels(rules(cell), examined), examined.percent
    points = min(possible, max((p for least, p in levels if percent >= least), default=0.0))
    message = (
        f"{examined.parameters:,} parameters, {examined.multiply_adds:,} multiply-adds; "
        f"{percent:.1f} % of the hidden images are correct"
    )
    following = min((least for least, more in levels if more > points), default=None)
    if following is not None:
        message += f"; the next points are at {following:g} %"
    return Verdict(name, points, possible, examined.correct, examined.total, message, bonus)


def doubts(source: NotebookNode, examined: Examined) -> list[Incident]:
    """Say what about a network does not fit an honest training. A person decides.

    Args:
        source: the instructor's notebook.
        examined: the network.
    """
    found: list[str] = []
    percent, familiar = examined.percent, examined.familiar
    gap, least = familiar - percent, LEAST_GAP if percent >= LEARNED else -CHANCE
    if examined.total and gap < least:
        found.append(
            f"{percent:.1f} % of the hidden images are correct, and {familiar:.1f} % of training "
            "images: was it trained on the test images, whose labels are public?"
        )
    short: Mapping[str, Any] = next(
        (rules(cell).get("short", {}) for cell in source.cells if rules(cell)), {}
    )
    if short and _is_short(short, examined) and percent >= short["doubtful"]:
        found.append(
            f"{percent:.1f} % after {examined.epochs} epochs, as the file says, is more than such "
            "a training is known to reach"
        )
    advice = "Ask for the training to be repeated"
    return [Incident(-1, "doubtful", f"{message} {advice}") for message in found]


def _levels(about: Mapping[str, Any], examined: Examined) -> Sequence[tuple[float, float]]:
    """Pairs (percent correct, points) that count for a network."""
    short = about.get("short")
    if short and _is_short(short, examined):
        return [*about["levels"], *short["levels"]]
    return about["levels"]


def _is_short(short: Mapping[str, Any], examined: Examined) -> bool:
    """Whether a network and its training keep within the budget of a machine without a GPU."""
    is_small = examined.multiply_adds <= short["multiply_adds"]
    return is_small and 0 < examined.epochs <= short["epochs"]


def _serve(
    connection: Connection, path: Path, hidden: Path, budget: dict[str, Any], limits: Limits
) -> None:
    """Examine a file, in the process for it."""
    import torch

    torch.set_num_threads(1)
    limit_this_process(limits)
    try:
        answer = asdict(look_at(path, hidden, budget))
    except Exception as problem:  # such as hidden images that cannot be read
        answer = {"bug": f"{type(problem).__name__}: {problem}"[:500]}
    connection.send_bytes(json.dumps(answer).encode())


def look_at(path: Path, hidden: Path, budget: Mapping[str, Any]) -> Examined:
    """Count a network and run it, in this process.

    Args:
        path: the file that was handed in.
        hidden: the file of ``hidden_images``.
        budget: the rules of a cell, see :func:`rules`.

    Returns:
        What was found out.
    """
    from ...plans import PlanError, TensorFileError, load

    try:
        handed_in = load(path)
    except (PlanError, TensorFileError) as problem:
        return Examined(f"{path.name}: {problem}")
    counted = {"parameters": handed_in.parameters, "multiply_adds": handed_in.cost.multiply_adds}
    arrays = np.load(hidden, allow_pickle=False)
    classes = int(arrays["hidden_labels"].max()) + 1
    refused = ""
    for what, number in counted.items():
        if number > budget[what]:
            called = what.replace("_", "-")
            refused = f"the network has {number:,} {called}; the budget is {budget[what]:,}"
    if handed_in.cost.output != classes:
        refused = f"the network has {handed_in.cost.output} outputs; there are {classes} classes"
    if refused:
        return Examined(refused, **counted)
    correct = {
        part: _correct(handed_in, arrays[f"{part}_images"], arrays[f"{part}_labels"])
        for part in ("hidden", "familiar")
    }
    total = len(arrays["hidden_labels"])
    familiar = 100 * correct["familiar"] / len(arrays["familiar_labels"])
    return Examined(
        parameters=counted["parameters"],
        multiply_adds=counted["multiply_adds"],
        epochs=handed_in.epochs,
        correct=correct["hidden"],
        total=total,
        familiar=familiar,
    )


def _correct(handed_in: Any, images: np.ndarray, labels: np.ndarray) -> int:
    """Number of images that a network classifies correctly."""
    import torch

    from ...data.cifar import standardize

    together = max(1, min(MOST_IMAGES, MOST_VALUES // handed_in.cost.largest))
    found = 0
    with torch.no_grad():
        for start in range(0, len(images), together):
            part = torch.from_numpy(images[start : start + together])
            logits = handed_in.network(standardize(part))
            right = logits.argmax(1).numpy() == labels[start : start + together]
            found += int((right & logits.isfinite().all(1).numpy()).sum())
    return found
