"""The experiments on CIFAR-10: what is trained, how, and what is measured (part IV).

Each experiment is a table of arms, written down as data, so that the record of a run holds
everything that decided its numbers. ``python -m resnorm.experiments NAME --data DIR`` runs one. An
experiment's ``-short`` twin asks the same question within the hours of a laptop.

``arms`` says what an experiment is, ``networks`` builds the networks, ``table`` is the table of
experiments (``fast_recipe``, ``generalization``, ``generations`` and ``space`` make the arms of
some of them), ``runner`` trains, measures and records, ``subsets`` says on which images,
``lesions`` removes blocks of what was trained, ``weights`` keeps it and loads it again,
``run_files`` names the files of a run, and ``tuning`` chooses learning rates from a record of the
validation split.
"""

from .arms import Arm, Experiment, Training
from .networks import MODELS, NORMS, build
from .run_files import run_file
from .runner import measure, run, train_arm
from .subsets import reduced
from .table import EXPERIMENTS, MANY_STEPS, PUBLISHED, QUARTER_HOUR, SHORT
from .tuning import best_rates, families, is_search, next_of_search
from .weights import SHIPPED, Shipped, save_weights, shipped, trained

__all__ = [
    "Arm",
    "EXPERIMENTS",
    "Experiment",
    "MANY_STEPS",
    "MODELS",
    "NORMS",
    "PUBLISHED",
    "QUARTER_HOUR",
    "SHIPPED",
    "SHORT",
    "Shipped",
    "Training",
    "best_rates",
    "build",
    "families",
    "is_search",
    "measure",
    "next_of_search",
    "reduced",
    "run",
    "run_file",
    "save_weights",
    "shipped",
    "train_arm",
    "trained",
]
