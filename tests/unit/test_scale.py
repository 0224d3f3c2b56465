"""The scale of a page's experiments."""

import pytest
import torch

import resnorm


@pytest.mark.parametrize("chosen", ["page", "full"])
def test_the_environment_variable_decides(monkeypatch, chosen):
    monkeypatch.setenv("RESNORM_SCALE", chosen)
    assert resnorm.scale() == chosen


@pytest.mark.parametrize("gpu, expected", [(False, "page"), (True, "full")])
def test_without_the_variable_a_gpu_decides(monkeypatch, gpu, expected):
    monkeypatch.delenv("RESNORM_SCALE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert resnorm.scale() == expected


@pytest.mark.parametrize("wrong", ["", "Page", "small"])
def test_anything_else_is_refused_with_the_choices(monkeypatch, wrong):
    monkeypatch.setenv("RESNORM_SCALE", wrong)
    with pytest.raises(ValueError, match=f"'{wrong}'.*page, full"):
        resnorm.scale()
