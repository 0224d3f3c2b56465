"""Chapters are executed several at a time before Sphinx asks for them, once."""

import contextlib
import types

import nbformat
import pytest

import build_book
import executed
import notebooks as tool


def notebook(path, code):
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)], metadata=tool.METADATA),
        path,
    )
    return path


def test_the_cache_gets_what_succeeds_and_nothing_is_executed_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(build_book, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(executed, "ROOT", tmp_path)
    monkeypatch.setattr(executed, "EXECUTED", tmp_path / "_build" / "executed")
    (tmp_path / "requirements.txt").write_text("")
    over_files = (
        "from ipykernel.connect import get_connection_info\n"
        "assert get_connection_info(unpack=True)['transport'] == 'ipc'\n"
    )
    good = notebook(tmp_path / "good.ipynb", over_files + "open('ran', 'a').write('x')\n6 * 7")
    bad = notebook(tmp_path / "bad.ipynb", "1 / 0")
    assert build_book.execute_missing([good, bad], jobs=2) == 2
    assert build_book.execute_missing([good, bad], jobs=2) == 1  # the one that failed
    build_book.fill_cache([good, bad])
    cache = build_book.get_cache(tmp_path / "_build" / ".jupyter_cache")
    _, merged = cache.merge_match_into_notebook(nbformat.read(good, as_version=4))
    assert merged.cells[0].outputs[0].data["text/plain"] == "42"
    assert (tmp_path / "ran").read_text() == "x"  # once, though asked twice
    with pytest.raises(KeyError):  # left for Sphinx, which says what is wrong
        cache.match_cache_notebook(nbformat.read(bad, as_version=4))


@pytest.fixture
def rendering(tmp_path, monkeypatch):
    """A book in which Sphinx is a function; ``rendering(outcome)`` says what Sphinx found."""
    monkeypatch.setattr(build_book, "ROOT", tmp_path)
    monkeypatch.setattr(build_book, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(executed, "ROOT", tmp_path)
    monkeypatch.setattr(executed, "EXECUTED", tmp_path / "_build" / "executed")
    (tmp_path / "_build").mkdir()
    (tmp_path / "_toc.yml").write_text("root: a")

    def render(code=0, interrupt=False):
        kept = []

        def sphinx(*_, **__):
            pages = tmp_path / "_build" / ".doctrees"
            kept.append(pages.is_dir())
            pages.mkdir(exist_ok=True)
            if interrupt:
                raise KeyboardInterrupt
            return types.SimpleNamespace(returncode=code)

        monkeypatch.setattr(build_book.subprocess, "run", sphinx)
        with contextlib.suppress(KeyboardInterrupt):
            assert build_book.render() == (code == 0)
        return kept[0]

    return render


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_sphinx_read_before_serves_after_a_success(rendering):
    assert [rendering(), rendering()] == [False, True]


@pytest.mark.parametrize("failure", [{"code": 1}, {"interrupt": True}])
def test_after_a_failure_or_an_interruption_every_page_is_read_again(rendering, failure):
    assert [rendering(), rendering(**failure), rendering(), rendering()] == [
        False,
        True,
        False,  # or the warnings of unchanged pages would be lost
        True,
    ]


@pytest.mark.parametrize(
    "name", ["_toc.yml", "_config.yml", "book/static/css/a.css", "_build/executed/1/a.ipynb"]
)
def test_what_sphinx_does_not_watch_makes_it_read_again(rendering, tmp_path, name):
    assert [rendering(), rendering()] == [False, True]
    write(tmp_path / name, "changed")
    assert [rendering(), rendering()] == [False, True]
