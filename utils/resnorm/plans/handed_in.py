"""One file with a plan and its trained weights: what is handed in instead of code."""

from __future__ import annotations

import json
import operator
from dataclasses import dataclass
from pathlib import Path

import torch

from .kinds import PlanError
from .network import Cost, PlannedNetwork, build
from .tensor_file import TensorFileError, read_tensors, write_tensors

#: The largest file that is read, in bytes: more than a million weights.
LARGEST_FILE = 8 * 2**20
#: More passes than any training takes, and the first number that is not read.
MOST_EPOCHS = 10**6
#: Counts the steps of a batch norm, which no forward pass uses.
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class HandedIn:
    """A network from a file.

    Attributes:
        network: built from the plan, with the weights, in evaluation mode.
        epochs: passes over the training images, by what its maker says; 0 if nothing is said.
        parameters: number of values in the file's tensors, without running statistics.
    """

    network: PlannedNetwork
    epochs: int
    parameters: int

    @property
    def cost(self) -> Cost:
        """What the network costs, counted from its plan."""
        return self.network.cost


def save(path: str | Path, network: PlannedNetwork, *, epochs: int) -> None:
    """Write the plan and the weights of a network into one file.

    Args:
        path: file to write or replace, such as ``network.safetensors``.
        network: from :func:`resnorm.plans.build`.
        epochs: passes over the training images in the run that made these weights.

    Raises:
        TypeError: the network was not built from a plan, or the epochs are no whole number.
        ValueError: the epochs are negative, or a million or more.
    """
    if not isinstance(network, PlannedNetwork):
        raise TypeError(
            f"network is a {type(network).__name__}; give what plans.build returned, trained"
        )
    try:
        passes = operator.index(epochs)
    except TypeError:
        raise TypeError(f"epochs is {epochs!r}; it must be a whole number") from None
    if not 0 <= passes < MOST_EPOCHS:
        raise ValueError(f"epochs is {passes}; it must be from 0 to {MOST_EPOCHS - 1}")
    state = network.state_dict()
    tensors = {name: value for name, value in state.items() if not name.endswith(COUNTER)}
    write_tensors(path, tensors, {"plan": json.dumps(network.plan), "epochs": str(passes)})


def load(path: str | Path) -> HandedIn:
    """Read a file that anybody may have written. Nothing in it is executed.

    The network is built from the plan alone. The file has to hold the tensors that this network
    needs, each in its shape and finite, and nothing else.

    Args:
        path: the file.

    Returns:
        The network and what the file says of it.

    Raises:
        TensorFileError: the file is no file of plain tensors, or they are not those of its plan.
        PlanError: the plan cannot be built.
        OSError: the file cannot be read.
    """
    tensors, metadata = read_tensors(path, LARGEST_FILE)
    try:
        plan = json.loads(metadata.get("plan", ""))
    except (ValueError, RecursionError):
        raise PlanError("the file holds no plan; write it with plans.save") from None
    with torch.device("meta"):  # no memory is taken for weights that the file does not hold
        state = PlannedNetwork(plan).state_dict()
    needed = {name for name in state if not name.endswith(COUNTER)}
    if missing := sorted(needed - set(tensors)):
        raise TensorFileError(f"the plan needs {len(missing)} more tensors, such as {missing[0]!r}")
    if extra := sorted(set(tensors) - needed):
        raise TensorFileError(
            f"the file holds {len(extra)} tensors that the plan does not use, such as "
            f"{extra[0][:60]!r}"
        )
    for name, tensor in tensors.items():
        if tensor.shape != state[name].shape:
            raise TensorFileError(
                f"{name} has shape {tuple(tensor.shape)}; the plan needs {tuple(state[name].shape)}"
            )
        if not tensor.isfinite().all():
            raise TensorFileError(f"{name} holds values that are not finite")
    random_state = torch.get_rng_state()
    network = build(plan)
    torch.set_rng_state(random_state)
    network.load_state_dict(tensors, strict=False)
    trained = {name for name, _ in network.named_parameters()}
    said = metadata.get("epochs", "")
    is_number = said.isascii() and said.isdigit() and len(said) < len(str(MOST_EPOCHS))
    epochs = int(said) if is_number else 0
    count = sum(tensor.numel() for name, tensor in tensors.items() if name in trained)
    return HandedIn(network.eval(), epochs, count)
