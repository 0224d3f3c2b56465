"""PDFs: which page is meant, and what is said where a book or a browser is missing."""

import pytest

import pdf

TOC = """root: book/index
parts:
  - chapters:
      - file: notebooks/2-x/2-batch-norm-backward
      - file: book/glossary
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    for name, title in (
        ("book/index", "Norms &amp; skips: n &lt; 3"),
        ("notebooks/2-x/2-batch-norm-backward", "2.2 Batch normalization, backward"),
        ("book/glossary", "Glossary"),
    ):
        path = tmp_path / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'<meta property="og:title" content="{title}"><div class="x solution ">')
    (tmp_path / "_toc.yml").write_text(TOC)
    monkeypatch.setattr(pdf, "HTML", tmp_path)
    monkeypatch.setattr(pdf, "ROOT", tmp_path)
    return tmp_path


def test_pages_have_readable_names(site):
    pages = pdf.sources(site, site / "_toc.yml")
    assert [page.name for page in pages] == ["front-page", "2.2-batch-norm-backward", "glossary"]
    assert [page.title for page in pages][0] == "Norms & skips: n < 3"


@pytest.mark.parametrize("word, names", [("2.2", 1), ("backward", 1), ("2.", 0), ("gloss", 1)])
def test_a_word_means_a_page(site, word, names):
    pages = pdf.sources(site, site / "_toc.yml")
    assert sum(page.is_meant_by(word) for page in pages) == names


def test_a_page_that_is_not_there_is_refused(site, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        pdf.main(["2.3"])
    assert stopped.value.code == 2 and "no page 2.3" in capsys.readouterr().err


def test_without_a_book_there_is_no_pdf(site):
    (site / "book/glossary.html").unlink()
    with pytest.raises(SystemExit, match="glossary.html is not built: run make book first"):
        pdf.main([])


def test_without_a_browser_there_is_no_pdf(site, monkeypatch):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    monkeypatch.setattr(pdf, "read_address", lambda root: "https://github.com/a/b")
    with pytest.raises(SystemExit, match="there is no browser: install Chromium or Chrome"):
        pdf.main(["2.2"])
    assert not (site / "_build").exists()
