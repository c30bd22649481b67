"""The built pages in a browser: whole without a network, readable in both themes and on a phone, explorer alive.

Chromium is required where the environment variable CI is set; elsewhere its absence is said and the tests are skipped.
"""

import json
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from PIL import Image
from playwright.sync_api import Browser, Error, Page, sync_playwright

from phasebook.site.build import runner
from phasebook.site.build.pdf import NAMES
from phasebook.site.build.sources import CLAIMS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLAGS = ("--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
         "--no-first-run").split()
PATIENCE = 60_000  # ms; the machine may be busy
# figures, explorers and equations that are not on the page yet
UNDRAWN = (".pb-plotly:not([data-drawn]), .pb-explorer:not([data-ready=yes]), .pb-widget:not([data-ready=yes]), "
           ".math:not(:has(mjx-container))")
READY = f"document.readyState === 'complete' && !document.querySelector('{UNDRAWN}')"


def executable() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def launch():
    """Starts Chromium with further flags."""
    path = executable()
    if path is None and not os.environ.get("CI"):
        pytest.skip("no Chromium on this machine (Debian: apt install chromium); required only where CI is set")
    assert path, "CI is set, and no Chromium was found: install it (Debian: apt install chromium)"
    with sync_playwright() as play:
        yield lambda *flags: play.chromium.launch(executable_path=path, args=[*FLAGS, *flags])


@pytest.fixture(scope="module")
def browser(launch):
    found = launch()
    yield found
    found.close()


@pytest.fixture(scope="module", params=["smoke", "default"])
def folder(request, site) -> Path:
    """The pages under test: the smoke book, and the book itself where it was built."""
    if request.param == "smoke":
        return site
    built = runner.root() / "_build" / "html"
    if not (built / "index.html").is_file():
        pytest.skip("the book at full size is not built here (make book)")
    return built


@dataclass
class Watch:
    """What a page did that it should not."""

    folder: Path
    complaints: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("console", lambda m: m.type == "error" and self.complaints.append(f"console: {m.text[:300]}"))
        page.on("pageerror", lambda e: self.complaints.append(f"error: {e}"))
        page.on("request", lambda r: self.request(r.url))
        page.on("requestfailed", lambda r: self.complaints.append(f"failed: {r.url[:200]}"))

    def request(self, url: str) -> None:
        inside = url.startswith(self.folder.as_uri()) or url.split(":")[0] in ("data", "blob")
        if not inside:
            self.complaints.append(f"request: {url[:200]}")


@contextmanager
def blank(browser: Browser, folder: Path, width: int = 1280, theme: str = "light"):
    """An empty page and its watch."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, offline=True)
    context.set_default_timeout(PATIENCE)
    page, watch = context.new_page(), Watch(folder)
    watch.follow(page)
    yield page, watch
    context.close()


def load(page: Page, watch: Watch, file: Path) -> None:
    """Until all is drawn; on a first visit, also where the tab has shown another page."""
    if page.url != "about:blank":       # the theme keeps what it chose
        page.evaluate("localStorage.clear(); sessionStorage.clear();")
    page.goto(file.as_uri())
    try:
        page.wait_for_function(READY, timeout=PATIENCE)
    except Error:
        undone = page.eval_on_selector_all(UNDRAWN, "(all) => all.map((n) => n.outerHTML.slice(0, 200))")
        pytest.fail(f"{file.name}: not drawn within {PATIENCE} ms: {undone}; {watch.complaints}")


@contextmanager
def opened(browser: Browser, folder: Path, file: Path):
    """A page, loaded and drawn, and its watch."""
    with blank(browser, folder) as (page, watch):
        load(page, watch, file)
        yield page, watch


def pages(folder: Path) -> list[Path]:
    """Every page of the site but the redirection at its root."""
    found = [f for f in sorted(folder.rglob("*.html")) if "_static" not in f.parts and f != folder / "index.html"]
    assert len(found) >= 3, f"{folder} holds too few pages: {found}"
    return found


def pages_with(folder: Path, mark: str) -> list[Path]:
    return [f for f in pages(folder) if mark in f.read_text(encoding="utf-8")]


# Drawn charts and formulas are images with a text; what is inside them is not read out. What all pages have alike, and
# what one template makes a hundredfold, is looked at where it comes first.
IMAGES = [".pb-plotly svg", "mjx-container"]
ALIKE = [".bd-header", ".bd-sidebar-primary", ".bd-footer", ".highlight"]
FEWER = """(whole) => { const few = (all) => [...all].slice(12).forEach((n) => n.remove());
  few(document.querySelectorAll('dl.py, section section:has(> h3), .genindextable li'));  // of the library's names
  few(document.querySelectorAll('.page-toc li li'));
  document.querySelectorAll('tbody').forEach((n) => few(n.rows)); // the ledger
  document.querySelector('.onlyprint')?.remove();                 // no screen shows it
  const drawn = '.pb-plotly svg, mjx-container svg, mjx-assistive-mml' + (whole ? '' : ', .highlight pre');
  document.querySelectorAll(drawn).forEach((n) => n.replaceChildren()); }"""
# Of elements with text that have, with all above them, the same names, classes and styles, two show the colours of all.
TWO_OF_A_KIND = """() => { const seen = new Map(), kinds = new Map();
  const kind = (n) => kinds.get(n) ?? (kinds.set(n, [n.parentElement && kind(n.parentElement), n.localName,
    n.getAttribute('class'), n.getAttribute('style')].join()), kinds.get(n));
  const told = (n) => n.matches('input, select') || [...n.childNodes].some((c) => c.nodeType === 3 && c.data.trim());
  const visit = (n) => { const all = [n, ...n.querySelectorAll('*')].filter(told).map(kind);
    if (n.matches('.pb-widget, .pb-explorer, .pb-plotly')) return;          // scripts look after these
    if (all.length && all.every((k) => seen.get(k) >= 2)) return n.remove();
    if (told(n)) seen.set(kind(n), (seen.get(kind(n)) ?? 0) + 1);
    [...n.children].forEach(visit); };
  document.querySelectorAll('.bd-article').forEach(visit); }"""
COLOURS = ["color-contrast", "link-in-text-block"]       # rules that a theme may break; and the dearest that are minor
MILD = ("region aria-deprecated-role landmark-one-main page-has-heading-one landmark-unique heading-order skip-link "
        "server-side-image-map image-redundant-alt").split()
AXE = """([skip, rules]) => axe.run({exclude: skip.map((one) => [one])},
  {resultTypes: ['violations'], preload: false, ...rules})
  .then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact))
    .flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target} ${n.html.slice(0, 120)}`)))"""


def findings(page: Page, rules: dict, whole: bool = True) -> list[str]:
    """What axe-core calls serious or critical by some rules; on the whole page, or in what it does not have in common
    with others."""
    asked = [IMAGES if whole else IMAGES + ALIKE, rules]
    first = page.evaluate(AXE, asked)
    if first:           # boxes that scroll are made stops half a second after loading
        page.wait_for_timeout(1500)
    return first and page.evaluate(AXE, asked)


# but the live diagram's, which is an instrument of its own
STOPS = """[...document.querySelectorAll('.bd-article :is(a[href], button, input, select, summary, [tabindex])')]
  .filter((n) => !n.closest('.pb-live') && n.tabIndex >= 0 && !n.disabled && n.getClientRects().length).length"""


# code and equations that need to be scrolled on a screen of ordinary width
CUT = """[...document.querySelectorAll('.bd-article :is(pre, div.math, div.math > mjx-container)')]
  .filter((n) => n.checkVisibility() && n.scrollWidth > n.clientWidth + 1).map((n) => n.textContent.slice(0, 80))"""


# a desk, a tablet and a phone, each by day and by night; one step changes one of the two
SETTINGS = [(1280, "light"), (1280, "dark"), (768, "dark"), (768, "light"), (360, "light"), (360, "dark")]


@pytest.mark.parametrize("part", range(4))      # of like length, for workers
def test_every_page_is_whole_without_a_network(browser, folder, part):
    """Loaded once, at a desk by day, and read in every setting. One tab, which keeps its compiled scripts."""
    coloured = {*pages_with(folder, "pb-explorer"), *pages_with(folder, "heatmap")[::3]}
    with blank(browser, folder) as (page, watch):
        for file in sorted(pages(folder), key=lambda f: f.stat().st_size)[part::4]:
            page.set_viewport_size({"width": 1280, "height": 900})
            load(page, watch, file)
            is_whole(page, file)
            seen = {}
            for width, theme in SETTINGS:
                where = f"{file.name}, {width} px, {theme}"
                page.set_viewport_size({"width": width, "height": 900})
                turned(page, theme)             # what is near; the rest is drawn anew where it is reached
                fits(page, where, width)
                assert width < 768 or page.evaluate(CUT) == [], f"{where}: wider than its box"
                if width == 1280 and file in coloured:
                    seen[theme] = fields(page)
                assert watch.complaints == [], where
            if seen:
                same_colours(file, **seen)
            page.set_viewport_size({"width": 1280, "height": 900})
            whole = file.name.startswith(("intro", "01_"))
            page.evaluate(FEWER, whole)
            page.evaluate(AXE_SCRIPT)
            found = findings(page, {"rules": {rule: {"enabled": False} for rule in COLOURS + MILD}}, whole)
            assert found == [], f"{file.name}: not accessible"
            page.evaluate(TWO_OF_A_KIND)
            for theme in ("dark", "light"):
                turned(page, theme)
                found = findings(page, {"runOnly": COLOURS}, whole)
                assert found == [], f"{file.name}, {theme}: not accessible"
            assert watch.complaints == [], file.name        # nor are any the next page's


def is_whole(page: Page, file: Path) -> None:
    """Figures, equations and pictures are there, with their texts; a figure comes soon; few stops of the Tab key."""
    undrawn = page.locator(".pb-plotly:not(.pb-missing):not(:has(.main-svg))").count()
    silent = page.locator(".pb-plotly:not([role=img][aria-label])").count()
    assert (undrawn, silent) == (0, 0), f"{file.name}: figures undrawn, without a label"
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0, f"{file.name}: an equation is not read"
    alts = page.eval_on_selector_all(".bd-article img", "(all) => all.map((i) => i.alt || i.src)")
    bare = [a for a in alts if a.endswith((".png", ".svg", ".jpg", ".jpeg", ".webp"))]
    assert bare == [], f"{file.name}: pictures without alternative text"
    if re.match(r"\d\d_", file.name):
        first = page.locator(".bd-article :is(.pb-lead, figure, .pb-explorer)").first
        assert first.bounding_box()["y"] <= 1500, f"{file.name}: no figure above 1500 px"
    assert page.evaluate(STOPS) <= 60, f"{file.name}: too many stops of the Tab key"


def same_colours(file: Path, light: list[dict], dark: list[dict]) -> None:
    """The dark theme spares the data."""
    for by_day, by_night in zip(light, dark, strict=True):
        off = np.abs(by_day["pixels"] - by_night["pixels"]).max(axis=-1)
        assert np.mean(off > 3) < 0.02, f"{file.name}: {by_day['selector']} changes its colours in the dark"


def fits(page: Page, where: str, width: int) -> None:
    try:
        page.wait_for_function(f"document.documentElement.scrollWidth <= {width}", timeout=10_000)    # figures follow
    except Error:
        pytest.fail(f"{where}: the page is wider than {width} px")
    starts = page.evaluate("""[...document.querySelectorAll('.bd-article div.math')].map((n) =>
      n.querySelector('svg').getBoundingClientRect().x - n.getBoundingClientRect().x)""")
    assert min(starts, default=0) > -1, f"{where}: an equation does not start at its left"


def test_the_site_is_small(folder):
    files = [f for f in folder.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 60e6
    large = [f for f in pages(folder) if f.stat().st_size > 4e6]
    assert [f.name for f in large if 'class="pb-explorer"' not in f.read_text(encoding="utf-8")] == []


def test_the_root_leads_to_the_book(browser, folder):
    with opened(browser, folder, folder / "index.html") as (page, _):
        page.wait_for_selector(".bd-article h1", timeout=PATIENCE)


def test_a_phone_at_night_opens_dark_and_never_scrolls_sideways(browser, folder):
    """Loaded there; the test above makes all pages narrow."""
    with blank(browser, folder, width=360, theme="dark") as (page, watch):
        for file in pages(folder)[::5]:
            load(page, watch, file)
            assert page.evaluate("document.documentElement.dataset.theme") == "dark", file.name
            fits(page, file.name, 360)
            assert watch.complaints == [], file.name


def pixels(page: Page, box: dict) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(page.screenshot(clip=box, animations="disabled"))).convert("RGB"), int)


def fields(page: Page) -> list[dict]:
    """The inner pixels of a page's first heat map, picture, explorer's map and explorer's image."""
    found = []
    for selector in (".heatmaplayer image, .imagelayer image", ".bd-article .cell_output img", ".pbx-map canvas",
                     ".pbx-view > canvas"):
        first = page.locator(selector).first
        if first.count():
            first.scroll_into_view_if_needed()
            page.wait_for_function(SETTLED, timeout=PATIENCE)
            box = first.bounding_box()
            inner = {"x": box["x"] + 0.3 * box["width"], "y": box["y"] + 0.3 * box["height"],
                     "width": 0.25 * box["width"], "height": 0.25 * box["height"]}
            found.append({"selector": selector, "pixels": pixels(page, inner)})
    page.evaluate("scrollTo(0, 0)")     # where it is read on
    return found


# figures that a reader sees are those of the theme
SETTLED = """[...document.querySelectorAll('.pb-plotly')].every((n) => { const box = n.getBoundingClientRect();
  return box.bottom < 0 || box.top > innerHeight || n.dataset.drawn === document.documentElement.dataset.theme; })"""


def turned(page: Page, theme: str) -> None:
    page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
    page.wait_for_function(SETTLED, timeout=PATIENCE)


def test_figures_follow_a_change_of_theme_and_width(browser, folder):
    file = pages_with(folder, "pb-plotly-data")[0]
    with opened(browser, folder, file) as (page, watch):
        figure = page.locator(".pb-plotly:has(.xtick text)").first
        figure.scroll_into_view_if_needed()
        ink = "(n) => getComputedStyle(n.querySelector('.xtick text')).fill"
        before, wide = figure.evaluate(ink), figure.locator(".main-svg").first.bounding_box()["width"]
        turned(page, "dark")
        assert figure.evaluate(ink) != before
        page.set_viewport_size({"width": 700, "height": 900})
        narrower = f"document.querySelector('.pb-plotly:has(.xtick text) .main-svg').clientWidth < {wide}"
        page.wait_for_function(narrower, timeout=PATIENCE)
        assert watch.complaints == []


def has_solid_figure(file: Path) -> bool:
    found = re.findall(r'class="pb-plotly-data"[^>]*>(.*?)</script>', file.read_text(encoding="utf-8"), re.S)
    return any(t["type"] in ("surface", "mesh3d", "scatter3d") for f in found for t in json.loads(f)["data"])


def test_a_figure_that_needs_webgl_says_so_where_there_is_none(launch, folder):
    browser = launch("--disable-3d-apis")
    for file in filter(has_solid_figure, pages(folder)):
        with opened(browser, folder, file) as (page, watch):
            note = page.locator(".pb-missing").first.inner_text()
            assert "needs WebGL" in note and len(note) > 80
            assert watch.complaints == []
    browser.close()


@pytest.fixture(scope="module")
def explorer(browser, folder):
    """A page with an explorer, scrolled to it; each test takes it as the one before left it."""
    files = pages_with(folder, 'class="pb-explorer"')
    assert files, "no page holds an explorer"
    with opened(browser, folder, files[0]) as (page, watch):
        page.locator(".pb-explorer").first.scroll_into_view_if_needed()
        yield page
        assert watch.complaints == []


def picture(page: Page) -> str:
    return page.locator(".pbx-view > canvas").first.evaluate("(c) => c.toDataURL()")


def reading(page: Page) -> str:
    return page.locator(".pbx-view dl").first.inner_text()


def test_the_pointer_changes_the_picture(explorer):
    box = explorer.locator(".pbx-map canvas").first.bounding_box()
    pictures, readings = set(), set()
    for part in (0.15, 0.35, 0.55):
        explorer.mouse.move(box["x"] + 46 + part * (box["width"] - 110), box["y"] + 10 + part * (box["height"] - 50))
        pictures.add(picture(explorer))
        readings.add(reading(explorer))
    assert len(pictures) == 3 and len(readings) == 3


def test_alpha_points_up_and_beta_right(explorer):
    """Against the extent that the explorer was given: the corners of the map."""
    alpha0, alpha1, beta0, beta1 = explorer.evaluate("document.querySelector('.pb-explorer').explorer.data.extent")
    side = explorer.evaluate("document.querySelector('.pb-explorer').explorer.side")
    box = explorer.locator(".pbx-map canvas").first.bounding_box()
    corners = [(0, 1, alpha0, beta0), (1, 1, alpha0, beta1), (0, 0, alpha1, beta0), (1, 0, alpha1, beta1)]
    for u, v, alpha, beta in corners:
        x, y = (np.clip(p, 0.004, 0.996) * side for p in (u, v))
        explorer.mouse.move(box["x"] + 46 + x, box["y"] + 10 + y)
        found = reading(explorer).split("\n")[1].replace("−", "-").split(", ")
        assert [float(f) for f in found] == pytest.approx([alpha, beta], abs=0.02 * (alpha1 - alpha0 + beta1 - beta0))


def test_arrow_keys_move_and_page_keys_step(explorer):
    canvas = explorer.locator(".pbx-map canvas").first
    canvas.hover()     # the middle: no key meets an edge
    canvas.focus()
    for key, back in (("ArrowUp", "ArrowDown"), ("ArrowRight", "ArrowLeft")):
        before = reading(explorer)
        explorer.keyboard.press(key)
        assert reading(explorer) != before
        explorer.keyboard.press(back)
    step = explorer.locator(".pbx-step output").first
    before = step.inner_text()
    explorer.keyboard.press("PageDown")
    explorer.keyboard.press("PageDown")
    assert step.inner_text() != before
    explorer.wait_for_function("document.querySelector('.pb-explorer .pbv-aloud').textContent.includes('step')",
                               timeout=PATIENCE)


def test_the_slider_changes_map_and_picture(explorer):
    canvas, slider = explorer.locator(".pbx-map canvas").first, explorer.locator(".pbx-step input").first
    seen = []
    for value in ("0", slider.get_attribute("max")):
        slider.fill(value)
        seen.append((canvas.evaluate("(c) => c.toDataURL()"), picture(explorer)))
    assert seen[0][0] != seen[1][0] and seen[0][1] != seen[1][1]


def test_points_are_pinned_and_unpinned_by_mouse_and_keys(explorer):
    strips = explorer.locator(".pb-explorer").first.locator(".pbx-pin button")
    while strips.count():
        strips.first.click()
    canvas = explorer.locator(".pbx-map canvas").first
    box = canvas.bounding_box()
    canvas.click(position={"x": 46 + 0.2 * (box["width"] - 110), "y": 0.3 * box["height"]})
    assert strips.count() == 1
    canvas.focus()
    for _ in range(3):
        explorer.keyboard.press("ArrowRight")
    explorer.keyboard.press("Enter")
    assert strips.count() == 2
    strip = explorer.locator(".pbx-pin canvas").first
    assert "images at steps" in strip.get_attribute("aria-label")
    explorer.keyboard.press("Enter")
    assert strips.count() == 1
    strips.first.focus()
    explorer.keyboard.press("Enter")
    assert strips.count() == 0


def test_every_control_is_reached_by_tab_with_a_visible_focus(explorer):
    explorer.locator(".pb-explorer select").first.focus()
    reached = []
    for _ in range(5):
        reached.append(explorer.evaluate(
            "(() => { const n = document.activeElement; const s = getComputedStyle(n);"
            " return [n.tagName, s.outlineStyle !== 'none' || n.tagName === 'SELECT']; })()"))
        explorer.keyboard.press("Tab")
    names = [name for name, _ in reached]
    assert {"SELECT", "INPUT", "CANVAS", "BUTTON"} <= set(names)
    assert all(ring for _, ring in reached), reached


LEDGER = Path("book", "chapters", f"{CLAIMS}.html")
ROWS = "table.pb-claims tbody tr"


def test_every_link_of_the_ledger_leads_to_what_it_names(folder):
    """Section, code and bound of every claim, and its figure where its section has one."""
    text = (folder / LEDGER).read_text(encoding="utf-8")
    rows = re.findall(r'<tr id="([^"]+)" role="row" data-kind.*?</tr>', text, re.S)
    lines = re.findall(r'<div class="pb-note pb-links">(.*?)</div>', text, re.S)
    assert len(rows) == len(lines) >= 100
    pages_read: dict[Path, str] = {}
    figures = 0
    for line in lines:
        links = re.findall(r'href="([^"#]*)#([^"]+)">([^<]*)<', line)
        assert len(links) in (3, 4)
        figures += len(links) == 4
        for address, anchor, words in links:
            file = (folder / LEDGER).parent / address if address else folder / LEDGER
            content = pages_read.setdefault(file, file.read_text(encoding="utf-8"))
            if anchor.startswith(":~:text="):
                assert anchor.removeprefix(":~:text=") + ":" in content
            else:
                assert f'id="{anchor}"' in content, f"{words}: {address}#{anchor}"
    assert figures >= 0.6 * len(lines)


def test_the_ledger_answers_by_pointer_and_keys(browser, folder):
    with opened(browser, folder, folder / LEDGER) as (page, watch):
        shown, output = page.locator(f"{ROWS}:not([hidden])"), page.locator("form.pb-filter output")
        everything = shown.count()
        assert output.inner_text() == f"{everything} claims"
        assert page.evaluate(STOPS) <= 60
        page.locator("form.pb-filter select").first.focus()
        page.keyboard.press("p")                                        # kind: paper
        page.keyboard.press("Tab")
        page.keyboard.press("h")                                        # verdict: holds
        kinds = shown.evaluate_all("(all) => all.map((r) => `${r.dataset.kind} ${r.dataset.verdict}`)")
        assert set(kinds) == {"paper holds"} and output.inner_text() == f"{len(kinds)} of {everything} claims"
        assert "kind=paper&verdict=holds" in page.url
        page.keyboard.press("Escape")
        page.wait_for_function(f"document.querySelectorAll('{ROWS}:not([hidden])').length === {everything}")
        page.locator("form.pb-filter input").fill("(iii) plateau")
        ids = shown.evaluate_all("(all) => all.map((r) => r.id)")
        assert len(ids) <= 8 and "slice.plateau_at_rest" in ids
        shown.first.locator("a").first.focus()
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.closest('tr').id") == shown.nth(1).get_attribute("id")
        counts = []
        for minus in "−-":                                              # the table's is on no keyboard
            page.locator("form.pb-filter input").fill(f"{minus}0.")
            counts.append(shown.count())
        assert counts[0] == counts[1] > 0
        part = page.locator(".page-toc a[href='#what-was-shown-and-what-was-not']")
        part.click()                                            # hidden so far
        page.wait_for_function("location.hash && document.querySelector(':target').checkVisibility()")
        assert output.inner_text() == f"{everything} claims"
        page.goto((folder / LEDGER).as_uri() + "?kind=none#%")  # mistyped, or cut short
        page.wait_for_function(READY, timeout=PATIENCE)
        assert page.locator("form.pb-filter select").first.input_value() == "" and shown.count() == everything
        assert watch.complaints == []


def test_the_third_observation_is_two_clicks_from_the_front_page(browser, folder):
    with opened(browser, folder, folder / "book" / "intro.html") as (page, watch):
        line = page.locator("li", has_text="observation (iii)")
        chip = line.locator("code:has-text('slice.plateau_exact') + a.pb-chip")
        assert chip.inner_text() in ("holds", "fails", "undecided", "holds with correction", "not tested here")
        chip.click()
        row = page.locator(f"{ROWS}[id='slice.plateau_exact']")
        row.wait_for()
        page.wait_for_function(READY, timeout=PATIENCE)      # what is being loaded when a page is left would fail
        assert re.search(r"\d", row.locator("td").nth(3).inner_text())
        row.locator("a", has_text="Fig. 12.").click()
        page.wait_for_function("document.querySelector('figure:target .pb-plotly[data-drawn]')", timeout=PATIENCE)
        page.goto((folder / LEDGER).as_uri())
        page.wait_for_function(READY, timeout=PATIENCE)
        row.locator("a", has_text="code, line").click()
        code = page.locator(".cell", has=page.locator("[id='at-slice.plateau_exact']")).or_(
            page.locator(".cell[id='at-slice.plateau_exact']"))
        code.wait_for()
        page.wait_for_function(READY, timeout=PATIENCE)
        assert "slice.plateau_exact" in code.locator("pre").first.inner_text()          # unfolded
        assert 0 <= code.bounding_box()["y"] < 900
        assert watch.complaints == []


def test_the_ledger_reads_well_without_scripts(browser, folder):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((folder / LEDGER).as_uri())
    assert page.locator(ROWS).count() >= 100 and page.locator(ROWS).first.is_visible()
    assert not page.locator("form.pb-filter").is_visible()
    figure = page.locator(".pb-plotly").first               # words stand in place of what is not drawn
    words = figure.evaluate("(n) => getComputedStyle(n, '::before').content")
    assert "script" in words and figure.bounding_box()["height"] < 200
    context.close()


def test_a_verdict_in_the_text_is_a_word_and_a_sign_in_both_themes(browser, folder):
    file = min(pages_with(folder, "pb-recorded"), key=lambda f: f.stat().st_size)
    with opened(browser, folder, file) as (page, _):
        for theme in ("light", "dark"):
            turned(page, theme)
            chip = page.locator(".pb-recorded a.pb-chip .pb-verdict").first
            assert len(chip.inner_text()) > 3
            assert chip.evaluate("(n) => getComputedStyle(n, '::before').content") not in ("none", '""', "normal")


def test_search_shows_the_words_around_a_hit_without_a_request(browser, folder):
    context = browser.new_context(offline=True)
    page, watch = context.new_page(), Watch(folder)
    watch.follow(page)
    page.goto((folder / "search.html").as_uri() + "?q=cophenetic")
    page.wait_for_selector("#search-results li p.context", timeout=PATIENCE)
    assert "cophenetic" in page.locator("#search-results li p.context").first.inner_text().lower()
    assert watch.complaints == []
    context.close()


def test_an_equation_of_the_paper_leads_to_its_verdict_and_a_table_is_one_stop(browser, folder):
    with opened(browser, folder, folder / "book" / "chapters" / "01_heat_and_transport.html") as (page, watch):
        page.locator(".pb-in-paper a", has_text="(13)").click()
        page.wait_for_function("location.hash === '#eq-13' && document.querySelector('tr:has(#eq-13) a.pb-chip')")
        page.wait_for_function(READY, timeout=PATIENCE)
        page.locator("tr:has(#eq-13) a.pb-chip").focus()
        rows = []
        for key in ("ArrowDown", "ArrowUp", "Tab"):
            page.keyboard.press(key)
            rows.append(page.evaluate("document.activeElement.closest('tr')?.cells[0].innerText ?? ''"))
        assert rows[0] not in ("", rows[1]) and "(13)" in rows[1] and rows[2] not in rows[:2]
        assert watch.complaints == []


def test_every_sentence_of_the_paper_has_a_row_and_a_verdict(folder):
    text = (folder / "book" / "paper.html").read_text(encoding="utf-8")
    ledger = (folder / LEDGER).read_text(encoding="utf-8")
    told = set(re.findall(r'<tr id="([^"]+)" role="row" data-kind="(?:paper|reading)"', ledger))
    chips = set(re.findall(r'class="pb-chip[^"]*" href="chapters/[^"]*#([^"]+)"', text))
    assert len(told) >= 40 and chips == told
