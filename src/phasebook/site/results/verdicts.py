"""The chapter of claims: the results files of all chapters, side by side."""

import os
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Annotated, get_args

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from pydantic import AfterValidator, ValidationError

from phasebook.site.build.sources import CLAIMS, chapters
from phasebook.site.checks.parameters import Parameters
from phasebook.site.figures.base import COLOURS, layout, table
from phasebook.site.paths import root
from phasebook.site.results.claims import Kind, Verdict
from phasebook.site.results.ledger import Claim, Results

__all__ = ["Chapter", "count", "count_figure", "count_table", "filter_form", "provenance_table", "read_results"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
SHADES = dict(zip(VERDICTS, (COLOURS[2], COLOURS[4], COLOURS[1], COLOURS[5], "#999999"), strict=True))
GROUPS: dict[str, tuple[Kind, ...]] = {
    "verdicts on sentences of the paper": ("paper", "reading"),
    "claims of this book": ("book",),
    "solvers against oracles": ("check",),
}


def _results_folder(value: str) -> str:
    """A folder that holds valid results files (relative: from here or the repository)."""
    read_results(value)
    return value


class Chapter(Parameters):
    """The parameters of the chapter."""

    results: Annotated[str, AfterValidator(_results_folder)]


def read_results(folder: str) -> list[Results]:
    """The results of all chapters but this one, in order; a chapter that was not run is left out.

    Only the files of the book's own chapters count: what an older book or a copy left in the folder does not.

    Raises:
        ValueError: there are none, or a file is no results file of its chapter; one line that names it.
    """
    where = Path(folder if os.path.isdir(folder) else root() / folder)
    others = [source.stem for source in chapters() if source.stem != CLAIMS]
    files = [where / f"{name}.results.json" for name in others]
    results = [_read(file, folder) for file in files if os.path.isfile(file)]
    if not results:
        raise ValueError(f"results = {folder!r}: no results file of a chapter there; takes a folder of them "
                         "(`make book` fills book/chapters)")
    return results


def _read(file: Path, folder: str) -> Results:
    try:
        results = Results.model_validate_json(file.read_text(encoding="utf-8"))
        if f"{results.chapter}.results.json" != file.name:
            raise ValueError(f"holds the results of {results.chapter}")
        return results
    except (OSError, ValueError) as error:
        raise ValueError(f"results = {folder!r}: {file.name} is not a results file ({_complaint(error)}); "
                         "takes files as `phasebook run` writes them") from None


def _complaint(error: Exception) -> str:
    """What is wrong with a results file, in one line: the first complaint, and where."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return (f"{where}: " if where else "") + first["msg"].removeprefix("Value error, ")


def of_group(claims: Iterable[Claim], group: str) -> list[Claim]:
    """The claims of one group of kinds."""
    return [c for c in claims if c.kind in GROUPS[group]]


def count(claims: Iterable[Claim]) -> dict[str, dict[str, int]]:
    """How many claims of each group have each verdict."""
    claims = list(claims)
    numbers = {}
    for group in GROUPS:
        words = [c.verdict for c in of_group(claims, group)]
        numbers[group] = {word: words.count(word) for word in VERDICTS}
    return numbers


def count_table(claims: Iterable[Claim]) -> str:
    """The counts as an HTML table, a row for each group."""
    rows = [(group, *numbers.values(), sum(numbers.values())) for group, numbers in count(claims).items()]
    return table(("", *VERDICTS, "all"), rows, "Claims by kind and verdict")


def filter_form(results: list[Results]) -> str:
    """What the reader may ask of the tables below it: kind, verdict, chapter, words. A script of the page makes it
    work, and without one it is not shown."""
    asks = {"kind": {k: k for k in get_args(Kind)}, "verdict": {v: v for v in VERDICTS},
            "chapter": {name: title(name) for name in [*(r.chapter for r in results), CLAIMS]}}
    fields = "".join(_choice(name, options) for name, options in asks.items())
    return (f'<form class="pb-filter" role="search" aria-label="Find a claim" hidden>{fields}'
            '<label>words <input name="words" type="search" autocomplete="off" placeholder="(iii), tree"></label>'
            '<button type="reset">Show all</button><output aria-live="polite"></output></form>')


def _choice(name: str, options: dict[str, str]) -> str:
    """A drop-down list whose first entry leaves the question open."""
    entries = "".join(f'<option value="{escape(value)}">{escape(words)}</option>' for value, words in options.items())
    return f'<label>{name} <select name="{name}"><option value="">all</option>{entries}</select></label>'


def count_figure(results: list[Results]) -> go.Figure:
    """Stacked bars, a row for each chapter: on the left the paper's sentences, on the right all other claims."""
    names = [title(r.chapter) for r in results]
    paper, *others = GROUPS
    fig = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.06,
                        subplot_titles=("the paper", "this book and its checks"))
    for column, groups in enumerate(([paper], others), 1):
        for word in VERDICTS:
            bar = go.Bar(y=names, x=[_count_of(r, groups, word) for r in results], name=word, orientation="h",
                         marker_color=SHADES[word], legendgroup=word, showlegend=column == 1)
            fig.add_trace(bar, row=1, col=column)
    fig = layout(fig, height=200 + 36 * len(names), barmode="stack")
    legend = {"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom", "traceorder": "normal"}
    fig.update_layout(legend=legend, margin_l=170, margin_b=110)
    widest = max(sum(_count_of(r, groups, word) for word in VERDICTS) for r in results for groups in ([paper], others))
    fig.update_xaxes(title="claims", dtick=5, range=[0, 1.04 * widest])         # a claim is as long on both sides
    fig.update_yaxes(autorange="reversed", ticksuffix="  ")
    return fig


def _count_of(results: Results, groups: list[str], word: str) -> int:
    numbers = count(results.claims)
    return sum(numbers[group][word] for group in groups)


def title(chapter: str) -> str:
    """'07_one_dimension' -> '7  one dimension'."""
    number, _, name = chapter.partition("_")
    return f"{int(number)}  {name.replace('_', ' ')}"


def provenance_table(results: list[Results]) -> str:
    """Chapters and counts as an HTML table, and the versions: said once where all chapters share them."""
    words = [", ".join(f"{k} {v}" for k, v in r.versions.items()) for r in results]
    rows = [(title(r.chapter), len(r.claims), len(r.numbers)) for r in results]
    names, caption = ("chapter", "claims", "numbers"), "Where the numbers come from"
    if len(set(words)) == 1:
        return table(names, rows, f"{caption}. All chapters: {words[0]}")
    return table((*names, "versions"), [(*r, w) for r, w in zip(rows, words, strict=True)], caption)
