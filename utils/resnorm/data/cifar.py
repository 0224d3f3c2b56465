"""CIFAR-10 as tensors: from the official archive, or from a folder of images."""

from __future__ import annotations

import hashlib
import os
import time
import urllib.error
import urllib.request
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .dataset import ImageDataset

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
MD5 = "c58f30108f718f92721af3d95e74349a"
ARCHIVE, FOLDER = "cifar-10-python.tar.gz", "cifar-10-batches-py"
#: Of the training images' channels in [0, 1], as widely used.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


@dataclass(frozen=True)
class Cifar10:
    """The images as they are, in memory.

    Attributes:
        train_images, test_images: (n, 3, 32, 32) uint8.
        train_labels, test_labels: (n,) int64, index into ``CLASSES``.
        source: what the data is, to be printed under results.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    source: str

    def validation_rows(self, per_class: int = 500) -> Tensor:
        """Rows of the training images that are held out: the same for everybody, ``per_class`` of each class.

        Raises:
            ValueError: a class with too few images.
        """
        generator = torch.Generator().manual_seed(0)
        rows = []
        for label in range(len(CLASSES)):
            (members,) = torch.where(self.train_labels == label)
            if len(members) <= per_class:
                raise ValueError(
                    f"class {CLASSES[label]} has {len(members)} training images; {per_class} cannot be held out"
                )
            rows.append(members[torch.randperm(len(members), generator=generator)[:per_class]])
        return torch.cat(rows).sort().values

    def split(self, evaluate_on: str = "validation") -> ImageDataset:
        """Standardized float images to train and evaluate on.

        Args:
            evaluate_on: ``"validation"`` holds 500 images a class out of the training set: every choice
                is made there; ``"test"`` trains on all and evaluates on the test set, once, at the end.

        Raises:
            ValueError: anything else.
        """
        if evaluate_on not in ("validation", "test"):
            raise ValueError(f"evaluate_on is {evaluate_on!r}; it must be 'validation' or 'test'")
        if evaluate_on == "test":
            return ImageDataset(
                standardize(self.train_images),
                self.train_labels,
                standardize(self.test_images),
                self.test_labels,
                f"{self.source}, test set",
            )
        held = torch.zeros(len(self.train_labels), dtype=torch.bool)
        held[self.validation_rows()] = True
        return ImageDataset(
            standardize(self.train_images[~held]),
            self.train_labels[~held],
            standardize(self.train_images[held]),
            self.train_labels[held],
            f"{self.source}, validation split",
        )


def standardize(images: Tensor) -> Tensor:
    """uint8 (n, 3, H, W) -> float32 with about mean 0 and variance 1 a channel."""
    mean, std = (
        torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (MEAN, STD)
    )
    return (images.float() / 255 - mean) / std


def cifar10(root: str | Path, *, download: bool = False, cache: bool = True) -> Cifar10:
    """CIFAR-10 from whichever form is under ``root``.

    Looked for in this order: the official archive or the folder it unpacks to (read and checked by
    torchvision), then ``train/<class>/*`` and ``test/<class>/*`` with images of 32 x 32. What was read
    is kept as one file beside it, written to a temporary name first.

    Args:
        root: a folder.
        download: fetch the archive if nothing is there; a broken download is resumed.
        cache: read and write the one file.

    Raises:
        FileNotFoundError: nothing there and no download wanted; the message names the choices.
        ValueError: a folder with wrong classes, an image that is broken or of another size.
        ConnectionError: the download failed, or its checksum is wrong.
    """
    root = Path(root).expanduser()
    official = (root / FOLDER).is_dir() or (root / ARCHIVE).is_file()
    if not official and not (root / "train").is_dir() and download:
        fetch(URL, root / ARCHIVE, MD5)
        official = True
    if not official and not (root / "train").is_dir():
        raise FileNotFoundError(
            f"cifar10: nothing usable under {str(root)!r}. Put there one of: {ARCHIVE} as downloaded; the folder {FOLDER}; "
            "or train/<class>/*.png (or .jpg) and test/<class>/*; or call with download=True; "
            "or use resnorm.data.synthetic(), which is generated"
        )
    kept = root / f"resnorm-cifar10-{'official' if official else 'folder'}.pt"
    if cache and kept.exists():
        try:
            return Cifar10(**torch.load(kept, weights_only=True))
        except Exception as problem:  # a file cut short by a crash of the disk, or of another version: make it again
            warnings.warn(
                f"{kept.name} could not be read ({type(problem).__name__}) and is made again",
                stacklevel=2,
            )
    found = _from_archive(root) if official else _from_folder(root)
    if cache:
        _keep(found, kept)
    return found


def _keep(found: Cifar10, path: Path) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        torch.save(vars(found), part)
        os.replace(part, path)
    except (OSError, RuntimeError) as problem:  # torch reports a full disk as a RuntimeError
        warnings.warn(
            f"could not write {path.name} ({problem}); the images are used all the same",
            stacklevel=3,
        )
    finally:
        part.unlink(missing_ok=True)


def _from_archive(root: Path) -> Cifar10:
    from torchvision.datasets import CIFAR10  # here: the package works without torchvision

    if not (root / FOLDER).is_dir():
        from torchvision.datasets.utils import extract_archive

        if _md5(root / ARCHIVE) != MD5:
            raise ConnectionError(
                f"{ARCHIVE} has a wrong checksum: it is damaged or incomplete; delete it, and download it again"
            )
        extract_archive(str(root / ARCHIVE), str(root))
    tensors = []
    for train in (True, False):
        try:
            part = CIFAR10(str(root), train=train)
        except RuntimeError as problem:
            raise ConnectionError(
                f"{FOLDER} is damaged ({problem}); delete it, and unpack or download the archive again"
            ) from None
        tensors += [
            torch.from_numpy(np.ascontiguousarray(part.data.transpose(0, 3, 1, 2))),
            torch.tensor(part.targets),
        ]
    return Cifar10(*tensors, "CIFAR-10")


def _from_folder(root: Path) -> Cifar10:
    tensors = []
    for part in ("train", "test"):
        there = (
            {path.name for path in (root / part).iterdir() if path.is_dir()}
            if (root / part).is_dir()
            else set()
        )
        if there != set(CLASSES):
            missing, extra = sorted(set(CLASSES) - there), sorted(there - set(CLASSES))
            raise ValueError(
                f"{part}/ must hold one folder for each of the ten classes"
                + (f"; missing: {', '.join(missing)}" if missing else "")
                + (f"; unexpected: {', '.join(extra)}" if extra else "")
            )
        images, labels = [], []
        for label, name in enumerate(CLASSES):
            paths = sorted(
                p
                for p in (root / part / name).iterdir()
                if p.suffix.lower() in (".png", ".jpg", ".jpeg")
            )
            if not paths:
                raise ValueError(f"{part}/{name}/ holds no .png or .jpg images")
            for path in paths:
                try:
                    with Image.open(path) as image:
                        array = np.asarray(image.convert("RGB"))
                except OSError as problem:
                    raise ValueError(
                        f"{part}/{name}/{path.name} cannot be read as an image ({problem})"
                    ) from None
                if array.shape != (32, 32, 3):
                    raise ValueError(
                        f"{part}/{name}/{path.name} is {array.shape[1]} x {array.shape[0]}; it must be 32 x 32"
                    )
                images.append(array)
                labels.append(label)
        tensors += [
            torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()),
            torch.tensor(labels),
        ]
    jpeg = any((root / "train" / CLASSES[0]).glob("*.jp*g"))
    return Cifar10(*tensors, "CIFAR-10 (JPEG copy)" if jpeg else "CIFAR-10 (folder)")


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetch(
    url: str, path: Path, md5: str, *, tries: int = 5, pause: float = 2.0, timeout: float = 30.0
) -> None:
    """Download a file: resumed where it broke off, tried again, checked, and only then given its name.

    Args:
        url: served with or without support for ranges.
        path: where the file goes; ``path.part`` holds what has come so far.
        md5: of the whole.
        tries: attempts without any progress before giving up.
        pause: seconds before the second attempt, doubled each time.
        timeout: seconds without an answer.

    Raises:
        ConnectionError: given up, or the checksum is wrong; the message says which and what to do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _continue_download(url, part, before, timeout):
                break
            problem: Exception | str = "the connection ended early"
        except urllib.error.HTTPError as error:
            if (
                error.code == 416
            ):  # nothing after what is there: it is complete, or not the same file
                break
            problem = error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            problem = error
        after = part.stat().st_size if part.exists() else 0
        failures = 0 if after > before else failures + 1
        if failures >= tries:
            raise ConnectionError(
                f"could not download {url}: {problem}. {after:,} bytes are kept and the next call goes on from there; "
                f"or fetch the file by other means, and put it at {path.name} in the same folder"
            )
        time.sleep(pause * 2**failures if failures else 0)
    if (got := _md5(part)) != md5:
        part.unlink()
        raise ConnectionError(
            f"{url}: the checksum is {got}, expected {md5}; what came was deleted, try again or use another copy"
        )
    os.replace(part, path)


def _continue_download(url: str, part: Path, start: int, timeout: float) -> bool:
    """Append what is missing; whether everything that the server promised has come."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with urllib.request.urlopen(request, timeout=timeout) as response:
        resumed = response.status == 206
        promised = response.headers.get("Content-Length")
        received = 0
        with part.open("ab" if resumed else "wb") as file:
            while block := response.read(1 << 16):
                file.write(block)
                received += len(block)
    return promised is None or received == int(promised)
