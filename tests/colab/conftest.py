"""An environment with Colab's versions, made once and shared by all tests and processes.

It is kept in ``.venv-colab`` and made again when its list of requirements changes. The package is
not in it: what runs a chapter finds the package, as pip installs it from the repository, in a
folder beside, and the tests of the first cell find an environment without. Colab's own image is the
last word (see .github/workflows/colab.yml); this is the nearest thing on any machine.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-colab"
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
    with FileLock(Path(sys.prefix) / "colab.lock"):
        if stamp.exists() and stamp.read_text() == wanted:
            return PYTHON
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", "--clear", "--python", chosen, VENV], check=True)
        listed = VENV / "requirements.txt"
        listed.write_text(REQUIREMENTS)
        install = [*uv, "pip", "install", "-q", "--python", PYTHON, "-r", listed]
        installed = subprocess.run(install, capture_output=True, text=True)
        if installed.returncode:
            problem = installed.stderr.strip()[-600:]
            missing(f"Colab's versions could not be installed (is the network down?): {problem}")
        stamp.write_text(wanted)
    return PYTHON


@pytest.fixture(scope="session")
def clone(shared):
    """A clone of the repository as it is on disk, also what is not committed; as a pip source."""
    path = shared / "clone"
    part = shared / "clone.part"  # renamed when it is whole

    def git(*arguments, cwd=part):
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        command = ["git", *identity, "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout

    with FileLock(shared / "clone.lock"):
        if not path.exists():
            git("clone", "-q", "--no-hardlinks", str(ROOT), str(part), cwd=ROOT)
            if git("status", "--porcelain", cwd=ROOT):
                listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
                for name in filter(None, git(*listing, cwd=ROOT).split("\0")):
                    source, target = ROOT / name, part / name
                    if source.is_file():
                        target.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy2(source, target)
                    else:
                        target.unlink(missing_ok=True)
                git("add", "--all")
                git("commit", "-q", "--no-verify", "--allow-empty", "-m", "as it is on disk")
            part.rename(path)
    return f"git+file://localhost{path}"


@pytest.fixture(scope="session")
def package(shared, colab, clone):
    """The folder into which pip installed the package from the clone, once."""
    folder, part = shared / "package", shared / "package.part"
    with FileLock(shared / "package.lock"):
        if not folder.exists():
            install = [colab, "-m", "pip", "install", "-q", "--no-deps", "--target", part]
            subprocess.run([*install, f"resnorm @ {clone}"], check=True)
            part.rename(folder)
    return folder


@pytest.fixture
def uninstalled(colab):
    """An environment without the package, before and after."""

    def uninstall():
        command = [sys.executable, "-m", "uv", "pip", "uninstall", "-q", "--python", colab]
        subprocess.run([*command, "resnorm"], capture_output=True)

    uninstall()
    yield
    uninstall()


@pytest.fixture
def environment(tmp_path, clone):
    """Variables of a process in Colab: no trace of this checkout or of the tests' settings."""
    ours = ("RESNORM_", "PYTHON", "VIRTUAL_ENV", "JUPYTER", "MPL", "ATEN_", "ONEDNN_", "MKL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    settings = tmp_path / "settings"  # for kernels and configuration, outside the notebook's folder
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
