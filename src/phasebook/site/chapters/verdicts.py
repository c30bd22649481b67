"""Chapter 8: the results files of all chapters, side by side."""

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import plotly.graph_objects as go
from pydantic import ValidationError

from phasebook.site.build import runner
from phasebook.site.build.sources import CLAIMS
from phasebook.site.chapters.ledger import Claim, Results, Verdict
from phasebook.site.figures.base import COLOURS, layout, table

__all__ = ["count", "count_figure", "provenance_table", "read_results", "results_folder", "untested"]

KINDS: tuple[str, ...] = get_args(Verdict)

# Statements of the paper about experiments that need its own model, or that no chapter measures.
# A chapter that records a claim of the same id takes it off this list.
STATEMENTS = (
    ("sd.slice", "Sec. 3, Fig. 1", "On DreamShaper-8 with CLIP ViT-B/32 features, S is near 0 early, ridges appear and "
     "branch, and the mean of S reaches a plateau."),
    ("sd.pairs", "Figs. 4, 5", "On DreamShaper-8, the named pairs of nearby latents agree before a boundary and differ "
     "after it."),
    ("sd.edits", "Fig. 3", "On DreamShaper-8, the eye needs an inversion back to step 11, the mountains only to "
     "step 23."),
    ("hierarchy.ultrametric_slice", "Abstract", "Distances between images in this geometry follow an ultrametric "
     "structure."),
    ("hierarchy.pairs_diverge", "Sec. 3", "Before two nearby points are separated by a ridge their predictions agree; "
     "afterwards they diverge."),
    ("edit.k_follows_split", "Sec. 3", "Editing success correlates with mode-splitting times."),
    ("edit.same_basin_fewer", "Abstract", "Images within one basin can be edited with fewer inversion steps than "
     "images across a boundary."),
)


def results_folder(value: str) -> str:
    """Validator of the parameter: a folder that holds valid results files (relative: from here or the repository)."""
    read_results(value)
    return value


def _files(folder: str) -> list[Path]:
    """Results files of all chapters but this one."""
    here = Path(folder)
    where = here if here.is_dir() else runner.root() / here
    return sorted(f for f in where.glob("*.results.json") if not f.name.startswith(CLAIMS))


def read_results(folder: str) -> list[Results]:
    """All chapters' results but this chapter's own, in order. ValueError, naming the file, for an invalid one."""
    files = _files(folder)
    if not files:
        raise ValueError(f"results = {folder!r}: no *.results.json there; takes a folder of them (`make book` fills "
                         "book/chapters)")
    found = []
    for file in files:
        try:
            found.append(Results.model_validate_json(file.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(f"results = {folder!r}: {file.name} is not a results file ({_complaint(error)}); "
                             "takes files as `phasebook run` writes them") from None
    return found


def _complaint(error: ValueError) -> str:
    """What is wrong with a results file, in one line: the first complaint, and where."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return (f"{where}: " if where else "") + first["msg"].removeprefix("Value error, ")


def count(claims: Iterable[Claim]) -> dict[str, int]:
    """How many claims have each verdict."""
    found = [c.verdict for c in claims]
    return {kind: found.count(kind) for kind in KINDS}


def count_figure(chapters: list[Results]) -> go.Figure:
    """Stacked bars: claims by verdict, one bar a chapter."""
    names = [title(c.chapter) for c in chapters]
    colours = dict(zip(KINDS, (COLOURS[2], COLOURS[4], COLOURS[1], "#999999"), strict=True))
    bars = [go.Bar(y=names, x=[count(c.claims)[kind] for c in chapters], name=kind, orientation="h",
                   marker_color=colours[kind]) for kind in KINDS]
    fig = layout(go.Figure(bars), height=120 + 42 * len(names), barmode="stack")
    fig.update_layout(legend={"orientation": "h", "y": 1.15, "traceorder": "normal"}, margin_l=190)
    fig.update_xaxes(title="claims", dtick=5)
    fig.update_yaxes(autorange="reversed")
    return fig


def title(chapter: str) -> str:
    """'05_phase_boundaries' -> '5  phase boundaries'."""
    number, _, name = chapter.partition("_")
    return f"{int(number)}  {name.replace('_', ' ')}"


def untested(ids: set[str]) -> list[tuple[str, str, str]]:
    """(id, reference, statement) of the paper's statements that no chapter recorded."""
    return [s for s in STATEMENTS if s[0] not in ids]


def provenance_table(chapters: list[Results]) -> str:
    """Chapter, seconds and counts as an HTML table, and the versions: said once where all chapters share them."""
    words = [", ".join(f"{k} {v}" for k, v in c.versions.items()) for c in chapters]
    rows = [(title(c.chapter), f"{c.seconds:.1f}", len(c.claims), len(c.numbers)) for c in chapters]
    names, caption = ("chapter", "seconds", "claims", "numbers"), "Where the numbers come from"
    if len(set(words)) == 1:
        return table(names, rows, f"{caption}. All chapters: {words[0]}")
    return table((*names, "versions"), [(*r, w) for r, w in zip(rows, words, strict=True)], caption)
