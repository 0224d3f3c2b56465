"""Notice norms where torch computes them, whichever way leads there.

TorchScript, a callback on another thread or a forked process reach the same operators as
``F.batch_norm`` does, but show nothing to a profile function or a mode of Python. So the operators
themselves get a kernel in front of their own, for as long as the process lives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from .forbidden_names import NORMS, is_own, plain
from .journal import USED
from .observation import OWN


def watch(namespace: dict[str, Any]) -> object:
    """Raise the audit event ``USED``, with a plain name, when an operator of ``NORMS`` runs.

    An operator that torch composes of others is noticed by these.

    Args:
        namespace: that of the tests' own functions, which may use the operators.

    Returns:
        What has to be kept, because the kernels go when it does.
    """
    import torch

    library: Any = torch._C._dispatch_library("IMPL", "aten", "")
    for name in torch._C._dispatch_get_all_op_names():
        base, _, overload = name.removeprefix("aten::").partition(".")
        if not name.startswith("aten::") or plain(base) not in NORMS:
            continue
        if torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"):
            continue
        operator = getattr(getattr(torch.ops.aten, base), overload or "default")
        kernel = _announced(operator, plain(base), namespace)
        # This key is below autograd's and above those of all devices.
        library.impl(name.removeprefix("aten::"), "BackendSelect", kernel, True)
    return library


def _announced(operator: Any, name: str, namespace: dict[str, Any]) -> Callable[..., Any]:
    """A kernel that says its name and goes on to the operator's own."""
    import torch

    above = torch._C.DispatchKey.BackendSelect

    def kernel(keys: Any, *arguments: Any, **options: Any) -> Any:
        if not _is_of_the_tests(sys._getframe(1), namespace):
            sys.audit(USED, name)
        return operator.redispatch(keys.remove(above), *arguments, **options)

    OWN.add(kernel.__code__)
    return kernel


def _is_of_the_tests(frame: FrameType | None, namespace: dict[str, Any]) -> bool:
    """Whether the nearest function that is no library's is one of the tests."""
    while frame is not None:
        if frame.f_globals is namespace:
            return True
        if is_own(str(frame.f_globals.get("__name__"))):
            return False
        frame = frame.f_back
    return False
