"""Parameters: what a chapter accepts, and the one line it answers otherwise."""

import math
import re
from importlib import import_module
from typing import Annotated, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, Field, model_validator

from phasebook.site.build import runner, sources
from phasebook.site.checks.parameters import Count, ParameterError, Parameters, Positive


def known(value: str) -> str:
    if value != "a":
        raise ValueError(f"kind = {value!r}: takes 'a'")
    return value


class Chapter(Parameters):
    grid: Annotated[int, Field(ge=2, le=1001)]
    extent: Annotated[list[float], Field(min_length=4, max_length=4)]
    epsilons: list[Positive]
    model: Literal["exact", "other"]
    kind: Annotated[str, AfterValidator(known)] = "a"
    steps: Count | None = None

    @model_validator(mode="after")
    def _ordered(self):
        if self.extent[0] >= self.extent[1]:
            raise ValueError(f"extent = {self.extent}: takes alpha0 < alpha1")
        return self


GOOD = {"grid": 3, "extent": [0, 1, 0, 1], "epsilons": [0.1], "model": "exact"}


def test_reads_a_notebooks_globals():
    namespace = {**GOOD, "_hidden": 1, "In": [], "math": math, "Chapter": Chapter, "known": known, "Lit": Literal}
    assert Chapter.read(namespace).grid == 3


def test_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Chapter.read(GOOD).grid = 4


def test_reads_lists_given_as_text():
    p = Chapter.read({**GOOD, "extent": "[-1, 2, 0, 1]", "epsilons": "[1e-3]"})
    assert p.extent == [-1, 2, 0, 1] and p.epsilons == [1e-3]


def test_none_given_as_text_where_a_text_may_be_none():
    """`-p images None`: the default is a text, so the door hands on a text."""
    class Pictures(Parameters):
        images: str | None
        prompt: str = ""

    for word in ("None", "null"):
        read = Pictures.read({"images": word, "prompt": word})
        assert read.images is None and read.prompt == word


def test_a_word_or_a_list_of_words_given_as_text():
    class Halves(Parameters):
        half: Literal["a", "b"] | list[Literal["a", "b"]]

    assert Halves.read({"half": "a"}).half == "a" and Halves.read({"half": '["a", "b"]'}).half == ["a", "b"]
    for wrong in ('["c"]', "[a]", "c"):
        with pytest.raises(ParameterError, match="half"):
            Halves.read({"half": wrong})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"grid": 1}, "grid = 1: .*>= 2"),
        ({"grid": -3}, "grid = -3: .*takes an integer >= 2 and <= 1001"),
        ({"grid": 2.5}, "grid = 2.5: .*takes an integer"),
        ({"grid": "many"}, "grid = 'many': .*takes an integer"),
        ({"grid": True}, "grid = True: .*takes an integer"),
        ({"grid": None}, "grid = None: .*takes an integer"),
        ({"extent": [0, 1]}, r"extent = \[0, 1\]: .*length 4"),
        ({"extent": "[0, 1"}, r"extent = '\[0, 1'"),
        ({"extent": [1, 0, 0, 1]}, "extent = .*takes alpha0 < alpha1"),
        ({"epsilons": [0.1, -1.0]}, r"epsilons\[1\] = -1.0: .*> 0"),
        ({"epsilons": [float("nan")]}, r"epsilons\[0\] = nan"),
        ({"epsilons": [float("inf")]}, r"epsilons\[0\] = inf"),
        ({"model": "exct"}, "model = 'exct': .*one of 'exact', 'other'"),
        ({"model": 3}, "model = 3: .*one of"),
        ({"kind": "b"}, "^kind = 'b': takes 'a'$"),
        ({"grd": 5}, r"grd = 5: unknown parameter \(did you mean grid\?\); known are grid, extent"),
    ],
)
def test_bad_values_give_one_line(change, line):
    with pytest.raises(ParameterError, match=line) as error:
        Chapter.read({**GOOD, **change})
    assert "\n" not in str(error.value)


def test_a_missing_parameter_is_named():
    with pytest.raises(ParameterError, match="model: no value given"):
        Chapter.read({k: v for k, v in GOOD.items() if k != "model"})


@pytest.mark.parametrize("text", ["x" * 5000, "é" * 901, "[" + "0, " * 4000 + "0]"], ids=["word", "letters", "list"])
def test_a_refusal_is_a_line_that_can_be_read(text):
    """Its beginning, which names the parameter, and its end, which says what is taken."""
    line = str(ParameterError(f"name = {text!r}: unknown; takes another"))
    assert line.startswith("name = '") and line.endswith("takes another") and " ... " in line and len(line) < 900
    assert str(ParameterError("name = 1: takes 2")) == "name = 1: takes 2"


# --- every chapter, with values within and beyond what it takes ---

ODD = [0, 1, -1, 2, 3, 7, 10**6, 2**31, 2**63, 10**30, True, False, None, 0.0, -0.0, 0.5, 1.0, 1.5, 1e-9, 1e-300, 1e300,
       -1e300, math.nan, math.inf, "", " ", "0", "nan", "exact", "/", "x" * 5000, "caf\udce9", "a\x00b", "<!--<script>",
       "[", "[]", "[0, 1, 0, 1]", "[[0, 1]]", "{}", '["hearts"]', "null"]
DEEP = st.recursive(st.sampled_from(ODD), lambda inner: st.lists(inner, max_size=4), max_leaves=6)


@st.composite
def changed(draw, defaults: dict) -> dict:
    """One or two parameters of a chapter, with odd values or odd entries."""
    names = draw(st.lists(st.sampled_from(list(defaults)), min_size=1, max_size=2, unique=True))
    changes = {}
    for name in names:
        value = draw(DEEP)
        default = defaults.get(name)
        if isinstance(default, list) and default and draw(st.booleans()):
            place = draw(st.integers(0, len(default) - 1))
            value = [*default[:place], value, *default[place + 1:]]
        changes[name] = value
    return changes


def chapter_of(source) -> type[Parameters]:
    """The parameter model of a chapter's notebook."""
    checking = sources.checked_cells(source)[1]
    module = re.search(r"from (\S+) import .*\bChapter\b", checking)[1]
    return import_module(module).Chapter


def near_the_edge(schema: dict, root: dict, default) -> st.SearchStrategy:
    """Values of a parameter's own type, from its JSON schema: its least and largest, one beyond, and those between."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        return st.one_of([near_the_edge(part, root, default) for part in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1e6))
    high = schema.get("maximum", schema.get("exclusiveMaximum", 1e6))
    if schema.get("type") == "integer":
        return st.sampled_from([int(low), int(high), int(low) - 1, int(high) + 1]) | st.integers(int(low), int(high))
    if schema.get("type") == "number":
        tiny = [low * (1 + 1e-15), high * (1 - 1e-15), (low + high) / 2, 1e-300, -1e-300]
        return st.sampled_from([float(low), float(high), *tiny]) | st.floats(low, high)
    if schema.get("type") == "array":
        inner = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        least, most = schema.get("minItems", 0), schema.get("maxItems", 4)
        return st.lists(near_the_edge(inner, root, default), min_size=least, max_size=max(least, min(most, 4)))
    if schema.get("type") == "boolean":
        return st.booleans()
    return st.sampled_from(["", "exact", "icons-unet-a", "families", "digits", default])


@st.composite
def within(draw, schema: dict, defaults: dict) -> dict:
    """A few parameters of a chapter, with values of their types."""
    names = draw(st.lists(st.sampled_from(list(defaults)), min_size=1, max_size=4, unique=True))
    return {name: draw(near_the_edge(schema["properties"][name], schema, defaults[name])) for name in names}


@pytest.mark.parametrize("source", runner.chapters(), ids=lambda s: s.stem)
def test_any_value_is_taken_or_refused_in_one_line(source):
    defaults, smoke = sources.defaults(source), runner.profile("smoke", source)
    schema = chapter_of(source).model_json_schema()
    refused = {True: 0, False: 0}

    @settings(max_examples=60, deadline=None, database=None, derandomize=True,
              suppress_health_check=[HealthCheck.too_slow])
    @given(changed(defaults | smoke) | within(schema, defaults | smoke))
    def holds(changes):
        refusal = False
        try:
            runner.check(source, smoke | changes)
        except ParameterError as error:
            refusal = True
            assert "\n" not in str(error) and len(str(error)) < 1000
            assert any(name in str(error) for name in defaults)         # what is wrong has a name
            str(error).encode()
        refused[refusal] += 1

    holds()
    assert min(refused.values()) > 0 or len(defaults) < 3       # what is drawn lies within and beyond
