"""The page: what Sphinx needs so that the site is whole without a network.

One plotly.js for the site, copied out of the installed plotly package; MathJax as one file, copied out of the package
sphinx-mathjax-offline; the book's own style and script; none of the scripts that jupyter-book adds for live kernels
(they name a server). Equations are numbered by chapter. A formula keeps its punctuation.
"""

import re
from importlib.metadata import PackagePath, files
from pathlib import Path

from docutils.nodes import Element, Text, container, inline, literal_block, math, math_block, title

PLOTLY = ("plotly", "package_data/plotly.min.js")
BEFORE, BEHIND = re.compile(r"[(\[‘“'\"]+$"), re.compile(r"^(?:[^\w\s]+s?\b|[^\w\s]+)")
MATHJAX = ("sphinx-mathjax-offline", "mathjax/tex-svg.js")   # `mathjax_path` in _config.yml names it


def installed_file(package: str, ending: str) -> Path:
    """Where a file of an installed package lies; FileNotFoundError names both."""
    held: list[PackagePath] = [f for f in files(package) or [] if f.as_posix().endswith(ending)]
    if not held:
        raise FileNotFoundError(f"the installed package {package} holds no file {ending}")
    return Path(held[0].locate())


def add_static(app) -> None:
    app.config.html_static_path += [str(installed_file(*PLOTLY)), str(installed_file(*MATHJAX))]


def drop_live_kernels(app, pagename, templatename, context, doctree) -> None:
    def wanted(script) -> bool:
        return "thebe" not in str(script.filename).lower() and "THEBE" not in script.attributes.get("body", "")

    context["script_files"] = [s for s in context.get("script_files", []) if wanted(s)]


def number_equations(app, doctree) -> None:
    """Our equations as (5.1) in chapter 7, so that (1) to (38) are left to the paper's, which stand as tags."""
    equations = app.env.get_domain("math").equations
    chapter = re.match(r"\d+", app.env.docname.rpartition("/")[2])
    for node in doctree.findall(math_block):
        if chapter and node.get("number"):
            node["number"] = f"{int(chapter[0])}.{node['number']}"
            equations[node["label"]] = (app.env.docname, node["number"])


def keep_punctuation(app, doctree) -> None:
    """A formula in a line of text keeps what touches it, so that no comma begins a line and no bracket ends one."""
    for formula in list(doctree.findall(math)):
        parent, at = formula.parent, formula.parent.index(formula)
        before = touching(parent, at - 1, BEFORE)
        behind = touching(parent, at + 1, BEHIND)
        if isinstance(parent, title) or not (before or behind):
            continue
        kept = inline("", "", *([Text(before)] if before else []), formula, *([Text(behind)] if behind else []),
                      classes=["pb-kept"])
        around = [kept]
        first, last = at, at + 1
        if before:
            first, around = at - 1, [Text(parent[at - 1].astext().removesuffix(before)), *around]
        if behind:
            last, around = at + 2, [*around, Text(parent[at + 1].astext().removeprefix(behind))]
        parent[first:last] = around


def touching(parent: Element, at: int, what: re.Pattern) -> str:
    """What of the text at a place of its parent touches the formula beside it; '' where no text is there."""
    beside = parent[at] if 0 <= at < len(parent) else None
    found = what.search(beside.astext()) if isinstance(beside, Text) else None
    return found[0] if found else ""


def add_command(app, doctree) -> None:
    """Beneath a chapter's parameters the command that runs it with another value."""
    chapter = re.match(r"\d+", app.env.docname.rpartition("/")[2])
    for cell in doctree.findall(lambda n: isinstance(n, container) and "tag_parameters" in n["classes"]):
        code = next(cell.findall(literal_block))
        last = re.findall(r"^(\w+) = ", code.astext(), re.MULTILINE)[-1]
        text = f"phasebook run {chapter[0]} -p {last} VALUE -o out" if chapter else ""
        if text:
            code.parent.append(literal_block(text, text, language="bash", classes=["pb-command"]))


def mend_roles(app, pagename, templatename, context, doctree) -> None:
    """Entries of the bibliography as items of its list: a list without items says nothing to who listens."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app) -> dict:
    app.connect("builder-inited", add_static)
    app.connect("doctree-read", number_equations)
    app.connect("doctree-read", keep_punctuation)
    app.connect("doctree-read", add_command)
    app.connect("html-page-context", drop_live_kernels, priority=900)
    app.connect("html-page-context", mend_roles)
    app.add_css_file("phasebook.css", priority=900)
    # icons are those of the theme's pages: Font Awesome need not look through a figure each time it draws
    app.add_js_file("phasebook.js", loading_method="defer", **{"data-observe-mutations": "false"})
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
