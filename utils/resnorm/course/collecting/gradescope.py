"""Gradescope's description of a download: who handed in what, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from .people import Person, Submission
from .times import HandedIn

METADATA = "submission_metadata.yml"


class _Loader(yaml.SafeLoader):
    """Reads plain values only. Objects of Ruby, which Gradescope writes, become plain values."""


def _plain(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_Loader.add_multi_constructor("!", _plain)


def read_metadata(path: Path) -> dict[str, Submission]:
    """Read the description.

    Args:
        path: the file ``submission_metadata.yml``.

    Returns:
        Name of a folder -> its submission, without files, with all members of a group.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        described = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader) or {}
        entries = described.items()
    except (yaml.YAMLError, AttributeError, ValueError, RecursionError, OSError) as problem:
        reason = (str(problem) or type(problem).__name__).splitlines()[0]
        raise ValueError(f"{path.name} cannot be read: {reason}") from None
    found = {}
    for name, entry in entries:
        about = entry if isinstance(entry, dict) else {}
        listed = about.get(":submitters")
        people = [_person(one) for one in listed] if isinstance(listed, list) else []
        when = _time(about.get(":created_at"))
        found[str(name)] = Submission(
            people or [Person(handle=str(name))],
            handed_in=HandedIn("Gradescope", when) if when else None,
            from_lms=True,
        )
    return found


def _person(about: Any) -> Person:
    about = about if isinstance(about, dict) else {}
    fields = {key: about.get(f":{key}") for key in ("name", "email", "sid")}
    name, email, sid = (str(value) if value is not None else "" for value in fields.values())
    return Person(name=name, email=email, number=sid)


def _time(value: Any) -> datetime | None:
    """A time in UTC; Gradescope's times without a zone are in UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip().replace(" UTC", "+00:00"))
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
