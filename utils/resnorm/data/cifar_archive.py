"""The official CIFAR-10 archive: torchvision downloads, checks, unpacks and reads it.

torchvision is imported where it is needed, because the rest of the package works without it.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .download import download

ARCHIVE, FOLDER = "cifar-10-python.tar.gz", "cifar-10-batches-py"


def is_in(root: Path) -> bool:
    """Return whether a folder holds the archive or what it unpacks to.

    Args:
        root: the folder.
    """
    return (root / FOLDER).is_dir() or (root / ARCHIVE).is_file()


def download_to(root: Path) -> None:
    """Download the archive.

    Args:
        root: the folder in which it is put.

    Raises:
        ConnectionError: the download failed.
    """
    from torchvision.datasets import CIFAR10

    download(CIFAR10.url, root / ARCHIVE, CIFAR10.tgz_md5)


def read(root: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unpack the archive if necessary, and read it.

    Where the folder cannot be written to, the archive is unpacked to a temporary folder, with a
    warning.

    Args:
        root: a folder with the archive or what it unpacks to.

    Returns:
        Training images, (n, 3, 32, 32) uint8; their labels, (n,) int64; the same for testing.

    Raises:
        ConnectionError: the archive or an unpacked file is damaged or incomplete.
    """
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    if (root / FOLDER).is_dir():
        return _read_unpacked(root)
    if not check_integrity(root / ARCHIVE, CIFAR10.tgz_md5):
        raise ConnectionError(
            f"{ARCHIVE} has a wrong checksum: it is damaged or incomplete; "
            "delete it, and download it again"
        )
    try:
        _unpack(root / ARCHIVE, root)
    except OSError as problem:  # a read-only folder, a full disk
        warnings.warn(
            f"could not unpack {ARCHIVE} where it is ({problem}); the images are used all the same",
            stacklevel=3,
        )
        with tempfile.TemporaryDirectory() as elsewhere:
            _unpack(root / ARCHIVE, Path(elsewhere))
            return _read_unpacked(Path(elsewhere))
    return _read_unpacked(root)


def _unpack(archive: Path, root: Path) -> None:
    """Unpack the archive; under its name there is either nothing or the whole folder."""
    from torchvision.datasets.utils import extract_archive

    with tempfile.TemporaryDirectory(dir=root, prefix=f"{FOLDER}.") as part:
        extract_archive(archive, part)
        os.replace(Path(part) / FOLDER, root / FOLDER)


def _read_unpacked(root: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from torchvision.datasets import CIFAR10

    try:
        train, test = CIFAR10(root, train=True), CIFAR10(root, train=False)
    except RuntimeError as problem:
        raise ConnectionError(
            f"{FOLDER} is damaged ({problem}); delete it, and unpack or download the archive again"
        ) from None
    return *_tensors(train.data, train.targets), *_tensors(test.data, test.targets)


def _tensors(images: np.ndarray, labels: list[int]) -> tuple[Tensor, Tensor]:
    """(n, H, W, 3) images -> (n, 3, H, W)."""
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return torch.from_numpy(channels_first), torch.tensor(labels)
