"""What tells one function of somebody's own from another, so that a store of one is not continued with the other.

A function is its code, what it closes over, its defaults and the global names that it reads; a class its bases and
what stands in it; an object what its class and its attributes are; a network its weights, and each layer as an object.
All of it is followed through modules of one's own; what is of an installed library is known by its name. Equal ones
have the same fingerprint in any process of one version of Python, with or without their source.
"""

import sys
import sysconfig
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from logging import Logger
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

__all__ = ["fingerprint_of"]

PLAIN = (type(None), bool, int, float, complex, str, bytes)
PACKAGES = {"site-packages", "dist-packages"}
PLACE = "name_or_path"      # of a layer: where transformers read it


def fingerprint_of(*values: object) -> str:
    """Of functions, objects, arrays and networks: 16 hexadecimal digits.

    Args:
        values: any; what has a text `fingerprint` of its own is known by that.

    Returns:
        The same text for equal values. What leaves no trace in code or attributes, such as the state of a library in C,
        is not seen.
    """
    seen: dict[int, tuple[object, bytes]] = {}
    later: list[object] = []
    digests = [_said(tuple(values), seen, later)]
    for value in later:         # which grows meanwhile
        digests.append(_parts(value, seen, later))
    return _joined("all", *digests).hex()[:16]


def _joined(kind: str, *parts: bytes) -> bytes:
    digest = sha256(kind.encode())
    for part in parts:
        digest.update(b"%d " % len(part) + part)
    return digest.digest()


def _said(value: object, seen: dict[int, tuple[object, bytes]], later: list[object]) -> bytes:
    """The digest of a value; of one that is being looked at, its place among those that are; of a function or a class
    its place among those whose turn comes, since calls of calls would be deeper than Python's stack."""
    if isinstance(value, PLAIN):
        return _joined(type(value).__name__, repr(value).encode())
    if id(value) not in seen and isinstance(value, FunctionType | type):
        seen[id(value)] = value, b"later %d" % len(later)
        later.append(value)
    if id(value) not in seen:
        seen[id(value)] = value, b"%d" % len(seen)         # held, so that its id stays its own
        seen[id(value)] = value, _parts(value, seen, later)
    return seen[id(value)][1]


def _parts(value: object, seen: dict, later: list) -> bytes:
    """The digest of what a value is made of."""
    each = lambda kind, *parts: _joined(kind, *(_said(part, seen, later) for part in parts))  # noqa: E731
    if isinstance(value, type):
        return each("class", *_class(value))
    if isinstance(value, ModuleType | Logger):
        return _joined("name", _name(value))
    if isinstance(own := getattr(value, "fingerprint", None), str):
        return _joined("fingerprint", own.encode())
    if isinstance(value, torch.nn.Module):
        layers = [(name, type(layer), _settings(layer)) for name, layer in value.named_modules()]
        return each("network", layers, dict(value.state_dict()), dict(value.named_buffers()))
    if isinstance(value, torch.jit.ScriptFunction):
        return _joined("scripted", value.graph.str(False).encode())        # its small constants stand in it
    if isinstance(value, Tensor | ndarray | np.generic):
        return _array(value, each)
    if isinstance(value, Mapping):
        keys = sorted((each("key", key), place) for place, key in enumerate(value))
        values = list(value.values())
        return _joined("mapping", *(part for key, place in keys for part in (key, each("value", values[place]))))
    if isinstance(value, set | frozenset):
        return _joined("set", *sorted(each("element", one) for one in value))
    if isinstance(value, list | tuple):
        return each("list", *value)
    if isinstance(value, partial):
        return each("partial", value.func, value.args, value.keywords)
    if isinstance(value, MethodType):
        return each("method", value.__func__, value.__self__)
    if isinstance(value, CodeType):
        return each("code", value.co_code, value.co_names, value.co_consts)
    if isinstance(value, FunctionType):
        usual = value.__defaults__, value.__kwdefaults__
        return each("function", value.__code__, *usual, _cells(value), _globals(value))
    return _object(value, each)


def _object(value: object, each) -> bytes:
    """Of anything else: its class and its attributes, also those in slots; its text where it has none."""
    own = object.__getstate__(value) if hasattr(value, "__dict__") or hasattr(type(value), "__slots__") else None
    if own is None and not hasattr(value, "__dict__"):
        text = repr(value)
        return each("text", type(value), getattr(value, "__qualname__", "") if " at 0x" in text else text)
    return each("object", type(value), own)


def _class(value: type) -> tuple:
    """The name of a class; of one's own its bases, too, and what stands in it."""
    if _of_a_library(value.__module__):
        return (_name(value),)
    there = {name: _bare(one) for name, one in vars(value).items() if name[:2] != "__" or isinstance(one, FunctionType)}
    return _name(value), value.__bases__, there


def _bare(value: object) -> object:
    """What a class has in wrappers without attributes: a property's functions, that of a static or class method."""
    if isinstance(value, property):
        return [value.fget, value.fset]
    return value.__func__ if isinstance(value, staticmethod | classmethod) else value


def _settings(layer: torch.nn.Module) -> dict[str, object]:
    """What a layer is set to beside its weights: numbers, texts, sizes, arrays, functions, its mode (of training, in
    which a normalisation or a dropout computes something else); of a traced or scripted one its code."""
    if hasattr(layer, "_orig_mod"):         # compiled: the layer itself comes next
        return {}
    if isinstance(layer, torch.jit.ScriptModule):
        code, constants = layer.code_with_constants if hasattr(layer, "forward") else ("", None)
        return {"training": layer.training, "code": code, "tables": getattr(constants, "const_mapping", None)}
    kinds = (*PLAIN, list, tuple, Tensor, ndarray)
    return {name: value for name, value in vars(layer).items()
            if name[0] != "_" and name != PLACE and (isinstance(value, kinds) or callable(value))}


def _of_a_library(module: str | None) -> bool:
    """Whether a module is of Python, of an installed package or of this one, and not of one's own."""
    if module in (None, "__main__") or module not in sys.modules:
        return False
    file = getattr(sys.modules[module], "__file__", None)
    return (file is None or module.split(".")[0] == __name__.split(".")[0] or not PACKAGES.isdisjoint(Path(file).parts)
            or file.startswith(sysconfig.get_paths()["stdlib"]))


def _array(value: Tensor | ndarray | np.generic, each) -> bytes:
    kind = f"{value.dtype} {tuple(value.shape)}"
    if isinstance(value, Tensor):
        value = value.detach().cpu().to_dense().resolve_conj()
        value = value.clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8).numpy()
    elif value.dtype.hasobject:
        return each(kind, value.tolist())
    return _joined(kind, np.ascontiguousarray(value).tobytes())


def _cells(function: FunctionType) -> list:
    """What a function closes over; a name that has no value yet is left out."""
    held = []
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:
            continue
    return held


def _globals(function: FunctionType) -> dict[str, object]:
    """The global values that a function of one's own reads, also in modules; of functions of libraries their names."""
    there, found = function.__globals__, {}
    if _of_a_library(there.get("__name__")):
        return found
    read = _read(function.__code__)
    for name in sorted(read & there.keys()):
        value = there[name]
        if isinstance(value, ModuleType) and not _of_a_library(value.__name__):
            value = {key: vars(value)[key] for key in sorted(read & vars(value).keys())}
        foreign = isinstance(value, FunctionType) and not value.__closure__ and _of_a_library(value.__module__)
        found[name] = _name(value) if foreign else value
    return found


def _read(code: CodeType) -> set[str]:
    """Names in a function's code, and in that of the functions within it."""
    return set(code.co_names).union(*(_read(one) for one in code.co_consts if isinstance(one, CodeType)))


def _name(value: object) -> bytes:
    name = getattr(value, "__qualname__", getattr(value, "__name__", ""))
    return f"{getattr(value, '__module__', '')}.{name}".encode()
