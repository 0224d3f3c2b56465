"""Detection: how well boxes fit, which of them to keep, and how good a detector is.

======================  =================================================================
module                  what it holds
======================  =================================================================
``boxes``               forms of boxes, IoU, and non-maximum suppression
``anchors``             reference boxes, offsets from them, and which object each matches
``multibox``            a head with anchors: its targets, its loss, what it says
``precision``           precision, recall and average precision
``grid``                what YOLO's grid should predict, what it costs, what it says
======================  =================================================================
"""

from .anchors import anchor_boxes, decode_offsets, encode_offsets, match_anchors
from .boxes import box_area, box_iou, nms, to_centers, to_corners
from .grid import Detections, GridLoss, assign, decode, detect, grid_loss
from .multibox import anchor_loss, anchor_targets, detect_by_anchors, split_per_anchor
from .precision import Curve, average_precision, mean_average_precision, precision_recall

__all__ = [
    "Curve",
    "Detections",
    "GridLoss",
    "anchor_boxes",
    "anchor_loss",
    "anchor_targets",
    "assign",
    "average_precision",
    "box_area",
    "box_iou",
    "decode",
    "decode_offsets",
    "detect",
    "detect_by_anchors",
    "encode_offsets",
    "grid_loss",
    "match_anchors",
    "mean_average_precision",
    "nms",
    "precision_recall",
    "split_per_anchor",
    "to_centers",
    "to_corners",
]
