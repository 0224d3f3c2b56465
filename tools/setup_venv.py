"""Create .venv and install what requirements.txt pins. Standard library only.

Run by ``make``; every failure ends with a sentence that says what to do. Written so that even
Python 3.6 gets far enough to say that it is too old.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
NEEDED_GB = 8


def stop(sentence):
    """Exit with a sentence that says what to do."""
    sys.exit(f"\nmake: {sentence}\n")


def other_python():
    """A newer interpreter on this machine that works, if there is one."""
    for name in ("python3.13", "python3.12", "python3.11"):
        path = shutil.which(name)
        if path and subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return name
    return None


def run(command, sentence):
    """Run a command; where it fails, exit with the sentence."""
    try:
        code = subprocess.run([str(part) for part in command], cwd=ROOT).returncode
    except OSError as error:
        stop(f"{sentence} ({error})")
    if code:
        stop(sentence)


def main(arguments):
    """Make the environment, or say what is missing."""
    command_line(__doc__).parse_args(arguments)
    if sys.version_info < (3, 11):
        found = other_python()
        advice = (
            f"Run: make PYTHON={found} book"
            if found
            else "Install Python 3.11 or newer and run make again."
        )
        stop(f"this is Python {sys.version.split()[0]}, but 3.11 or newer is needed. {advice}")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop(
            "this Python cannot make virtual environments. "
            "On Debian or Ubuntu: apt install python3-venv"
        )

    if VENV.is_symlink():  # Installing would point another checkout's environment at this one.
        stop(
            f".venv is a link to {VENV.resolve()}, which belongs to another folder. "
            "Remove the link, then run make again."
        )
    python = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        free = shutil.disk_usage(ROOT).free / 1e9
        if free < NEEDED_GB:
            stop(
                f"only {free:.1f} GB are free in this folder; "
                f"PyTorch and the rest need about {NEEDED_GB} GB. "
                "Free some space, or clone to a larger disk."
            )
        print("Creating .venv …", flush=True)
        run(
            [sys.executable, "-m", "venv", VENV],
            "could not create .venv; delete the folder and try again.",
        )

    network = (
        "could not install the pinned packages. Check the network connection "
        "(a proxy needs HTTPS_PROXY), then run the same command again: "
        "it continues where it stopped."
    )
    requirements = ROOT / "requirements.txt"
    pinned_uv = re.search(r"^uv==\S+", requirements.read_text(), re.MULTILINE).group()
    print(
        "Installing what requirements.txt pins into .venv (about 6 GB; one to ten minutes) …",
        flush=True,
    )
    run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", pinned_uv], network)
    uv = [python, "-m", "uv", "pip", "install", "--python", python]
    run([*uv, "-r", requirements], network)
    run(
        [*uv, "-q", "--no-deps", "-e", "."],
        "could not install the package in utils/; see the message above.",
    )
    print("The environment is ready.", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
