"""Named tensors in one file, in the safetensors format, read strictly and without executing.

Eight bytes say how long the header is. The header is JSON: for each tensor its type, its shape and
where its bytes begin and end, and texts under ``__metadata__``. All bytes of the tensors follow.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

#: The longest header that is read, in bytes.
LONGEST_HEADER = 2**20
#: The only type that is read and written.
DTYPE, BYTES = "F32", 4


class TensorFileError(ValueError):
    """A file is not what :func:`write_tensors` writes. The message says why."""


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors in single precision.

    Args:
        path: file to write or replace.
        tensors: name -> floating-point tensor.
        metadata: texts by name.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts, end = [], 0
    for name, tensor in tensors.items():
        data = tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
        begin, end = end, end + len(data)
        header[name] = {"dtype": DTYPE, "shape": list(tensor.shape), "data_offsets": [begin, end]}
        parts.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors are aligned
    Path(path).write_bytes(b"".join([struct.pack("<Q", len(text)), text, *parts]))


def read_tensors(path: str | Path, largest: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file that anybody may have written.

    Args:
        path: the file.
        largest: number of bytes that it may have.

    Returns:
        Tensors by name, and texts by name.

    Raises:
        TensorFileError: the file is too large, of another format, or inconsistent: every byte
            belongs to exactly one tensor.
        OSError: it cannot be read.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > largest:
        raise TensorFileError(f"the file has {size:,} bytes; at most {largest:,} are read")
    content = path.read_bytes()[: largest + 1]
    (length,) = struct.unpack("<Q", content[:8]) if len(content) >= 8 else (0,)
    if not 2 <= length <= min(LONGEST_HEADER, len(content) - 8):
        raise TensorFileError("this is no file of plain tensors, such as plans.save writes")
    try:
        header = json.loads(content[8 : 8 + length].decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise TensorFileError("the header of the file is no JSON that plans.save writes") from None
    if type(header) is not dict:
        raise TensorFileError("the header of the file does not name tensors")
    metadata = header.pop("__metadata__", {})
    if type(metadata) is not dict or any(type(text) is not str for text in metadata.values()):
        raise TensorFileError("the metadata of the file are not texts by name")
    data, tensors, end = bytearray(content[8 + length :]), {}, 0
    for name, about in header.items():
        shape = _checked(name, about, end)
        end += BYTES * math.prod(shape)
        if end > len(data):
            raise TensorFileError("the file ends before its last tensor does")
        begin = end - BYTES * math.prod(shape)
        flat = torch.frombuffer(data, dtype=torch.float32, count=math.prod(shape), offset=begin)
        tensors[name] = flat.reshape(shape).clone()
    if end != len(data):
        raise TensorFileError(f"{len(data) - end:,} bytes of the file belong to no tensor")
    return tensors, metadata


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dictionary, none of whose names is there twice."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name is there twice")
    return dict(pairs)


def _checked(name: str, about: Any, begin: int) -> list[int]:
    """The shape of a tensor whose bytes have to begin here."""
    wrong = TensorFileError(f"the tensor {name[:60]!r} is not described as plans.save does")
    if type(about) is not dict or set(about) != {"dtype", "shape", "data_offsets"}:
        raise wrong
    shape, offsets = about["shape"], about["data_offsets"]
    if about["dtype"] != DTYPE:
        raise TensorFileError(f"the tensor {name[:60]!r} is not of type float32")
    lists = type(shape) is list and type(offsets) is list
    if not lists or any(type(n) is not int or not 0 <= n < 2**40 for n in [*shape, *offsets]):
        raise wrong
    if not all(shape) or len(shape) > 8:
        raise wrong
    if offsets != [begin, begin + BYTES * math.prod(shape)]:
        raise wrong
    return shape
