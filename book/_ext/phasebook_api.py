"""The API page: a section for each room of the library, in it each module with what its `__all__` names.

`book/api.md` holds the words and the line `{rooms}`; autodoc renders the docstrings, offline. A name of another project
in a signature is no broken reference, for no inventory of it is at hand; one of ours is.
"""

import importlib
import pkgutil
import re

from sphinx.addnodes import desc_signature

PAGE, MARK = "book/api", "{rooms}"
HIDDEN = ("phasebook.site", "phasebook.cli")        # the book's own machinery


def public_modules(package: str) -> list[str]:
    """Modules of a package, at whatever depth, that say in `__all__` what is public."""
    path = importlib.import_module(package).__path__
    names = [m.name for m in pkgutil.walk_packages(path, f"{package}.") if not m.name.startswith(HIDDEN)]
    return [n for n in names if getattr(importlib.import_module(n), "__all__", None)]


def rooms(package: str = "phasebook") -> str:
    """The text that stands in place of the mark."""
    lines = []
    if getattr(importlib.import_module(package), "__all__", None):
        lines += ["## What `import phasebook` gives", "", *documented(package), ""]
    room = None
    for module in public_modules(package):
        first, *rest = module.removeprefix(f"{package}.").split(".")
        if first != room and rest:
            lines += [f"## `{first}`", ""]
            room = first
        lines += [f"{'###' if rest else '##'} `{'.'.join([first, *rest])}`", "", *documented(module), ""]
    return "\n".join(lines)


def documented(module: str) -> list[str]:
    return ["```{eval-rst}", f".. automodule:: {module}", "   :members:", "```"]


def fill(app, docname: str, source: list[str]) -> None:
    if docname == PAGE:
        source[0] = source[0].replace(MARK, rooms())


def plain(app, what, name, thing, options, lines: list[str]) -> None:
    """Docstrings are words and formulas: a bar or a star in them is no markup, and a table stays as it is drawn."""
    shown, in_table = [], False
    for line in lines:
        if line.lstrip().startswith("|") and line.rstrip().endswith("|") and line.count("|") > 2:
            shown += [] if in_table else ["::", ""]
            shown.append("    " + line)
            in_table = True
        else:
            shown += ["", escaped(line)] if in_table else [escaped(line)]
            in_table = False
    lines[:] = shown


def escaped(line: str) -> str:
    """Stars, bars and backslashes as they stand; what stands in backquotes is code, unless a role says otherwise."""
    pieces = re.split(r"(:[\w:]+:`[^`]*`|``[^`]*``|`[^`]*`)", line)
    pieces[::2] = [re.sub(r"([\\|*])", r"\\\1", text) for text in pieces[::2]]
    pieces[1::2] = [code if code[0] == ":" or code[:2] == "``" else f"`{code}`" for code in pieces[1::2]]
    return "".join(pieces)


def skip(app, what, name, thing, skipped, options) -> bool | None:
    """Fields of a named tuple without words of their own; their class describes them."""
    words = getattr(thing, "__doc__", None) or ""
    return True if words.startswith("Alias for field number") else None


def shorten(app, domain, kind, content) -> None:
    """What a class holds is not listed among the contents: of a thousand names nobody finds one."""
    if kind in ("attribute", "method", "property"):
        for name in content.parent.findall(desc_signature):
            name["_toc_name"] = ""


def configure(app, config) -> None:
    config.nitpick_ignore_regex = [*config.nitpick_ignore_regex, ("py:.*", r"(?!phasebook\b).*")]
    config.add_module_names = False
    config.autodoc_member_order = "bysource"
    config.autodoc_preserve_defaults = True         # as written: a value could show where it lies in memory
    config.autodoc_typehints_format = "short"
    config.napoleon_google_docstring, config.napoleon_numpy_docstring = True, False
    config.napoleon_attr_annotations = False        # shapes hold stars, which would be markup


def setup(app) -> dict:
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("config-inited", configure)
    app.connect("source-read", fill)
    app.connect("autodoc-skip-member", skip)
    app.connect("object-description-transform", shorten)
    app.connect("autodoc-process-docstring", plain, priority=400)      # before napoleon adds its own markup
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
