"""CIFAR-10 from an archive, a folder, a download; damaged, cut short, and on a full disk."""

import hashlib
import http.server
import pickle
import tarfile
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from resnorm import data
from resnorm.data import cifar


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
        patch.setattr(cifar, "_from_folder", lambda root: pytest.fail("read again"))
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
    rows = made.validation_rows()
    assert torch.equal(rows, made.validation_rows()) and len(rows) == 5000
    assert torch.bincount(made.train_labels[rows]).tolist() == [500] * 10
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
        make_tensors(400).validation_rows()


def test_standardize_maps_mean_colour_to_zero():
    mean = (torch.tensor(cifar.MEAN) * 255).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert cifar.standardize(mean.round().to(torch.uint8)).abs().max() < 0.01


# --- archive -------------------------------------------------------------------------------------


def make_archive(path):
    """The official layout with two images a file; returns the archive's checksum and the files' checksums."""
    rng = np.random.default_rng(1)
    folder = path.parent / "made" / cifar.FOLDER
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
        archive.add(folder, cifar.FOLDER)
    return hashlib.md5(path.read_bytes()).hexdigest(), sums


@pytest.fixture
def archive(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    source = tmp_path / "served" / cifar.ARCHIVE
    source.parent.mkdir()
    md5, sums = make_archive(source)
    monkeypatch.setattr(cifar, "MD5", md5)
    monkeypatch.setattr(
        CIFAR10, "train_list", [[name, sums[name]] for name in sums if name.startswith("data")]
    )
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    return source


def test_the_official_archive_is_unpacked_and_read(tmp_path, archive):
    root = tmp_path / "root"
    root.mkdir()
    (root / cifar.ARCHIVE).write_bytes(archive.read_bytes())
    found = data.cifar10(root)
    assert (
        found.train_images.shape == (10, 3, 32, 32)
        and found.test_labels.tolist() == [3, 7]
        and found.source == "CIFAR-10"
    )
    (root / "resnorm-cifar10-official.pt").unlink()
    (root / cifar.FOLDER / "data_batch_2").write_bytes(b"damaged")
    with pytest.raises(ConnectionError, match="damaged"):
        data.cifar10(root)


def test_half_an_archive_is_not_unpacked(tmp_path, archive):
    root = tmp_path / "root"
    root.mkdir()
    (root / cifar.ARCHIVE).write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(ConnectionError, match="wrong checksum"):
        data.cifar10(root)
    assert not (root / cifar.FOLDER).exists()


# --- download ------------------------------------------------------------------------------------


class Server(http.server.BaseHTTPRequestHandler):
    content, ranges, breaks, requests = b"", True, [], []

    def do_GET(self):
        start = 0
        if self.ranges and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        type(self).requests.append(start)
        if start >= len(self.content):
            self.send_error(416)
            return
        rest = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.breaks.pop(0)] if self.breaks else rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    def start(content, *, ranges=True, breaks=()):
        Server.content, Server.ranges, Server.breaks, Server.requests = (
            content,
            ranges,
            list(breaks),
            [],
        )
        return f"http://127.0.0.1:{server.server_port}/file"

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield start
    server.shutdown()


CONTENT = bytes(range(256)) * 1000
SUM = hashlib.md5(CONTENT).hexdigest()


def test_a_broken_download_goes_on_where_it_stopped(tmp_path, serve):
    url = serve(CONTENT, breaks=[1000, 100_000])
    cifar.fetch(url, tmp_path / "deep" / "file", SUM, pause=0)
    assert (tmp_path / "deep" / "file").read_bytes() == CONTENT
    assert Server.requests == [0, 1000, 101_000]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]


def test_a_server_without_ranges_starts_again(tmp_path, serve):
    url = serve(CONTENT, ranges=False, breaks=[5000])
    cifar.fetch(url, tmp_path / "file", SUM, pause=0)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_complete_part_of_an_earlier_call_is_only_checked(tmp_path, serve):
    (tmp_path / "file.part").write_bytes(CONTENT)
    cifar.fetch(serve(CONTENT), tmp_path / "file", SUM, pause=0)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(tmp_path, serve):
    with pytest.raises(ConnectionError, match="the checksum is"):
        cifar.fetch(serve(b"something else"), tmp_path / "file", SUM, pause=0)
    assert not list(tmp_path.iterdir())


def test_giving_up_keeps_what_came(tmp_path, serve):
    url = serve(CONTENT, breaks=[1000] + [0] * 10)
    with pytest.raises(
        ConnectionError, match="1,000 bytes are kept and the next call goes on from there"
    ):
        cifar.fetch(url, tmp_path / "file", SUM, tries=2, pause=0)
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:1000] and not (
        tmp_path / "file"
    ).exists()


def test_no_network_is_said(tmp_path):
    with pytest.raises(ConnectionError, match="could not download"):
        cifar.fetch("http://127.0.0.1:9/file", tmp_path / "file", SUM, tries=1, pause=0)


def test_download_and_read_in_one_call(tmp_path, archive, serve, monkeypatch):
    monkeypatch.setattr(cifar, "URL", serve(archive.read_bytes(), breaks=[300]))
    found = data.cifar10(tmp_path / "new", download=True)
    assert len(found.train_images) == 10 and (tmp_path / "new" / cifar.ARCHIVE).exists()
