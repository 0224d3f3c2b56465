"""The frames of interactive figures as files, which a page loads when its reader moves the figure.

A notebook has to carry all of them. On a page that would be up to half of its weight. Frames whose
alternative text begins with ``Images:`` get a second file for the dark theme; resnorm.js shows it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

from . import dark_pictures

#: From the first frame to the script that moves the figure.
FIGURE = re.compile(r'<div class="rn-frame">.*?(?=<script>)', re.DOTALL)
PICTURE = re.compile(r"<picture>.*?</picture>", re.DOTALL)
FILE = re.compile(r'\b(src|srcset)="([^"]+)\.(\w+)"')
CARRIED = re.compile(r'"data:image/(webp|png|jpeg);base64,([^"]+)"')


def stored(page: str, folder: Path, images: Path) -> str:
    """A page whose interactive figures keep their frames in files.

    Args:
        page: HTML.
        folder: of the page.
        images: folder for the files.
    """
    address = Path(os.path.relpath(images, folder)).as_posix()

    def figure(found: re.Match[str]) -> str:
        piece = found[0]
        for_both = '"Images:' in piece

        def file(carried: re.Match[str]) -> str:
            data = base64.b64decode(carried[2])
            path = images / f"{hashlib.sha256(data).hexdigest()[:24]}.{carried[1]}"
            images.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            if for_both:
                dark_pictures.darkened(path)
            return f'"{address}/{path.name}"'

        piece = CARRIED.sub(file, piece)
        piece = piece.replace("<img ", '<img loading="lazy" decoding="async" ', 1)
        return PICTURE.sub(both_themes, piece, count=1) if for_both else piece

    return FIGURE.sub(figure, page)


def both_themes(found: re.Match[str]) -> str:
    """The picture of each theme.

    Args:
        found: a ``<picture>`` with the first frame.
    """
    dark = FILE.sub(r'\1="\2-dark.\3"', found[0])
    return found[0].replace('class="rn-image"', 'class="rn-image only-light"') + dark.replace(
        'class="rn-image"', 'class="rn-image-dark only-dark"'
    )
