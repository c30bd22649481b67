"""The command that makes the icons: how sets are read, matched, drawn and split, and one line where it cannot."""

import csv
import io
import json
import tarfile
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from phasebook.models.assets import asset
from tools import make_icons
from tools.make_icons import STYLES, Drawings, draw, kebab, make, matched, things
from tools.split_icons import APART, NEAR, groups, split

drawing = pytest.mark.skipif(find_spec("resvg_py") is None, reason="resvg_py: not installed; pip install resvg-py")
SQUARE = '<path fill="#{}" d="M0 0h{}v{}H0z"/>'


def written(path, package, icons, *, aliases=None, chars=None, licence="MIT", size=(16, 16)):
    """A tarball as `npm pack` writes it."""
    files = {"icons": {"width": size[0], "height": size[1], "icons": icons, "aliases": aliases or {}},
             "info": {"name": package, "author": {"name": "A", "url": "https://a.example"},
                      "license": {"title": licence, "spdx": licence, "url": "https://l.example"}},
             "chars": chars or {}, "package": {"version": "1.0.0"}}
    file = path / f"iconify-json-{package}-1.0.0.tgz"
    with tarfile.open(file, "w:gz") as archive:
        for name, content in files.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(f"package/{name}.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file


def row(**changes):
    return {"code_points": "1F34E", "name": "red apple", "caption": "red apple", "subgroup": "food-fruit",
            "family": "", "group": "Food & Drink"} | changes


@pytest.fixture(scope="module")
def table():
    with open(asset("icons/icons.csv"), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- a set ------------------------------------------------------------------------------------------------------

def test_share_alike_is_refused(tmp_path):
    file = written(tmp_path, "noto", {}, licence="CC-BY-SA-4.0")
    with pytest.raises(ValueError, match=r"^iconify-json-noto-1.0.0.tgz: licence CC-BY-SA-4.0; takes Apache-2.0, "):
        Drawings.read(file)


@drawing
def test_drawings_fill_a_square_on_white(tmp_path):
    """A picture twice as wide as high lies in the middle, and its mirror image is one."""
    half = SQUARE.format("00f", 16, 16)
    file = written(tmp_path, "x", {"wide": {"body": half, "width": 32}, "whole": {"body": half}},
                   aliases={"flipped": {"parent": "wide", "hFlip": True}, "same": {"parent": "whole"}})
    drawings = Drawings.read(file)
    blue, white = [0, 0, 255], [255, 255, 255]
    assert (draw(drawings.svg("whole")) == blue).all() and (draw(drawings.svg("same")) == blue).all()
    wide, flipped = draw(drawings.svg("wide")), draw(drawings.svg("flipped"))
    assert wide.shape == (64, 64, 3)
    assert (wide[17:47, :31] == blue).all() and (wide[:, 33:] == white).all()
    assert (wide[:15] == white).all() and (wide[49:] == white).all()
    assert np.array_equal(flipped, wide[:, ::-1])


@pytest.mark.parametrize("name, spelt", [("Mother’s Day", "mothers-day"), ("piñata", "pinata"),
                                         ("keycap: #", "keycap-#"), ("UP! button", "up-button"),
                                         ("Mrs. Claus", "mrs-claus"), ("one o'clock", "one-oclock"),
                                         ("woman: bald", "woman-bald")])
def test_names_are_spelt_as_the_packages_do(name, spelt):
    assert kebab(name) == spelt


def test_matching_goes_by_code_point_then_by_name(tmp_path):
    icons = {"apple": {"body": ""}, "red-apple": {"body": ""}, "bear-face": {"body": ""}, "redapple": {"body": ""}}
    drawings = Drawings.read(written(tmp_path, "x", icons, chars={"1f34e-fe0f": "apple"}))
    assert matched(row(), "noto", drawings) == "apple"
    assert matched(row(code_points="1F34F"), "noto", drawings) == "red-apple"
    assert matched(row(code_points="1F43B", name="bear"), "noto", drawings) == "bear-face"
    assert matched(row(code_points="1F43B", name="boar"), "noto", drawings) is None
    assert matched(row(caption="cricket"), "emojione", drawings) is None            # its cricket is a bat
    no_names = Drawings.read(written(tmp_path, "y", {"redapple": {"body": ""}, "aubergine": {"body": ""}}))
    assert matched(row(), "firefox", no_names) == "redapple"
    assert matched(row(name="eggplant", caption="eggplant"), "firefox", no_names) == "aubergine"


def test_variants_of_a_person_are_left_out_and_things_are_not():
    captions = ["cook", "man cook", "person running", "woman running", "people wrestling", "men wrestling",
                "woman dancing", "man's shoe", "men's room", "Japanese secret button",
                "Japanese castle"]
    rows = [row(caption=caption) for caption in captions] + [row(caption="couple", subgroup="family"),
                                                             row(caption="family", subgroup="family")]
    assert [r["caption"] for r in things(rows)] == ["cook", "person running", "people wrestling", "woman dancing",
                                                    "man's shoe", "men's room", "Japanese castle",
                                                    "family"]


# --- the split --------------------------------------------------------------------------------------------------

def flat(colour):
    return np.full((64, 64, 3), colour, np.uint8)


def test_what_resembles_goes_together():
    """Grey levels 20 apart are near (20/127.5 = 0.157 < 0.2) and a chain joins its ends; the Fluent sets always are."""
    assert 20 / 127.5 < NEAR < 40 / 127.5
    found = groups({"noto": flat(0), "twemoji": flat(20), "emojione": flat(40), "old noto": flat(200),
                    "fluent": flat(120), "flat fluent": flat(250)})
    assert sorted(map(sorted, found)) == [["emojione", "noto", "twemoji"], ["flat fluent", "fluent"], ["old noto"]]


def test_the_split_of_a_thing_does_not_depend_on_others():
    styles = ["noto", "twemoji", "emojione", "fluent", "flat fluent", "old noto", APART]
    one = {("apple", style): flat(40 * i) for i, style in enumerate(styles)}
    more = {("pear", style): flat(40 * i) for i, style in enumerate(styles)} | one
    assert split(one).items() <= split(more).items()
    assert split(one)["apple", APART] == "apart"


def test_the_tracked_table_keeps_the_rules(table):
    assert len(table) == len({(line["what"], line["style"]) for line in table}) == 8104
    assert [line["style"] for line in table[::1]] == sorted((line["style"] for line in table), key=list(STYLES).index)
    assert {line["half"] for line in table if line["style"] == APART} == {"apart"}
    halves = {"a": set(), "b": set(), "held out": set(), "apart": set()}
    for line in table:
        halves[line["half"]].add(line["what"])
    assert 1000 <= len(halves["a"] | halves["b"]) <= 1500 and len(halves["a"] ^ halves["b"]) == 14
    assert halves["held out"] <= halves["a"] & halves["b"]
    part = {(line["what"], line["style"]): line["half"] for line in table}
    twins = [what for what, style in part if style == "fluent" and (what, "flat fluent") in part]
    assert len(twins) > 1300 and all(part[what, "fluent"] == part[what, "flat fluent"] for what in twins)
    for style in STYLES.keys() - {APART}:
        counts = [sum(line["style"] == style and line["half"] == half for line in table) for half in "ab"]
        assert min(counts) / max(counts) > 0.9, style


def test_no_picture_of_one_half_has_its_copy_in_the_other(table):
    from phasebook.models.pictures.icons import PARTS, icons

    data = icons()
    coarse = data.pixels.float().unflatten(-1, (32, 2)).unflatten(-3, (32, 2)).mean((-1, -3)) / 127.5
    for what in range(0, len(data.whats), 10):
        a, b = (coarse[(data.what == what) & (data.part == PARTS.index(half))].flatten(1) for half in "ab")
        if len(a) and len(b):       # palettes move pixels a little, so a little below the threshold
            assert ((a[:, None] - b) ** 2).mean(-1).sqrt().min() > NEAR - 0.03, data.whats[what]


# --- the command ------------------------------------------------------------------------------------------------

@drawing
def test_a_small_asset_from_tarballs(tmp_path):
    """Three things of the emoji table in all styles; one in too few is left out."""
    names = ["red-apple", "green-apple", "pear", "redapple", "greenapple"]
    for i, package in enumerate(STYLES.values()):
        icons = {name: {"body": SQUARE.format(f"{i}{k}f", 16 - i, 16)} for k, name in enumerate(names)}
        if i > 2:
            del icons["pear"]
        written(tmp_path, package, icons)
    assert make_icons.main([str(tmp_path / "out"), "--tarballs", str(tmp_path)]) == 0
    lines = list(csv.DictReader(open(tmp_path / "out" / "icons.csv", encoding="utf-8")))
    assert {line["what"] for line in lines} == {"red apple", "green apple"} and len(lines) == 14
    assert {line["kind"] for line in lines} == {"fruit"}
    for i, style in enumerate(STYLES):
        sheet = np.asarray(Image.open(tmp_path / "out" / f"{style.replace(' ', '-')}.png").convert("RGB"))
        own = [line for line in lines if line["style"] == style]
        cell = sheet[:64, 64 * int(own[0]["index"]):][:, :64]
        k = names.index(own[0]["source"])
        assert np.abs(cell[32, 8].astype(int) - [17 * i, 17 * k, 255]).max() <= 2
    assert "| firefox | fxemoji | [A](https://a.example) | [MIT]" in (tmp_path / "out/ATTRIBUTION.md").read_text()
    assert make(tmp_path, tmp_path / "again") == 14
    for file in (tmp_path / "out").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_what_is_missing_is_named_in_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(make_icons, "find_spec", lambda name: name)
    assert make_icons.main([str(tmp_path / "out"), "--tarballs", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (f"tarballs = {str(tmp_path)!r}: no iconify-json-noto-*.tgz; "
                                       "takes what `npm pack` wrote\n")
    monkeypatch.setattr(make_icons.shutil, "which", lambda name: None)
    assert make_icons.main([str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("npm: not found; install Node.js, or name a directory")
    monkeypatch.setattr(make_icons, "find_spec", lambda name: None)
    assert make_icons.main([str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "resvg_py: not installed; pip install resvg-py\n"


def test_npm_that_fails_is_told_in_one_line(monkeypatch, capsys, tmp_path):
    fake = tmp_path / "npm"
    fake.write_text("#!/bin/sh\necho 'npm error 404\nmore' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(make_icons, "find_spec", lambda name: name)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert make_icons.main([str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "npm pack @iconify-json/noto: npm error 404\n"


def test_the_asset_is_small_and_attributed():
    folder = asset("icons")
    assert sum(file.stat().st_size for file in folder.iterdir()) < 6e6
    text = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(f"| {style} |" in text and f"@iconify-json/{package} " in text for style, package in STYLES.items())
