"""Without a GPU these tests fail, and are not skipped: who runs them asks for a GPU."""

import pytest
import torch


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        raise pytest.UsageError("tests/gpu needs a GPU that torch can use; there is none here")
