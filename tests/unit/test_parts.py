"""Generated data in three parts: where it is, what its record says, and what moves to a device."""

import pytest
import torch

from resnorm import data
from resnorm.experiments.parts import Parts

MADE = {
    "cells": lambda seed: data.cells(2, 16, per_image=2, seed=seed),
    "scenes": lambda seed: data.scenes(2, 32, seed=seed),
    "skeletons": lambda seed: data.skeletons(2, 16, seed=seed),
}
#: Tensors that move, and tensors that stay.
MOVES = {"cells": (["images"], ["instances"]), "scenes": (["images", "masks"], [])}
MOVES["skeletons"] = (["images", "points"], [])


@pytest.mark.parametrize("kind", MADE)
def test_all_parts_move_and_the_first_ones_stay(kind):
    parts = Parts(*(MADE[kind](seed) for seed in range(3)))
    moved = parts.to("meta")
    assert (parts.device.type, moved.device.type) == ("cpu", "meta")
    assert moved.source == parts.source
    moves, stays = MOVES[kind]
    for part in (moved.training, moved.test, moved.validation):
        assert all(getattr(part, name).device.type == "meta" for name in moves)
        assert all(getattr(part, name).device.type == "cpu" for name in stays)


def test_the_source_names_what_is_trained_and_measured_on():
    parts = Parts(*(MADE["cells"](seed) for seed in range(3)))
    first, second, _ = (MADE["cells"](seed).source for seed in range(3))
    assert first != second
    assert parts.source == f"{first} (training), {second} (test)"


def test_boxes_and_labels_of_scenes_stay_on_the_cpu():
    moved = MADE["scenes"](0).to("meta")
    assert {tensor.device.type for tensor in (*moved.boxes, *moved.labels)} == {"cpu"}


def test_heat_maps_are_drawn_where_the_joints_are():
    figures = MADE["skeletons"](0)
    assert figures.to("meta").heat_maps().device == torch.device("meta")
    assert figures.heat_maps().device == torch.device("cpu")
