"""Image files as they come: masks of any values, 16 bits, capitals, and what others leave there."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from resnorm import data
from resnorm.data import cifar
from resnorm.data.image_folder import read_image_folder

MASK = np.zeros((20, 24), dtype=bool)
MASK[3:8, 4:9] = MASK[12:18, 10:20] = True
GRAY = np.random.default_rng(0).integers(0, 4096, (20, 24)).astype(np.uint16)  # a camera's 12 bits


def palette(mask):
    """An indexed image whose colors say nothing: cells are black."""
    image = Image.fromarray(mask.astype(np.uint8), "P")
    image.putpalette([200, 0, 0, 0, 0, 0])
    return image


def make_slices(root, label, image=None):
    for kind, picture in (("image", image or Image.fromarray(GRAY)), ("label", label)):
        (root / kind).mkdir(parents=True)
        for name in ("0.png", "1.png"):
            picture.save(root / kind / name)
    return root


@pytest.mark.parametrize(
    "label",
    [
        Image.fromarray(MASK * np.uint8(255)),
        Image.fromarray(MASK * np.uint8(1)),
        Image.fromarray(MASK * np.uint8(100)),
        Image.fromarray(MASK * np.uint16(1)),
        Image.fromarray(MASK),  # of one bit
        palette(MASK),
        Image.fromarray(MASK[..., None] * np.array([0, 0, 1], np.uint8)),
    ],
    ids=["255", "1", "100", "16 bits", "1 bit", "palette", "color"],
)
def test_every_label_but_zero_is_cell(tmp_path, label):
    found = data.microscopy(make_slices(tmp_path, label))
    assert torch.equal(found.masks[1], torch.from_numpy(MASK).long())
    assert found.instances[0].max() == 2


def standardized(array):
    values = torch.from_numpy(array.astype(np.float32))
    return (values - values.mean()) / values.std(correction=0)


@pytest.mark.parametrize("factor", [1, 16, 15.9])
def test_slices_of_16_bits_keep_all_their_shades(tmp_path, factor):
    picture = (GRAY * factor).astype(np.uint16)
    found = data.microscopy(make_slices(tmp_path, palette(MASK), Image.fromarray(picture)))
    torch.testing.assert_close(found.images[0, 0], standardized(picture), rtol=1e-3, atol=1e-3)
    assert len(found.images[0].unique()) == len(np.unique(picture))


def test_slices_of_8_bits_are_as_before(tmp_path):
    picture = (GRAY // 16).astype(np.uint8)
    found = data.microscopy(make_slices(tmp_path, palette(MASK), Image.fromarray(picture)))
    values = torch.from_numpy(np.stack([picture, picture])).float() / 255
    assert torch.equal(found.images[:, 0], (values - values.mean()) / values.std())


@pytest.mark.parametrize("name", ["._0.png", ".hidden.png", ".ipynb_checkpoints/0.png"])
@pytest.mark.parametrize("kind", ["image", "label"])
def test_hidden_files_are_no_slices(tmp_path, kind, name):
    root = make_slices(tmp_path, palette(MASK))
    (root / kind / name).parent.mkdir(exist_ok=True)
    (root / kind / name).write_bytes(b"no image")
    assert len(data.microscopy(root).images) == 2


def test_slices_may_have_a_suffix_in_capitals_and_must_have_numbers(tmp_path):
    root = make_slices(tmp_path, palette(MASK))
    for kind in ("image", "label"):
        (root / kind / "1.png").rename(root / kind / "1.PNG")
    assert len(data.microscopy(root).images) == 2
    for kind in ("image", "label"):
        (root / kind / "1.PNG").rename(root / kind / "slice.png")
    with pytest.raises(ValueError, match="slice.png has none; name the images 0.png, 1.png"):
        data.microscopy(root)


def test_the_order_of_slices_is_the_same_in_every_process(tmp_path):
    numbers = (["1", "01", "001"], ["0", "00", "7"], ["10", "010", "0010", "2", "02"])
    for i, names in enumerate(numbers):
        for kind in ("image", "label"):
            (tmp_path / str(i) / kind).mkdir(parents=True)
            for name in names:
                palette(MASK).save(tmp_path / str(i) / kind / f"{name}.png")
    code = (
        "import sys, pathlib; from resnorm.data.electron_microscopy import _common_names\n"
        "print([_common_names(pathlib.Path(sys.argv[1], i)) for i in '012'])"
    )
    expected = [sorted((f"{n}.png" for n in ns), key=lambda n: (int(n[:-4]), n)) for ns in numbers]
    for seed in "123":
        ran = subprocess.run(
            [sys.executable, "-c", code, tmp_path],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        assert ran.stdout.decode().strip() == str(expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_label_that_is_transparent_in_parts_is_refused_and_an_opaque_one_is_not(tmp_path, mode):
    black = Image.fromarray(np.zeros(MASK.shape, np.uint8)).convert(mode)
    black.putalpha(Image.fromarray(MASK * np.uint8(255)))
    with pytest.raises(ValueError, match="label/0.png is transparent in parts"):
        data.microscopy(make_slices(tmp_path / "in alpha", black))
    opaque = Image.fromarray(MASK * np.uint8(255)).convert(mode)
    found = data.microscopy(make_slices(tmp_path / "opaque", opaque))
    assert torch.equal(found.masks[1], torch.from_numpy(MASK).long())
    opaque.putalpha(254)
    with pytest.raises(ValueError, match="save the label without transparency"):
        data.microscopy(make_slices(tmp_path / "nearly opaque", opaque))


def broken_link(path):
    path.with_suffix(".png").symlink_to("nowhere.png")


def folder(path):
    path.mkdir()
    Image.new("RGB", (8, 8)).save(path / "0.png")


def bitmap(path):
    Image.new("RGB", (8, 8)).save(path.with_suffix(".BMP"))


@pytest.mark.parametrize("stray", [broken_link, folder, bitmap])
def test_images_that_would_be_missed_are_named(tmp_path, stray):
    classes = make_classes(tmp_path / "classes", Image.new("RGB", (8, 8)))
    slices = make_slices(tmp_path / "slices", palette(MASK))
    (classes / "train" / "b" / "notes.txt").touch()  # no image: left out, as before
    assert len(read_image_folder(classes, "train", "ab", 8)[0]) == 2
    stray(classes / "train" / "b" / "more")
    stray(slices / "label" / "2")
    with pytest.raises(
        ValueError, match=r"b/ may hold images .* but there are more(\.png|\.BMP)?;"
    ):
        read_image_folder(classes, "train", "ab", 8)
    with pytest.raises(ValueError, match="label/ may hold images"):
        data.microscopy(slices)


# --- one folder per class ------------------------------------------------------------------------


def make_classes(root, image, suffix="png", classes=("a", "b")):
    for part in ("train", "test"):
        for name in classes:
            (root / part / name).mkdir(parents=True)
            image.save(root / part / name / "0.png")
            (root / part / name / "0.png").rename(root / part / name / f"0.{suffix}")
    return root


@pytest.mark.parametrize("top", [65535, 30000, 257])
def test_images_of_16_bits_are_scaled_to_8(tmp_path, top):
    gray = np.linspace(0, top, 64).round().astype(np.uint16).reshape(8, 8)
    images, _ = read_image_folder(make_classes(tmp_path, Image.fromarray(gray)), "train", "ab", 8)
    expected = torch.from_numpy(gray / 257).round().to(torch.uint8)
    assert torch.equal(images, expected.expand(2, 3, 8, 8))


@pytest.mark.parametrize(
    "name", [".ipynb_checkpoints/x.png", "a/._0.png", "b/.DS_Store", "a/.ipynb_checkpoints/0.png"]
)
def test_hidden_files_are_no_images_and_no_classes(tmp_path, name):
    root = make_classes(tmp_path, Image.new("RGB", (8, 8)))
    (root / "train" / name).parent.mkdir(exist_ok=True)
    (root / "train" / name).write_bytes(b"no image")
    assert len(read_image_folder(root, "train", "ab", 8)[0]) == 2


@pytest.mark.parametrize(
    "suffix, source",
    [("JPG", "JPEG copy"), ("Jpeg", "JPEG copy"), ("jpg", "JPEG copy"), ("PNG", "folder")],
)
def test_capitals_in_a_suffix_do_not_change_the_source(tmp_path, suffix, source):
    root = make_classes(tmp_path, Image.new("RGB", (32, 32)), suffix, cifar.CLASSES)
    assert data.cifar10(root, cache=False).source == f"CIFAR-10 ({source})"


def test_one_jpeg_anywhere_is_named(tmp_path):
    root = make_classes(tmp_path, Image.new("RGB", (32, 32)), "png", cifar.CLASSES)
    Image.new("RGB", (32, 32)).save(root / "test" / "truck" / "1.jpg")
    assert data.cifar10(root).source == "CIFAR-10 (JPEG copy)"


# --- the one file --------------------------------------------------------------------------------


def add(root):
    Image.new("RGB", (32, 32), "white").save(root / "train" / "cat" / "1.png")


def change(root):
    Image.new("RGB", (32, 32), "white").save(root / "test" / "cat" / "0.png")


def replace(root):
    (root / "train" / "cat" / "0.png").unlink()
    add(root)


@pytest.mark.parametrize("alter", [add, change, replace])
def test_a_folder_that_changed_is_read_again(tmp_path, alter):
    root = make_classes(tmp_path, Image.new("RGB", (32, 32)), "png", cifar.CLASSES)
    data.cifar10(root)
    alter(root)
    found, expected = data.cifar10(root), data.cifar10(root, cache=False)
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        assert torch.equal(getattr(found, name), getattr(expected, name))


def test_a_folder_that_is_still_being_copied_is_read_again_when_it_is_whole(tmp_path, monkeypatch):
    root = make_classes(tmp_path, Image.new("RGB", (32, 32)), "png", cifar.CLASSES)
    original = cifar.read_image_folder

    def while_files_arrive(folder, part, *rest, **options):
        found = original(folder, part, *rest, **options)
        add(root)  # to the part that has been read already
        return found

    with monkeypatch.context() as patch:
        patch.setattr(cifar, "read_image_folder", while_files_arrive)
        assert len(data.cifar10(root).train_images) == 10
    assert len(data.cifar10(root).train_images) == 11


def test_the_one_file_of_a_moved_folder_and_of_the_first_edition(tmp_path, monkeypatch):
    root = make_classes(tmp_path / "here", Image.new("RGB", (32, 32)), "png", cifar.CLASSES)
    found = data.cifar10(root)
    moved = shutil.move(root, tmp_path / "there")
    with monkeypatch.context() as patch:
        patch.setattr(cifar, "read_image_folder", lambda *_, **__: pytest.fail("read again"))
        data.cifar10(moved)
    kept = moved / "resnorm-cifar10-folder.pt"
    torch.save({name: value[:5] for name, value in vars(found).items()}, kept)  # names no files
    assert len(data.cifar10(moved).train_images) == 10


def test_a_bit_that_changed_in_the_one_file_is_noticed(tmp_path):
    root = make_classes(tmp_path, Image.new("RGB", (32, 32), "white"), "png", cifar.CLASSES)
    found = data.cifar10(root)
    kept = root / "resnorm-cifar10-folder.pt"
    content = bytearray(kept.read_bytes())
    content[content.index(b"\xff" * 1000) + 500] ^= 1
    kept.write_bytes(content)
    with pytest.warns(UserWarning, match="made again"):
        assert torch.equal(data.cifar10(root).train_images, found.train_images)
