"""Labels, citations and the table of contents, over chapters and pages together."""

import json
import re
from pathlib import Path

import notebooks as tool
from notebook_checks import prose

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = {
    path.relative_to(ROOT).as_posix(): prose(json.loads(path.read_text("utf-8")))
    for path in tool.all_notebooks()
}
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in sorted((ROOT / "book").rglob("*.md"))
}
SOURCES = PAGES | NOTEBOOKS

# --- labels ---------------------------------------------------------------------------------------


def labels(text):
    """Every label that a text gives: of a section, a directive or an equation."""
    listings = r"^(`{3,})(?:\{code\b.*?|[a-z]*)\n.*?^\1$"
    text = re.sub(listings, "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"^\(([\w-]+)\)=\s*$", text, re.MULTILINE)
    yield from re.findall(r"^:(?:label|name): *(\S+)", text, re.MULTILINE)
    yield from re.findall(r"^\$\$ *\(([\w-]+)\)", text, re.MULTILINE)


def dangling(sources):
    """Links to a label that nothing gives, with the file that has them."""
    given = {label for text in sources.values() for label in labels(text)}
    links = {
        (name, label)
        for name, text in sources.items()
        for label in re.findall(r"\]\(#([\w-]+)\)", text)
    }
    return sorted((name, label) for name, label in links if label not in given)


def repeated(sources):
    """Label -> the files that give it, where there is more than one."""
    seen = {}
    for name, text in sources.items():
        for label in labels(text):
            seen.setdefault(label, []).append(name)
    return {label: names for label, names in seen.items() if len(names) > 1}


def test_every_link_leads_to_a_label():
    assert dangling(SOURCES) == []
    assert dangling({"a": "see [there](#gone) and [here](#kept)\n\n(kept)=\n"}) == [("a", "gone")]


def test_every_label_is_given_once():
    assert repeated(SOURCES) == {}


def test_a_label_given_twice_is_found():
    sources = {"a": "(x)=\n# A\n$$a$$ (eq)", "b": ":label: x\n\n$$\nb\n$$ (eq-b)"}
    assert repeated(sources) == {"x": ["a", "b"]}
    sources = {"a": "$$\na\n$$ (eq-b)", "b": "$$\nb\n$$ (eq-b)"}
    assert repeated(sources) == {"eq-b": ["a", "b"]}


def test_a_label_in_a_listing_is_only_an_example():
    assert list(labels("```\n(x)=\n```\n\n```{code} md\n:label: y\n```\n\n(z)=\n")) == ["z"]


# --- citations ------------------------------------------------------------------------------------


def bibliography(text):
    """The keys of a BibTeX file."""
    return re.findall(r"^@\w+\{\s*([^,\s]+),", text, re.MULTILINE)


def repeated_keys(keys):
    return sorted({key for key in keys if keys.count(key) > 1})


def unknown_citations(sources, keys):
    """A sentence for every citation that the bibliography does not hold."""
    for name, text in sources.items():
        for group in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text):
            for key in (part.strip() for part in group.split(",")):
                if key not in keys:
                    yield (
                        f"{name} cites {key}, which book/references.bib does not hold: "
                        "add the entry, or correct the key"
                    )


def without_address(text):
    """The keys of the entries that lead nowhere: without a DOI, an eprint and a URL."""
    for entry in re.split(r"^(?=@)", text, flags=re.MULTILINE)[1:]:
        if not re.search(r"^\s*(?:doi|eprint|url) *= *\{[^}]", entry, re.MULTILINE):
            yield from bibliography(entry)


BIBLIOGRAPHY = (ROOT / "book" / "references.bib").read_text("utf-8")
KEYS = bibliography(BIBLIOGRAPHY)


def test_every_citation_is_in_the_bibliography():
    faults = list(unknown_citations(SOURCES, KEYS))
    assert not faults, "\n".join(faults)


def test_every_bibliography_key_is_given_once():
    assert repeated_keys(KEYS) == []


def test_a_key_given_twice_is_found():
    entries = "@article{a,\n title={x}}\n@book{b,\n title={y}}\n@misc{a,\n title={z}}"
    assert repeated_keys(bibliography(entries)) == ["a"]


def test_every_entry_of_the_bibliography_leads_somewhere():
    assert list(without_address(BIBLIOGRAPHY)) == []
    entries = "@book{a,\n  title = {url = {x}},\n}\n\n@misc{b,\n  url = {https://b.org},\n}\n"
    assert list(without_address(entries)) == ["a"]


def test_a_citation_that_does_not_resolve_is_found_and_the_remedy_named():
    sources = {"book/x.md": "{cite:t}`he2016deep, hee2016deep` and {cite}`he2016deep`"}
    (fault,) = unknown_citations(sources, bibliography("@article{he2016deep,\n title={x}}"))
    assert "book/x.md cites hee2016deep" in fault and "add the entry" in fault


# --- the table of contents ------------------------------------------------------------------------


def entries(toc):
    """Every page that a table of contents names."""
    return re.findall(r"^\s*(?:- )?(?:file|root): *(\S+)", toc, re.MULTILINE)


def toc_faults(toc, sources, notebooks):
    """Entries that are no file, and notebooks that are no entry."""
    there = {name.removesuffix(".md").removesuffix(".ipynb") for name in sources}
    for entry in entries(toc):
        if entry not in there:
            yield f"_toc.yml names {entry}, which is no page and no notebook: add it, or remove it"
    for name in notebooks:
        if name.removesuffix(".ipynb") not in entries(toc):
            yield f"{name} is not in _toc.yml: add it"


def test_the_table_of_contents_names_files_and_every_notebook():
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    faults = list(toc_faults(toc, SOURCES, NOTEBOOKS))
    assert not faults, "\n".join(faults)


def test_a_fault_of_the_table_of_contents_is_found():
    toc = "root: a\nchapters:\n  - file: b\n  - file: part/c\n"
    (missing, forgotten) = toc_faults(
        toc, ["a.md", "part/c.ipynb", "d.ipynb"], ["part/c.ipynb", "d.ipynb"]
    )
    assert missing.startswith("_toc.yml names b") and forgotten.startswith("d.ipynb is not in")
