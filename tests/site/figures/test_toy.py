"""The toy: its modes and its tree are Python's, in a browser without a network; every control does what it should."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.critical_points import mode_count_changes, modes
from phasebook.mixtures.modes.plane_tree import plane_tree
from phasebook.site.figures import toy

ALT = "Atoms in the plane"
PATIENCE = 60_000
TOY = "document.querySelector('.pb-toy').toy"


@pytest.fixture(scope="module")
def start() -> Mixture:
    return Mixture.atoms([[-1.2, 0.3], [0.2, 1.1], [1.3, 0.1]], np.array([0.3, 0.3, 0.4]))


@pytest.fixture(scope="module")
def html(start) -> str:
    return toy.toy_html(start, alt=ALT)


@pytest.fixture(scope="module")
def page(opened, html):
    with opened(html, ".pb-toy[data-ready=yes]") as page:
        yield page


def settled(page) -> None:
    page.wait_for_function(f"!{TOY}.due && !{TOY}.resting", timeout=PATIENCE)


def settings(seed: int) -> tuple[Mixture, np.ndarray]:
    """Two to five atoms and some levels."""
    rng = np.random.default_rng(seed)
    n = 2 + seed % 4
    mixture = Mixture(rng.uniform(-1.8, 1.8, (n, 2)), np.zeros(n), rng.dirichlet(np.ones(n) * 3))
    return mixture, np.exp(rng.uniform(np.log(toy.LOW), np.log(toy.HIGH), 6))


IN_PAGE = """([atoms, weights, levels, low, high]) => {
  const { Mixture, tree } = phasebookToyModel(), mixture = new Mixture(atoms, weights);
  const { births, joins } = tree(mixture, low, high);
  const posterior = levels.map((s) => { mixture.posterior(0.3, -0.2, s); return Array.from(mixture.r); });
  const modes = levels.map((s) => mixture.modes(s));
  return { modes, posterior, births, joins: joins.map((j) => [j.s, j.child, j.parent]) };
}"""


def computed(page, mixture: Mixture, levels: np.ndarray) -> dict:
    sent = [mixture.means.tolist(), mixture.weights.tolist(), levels.tolist(), toy.LOW, toy.HIGH]
    return page.evaluate(IN_PAGE, sent)


@pytest.mark.parametrize("seed", range(8))
def test_modes_posterior_and_tree_are_those_of_python(page, seed):
    mixture, levels = settings(seed)
    found = computed(page, mixture, levels)
    for s, there, posterior in zip(levels, found["modes"], found["posterior"], strict=True):
        wanted = modes(mixture, s)
        assert len(there) == len(wanted)
        apart = np.linalg.norm(wanted[:, None] - np.array(there), axis=2)
        assert apart.min(1).max() < 1e-3
        assert posterior == pytest.approx(mixture.responsibilities(np.array([0.3, -0.2]), 1.0, s).tolist(), abs=1e-9)
    tree = plane_tree(mixture, toy.LOW, toy.HIGH)
    assert found["births"] == pytest.approx(tree.births, rel=1e-3)
    assert [j[1:] for j in found["joins"]] == [[j.child, j.parent] for j in tree.joins]
    assert [j[0] for j in found["joins"]] == pytest.approx([j.s for j in tree.joins], rel=1e-3)


def test_levels_are_those_at_which_the_count_changes(page):
    mixture, levels = settings(6)
    found = computed(page, mixture, levels)
    changes = mode_count_changes(mixture, toy.LOW, toy.HIGH, 20, 1e-4)
    assert [j[0] for j in found["joins"]] == pytest.approx([s for s, _, _ in changes], rel=1e-3)


def test_basins_lead_where_the_score_leads(page, start):
    """Against the gradient flow, away from the borders."""
    side, s = 12, 0.4
    wanted, axis = modes(start, s), toy.REACH * (2 * (np.arange(side) + 0.5) / side - 1)
    x = np.stack(np.meshgrid(axis, axis[::-1]), -1).reshape(-1, 2)
    for _ in range(3000):
        x = x + 0.02 * s**2 * start.score(x, 1.0, s)
    ends = np.linalg.norm(x[:, None] - wanted, axis=2).argmin(1)
    found = page.evaluate(f"([m, s, side, reach]) => Array.from({TOY}.mixture.basins(m, s, side, reach))",
                          [wanted.tolist(), s, side, toy.REACH])
    assert np.mean(ends == np.array(found)) > 0.96


def middle(node) -> tuple[float, float]:
    box = node.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_pointer_and_keys_move_atoms(page):
    page.get_by_role("button", name="Start again").click()
    settled(page)
    handle = page.locator(".pbt-atom").nth(1)
    handle.scroll_into_view_if_needed()
    before, tree = page.evaluate(f"{TOY}.atoms[1]"), page.evaluate(f"JSON.stringify({TOY}.tree.joins)")
    (x, y), plane = middle(handle), page.locator(".pbt-plane").bounding_box()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y + 40, steps=3)
    page.mouse.up()
    settled(page)
    unit = 2 * toy.REACH / plane["width"]
    assert page.evaluate(f"{TOY}.atoms[1]") == pytest.approx([before[0] - 60 * unit, before[1] - 40 * unit], abs=0.03)
    assert page.evaluate(f"JSON.stringify({TOY}.tree.joins)") != tree
    x, y = page.evaluate(f"{TOY}.atoms[1]")
    handle.focus()
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp", "+"):
        page.keyboard.press(key)
    assert page.evaluate(f"{TOY}.atoms[1]") == pytest.approx([x - 0.05, y + 0.1])
    assert page.evaluate(f"{TOY}.weights[1]") == pytest.approx(0.35)
    for key in ("Control+-", "Control+ArrowLeft"):        # the browser's own
        page.keyboard.press(key)
    page.mouse.move(*middle(handle))
    page.mouse.down(button="right")
    page.mouse.move(0, 0)
    page.mouse.up(button="right")
    assert page.evaluate(f"{TOY}.atoms[1]") == pytest.approx([x - 0.05, y + 0.1])
    assert page.evaluate(f"{TOY}.weights[1]") == pytest.approx(0.35)
    page.keyboard.press("Delete")
    settled(page)
    assert page.locator(".pbt-atom").count() == 2
    assert page.get_by_role("button", name="Remove atom").is_disabled()


def test_atoms_are_added_and_weighed(page):
    page.get_by_role("button", name="Start again").click()
    for count in (4, 5):
        page.get_by_role("button", name="Add an atom").click()
        assert page.locator(".pbt-atom").count() == count
    settled(page)
    assert page.get_by_role("button", name="Add an atom").is_disabled()
    tree = page.evaluate(f"JSON.stringify({TOY}.tree.joins)")
    page.get_by_label("Weight of atom 5").fill("0.05")
    settled(page)
    assert page.evaluate(f"JSON.stringify({TOY}.tree.joins)") != tree
    page.get_by_role("button", name="Start again").click()
    assert page.locator(".pbt-atom").count() == 3


def test_noise_colours_and_the_triangle(page):
    drawn = lambda node: page.locator(node).evaluate("(c) => c.toDataURL()")  # noqa: E731
    seen = set()
    for level in ("0", "120", "240"):
        page.locator(".pb-toy .pbv-noise input").first.fill(level)
        settled(page)
        seen.add((drawn(".pbt-plane canvas"), drawn(".pbt-tree")))
    assert len(seen) == 3
    kinds = set()
    for kind in ("cells", "basins", "density"):
        page.locator(".pb-toy select").first.select_option(kind)
        kinds.add(drawn(".pbt-plane canvas"))
    assert len(kinds) == 3
    box = page.locator(".pbt-tree").bounding_box()
    page.mouse.click(box["x"] + 100, box["y"] + 0.3 * box["height"])
    settled(page)
    assert toy.LOW < page.evaluate(f"{TOY}.s") < toy.HIGH
    page.get_by_label("Start from").select_option(label="an equilateral triangle")
    settled(page)
    assert "4 modes" in page.locator(".pbt-words").inner_text()
    assert "in between" in page.locator(".pbt-tree").get_attribute("aria-label")


def test_every_control_has_a_name(page, nameless):
    assert nameless(page, ".pb-toy") == []


def test_a_phone_and_a_finger(opened, html):
    options = {"viewport": {"width": 360, "height": 800}, "has_touch": True, "is_mobile": True}
    with opened(html, ".pb-toy[data-ready=yes]", **options) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        handle = page.locator(".pbt-atom").nth(1)
        handle.tap()
        assert "Weight of atom 2" in page.locator(".pb-toy").inner_text()
        assert handle.evaluate("(n) => getComputedStyle(n).touchAction") == "none"


def test_without_scripts_the_picture_stands(opened, html):
    with opened(html, ".pbv-still", java_script_enabled=False) as page:
        assert page.locator(".pbv-still").get_attribute("alt") == ALT
        assert page.locator(".pbv-still").bounding_box()["width"] > 500


def test_what_cannot_be_shown_is_refused(start, capsys):
    with pytest.raises(ValueError, match="alt"):
        toy.toy_html(start, alt=" ")
    with pytest.raises(ValueError, match="s = 9"):
        toy.toy_html(start, alt=ALT, s=9)
    toy.show_toy(Mixture.atoms([[0.0, 0.0]]), alt=ALT)
    assert "HTML" in capsys.readouterr().out
