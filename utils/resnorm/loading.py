"""Submodules that load when they are first used, so that importing a package costs nothing."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType


def on_first_use(package: str, *names: str) -> Callable[[str], ModuleType]:
    """Make a package's ``__getattr__`` (PEP 562), which imports submodules on first use.

    Args:
        package: the package's ``__name__``.
        *names: the submodules.

    Returns:
        A function from a name to the submodule; it raises AttributeError for any other name.
    """

    def getattr_of_package(name: str) -> ModuleType:
        if name in names:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return getattr_of_package
