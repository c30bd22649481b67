"""The tracked sprite and table, and the command that makes them."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from phasebook.models.assets import asset
from tools import render_emoji
from tools.render_emoji import Emoji, caption_of, family_of, listed, sprite

EXCERPT = """\
# group: Smileys & Emotion
# subgroup: face-smiling
1F600                                      ; fully-qualified     # 😀 E1.0 grinning face
263A                                       ; unqualified         # ☺ E0.6 smiling face
# group: People & Body
# subgroup: hand-fingers-open
1F44B                                      ; fully-qualified     # 👋 E0.6 waving hand
1F44B 1F3FB                                ; fully-qualified     # 👋🏻 E1.0 waving hand: light skin tone
# subgroup: person-role
1F468 200D 2695 FE0F                       ; fully-qualified     # 👨‍⚕️ E4.0 man health worker
# group: Symbols
# subgroup: keycap
0023 FE0F 20E3                             ; fully-qualified     # #️⃣ E0.6 keycap: #
# subgroup: alphanum
1F201                                      ; fully-qualified     # 🈁 E0.6 Japanese “here” button
# group: Flags
# subgroup: flag
1F3C1                                      ; fully-qualified     # 🏁 E0.6 chequered flag
"""


@pytest.fixture(scope="module")
def table() -> list[dict[str, str]]:
    with open(asset("emoji/emoji.csv"), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    with Image.open(asset("emoji/emoji.png")) as image:
        assert image.mode == "P" and image.size == (40 * 64, 40 * 64)
        sheet = np.asarray(image.convert("RGB"))
    return np.stack([sheet[64 * y:64 * y + 64, 64 * x:64 * x + 64] for y in range(40) for x in range(40)])


def test_table_and_sprite_agree_in_number(table, cells):
    assert len(table) == len(cells) == 1600
    assert [int(row["index"]) for row in table] == list(range(1600))
    assert all((cell < 255).any() for cell in cells)


def test_pictures_names_and_captions_are_distinct(table, cells):
    assert len({cell.tobytes() for cell in cells}) == 1600
    for column in ("name", "caption", "code_points"):
        assert len({row[column] for row in table}) == 1600, column


def test_table_is_what_the_rules_say(table):
    """The tracked families and captions are those of the code, so neither is edited alone."""
    for row in table:
        assert row["family"] == family_of(row["name"], row["subgroup"])
        assert row["caption"] == caption_of(row["name"], row["subgroup"])
        assert re.fullmatch(r"[\w .,'!#*-]+", row["caption"]), row["caption"]
    assert sum(row["family"] != "" for row in table) == 420


def test_every_rule_has_its_pictures(table):
    names, subgroups = {row["name"] for row in table}, {row["subgroup"] for row in table}
    assert names >= render_emoji.STRAYS and subgroups >= render_emoji.WHOLE.keys()
    families = {row["family"] for row in table} - {""}
    assert families == set(render_emoji.WHOLE.values()) | {family for *_, family in render_emoji.PART}
    assert min(sum(row["family"] == family for row in table) for family in families) >= 9


def test_no_skin_tones_and_no_flags(table):
    assert not any(re.search("1F3F[B-F]", row["code_points"]) for row in table)
    assert {row["group"] for row in table} == {"Smileys & Emotion", "People & Body", "Animals & Nature",
                                               "Food & Drink", "Travel & Places", "Activities", "Objects", "Symbols"}


def test_licences_lie_beside_the_asset():
    assert "SIL OPEN FONT LICENSE Version 1.1" in asset("emoji/OFL.txt").read_text()
    assert "UNICODE LICENSE V3" in asset("emoji/UNICODE-LICENSE.txt").read_text()
    assert asset("emoji/emoji.png").stat().st_size < 1.3e6


def test_emoji_test_file_is_read_line_by_line():
    assert listed(EXCERPT) == [
        Emoji(0, "1F600", "grinning face", "Smileys & Emotion", "face-smiling", "faces", "grinning face"),
        Emoji(1, "1F44B", "waving hand", "People & Body", "hand-fingers-open", "hands", "waving hand"),
        Emoji(2, "1F468 200D 2695 FE0F", "man health worker", "People & Body", "person-role", "people",
              "man health worker"),
        Emoji(3, "0023 FE0F 20E3", "keycap: #", "Symbols", "keycap", "keycaps", "keycap #"),
        Emoji(4, "1F201", 'Japanese "here" button', "Symbols", "alphanum", "", "Japanese here button"),
    ]
    assert listed(EXCERPT)[2].text == "\U0001f468\u200d\u2695\ufe0f"


@pytest.mark.parametrize("name, subgroup, caption", [
    ("family: man, woman, girl, boy", "family", "family of man, woman, girl and boy"),
    ("family: man, boy", "family", "family of man and boy"),
    ("kiss: woman, man", "family", "woman and man kissing"),
    ("couple with heart", "family", "couple with heart"),
    ("man: beard", "person", "man with a beard"),
    ("woman: bald", "person", "bald woman"),
    ("one o'clock", "time", "clock showing one o'clock"),
    ("alarm clock", "time", "alarm clock"),
    ("Leo", "zodiac", "zodiac sign Leo"),
    ("AB button (blood type)", "alphanum", "AB button"),
])
def test_captions_read_naturally(name, subgroup, caption):
    assert caption_of(name, subgroup) == caption


def test_sprite_keeps_white_and_comes_close(cells):
    """Sixty pictures in a palette of 256: white exact, and within 6 of 255 in the mean."""
    chosen = cells[::27]
    image = sprite(chosen)
    assert image.mode == "P" and image.size == (2560, 128)
    sheet = np.asarray(image.convert("RGB"))
    assert (sheet[64:, 64 * 20:] == 255).all()
    made = np.stack([sheet[64 * (i // 40):, 64 * (i % 40):][:64, :64] for i in range(len(chosen))])
    white = (chosen == 255).all(axis=-1)
    assert (made[white] == 255).all()
    assert np.sqrt(((made.astype(float) - chosen) ** 2).mean()) < 6


@pytest.mark.parametrize("path", ["FONT", "EMOJI_TEST"])
def test_missing_package_is_named_in_one_line(monkeypatch, capsys, tmp_path, path):
    absent = {tmp_path / "none": render_emoji.PACKAGES[getattr(render_emoji, path)]}
    monkeypatch.setattr(render_emoji, "PACKAGES", absent)
    assert render_emoji.main([str(tmp_path / "out")]) == 2
    (package,) = absent.values()
    assert capsys.readouterr().err == f"missing Debian packages: apt install {package}\n"
    assert not (tmp_path / "out").exists()


def test_unwritable_directory_is_one_line(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(render_emoji, "missing", lambda: "")
    monkeypatch.setattr(render_emoji, "render", lambda directory: directory.mkdir(parents=True))
    assert render_emoji.main([str(tmp_path / "file" / "below")]) == 2
    assert re.fullmatch(r"directory = '.*': cannot be written \(Not a directory\)\n", capsys.readouterr().err)


def test_rendering_again_gives_the_sprite(table, cells):
    """Needs the font of the tracked version; elsewhere the asset is used as it is."""
    if render_emoji.missing():
        pytest.skip(render_emoji.missing())
    if "Version 2.042".encode("utf-16-be") not in render_emoji.FONT.read_bytes():
        pytest.skip("Noto Color Emoji is not of version 2.042, from which the sprite was made")
    font = render_emoji.load_font()
    for row in table[::53]:
        emoji = Emoji(**{**row, "index": int(row["index"])})
        difference = render_emoji.draw(emoji, font).astype(float) - cells[emoji.index]
        assert np.sqrt((difference**2).mean()) < 15, emoji.name
