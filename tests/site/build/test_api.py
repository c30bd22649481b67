"""The API page: what is public, and docstrings that are words and formulas."""

import importlib.util
import inspect
from io import StringIO
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import roles
from sphinx.ext.autodoc.preserve_defaults import update_defvalue
from sphinx.ext.napoleon import Config, GoogleDocstring

from phasebook.models.exact import ExactModel
from phasebook.site.build import runner
from phasebook.slices.slice import Slice
from phasebook.slices.stores.engine import store_slice

FILE = runner.root() / "book" / "_ext" / "phasebook_api.py"
spec = importlib.util.spec_from_file_location("phasebook_api", FILE)
api = importlib.util.module_from_spec(spec)
spec.loader.exec_module(api)


def test_every_public_module_of_the_library_has_a_place_and_no_other():
    text = api.rooms()
    names = [line.removeprefix(".. automodule:: ") for line in text.splitlines() if line.startswith(".. automodule")]
    assert len(names) == len(set(names)) and "phasebook.stats" in names
    assert not [n for n in names if ".site" in n or n == "phasebook.cli"]
    rooms = {n.split(".")[1] for n in names if "." in n}
    assert {"theory", "mixtures", "sampling", "models", "slices", "hierarchy", "edits"} <= rooms


@pytest.mark.parametrize(("line", "shown"), [
    ("E|f|^2 = a*b", r"E\|f\|^2 = a\*b"), ("`a|b` and ``c*d``", "``a|b`` and ``c*d``"),
    ("see :func:`phasebook.f` | x", r"see :func:`phasebook.f` \| x"), (r"\hat x", r"\\hat x"),
])
def test_formulas_are_no_markup(line, shown):
    assert api.escaped(line) == shown


def test_a_table_stays_as_it_is_drawn():
    lines = ["Words:", "", "| a | b |", "|---|---|", "| 1 | 2 |", "More."]
    api.plain(None, "module", "m", None, None, lines)
    assert lines == ["Words:", "", "::", "", "    | a | b |", "    |---|---|", "    | 1 | 2 |", "", "More."]


def test_examples_and_formulas_keep_their_lines():
    """What stands indented behind an empty line is a block as it is drawn; arguments and lists are none."""
    lines = ["Words:", "", "    from phasebook import x", "    y = a*b", "", "    z = |y|", "", "More *of*", "it.",
             "", "    |J| <= s,", "", "Args:", "    a: one, that", "        goes on.", "", "    b: two.", "",
             "- an item", "", "    of two paragraphs", ""]
    kept = lines[12:18]
    api.plain(None, "module", "m", None, None, lines)
    assert lines == ["Words:", "", ".. code-block:: python", "", "    from phasebook import x", "    y = a*b", "",
                     "    z = |y|", "", r"More \*of\*", "it.", "", ".. code-block:: text", "", "    |J| <= s,", "",
                     *kept, "- an item", "", "    of two paragraphs", ""]


def test_a_default_that_is_a_constant_is_shown_by_its_value():
    """Behind Sphinx's own, which puts it as it is written."""
    app = SimpleNamespace(config=SimpleNamespace(autodoc_preserve_defaults=True))
    for thing, bound, shown in ((Slice.ridge, False, "share: float = 0.2"), (store_slice, False, "tries: int = 3"),
                                (ExactModel.of, True, "bonus: float = 12.0")):
        update_defvalue(app, thing, bound)
        try:
            api.show_values(app, thing, bound)
            assert shown in str(inspect.signature(thing)).replace("'", "")
        finally:
            vars(getattr(thing, "__func__", thing)).pop("__signature__", None)


def public():
    """Every public name of the library with its docstring, and those of its classes' members."""
    for module in map(importlib.import_module, api.public_modules("phasebook")):
        yield module.__name__, module.__doc__
        for name in module.__all__:
            thing = getattr(module, name)
            yield f"{module.__name__}.{name}", inspect.getdoc(thing) if callable(thing) else None
            own = inspect.isclass(thing) and thing.__module__.startswith("phasebook")      # and no alias of a type
            yield from ((f"{module.__name__}.{name}.{part}", inspect.getdoc(value)) for part, value in
                    (vars(thing).items() if own else ())
                        if not part.startswith("_") and (callable(value) or isinstance(value, property | classmethod)))


def test_every_docstring_can_be_read():
    """As Sphinx reads it when the pages are built, which one that it cannot read stops."""
    for role in ("class", "exc", "func", "meth", "mod", "attr", "obj", "ref", "doc"):
        roles.register_local_role(role, lambda name, raw, text, *rest, **more: ([nodes.literal(raw, text)], []))
    config = Config(napoleon_numpy_docstring=False, napoleon_use_ivar=True, napoleon_attr_annotations=False)
    config.strip_signature_backslash = True         # a name may end with an underscore
    faults, said = [], StringIO()
    for name, words in public():
        lines = (words or "").split("\n")
        api.plain(None, "", name, None, None, lines)
        tree = publish_doctree(str(GoogleDocstring(lines, config, what="function")),
                               settings_overrides={"report_level": 2, "halt_level": 5, "warning_stream": said})
        faults += [f"{name}: {node.astext()}" for node in tree.findall(nodes.literal) if "``" in node.astext()]
        faults += [f"{name}: loses its lines: {node.astext()}" for node in tree.findall(nodes.block_quote)]
        if said.getvalue():
            faults.append(f"{name}: {said.getvalue().splitlines()[0]}")
            said.truncate(said.seek(0))
    assert faults == []
