"""Every test gets the same random examples, one thread, and a rule for missing tools."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))  # tests call the tools as functions
sys.path.insert(0, str(ROOT))  # and `benchmarks` as a package

# What torch compiles here must not meet what other settings or sessions compiled: see
# tools/executed.py. One folder per process, because two must not write the same file.
_COMPILED = tempfile.mkdtemp(prefix="inductor-")
atexit.register(shutil.rmtree, _COMPILED, ignore_errors=True)
os.environ["TORCHINDUCTOR_CACHE_DIR"] = _COMPILED

settings.register_profile("course", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("course")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def missing():
    """Call this with a reason where a tool is missing: it skips on a laptop and fails in CI."""

    def missing(reason):
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"{reason}; in CI this test must run", pytrace=False)
        pytest.skip(reason)

    return missing


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder that all processes of this run share; whoever writes in it holds a lock."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder


@pytest.fixture
def displayed(monkeypatch):
    """What was handed to IPython's display: a list of (data, metadata)."""
    calls = []
    monkeypatch.setattr(
        "IPython.display.display",
        lambda data, metadata=None, raw=False: calls.append((data, metadata)),
    )
    return calls


@pytest.fixture(autouse=True)
def own_environment():
    """Each test starts without a reader's settings, and what it sets there ends with it.

    Some tools set variables for the whole process, as ``executed.apply_settings`` does.
    """
    with mock.patch.dict(os.environ):  # puts everything back at the end
        os.environ.pop("RESNORM_RUNS", None)
        yield
