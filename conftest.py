"""All tests find the tools; strict nbval compares pictures and shares its executions."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "tools"))
pytest_plugins = ["nbval_shared"]
