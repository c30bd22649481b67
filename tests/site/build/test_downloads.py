"""Notebooks that are taken away: without Sphinx's markup, and with a cell that fetches what they import."""

import nbformat
import pytest

from phasebook.site.build import runner
from phasebook.site.build.downloads import install_cell, plain, portable


@pytest.mark.parametrize(("text", "shown"), [
    ("{cite:p}`kim2012generalization, chen2018x`", "(Kim 2012; Chen 2018)"),
    ("{cite:t}`kim2012generalization`", "Kim 2012"),
    ("{doc}`chapter 11 <chapters/11_phase_boundaries>`", "[chapter 11](11_phase_boundaries.ipynb)"),
    ("{doc}`../api`", "api"), ("{numref}`fig-a`", "*fig-a*"), ("{eq}`eq-q`", "(eq-q)"),
    ("$$ a $$ (eq-q)", "$$ a $$"), ("`{brackets}`", "`{brackets}`"),
    (":::{admonition} Answer\n:class: tip\nYes.\nNo.\n:::\n\nText", "> **Answer**\n>\n> Yes.\n> No.\n\nText"),
    (":::{prf:lemma} Two\n:label: l\nOne.\n:::", "> **Lemma Two**\n>\n> One."),
])
def test_markup_becomes_words(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize("source", [*runner.chapters(), *runner.pages()], ids=lambda s: s.stem)
def test_no_chapter_keeps_a_directive(source):
    taken = portable(runner.notebook(source), "")
    nbformat.validate(taken)
    words = "\n".join(c.source for c in taken.cells if c.cell_type == "markdown")
    assert "{cite" not in words and "{numref" not in words and ":::" not in words
    code = [c.source for c in runner.notebook(source).cells if c.cell_type == "code"]
    assert [c.source for c in taken.cells if c.cell_type == "code"][1:] == code


def test_the_install_cell_does_nothing_where_the_package_is(monkeypatch):
    monkeypatch.setattr("subprocess.run", lambda *a, **k: pytest.fail("ran"))
    exec(install_cell("https://example.org/book").source, {})


def test_the_install_cell_fetches_the_repository_or_says_why_not(monkeypatch):
    ran = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("subprocess.run", lambda command, **options: ran.append(command))
    monkeypatch.setattr("sys.path", [])
    exec(install_cell("https://example.org/book").source, {})
    assert ran[0][-2] == "https://example.org/book" and ran[1][-2:] == ["-e", "phasebook-repository"]
    with pytest.raises(SystemExit, match="not installed here"):
        exec(install_cell("").source, {})
