"""Figures of the course: one look, alternative text for each, and controls that move them.

A notebook calls :func:`use_style` once and ends the cell of a figure with :func:`show`. The
functions here draw what they are given and compute nothing, except that :func:`compute` displays
figures whose own script computes while the reader moves them.
"""

from . import computing, explore, frames
from .blocks import draw_blocks, draw_legend
from .computing import compute
from .costs import draw_costs, short_count
from .diagrams import annotated_heatmap, draw_graph, draw_norm_cube
from .display import (
    MODES,
    display_caption,
    display_mode,
    image_tag,
    show,
    show_table,
    to_bytes,
)
from .slabs import draw_model
from .style import PALETTE, use_style

__all__ = [
    "MODES",
    "PALETTE",
    "annotated_heatmap",
    "compute",
    "computing",
    "display_caption",
    "display_mode",
    "draw_blocks",
    "draw_costs",
    "draw_graph",
    "draw_legend",
    "draw_model",
    "draw_norm_cube",
    "explore",
    "frames",
    "image_tag",
    "short_count",
    "show",
    "show_table",
    "to_bytes",
    "use_style",
]
