"""The album: every state shows its own tile and its own words, by mouse and keys, without a network."""

import numpy as np
import pytest

from phasebook.site.figures.album import Album, Choice, Drawing, Panel, album_html

ALT = "Pictures to choose"
SVG = '<svg viewBox="0 0 80 60" role="img" aria-label="A tree"><g class="pba-mark"><line x2="80"/></g></svg>'


def made(**changes) -> Album:
    """A button, a select and a slider; a map over two of them, pictures over all; each tile has a grey of its own."""
    choices = [Choice("Model", ["one", "other"], "button"), Choice("Target", ["cat", "dog", "owl"], "select", 1),
               Choice("Noise", ["high", "low"], "slider", 0, "Lower the noise")]
    greys = np.arange(12, dtype=np.uint8).reshape(2, 3, 2) * 20
    tiles = np.broadcast_to(greys[..., None, None, None], (2, 3, 2, 8, 8, 3))
    maps = np.broadcast_to(greys[:, 0, :, None, None, None], (2, 2, 6, 6, 3))
    panels = [Panel("Map", ["Model", "Noise"], maps, ["a map"], True),
              Panel("Picture", ["Model", "Target", "Noise"], tiles, [f"tile {k}" for k in range(12)], words=True)]
    given = {"choices": choices, "panels": panels, "noted": ["Target"], "notes": ["a cat", "a dog", "an owl"],
             "drawing": Drawing(SVG, 1, "Noise", np.array([0.0, 30.0]))}
    return Album(**given | changes)


@pytest.fixture(scope="module")
def page(opened):
    with opened(album_html(made(), alt=ALT), ".pb-album[data-ready=yes]") as page:
        yield page


def greys(page) -> list[int]:
    one = "(all) => all.map((c) => c.getContext('2d').getImageData(3, 3, 1, 1).data[0])"
    return page.eval_on_selector_all(".pb-album canvas", one)


def test_every_state_shows_its_own_tile_and_words(page):
    button, target = page.locator(".pb-album button").first, page.get_by_label("Target")
    noise = page.locator(".pb-album input")
    for model in (0, 1):
        for k, name in enumerate(("cat", "dog", "owl")):
            for level in (0, 1):
                target.select_option(label=name)
                noise.fill(str(level))
                at = 6 * model + 2 * k + level
                found = greys(page)
                assert found[0] == 20 * (6 * model + level) and abs(found[1] - 20 * at) <= 4
                assert page.locator(".pba-words").inner_text() == f"tile {at}"
                assert page.locator(".pb-album > .pbt-words").inner_text().endswith(name)
                assert page.locator(".pba-mark").get_attribute("transform") == f"translate(0 {30 * level})"
        assert button.inner_text() == f"Show {('other', 'one')[model]}"
        button.click()


def test_keys_and_the_run_through_the_noise(page):
    noise = page.locator(".pb-album input")
    noise.fill("0")
    noise.focus()
    page.keyboard.press("ArrowRight")
    assert noise.get_attribute("aria-valuetext") == "low"
    page.get_by_role("button", name="Lower the noise").click()
    page.wait_for_function("document.querySelector('.pb-album input').getAttribute('aria-valuetext') === 'low'")
    page.locator(".pb-album button").first.focus()
    before = page.locator(".pba-words").inner_text()
    page.keyboard.press("Enter")
    assert page.locator(".pba-words").inner_text() != before
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.pbv-aloud').textContent.startsWith('a')")


def test_every_control_has_a_name(page, nameless):
    assert nameless(page, ".pb-album") == []


def test_a_phone_and_a_page_without_scripts(opened):
    html = album_html(made(), alt=ALT)
    with opened(html, ".pb-album[data-ready=yes]", viewport={"width": 360, "height": 700}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        value = page.locator(".pbv-noise output")
        value.evaluate("(n) => { n.textContent = 'a long value, as k = 49, σ/α = 0.041'; }")
        assert value.evaluate("(n) => n.getBoundingClientRect().right") <= 341      # below its slider
    with opened(html, ".pbv-still", java_script_enabled=False) as page:
        assert page.locator(".pbv-still").get_attribute("alt") == ALT
        assert page.locator(".pb-album svg").is_visible()


@pytest.mark.parametrize(("changes", "names"), [
    ({"notes": ["a cat"]}, "notes: 1 of them"), ({"drawing": Drawing(SVG, 0, "Noise", np.zeros(3))}, "marks: 3"),
    ({"panels": [Panel("Map", ["Model"], np.zeros((3, 4, 4, 3), np.uint8), ["a"])], "drawing": None}, "tiles of 'Map'"),
    ({"panels": [Panel("Map", ["Model"], np.zeros((2, 4, 4, 3), np.uint8), list("abc"))], "drawing": None}, "alts of"),
], ids=["notes", "marks", "tiles", "alts"])
def test_what_does_not_fit_is_refused(changes, names):
    with pytest.raises(ValueError, match=names):
        album_html(made(**changes), alt=ALT)
    with pytest.raises(ValueError, match="alt"):
        album_html(made(), alt="")
