"""No file names one machine, a package registry or a secret, and none is large."""

import re

import pytest

from repository_files import TEXTS, tracked_files

MAX_BYTES = 2_500_000
# Written in pieces, so that this file does not hold what it forbids.
HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "download." + "pytorch.org",
    "anaconda" + ".org",
    "npm" + "js.org",
    "pkg" + ".dev",
    "gc" + "r.io",
    "gh" + "cr.io",
    "docker" + ".io",
    "docker" + ".com",
    "qu" + "ay.io",
]
PATHS = [
    r"(?<![\w.}/-])/(?:root|home/\w+|Users/\w+|workspace|work/\w+|opt/\w+|tmp/[\w-]+)(?=/|\b)",
    r"\b[A-Z]:\\+Users\\",
]
SECRETS = [
    r"\bgh[pousr]_\w{20,}",
    r"\bgithub_pat_\w{20,}",
    r"\bAKIA[A-Z0-9]{16}\b",
    r"\bhf_[A-Za-z]{30,}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY",
    r"\b(?:api[_-]?key|token|secret|password|passwd)\s*[:=]\s*[\"'][\w/+-]{12,}[\"']",
]
FORBIDDEN = {
    "a path of one machine": PATHS,
    "the host of a package registry": [re.escape(host) for host in HOSTS],
    "a secret": SECRETS,
    "an address in a private network": [
        r"(?<![\w.=])(?:10\.\d+|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b"
    ],
}


def private(text):
    """What ``text`` holds that no file of the course may, as (kind, match)."""
    text = re.sub(r"[A-Za-z0-9+/]{200,}={0,2}", "", text)  # pictures
    return [
        (kind, match[0])
        for kind, patterns in FORBIDDEN.items()
        for match in re.finditer("|".join(patterns), text)
    ]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_no_file_names_a_machine_a_registry_or_a_secret(name):
    assert private(TEXTS[name]) == [], (
        f"{name}: remove it; use relative paths, variables and environment settings"
    )


BAD = [
    ("a path of one machine", 'File "/home' + '/anna/course/a.py"'),
    ("a path of one machine", "cd /" + "root/x"),
    ("a path of one machine", "/tmp" + "/ipykernel_123/1.py"),
    ("a path of one machine", "C:" + r"\\Users\\anna"),
    *(("the host of a package registry", f"https://{host}/simple") for host in HOSTS),
    ("the host of a package registry", "image: us-docker." + HOSTS[5] + "/x"),
    ("a secret", "gh" + "p_" + "a1" * 12),
    ("a secret", "github" + "_pat_" + "a1" * 12),
    ("a secret", "AK" + "IA" + "B2" * 8),
    ("a secret", "h" + "f_" + "aB" * 16),
    ("a secret", "-----BEGIN RSA " + "PRIVATE KEY-----"),
    ("a secret", "token" + " = 'abcdefghijklmnop'"),
    ("an address in a private network", "http://192." + "168.1.7:8000"),
    ("an address in a private network", "ssh 10." + "0.0.7"),
]


@pytest.mark.parametrize("kind, text", BAD)
def test_private_text_is_found(kind, text):
    assert [found for found, _ in private(text)] == [kind]


def test_there_is_a_bad_example_for_every_kind_and_every_pattern():
    assert {kind for kind, _ in BAD} == set(FORBIDDEN)
    patterns = [pattern for kind in FORBIDDEN.values() for pattern in kind]
    unused = [p for p in patterns if not any(re.search(p, text) for _, text in BAD)]
    assert unused == []


def test_ordinary_text_is_not_taken_for_private():
    paths = "see _build/html, ../ro" + "ot/x and ~/" + "work"
    assert private(f"{paths}, `tmp_path`, version 10.2.3, secrets.GITHUB_TOKEN") == []


def large_files(paths):
    """Name -> size of the files that would make a clone slow."""
    sizes = {path.as_posix(): path.stat().st_size for path in paths}
    return {name: size for name, size in sizes.items() if size > MAX_BYTES}


def test_no_large_file_is_in_the_repository():
    assert large_files(tracked_files()) == {}, f"a file may have {MAX_BYTES / 1e6} MB"


def test_a_large_file_is_found(tmp_path):
    for name, size in (("just", MAX_BYTES), ("large", MAX_BYTES + 1)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    assert list(large_files(tmp_path.iterdir())) == [(tmp_path / "large").as_posix()]
