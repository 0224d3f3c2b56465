"""Chapters are executed several at a time before Sphinx asks for them, once."""

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


def test_a_change_below_a_folder_is_seen_once(tmp_path, monkeypatch):
    monkeypatch.setattr(build_book, "ROOT", tmp_path)
    monkeypatch.setattr(build_book, "BUILD", tmp_path / "_build")
    style = tmp_path / "book" / "static" / "css" / "a.css"
    style.parent.mkdir(parents=True)
    style.write_text("a {}")
    (tmp_path / "pins.txt").write_text("x==1")

    def ask():
        return build_book.changed("look", "book/static", "pins.txt")

    assert [ask(), ask()] == [True, False]
    for path in (style, tmp_path / "pins.txt"):
        path.write_text("b {}")
        assert [ask(), ask()] == [True, False]
    style.rename(style.with_name("b.css"))
    assert [ask(), ask()] == [True, False]
