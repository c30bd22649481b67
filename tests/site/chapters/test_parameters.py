"""Parameters: what a chapter accepts, and the one line it answers otherwise."""

from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field, model_validator

from phasebook.site.chapters.parameters import Count, ParameterError, Parameters, Positive


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
    import math

    namespace = {**GOOD, "_hidden": 1, "In": [], "math": math, "Chapter": Chapter, "known": known, "Lit": Literal}
    assert Chapter.read(namespace).grid == 3


def test_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Chapter.read(GOOD).grid = 4


def test_reads_lists_given_as_text():
    p = Chapter.read({**GOOD, "extent": "[-1, 2, 0, 1]", "epsilons": "[1e-3]"})
    assert p.extent == [-1, 2, 0, 1] and p.epsilons == [1e-3]


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
