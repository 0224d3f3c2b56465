"""Where the operations of a block stand: branches side by side, and what follows below.

A block is a chain of operations. Where several operations read the same output, the chain splits
into branches, which are chains, until an operation reads them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

#: Width of a skip connection, in columns.
SKIP = 0.4


class Step(Protocol):
    """What the layout needs to know about an operation."""

    @property
    def name(self) -> str:
        """By which other operations name what they read."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the operations whose outputs it reads."""


@dataclass(frozen=True)
class Branches:
    """Chains side by side; an empty one is a skip connection.

    Attributes:
        chains: from left to right.
        join: the operation that reads the end of each.
    """

    chains: tuple[Chain, ...]
    join: str


Chain = tuple["str | Branches", ...]


def chain_of(steps: Sequence[Step]) -> Chain:
    """Arrange a block.

    Args:
        steps: in the order in which they run, the input first.

    Returns:
        Names of operations, and branches between them.

    Raises:
        ValueError: a step reads what does not run before it, or branches never join.
    """
    return _Arrangement(steps).chain(steps[0].name, "")


def width_of(item: str | Branches | Chain) -> float:
    """Measure the width of a part of a block.

    Args:
        item: an operation, branches, or a chain.

    Returns:
        The width in columns.
    """
    if isinstance(item, str):
        return 1.0
    if isinstance(item, Branches):
        return sum(width_of(chain) for chain in item.chains)
    return max((width_of(part) for part in item), default=SKIP)


def height_of(item: str | Branches | Chain, height: Callable[[str], float]) -> float:
    """Measure the height of a part of a block.

    Args:
        item: an operation, branches, or a chain.
        height: of an operation, by its name.

    Returns:
        The height, in the unit of ``height``.
    """
    if isinstance(item, str):
        return height(item)
    if isinstance(item, Branches):
        return max(height_of(chain, height) for chain in item.chains)
    return sum(height_of(part, height) for part in item)


class _Arrangement:
    """The graph of a block, and the search for where branches join."""

    def __init__(self, steps: Sequence[Step]):
        self.order = [step.name for step in steps]
        self.readers: dict[str, list[str]] = {}
        for step in steps:
            self.readers[step.name] = []
            for name in step.inputs:
                if name not in self.readers:
                    raise ValueError(f"{step.name} reads {name!r}, which does not run before it")
                self.readers[name].append(step.name)
        self.reached: dict[str, set[str]] = {}
        for name in reversed(self.order):
            below = [self.reached[reader] for reader in self.readers[name]]
            self.reached[name] = {name}.union(*below)

    def chain(self, name: str, stop: str) -> Chain:
        """What runs from one operation until another, which is left out."""
        items: list[str | Branches] = []
        while name != stop:
            items.append(name)
            readers = self.readers[name]
            if not readers:
                break
            if len(readers) == 1:
                name = readers[0]
                continue
            join = self.first_common(readers)
            items.append(Branches(self.branches(readers, join), join))
            name = join
        return tuple(items)

    def first_common(self, names: Sequence[str]) -> str:
        """The first operation that all of some operations lead to."""
        common = set.intersection(*(self.reached[name] for name in names))
        for name in self.order:
            if name in common:
                return name
        raise ValueError(f"the branches {', '.join(names)} never join, so no block ends there")

    def branches(self, heads: Sequence[str], join: str) -> tuple[Chain, ...]:
        """Chains from some operations until they join; those that join earlier stay together."""
        heads = list(heads)
        chains: list[Chain] = []
        for name in self.order[: self.order.index(join)]:
            group = [head for head in heads if name in self.reached[head]]
            if len(group) > 1:
                inner = Branches(self.branches(group, name), name)
                chains.append((inner, *self.chain(name, join)))
                heads = [head for head in heads if head not in group]
        chains += [self.chain(head, join) for head in heads]
        return tuple(sorted(chains, key=lambda chain: not chain))  # skips stand on the right
