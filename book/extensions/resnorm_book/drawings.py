"""Static figures as files, which the page loads when they come near.

An output carries its drawings; ``resnorm.figures.drawings`` writes the HTML that is changed here.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

from . import dark_pictures

BOX = re.compile(r'(<div class="rn-drawing">)(<picture>.*?</picture>)(</div>)', re.DOTALL)
CARRIED = re.compile(r'\b(src|srcset)="data:image/(svg\+xml|png);base64,([^"]+)"')
FILE = re.compile(r'\b(src|srcset)="([^"]+\.png)"')
#: Pixels of a PNG here for one of a picture that a notebook stores.
SCALE = 2


def stored(page: str, folder: Path, images: Path) -> str:
    """A page whose drawings are files of their own; pictures get a second one for the dark theme.

    Args:
        page: HTML.
        folder: of the page.
        images: folder for the files.
    """
    address = Path(os.path.relpath(images, folder)).as_posix()

    def file(found: re.Match[str]) -> str:
        data = base64.b64decode(found[3])
        name = f"{hashlib.sha256(data).hexdigest()[:24]}.{found[2].removesuffix('+xml')}"
        images.mkdir(parents=True, exist_ok=True)
        (images / name).write_bytes(data)
        return f'{found[1]}="{address}/{name}"'

    def dark(found: re.Match[str]) -> str:
        other = dark_pictures.darkened(folder / found[2], SCALE)
        return f'{found[1]}="{address}/{other.name}"'

    def box(found: re.Match[str]) -> str:
        picture = CARRIED.sub(file, found[2])
        picture = picture.replace("<img ", '<img loading="lazy" decoding="async" ', 1)
        if 'alt="Images:' in picture:
            picture = picture.replace("<picture>", '<picture class="only-light">') + FILE.sub(
                dark, picture
            ).replace("<picture>", '<picture class="only-dark">')
        return found[1] + picture + found[3]

    return BOX.sub(box, page)
