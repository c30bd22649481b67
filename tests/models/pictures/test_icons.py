"""The icons: two factors with words, disjoint parts, and pictures that are those of the sprites."""

import numpy as np
import pytest
import torch
from PIL import Image

from phasebook.models.assets import asset
from phasebook.models.pictures.icons import GENERIC, PARTS, SHARES, Icons, icons, prompt
from phasebook.models.pictures.image_sets import load_images


@pytest.fixture(scope="module")
def data() -> Icons:
    return icons()


def at(data: Icons, what: str, style: str) -> int:
    found = (data.what == data.whats.index(what)) & (data.style == data.styles.index(style))
    (place,) = found.nonzero().flatten().tolist()
    return place


def test_words_of_one_factor_or_two():
    assert prompt("red apple", "twemoji") == "red apple, twemoji style"
    assert prompt("red apple") == "red apple" and prompt(style="noto") == "emoji, noto style"
    assert prompt() == GENERIC == "emoji"


def test_every_picture_is_a_pair_of_its_own(data):
    pairs = set(zip(data.what.tolist(), data.style.tolist(), strict=True))
    assert len(pairs) == len(data) == 8104 and len(data.whats) == 1382 and len(data.styles) == 7
    assert len(set(data.names)) == len(data) and set(data.names) <= set(data.prompts)
    assert len(set(data.prompts)) == len(data.prompts) == 2 + 7 + 1382 + 7 * 1382
    assert data.families[data.family[at(data, "grinning cat", "noto")]] == "cats"
    assert data.families[data.family[at(data, "red apple", "noto")]] == "other"
    assert data.groups[data.group[at(data, "red apple", "twemoji")]] == "Food & Drink"


def test_pictures_lie_where_the_sprite_has_them(data):
    sheet = np.asarray(Image.open(asset("icons/flat-fluent.png")).convert("RGB"))
    own = (data.style == data.styles.index("flat fluent")).nonzero().flatten()
    for place in (0, 41, len(own) - 1):
        y, x = divmod(place, 40)
        cell = sheet[64 * y:64 * y + 64, 64 * x:64 * x + 64]
        assert np.array_equal(data.pixels[own[place]].permute(1, 2, 0).numpy(), cell)
    apple = data.floats(torch.tensor([at(data, "red apple", "twemoji")]))[0]
    assert apple.min() >= -1 and apple.max() == 1
    red, green, _ = apple[:, 36, 32]
    assert red > 0.5 > green


def test_parts_share_nothing_and_make_the_whole(data):
    parts = [data.only(part) for part in PARTS]
    assert sum(map(len, parts)) == len(data) and [len(part) for part in parts] == [3543, 3590, 489, 482]
    names = [set(part.names) for part in parts]
    assert len(set.union(*names)) == len(data)
    both = data.only("a", "b")
    assert len(both) == 3543 + 3590 and both.whats == data.whats and both.prompts == data.prompts
    assert set(both.style.tolist()) == set(range(6))
    for wrong in ((), ("c",), ("a", "held")):
        with pytest.raises(ValueError, match="takes names among a, b, held out, apart"):
            data.only(*wrong)


def test_prompts_are_drawn_at_their_shares(data):
    place = at(data, "red apple", "twemoji")
    calls = data.calls(torch.full((20_000,), place), torch.Generator().manual_seed(0))
    shares = {call: calls.count(call) / len(calls) for call in set(calls)}
    expected = {"": SHARES["empty"], "emoji": SHARES["generic"], "emoji, twemoji style": SHARES["style"],
                "red apple": SHARES["what"], "red apple, twemoji style": 1 - sum(SHARES.values())}
    assert shares.keys() == expected.keys()
    assert all(abs(shares[call] - expected[call]) < 0.015 for call in expected)


def test_as_an_image_set(data):
    few = data.at(torch.arange(0, len(data), 400))
    images = few.images
    assert images.resolution == 64 and images.names == few.names and images.groups == data.styles
    assert np.allclose(images.pixels[3] * 255, few.pixels[3].permute(1, 2, 0).numpy(), atol=1e-4)
    small = load_images("icons", resolution=8)
    assert len(small) == len(data) and small.names == data.names
    assert np.array_equal(small.group, data.style.numpy()) and small.families == data.families
