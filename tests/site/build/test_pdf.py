"""The printed book: figures are drawn and within the page, also when a reader prints as soon as a page is there."""

import os
import shutil
from io import BytesIO

import numpy as np
import pypdfium2
import pytest
from pypdf import PdfReader, PdfWriter

from phasebook.site.build import pdf, runner
from phasebook.site.build.sources import ChapterError

CHAPTER = "11_phase_boundaries"
needs_chromium = pytest.mark.skipif(not any(map(shutil.which, pdf.NAMES)) and not os.environ.get("CI"),
                                    reason="no Chromium on this machine; required only where CI is set")


def figures(content: bytes) -> dict[str, np.ndarray]:
    """What stands above the caption of each figure, as grey values, by its number; of several places the emptiest."""
    found = {}
    for page in pypdfium2.PdfDocument(content):
        text, (width, height) = page.get_textpage(), page.get_size()
        grey = np.asarray(page.render(scale=1).to_pil().convert("L"), float)
        words = text.search("Fig.")
        while hit := words.get_next():
            number = text.get_text_range(hit[0], 12).split()[1].rstrip(",.:;")
            left, _, _, top = text.get_charbox(hit[0])
            base = int(height - top)
            above = grey[max(base - 120, 0):base - 4, 40:int(width) - 40]
            if left < 100 and above.size and (number not in found or above.std() < found[number].std()):
                found[number] = above                        # a caption begins near the margin
    return found


@needs_chromium
@pytest.mark.slow
def test_figures_are_printed(site, tmp_path):
    file = site / "book" / "chapters" / f"{CHAPTER}.html"
    [(title, content)] = pdf.printed([file], lambda line: None)
    drawn = figures(content)
    captions = file.read_text(encoding="utf-8").count("caption-number")
    assert title.endswith("Phase boundaries of a latent slice") and len(drawn) >= 0.7 * captions
    assert {number: round(grey.std(), 1) for number, grey in drawn.items() if grey.std() < 5} == {}
    assert {round(float(p.mediabox.width)) for p in PdfReader(BytesIO(content)).pages} <= {595, 596}        # A4


@needs_chromium
@pytest.mark.slow
def test_a_page_printed_a_second_after_it_is_there_has_its_figures(site):
    with pdf._browser() as browser:
        page = browser.new_context(color_scheme="dark", offline=True).new_page()
        page.goto((site / "book" / "chapters" / f"{CHAPTER}.html").as_uri())
        for wait in (1000, 9000):       # a second on an idle machine; beside other tests a browser gets its turn later
            page.wait_for_timeout(wait)
            drawn = figures(page.pdf(format="A4", print_background=True))
            blank = {number: round(grey.std(), 1) for number, grey in drawn.items() if grey.std() < 5}
            if not blank or os.getloadavg()[0] < os.cpu_count():
                break
    assert drawn and blank == {}
    # dark ink on white paper: a map may be dark, what is around it is not
    assert min(np.quantile(grey, 0.9) for grey in drawn.values()) > 240


def one(address: str) -> bytes:
    """A PDF of one page with a link."""
    from pypdf.annotations import Link

    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.add_annotation(0, Link(rect=(0, 0, 9, 9), url=address))
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def test_links_between_pages_stay_inside_and_no_place_of_this_machine_is_left(tmp_path):
    files = [tmp_path / "a.html", tmp_path / "b.html"]
    parts = [("A", one(f"{files[1].as_uri()}#x")), ("B", one((tmp_path / "c.txt").as_uri()))]
    pdf.bound(files, parts, tmp_path / "out" / "book.pdf")
    raw = (tmp_path / "out" / "book.pdf").read_bytes()
    book = PdfReader(BytesIO(raw))
    assert [item.title for item in book.outline] == ["A", "B"] and b"file:" not in raw
    [inside] = book.pages[0]["/Annots"]
    assert inside.get_object()["/A"]["/D"][0].get_object() == book.pages[1].get_object()
    assert "/A" not in book.pages[1]["/Annots"][0].get_object()


def test_contents_are_in_order_and_a_page_that_is_missing_is_named(tmp_path):
    (tmp_path / "_toc.yml").write_text("root: intro\nchapters:\n  - file: b\n  - file: a\n")
    pages = tmp_path / "_build" / "html"
    pages.mkdir(parents=True)
    for name in ("intro", "a", "b"):
        (pages / f"{name}.html").touch()
    assert [f.stem for f in pdf.contents(tmp_path)] == ["intro", "b", "a"]
    (pages / "b.html").unlink()
    with pytest.raises(ChapterError, match="not built: b.html"):
        pdf.contents(tmp_path)


def test_a_book_that_is_not_built_is_one_line(house, phasebook, capsys):
    assert phasebook("pdf") == 2 and "no pages there" in capsys.readouterr().err
    assert runner.root() == house


def test_no_browser_is_one_line(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ChapterError, match="apt install chromium"):
        pdf.printed([], print)


@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$"])
def test_a_browser_that_ends_is_one_line(tmp_path, monkeypatch, script):
    browser = tmp_path / pdf.NAMES[0]
    browser.write_text(f"#!/bin/sh\n{script}\n")
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(ChapterError, match=f"{browser}, which prints the pages, ended") as said:
        pdf.printed([tmp_path / "a.html"], print)
    assert "\n" not in str(said.value)


def test_a_full_disk_keeps_the_old_one(tmp_path):
    resource = pytest.importorskip("resource")
    (tmp_path / "book.pdf").write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError):
            pdf.bound([tmp_path / "a.html"], [("A", one("https://example.org"))], tmp_path / "book.pdf")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("book.pdf", b"old")]


@pytest.mark.parametrize("out, words", [("/dev/null", "is no file"), ("x" * 250, "at most 200 bytes"),
                                        ("/", "is a folder")])
def test_a_name_that_no_pdf_can_have_is_one_line(house, phasebook, capsys, out, words):
    (house / "_build" / "html").mkdir(parents=True)
    (house / "_build" / "html" / "index.html").touch()
    assert phasebook("pdf", "-o", out) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
