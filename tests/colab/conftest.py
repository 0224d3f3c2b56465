"""An environment with Colab's versions, in which the package is not installed.

It is kept in ``.venv-colab`` and made again when its list of requirements changes. Each process of a
parallel run has one of its own, since every test installs the package afresh. Colab's own
image is the last word (see .github/workflows/colab.yml); this is the nearest thing on any machine.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
VENV = ROOT / (".venv-colab" if WORKER == "gw0" else f".venv-colab-{WORKER}")
PYTHON = VENV / "bin" / "python"
#: What Colab had when this was written; only what the notebooks use.
REQUIREMENTS = """\
torch==2.11.*
torchvision==0.26.*
numpy==2.1.*
matplotlib==3.10.*
ipywidgets==7.7.*
pillow
sympy
tqdm
scipy
ipykernel
nbclient
pip
"""


def interpreter():
    """The newest of Colab's and its neighbour's Pythons that works here; else the running one."""
    for version in ("3.13", "3.12"):
        candidates = [shutil.which(f"python{version}")]
        candidates += sorted(
            glob.glob(str(Path.home() / f".pyenv/versions/{version}*/bin/python{version}")),
            reverse=True,
        )
        for path in filter(None, candidates):
            if (
                subprocess.run(
                    [path, "-c", "import ssl, ctypes, sqlite3, venv"], capture_output=True
                ).returncode
                == 0
            ):
                return path
    return sys.executable


@pytest.fixture(scope="session")
def colab(missing):
    """Path of the environment's interpreter."""
    stamp, chosen = VENV / "stamp", interpreter()
    wanted = hashlib.sha256(f"{chosen}\n{REQUIREMENTS}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return PYTHON
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--clear", "--python", chosen, VENV], check=True)
    listed = VENV / "requirements.txt"
    listed.write_text(REQUIREMENTS)
    installed = subprocess.run(
        [*uv, "pip", "install", "-q", "--python", PYTHON, "-r", listed],
        capture_output=True,
        text=True,
    )
    if installed.returncode:
        missing(
            f"Colab's versions could not be installed (is the network down?): {installed.stderr.strip()[-600:]}"
        )
    stamp.write_text(wanted)
    return PYTHON


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A clone of the repository as it is on disk, what is not committed included; as a pip source."""
    path = tmp_path_factory.mktemp("clone") / "course"

    def git(*arguments, cwd=path):
        identity = [
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@localhost",
            "-c",
            "commit.gpgsign=false",
        ]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True, text=True
        ).stdout

    git("clone", "-q", "--no-hardlinks", str(ROOT), str(path), cwd=ROOT)
    if git("status", "--porcelain", cwd=ROOT):
        listed = git(
            "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT
        ).split("\0")
        for name in filter(None, listed):
            source, target = ROOT / name, path / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
            else:
                target.unlink(missing_ok=True)
        git("add", "--all")
        git("commit", "-q", "--no-verify", "--allow-empty", "-m", "as it is on disk")
    return f"git+file://localhost{path}"


@pytest.fixture
def uninstalled(colab):
    """Take the package out of the environment, before and after."""

    def uninstall():
        subprocess.run(
            [sys.executable, "-m", "uv", "pip", "uninstall", "-q", "--python", colab, "resnorm"],
            capture_output=True,
        )

    uninstall()
    yield
    uninstall()


@pytest.fixture
def environment(tmp_path, clone):
    """Variables of a process in Colab: no trace of this checkout or of the tests' settings."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("RESNORM_", "PYTHON", "VIRTUAL_ENV", "JUPYTER", "MPL"))
    }
    settings = (
        tmp_path / "settings"
    )  # a home for kernels and configuration, outside the notebook's folder
    return kept | {
        "RESNORM_SOURCE": clone,
        "RESNORM_SCALE": "page",
        "JUPYTER_CONFIG_DIR": str(settings),
        "JUPYTER_DATA_DIR": str(settings),
        "IPYTHONDIR": str(settings / "ipython"),
        "MPLCONFIGDIR": str(settings / "mpl"),
        "OMP_NUM_THREADS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
