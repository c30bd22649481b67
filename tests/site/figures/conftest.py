"""A browser without a network, for the figures that compute or choose in the page."""

import os
import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

from phasebook.site.build.pdf import NAMES

FLAGS = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync".split()
PATIENCE = 60_000       # ms; the machine may be busy


@pytest.fixture(scope="module")
def browser():
    """Chromium; required only where CI is set."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None and not os.environ.get("CI"):
        pytest.skip("no Chromium on this machine (Debian: apt install chromium); required only where CI is set")
    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    """Opens a figure alone on a page, ready; at the end there must have been no error and no request."""
    @contextmanager
    def opening(body: str, selector: str, **options):
        file = tmp_path_factory.mktemp("figure") / "page.html"
        head = '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        file.write_text(f'{head}<body style="margin: 20px; max-width: 760px">{body}')
        context = browser.new_context(**{"viewport": {"width": 1000, "height": 900}} | options, offline=True)
        page, complaints = context.new_page(), []
        page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on("request", lambda r: r.url.split(":")[0] in ("file", "data", "blob") or complaints.append(r.url))
        page.goto(file.as_uri())
        page.wait_for_selector(selector, timeout=PATIENCE)
        yield page
        context.close()
        assert complaints == []

    return opening


NAMELESS = """(all) => all.filter((n) =>
  !(n.getAttribute('aria-label') || n.textContent.trim() || n.labels?.length)).map((n) => n.outerHTML)"""


@pytest.fixture(scope="session")
def nameless():
    """The controls and pictures below a selector that a screen reader has no words for."""
    return lambda page, root: page.eval_on_selector_all(f"{root} :is(button, input, select, canvas, svg)", NAMELESS)
