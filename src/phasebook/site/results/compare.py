"""Runs of one chapter side by side: what differs in the parameters, and what that does to claims and numbers.

    phasebook compare runs/* -o compare.html

A run is a results file, a folder that holds one, or an executed notebook, by papermill say.
"""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from phasebook.site.checks.parameters import ParameterError
from phasebook.site.results.ledger import Claim, Results
from phasebook.site.results.tables import in_words, shown

__all__ = ["page", "read"]

STYLE = """:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } div { overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #8886; }
caption { text-align: left; font-weight: 600; padding: 1rem 0 .3rem; }
.differs { font-weight: 600; } small { opacity: .8; }"""
LARGEST = 10**300       # a whole number beyond has no digits after a point
SIGNS = {"holds": "✓", "fails": "✕", "holds with correction": "✎", "undecided": "?", "not tested here": "–"}


def read(path: Path) -> Results:
    """The results of a run.

    Raises:
        ParameterError: nothing there, or nothing that is a run of a chapter; one line.
    """
    try:
        file, folder = path, path.is_dir()
        if folder and len(held := sorted(path.glob("*.results.json"))) != 1:
            raise ParameterError(f"RUN = {str(path)!r}: holds {len(held)} results files; takes a folder with one")
        file = held[0] if folder else path
        text = file.read_text(encoding="utf-8")
        return _of_notebook(json.loads(text)) if file.suffix == ".ipynb" else Results.model_validate_json(text)
    except ParameterError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, StopIteration) as error:
        why = " ".join(str(error).split())[:120] or "no ledger in it"
        raise ParameterError(f"RUN = {str(path)!r}: is no run of a chapter ({why})") from None


def _of_notebook(book: dict) -> Results:
    tagged = [c for c in book["cells"] if "results" in c["metadata"].get("tags", [])]
    outputs = [o["data"] for c in tagged for o in c["outputs"] if "application/json" in o.get("data", {})]
    return Results.model_validate(next(iter(outputs))["application/json"])


def page(runs: Sequence[tuple[str, Results]]) -> str:
    """One HTML page that compares runs.

    Args:
        runs: name and results of each, all of one chapter.

    Raises:
        ParameterError: fewer than two runs, or runs of different chapters.
    """
    names = [name for name, _ in runs]
    results = [r for _, r in runs]
    chapters = sorted({r.chapter for r in results})
    if len(runs) < 2 or len(chapters) > 1:
        what = f"of {', '.join(chapters)}" if len(chapters) > 1 else f"{len(runs)} of them"
        raise ParameterError(f"RUN: {what}; takes two or more runs of one chapter")
    parts = [_table("Parameters that differ", names, _parameters(results)), _table("Claims", names, _claims(results)),
             _table("Numbers that differ", names, _numbers(results))]
    title = escape(f"{len(runs)} runs of {chapters[0]}")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    whole = (f'<!doctype html><html lang="en"><head>{head}</head>'
             f"<body><h1>{title}</h1>{''.join(parts)}</body></html>\n")
    return whole.encode("utf-8", "backslashreplace").decode()       # file names may be of another encoding


def _parameters(results: list[Results]) -> list[list[str]]:
    rows = []
    for name in dict.fromkeys(name for r in results for name in r.parameters):
        values = [json.dumps(r.parameters.get(name), ensure_ascii=False) for r in results]
        if len(set(values)) > 1:
            rows.append([f"<code>{escape(name)}</code>", *map(escape, values)])
    return rows


def _claims(results: list[Results]) -> list[list[str]]:
    by_run = [{c.id: c for c in r.claims} for r in results]
    rows = []
    for name in dict.fromkeys(c.id for r in results for c in r.claims):
        there = [claims.get(name) for claims in by_run]
        told = next(c for c in there if c)
        differ = len({c.verdict if c else "" for c in there}) > 1
        words = f"<code>{name}</code> {in_words(told.bound)}<br><small>{escape(told.statement)}</small>"
        rows.append([words, *(_cell(c, differ) for c in there)])
    return rows


def _cell(claim: Claim | None, differ: bool) -> str:
    if claim is None:
        return "–"
    verdict = f"{SIGNS[claim.verdict]} {claim.verdict}"
    return f'{shown(claim.estimate)}<br><span class="{"differs" if differ else "same"}">{verdict}</span>'


def _numbers(results: list[Results]) -> list[list[str]]:
    """Scalars among the raw numbers; lists stand in the results files."""
    rows = []
    units = {name: number.unit for r in results for name, number in r.numbers.items()}
    for name, unit in units.items():
        values = [r.numbers[name].value if name in r.numbers else None for r in results]
        plain = all(v is None or isinstance(v, float) or isinstance(v, int) and abs(v) < LARGEST for v in values)
        if plain and len(set(values)) > 1:
            rows.append([f"<code>{escape(name)}</code> {escape(unit)}", *map(shown, values)])
    return rows


def _table(caption: str, names: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return f"<p>{caption}: none.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in ["", *names])
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div tabindex=\"0\"><table><caption>{caption}</caption><tr>{head}</tr>{body}</table></div>"
