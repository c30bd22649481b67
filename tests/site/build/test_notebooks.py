"""Every notebook: executed at smoke parameters with a whole ledger; the references that nbval replays are current."""

import json
import re

import nbformat
import pytest

from phasebook.site.build import reference, runner, sources
from phasebook.site.build.execution import nursery
from phasebook.site.results.ledger import Results

CHAPTERS, PAGES = runner.chapters(), runner.pages()


def test_no_chapter_has_been_lost():
    assert len(CHAPTERS) >= 8 and len(PAGES) >= 1


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda s: s.stem)
def test_smoke_run_leaves_notebook_and_ledger(smoke, source):
    folder = smoke / "book" / "chapters"
    results = Results.model_validate_json((folder / f"{source.stem}.results.json").read_text(encoding="utf-8"))
    assert results.chapter == source.stem
    assert results.numbers and (results.claims or source.stem == sources.CLAIMS)
    changed = runner.profile("smoke", source)
    kept = {k: v for k, v in results.parameters.items() if k in changed and k != "results"}
    assert kept == {k: v for k, v in changed.items() if k != "results"}
    notebook = nbformat.read(folder / f"{source.stem}.ipynb", as_version=4)
    errors = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "error"]
    assert not errors
    assert (folder / f"{source.stem}.ipynb").stat().st_size < 8e6


@pytest.fixture(scope="module")
def kernels():
    """As a build has them: each starts with its imports done, here of the chapters without networks."""
    with nursery(sources.imports(map(runner.find_chapter, ("1", "3", "4", "6", "10")))) as one:
        yield one


@pytest.mark.parametrize("chapter, changes, verdicts", [
    ("1", {"mixture_means": [-10.0, 10.0], "mixture_stds": [0.1, 0.1], "mixture_weights": [0.5, 0.5]},
     {"heat.line.map": "holds"}),                       # a valley deeper than the tails looked at
    ("3", {"torus_modes": [[1, 0, 0.5, 0]], "mixture_means": [-10.0, 10.0], "mixture_stds": [0.1, 0.1],
           "mixture_weights": [0.5, 0.5]}, {"chain.order": "not tested here", "chain.vp": "holds"}),
    ("3", {"torus_modes": [[1, 0, 1e-7, 0], [2, 1, 1e-7, 1]]},               # a gap below the floating point
     {"chain.local_constant": "not tested here", "chain.global_constant": "not tested here"}),
    ("6", {"atoms": [[0.0, 0.0]], "atom_weights": [1.0], "line_atoms": [0.0], "line_weights": [1.0], "dimensions": [1],
           "grid": 20, "mode_steps": 1, "generations": 3, "trees": 1, "tree_depth": 2},
     {"singular.index": "not tested here"}),
    ("4", {"atoms": [[0.0, 0.0], [1e-3, 0.0]], "atom_weights": [0.5, 0.5], "links": [1], "samples": 20},
     {"plane.decreasing": "not tested here"}),          # a hundred times their distance lies below sigma_end
    ("10", {"endpoints": [[-2.55, 2.7], [-2.5, 2.6]]}, {"paths.low_variance": "not tested here"}),
    ("17", {"models": ["exact"], "resolution": 8, "steps": 2, "k_values": [0], "pairs": 2, "neighbours": 2, "trips": 2,
            "iterations": 0, "tolerance": 1e-9, "nearness": 0.05, "halvings": 3, "guidance": 1.0,
            "source_guidance": 1000.0}, {"edit.exact_law": "not tested here"}),
], ids=["deep valley", "even density", "faint density", "one atom", "close atoms", "close ends", "no edit succeeds"])
def test_a_chapter_says_what_it_could_not_measure(tmp_path, kernels, chapter, changes, verdicts):
    source = runner.find_chapter(chapter)
    changed = {**runner.profile("smoke", source), **changes}
    done = runner.run(source, changed, tmp_path, progress=False, threads=1, nursery=kernels)
    current = {c.id: c.verdict for c in Results.model_validate_json(done.results.read_text(encoding="utf-8")).claims}
    assert {name: current[name] for name in verdicts} == verdicts
    said = [o for c in nbformat.read(done.notebook, 4).cells for o in c.get("outputs", ()) if o.output_type == "stream"]
    assert not [o.text for o in said if o.name == "stderr" or "nan" in o.text]


@pytest.mark.parametrize("source", [*CHAPTERS, *PAGES], ids=lambda s: s.stem)
def test_reference_equals_its_source_plus_smoke_parameters(source):
    file = runner.root() / reference.FOLDER / f"{source.stem}.ipynb"
    stored = nbformat.read(file, as_version=4)
    wanted = reference.prepared(source)
    assert [(c.cell_type, c.source, c.metadata) for c in stored.cells] == \
           [(c.cell_type, c.source, c.metadata) for c in wanted.cells], "run `make reference`"
    checked = [c for c in stored.cells if reference.CHECKED in c.metadata.get("tags", [])]
    assert checked and all(c.outputs for c in checked), "nothing for nbval to check"
    kinds = {o.output_type for c in checked for o in c.outputs}
    assert kinds == {"stream"}, "figures and tables differ by processor: print in a cell of its own"
    assert all(c.execution_count == 1 for c in stored.cells if c.cell_type == "code")


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each checked cell prints or gives as text."""
    checked = [c for c in notebook.cells if reference.CHECKED in c.metadata.get("tags", [])]
    return ["".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in c.outputs) for c in checked]


@pytest.mark.parametrize("source", [*CHAPTERS, *PAGES], ids=lambda s: s.stem)
def test_the_smoke_book_prints_what_the_reference_holds(smoke, source):
    """As `pytest --nbval-lax tests/reference` finds by running every notebook once more."""
    made = nbformat.read(smoke / "book" / "chapters" / f"{source.stem}.ipynb", as_version=4)
    stored = nbformat.read(runner.root() / reference.FOLDER / f"{source.stem}.ipynb", as_version=4)
    assert printed(made) == printed(stored)


@pytest.mark.parametrize("source", [*CHAPTERS, *PAGES], ids=lambda s: s.stem)
def test_every_cell_that_prints_is_checked(source):
    """What a chapter prints is what it found: a wrong module must change a reference."""
    code = [c for c in runner.notebook(source).cells if c.cell_type == "code"]
    prints = [c for c in code if re.search(r"^\s*print\(", c.source, re.MULTILINE)]
    loose = [c.source for c in prints if reference.CHECKED not in c.metadata.get("tags", [])]
    assert not loose, "tag it nbval-check-output and round what it prints"


@pytest.mark.parametrize("source", [*CHAPTERS, *PAGES], ids=lambda s: s.stem)
def test_a_save_in_jupyterlab_changes_no_line(source):
    assert sources.round_trip(source) == source.read_text(encoding="utf-8"), "run `make tidy`"


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


def test_no_six_lines_of_code_stand_in_two_notebooks():
    """A second use moves into the package."""
    places: dict[tuple[str, ...], set[str]] = {}
    for source in [*CHAPTERS, *PAGES]:
        for cell in (c for c in runner.notebook(source).cells if c.cell_type == "code"):
            lines = [line.strip() for line in cell.source.splitlines() if line.strip()]
            for k in range(len(lines) - 5):
                places.setdefault(tuple(lines[k:k + 6]), set()).add(source.stem)
    assert {where: lines[0] for lines, where in ((k, tuple(v)) for k, v in places.items()) if len(where) > 1} == {}


def test_every_page_of_the_smoke_book_exists(site):
    pages = {p.relative_to(site).as_posix() for p in site.rglob("*.html")}
    assert {f"book/chapters/{s.stem}.html" for s in [*CHAPTERS, *PAGES]} <= pages
    assert {"index.html", *(f"book/{n}.html" for n in ("intro", "notation", "reproducing", "api"))} <= pages


def test_an_unchanged_book_is_not_built_again(smoke):
    from phasebook.site.build import book

    said = []
    book.build("smoke", smoke, say=said.append)
    assert sum("unchanged" in line for line in said) == len(CHAPTERS) + len(PAGES)
    assert "pages ..." not in said


def test_results_of_the_claims_chapter_count_all_others(smoke):
    folder = smoke / "book" / "chapters"
    files = [folder / f"{s.stem}.results.json" for s in CHAPTERS]
    ledgers = [json.loads(f.read_text(encoding="utf-8")) for f in files]
    groups = ledgers[-1]["numbers"]["verdicts"]["value"].values()
    assert sum(sum(words.values()) for words in groups) == sum(len(ledger["claims"]) for ledger in ledgers)
