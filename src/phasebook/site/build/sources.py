"""The sources of the book: chapters and pages in py:percent, and the parameters that profiles and files change.

A chapter is `notebooks/NN_name.py` and leaves a ledger; a page is any other `notebooks/name.py`, executed as it stands.
"""

import ast
import threading
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupytext.config import load_jupytext_config

from phasebook.site import strict_yaml
from phasebook.site.checks.parameters import ParameterError
from phasebook.site.paths import root

__all__ = [
    "CLAIMS", "ChapterError", "chapters", "checked_cells", "defaults", "find_chapter", "given", "imports",
    "notebook", "number_cells", "pages", "parsed", "profile", "round_trip",
]

PARSER = threading.Lock()


CLAIMS = "19_claims"      # the chapter that reads the results of the others

KERNEL = "Python 3 (ipykernel)"     # what JupyterLab calls the kernel python3


class ChapterError(RuntimeError):
    """A chapter failed while it ran: one line; `traceback` holds the rest."""

    traceback = ""


def chapters() -> list[Path]:
    """The sources of all chapters in order of their numbers."""
    return sorted((root() / "notebooks").glob("[0-9][0-9]_*.py"))


def pages() -> list[Path]:
    """The sources of executed pages that are no chapters: no parameters, no ledger."""
    return sorted(set((root() / "notebooks").glob("*.py")) - set(chapters()))


def find_chapter(name: str) -> Path:
    """The source for `7`, `07`, `one_dimension` or `07_one_dimension`; ParameterError, naming all, for another."""
    for source in chapters():
        number = source.stem[:2]
        if name in (source.stem, source.stem[3:], number, str(int(number))):
            return source
    known = ", ".join(s.stem for s in chapters())
    raise ParameterError(f"CHAPTER = {name!r}: no such chapter; known are {known}")


def profile(name: str, source: Path) -> dict[str, Any]:
    """The parameters that a profile changes in a chapter: `notebooks/params/NAME/NN.yaml`, {} where it has none."""
    folder = root() / "notebooks" / "params"
    if name == "default":
        return {}
    known = sorted(f.name for f in folder.iterdir() if f.is_dir())
    if name not in known:
        raise ParameterError(f"profile = {name!r}: no such profile; known are default, {', '.join(known)}")
    file = folder / name / f"{source.stem[:2]}.yaml"
    return given(file) if file.is_file() else {}


def given(file: Path) -> dict[str, Any]:
    """A flat YAML file of parameters. ParameterError, one line, for anything else."""
    try:
        values = strict_yaml.read(file)
    except ValueError as error:
        raise ParameterError(f"-f {file}: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(k, str) for k in values):
        raise ParameterError(f"-f {file}: takes a flat mapping of parameter names to values")
    return values


def notebook(source: Path) -> nbformat.NotebookNode:
    """A source as a notebook, not executed; its cells are numbered, so that two readings are equal."""
    book = jupytext.read(source)
    number_cells(book)
    return book


def round_trip(source: Path) -> str:
    """The text of a source after it was opened and saved as a notebook, by JupyterLab or by hand."""
    config = load_jupytext_config(str(source))
    opened = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent", config=config)
    stored = nbformat.reads(nbformat.writes(opened), as_version=4)
    stored.metadata["kernelspec"] = {"display_name": KERNEL, "language": "python", "name": "python3"}
    return jupytext.writes(stored, fmt="py:percent", config=config)


def number_cells(book: nbformat.NotebookNode) -> None:
    """Give each cell of a notebook its place as its id, in place."""
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"


def checked_cells(source: Path) -> tuple[str, str]:
    """The code of the parameters cell and of the cell that checks them."""
    cells = _checked_cells(source.read_text(encoding="utf-8"))
    if cells is None:
        raise ChapterError(f"{source.stem}: needs one cell tagged 'parameters' and a cell after it that checks them")
    return cells


@cache      # reading a source takes longer than running the two cells
def _checked_cells(text: str) -> tuple[str, str] | None:
    code = [c for c in jupytext.reads(text, fmt="py:percent").cells if c.cell_type == "code"]
    tagged = [i for i, c in enumerate(code) if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1 or tagged[0] + 1 >= len(code):
        return None
    return code[tagged[0]].source, code[tagged[0] + 1].source


def parsed(code: str) -> ast.Module:
    """The syntax tree of `code`. Chapters are built by threads, and Python 3.11 cannot make two trees at a time."""
    with PARSER:
        return ast.parse(code)


def imports(sources: Iterable[Path]) -> list[str]:
    """The statements of notebooks that import from this package, each once.

    Others stay out: some libraries look at their import whether they are in a notebook.
    """
    lines = []
    for source in sources:
        with suppress(SyntaxError, ValueError):     # its own run will say so
            lines += parsed(source.read_text(encoding="utf-8")).body
    own = [line for line in lines if isinstance(line, ast.ImportFrom) and str(line.module).startswith("phasebook.")]
    return list(dict.fromkeys(map(ast.unparse, own)))


def defaults(source: Path) -> dict[str, Any]:
    """The literals of the parameters cell."""
    tree = parsed(checked_cells(source)[0])
    pairs = [(n.targets[0], n.value) for n in tree.body if isinstance(n, ast.Assign)]
    return {target.id: ast.literal_eval(value) for target, value in pairs}


if __name__ == "__main__":      # `make tidy`
    for file in [*chapters(), *pages()]:
        file.write_text(round_trip(file), encoding="utf-8")
