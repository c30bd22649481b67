"""The live diagram: its numbers are Python's, in a browser without a network; every control changes what it should."""

import json
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import torch

from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.sampling.protocols import Prompt
from phasebook.site.figures import live
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import slice_of

ALT = "A slice of the exact model"
STEPS, BANK = 30, 6
PATIENCE = 60_000       # ms; the machine may be busy


@pytest.fixture(scope="module")
def model() -> ExactModel:
    return ExactModel.of(load_images("families", 16))


@pytest.fixture(scope="module")
def bank(model) -> np.ndarray:
    return np.concatenate([seeded_anchors(model.shape, seed) for seed in range(6, 6 + BANK // 3)])


@pytest.fixture(scope="module")
def data(model, bank) -> dict:
    return live.numbers(model, bank, model.levels(STEPS))


@pytest.fixture(scope="module")
def html(model, bank, tmp_path_factory) -> Path:
    """A page with the diagram."""
    file = tmp_path_factory.mktemp("live") / "page.html"
    body = live.live_html(model, bank, model.levels(STEPS), alt=ALT, step=12)
    file.write_text('<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
                    f'<body style="margin: 20px; max-width: 760px">{body}')
    return file


@pytest.fixture(scope="module")
def page(browser, html):
    """It, opened without a network, with the first picture drawn."""
    context = browser.new_context(viewport={"width": 1000, "height": 900}, offline=True)
    page, complaints = context.new_page(), []
    page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("request", lambda r: r.url.split(":")[0] in ("file", "data", "blob") or complaints.append(r.url))
    page.goto(html.as_uri())
    page.wait_for_selector(".pb-live[data-ready=yes]", timeout=PATIENCE)
    yield page
    assert complaints == []


def settings(model, rng, bank) -> dict:
    """Anchors of the bank or mixed from it, a point, some families off, a bias on one that is on."""
    mixed = rng.normal(size=(3, BANK)) if rng.random() < 0.5 else np.eye(BANK)[rng.permutation(BANK)[:3]]
    mixed /= np.sqrt(np.einsum("ai,ij,aj->a", mixed, np.cov(bank.reshape(BANK, -1).astype(float)), mixed))[:, None]
    off = rng.permutation(len(model.families))[:rng.integers(0, 12)]
    prior = np.where(model.family == rng.integers(len(model.families)), rng.uniform(-12, 12), 0.0)
    return {"anchors": mixed, "point": rng.uniform(-0.3, 1.3, 2), "on": ~np.isin(model.family, off), "prior": prior}


def by_python(model, bank, one) -> np.ndarray:
    """The posterior at every step over all atoms, from `phasebook.models.exact`."""
    anchors = np.tensordot(one["anchors"], bank.astype(float), 1)
    index = np.flatnonzero(one["on"])
    kept = model.subset(index)
    vars(kept)["gram"] = model.gram[index][:, index]        # as it would make it, from pictures
    c, _ = Plane(anchors).coefficients(*one["point"][:, None])
    prompt = Prompt({"log_prior": torch.as_tensor(one["prior"][index])[None].to(kept.atoms)}, 1.0)
    found = np.zeros((STEPS, len(model.atoms)))
    for frame in kept.sweep(kept.start(anchors, c), kept.levels(STEPS), prompt):
        found[frame.step, index] = kept.weights(frame.x0)[0].numpy()
    return found


COURSES = """([data, settings, plain]) => {
  const { Model, course } = phasebookLiveModel(), model = new Model(data);
  return settings.map((s) => {
    const found = course(model, s.anchors, s.point, s.prior.map((p) => p ?? -Infinity), plain);
    const raw = new Uint8Array(found.buffer);
    let text = "";
    for (let k = 0; k < raw.length; k += 8192) text += String.fromCharCode(...raw.subarray(k, k + 8192));
    return btoa(text);
  });
}"""
FRAMES = """async ([data, side, window, plain]) => {
  const { Model, run } = phasebookLiveModel(), model = new Model(data), frames = [];
  const anchors = data.anchors.map((k) => data.covariance.map((_, b) => Number(b === k)));
  await run(model, side, 1, { anchors, window, prior: null, plain }, (f) => frames.push(f));
  return frames.map((f) => [Array.from(f.trace), Array.from(f.atom), Array.from(f.family)]);
}"""


def decoded(texts) -> np.ndarray:
    return np.stack([np.frombuffer(b64decode(t), np.float32) for t in texts]).reshape(len(texts), STEPS, -1)


def test_the_posterior_is_that_of_python_at_random_points_and_settings(page, model, bank, data):
    """At every step; with vectors, and with plain arrays where there are none."""
    rng = np.random.default_rng(0)
    ordered = bank[live._spread(BANK)]
    drawn = [settings(model, rng, ordered) for _ in range(200)]
    sent = [{"anchors": s["anchors"].tolist(), "point": s["point"].tolist(),
             "prior": [float(p) if on else None for p, on in zip(s["prior"], s["on"], strict=True)]} for s in drawn]
    wanted = np.stack([by_python(model, ordered, s) for s in drawn])
    for plain, count in ((False, 200), (True, 20)):
        found = decoded(page.evaluate(COURSES, [data, sent[:count], plain]))
        assert np.abs(found - wanted[:count]).max() < 1e-3


def test_the_maps_are_those_of_a_slice(page, model, bank, data):
    """Trace by the same finite differences, likeliest pictures and families, on the middles of the window's cells."""
    side, (a0, a1, b0, b1) = 12, (-0.2, 1.1, 0.1, 0.9)
    h, k = (a1 - a0) / side / 2, (b1 - b0) / side / 2
    plane = Plane(bank[:3], (a0 + h, a1 - h, b0 + k, b1 - k), side)
    ds = slice_of(model, plane, model.levels(STEPS), fields=model.fields)
    frames = page.evaluate(FRAMES, [data, side, [a0, a1, b0, b1], False])
    trace, atom, family = (np.array([f[i] for f in frames]).reshape(STEPS, side, side) for i in range(3))
    np.testing.assert_allclose(trace, ds.values("trace"), rtol=0.01, atol=1e-7)
    assert np.mean(atom == ds.data.atom.values) > 0.999
    late = ds.data.entropy_atom.values < 0.1          # there the likeliest family is that of the likeliest picture
    assert np.array_equal(family[late], model.family[ds.data.atom.values[late]])


LIVE = "document.querySelector('.pb-live').live"
# what was computed last, at the present step: trace and weights on the coarse grid, posterior of the point
STATE = (f"(() => {{ const l = {LIVE}, f = l.frames[8][l.step]; "
         "return [f.trace, f.weights, l.path].map((a) => a.join()); })()")
DRAWN = "(c) => c.toDataURL()"
PANELS = (".pbv-panels canvas:first-child", ".pbv-panels canvas:last-child")


def computed(page, side: int = 8) -> None:
    """Wait until the last job's grid of `side` is there."""
    page.wait_for_function(f"(() => {{ const l = {LIVE}; return l && !l.due && !l.looking && l.shown === l.job && "
                           f"l.frames[{side}]?.length === l.model.steps; }})()", timeout=PATIENCE)


def changes(page, act, path: bool = True) -> None:
    """`act` changes trace and weights of the slice, and the posterior of the point."""
    computed(page)
    before = page.evaluate(STATE)
    act()
    computed(page)
    after = page.evaluate(STATE)
    assert [x != y for x, y in zip(before, after, strict=True)] == [True, True, path]


def test_the_first_picture_comes_soon_and_the_whole_follows(page):
    computed(page, 40)
    times = page.evaluate(f"{LIVE}.times")
    assert times["opened"] < times["first"] < 0.6 * times["whole"]


def test_pointer_moves_anchors_window_and_point(page):
    handle, panel = page.locator(".pbv-disc button").nth(1), page.locator(PANELS[0])

    def drag(node, by, button="left"):
        box = node.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down(button=button)
        page.mouse.move(x + by[0], y + by[1], steps=4)
        page.mouse.up(button=button)

    changes(page, lambda: drag(handle, (-20, -30)))
    window = page.evaluate(f"{LIVE}.window")
    drag(panel, (70, 30))
    computed(page)
    moved = np.subtract(page.evaluate(f"{LIVE}.window"), window)
    side = panel.bounding_box()["width"]
    assert moved == pytest.approx([30 / side, 30 / side, -70 / side, -70 / side], abs=0.01)
    before = page.evaluate(f"[{LIVE}.window, {LIVE}.places]")
    drag(panel, (70, 30), "right")          # opens the browser's menu
    drag(handle, (20, 30), "right")
    assert page.evaluate(f"[{LIVE}.window, {LIVE}.places]") == before
    where = page.locator(".pbv-course p").inner_text()
    box = panel.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.8 * box["height"])
    page.wait_for_function(f"document.querySelector('.pbv-course p').textContent !== {json.dumps(where)}")


def test_a_finger_moves_anchors_and_point(browser, html):
    context = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True, offline=True)
    page = context.new_page()
    page.goto(html.as_uri())
    computed(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    where = page.locator(".pbv-course p").inner_text()
    page.locator(PANELS[0]).tap(position={"x": 60, "y": 60})
    page.wait_for_function(f"document.querySelector('.pbv-course p').textContent !== {json.dumps(where)}")
    assert page.locator(".pbv-disc button").first.evaluate("(n) => getComputedStyle(n).touchAction") == "none"
    window, box = page.evaluate(f"{LIVE}.window"), page.locator(PANELS[0]).bounding_box()
    hand = context.new_cdp_session(page)
    for kind, apart in [("touchStart", 0), *(("touchMove", 10 * k) for k in range(1, 8)), ("touchEnd", None)]:
        ends = [] if apart is None else [100 - apart / 2, 180 + apart]
        fingers = [{"x": box["x"] + x, "y": box["y"] + 90, "id": k} for k, x in enumerate(ends)]
        hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    page.wait_for_function("visualViewport.scale > 1.2")         # two fingers are for the page
    assert page.evaluate(f"{LIVE}.window") == window
    context.close()


def test_keys_move_anchors_window_point_and_noise(page):
    changes(page, lambda: (page.locator(".pbv-disc button").nth(1).focus(), page.keyboard.press("PageDown")))
    places = page.evaluate(f"{LIVE}.places")
    page.keyboard.press("Control+ArrowLeft")                    # the browser's own
    assert page.evaluate(f"{LIVE}.places") == places
    page.locator(PANELS[0]).focus()
    for key, path in (("Shift+ArrowUp", True), ("+", False), ("Home", True)):
        changes(page, lambda key=key: page.keyboard.press(key), path)
    for _ in range(8):
        page.keyboard.press("+")
    place = page.locator(".pbv-course p").inner_text().split(":")[0]
    page.keyboard.press("ArrowUp")                              # also close by its place is told
    page.wait_for_function(f"document.querySelector('.pbv-course p').textContent.split(':')[0] !== '{place}'")
    page.keyboard.press("Home")
    for key, back in (("ArrowUp", "ArrowDown"), ("ArrowLeft", "ArrowRight"), ("PageDown", "PageUp")):
        said = page.locator(".pbv-aloud").inner_text()
        page.keyboard.press(key)
        page.wait_for_function(f"document.querySelector('.pbv-aloud').textContent !== {json.dumps(said)}")
        page.keyboard.press(back)


def test_noise_map_families_and_prompt(page):
    changes(page, lambda: page.locator(".pbv-noise input").fill("27"), path=False)      # known at all steps
    pictures = set()
    for kind in ("trace", "atom", "family"):
        page.locator(".pb-live select").select_option(kind)
        pictures.add(page.locator(PANELS[1]).evaluate(DRAWN))
    assert len(pictures) == 3
    changes(page, lambda: page.locator(".pbv-choices input[type=text]").fill("moons"))
    assert "on 13 pictures" in page.locator(".pb-live").inner_text()
    page.locator(".pbv-families summary").click()
    changes(page, lambda: page.get_by_label("moons", exact=True).uncheck())
    page.locator(".pbv-choices input[type=text]").fill("no such thing")
    assert "names no picture" in page.locator(".pb-live").inner_text()
    page.get_by_role("button", name="Start again").click()
    computed(page)
    assert page.locator(".pbv-families input:not(:checked)").count() == 0


def test_every_control_has_a_name(page, nameless):
    assert nameless(page, ".pb-live") == []


def test_without_scripts_the_picture_stands(browser, html):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(html.as_uri())
    assert page.locator(".pbv-still").get_attribute("alt") == ALT
    assert page.locator(".pbv-still").bounding_box()["width"] > 500
    context.close()


@pytest.mark.parametrize(("change", "names"), [({"alt": " "}, "alt"), ({"step": 30}, "step"), ({"bank": 2}, "bank")])
def test_what_cannot_be_shown_is_refused(model, bank, change, names):
    options = {"alt": ALT, "step": 0} | {k: v for k, v in change.items() if k != "bank"}
    with pytest.raises(ValueError, match=names):
        live.live_html(model, bank[:change.get("bank", BANK)], model.levels(STEPS), **options)


def test_a_flat_map_has_a_picture_too(bank):
    """Data so far apart that one atom has all the weight everywhere: no difference, hence no scale."""
    far = ExactModel.of(load_images("families", 16), norm=1e4)
    _, (low, high) = live._still(far, bank[:3], far.levels(4), 2)
    assert np.isfinite([low, high]).all() and low < high


def test_too_many_pictures_are_a_sentence(capsys):
    many = ExactModel.of_points(np.random.default_rng(0).normal(size=(live.MOST_ATOMS + 1, 4)))
    live.show_live(many, np.zeros((3, 4)), many.levels(2), alt=ALT, step=0)
    assert "HTML" in capsys.readouterr().out
