"""The whole book as one PDF: every page of the built site printed by headless Chromium, bound in the order of contents.

Pages are laid out light and at the width of the paper before they are printed, so that figures are drawn for it. Links
between pages of the book lead to pages of the PDF; the outline names the chapters.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from urllib.parse import urldefrag

import yaml

from phasebook.site.build.files import publish
from phasebook.site.build.sources import ChapterError

__all__ = ["contents", "printed", "write"]

# the first is the same without the windows that nobody sees, a quarter quicker
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run")
SIDES = ("top", "bottom", "left", "right")
MARGIN, WIDTH = "15mm", 680         # of A4, 180 mm are left: 680 pixels
UNDRAWN = ".pb-plotly:not([data-drawn=light]), .pb-explorer:not([data-ready=yes]), .math:not(:has(mjx-container))"
READY = f"document.readyState === 'complete' && !document.querySelector('{UNDRAWN}')"
PATIENCE = 600_000                  # ms for a page to be drawn on a busy machine
FOOT = ('<div style="width:100%;margin:0 15mm;font:8px sans-serif;color:#555;display:flex;'
        'justify-content:space-between"><span>{title}</span><span class="pageNumber"></span></div>')


def contents(home: Path) -> list[Path]:
    """The built pages of a book in the order of its table of contents.

    Raises:
        ChapterError: a page was not built.
    """
    toc = yaml.safe_load((home / "_toc.yml").read_text(encoding="utf-8"))
    names = [toc["root"], *(c["file"] for part in toc.get("parts", [toc]) for c in part.get("chapters", []))]
    files = [home / "_build" / "html" / f"{name}.html" for name in names]
    missing = [f.name for f in files if not f.is_file()]
    if missing:
        raise ChapterError(f"not built: {', '.join(missing)}; `phasebook book` builds the pages")
    return files


@contextmanager
def _browser() -> Iterator:
    """Headless Chromium of this machine. ChapterError where there is none, or where it ends."""
    from playwright.sync_api import Error, sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise ChapterError("no Chromium on this machine, which prints the pages; Debian: apt install chromium")
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=path, args=list(FLAGS))
            yield browser
            browser.close()
    except Error as error:
        raise ChapterError(f"{path}, which prints the pages, ended ({error.message.splitlines()[0]})") from None


def printed(files: Sequence[Path], say: Callable[[str], None]) -> list[tuple[str, bytes]]:
    """Each page's title and its PDF.

    Raises:
        ChapterError: no browser, or a page that was not drawn in time.
    """
    from playwright.sync_api import Error

    made = []
    with _browser() as browser:
        context = browser.new_context(viewport={"width": WIDTH, "height": 960}, color_scheme="light", offline=True)
        context.set_default_timeout(PATIENCE)
        for number, file in enumerate(files, 1):
            page = context.new_page()
            page.emulate_media(media="print")
            try:
                page.goto(file.as_uri())
                page.wait_for_function(READY, timeout=PATIENCE)
            except Error:
                raise ChapterError(f"{file.name}: not drawn within {PATIENCE // 1000} s") from None
            title = page.locator("h1").first.inner_text().removesuffix("#").strip()
            content = page.pdf(format="A4", print_background=True, margin=dict.fromkeys(SIDES, MARGIN),
                               display_header_footer=True, header_template="<i></i>",
                               footer_template=FOOT.format(title=escape(title)))
            made.append((title, content))
            page.close()
            say(f"[{number}/{len(files)}] {title}")
    return made


def write(home: Path, out: Path, say: Callable[[str], None] = print) -> Path:
    """Print the built pages of `home` into one file.

    Args:
        home: the folder of a built book, with `_toc.yml` and `_build/html`.
        out: the PDF.
        say: what takes a line of progress.

    Raises:
        ChapterError: a page is missing or was not drawn, or there is no browser.
    """
    files = contents(home)
    bound(files, printed(files, say), out)
    say(f"{out}")
    return out


def bound(files: Sequence[Path], parts: Sequence[tuple[str, bytes]], out: Path) -> None:
    """One PDF of many, with an outline; links between them are links inside."""
    from io import BytesIO

    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    first = {}
    for file, (title, content) in zip(files, parts, strict=True):
        first[file.as_uri()] = len(writer.pages)
        writer.append(PdfReader(BytesIO(content)), import_outline=False)
        writer.add_outline_item(title, first[file.as_uri()])
    for page in writer.pages:
        for note in page.get("/Annots", []):
            _turn_inside(writer, note.get_object(), first)
    writer.add_metadata({"/Title": parts[0][0]})
    whole = BytesIO()
    writer.write(whole)
    out.parent.mkdir(parents=True, exist_ok=True)
    publish({out: whole.getvalue()})


def _turn_inside(writer, note, first: dict[str, int]) -> None:
    """A link to a file: to its first page where that is in the book, else none, for it names a place here alone."""
    from pypdf.generic import ArrayObject, DictionaryObject, NameObject

    action = note.get("/A")
    address = str(action.get_object().get("/URI", "")) if action else ""
    if not address.startswith("file:"):
        return
    number = first.get(urldefrag(address).url)
    if number is None:
        del note["/A"]
        return
    target = ArrayObject([writer.pages[number].indirect_reference, NameObject("/Fit")])
    note[NameObject("/A")] = DictionaryObject({NameObject("/S"): NameObject("/GoTo"), NameObject("/D"): target})
