"""The page on speed: what `phasebook bench` has on record, put in when the pages are built.

`book/speed.md` holds the words and marks: `{bench: cpu table}`, `{bench: cpu short}`, `{bench: cpu curves}`, and the
same of `cuda`. The curves become a numbered figure.
"""

import re

from docutils.nodes import caption, figure, raw

from phasebook.site.paths import root

PAGE, MARK = "book/speed", re.compile(r"\{bench: (cpu|cuda) (table|short|curves)\}")
ALT = "Panels of seconds of a slice against its sizes, on logarithmic axes: "
CAPTION = ("What a slice costs against each of its sizes, the others as they are: of the exact model at every point, "
           "where an axis names nothing else. Both axes are logarithmic.")


def filled(machine: str, what: str) -> str:
    """What stands in place of a mark, as Markdown. A book without the page does without these imports."""
    from phasebook.site.build import bench
    from phasebook.site.figures.base import html_of
    from phasebook.site.figures.speed import cost_curves

    place = root() / "benchmarks" / "results" / f"{machine}.json"
    if what != "curves":
        return bench.page(place) if what == "table" else bench.short(place)
    curves = bench.curves(place)
    if not curves:
        return "No curve is on record."
    return "\n".join(["```{raw} html", html_of(cost_curves(curves), ALT + ", ".join(curves)), "```"])


def fill(app, docname: str, source: list[str]) -> None:
    """The page's text with its marks replaced, in place."""
    if docname == PAGE:
        source[0] = MARK.sub(lambda mark: filled(mark[1], mark[2]), source[0])


def number(app, doctree) -> None:
    """The curves as a figure with a caption, which Sphinx numbers."""
    if app.env.docname == PAGE:
        for drawn in [n for n in doctree.findall(raw) if ALT in n.astext()]:
            inside = figure("", raw("", drawn.rawsource, format="html"), caption("", CAPTION), ids=["fig-costs"])
            drawn.parent.replace(drawn, inside)


def setup(app) -> dict:
    app.connect("source-read", fill)
    app.connect("doctree-read", number)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
