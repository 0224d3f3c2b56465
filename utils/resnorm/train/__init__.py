"""Training: a loop that is short enough to read, and what stands around it.

:func:`fit` in ``loop.py`` is the lesson. Each of the other files holds one thing that the loop
uses: schedules, precision, the optimizer's groups, lookahead, evaluation, the history, checkpoints
and the description of a run that they compare, compilation, the progress bar, and advice when
memory runs out. Adaptive gradient clipping is for loops of your own.
"""

from .clipping import clip_gradients_adaptively
from .evaluation import error
from .history import DivergedError, History
from .lookahead import Lookahead
from .loop import fit
from .memory import keep_freed_memory
from .precision import PRECISIONS, best_precision
from .schedules import Schedule, one_cycle, step_decay

__all__ = [
    "PRECISIONS",
    "DivergedError",
    "History",
    "Lookahead",
    "Schedule",
    "best_precision",
    "clip_gradients_adaptively",
    "error",
    "fit",
    "keep_freed_memory",
    "one_cycle",
    "step_decay",
]
