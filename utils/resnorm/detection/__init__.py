"""Detection: how well boxes fit, which of them to keep, and how good a detector is.

======================  ===========================================================
module                  what it holds
======================  ===========================================================
``boxes``               forms of boxes, IoU, and non-maximum suppression
``precision``           precision, recall and average precision
``grid``                what YOLO's grid should predict, what it costs, what it says
======================  ===========================================================
"""

from .boxes import box_area, box_iou, nms, to_centers, to_corners
from .grid import Detections, GridLoss, assign, decode, detect, grid_loss
from .precision import Curve, average_precision, mean_average_precision, precision_recall

__all__ = [
    "Curve",
    "Detections",
    "GridLoss",
    "assign",
    "average_precision",
    "box_area",
    "box_iou",
    "decode",
    "detect",
    "grid_loss",
    "mean_average_precision",
    "nms",
    "precision_recall",
    "to_centers",
    "to_corners",
]
