"""Rewrite the repository's address everywhere, for a fork.

Usage: ``python tools/repository.py https://github.com/OWNER/NAME``. The address that is replaced
is the one in ``_config.yml``; with it go those made from it (Colab's and the published pages').
All files change, or none. The edition for Colab is then written anew.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
#: Folders that hold nothing written by hand.
SKIPPED = {"_build", "build", "dist", "__pycache__", "vendor", "node_modules"}
#: Hidden folders whose files name the repository.
HIDDEN = {".ci", ".github"}
#: Folder at the root that ``tools/colab.py`` writes.
GENERATED = "colab"


def read_address(root: Path) -> str:
    """The address in ``_config.yml``."""
    found = re.search(
        r"^repository:\s*\n(?:\s+.*\n)*?\s+url:\s*(\S+)",
        (root / "_config.yml").read_text("utf-8"),
        re.MULTILINE,
    )
    if not found:
        raise ValueError(
            "_config.yml names no repository: it needs the lines 'repository:' and '  url: https://…'"
        )
    return found.group(1)


def check(url: str) -> str:
    """Return ``url``, or raise ValueError that says what is wrong with it."""
    example = "it must look like https://github.com/OWNER/NAME"
    if not url:
        raise ValueError(f"no address was given; {example}. Run: make repository URL=https://…")
    if not url.startswith("https://"):
        raise ValueError(f"{url!r} does not start with https://; {example}")
    for ending in ("/", ".git"):
        if url.endswith(ending):
            raise ValueError(f"{url!r} ends in {ending!r}: leave that out; {example}")
    if not re.fullmatch(r"https://[\w.-]+(:\d+)?(/[\w.~-]+){2,}", url, re.ASCII):
        raise ValueError(f"{url!r} is no address of a repository; {example}")
    return url


def forms(url: str) -> list[str]:
    """The address and those made from it, in a fixed order."""
    host, owner, name = url.removeprefix("https://").split("/", 2)
    if host != "github.com":
        return [url]
    pages = f"https://{owner.lower()}.github.io/{name}"
    return [url, f"colab.research.google.com/github/{owner}/{name}", pages]


def text_files(root: Path):
    """Every file that may name the repository, as (path, text)."""
    for folder, folders, names in os.walk(root):
        skipped = SKIPPED | {GENERATED} if Path(folder) == root else SKIPPED
        folders[:] = sorted(
            f for f in folders if f not in skipped and (not f.startswith(".") or f in HIDDEN)
        )
        for name in sorted(names):
            path = Path(folder, name)
            try:
                yield path, path.read_bytes().decode("utf-8")
            except (UnicodeDecodeError, OSError):
                continue  # a picture, a dangling link


def rewrite(root: Path, url: str) -> list[Path]:
    """Put ``url`` in place of the present address; returns the files that changed.

    Raises:
        ValueError: ``url`` is no address; or the new host has no counterpart of an address that a
            file names (Colab opens notebooks from GitHub only).
    """
    old_forms, new_forms = forms(read_address(root)), forms(check(url))
    changes: dict[Path, str] = {}
    for path, text in text_files(root):
        new = text
        for i, old in enumerate(old_forms):
            pattern = re.escape(old) + r"(?![\w-])"  # not a longer name that begins alike
            if i < len(new_forms):
                new = re.sub(pattern, lambda _, i=i: new_forms[i], new)
            elif re.search(pattern, new):
                raise ValueError(
                    f"{path.relative_to(root)} names {old}, which {url} has no counterpart of; "
                    "take that address out of the file first. Nothing was changed."
                )
        if new != text:
            changes[path] = new

    written: list[tuple[Path, Path]] = []
    try:  # write everything beside the originals; only then rename
        for path, text in changes.items():
            temporary = path.with_name(path.name + ".part")
            written.append((temporary, path))
            temporary.write_bytes(text.encode("utf-8"))
            temporary.chmod(path.stat().st_mode)
    except OSError:
        for temporary, _ in written:
            temporary.unlink(missing_ok=True)
        raise
    for temporary, path in written:
        temporary.replace(path)
    return list(changes)


def main(arguments: list[str]) -> None:
    """Rewrite the address, and list the files that changed."""
    import colab  # which reads the address with this module

    parser = command_line(__doc__)
    parser.add_argument("url", nargs="?", default="", help="https://github.com/OWNER/NAME")
    url = parser.parse_args(arguments).url
    try:
        old = read_address(ROOT)
        changed = rewrite(ROOT, url)
    except (ValueError, OSError) as error:
        sys.exit(f"make repository: {error}")
    if not changed:
        print(f"Nothing to do: the address is {old} already.")
        return
    print(f"{old}\n  is now {url} in {len(changed)} files:")
    for path in changed:
        print(f"  {path.relative_to(ROOT)}")
    colab.main([])
    print("Commit them, then run make test.")


if __name__ == "__main__":
    main(sys.argv[1:])
