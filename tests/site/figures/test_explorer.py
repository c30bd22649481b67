"""The explorer's data: what the script reads back is what was given, and bad input is refused in one line."""

import base64
import json
import re
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from phasebook.site.figures.explorer import explorer_html, pack, palette, quantise


@pytest.fixture
def slice_():
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 3 * 4 * 5 * 8 * 8 * 3).reshape(3, 4, 5, 8, 8, 3)
    return {"thumbnails": ramp.astype(np.uint8), "values": {"det G": rng.normal(size=(7, 9, 11))},
            "extent": [0, 1, -1, 2], "steps_shown": [0, 3, 6], "alt": "a slice"}


def given(thumbnails, values, **options):
    return explorer_html(thumbnails, values, **options)


def data(html: str) -> dict:
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.S)[1])


def levels(entry: dict, shape: tuple[int, ...]) -> np.ndarray:
    """The decoder of explorer.js, in NumPy."""
    steps = np.frombuffer(zlib.decompress(base64.b64decode(entry["data"])), np.uint8).reshape(shape)
    return np.cumsum(steps, axis=-1, dtype=np.uint8)


def test_maps_come_back_to_half_a_level(slice_):
    values = slice_["values"]["det G"]
    entry = data(given(**slice_))["maps"][0]
    back = entry["low"] + (entry["high"] - entry["low"]) * levels(entry, values.shape) / 255
    half_level = (values.max() - values.min()) / 510
    assert np.abs(back - values).max() <= half_level * (1 + 1e-12)
    assert (entry["low"], entry["high"]) == (values.min(), values.max())


def test_a_given_range_clips(slice_):
    values = slice_["values"]["det G"]
    found = levels(quantise("det G", values, (-0.5, 0.5)), values.shape)
    assert (found[values <= -0.5] == 0).all() and (found[values >= 0.5] == 255).all()


def test_a_constant_map_is_no_division_by_zero():
    entry = quantise("flat", np.full((1, 2, 2), 3.0), None)
    assert entry["low"] == 3.0 < entry["high"] and not levels(entry, (1, 2, 2)).any()


@pytest.mark.parametrize("shape", [(3, 4, 5, 8, 8, 3), (1, 1, 1, 16, 16, 3), (2, 3, 2, 8, 24, 3)])
def test_every_tile_lies_where_the_script_looks(shape):
    """Tile n = (step * rows + row) * cols + col at column n % across, row n // across; WebP is lossy by a little."""
    count = int(np.prod(shape[:3]))
    tones = np.linspace(0, 255, count).round().astype(np.uint8)
    tiles = np.broadcast_to(tones.reshape(*shape[:3], 1, 1, 1), shape)
    uri, across = pack(tiles)
    sheet = np.asarray(Image.open(BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB"), int)
    height, width = shape[3:5]
    for n in range(count):
        y, x = n // across * height, n % across * width
        middle = sheet[y + 2:y + height - 2, x + 2:x + width - 2]
        assert abs(middle.mean() - tones[n]) < 3


def test_size_of_a_full_explorer():
    """12 x 12 x 16 images of 32 px and two maps of 101 x 101 x 50 stay within 1.5 MB, whatever they show."""
    rng = np.random.default_rng(1)
    coarse = (rng.random((16 * 144, 4, 4, 3)) * 255).astype(np.uint8)
    smooth = np.stack([np.asarray(Image.fromarray(c).resize((32, 32), Image.Resampling.BICUBIC)) for c in coarse])
    waves = np.sin(np.linspace(0, 9, 101)[:, None] * np.linspace(0, 7, 101)) * np.linspace(0, 1, 50)[:, None, None]
    html = explorer_html(smooth.reshape(16, 12, 12, 32, 32, 3), {"a": waves, "b": np.exp(waves)}, extent=[0, 1, 0, 1],
                         steps_shown=np.linspace(0, 49, 16).round().astype(int), alt="a slice")
    assert len(html) <= 1_500_000


def test_the_palette_is_plotlys_viridis():
    found = palette("Viridis")
    assert found.shape == (256, 3) and tuple(found[0]) == (68, 1, 84) and tuple(found[-1]) == (253, 231, 37)


def test_the_output_holds_all_it_needs(slice_):
    html = given(**{**slice_, "alt": 'a "slice" </script>'})
    assert "src=" not in html and "http" not in re.sub(r"<script type.*?</script>", "", html, flags=re.S)
    assert html.count("</script>") == 2 and data(html)["alt"] == 'a "slice" </script>'


@pytest.mark.parametrize(("change", "message"), [
    ({"alt": " "}, "alt: empty"),
    ({"thumbnails": np.zeros((3, 4, 5, 8, 8, 3))}, "thumbnails: float64"),
    ({"thumbnails": np.zeros((3, 4, 5, 8, 8), np.uint8)}, "thumbnails: uint8"),
    ({"values": {}}, "values: take at least one map"),
    ({"values": {"a": np.zeros((7, 9, 1))}}, "at least 2 x 2"),
    ({"values": {"a": np.zeros((7, 9, 9)), "b": np.zeros((7, 9, 8))}}, "all of one shape"),
    ({"values": {"a": np.full((7, 9, 9), np.nan)}}, "not finite"),
    ({"extent": [1, 0, 0, 1]}, "extent = "),
    ({"extent": [0, 1]}, "extent = "),
    ({"extent": [0, np.inf, 0, 1]}, "extent = "),
    ({"steps_shown": [0, 3]}, "steps_shown = "),
    ({"steps_shown": [0, 3, 7]}, "steps_shown = "),
    ({"steps_shown": [3, 0, 6]}, "steps_shown = "),
    ({"ranges": {"det G": (1.0, 0.0)}}, "ranges['det G']"),
    ({"ranges": {"det H": (0.0, 1.0)}}, "ranges: no map 'det H'"),
    ({"start_step": 7}, "start_step = 7"),
])
def test_bad_input_is_one_line(slice_, change, message):
    with pytest.raises(ValueError) as caught:
        given(**{**slice_, **change})
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_name_from_elsewhere_is_no_markup(slice_):
    name = "<!--<script>"
    slice_["values"] = {name: slice_["values"]["det G"]}
    html = given(**{**slice_, "alt": name})
    assert data(html)["maps"][0]["label"] == name and "<!--" not in html


def test_a_phone_shows_how_to_unpin(opened):
    """A strip of many steps scrolls; its button does not."""
    html = explorer_html(np.zeros((16, 2, 2, 8, 8, 3), np.uint8), {"a": np.zeros((16, 2, 2))}, extent=[0, 1, 0, 1],
                         steps_shown=np.arange(16), pins=[(0, 1)], alt="a slice")
    with opened(html, ".pb-explorer[data-ready=yes]", viewport={"width": 360, "height": 800}) as page:
        box = page.locator(".pbx-pin button").bounding_box()
        assert box["x"] + box["width"] <= 340
        assert page.locator(".pbx-pin canvas").first.bounding_box()["y"] >= box["y"] + box["height"]
