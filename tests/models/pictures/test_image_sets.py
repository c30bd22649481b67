"""The registry of image sets: what each set holds, and one line for each thing it cannot hold."""

import os
import struct
import zlib

import numpy as np
import pytest
from jaxtyping import Float32, Int
from PIL import Image
from sklearn.datasets import load_digits

from phasebook.models import assets
from phasebook.models.pictures import picture_files
from phasebook.models.pictures.image_sets import IMAGE_SETS, ImageSet, load_images, read_picture

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def families() -> ImageSet:
    return load_images()


@pytest.fixture
def folder(tmp_path):
    """Two readable pictures; tests add what they need."""
    Image.new("RGB", (12, 12), RED).save(tmp_path / "a.png")
    Image.new("RGB", (12, 12), BLUE).save(tmp_path / "b.png")
    return tmp_path


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def nearest(images: ImageSet) -> np.ndarray:
    """Index of every picture's nearest neighbour in pixels, computed from differences, not from a Gram matrix."""
    flat = images.pixels.reshape(len(images), -1)
    found = np.empty(len(flat), int)
    for i, picture in enumerate(flat):
        distance = ((flat - picture) ** 2).sum(axis=1)
        distance[i] = np.inf
        found[i] = distance.argmin()
    return found


@pytest.mark.parametrize("name, n, labels", [("families", 420, 16), ("emoji", 1600, 17), ("icons", 8104, 16),
                                             ("digits", 1797, 10)])
def test_sets_are_complete_and_well_formed(name, n, labels):
    images = load_images(name, resolution=16)
    assert isinstance(images.pixels, Float32[np.ndarray, "n 16 16 3"])
    assert isinstance(images.family, Int[np.ndarray, " n"]) and isinstance(images.group, Int[np.ndarray, " n"])
    assert len(images) == n == len(images.pixels) == len(set(images.names)) == len(images.captions)
    assert len(images.families) == labels == len(set(images.family.tolist()))
    assert set(images.group.tolist()) == set(range(len(images.groups)))
    assert images.resolution == 16
    assert images.pixels.min() >= 0 and images.pixels.max() == 1


def test_pictures_of_a_set_are_distinct(families):
    assert len({picture.tobytes() for picture in families.pixels}) == len(families)


def test_families_hold_their_nearest_neighbours(families):
    """Coherent by pixels: about 96 % of nearest neighbours; labels dealt anew reach the chance level of 11 %."""
    neighbour = nearest(families)
    assert (families.family == families.family[neighbour]).mean() > 0.94
    shuffled = np.random.default_rng(0).permutation(families.family)
    assert (shuffled == shuffled[neighbour]).mean() < 0.2


def test_families_are_the_emoji_that_have_one(families):
    everything = load_images("emoji")
    other = everything.families.index("other")
    kept = everything.family != other
    assert tuple(np.array(everything.names)[kept]) == families.names
    assert np.array_equal(everything.pixels[kept], families.pixels)
    assert everything.groups == ("Smileys & Emotion", "People & Body", "Animals & Nature", "Food & Drink",
                                 "Travel & Places", "Activities", "Objects", "Symbols")


def test_loading_twice_gives_the_same_bits():
    first, second = load_images(resolution=20), load_images(resolution=20)
    assert np.array_equal(first.pixels, second.pixels) and first.names == second.names


def test_choosing_families_keeps_order_and_pixels(families):
    images = load_images(families=["keycaps", "cats"])
    assert images.families == ("cats", "keycaps") and len(images) == 22
    assert np.array_equal(images.pixels[:9], families.pixels[families.family == families.families.index("cats")])


@pytest.mark.parametrize("resolution", [8, 33, 64, 100, np.int64(256)])
def test_resolution_changes_the_grid_and_not_the_picture(families, resolution):
    images = load_images(resolution=resolution, families=["hearts"])
    assert images.pixels.shape[1:] == (resolution, resolution, 3)
    reference = families.pixels[families.family == families.families.index("hearts")]
    assert np.allclose(images.pixels.mean(axis=(1, 2)), reference.mean(axis=(1, 2)), atol=0.02)


def test_digits_at_their_own_size_are_the_data_themselves():
    data = load_digits()
    images = load_images("digits", resolution=8)
    expected = 1 - data.images[np.argsort(data.target, kind="stable")] / 16
    assert np.abs(images.pixels - expected[..., None]).max() <= 0.5 / 255 + 1e-6
    assert images.families == tuple("0123456789") == images.groups
    assert np.bincount(images.family).tolist() == np.bincount(data.target).tolist()


def test_directory_is_one_family_without_subdirectories(folder):
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"no picture")
    images = load_images(folder, resolution=8)
    assert images.names == ("a.png", "b.png") and images.families == (folder.name,) == images.groups
    assert np.allclose(images.pixels[0], [1, 0, 0]) and np.allclose(images.pixels[1], [0, 0, 1])
    assert load_images(str(folder), resolution=8).names == images.names


def test_subdirectories_are_families(folder):
    for family in ("warm", "cold"):
        (folder / family / "deep").mkdir(parents=True)
        Image.new("RGB", (9, 9), GREEN).save(folder / family / "x.PNG")
        Image.new("RGB", (9, 9), GREEN).save(folder / family / "deep" / "x.jpg")
    images = load_images(folder, resolution=8)
    assert images.names == ("a.png", "b.png", "cold/deep/x.jpg", "cold/x.PNG", "warm/deep/x.jpg", "warm/x.PNG")
    assert images.families == (folder.name, "cold", "warm")
    assert len(load_images(folder, resolution=8, families=["cold"])) == 2


def test_equal_pictures_are_kept(folder):
    Image.new("RGB", (30, 30), RED).save(folder / "again.png")
    images = load_images(folder, resolution=8)
    assert len(images) == 3 and np.array_equal(images.pixels[0], images.pixels[1])


def test_crop_takes_the_middle_square(folder):
    strips = np.zeros((10, 30, 3), np.uint8)
    strips[:, :10], strips[:, 10:20], strips[:, 20:] = RED, GREEN, BLUE
    Image.fromarray(strips).save(folder / "strips.png")
    images = load_images(folder, resolution=10)
    assert np.allclose(images.pixels[images.names.index("strips.png")], [0, 1, 0])


def test_exif_orientation_is_followed(folder):
    halves = np.zeros((16, 16, 3), np.uint8)
    halves[:8], halves[8:] = RED, BLUE
    exif = Image.Exif()
    exif[0x0112] = 6                                    # the camera was turned: the top row lies at the right
    Image.fromarray(halves).save(folder / "turned.png", exif=exif)
    images = load_images(folder, resolution=16)
    picture = images.pixels[images.names.index("turned.png")]
    assert np.allclose(picture[:, 12:], [1, 0, 0]) and np.allclose(picture[:, :4], [0, 0, 1])


@pytest.mark.parametrize("mode, colour, expected", [
    ("L", 51, [0.2, 0.2, 0.2]),
    ("1", 1, [1, 1, 1]),
    ("LA", (0, 51), [0.8, 0.8, 0.8]),
    ("RGBA", (255, 0, 0, 0), [1, 1, 1]),
    ("RGBA", (255, 0, 0, 102), [1, 0.6, 0.6]),
    ("I;16", 13107, [0.2, 0.2, 0.2]),
])
def test_every_mode_becomes_rgb_on_white(folder, mode, colour, expected):
    Image.new(mode, (16, 16), colour).save(folder / "c.png")
    assert np.allclose(load_images(folder, resolution=16).pixels[2], expected, atol=1 / 255)


def test_sixteen_bits_become_the_nearest_eight(folder):
    ramp = np.arange(0, 1 << 16, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(folder / "c.png")
    assert np.abs(load_images(folder, resolution=16).pixels[2, ..., 0] - ramp / 65535).max() <= 0.501 / 255


def test_palette_picture_with_a_transparent_colour(folder):
    picture = Image.new("P", (16, 16), 0)
    picture.putpalette([*RED, *GREEN])
    picture.paste(1, (0, 0, 16, 8))
    picture.save(folder / "c.png", transparency=0)
    pixels = load_images(folder, resolution=16).pixels[2]
    assert np.allclose(pixels[:8], [0, 1, 0]) and np.allclose(pixels[8:], [1, 1, 1])


@pytest.mark.parametrize("resolution", [0, 7, 257, -64, 64.0, "64", None, True, float("nan")])
def test_bad_resolution(resolution):
    with pytest.raises(ValueError) as error:
        load_images("families", resolution)
    assert one_line(error) == f"resolution = {resolution!r}: takes a whole number from 8 to 256"


@pytest.mark.parametrize("chosen", [["dogs"], ["cats", "Cats"], [], "cats", 3, [None], {"cats"}])
def test_bad_families(chosen):
    with pytest.raises(ValueError) as error:
        load_images("families", 8, chosen)
    assert one_line(error).startswith(f"families = {chosen!r}: takes a list of names among faces, cats, hearts")


@pytest.mark.parametrize("name", ["familys", "", "/no/such\nplace", "a\0b", "x" * 5000, 7, None, ["emoji"], __file__])
def test_bad_names(name):
    with pytest.raises(ValueError) as error:
        load_images(name)
    assert one_line(error).startswith(f"name = {name!r}: takes {', '.join(IMAGE_SETS)} or an existing")


def test_family_of_one_picture(folder):
    (folder / "single").mkdir()
    Image.new("RGB", (9, 9)).save(folder / "single" / "x.png")
    with pytest.raises(ValueError) as error:
        load_images(folder, 8, ["single"])
    assert one_line(error).startswith("families = ['single']: 1 picture;")


@pytest.mark.parametrize("removed, count", [(["b.png"], 1), (["a.png", "b.png"], 0)])
def test_too_few_pictures(folder, removed, count):
    for name in removed:
        (folder / name).unlink()
    with pytest.raises(ValueError) as error:
        load_images(folder)
    assert one_line(error).startswith(f"name = {str(folder)!r}: holds {count} picture files; takes 2 to 10000")


def test_too_many_pictures(folder, monkeypatch):
    monkeypatch.setattr("phasebook.models.pictures.image_sets.MOST", 1)
    with pytest.raises(ValueError) as error:
        load_images(folder)
    assert "holds 2 picture files" in one_line(error)


def test_unreadable_pictures_are_named(folder):
    whole = (folder / "a.png").read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:500])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text\n.gif").write_text("not a picture")
    (folder / "drawing.svg").write_text("<svg/>")
    (folder / "flipped.png").write_bytes(whole[:40] + bytes(255 - b for b in whole[40:]))
    with pytest.raises(ValueError) as error:
        load_images(folder)
    text = one_line(error)
    assert text.startswith(f"name = {str(folder)!r}: cannot read 'cut.jpg'")
    assert all(name in text for name in ("'drawing.svg'", "'empty.png'", "'flipped.png'", "'text\\n.gif'"))
    assert "'a.png'" not in text


def test_a_picture_is_not_run_nor_waited_for(folder, tmp_path, monkeypatch):
    """PostScript under another name would be handed to Ghostscript; a pipe has no end."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path / 'it-ran'}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (folder / "c.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    os.mkfifo(folder / "pipe.png")
    for call in (lambda: load_images(folder), lambda: read_picture(folder / "c.png", "source_image"),
                 lambda: read_picture(folder / "pipe.png", "source_image")):
        with pytest.raises(ValueError, match="cannot (be )?read"):
            call()
    assert not (tmp_path / "it-ran").exists()


def test_a_name_that_is_no_text_is_refused(folder):
    (folder / "a.png").rename(os.fsdecode(os.fsencode(folder) + b"/\xff.png"))
    with pytest.raises(ValueError, match=r"cannot read '\\udcff.png' \(its name is not UTF-8\)"):
        load_images(folder)


def test_many_unreadable_pictures_are_counted(folder):
    for i in range(8):
        (folder / f"{i}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"'4.png' \(UnidentifiedImageError\) and 3 more; takes") as error:
        load_images(folder)
    one_line(error)


def test_missing_asset_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "ROOT", tmp_path / "assets")
    with pytest.raises(FileNotFoundError) as error:
        load_images()
    assert one_line(error).startswith("assets/emoji/emoji.csv: not found in")


def test_captioned_have_a_kind_and_networks_know_some():
    from phasebook.models.pictures.icons import alike

    images, known = load_images("captioned", 8), load_images("known", 8)
    assert len(set(images.names)) == len(images) == 549 and len(known) == 109
    assert set(known.names) == set(images.names) & set(alike().whats)
    assert {"mammals", "fruit", "vehicles", "faces"} <= set(known.families) < set(images.families)
    assert {"red apple", "green apple", "eye", "cat face", "mountain", "new moon"} <= set(known.names)


def test_one_reader_for_single_pictures_too(tmp_path):
    """Sixteen bits, palettes with a hidden colour, rotation and CMYK, as in a directory."""
    grey = np.full((16, 16), 13107, np.uint16)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.save(tmp_path / "palette.png", transparency=0)
    halves = np.zeros((16, 16, 3), np.uint8)
    halves[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(halves).save(tmp_path / "turned.png", exif=exif)
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "print.tif")
    read = lambda name: read_picture(tmp_path / name, "source_image", [16])  # noqa: E731
    np.testing.assert_allclose(read("deep.png"), 0.2, atol=1 / 255)
    np.testing.assert_allclose(read("palette.png"), 1.0)
    assert read("turned.png")[:, 8:].min() == 1 and read("turned.png")[:, :8].max() == 0
    np.testing.assert_allclose(read("print.tif")[0, 0], [1, 0, 0], atol=1 / 255)


def test_a_single_picture_is_refused_in_one_line(tmp_path):
    Image.new("RGB", (20, 16)).save(tmp_path / "wide.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    for name, message in (("wide.png", "20 x 16 pixels; takes 16 x 16 or 64 x 64"), ("broken.png", "cannot be read"),
                          (".", "cannot be read"), ("none.png", "no such file")):
        with pytest.raises(ValueError, match=message) as error:
            read_picture(tmp_path / name, f"source_image = {name!r}", [16, 64])
        assert "\n" not in str(error.value) and str(error.value).startswith("source_image = ")


def test_a_large_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    Image.new("L", (3000, 3000)).save(tmp_path / "large.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="3000 x 3000 pixels; takes 64 x 64"):
        read_picture(tmp_path / "large.png", "source_image", [64])


def test_so_is_one_of_a_set(folder, monkeypatch):
    Image.new("L", (3000, 3000)).save(folder / "large.png")
    monkeypatch.setattr("phasebook.models.pictures.image_sets.LARGEST", 8_999_999)
    whole = Image.Image.convert
    small = lambda self, *a: pytest.fail("decoded") if self.width > 99 else whole(self, *a)  # noqa: E731
    monkeypatch.setattr(Image.Image, "convert", small)
    with pytest.raises(ValueError, match=r"cannot read 'large.png' \(3000 x 3000 pixels, and at most 8999999 in all"):
        load_images(folder, 16)
    with pytest.raises(ValueError, match="source_image: 3000 x 3000 pixels; takes at most 8999999 in all"):
        read_picture(folder / "large.png", "source_image")


def test_a_picture_that_pillow_takes_for_a_bomb_is_too_large(folder, monkeypatch):
    Image.new("L", (3000, 3000)).save(folder / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4_000_000)
    with pytest.raises(ValueError, match=r"cannot read 'large.png' \(more than 100000000 pixels\)"):
        load_images(folder, 16)
    with pytest.raises(ValueError, match="source_image: more pixels than Pillow opens; takes at most 100000000 in all"):
        read_picture(folder / "large.png", "source_image")


@pytest.mark.parametrize("mode, kind", [("F", "floating-point"), ("I", "whole")])
def test_pixels_of_unknown_range_are_refused_in_words(folder, mode, kind):
    Image.new(mode, (16, 16), 1).save(folder / "c.tif")
    with pytest.raises(ValueError, match=f"source_image: pixels are 32-bit {kind} numbers of unknown range; takes 8"):
        read_picture(folder / "c.tif", "source_image")
    with pytest.raises(ValueError, match=r"cannot read 'c.tif' \(32-bit pixels\)"):
        load_images(folder, 16)


def test_pictures_beside_folders_are_a_family_of_the_directorys_name(folder):
    (folder / "inner").mkdir()
    Image.new("RGB", (12, 12), RED).save(folder / "inner" / "c.png")
    (folder / "notes.txt").write_text("passed over")
    assert set(load_images(folder, 16).families) == {folder.name, "inner"}


def test_a_drawing_is_refused_and_the_refusal_says_what_is_taken(folder):
    (folder / "a.svg").write_text("<svg/>")
    with pytest.raises(ValueError, match="'a.svg' .*; takes pictures that Pillow reads, of at most 16 bits a channel"):
        load_images(folder, 16)


def test_a_whole_disk_is_not_looked_through(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "LOOKED", 50)
    for k in range(30):
        (tmp_path / f"{k}" / "deep").mkdir(parents=True)
        (tmp_path / f"{k}" / "deep" / "a.txt").write_text("")
    walked = []
    walk = os.walk
    monkeypatch.setattr(picture_files.os, "walk", lambda root: (walked.append(step) or step for step in walk(root)))
    with pytest.raises(ValueError, match="holds more than 50 files and folders; takes a directory of pictures"):
        load_images(tmp_path, 8)
    assert len(walked) < 40


def test_the_root_of_the_disk_is_one_line():
    with pytest.raises(ValueError, match="^name = '/': ") as caught:
        load_images("/", 8)
    assert "\n" not in str(caught.value)


def sixteen_bits(path, values, clear=None):
    """A PNG of 16 bits a channel, grey or RGB, one number of which is transparent."""
    png(path, values.shape[1], 16, [row.astype(">u2").tobytes() for row in values], clear, 2 * (values.ndim - 2))


def png(path, width, bits, rows, clear=None, colour=0):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    through = b"" if clear is None else chunk(b"tRNS", np.array(clear, ">u2").tobytes())
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + through + chunk(b"IDAT", data) + chunk(b"IEND", b""))


@pytest.mark.parametrize("clear", [1000, (800, 1800, 2800)])
def test_what_is_transparent_in_sixteen_bits_is_white(folder, clear):
    values = np.full((16, 16, *np.shape(clear)), clear)
    values[:8] = 30000
    for given in (None, np.atleast_1d(clear)):
        sixteen_bits(folder / "c.png", values, given)
        pixels = load_images(folder, resolution=16).pixels[2]
        assert np.allclose(pixels[:8], 30000 / 65535, atol=1 / 255)
        assert np.allclose(pixels[8:], np.divide(clear, 65535) if given is None else 1, atol=1 / 255)


@pytest.mark.parametrize("most", [65535, 1000])
def test_a_grey_map_of_sixteen_bits_is_read(tmp_path, most):
    values = np.full((16, 16), most // 4, ">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 16 16 %d\n" % most + values.tobytes())
    assert np.allclose(read_picture(tmp_path / "a.pgm", "picture"), 0.25, atol=1 / 255)


@pytest.mark.parametrize("bits", [2, 4])
def test_what_is_transparent_in_grey_of_few_bits_is_white(tmp_path, bits):
    """The number that is transparent counts as the file's pixels do, from 0 to 3 or to 15."""
    shades = np.arange(16) % 2**bits
    row = np.packbits(shades[:, None] >> np.arange(bits)[::-1] & 1).tobytes()
    png(tmp_path / "a.png", 16, bits, 16 * [row], clear=1)
    expected = np.where(shades == 1, 1, shades / (2**bits - 1))
    assert np.allclose(read_picture(tmp_path / "a.png", "picture")[0, :, 0], expected, atol=1 / 255)


@pytest.mark.parametrize(("bits", "zero_is_black"), [(16, 1), (16, 0), (12, 1)])
def test_grey_of_many_bits_in_a_tiff(tmp_path, bits, zero_is_black):
    """12 bits have a white of their own, and a file says which end is black."""
    values = np.linspace(0, 2**bits - 1, 16).astype(int)
    spread = values[:, None] >> np.arange(bits)[::-1] & 1
    row = values.astype("<u2").tobytes() if bits == 16 else np.packbits(spread).tobytes()
    tags = [(256, 16), (257, 16), (258, bits), (259, 1), (262, zero_is_black), (273, 122), (277, 1), (278, 16),
            (279, 16 * len(row))]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, n) for tag, n in tags)
    (tmp_path / "a.tif").write_bytes(head + bytes(4) + 16 * row)
    expected = values / (2**bits - 1)
    read = read_picture(tmp_path / "a.tif", "picture")
    assert np.allclose(read, (expected if zero_is_black else 1 - expected)[:, None], atol=1 / 255)
