"""Lesion studies: remove blocks of a trained network, or let them trade places."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..restoring import evaluation_mode
from .hooks import hooks_run


@contextmanager
def lesion(model: nn.Module, names: Iterable[str]) -> Iterator[None]:
    """Remove blocks inside the context: each passes its input on unchanged. No class is changed.

    What is compiled runs eagerly inside the context.

    Args:
        model: residual or plain.
        names: of the blocks, as in ``named_modules()``.

    Raises:
        ValueError: the model has no block of that name; on the first forward pass, a block's
            output has another shape than its input, or one of them is not a single tensor.

    Source:
        Veit, Wilber & Belongie (2016), section 4.1.
    """
    modules = dict(model.named_modules())
    names = list(names)
    for name in names:
        if name not in modules:
            raise ValueError(
                f"the model has no block named {name!r}; "
                f"its modules are {', '.join(filter(None, modules))}"
            )

    with hooks_run() as handles:
        for name in names:
            handles += _bypass(modules[name], name)
        yield


def _bypass(block: nn.Module, name: str) -> tuple[RemovableHandle, RemovableHandle]:
    """Hook into a block so that its input stands in the place of its output."""
    given: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple) -> Tensor:
        if len(inputs) != 1 or not isinstance(inputs[0], Tensor):
            raise ValueError(f"block {name!r} takes no single tensor, so it cannot be removed")
        (x,) = inputs
        given.append(x)
        return x.clone()  # the block may overwrite what it is given

    def hand_on(_module: nn.Module, inputs: tuple, output: Any) -> Tensor:
        x = given.pop()
        if not _is_map(inputs, output):
            raise ValueError(f"block {name!r} returns no single tensor, so it cannot be removed")
        if x.shape != output.shape:
            raise ValueError(
                f"block {name!r} turns {tuple(x.shape)} into {tuple(output.shape)}: without it the "
                "next block would be given the wrong shape, so it cannot be removed"
            )
        return x

    return block.register_forward_pre_hook(keep), block.register_forward_hook(hand_on)


def _is_map(inputs: tuple, output: Any) -> bool:
    """Tell whether a module took one tensor and returned one tensor."""
    return len(inputs) == 1 and isinstance(inputs[0], Tensor) and isinstance(output, Tensor)


@contextmanager
def permuted(model: nn.Module, places: Mapping[str, str]) -> Iterator[None]:
    """Let blocks trade places inside the context.

    Args:
        model: residual or plain.
        places: from each place to the name of the block that stands there meanwhile; a permutation.

    Raises:
        ValueError: ``places`` is no permutation, names unknown blocks, or exchanges blocks whose
            weights have different shapes.

    Source:
        Veit, Wilber & Belongie (2016), section 4.3.
    """
    modules = dict(model.named_modules())
    if set(places) != set(places.values()):
        raise ValueError(
            f"{dict(places)} is no permutation: each block must leave a place and take one"
        )
    if unknown := sorted(set(places) - set(modules)):
        raise ValueError(f"the model has no block named {', '.join(map(repr, unknown))}")
    for place, name in places.items():
        shapes = [
            [tensor.shape for tensor in modules[key].state_dict().values()] for key in (place, name)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"blocks {place!r} and {name!r} have weights of different shapes: "
                "they cannot trade places"
            )
    try:
        for place, name in places.items():
            model.set_submodule(place, modules[name])
        yield
    finally:
        for place in places:
            model.set_submodule(place, modules[place])


def removable(model: nn.Module, x: Tensor, block_type: type | tuple[type, ...]) -> list[str]:
    """List the blocks of a class that keep the shape of their input, in the order they run.

    Args:
        model: any module, left in the mode that it was in.
        x: a batch to run through the model in evaluation mode, so that no statistics move.
        block_type: the class of the blocks, or several.

    Returns:
        Names as in ``named_modules()``; blocks that do not map one tensor to one tensor are left
        out.
    """
    kept = []

    def note_as(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: tuple, output: Any) -> None:
            if _is_map(inputs, output) and inputs[0].shape == output.shape:
                kept.append(name)

        return hook

    blocks: dict[str, nn.Module] = dict(model.named_modules())
    with hooks_run() as handles, evaluation_mode(model), torch.no_grad():
        for name, block in blocks.items():
            if issubclass(type(block), block_type):
                handles.append(block.register_forward_hook(note_as(name)))
        model(x)
    return kept


def subsets(
    items: Sequence[str], size: int, limit: int, generator: torch.Generator | None = None
) -> list[tuple[str, ...]]:
    """List all subsets of a size if there are at most ``limit``; otherwise draw that many.

    Args:
        items: to choose from.
        size: number of items in a subset.
        limit: largest number of subsets.
        generator: source of the random subsets; None takes torch's global generator.

    Returns:
        Subsets in the order of ``items``; drawn ones may repeat.
    """
    everything = list(itertools.islice(itertools.combinations(items, size), limit + 1))
    if len(everything) <= limit:
        return everything
    drawn = []
    for _ in range(limit):
        chosen = torch.randperm(len(items), generator=generator)[:size].tolist()
        drawn.append(tuple(items[i] for i in sorted(chosen)))
    return drawn
