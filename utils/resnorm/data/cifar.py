"""CIFAR-10 as tensors: what it is, how it is split, and which form is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from . import cifar_archive
from .dataset import ImageDataset
from .image_folder import SUFFIXES, read_image_folder
from .pixels import image_files
from .tensor_cache import fingerprint, load_tensors, save_tensors

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
#: Of the training images' channels, on a scale from 0 to 1; the values are in wide use.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


@dataclass(frozen=True)
class Cifar10:
    """The images as they are, in memory.

    Attributes:
        train_images: (n, 3, 32, 32), uint8.
        train_labels: (n,), int64; indices into ``CLASSES``.
        test_images: as ``train_images``.
        test_labels: as ``train_labels``.
        source: what the data is, to be printed under results.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    source: str

    def validation_indices(self, per_class: int = 500) -> Tensor:
        """Choose the training images that are held out for validation, always the same ones.

        Args:
            per_class: images per class.

        Returns:
            Indices of training images, (10 ``per_class``,) int64, in increasing order.

        Raises:
            ValueError: a class has too few images.
        """
        generator = torch.Generator().manual_seed(0)
        indices = []
        for label, name in enumerate(CLASSES):
            (members,) = torch.where(self.train_labels == label)
            if len(members) <= per_class:
                raise ValueError(
                    f"class {name} has {len(members)} training images; "
                    f"{per_class} cannot be held out"
                )
            indices.append(members[torch.randperm(len(members), generator=generator)[:per_class]])
        return torch.cat(indices).sort().values

    def split(self, evaluate_on: str = "validation") -> ImageDataset:
        """Return standardized images to train and evaluate on.

        Args:
            evaluate_on: ``"validation"`` holds out 500 training images per class; make every choice
                with these. ``"test"`` trains on all training images and evaluates on the test set;
                use it once, at the end.

        Returns:
            Images in float32 and their labels.

        Raises:
            ValueError: ``evaluate_on`` is anything else.
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
        held_out = torch.zeros(len(self.train_labels), dtype=torch.bool)
        held_out[self.validation_indices()] = True
        return ImageDataset(
            standardize(self.train_images[~held_out]),
            self.train_labels[~held_out],
            standardize(self.train_images[held_out]),
            self.train_labels[held_out],
            f"{self.source}, validation split",
        )


def standardize(images: Tensor) -> Tensor:
    """Give each channel a mean of about 0 and a variance of about 1.

    Args:
        images: (n, 3, H, W), uint8.

    Returns:
        (n, 3, H, W), float32.
    """
    mean = torch.tensor(MEAN, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=images.device).view(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def cifar10(root: str | Path, *, download: bool = False, cache: bool = True) -> Cifar10:
    """Read CIFAR-10 from whichever form is in a folder.

    The forms are tried in this order: the official archive or the folder that it unpacks to, which
    torchvision reads and checks; then ``train/<class>/*`` and ``test/<class>/*`` with images of
    32 x 32 pixels. What was read is also stored as one file in the same folder, which loads faster
    the next time; it is made again when images were added, removed or changed.

    Args:
        root: the folder.
        download: download the archive if there is nothing to read.
        cache: read and write the one file.

    Returns:
        All images, in memory.

    Raises:
        FileNotFoundError: there is nothing to read, and no download is wanted.
        ValueError: the classes are not those of CIFAR-10; the folder of one holds folders, broken
            links or images of another kind; or an image is broken or of another size.
        ConnectionError: the download failed, or the archive is damaged.
    """
    root = Path(root).expanduser()
    as_folder = (root / "train").is_dir()
    if download and not as_folder and not cifar_archive.is_in(root):
        cifar_archive.download_to(root)
    official = cifar_archive.is_in(root)
    if not official and not as_folder:
        raise FileNotFoundError(
            f"cifar10: nothing usable under {str(root)!r}. Put there one of: "
            f"{cifar_archive.ARCHIVE} as downloaded; the folder {cifar_archive.FOLDER}; "
            "or train/<class>/*.png (or .jpg) and test/<class>/*; or call with download=True; "
            "or use resnorm.data.synthetic(), which is generated"
        )
    cached = root / f"resnorm-cifar10-{'official' if official else 'folder'}.pt"
    # Of the folder before it is read, because files may come meanwhile. The archive has a checksum.
    state = "" if official or not cache else fingerprint(root, _images_in(root))
    if cache and (kept := load_tensors(cached)) is not None and kept.pop("files", "") == state:
        return Cifar10(**kept)
    if official:
        found = Cifar10(*cifar_archive.read(root), source="CIFAR-10")
    else:
        found = _read_folder(root)
    if cache:
        save_tensors(vars(found) | {"files": state}, cached)
    return found


def _images_in(root: Path) -> list[Path]:
    folders = [root / part / name for part in ("train", "test") for name in CLASSES]
    return [path for folder in folders for path in image_files(folder, SUFFIXES)]


def _read_folder(root: Path) -> Cifar10:
    train_images, train_labels = read_image_folder(root, "train", CLASSES, size=32)
    test_images, test_labels = read_image_folder(root, "test", CLASSES, size=32)
    jpeg = any(path.suffix.lower() in (".jpg", ".jpeg") for path in _images_in(root))
    source = "CIFAR-10 (JPEG copy)" if jpeg else "CIFAR-10 (folder)"
    return Cifar10(train_images, train_labels, test_images, test_labels, source)
