"""Every notebook: executed at smoke parameters with a whole ledger; the references that nbval replays are current."""

import json
import re

import nbformat
import pytest

from phasebook.site.build import reference, runner
from phasebook.site.chapters.ledger import Results

CHAPTERS = runner.chapters()


def test_no_chapter_has_been_lost():
    assert len(CHAPTERS) >= 8
    assert [s.stem[:2] for s in CHAPTERS][:5] == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda s: s.stem)
def test_smoke_run_leaves_notebook_and_ledger(smoke, source):
    folder = smoke / "book" / "chapters"
    results = Results.model_validate_json((folder / f"{source.stem}.results.json").read_text(encoding="utf-8"))
    assert results.chapter == source.stem
    assert results.numbers and (results.claims or source.stem.startswith("08"))
    changed = runner.profile("smoke", source)
    kept = {k: v for k, v in results.parameters.items() if k in changed and k != "results"}
    assert kept == {k: v for k, v in changed.items() if k != "results"}
    notebook = nbformat.read(folder / f"{source.stem}.ipynb", as_version=4)
    errors = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "error"]
    assert not errors
    assert (folder / f"{source.stem}.ipynb").stat().st_size < 8e6


@pytest.mark.parametrize("chapter, changes, verdicts", [
    ("1", {"mixture_means": [-10.0, 10.0], "mixture_stds": [0.1, 0.1], "mixture_weights": [0.5, 0.5]},
     {"heat.eq7": "fails", "heat.line.map": "holds"}),                       # a valley deeper than the tails looked at
    ("2", {"torus_modes": [[1, 0, 0.5, 0]], "mixture_means": [-10.0, 10.0], "mixture_stds": [0.1, 0.1],
           "mixture_weights": [0.5, 0.5]}, {"chain.order": "not tested here", "chain.vp": "holds"}),
    ("2", {"torus_modes": [[1, 0, 1e-7, 0], [2, 1, 1e-7, 1]]},               # a gap below the floating point
     {"chain.local_constant": "not tested here", "chain.global_constant": "not tested here"}),
    ("3", {"atoms": [[0.0, 0.0]], "atom_weights": [1.0]},
     {"singular.exists_unique": "holds", "singular.measure_zero": "not tested here"}),
], ids=["deep valley", "even density", "faint density", "one atom"])
def test_a_chapter_says_what_it_could_not_measure(tmp_path, chapter, changes, verdicts):
    source = runner.find_chapter(chapter)
    done = runner.run(source, {**runner.profile("smoke", source), **changes}, tmp_path, progress=False)
    found = {c.id: c.verdict for c in Results.model_validate_json(done.results.read_text(encoding="utf-8")).claims}
    assert {name: found[name] for name in verdicts} == verdicts


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda s: s.stem)
def test_reference_equals_its_source_plus_smoke_parameters(source):
    file = runner.root() / reference.FOLDER / f"{source.stem}.ipynb"
    stored = nbformat.read(file, as_version=4)
    wanted = reference.prepared(source)
    assert [(c.cell_type, c.source, c.metadata) for c in stored.cells] == \
           [(c.cell_type, c.source, c.metadata) for c in wanted.cells], "run `make reference`"
    checked = [c for c in stored.cells if reference.CHECKED in c.metadata.get("tags", [])]
    assert checked and all(c.outputs for c in checked), "nothing for nbval to check"
    assert all(c.execution_count == 1 for c in stored.cells if c.cell_type == "code")


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda s: s.stem)
def test_chapters_are_text_first(source):
    """Prose outweighs code, cells stay short, helpers live in the package."""
    cells = runner.notebook(source).cells
    code = [c.source for c in cells if c.cell_type == "code"]
    words = sum(len(c.source.split()) for c in cells if c.cell_type == "markdown")
    lines = sum(len([x for x in c.splitlines() if x.strip() and not x.lstrip().startswith("#")]) for c in code)
    assert words >= 4 * lines, f"{words} words for {lines} lines of code"
    assert max(len(c.splitlines()) for c in code) <= 45
    assert sum(len(re.findall(r"^\s*def ", c, re.MULTILINE)) for c in code) <= 2


def test_every_page_of_the_smoke_book_exists(site):
    pages = {p.relative_to(site).as_posix() for p in site.rglob("*.html")}
    assert {f"book/chapters/{s.stem}.html" for s in CHAPTERS} <= pages
    assert {"index.html", "book/intro.html", "book/notation.html", "book/reproducing.html"} <= pages


def test_an_unchanged_book_is_not_built_again(smoke):
    from phasebook.site.build import book

    said = []
    book.build("smoke", smoke, say=said.append)
    assert sum("unchanged" in line for line in said) == len(CHAPTERS)
    assert "pages ..." not in said


def test_a_broken_reference_fails_the_build(tmp_path):
    """The pages alone, with a reference to nowhere: Sphinx's warning must become a failure that names the page."""
    from phasebook.site.build import book

    (tmp_path / "book").mkdir()
    (tmp_path / "_config.yml").write_text((runner.root() / "_config.yml").read_text())
    for folder in ("_static", "_ext"):
        (tmp_path / "book" / folder).symlink_to(runner.root() / "book" / folder)
    (tmp_path / "book" / "references.bib").write_text("")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters:\n  - file: book/other\n")
    (tmp_path / "book" / "other.md").write_text("# Other\n")
    (tmp_path / "book" / "intro.md").write_text("# Title\n\nSee {numref}`fig-nowhere`.\n")
    with pytest.raises(runner.ChapterError, match="fig-nowhere"):
        book._lay_out(tmp_path, lambda line: None)
    assert not (tmp_path / "_build" / "stamp").exists()


def test_results_of_the_claims_chapter_count_all_others(smoke):
    folder = smoke / "book" / "chapters"
    files = [folder / f"{s.stem}.results.json" for s in CHAPTERS]
    ledgers = [json.loads(f.read_text(encoding="utf-8")) for f in files]
    counted = sum(ledgers[-1]["numbers"]["verdicts"]["value"].values())
    assert counted == sum(len(ledger["claims"]) for ledger in ledgers)
