"""What a worker is told of a slice, what it computes of a tile, and what is known of a slice before it is swept."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from hashlib import sha256
from inspect import signature
from re import fullmatch
from uuid import uuid4

import numpy as np
import psutil
import torch
from numpy import ndarray
from torch.utils.flop_counter import FlopCounterMode

from phasebook.arguments import brief, check_takes
from phasebook.sampling.fingerprints import fingerprint_of
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Feature, Frame, Model, Prompt
from phasebook.slices.measurement import Arrays, Measurement, coordinates_of, specification
from phasebook.slices.plane import Plane
from phasebook.slices.sweep import measurement_of
from phasebook.slices.tiles import Tile

__all__ = ["Description", "Source", "Work", "check_batch", "computed", "described", "opened", "placed"]

Source = Callable[[], Model]
NAME = r"\w[\w -]*"     # of a variable, which has a folder of its own
COPIES = 6              # of a tile's states, and of its features, that live at a time


@dataclass(frozen=True)
class Work:
    """A slice as it is sent to workers; equal only to copies of itself.

    Attributes:
        source: a function without arguments that loads the model. It must be one that can be pickled where workers are
            other processes, such as `ExactSource` or `PipelineSource`.
        plane: the grid, or what makes it of the shape of a latent.
        levels: of the sampler, or the number of its steps.
        prompt: from `model.prompt`, or the arguments of `model.prompt` by name, or None.
        features: as in `slice_of`.
        jacobian: as in `slice_of`.
        fields: names of the model's `fields`.
        pictures: as in `slice_of`.
        keep: as in `slice_of`.
        tile: points along each side of a tile.
        threads: of a worker.
        spread: whether workers of one machine take its GPUs in turn.
        key: its own.
    """

    source: Source = field(compare=False)
    plane: Plane | Callable[[tuple[int, ...]], Plane] = field(compare=False)
    levels: Levels | int = field(compare=False)
    prompt: Prompt | Mapping | None = field(default=None, compare=False)
    features: Sequence[str] | Mapping[str, Feature | Callable] | None = field(default=None, compare=False)
    jacobian: str = field(default="differences", compare=False)
    fields: tuple[str, ...] = field(default=(), compare=False)
    pictures: int = field(default=0, compare=False)
    keep: Collection[int] | None = field(default=None, compare=False)
    tile: int = field(default=26, compare=False)
    threads: int = field(default=1, compare=False)
    spread: bool = field(default=False, compare=False)
    key: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Description:
    """What is known of a slice before it is swept, by a first look at its four corners.

    Attributes:
        spec: what tells it from other slices.
        plane: its grid.
        variables: dtype and trailing shape by name.
        coordinates: as an xarray Dataset takes them.
        levels: of the sampler.
        features: unit, steps and yardstick by name.
        operations: floating-point operations of a point over all steps, twice the multiplications.
        calls: evaluations of the network for a point over all steps.
        point_bytes: of a point that is being swept.
        process_bytes: of a worker that holds the model and no tile.
    """

    spec: dict
    plane: Plane
    variables: dict[str, tuple[str, tuple[int, ...]]]
    coordinates: dict
    levels: Levels
    features: dict[str, dict]
    operations: float
    calls: int
    point_bytes: float
    process_bytes: float


@lru_cache(maxsize=1)
def opened(work: Work) -> Measurement:
    """The loaded model with all that is measured of it: once a process.

    Raises:
        ValueError: as `slice_of` does.
    """
    check_takes("source", work.source)
    if callable(work.plane):
        check_takes("plane", work.plane, "shape")
    model = work.source()
    if not hasattr(model, "predict"):
        raise ValueError(f"model: the source gives a {type(model).__name__}; takes a function that loads a model")
    levels = work.levels if isinstance(work.levels, Levels) else model.levels(work.levels)
    prompt = _asked(model, work.prompt) if isinstance(work.prompt, Mapping) else work.prompt
    return measurement_of(model, _plane(work, model), levels, prompt, work.features, work.jacobian,
                          _fields(model, work.fields), work.pictures, work.keep)


def _asked(model: Model, prompt: Mapping) -> Prompt:
    """`model.prompt` of arguments by name. ValueError for a name that it does not take."""
    takes = signature(model.prompt)
    try:
        takes.bind(**prompt)
    except TypeError as error:
        raise ValueError(f"prompt = {brief(prompt)}: {error}; takes {', '.join(takes.parameters)} by name") from None
    return model.prompt(**prompt)


def _plane(work: Work, model: Model) -> Plane:
    return work.plane(tuple(model.shape)) if callable(work.plane) else work.plane


def _fields(model: Model, names: Sequence[str]) -> dict[str, Callable[[Frame], ndarray]]:
    own = getattr(model, "fields", {})
    unknown = [name for name in names if name not in own]
    if unknown:
        raise ValueError(f"fields = {unknown[0]!r}: takes {', '.join(own) or 'none'} of this model")
    odd = [name for name in names if not fullmatch(NAME, name)]
    if odd:
        raise ValueError(f"fields = {odd[0]!r}: takes names that can be those of folders, such as entropy_atom")
    return {name: own[name] for name in names}


@contextmanager
def placed(work: Work) -> Iterator[None]:
    """Threads and GPU of a worker: results depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(work.threads)
    if work.spread and torch.cuda.is_available():
        from distributed import get_worker

        torch.cuda.set_device(int(get_worker().name) % torch.cuda.device_count())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def computed(work: Work, ends: tuple[int, int, int, int]) -> dict[str, ndarray]:
    """All that is measured of the tile top..bottom, left..right, by variable.

    Args:
        work: what is measured.
        ends: of the tile.

    Raises:
        ValueError: as `slice_of` does, and where a device's memory ran out, since smaller batches give other bits.
    """
    with placed(work):
        measurement, tile = opened(work), Tile(work.plane, *ends)
        arrays = Arrays(measurement, tile)
        for frame in measurement.frames(tile):
            for part in measurement.parts(frame, tile):
                arrays.put(part, tile)
        check_batch(measurement.model)
        return arrays.whole


def check_batch(model: Model) -> None:
    """ValueError where a device's memory ran out, since smaller batches give other bits."""
    if getattr(model, "largest_batch", None):
        raise ValueError(f"batch = {model.batch}: the device's memory ran out; takes at most {model.largest_batch[0]}")


def described(work: Work) -> Description:
    """What is known of a slice from the four corners of its plane.

    Args:
        work: what is measured.

    Raises:
        ValueError: as `slice_of` does.
    """
    with placed(work):
        m = opened(work)
        features = {name: _feature(f, m) for name, f in m.features.items()}       # also makes what is made once
        resident = float(psutil.Process().memory_info().rss)
        plane = _plane(work, m.model)
        corners = Plane(plane.anchors, plane.extent, 2, plane.normalise)
        tile, point_bytes = Tile(corners, 0, 2, 0, 2), 0.0
        look = Measurement(m.model, m.levels, m.prompt, m.features, m.fields, m.jacobian, m.kept,
                           np.arange(min(2, len(m.pick)) if m.kept else 0))
        arrays = Arrays(look, tile)
        with FlopCounterMode(display=False) as counter:
            for frame in look.frames(tile):
                for part in look.parts(frame, tile):
                    arrays.put(part, tile)
                point_bytes = max(point_bytes, _bytes_of(frame, look))
        variables = {name: (value.dtype.str, _trailing(name, value))
                     for name, value in arrays.whole.items()}
        calls = m.levels.evaluations * (2 if m.prompt is not None and m.prompt.guidance > 1 else 1)
        calls *= 2 if m.jacobian == "jvp" else 1        # one a tangent
        return Description(_specified(work, m, plane, features), plane, variables, coordinates_of(m, plane), m.levels,
                           features, counter.get_total_flops() / 4, calls, point_bytes, resident)


def _feature(f: Feature, m: Measurement) -> dict:
    return {"unit": float(f.unit), "at": None if f.at is None else sorted(f.at),
            "yardstick": float(f.yardstick(m.model, m.prompt))}


def _trailing(name: str, value: ndarray) -> tuple[int, ...]:
    return value.shape[3:] if name == "picture" else ()


def _bytes_of(frame: Frame, m: Measurement) -> float:
    """Of a point: its states, and its coordinates in each feature, with the copies that live at a time."""
    tensors = [frame.x0, frame.dx0]
    for feature in m.features.values():
        if feature.at is None or frame.step in feature.at:
            f = frame.embedded(feature)
            tensors += [f.points, f.duals, f.d_points, f.d_duals]
    own = {id(x): x.numel() * x.element_size() for x in tensors if x is not None}
    return COPIES * sum(own.values()) / len(frame.x0)


def _specified(work: Work, m: Measurement, plane: Plane, features: dict[str, dict]) -> dict:
    """The specification of a stored slice: that of the slice, and all that its bits depend on."""
    start = m.model.start(plane.anchors[:1])
    return specification(m, plane) | {
        "at": {name: f["at"] for name, f in features.items()},
        "weights": {name: said for name, f in m.features.items() if (said := _weights(f, m.model))},
        "fields": list(m.fields), "kept": m.kept, "pick": m.pick.tolist() if m.kept else [],
        "source": _options(work.source, m.model),
        "dtype": str(start.dtype), "device": start.device.type, "tile": min(work.tile, plane.grid),
        "threads": work.threads, "torch": torch.__version__.split("+")[0],
    }


def _weights(feature: Feature, model: Model) -> str | None:
    """What tells a feature from others of its name: a network's fingerprint, and how many pictures it is given at a
    time; of somebody's own function its code; and its unit. None for one of the model's own."""
    if any(feature is one for one in model.features.values()):
        return None
    inner = getattr(feature, "function", feature)
    said, batch = getattr(feature, "fingerprint", None) or fingerprint_of(inner), getattr(inner, "batch", None)
    said = said if batch is None else f"{said}, {batch} at a time"
    return said if feature.unit == 1 else f"{said}, unit {float(feature.unit)!r}"


def _options(source: Source, model: Model) -> dict | None:
    """What a source is told but where its model lies, which the fingerprint makes up for. Of a model that was loaded
    elsewhere: its batch and what decodes in place of its own VAE; None where it has neither."""
    if is_dataclass(source):
        own = {one.name: getattr(source, one.name) for one in fields(source) if not one.metadata.get("where")}
        own |= {"small_vae": _decoder(model)} if own.get("small_vae") else {}           # wherever it lies
        return json.loads(json.dumps(own))
    known = {"batch": getattr(model, "batch", None), "decoder": _decoder(model)}
    return {name: value for name, value in known.items() if value is not None} or None


def _decoder(model: Model) -> str | None:
    """Of the weights of a decoder that is not part of the model's pipeline; None for none."""
    decoder = getattr(model, "decoder", None)
    if decoder is None or decoder is getattr(model, "encoder", None):
        return None
    digest = sha256()
    for tensor in decoder.state_dict().values():
        digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
