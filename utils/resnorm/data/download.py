"""Downloading a file by torchvision: tried again, checked, and only then given its name."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError

#: Refusals that are worth another attempt: request timeout, too many requests.
TEMPORARY = (408, 429)


def download(
    url: str,
    path: Path,
    md5: str,
    *,
    attempts: int = 3,
    pause: float = 2.0,
    timeout: float = 30.0,
) -> None:
    """Download a file; under its name there is either nothing or the whole file.

    Args:
        url: address of the file.
        path: where the file goes; its folder is made if necessary.
        md5: checksum of the file, in hexadecimal.
        attempts: how often to try; a file that the server refuses is not tried again.
        pause: seconds before the second attempt, doubled for each further one.
        timeout: seconds without an answer after which an attempt has failed.

    Raises:
        ConnectionError: every attempt failed, or what arrived has another checksum.
    """
    from torchvision.datasets.utils import download_url  # the package works without torchvision

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        for attempt in range(attempts):
            if attempt:
                time.sleep(pause * 2 ** (attempt - 1))
            try:
                with _socket_timeout(timeout):
                    download_url(url, folder, path.name, md5)
                os.replace(Path(folder) / path.name, path)
                return
            except RuntimeError:  # torchvision's word for a wrong checksum
                problem = "what arrived is incomplete or has another checksum"
            except HTTPError as error:
                problem = str(error)
                if error.code < 500 and error.code not in TEMPORARY:  # it will refuse again
                    break
            except (URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
                problem = str(error)
    raise ConnectionError(
        f"could not download {url}: {problem}. Try again later, "
        f"or download the file by other means and put it at {path.name} in the same folder"
    )


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Let new sockets give up after so many seconds: torchvision's functions take no timeout."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
