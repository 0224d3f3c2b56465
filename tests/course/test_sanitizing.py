"""What the markers' browsers get: nothing that runs, and everything that was said."""

import base64
import copy
import io
import json
import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from hostile_markup import ALL, DO
from hypothesis import given
from hypothesis import strategies as st
from nbconvert.filters.markdown_mistune import markdown2html_mistune
from PIL import Image

from resnorm.course.grading.submission import restore
from resnorm.course.markup import ELEMENTS, MAX_MARKDOWN, safe_markdown, safe_name
from resnorm.course.sandbox.incidents import Incident
from resnorm.course.sanitizing import sanitized

v4 = nbformat.v4
#: The language of what is written: no character of a text can be read as markup.
TEXT = r"(?:[^\W_]|[ .,]|&#\d+;)*"
PICTURE = r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/]+={0,2}"
VALUE = rf'"(?:{TEXT}|{PICTURE}|_blank|table-bordered table-condensed)"'
NAME = r"(?:href|title|alt|src|width|height|start|colspan|rowspan|class|target|rel)"
TAG = rf"</?(?:{'|'.join(sorted(ELEMENTS))})(?: {NAME}={VALUE})*>"
LANGUAGE = re.compile(rf"<div>(?:{TAG}|{TEXT})*</div>")
#: Markdown without a character that opens anything in any dialect.
HARMLESS = re.compile(r"[^<>&\[\]`~$\\{}|@#^]*")


def picture(kind="PNG", size=(3, 2)):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def is_safe(markdown):
    if HARMLESS.fullmatch(markdown):
        return True
    # One alternative per character, so that long texts do not make the expression slow.
    rest = re.sub(rf"{TAG}|&#\d+;|[^\W_]|[ .,]", "", markdown)
    return rest == "" and markdown.startswith("<div>") and markdown.endswith("</div>")


def shown(markdown):
    """The page that nbconvert makes of Markdown."""
    return BeautifulSoup(markdown2html_mistune(markdown), "html.parser")


@pytest.mark.parametrize("name", ALL)
def test_what_is_left_of_an_attack_is_text(name):
    safe = safe_markdown(ALL[name])
    assert is_safe(safe)
    page = shown(safe)
    assert {tag.name for tag in page.find_all()} <= ELEMENTS
    allowed = {"href", "title", "alt", "src", "class", "target", "rel"}
    assert {key for tag in page.find_all() for key in tag.attrs} <= allowed
    assert all(link["href"].startswith("https://") for link in page.find_all("a", href=True))


PIECES = st.sampled_from(
    [
        *"<>&\"'`~$\\{}[]()|@#^!:;/*_-=\n\t ",
        *ELEMENTS,
        "<img src=x onerror=a>",
        "</",
        "&#60;",
        "&lt;",
    ]
    + [
        "javascript:",
        "data:image/png;base64,AA==",
        "attachment:a",
        "<!--",
        "-->",
        "\n\n",
        "```",
        "$$",
    ]
    + ["\\begin{a}", "\\end{a}", "](", "<svg>", "<style>", "<math>", "href=", "\x00", "\ud800", "x"]
)


@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60))
def test_whatever_is_written_stays_in_the_language_also_when_it_is_sanitized_again(markdown):
    safe = safe_markdown(markdown, {"a": f"data:image/png;base64,{picture()}"})
    assert is_safe(safe)
    assert is_safe(safe_markdown(safe))
    assert {tag.name for tag in shown(safe).find_all()} <= ELEMENTS


ORDINARY = """\
# Why it works

Both values become **plus** and *minus* one, since $x_1<x_2$ and `a_1 < b` ~~never~~:

$$\\begin{aligned} y &= \\frac{x-\\mu}{\\sigma} \\\\ &\\le 1 \\end{aligned}$$

1. first
2. second
   - nested

| a | b |
|---|--:|
| 1 | `x_y`, $z_2$ |
| 3 | [a page](https://example.org/a_b?c=1&d=2 "its title") |

> quoted

```python
def f(x):
    return x < 1 and "y"
```

Line<br>break, H<sub>2</sub>O, ü, 漢字, \U0001f600 &amp; &copy;
"""


def test_an_ordinary_answer_looks_the_same():
    safe = safe_markdown(ORDINARY)
    before, after = shown(ORDINARY), shown(safe)
    assert after.get_text(" ").split() == before.get_text(" ").replace("¶", " ").split()
    for element in (
        "strong",
        "em",
        "del",
        "code",
        "pre",
        "li",
        "td",
        "th",
        "h1",
        "blockquote",
        "sub",
    ):
        assert len(after.find_all(element)) == len(before.find_all(element)) > 0, element
    assert after.find("a")["href"] == "https://example.org/a_b?c=1&d=2"
    assert after.find("span", class_="k").get_text() == "def"
    assert "$x_1<x_2$" in after.get_text() and "\\begin{aligned} y &=" in after.get_text()
    assert safe_markdown(safe) == safe


def test_a_name_has_no_markup():
    assert "<" not in safe_name(ALL["image"])
    assert safe_name("Zoë O'Hara-李 & Søn") == "Zoë O'Hara-李 & Søn"


def test_an_incident_gives_the_terminal_no_commands():
    incident = Incident(0, "reach", "open('\x1b]52;c;YQ==\x07\x1b[2J\ud83d')\r\nä")
    assert incident.message == "open('?]52;c;YQ==??[2J?')?\nä"


def test_plain_words_stay_as_they_are_so_that_nbgrader_knows_an_untouched_answer():
    for untouched in ("*Your answer here.*", "", "It is (about) 3.5, isn't it?\n\n- yes\n- no"):
        assert safe_markdown(untouched) == untouched


def test_commands_of_mathjax_that_reach_beyond_a_formula_are_taken_apart():
    reach = "$\\href{javascript:a}{b} \\\\url{a} \\hr\x00ef \\require{html} \\cssId{a}{b}$ \\style"
    page = shown(safe_markdown(reach)).get_text()
    assert not re.search(r"\\(href|url|require|cssId|style)", page)
    assert "\\mathtt{href}{javascript:a}{b}" in page
    kept = "$\\hrefs \\theta \\classes$ and `\\href{a}{b}`"
    assert shown(safe_markdown(kept)).get_text().strip() == kept.replace("`", "")


def test_what_cannot_be_rendered_is_shown_as_typed():
    for text in ("a < b\n" * MAX_MARKDOWN, "<div>" * 500 + "a<b"):
        page = shown(safe_markdown(text))
        assert page.get_text().rstrip("\n") == text.rstrip("\n") and page.find("pre")


def source_notebook():
    cells = [
        v4.new_markdown_cell("# Ours with <b>markup</b> and ![a](ours.png)"),
        named(v4.new_code_cell("x = 1"), "code", solution=True, grade=False),
        named(v4.new_code_cell("assert x"), "test", solution=False, grade=True, points=1),
        named(v4.new_markdown_cell("The answer"), "written", solution=True, grade=True, points=3),
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "resnorm": {"a": 1}}
    return nbformat.from_dict(v4.new_notebook(cells=cells, metadata=metadata))


def named(cell, name, **about):
    cell.metadata["nbgrader"] = {"grade_id": name, "schema_version": 3} | about
    return cell


def answered(markdown="", outputs=(), own=(), **about):
    """A graded notebook with this written answer, these outputs and more cells of the student's."""
    source = source_notebook()
    submitted = copy.deepcopy(source)
    submitted.cells[3].source = markdown
    submitted.cells += own
    notebook, _ = restore(submitted, source)
    notebook.cells[1].outputs = list(outputs)
    notebook.cells[3].update(about)
    return sanitized(nbformat.from_dict(notebook), source)


def test_pictures_are_shown_if_they_are_pictures():
    png, jpeg = picture(), picture("JPEG")
    attachments = {
        "a.png": {"image/png": png},
        "my b.jpg": {"image/jpeg": jpeg},
        "svg": {"image/svg+xml": "PHN2Zy8+", "text/html": "<b>"},
        "wrong": {"image/png": jpeg},
        "quote": {"image/png": f'{png}" onerror="{DO}'},
        "odd": "no mapping",
        "odder": {"image/png": {"a": 1}},
    }
    markdown = (
        "![one](attachment:a.png) ![two](attachment:my%20b.jpg) ![s](attachment:svg)\n\n"
        "![w](attachment:wrong) ![q](attachment:quote) "
        "![o](attachment:odd) ![p](attachment:odder)\n\n"
        f"![colab](data:image/png;base64,{png}) <img src='attachment:a.png' width=30>\n\n"
        "![far](https://far.example/a.png) ![near](/formgrader?path=submitted/s1/A)"
    )
    cell = answered(markdown, attachments=attachments).cells[3]
    assert "attachments" not in cell
    page = shown(cell.source)
    assert [image["src"].partition(",")[2] for image in page.find_all("img")] == [
        png,
        jpeg,
        png,
        png,
    ]
    assert page.find_all("img")[3]["width"] == "30"
    text = page.get_text()
    assert "[picture not shown: far https://far.example/a.png]" in text
    assert text.count("[picture not shown") == 7
    again = answered(cell.source).cells[3].source
    assert again == cell.source


def test_pictures_that_would_fill_the_browsers_memory_are_not_shown():
    huge = picture(size=(9000, 6000))
    page = shown(answered(f"![a](data:image/png;base64,{huge}) " * 3).cells[3].source)
    assert len(page.find_all("img")) == 1


def test_outputs_keep_text_and_pictures_and_nothing_else():
    png = picture()
    new = nbformat.from_dict
    outputs = [
        {
            "output_type": "stream",
            "name": "stdout",
            "text": f"a<b \x1b[31mred\x1b[0m {ALL['image']}",
        },
        {"output_type": "stream", "name": "<b>", "text": ["a", "b"]},
        {"output_type": "error", "ename": "E<b>", "evalue": "\ud800", "traceback": ["<b>", 3]},
        {
            "output_type": "display_data",
            "metadata": {
                "image/png": {"width": f'1" onload="{DO}'},
                "filenames": {"image/png": "x"},
            },
            "data": {
                "text/html": ALL["script"],
                "application/javascript": DO,
                "image/svg+xml": ALL["svg"],
                "text/latex": "$a$",
                "text/markdown": ALL["link"],
                "text/vnd.mermaid": "graph",
                "application/vnd.jupyter.widget-view+json": {"model_id": "a"},
                "application/vnd.bokehjs_exec.v0+json": "",
                "image/png": png,
                "text/plain": "<Figure>",
            },
        },
        {"output_type": "display_data", "data": {"image/png": f'{png}" onerror="{DO}'}},
        {
            "output_type": "execute_result",
            "execution_count": ALL["image"],
            "data": {"text/plain": "3", "image/png": {"a": 1}},
            "metadata": {},
        },
        {"output_type": "execute_result", "data": "odd"},
        {"output_type": "<script>"},
    ]
    notebook = answered("", [new(output) for output in outputs])
    nbformat.validate(notebook)
    json.dumps(notebook).encode()
    kept = notebook.cells[1].outputs
    assert [output.output_type for output in kept] == [
        "stream", "stream", "error", "display_data", "execute_result"
    ]  # fmt: skip
    assert kept[0].text == outputs[0]["text"] and kept[1].name == "stdout" and kept[1].text == "ab"
    assert kept[2].traceback == ["<b>", ""] and kept[2].evalue == "\ufffd"
    assert dict(kept[3].data) == {"image/png": png, "text/plain": "<Figure>"}
    assert not kept[3].metadata and kept[4].execution_count is None


def test_metadata_are_the_instructors():
    own = [
        v4.new_raw_cell(ALL["image"]),
        v4.new_markdown_cell(ALL["script"]),
        v4.new_code_cell("y=2"),
    ]
    own[0].metadata["raw_mimetype"] = "text/html"
    own[1].metadata["tags"] = ['"><script>']
    source = source_notebook()
    notebook, _ = restore(source, source)
    notebook.cells += copy.deepcopy(own)
    notebook = nbformat.from_dict(notebook)
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    notebook.metadata["title"] = "</title><script>"
    notebook.metadata["kernelspec"] = {"name": '"><script>'}
    notebook.cells[1].metadata["nbgrader"]["points"] = ALL["image"]
    notebook.cells[1].metadata["alt"] = ALL["image"]
    notebook.cells[1].execution_count = ALL["image"]
    notebook.cells[1].id = '"><script>'
    made = sanitized(notebook, source)
    assert dict(made.metadata) == dict(source.metadata)
    assert [dict(cell.metadata) for cell in made.cells[:4]] == [
        dict(c.metadata) for c in source.cells
    ]
    assert all(not cell.metadata for cell in made.cells[4:])
    assert [cell.cell_type for cell in made.cells[4:]] == ["markdown", "markdown", "code"]
    assert made.cells[0].source == source.cells[0].source
    assert "script" not in json.dumps([made.metadata, [cell.id for cell in made.cells]])
    assert all(is_safe(cell.source) for cell in made.cells[4:6])
    assert made.cells[1].execution_count is None
    nbformat.validate(made)


def test_many_long_cells_are_shown_without_being_rendered():
    own = [v4.new_markdown_cell("<b>a</b>" + "~~a " * 4000) for _ in range(40)]
    copied = sanitized(v4.new_notebook(cells=own), source_notebook())
    sources = [cell.source for cell in copied.cells]
    assert all(map(is_safe, sources))
    assert sources[0].startswith("<div><p><b>") and sources[-1].startswith("<div><pre>")
