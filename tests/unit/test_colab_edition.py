"""The edition for Colab is that of the chapters, shows no markup, and gives nothing away."""

import copy
import json
import re
from functools import cache
from types import SimpleNamespace

import nbformat
import pytest

import colab
import pieces
import plain_markdown
import repository

ROOT = colab.ROOT
NAMES = [
    path.relative_to(ROOT / "notebooks").as_posix()
    for path in sorted((ROOT / "notebooks").glob("[0-9]*/*.ipynb"))
]
URL = repository.read_address(ROOT)
_, COLAB, PAGES = repository.forms(URL)
MAX_BYTES = 4_000_000


@cache
def stored(folder, name):
    return json.loads((ROOT / folder / name).read_text("utf-8"))


def source(cell):
    return "".join(cell["source"])


def of_type(notebook, kind):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def without_listings(text):
    """A text without fenced blocks, unless these are directives."""
    fences = re.compile(r"^```(.*)\n(?:.*\n)*?```$", re.MULTILINE)
    return fences.sub(lambda found: found[0] if found[1].startswith("{") else "", text)


def prose(notebook):
    """All Markdown of a notebook without listings."""
    return without_listings("\n\n".join(map(source, of_type(notebook, "markdown"))))


def without_code(text):
    """A text without code and formulas, in which braces and brackets mean something else."""
    text = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text, flags=re.DOTALL)
    return re.sub(r"\$\$.*?\$\$|\$[^$]+\$", "", text, flags=re.DOTALL)


# --- what must hold: each check yields a sentence for every fault ---------------------------------


def no_markup_is_left(edition, chapter):
    left = r"\{[\w:+-]+\}`|:::|^\s*`{3,}\{|^\([\w-]+\)=|^:(?:label|class|name):|^\$\$ *\(|\]\(\)"
    for cell in of_type(edition, "markdown"):
        if found := re.search(left, without_listings(source(cell)), re.MULTILINE):
            yield f"cell {cell['id']} shows {found[0]!r}"


def code_is_that_of_the_chapter(edition, chapter):
    ours, theirs = of_type(edition, "code"), of_type(chapter, "code")
    if [cell["id"] for cell in ours] != [cell["id"] for cell in theirs]:
        yield "it has other code cells than the chapter"
    for mine, original in zip(ours, theirs):
        if source(mine) != source(original):
            yield f"the code of {mine['id']} is not that of the chapter"
        if mine["metadata"].get("tags") != original["metadata"].get("tags"):
            yield f"the tags of {mine['id']} are not those of the chapter"
        if mine["outputs"] or mine["execution_count"] is not None:
            yield f"{mine['id']} has an output, which may answer a prediction"


def folded_code_is_folded(edition, chapter):
    for cell in of_type(edition, "code"):
        folded = {"hide-input", "solution"} & set(cell["metadata"].get("tags", []))
        folded = folded or "".join(cell["source"]).startswith("# Setup.")
        hidden = cell["metadata"].get("cellView") == "form"
        if bool(folded) != hidden or hidden != ("jupyter" in cell["metadata"]):
            yield f"the code of {cell['id']} is folded in only one of chapter, Colab and Jupyter"


def answers_are_closed(edition, chapter):
    titles = re.findall(r"^:::\{dropdown\} (.*)$", prose(chapter), re.MULTILINE)
    blocks = re.findall(
        r"(?:\A|\n\n)<details>\n<summary>([^\n]*)</summary>\n\n(?!</details>).*?\n\n</details>(?=\n\n|\Z)",
        prose(edition),
        re.DOTALL,
    )
    if blocks != titles or prose(edition).count("<details") != len(titles):
        yield f"dropdowns {titles}, but closed blocks {blocks}"


def solutions_are_closed(edition, chapter):
    labels = re.findall(r"^```\{solution-start\} (\S+)", prose(chapter), re.MULTILINE)
    ids = [f"solution-{label}" for label in labels]
    if edition["metadata"]["colab"].get("collapsed_sections") != ids:
        yield "not every solution is closed in Colab"
    cells = edition["cells"]
    places = [number for number, cell in enumerate(cells) if cell["id"] in ids]
    if [cells[place]["id"] for place in places] != ids:
        yield "a solution has no heading"
    for place in places:
        if not re.fullmatch(r"#+ Solution to exercise [^\n]+", source(cells[place])):
            yield f"{cells[place]['id']} shows more than its heading"
        if not cells[place]["metadata"].get("jp-MarkdownHeadingCollapsed"):
            yield f"{cells[place]['id']} is open in JupyterLab"
    inside = solution_texts(chapter)
    shown = {text for text in open_texts(edition) if text in inside}
    for text in sorted(shown):
        yield f"it shows what a solution says: {text[:60]!r}"


def solution_texts(chapter):
    """The lines of the chapter's solutions; those with roles or links are left out."""
    text = "\n".join(
        re.findall(r"\{solution-start\}.*?\{solution-end\}", prose(chapter), re.DOTALL)
    )
    outside = re.sub(r"\{solution-start\}.*?\{solution-end\}", "", prose(chapter), flags=re.DOTALL)
    return {line for line in text.split("\n") if len(line) > 40} - set(outside.split("\n"))


def open_texts(edition):
    """The lines that a reader sees at first: outside of closed sections and closed blocks."""
    closed, level = set(edition["metadata"]["colab"]["collapsed_sections"]), 99
    for cell in edition["cells"]:
        heading = cell["cell_type"] == "markdown" and re.match("(#+) ", source(cell))
        if heading and len(heading[1]) <= level:
            level = len(heading[1]) if cell["id"] in closed else 99
        elif level < 99:
            continue
        if cell["cell_type"] == "markdown":
            yield from re.sub(r"<details>.*?</details>", "", source(cell), flags=re.DOTALL).split(
                "\n"
            )


def all_else_is_as_its_author_wrote_it(edition, chapter):
    """Lines without a role, a link or a directive stand there as they are, in the same order."""
    markup = r"\{[\w:+-]+\}`|\]\(#|^[:`]{3,}|^\([\w-]+\)=|^:\w+:|^\$\$|^\s*$|<[A-Za-z]"
    wanted = [line for line in prose(chapter).split("\n") if not re.search(markup, line)]
    there = iter(prose(edition).split("\n"))
    for line in wanted:
        if line not in there:
            yield f"it lacks, or has in another place: {line[:80]!r}"
            return


def words_of_links_are_kept(edition, chapter):
    def words(text):
        return re.findall(r"\[([^\[\]]+)\]\(#", without_code(text))

    ours = prose(edition).partition("\n# ")[2].replace(f"]({PAGES}/book/bibliography", "](")
    ours = re.sub(rf"\]\((?:https://{COLAB}|{PAGES})/", "](#", ours)
    ours = re.sub(r"^\[Solution\]\(#.*\)$|\[\([\d.]+\)\]\(#", "", ours, flags=re.MULTILINE)
    theirs = re.sub(r"\{term\}`([^`]+)`", r"[\1](#)", prose(chapter))
    if words(ours) != words(re.sub(r"\{[\w:]+\}`[^`]+`", "", theirs)):
        yield "its links are not those of the chapter"


def links_lead_somewhere(edition, chapter):
    ids = {cell["id"] for cell in edition["cells"]}
    for cell in edition["cells"]:
        if cell["metadata"].get("id") != cell["id"]:
            yield f"Colab does not know the cell {cell['id']} by its id"
    for address in re.findall(r"\]\(([^\s()]*)\)", without_code(prose(edition))):
        place = address.partition("#scrollTo=")[2]
        if address.startswith("#"):
            if place not in ids:
                yield f"nothing has the id in {address}"
        elif COLAB in address:
            name = address.partition("#")[0].partition("/blob/main/colab/")[2]
            if name not in NAMES:
                yield f"no notebook has the address {address}"
            elif place and place not in {cell["id"] for cell in stored("colab", name)["cells"]}:
                yield f"nothing there has the id in {address}"
        elif address.startswith(PAGES):
            page = address.removeprefix(f"{PAGES}/").partition(".html")[0]
            sources = [ROOT / f"{page}.md", ROOT / f"{page}.ipynb"]
            if page != "index" and not any(path.is_file() for path in sources):
                yield f"no page has the address {address}"
        elif not re.match("https?://", address):
            yield f"{address} leads nowhere in Colab"


def numbers_are_counted_by_chapter(edition, chapter):
    number = re.search(r"^# (\d\.\d) ", prose(edition), re.MULTILINE)[1]
    labels = len(re.findall(r"^\$\$ *\([\w-]+\)$", prose(chapter), re.MULTILINE))
    if re.findall(r"\\tag\{(.*)\}", prose(edition)) != [f"{number}.{k + 1}" for k in range(labels)]:
        yield "its equations have other numbers"
    titles = re.findall(r"^:{4}\{exercise\} (.*)$", prose(chapter), re.MULTILINE)
    wanted = [f"Exercise {number}.{k} ({title})" for k, title in enumerate(titles, 1)]
    if re.findall(r"^#+ (Exercise \d.*)$", prose(edition), re.MULTILINE) != wanted:
        yield "its exercises have other numbers or titles"


def the_first_cell_says_where_the_reader_is(edition, chapter):
    first = source(edition["cells"][0])
    at = NAMES.index(next(name for name in NAMES if stored("notebooks", name) is chapter))
    name = NAMES[at].removesuffix(".ipynb")
    wanted = [f"{PAGES}/notebooks/{name}.html"]
    wanted += [f"https://{COLAB}/blob/main/colab/{other}" for other in NAMES[max(at - 1, 0) : at]]
    wanted += [f"https://{COLAB}/blob/main/colab/{other}" for other in NAMES[at + 1 : at + 2]]
    if re.findall(r"\((https:[^)]+)\)", first)[1:] != wanted:
        yield f"the first cell should lead to {wanted}"
    if source(edition["cells"][1]).partition("\n")[0] not in source(chapter["cells"][0]):
        yield "the title does not come second"


CHECKS = [
    no_markup_is_left,
    code_is_that_of_the_chapter,
    folded_code_is_folded,
    answers_are_closed,
    solutions_are_closed,
    all_else_is_as_its_author_wrote_it,
    words_of_links_are_kept,
    links_lead_somewhere,
    numbers_are_counted_by_chapter,
    the_first_cell_says_where_the_reader_is,
]


def test_the_edition_is_that_of_the_chapters():
    colab.main(["check"])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_passes(name, check):
    faults = list(check(stored("colab", name), stored("notebooks", name)))
    assert not faults, "\n".join(faults)


def test_the_folder_is_small():
    sizes = [path.stat().st_size for path in (ROOT / "colab").rglob("*")]
    assert len(sizes) > len(NAMES) and sum(sizes) < MAX_BYTES


# --- each check finds a fault ---------------------------------------------------------------------

EXAMPLE = "2-normalization/1-batch-norm-forward.ipynb"
SAID_BY_A_SOLUTION = (
    "Average over all axes but the last. Vectors of shape (C,) broadcast by themselves. "
    "For (N, C, L), move axis 1 to the end, normalize, and move it back."
)


def replacing(old, new, count=1):
    """Another text in the first Markdown cells that have it."""

    def change(edition):
        cells = [cell for cell in of_type(edition, "markdown") if old in source(cell)]
        assert cells, old
        for cell in cells[:count]:
            cell["source"] = [source(cell).replace(old, new)]

    return change


def with_cell(wanted, **values):
    """Other values in a cell."""

    def change(edition):
        (cell,) = [cell for cell in edition["cells"] if cell["id"] == wanted]
        cell.update(values)

    return change


def opened(edition):
    edition["metadata"]["colab"]["collapsed_sections"].pop()


BAD = [
    (no_markup_is_left, replacing("[[Ioffe and Szegedy, 2015", "{cite:p}`x` [[Ioffe, 2015")),
    (no_markup_is_left, replacing("<details>", ":::{dropdown} Answer")),
    (no_markup_is_left, replacing("## The definition", "(bnf-definition)=\n## The definition")),
    (no_markup_is_left, replacing("\\tag{2.1.1}\n$$", "$$ (eq-bnf-definition)")),
    (code_is_that_of_the_chapter, with_cell("de5cf701", source=["import torch"])),
    (code_is_that_of_the_chapter, lambda edition: edition["cells"].pop(2)),
    (code_is_that_of_the_chapter, with_cell("de5cf701", outputs=[{"name": "stdout"}])),
    (folded_code_is_folded, with_cell("e16379df", metadata={"tags": ["hide-input"]})),
    (answers_are_closed, replacing("<details>", "<details open>")),
    (answers_are_closed, replacing("</summary>\n\n", "</summary>\n")),
    (answers_are_closed, replacing("<summary>Answer", "<summary>Nothing happens")),
    (solutions_are_closed, opened),
    (solutions_are_closed, replacing("# Solution to exercise", "# Solution\n\n$\\mu=4$")),
    (
        solutions_are_closed,
        replacing("## Solutions", f"## Solutions\n\n{SAID_BY_A_SOLUTION}"),
    ),
    (all_else_is_as_its_author_wrote_it, replacing("Each column is a channel", "Each row is")),
    (words_of_links_are_kept, replacing("[notation page]", "[page]")),
    (links_lead_somewhere, replacing("#scrollTo=bnf-bias", "#bnf-bias")),
    (links_lead_somewhere, replacing("#scrollTo=bnf-bias", "#scrollTo=bnf-gone")),
    (links_lead_somewhere, replacing("3-signals-and-gradients.ipynb", "3-signals.ipynb")),
    (links_lead_somewhere, replacing("book/notation.html", "book/notes.html")),
    (links_lead_somewhere, with_cell("bnf-bias", metadata={})),
    (numbers_are_counted_by_chapter, replacing("\\tag{2.1.2}", "\\tag{2.1.3}")),
    (numbers_are_counted_by_chapter, replacing("Exercise 2.1.2 ", "Exercise 2.1.3 ")),
    (the_first_cell_says_where_the_reader_is, replacing("2-batch-norm-backward", "5-toolbox")),
]


@pytest.mark.parametrize("check, change", BAD)
def test_the_check_finds_the_fault(check, change):
    edition = copy.deepcopy(stored("colab", EXAMPLE))
    change(edition)
    assert list(check(edition, stored("notebooks", EXAMPLE)))


def test_there_is_a_bad_example_for_every_check():
    assert {check for check, _ in BAD} == set(CHECKS)


# --- the tool -------------------------------------------------------------------------------------


class SmallBook(colab.Book):
    """The bibliography, and one chapter."""

    def __init__(self):
        self.bibliography = plain_markdown.Bibliography(ROOT / "book" / "references.bib", "")
        self.equations = {}

    def link(self, label, chapter):
        return f"#scrollTo={chapter.places[label]}"


def written(*texts, code=""):
    """The pieces of a small chapter, with a code cell at its end if there is code."""
    chapter = SimpleNamespace(path=ROOT / "small.ipynb", number="2.1", book=SmallBook())
    chapter.places, chapter.equations, chapter.exercises = {}, {}, {}
    for resolved in (False, True):
        writer = pieces.Writer(chapter, resolved)
        for number, text in enumerate(texts):
            writer.add(nbformat.v4.new_markdown_cell(text, id=f"c{number}"))
        if code:
            writer.add(nbformat.v4.new_code_cell(code, id="code"))
    return writer.finished()


def one(text):
    (piece,) = written(text)
    return "\n\n".join(piece.text)


EXERCISE = (
    "::::{exercise} ★ A sum\n:label: ex-a\n\nHow much?\n\n"
    ":::{dropdown} Hint\nAdd $a$.\n\n$$\na\n$$\n:::\n::::"
)
SOLUTION = "```{solution-start} ex-a\n:class: dropdown\n```\nMuch.\n```{solution-end}\n```"


def test_code_and_formulas_stay_and_no_formula_opens_a_tag():
    text = "`{cite:t}` and ``[x](#y)``, $a_{b}`c`$ but $a<b$ and $1<2$, `$`"
    assert one(text) == text.replace("a<b", r"a\lt b")
    listing = "```python\n$$ (eq-x)\n{eq}`eq-x` [x](#y)\n```"
    assert one(listing) == listing


def test_a_citation_has_the_style_of_the_book_and_leads_to_the_paper():
    assert one("{cite:p}`ioffe2015batch,he2016deep` and {cite:t}`he2016deep`, see") == (
        "[[He *et al.*, 2016](https://arxiv.org/abs/1512.03385), "
        "[Ioffe and Szegedy, 2015](https://arxiv.org/abs/1502.03167)] and "
        "He *et al.* [[2016](https://arxiv.org/abs/1512.03385)], see"
    )


def test_sections_and_exercises_have_cells_of_their_own():
    cells = written(f"# T\n\nText\n\n(a)=\n(b)=\n## [S](#b)\n\n{EXERCISE}\n\nMore", SOLUTION)
    assert [(piece.id, "\n\n".join(piece.text)) for piece in cells] == [
        ("c0", "# T\n\nText"),
        ("a", "## [S](#scrollTo=a)"),
        (
            "ex-a",
            "### Exercise 2.1.1 (★ A sum)\n\nHow much?\n\n<details>\n<summary>Hint</summary>\n\n"
            "Add $a$.\n\n$$\na\n$$\n\n</details>\n\n[Solution](#scrollTo=solution-ex-a)",
        ),
        ("c0-4", "---\n\nMore"),
        ("solution-ex-a", "### Solution to exercise 2.1.1 (★ A sum)"),
        ("c1-2", "Much."),
    ]
    assert [piece.closed for piece in cells] == [False] * 4 + [True, False]


@pytest.mark.parametrize(
    "text, words",
    [
        ("a <b>c</b>", "no form for html_inline"),
        ("<div>\na\n</div>", "no form for html_block"),
        (":::{note}\na\n:::", "no form for .*note"),
        ("- a\n\n  :::{dropdown} Answer\n  b\n  :::", "no form for colon_fence"),
        ("- a\n\n  $$\n  b\n  $$ (eq-b)", "no form for math_block_label"),
        ("{doc}`x`", "no form for the role doc"),
        ("{eq}`eq-gone`", "no equation has the label eq-gone"),
        (":::{dropdown} What $a$ is\nb\n:::", "no markup works in a summary"),
        (SOLUTION, "comes before the exercise"),
        (f"{EXERCISE}\n\n{SOLUTION}\n\nMore", "would be folded with it"),
        (f"{EXERCISE}\n\n{SOLUTION}\n\n(x)=\nMore", "would be folded with it"),
        ("[](#b)", "a link without words"),
        ("[t]{.big}", "no form for"),
        ("a {{ b }}", "no form for"),
        ("![a](b.png)", "no form for .*image"),
        ("{cite:t}`nobody2020`", "has no nobody2020"),
        (EXERCISE.replace(":label: ex-a\n", ""), "has no :label:"),
    ],
)
def test_what_has_no_form_is_refused_with_its_place(text, words):
    with pytest.raises(ValueError, match=rf"small.ipynb, cell c0: .*{words}"):
        written(text)


def test_code_after_a_solution_and_headings_that_end_it_are_refused():
    with pytest.raises(ValueError, match="small.ipynb, cell code: code after a solution"):
        written(f"{EXERCISE}\n\n{SOLUTION}", code="1")
    start, end = SOLUTION.split("Much.")
    with pytest.raises(ValueError, match="a heading in a solution would end it"):
        written(f"{EXERCISE}\n\n{start}## Part\n\nMuch.{end}")


def test_code_and_formulas_with_brackets_stay():
    assert one("`hooks[name]()` and $f[x]()$") == "`hooks[name]()` and $f[x]()$"


def test_a_label_that_nothing_has_is_refused():
    book = colab.Book()
    with pytest.raises(ValueError, match="nothing has the label gone"):
        book.link("gone", book.chapters[0])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the edition of three small chapters."""
    cell = nbformat.v4.new_code_cell("1", id="one")
    wanted = {
        tmp_path / "1" / f"{name}.ipynb": nbformat.v4.new_notebook(
            cells=[cell], metadata={"name": name}
        )
        for name in ("a", "b", "c")
    }
    monkeypatch.setattr(colab, "edition", lambda: wanted)
    monkeypatch.setattr(colab, "EDITION", tmp_path)
    monkeypatch.setattr(colab, "ROOT", tmp_path)
    colab.main([])
    colab.main(["check"])
    return tmp_path / "1"


def test_a_changed_and_a_missing_notebook_are_found_and_written(folder):
    (folder / "a.ipynb").write_text((folder / "b.ipynb").read_text())
    (folder / "b.ipynb").unlink()
    with pytest.raises(SystemExit, match=r": 1/a.ipynb, 1/b.ipynb; run make colab"):
        colab.main(["check"])
    colab.main([])
    colab.main(["check"])


def test_a_notebook_of_no_chapter_is_named_and_kept(folder):
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "a-checkpoint.ipynb").write_text("{}")
    colab.main(["check"])
    (folder / "mine.ipynb").write_text("{}")
    with pytest.raises(SystemExit, match=r"of no chapter: 1/mine.ipynb"):
        colab.main(["check"])
    colab.main([])
    assert (folder / "mine.ipynb").read_text() == "{}"


def test_the_work_of_a_reader_is_not_overwritten(folder):
    path = folder / "a.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].execution_count = 1
    nbformat.write(notebook, path)
    (folder / "b.ipynb").unlink()
    with pytest.raises(SystemExit, match=r"work in 1/a.ipynb, .* Nothing was written"):
        colab.main([])
    assert nbformat.read(path, as_version=4) == notebook and not (folder / "b.ipynb").exists()


# --- another address ------------------------------------------------------------------------------


def prose_by_path(edition):
    return {
        path: [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        for path, notebook in edition.items()
    }


def test_a_fork_gets_its_own_links():
    url = "https://github.com/A-University/deep-nets"
    before, after = prose_by_path(colab.edition()), prose_by_path(colab.edition(url))
    assert before.keys() == after.keys()
    pairs = list(zip(repository.forms(URL), repository.forms(url)))
    for path, texts in before.items():
        for old, new in pairs:
            texts = [text.replace(old, new) for text in texts]
        assert texts == after[path] and texts != before[path]


def test_where_colab_opens_nothing_links_lead_to_files_and_pages_are_only_named():
    for path, texts in prose_by_path(colab.edition("https://git.example.edu/a/b")).items():
        text = "\n\n".join(texts)
        assert "colab.research" not in text and PAGES not in text and "]()" not in text
        files = re.findall(r"\]\((\.\./[^#)]+)", text)
        assert files and all((path.parent / name).resolve().is_file() for name in files)
