"""Lesion studies: remove blocks of a trained network, or let them trade places."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..restoring import evaluation_mode


@contextmanager
def lesion(model: nn.Module, names: Iterable[str]) -> Iterator[None]:
    """Remove blocks inside the context: each passes its input on unchanged. No class is changed.

    Args:
        model: residual or plain.
        names: of the blocks, as in ``named_modules()``.

    Raises:
        ValueError: the model has no block of that name; on the first forward pass, a block's
            output has another shape than its input.

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

    handles = [handle for name in names for handle in _bypass(modules[name], name)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _bypass(block: nn.Module, name: str) -> tuple[RemovableHandle, RemovableHandle]:
    """Hook into a block so that its input stands in the place of its output."""
    given: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        (x,) = inputs
        given.append(x)
        return x.clone()  # the block may overwrite what it is given

    def hand_on(_module: nn.Module, _inputs: tuple[Tensor], output: Tensor) -> Tensor:
        x = given.pop()
        if x.shape != output.shape:
            raise ValueError(
                f"block {name!r} turns {tuple(x.shape)} into {tuple(output.shape)}: without it the "
                "next block would be given the wrong shape, so it cannot be removed"
            )
        return x

    return block.register_forward_pre_hook(keep), block.register_forward_hook(hand_on)


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
        Veit, Wilber & Belongie (2016), section 4.2.
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
        Names as in ``named_modules()``.
    """
    kept = []

    def note_as(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if inputs[0].shape == output.shape:
                kept.append(name)

        return hook

    blocks: dict[str, nn.Module] = dict(model.named_modules())
    handles = [
        block.register_forward_hook(note_as(name))
        for name, block in blocks.items()
        if issubclass(type(block), block_type)
    ]
    try:
        with evaluation_mode(model), torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
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
