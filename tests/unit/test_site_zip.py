"""The zip of the site: complete, the same for the same pages, and clear where there is no book."""

import os
import zipfile

import pytest

import site_zip


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "html"
    (folder / "_static").mkdir(parents=True)
    (folder / "index.html").write_text("<a href='_static/a.css'>a</a>" * 99)
    (folder / "_static" / "a.css").write_text("a {}")
    (folder / ".buildinfo").write_text("only for the next build")
    return folder


def test_the_same_pages_give_the_same_zip(site, tmp_path):
    assert site_zip.pack(site, tmp_path / "one.zip") == 2
    for path in site.rglob("*"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o700)
    site_zip.pack(site, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    (site / "index.html").write_text("other")
    site_zip.pack(site, tmp_path / "three.zip")
    assert (tmp_path / "one.zip").read_bytes() != (tmp_path / "three.zip").read_bytes()


def test_unzipping_gives_the_pages_in_one_folder(site, tmp_path):
    site_zip.pack(site, tmp_path / "site.zip")
    with zipfile.ZipFile(tmp_path / "site.zip") as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "out")
    folder = tmp_path / "out" / site_zip.FOLDER
    found = {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
    assert found == {name: (site / name).read_bytes() for name in ("index.html", "_static/a.css")}


def test_without_a_book_there_is_no_zip(tmp_path, monkeypatch):
    monkeypatch.setattr(site_zip, "HTML", tmp_path)
    monkeypatch.setattr(site_zip, "ZIP", tmp_path / "site.zip")
    with pytest.raises(SystemExit, match="the book is not built: run make book first"):
        site_zip.main([])
    assert not list(tmp_path.iterdir())
