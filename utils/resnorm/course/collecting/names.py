"""Whether two ways of writing a name are of the same person."""

from __future__ import annotations

import functools
import unicodedata

#: Letters that Unicode does not take apart into a letter and an accent.
LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)
#: How these letters are written where a keyboard does not have them.
DIGRAPHS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})


def levels(one: str, other: str) -> int | None:
    """Compare two names.

    Args:
        one: a name, in any order of first and last name, with or without a comma.
        other: another one.

    Returns:
        0 if they are the same words in the same order; 1 with the words in another order, or
        written together; 2 without accents; 3 with digraphs such as ue for ü; None if they are
        different.
    """
    mine, theirs = _forms(one), _forms(other)
    if not mine or not theirs:
        return None
    return next((level for level in range(4) if mine[level] & theirs[level]), None)


def words(name: str) -> list[str]:
    """The words of a name in lower case, the last name last.

    Args:
        name: in any script.
    """
    last, comma, first = _folded(name).partition(",")
    kept = "".join(
        # A mark belongs to its letter: without vowel signs, other names would be the same.
        letter if unicodedata.category(letter)[0] in "LMN" else " "
        for letter in (f"{first} {last}" if comma else last)
    )
    return kept.split()


def without_accents(name: str) -> str:
    """A name without the accents of Latin, Greek and Cyrillic letters.

    Args:
        name: in lower case.
    """
    apart = unicodedata.normalize("NFKD", name.translate(LETTERS))
    kept = "".join(letter for letter in apart if not "\u0300" <= letter <= "\u036f")
    return unicodedata.normalize("NFKC", kept)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


@functools.lru_cache(maxsize=10_000)
def _forms(name: str) -> tuple[frozenset[str], ...]:
    """How a name may be written, for each level; empty if it has no letters."""
    if not words(name):
        return ()
    folded = _folded(name)
    plain = without_accents(folded)
    with_digraphs = without_accents(folded.translate(DIGRAPHS))
    return (
        frozenset([" ".join(words(folded))]),
        _orders(folded),
        _orders(plain),
        _orders(plain) | _orders(with_digraphs),
    )


def _orders(name: str) -> frozenset[str]:
    """A name written together, in every order that a system may choose."""
    parts = words(name)
    turned = ["".join(parts[i:] + parts[:i]) for i in range(len(parts))]
    return frozenset([*turned, "".join(reversed(parts)), " ".join(sorted(parts))])
