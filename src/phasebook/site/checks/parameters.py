"""A chapter's parameters: literals in its tagged cell, checked by a frozen pydantic model in the next.

The model of each chapter stands in `site/chapters/<subject>.py`; the next cell of the notebook reads

    from phasebook.site.chapters.one_dimension import Chapter

    p = Chapter.read(globals())

The runner executes these two cells before anything else; a plain papermill run meets the same check in the notebook
itself.
"""

import json
import types
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from phasebook.site.checks.memory import check_memory

__all__ = ["Count", "Finite", "Fraction", "ParameterError", "Parameters", "Positive", "Seed",
           "unknown_parameter"]

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**62)]            # room for the chapters to add a few thousand

SHELL_NAMES = {"In", "Out"}     # the data that IPython puts into a fresh notebook's namespace
LONGEST = 60                    # characters of a value that a message repeats
LINE = 900              # characters of a refusal


class ParameterError(ValueError):
    """One line: the parameter, the value, and what is accepted. Of a very long one the middle is left out."""

    def __init__(self, line: str):
        super().__init__(line if len(line) <= LINE else f"{line[:LINE // 2]} ... {line[-LINE // 3:]}")


class Parameters(BaseModel):
    """Base of every chapter's parameter model: frozen, strict about names and types.

    Attributes:
        distinct: names of lists that have no entry twice.
    """

    distinct: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)

    @field_validator("*", mode="before")
    @classmethod
    def _from_text(cls, value: Any, info) -> Any:
        """A list given as text (`-p extent "[0,1,0,1]"`) is read as JSON; a whole number given for text is text
        (`-p prompt 5`, which papermill reads as a number), and `None` where that is taken (`-p images None`)."""
        annotation = cls.model_fields[info.field_name].annotation
        if isinstance(value, str) and value in ("None", "null") and _mentions(annotation, types.NoneType):
            return None
        if annotation is str and type(value) is int:
            return str(value)
        listed = isinstance(value, str) and value.startswith("[") and _mentions(annotation, list)
        if isinstance(value, str) and (listed or not _mentions(annotation, str)):
            try:
                return json.loads(value)
            except (ValueError, RecursionError):
                raise ValueError(f"text is not accepted here ({_takes(cls, info.field_name)})") from None
        return value

    @model_validator(mode="after")
    def _distinct(self):
        for name in self.distinct:
            value = getattr(self, name)
            if any(entry in value[:k] for k, entry in enumerate(value)):
                raise ValueError(f"{name} = {_short(value)}: takes each once")
        return self

    def memory(self) -> dict[str, float]:
        """Bytes of the arrays that a run keeps at its peak, part by part: see `checks.memory`."""
        return {}

    @classmethod
    def read(cls, namespace: Mapping[str, Any]) -> Self:
        """The model from a notebook's globals, or ParameterError with one line.

        Every public name that is plain data counts as a parameter, so that a misspelt one
        (papermill injects it all the same) is refused by name.
        """
        given = {name: value for name, value in namespace.items() if _is_parameter(name, value)}
        unknown = sorted(set(given) - set(cls.model_fields))
        if unknown:
            raise ParameterError(unknown_parameter(unknown[0], given[unknown[0]], cls.model_fields))
        try:
            chosen = cls(**given)
        except ValidationError as error:
            raise ParameterError(_one_line(cls, error)) from None
        except OSError as error:        # a name that the file system will not even look for
            raise ParameterError(_unreadable(given, error)) from None
        try:
            check_memory(chosen.memory())
        except ValueError as error:
            raise ParameterError(str(error)) from None
        return chosen


def unknown_parameter(name: str, value: Any, known: Iterable[str]) -> str:
    """The line that refuses a parameter which a chapter does not have."""
    near = get_close_matches(name, known := list(known), 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    said = name if name.isprintable() else repr(name)
    return f"{said} = {_short(value)}: unknown parameter{hint}; known are {', '.join(known)}"


def _unreadable(given: Mapping[str, Any], error: OSError) -> str:
    file, reason = str(error.filename), (error.strerror or str(error)).lower()
    name = next((name for name, value in given.items() if isinstance(value, str) and value and value in file), "a file")
    return f"{name} = {_short(given.get(name, file))}: cannot be read ({reason}); takes a file or folder that can be"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST - 3] + "..."


def _is_parameter(name: str, value: Any) -> bool:
    hidden = name.startswith("_") or name in SHELL_NAMES
    # typing's special forms (Literal, Annotated) are imported into the same cell; data never comes from there
    code = isinstance(value, types.ModuleType | type) or callable(value) or type(value).__module__ == "typing"
    return not (hidden or code)


def _mentions(annotation: Any, wanted: type) -> bool:
    """Whether `annotation` accepts `wanted` itself (through Annotated, Union, Literal), not inside a list."""
    if annotation is wanted:
        return True
    if isinstance(annotation, str):  # a Literal's value
        return wanted is str
    origin = getattr(annotation, "__origin__", None)
    if origin in (list, tuple, dict):
        return origin is wanted
    return any(_mentions(a, wanted) for a in get_args(annotation))


def _takes(cls: type[BaseModel], name: str) -> str:
    """What a parameter takes, in words, from its JSON schema."""
    schema = cls.model_json_schema(mode="validation")
    return "takes " + _words(schema["properties"][name], schema)


def _words(s: dict, root: dict) -> str:
    if "$ref" in s:
        s = root["$defs"][s["$ref"].rsplit("/", 1)[1]]
    if s.get("description"):
        return s["description"]
    if "enum" in s or "const" in s:
        return "one of " + ", ".join(repr(v) for v in s.get("enum", [s.get("const")]))
    if "anyOf" in s:
        return " or ".join(_words(a, root) for a in s["anyOf"])
    kind = {"integer": "an integer", "number": "a number", "string": "text", "boolean": "True or False",
            "array": "a list", "null": "None"}.get(s.get("type"), "another value")
    if s.get("type") == "array":
        inner = s.get("items") or (s.get("prefixItems") or [{}])[0]
        words = _words(inner, root)
        kind += " of numbers" + words.removeprefix("a number") if words.startswith("a number") else f" of {words}"
        low, high = s.get("minItems"), s.get("maxItems")
        if low is not None or high is not None:
            kind += f" (length {low if low == high else str(low or 0) + ' to ' + str(high or 'any')})"
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {s[key]}" for key, sign in signs.items() if key in s]
    return " ".join([kind, " and ".join(bounds)]).strip()


def _one_line(cls: type[BaseModel], error: ValidationError) -> str:
    """The first complaint as `name = value: reason; takes ...`; later ones only counted."""
    first, *more = error.errors(include_url=False)
    message = first["msg"].removeprefix("Value error, ").replace("\n", " ")
    tail = f" (and {len(more)} more)" if more else ""
    if not first["loc"]:  # a check across parameters names them itself
        return message + tail
    name, *inside = first["loc"]
    if first["type"] == "value_error" and message.startswith(str(name)):  # the check has said it all
        return message + tail
    if first["type"] == "missing":
        return f"{name}: no value given; {_takes(cls, name)}{tail}"
    where = str(name) + "".join(f"[{i}]" for i in inside if isinstance(i, int))
    takes = "" if first["type"] == "value_error" else f"; {_takes(cls, name)}"
    return f"{where} = {_short(first['input'])}: {message[0].lower() + message[1:]}{takes}{tail}"
