"""Arguments of the public functions: what does not fit is refused in one line: the parameter, its value, what it takes.

What a user's own function gives is checked here as well, as far as its kind and its numbers go.
"""

import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

__all__ = ["array_of", "brief", "check_place", "check_states", "check_takes", "first_not_finite", "latent_shape",
           "number", "numbers", "of_its_kind", "pictures", "renamed", "switch", "tensor_of", "whole"]

ENTRIES = 10**9         # of a latent
ROUNDED = 0.01          # by which pixels of a resized or halved picture may leave [0, 1]
OTHER_KIND = ("dtype", "datatype", "expected scalar type", "Input type (", "same device")    # as torch's layers say it


def brief(value: object) -> str:
    """A value in a refusal: one line, shortened."""
    text = " ".join(repr(value.item() if isinstance(value, np.generic) else value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def array_of(value: object) -> ndarray | None:
    """Real numbers as an array; None for anything else."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):       # ragged lists, tensors of another device
        return None
    return array if array.dtype.kind in "iuf" else None


def whole(name: str, value: object, least: int, most: int | None = None, what: str = "a whole number") -> int:
    """`value` as an int. ValueError unless it is whole and from `least` to `most`."""
    if not _is_whole(value) or value < least or (most is not None and value > most):
        span = f">= {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} = {brief(value)}: takes {what} {span}")
    return int(value)


def number(name: str, value: object, takes: str, least: float = -np.inf, most: float = np.inf,
           above: float = -np.inf) -> float:
    """`value` as a float. ValueError unless it is one finite number from `least` to `most`, and more than `above`."""
    array = array_of(value)
    if array is None or array.ndim or not np.isfinite(array) or not (least <= array <= most and array > above):
        raise ValueError(f"{name} = {brief(value)}: takes {takes}")
    return float(array)


def numbers(name: str, value: object, takes: str) -> ndarray:
    """`value` as an array. ValueError unless it holds finite real numbers."""
    array = array_of(value)
    if array is None:
        raise ValueError(f"{name} = {brief(value)}: takes {takes}")
    if not np.isfinite(array).all():
        where = ", ".join(map(str, np.argwhere(~np.isfinite(array))[0]))
        raise ValueError(f"{name}: NaN or Inf at [{where}]; takes finite numbers")
    return array


def switch(name: str, value: object) -> bool:
    """`value` as a bool. ValueError unless it is one: any text, 'no' too, would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} = {brief(value)}: takes True or False")
    return bool(value)


def pictures(name: str, value: object, sides: tuple[int, ...], fixed: bool = False) -> Tensor:
    """`value` as a tensor of pictures. ValueError unless it holds floating-point pixels (p, 3, y, x) in [0, 1].

    Args:
        name: of the parameter.
        value: a tensor, or what numpy takes for an array.
        sides: y and x.
        fixed: whether only these are taken.
    """
    takes = f"pictures (p, {', '.join(map(str, (3, *sides)))}) in [0, 1]"
    pixels = value if isinstance(value, Tensor) else torch.as_tensor(numbers(name, value, takes))
    if pixels.ndim != 4 or pixels.shape[1] != 3 or 0 in pixels.shape or (fixed and pixels.shape[2:] != tuple(sides)):
        raise ValueError(f"{name}: shape {tuple(pixels.shape)}; takes {takes}")
    if not pixels.is_floating_point() or not (-ROUNDED <= pixels.min() and pixels.max() <= 1 + ROUNDED):
        raise ValueError(f"{name}: {str(pixels.dtype).removeprefix('torch.')} from {pixels.min():g} to "
                         f"{pixels.max():g}; takes {takes}, floating-point")
    return pixels


def check_states(name: str, x: object, shape: tuple[int, ...], dtype: torch.dtype | None = None,
                 finite: bool = False) -> None:
    """ValueError unless `x` is a tensor of states, points first.

    Args:
        name: of the parameter.
        x: the states.
        shape: of one of them.
        dtype: that they have; None for any.
        finite: whether NaN and Inf are refused. A prediction's own check is left to samplers, which know the step, and
            the iterates of an inversion may leave the numbers and come back.
    """
    said, kind = f"a {type(x).__name__}", str(dtype).removeprefix("torch.")
    if isinstance(x, Tensor):
        said = f"shape {tuple(x.shape)}" if dtype is None else f"{str(x.dtype).removeprefix('torch.')} of shape " \
                                                               f"{tuple(x.shape)}"
    if not isinstance(x, Tensor) or x.ndim < 2 or tuple(x.shape[1:]) != tuple(shape) or dtype not in (None, x.dtype):
        raise ValueError(f"{name}: {said}; takes states (p, {', '.join(map(str, shape))})"
                         f"{'' if dtype is None else ', ' + kind}, such as those of model.start(latents)")
    if finite and (point := first_not_finite(x)) is not None:
        raise ValueError(f"{name}: not finite at point {point}; takes states of finite numbers")


def latent_shape(shape: object) -> tuple[int, ...]:
    """The shape of one latent; a single number is one of vectors. ValueError unless all are positive integers."""
    sizes = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if not sizes or not all(_is_whole(size) and size > 0 for size in sizes) or math.prod(map(int, sizes)) > ENTRIES:
        raise ValueError(f"shape = {brief(shape)}: takes positive integers, the shape of one latent, of {ENTRIES:.0e} "
                         "entries at most")
    return tuple(int(size) for size in sizes)


def check_place(dtype: torch.dtype, device: str) -> None:
    """ValueError unless there are tensors of this floating-point type on this device here."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"dtype = {brief(dtype)}: takes a floating-point type, such as torch.float32")
    try:
        kind = torch.empty(0, dtype=dtype, device=device).device.type
    except (RuntimeError, TypeError, AssertionError):
        kind = "meta"
    if kind == "meta":          # shapes alone
        raise ValueError(f"device = {brief(device)}: not here; takes 'cpu', or 'cuda' where there is one")
    if torch.finfo(dtype).bits < 16:
        raise ValueError(f"dtype = {dtype}: takes one that can be added, of 16 bits or more")


def tensor_of(label: str, value: object, takes: str) -> Tensor:
    """What a function gave, as a tensor. ValueError unless it is made of real numbers."""
    try:
        tensor = _tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{label}: gives a {type(value).__name__}; takes {takes}") from None
    if tensor.layout != torch.strided or tensor.is_meta:
        kind = "tensor without numbers" if tensor.is_meta else "sparse tensor"
        raise ValueError(f"{label}: gives a {kind}; takes {takes}")
    if tensor.is_complex():
        raise ValueError(f"{label}: gives complex numbers; takes {takes}")
    return tensor


def _tensor(value: object) -> Tensor:
    """Tensors, lists of them, and whatever numpy takes for an array of numbers, in the precision that it has there."""
    if isinstance(value, list | tuple) and value and all(isinstance(one, Tensor) for one in value):
        return torch.stack(tuple(value))
    if isinstance(value, Tensor):
        return value
    array = np.require(value, requirements="CWE")       # torch has no reversed axes and no memory that is read alone,
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 8         # nor long doubles and other byte orders
    return torch.from_numpy(array.astype(np.float64 if wide else array.dtype.newbyteorder("="), copy=False))


@contextmanager
def of_its_kind(label: str, x: Tensor, takes: str) -> Iterator[None]:
    """Around a function of somebody's own: ValueError where its layers are of another type, or device, than `x`."""
    try:
        yield
    except RuntimeError as error:
        if not any(word in str(error) for word in OTHER_KIND):
            raise
        raise ValueError(f"{label}: {str(error).splitlines()[0]}; is given {x.dtype} on {x.device.type}, takes "
                         f"{takes}") from None


@contextmanager
def renamed(was: str, own: str) -> Iterator[None]:
    """Around calls of the library: refusals name the parameter `own` of whoever calls, in place of the library's."""
    try:
        yield
    except (ValueError, OSError) as error:
        said = re.sub(rf"(^|; ){was}( =|:)", rf"\1{own}\2", str(error), count=1)
        if said == str(error):
            raise
        raise (OSError if isinstance(error, OSError) else ValueError)(said) from None


def first_not_finite(x: Float[Tensor, "p *s"]) -> int | None:
    """The first point with NaN or Inf in it. A sum costs little beside whatever made `x`, and shows most of them."""
    if bool(x.sum().isfinite()):
        return None
    off = ~x.isfinite().flatten(1).all(1)
    return int(off.nonzero()[0, 0]) if bool(off.any()) else None


def check_takes(name: str, function: Callable, *arguments: str) -> None:
    """ValueError unless `function` can be called with these, as far as it can be told without a call."""
    takes = f"a function of ({', '.join(arguments)})"
    if not callable(function):
        raise ValueError(f"{name} = {brief(function)}: takes {takes}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):         # of a function in C
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise ValueError(f"{name}: a function of {signature}; takes {takes}") from None
