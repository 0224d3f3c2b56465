"""A page that readers could not use is refused, with its name and what to do about it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [
    str(Path(sys.executable).with_name("jupyter-book")),
    "build",
    ".",
    "-n",
    "-W",
    "--keep-going",
    "-q",
]


@pytest.fixture
def tiny_book(tmp_path):
    """The real configuration, style and bibliography around a single notebook."""

    def build(code="1 + 1", text="# A page"):
        shutil.copytree(
            ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("*.md", "__pycache__")
        )
        shutil.copy(ROOT / "_config.yml", tmp_path)
        shutil.copy(ROOT / "pyproject.toml", tmp_path)  # its version stands on every page
        (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: page\n")
        cells = [nbformat.v4.new_markdown_cell(text), nbformat.v4.new_code_cell(code)]
        metadata = {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        }
        nbformat.write(
            nbformat.v4.new_notebook(cells=cells, metadata=metadata), tmp_path / "page.ipynb"
        )
        result = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True, timeout=240)
        return result.returncode, re.sub(r"\x1b\[[\d;]*m", "", result.stdout + result.stderr)

    return build


SHOW = """\
import matplotlib.pyplot as plt
from resnorm import figures
figures.use_style()
fig, ax = plt.subplots()
"""


def test_a_good_page_is_built(tiny_book, tmp_path):
    alt = "An empty pair of axes, for testing"
    code, said = tiny_book(
        f"{SHOW}figures.show(fig, alt='{alt}')",
        "# A page\n\nSee {cite:t}`he2016deep`.\n\n```{bibliography}\n```",
    )
    assert code == 0, said
    assert f'alt="{alt}"' in (tmp_path / "_build" / "html" / "page.html").read_text("utf-8")


def test_a_figure_without_alternative_text_is_refused(tiny_book):
    code, said = tiny_book(
        "from IPython.display import display\nimport matplotlib.pyplot as plt\n"
        "fig, ax = plt.subplots()\nplt.close(fig)\ndisplay(fig)"
    )
    assert code != 0
    (line,) = [line for line in said.splitlines() if "alternative text" in line]
    assert "page.ipynb" in line and "figures.show(fig, alt=" in line


def test_a_citation_that_does_not_resolve_is_refused(tiny_book):
    # tests/unit/test_references.py names the remedy; the builder must refuse it, too
    code, said = tiny_book(
        text="# A page\n\n{cite:t}`he2016deep` and {cite:t}`nobody1999nothing`."
        "\n\n```{bibliography}\n```"
    )
    assert code != 0
    (line,) = [
        line for line in said.splitlines() if "nobody1999nothing" in line and "WARNING" in line
    ]
    assert "page.ipynb" in line and "bibtex key" in line


def test_a_cross_reference_to_nowhere_is_refused(tiny_book):
    code, said = tiny_book(text="# A page\n\nSee [there](#no-such-label).")
    assert code != 0
    assert any("page.ipynb" in line and "no-such-label" in line for line in said.splitlines())


def test_a_cell_that_fails_is_refused(tiny_book, tmp_path):
    code, said = tiny_book("1 / 0")
    assert code != 0
    (report,) = re.findall(r"page\.ipynb.*?saved in: (\S+\.err\.log)", said, re.DOTALL)
    assert "ZeroDivisionError" in (tmp_path / report).read_text("utf-8")


FIGURE = """\
# A page

```{computing} normalize
:alt: Six points that can be dragged.

Drag *one*.
```
"""


def test_figures_that_compute_stand_in_text_and_output_and_share_a_library(tiny_book, tmp_path):
    code, said = tiny_book(
        "from resnorm import figures\n"
        "figures.compute('bowl', alt='A bowl with a path into it', caption='It descends.')",
        FIGURE,
    )
    assert code == 0, said
    page = (tmp_path / "_build/html/page.html").read_text()
    assert re.findall(r'<div class="rnc" data-figure="(\w+)">', page) == ["normalize", "bowl"]
    assert page.count('<style class="rnc-shared">') == 1
    assert page.count('<script class="rnc-shared">') == 3  # the library and two figures
    assert page.count("window.resnormFigures = {") == 1
    captions = re.findall(
        r'<p class="rn-caption"><a [^>]*href="#(.*?)" [^>]*>(.*?)</a> (.*?)</p>', page
    )
    assert captions == [
        ("figure-1", "Figure 1.", "Drag <em>one</em>."),
        ("figure-2", "Figure 2.", "It descends."),
    ]
    assert re.findall(r'<div class="cell_output [^>]*id="(figure-\d)">', page) == [
        "figure-1",
        "figure-2",
    ]


def test_a_caption_of_a_figure_that_computes_is_one_paragraph(tiny_book):
    code, said = tiny_book(text=FIGURE.replace("Drag *one*.", "Drag *one*.\n\nThen another."))
    assert code != 0 and "must be one paragraph" in said


def test_a_figure_that_computes_without_alternative_text_is_refused(tiny_book):
    code, said = tiny_book(text=FIGURE.replace(":alt: Six points that can be dragged.\n", ""))
    assert code != 0 and "needs alternative text" in said
