"""Where a claim is made: the cell of its chapter's source that records it, found in the text of the cells.

A claim is recorded under its id, `ledger.claim("heat.order", ...)`; under an id put together in a loop,
`ledger.claim(f"heat.{name}.order", ...)`; or from a table of ids in the same cell. `recorded_in` reads all three.
"""

import re
from collections.abc import Iterable, Sequence

__all__ = ["line_of", "of_model", "recorded_in"]

CALL = "ledger.claim("
LITERAL = re.compile(r'(f?)"([^"\n]*)"')
HOLE = re.compile(r"\\\{[^{}]*\\\}")


def recorded_in(cells: Sequence[str], ids: Iterable[str]) -> dict[str, int]:
    """The cell that records each claim.

    Args:
        cells: the code of a chapter, cell by cell.
        ids: its claims.

    Returns:
        The index of the cell by id; a claim whose id no cell names or puts together is left out.
    """
    texts = [LITERAL.findall(code) for code in cells]
    nearest = {}
    for name in ids:
        ranks = [_rank(code, words, name) for code, words in zip(cells, texts, strict=True)]
        if max(ranks, default=0):
            nearest[name] = ranks.index(max(ranks))
    return nearest


def _rank(code: str, words: list[tuple[str, str]], name: str) -> int:
    """How surely a cell records a claim: 0 not at all, 4 by its id in a call."""
    if any(text == name for _, text in words):
        return 4 if CALL in code else 1
    parts = [part for form, text in words if form for part in _filled(text, name)]
    if CALL not in code or not parts:
        return 0
    return 3 if any(text in parts for _, text in words) else 2


def _filled(template: str, name: str) -> list[str]:
    """What fills the first hole of an f-string that gives `name`; [] for one that cannot, or is nothing but a hole."""
    pattern = HOLE.sub("(.*)", re.escape(template))
    match = re.fullmatch(pattern, name)
    return [match[1]] if match and match.groups() and template.split("{")[0] else []


def line_of(source: str, code: str, name: str) -> int | None:
    """The line of a chapter's source, counted from 1, on which a cell records a claim: the one with its id, else the
    first call of the cell, else the cell's first; None where the code is not in the source."""
    start = source.find(code)
    if start < 0:
        return None
    for wanted in (f'"{name}"', CALL):
        if wanted in code:
            return source.count("\n", 0, start + code.index(wanted)) + 1
    return source.count("\n", 0, start) + 1


def of_model(name: str, ids: Iterable[str]) -> str | None:
    """The claim of the file to which an id in a results file belongs: itself, or the one that a model's name was added
    to; None for an id of another chapter."""
    owners = [i for i in ids if name == i or name.startswith(f"{i}.")]
    return max(owners, key=len, default=None)
