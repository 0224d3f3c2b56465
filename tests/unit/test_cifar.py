"""CIFAR-10 from an archive, a folder, a download: damaged, cut short, and on a full disk."""

import hashlib
import http.server
import os
import pickle
import socket
import ssl
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resnorm import data
from resnorm.data import cifar, cifar_archive
from resnorm.data.download import download


def make_folder(root, per_class=3, suffix="png", skip=None):
    rng = np.random.default_rng(0)
    for part, count in (("train", per_class), ("test", 1)):
        for name in cifar.CLASSES:
            if name == skip:
                continue
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
                    folder / f"{i:04d}.{suffix}"
                )
    return root


# --- folder --------------------------------------------------------------------------------------


def test_a_folder_becomes_tensors_in_a_fixed_order(tmp_path):
    found = data.cifar10(make_folder(tmp_path))
    assert found.train_images.shape == (30, 3, 32, 32) and found.train_images.dtype == torch.uint8
    assert found.test_labels.tolist() == list(range(10)) and found.source == "CIFAR-10 (folder)"
    original = np.asarray(Image.open(tmp_path / "train" / "bird" / "0001.png"))
    assert np.array_equal(found.train_images[2 * 3 + 1].permute(1, 2, 0).numpy(), original)


def test_the_cache_is_read_and_a_broken_one_made_again(tmp_path, monkeypatch):
    first = data.cifar10(make_folder(tmp_path, suffix="jpg"))
    assert first.source == "CIFAR-10 (JPEG copy)"
    kept = tmp_path / "resnorm-cifar10-folder.pt"
    with monkeypatch.context() as patch:
        patch.setattr(cifar, "read_image_folder", lambda *_, **__: pytest.fail("read again"))
        again = data.cifar10(tmp_path)
    assert torch.equal(again.train_images, first.train_images) and again.source == first.source
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="made again"):
        assert torch.equal(data.cifar10(tmp_path).train_images, first.train_images)
    assert data.cifar10(tmp_path).train_labels.shape == (30,)  # whole once more


def test_a_full_disk_costs_the_cache_and_nothing_else(tmp_path, monkeypatch):
    make_folder(tmp_path)

    def full(value, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert len(data.cifar10(tmp_path).train_images) == 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test", "train"]


def refuse_to_write(folder, monkeypatch):
    """As root, permissions stop nothing: say for one folder what a read-only file system says."""

    def refusing(function):
        def call(path, *rest, **options):
            if folder in (Path(path), *Path(path).parents):
                raise OSError(30, "Read-only file system", str(path))
            return function(path, *rest, **options)

        return call

    def save(value, path):
        raise RuntimeError(f"Parent directory {path.parent} cannot be written to")

    monkeypatch.setattr(torch, "save", save)
    monkeypatch.setattr(Path, "unlink", refusing(Path.unlink))
    monkeypatch.setattr(os, "mkdir", refusing(os.mkdir))
    monkeypatch.setattr(os, "replace", refusing(os.replace))


def test_a_read_only_folder_costs_the_cache_and_nothing_else(tmp_path, monkeypatch):
    make_folder(tmp_path)
    refuse_to_write(tmp_path, monkeypatch)
    with pytest.warns(UserWarning, match="could not write .* the images are used all the same"):
        assert len(data.cifar10(tmp_path).train_images) == 30


def test_nine_classes_a_broken_image_and_a_large_one_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"train/ must hold .* missing: frog"):
        data.cifar10(make_folder(tmp_path / "nine", skip="frog"))
    root = make_folder(tmp_path / "broken")
    (root / "train" / "cat" / "0001.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"train/cat/0001.png cannot be read"):
        data.cifar10(root)
    Image.new("RGB", (48, 32)).save(root / "train" / "cat" / "0001.png")
    with pytest.raises(ValueError, match="0001.png is 48 x 32; it must be 32 x 32"):
        data.cifar10(root)
    assert not list(root.glob("*.pt*"))


def test_nothing_there_names_the_choices(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"cifar-10-python.tar.gz .*train/<class>/.*download=True.*synthetic",
    ):
        data.cifar10(tmp_path)


# --- splits --------------------------------------------------------------------------------------


def make_tensors(per_class=600):
    g = torch.Generator().manual_seed(1)
    labels = torch.arange(10).repeat(per_class)
    images = torch.randint(0, 256, (len(labels), 3, 32, 32), generator=g, dtype=torch.uint8)
    return cifar.Cifar10(images, labels, images[:20], labels[:20], "test")


def test_the_validation_split_is_fixed_balanced_and_disjoint():
    made = make_tensors()
    indices = made.validation_indices()
    assert torch.equal(indices, made.validation_indices()) and len(indices) == 5000
    assert torch.bincount(made.train_labels[indices]).tolist() == [500] * 10
    split = made.split()
    assert (
        len(split.train_labels) == 1000
        and len(split.test_labels) == 5000
        and split.source == "test, validation split"
    )
    final = made.split("test")
    assert len(final.train_labels) == 6000 and len(final.test_labels) == 20
    with pytest.raises(ValueError, match="'validation' or 'test'"):
        made.split("train")
    with pytest.raises(ValueError, match="airplane has 400"):
        make_tensors(400).validation_indices()


def test_standardize_maps_the_mean_color_to_zero():
    mean = (torch.tensor(cifar.MEAN) * 255).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert cifar.standardize(mean.round().to(torch.uint8)).abs().max() < 0.01


# --- archive -------------------------------------------------------------------------------------


def make_archive(path):
    """Make the official layout, two images per file; return the checksums of archive and files."""
    rng = np.random.default_rng(1)
    folder = path.parent / "made" / cifar_archive.FOLDER
    folder.mkdir(parents=True)
    sums = {}
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for name in names:
        content = {"data": rng.integers(0, 256, (2, 3072), dtype=np.uint8), "labels": [3, 7]}
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(cifar.CLASSES)}))
    sums["batches.meta"] = hashlib.md5((folder / "batches.meta").read_bytes()).hexdigest()
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, cifar_archive.FOLDER)
    return hashlib.md5(path.read_bytes()).hexdigest(), sums


@pytest.fixture
def archive(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    source = tmp_path / "served" / cifar_archive.ARCHIVE
    source.parent.mkdir()
    md5, sums = make_archive(source)
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5)
    monkeypatch.setattr(
        CIFAR10, "train_list", [[name, sums[name]] for name in sums if name.startswith("data")]
    )
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    return source


def test_the_official_archive_is_unpacked_and_read(tmp_path, archive):
    root = tmp_path / "root"
    root.mkdir()
    (root / cifar_archive.ARCHIVE).write_bytes(archive.read_bytes())
    found = data.cifar10(root)
    assert (
        found.train_images.shape == (10, 3, 32, 32)
        and found.test_labels.tolist() == [3, 7]
        and found.source == "CIFAR-10"
    )
    (root / "resnorm-cifar10-official.pt").unlink()
    (root / cifar_archive.FOLDER / "data_batch_2").write_bytes(b"damaged")
    with pytest.raises(ConnectionError, match="damaged"):
        data.cifar10(root)


def test_an_archive_in_a_read_only_folder_is_read_all_the_same(tmp_path, archive, monkeypatch):
    refuse_to_write(archive.parent, monkeypatch)
    for cache in (False, True):
        with pytest.warns(UserWarning, match="used all the same") as caught:
            found = data.cifar10(archive.parent, cache=cache)
        assert "could not unpack" in str(caught[0].message) and len(caught) == 1 + cache
        assert found.train_images.shape == (10, 3, 32, 32) and found.source == "CIFAR-10"
    assert set(names(archive.parent)) == {cifar_archive.ARCHIVE, "made"}


def test_an_archive_whose_unpacking_was_interrupted_is_unpacked_again(
    tmp_path, archive, monkeypatch
):
    from torchvision.datasets import utils

    def unpack_half(source, target):
        (Path(target) / cifar_archive.FOLDER).mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(utils, "extract_archive", unpack_half)
        with pytest.raises(KeyboardInterrupt):
            data.cifar10(archive.parent)
    assert set(names(archive.parent)) == {cifar_archive.ARCHIVE, "made"}
    assert len(data.cifar10(archive.parent).train_images) == 10


def test_half_an_archive_is_not_unpacked(tmp_path, archive):
    root = tmp_path / "root"
    root.mkdir()
    (root / cifar_archive.ARCHIVE).write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(ConnectionError, match="wrong checksum"):
        data.cifar10(root)
    assert not (root / cifar_archive.FOLDER).exists()


# --- download ------------------------------------------------------------------------------------


class Server(http.server.BaseHTTPRequestHandler):
    """Serves ``content``; a request ends after as many bytes as ``breaks`` says, while it lasts."""

    content, breaks, status, chunked = b"", [], 200, False
    requests, folder, seen = 0, None, []

    def do_GET(self):
        if self.headers.get("Method") == "HEAD":  # how torchvision asks whether it is redirected
            self.send_response(200)
            self.end_headers()
            return
        type(self).requests += 1
        if self.status != 200:
            self.send_error(self.status)
            return
        self.send_response(200)
        if self.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        if self.folder is not None:  # before the last byte, which the client waits for
            self.seen.append([path.name for path in self.folder.iterdir()])
        sent = self.content[: self.breaks.pop(0)] if self.breaks else self.content
        if self.chunked:
            self.wfile.write(b"%x\r\n" % len(self.content) + sent)
            if sent == self.content:
                self.wfile.write(b"\r\n0\r\n\r\n")
        else:
            self.wfile.write(sent)
        self.wfile.flush()

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    def start(content, *, breaks=(), status=200, chunked=False, folder=None):
        Server.content, Server.breaks, Server.status = content, list(breaks), status
        Server.chunked, Server.folder, Server.requests, Server.seen = chunked, folder, 0, []
        Server.protocol_version = "HTTP/1.1" if chunked else "HTTP/1.0"
        return f"http://127.0.0.1:{server.server_port}/file"

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield start
    server.shutdown()
    server.server_close()


CONTENT = bytes(range(256)) * 1000
SUM = hashlib.md5(CONTENT).hexdigest()


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_a_broken_download_is_tried_again(tmp_path, serve):
    url = serve(CONTENT, breaks=[1000, 100_000])
    download(url, tmp_path / "deep" / "file", SUM, pause=0)
    assert (tmp_path / "deep" / "file").read_bytes() == CONTENT
    assert Server.requests == 3
    assert names(tmp_path / "deep") == ["file"]


def test_a_chunked_download_that_breaks_is_tried_again(tmp_path, serve):
    download(serve(CONTENT, breaks=[5000], chunked=True), tmp_path / "file", SUM, pause=0)
    assert (tmp_path / "file").read_bytes() == CONTENT and Server.requests == 2


def test_a_file_that_is_still_coming_does_not_have_its_name(tmp_path, serve):
    download(serve(CONTENT, folder=tmp_path), tmp_path / "file", SUM, pause=0)
    (during,) = Server.seen
    assert during and "file" not in during
    assert names(tmp_path) == ["file"]


def test_an_interrupted_download_leaves_nothing(tmp_path, serve, monkeypatch):
    def write_half(url, filename, *_):
        Path(filename).write_bytes(CONTENT[:1000])
        raise KeyboardInterrupt

    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", write_half)
    with pytest.raises(KeyboardInterrupt):
        download(serve(CONTENT), tmp_path / "file", SUM)
    assert names(tmp_path) == []


def test_a_wrong_checksum_leaves_nothing(tmp_path, serve):
    with pytest.raises(ConnectionError, match="incomplete or has another checksum"):
        download(serve(b"something else"), tmp_path / "file", SUM, pause=0)
    assert names(tmp_path) == []


def test_after_the_last_attempt_the_message_says_what_to_do(tmp_path, serve):
    url = serve(CONTENT, breaks=[1000] * 10)
    with pytest.raises(ConnectionError, match=r"/file: what arrived .* put it at file in the same"):
        download(url, tmp_path / "file", SUM, attempts=2, pause=0)
    assert Server.requests == 2 and names(tmp_path) == []


@pytest.mark.parametrize(
    "status, requests", [(404, 1), (403, 1), (410, 1), (503, 3), (429, 3), (408, 3)]
)
def test_a_file_that_the_server_refuses_for_good_is_not_asked_for_again(
    tmp_path, serve, status, requests
):
    with pytest.raises(ConnectionError, match=f"could not download .*{status}"):
        download(serve(CONTENT, status=status), tmp_path / "file", SUM, pause=0)
    assert Server.requests == requests and names(tmp_path) == []


def test_a_server_that_does_not_answer_is_given_up_and_the_default_restored(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        for before in (None, 77.0):
            socket.setdefaulttimeout(before)
            with pytest.raises(ConnectionError, match="could not download .*timed out"):
                download(url, tmp_path / "file", SUM, attempts=2, pause=0, timeout=0.2)
            assert socket.getdefaulttimeout() == before
    socket.setdefaulttimeout(None)
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [ssl.SSLEOFError, TimeoutError, ConnectionResetError])
def test_a_connection_that_breaks_inside_a_file_is_tried_again(tmp_path, serve, monkeypatch, error):
    from torchvision.datasets import utils

    original, calls = utils._urlretrieve, []

    def break_once(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise error("broken")
        original(*arguments)

    monkeypatch.setattr(utils, "_urlretrieve", break_once)
    download(serve(CONTENT), tmp_path / "file", SUM, pause=0)
    assert len(calls) == 2 and (tmp_path / "file").read_bytes() == CONTENT


def test_without_a_network_the_message_says_so(tmp_path):
    with pytest.raises(ConnectionError, match="could not download"):
        download("http://127.0.0.1:9/file", tmp_path / "file", SUM, attempts=1)


def test_download_and_read_in_one_call(tmp_path, archive, serve, monkeypatch):
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", serve(archive.read_bytes()))
    found = data.cifar10(tmp_path / "new", download=True)
    assert len(found.train_images) == 10
    assert (tmp_path / "new" / cifar_archive.ARCHIVE).exists()
    again = data.cifar10(tmp_path / "new", download=True)
    assert torch.equal(again.train_images, found.train_images) and Server.requests == 1
