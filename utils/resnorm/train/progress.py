"""The progress bar."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from .history import History


def progress_bar(epochs: range, history: History, *, visible: bool) -> Iterator[int]:
    """Yield the epochs, and show a bar with the last loss and error meanwhile (tqdm).

    Args:
        epochs: the epochs to run; a resumed run does not begin at 0.
        history: read after each epoch.
        visible: False only yields the epochs. So does True, with a warning, without tqdm.

    Yields:
        Each epoch, before it runs.
    """
    tqdm = _find_tqdm() if visible else None
    if tqdm is None:
        yield from epochs
        return
    with tqdm(total=epochs.stop, initial=epochs.start, unit="epoch") as bar:
        for epoch in epochs:
            yield epoch  # the body of the caller's loop runs here
            shown = {"loss": f"{history.losses[-1]:.3f}"}
            if history.test_errors:
                shown["test error"] = f"{history.test_errors[-1]:.2f} %"
            bar.set_postfix(shown)
            bar.update()


def _find_tqdm() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        warnings.warn(
            "there is no progress bar, because tqdm is not installed: pip install tqdm. "
            "The training goes on without it",
            stacklevel=4,
        )
        return None
    return tqdm
