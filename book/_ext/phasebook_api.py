"""The API page: a section for each room of the library, in it each module with what its `__all__` names.

`book/api.md` holds the words and the line `{rooms}`; autodoc renders the docstrings, offline. A name of another project
in a signature is no broken reference, for no inventory of it is at hand; one of ours is.
"""

import importlib
import inspect
import pkgutil
import re

from sphinx.addnodes import desc_signature
from sphinx.ext.autodoc.preserve_defaults import DefaultValue

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
    """Docstrings are words and formulas: a bar or a star in them is no markup, and a table or what stands indented
    behind an empty line stays as it is drawn."""
    shown, inside = [], ""
    for k, line in enumerate(lines):
        if inside == "block" and (not line.strip() or line[0] == " "):
            shown.append(line)
            continue
        if line.lstrip().startswith("|") and line.rstrip().endswith("|") and line.count("|") > 2:
            shown += [] if inside else ["::", ""]
            shown.append("    " + line)
            inside = "table"
            continue
        shown += [""] if inside == "table" else []
        inside = "block" if begins_block(lines, k) else ""
        shown += [f".. code-block:: {'python' if 'import ' in line else 'text'}", "", line] if inside else [
            escaped(line)]
    lines[:] = shown


def begins_block(lines: list[str], k: int) -> bool:
    """Whether a line is indented under a paragraph, an empty line between: an example or a formula. What follows a
    section of arguments or stands in a list is none."""
    if k < 2 or not lines[k].startswith("    ") or lines[k - 1].strip():
        return False
    before = k - 2
    while before and lines[before].strip() and lines[before - 1].strip():
        before -= 1         # to the first line of its paragraph
    return not any(line.startswith(" ") for line in lines[before:k - 1]) and not re.match(r"[-*]|\d+\.", lines[before])


def escaped(line: str) -> str:
    """Stars, bars and backslashes as they stand; what stands in backquotes is code, unless a role says otherwise."""
    pieces = re.split(r"(:[\w:]+:`[^`]*`|``[^`]*``|`[^`]*`)", line)
    pieces[::2] = [re.sub(r"([\\|*])", r"\\\1", text) for text in pieces[::2]]
    pieces[1::2] = [code if code[0] == ":" or code[:2] == "``" else f"`{code}`" for code in pieces[1::2]]
    return "".join(pieces)


def show_values(app, thing, bound: bool) -> None:
    """A default that is a constant of its module, in a signature by its value: the name says nothing to a reader.
    Sphinx has put the defaults as they are written before this is called."""
    around = getattr(inspect.unwrap(thing), "__globals__", {})
    signature = getattr(thing, "__signature__", None)
    if signature is None:
        return
    parameters = []
    for one in signature.parameters.values():
        value = around.get(repr(one.default)) if repr(one.default).isupper() else None
        shown = isinstance(value, int | float | str)
        parameters.append(one.replace(default=DefaultValue(repr(value))) if shown else one)
    vars(getattr(thing, "__func__", thing))["__signature__"] = signature.replace(parameters=parameters)


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
    app.connect("autodoc-before-process-signature", show_values, priority=600)     # after Sphinx's own
    app.connect("autodoc-process-docstring", plain, priority=400)      # before napoleon adds its own markup
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
