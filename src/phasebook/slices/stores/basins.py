"""The basins of a slice along its boundaries, every evaluation kept: what was stopped goes on where it stopped.

`adaptive_basins` asks for predictions at some points, and what it asks next depends on what comes back. So what is kept
is the answer to each question: of a batch of points, under a digest of the slice and of the points. The same call asks
the same questions again, and finds the answers to all but the last. The same batches give the same bits, however often
it was stopped.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from re import fullmatch

import numpy as np
import torch
import xarray as xr
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor
from tqdm import tqdm

from phasebook.arguments import brief, number, renamed, switch, whole
from phasebook.machine import free_memory
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Embedding, Feature, Model, Prompt
from phasebook.slices.adaptive import COARSE, PROBES, Adaptive, adaptive_basins
from phasebook.slices.evaluator import Evaluate, checked, evaluator, joined
from phasebook.slices.plane import Plane
from phasebook.slices.slice import RIDGE
from phasebook.slices.stores.cost import short_of
from phasebook.slices.stores.files import Place, place_of
from phasebook.slices.stores.layout import hash_of
from phasebook.slices.stores.store import LABELS, check_same
from phasebook.slices.stores.work import Description, Source, Work, check_batch, described, opened, placed

__all__ = ["basins_status", "check_basins", "store_basins"]

ROOT, ANSWERS, RESULT = "basins.json", "evaluations", "basins.nc"
WORDS = (b'"spec"', b'"hash"', b'"anchors"')        # of a root of ours, of which a flipped bit spoils one
NAME = ANSWERS + r"/([0-9a-f]{16})\.[0-9a-f]{32}\.(\d{1,9})"     # of an answer: its slice, its question, its points
BATCH = 500             # points, of a model that has no batch of its own
STATES = 1e9            # bytes that these take at most, with their copies
OTHERS = {"jacobian", "tile", "fields", "kept", "pick"} | LABELS        # of a specification: what basins do not ask
CHECKSUM = 32           # bytes before what they check
COPIES = 3              # of the coordinates that live at a time
POINT = 180             # bytes of a point of the grid, evaluated or not


def store_basins(source: Model | Source, plane: Plane | Callable[[tuple[int, ...]], Plane], levels: Levels | int,
                 path: str | Path, *, feature: str | Callable | Mapping[str, Feature | Callable] | None = None,
                 step: int | None = None, ridge: float = RIDGE, prompt: Prompt | Mapping | None = None,
                 coarse: int = COARSE, probes: int = PROBES, seed: int = 0, threads: int = 1,
                 progress: bool = False) -> Adaptive:
    """The basins of a slice from a part of its points, or go on with them; what is evaluated already is not again.

    In the folder then lie `basins.nc` (xarray reads it: `basin`, `evaluated`, and the estimate of what was missed) and
    the evaluations, one file a batch. With another ridge, coarse grid, number of probes or seed the same evaluations
    serve as far as they go.

    Args:
        source: a model, or a function without arguments that loads one.
        plane: the grid of latents, or a function that makes it of a latent's shape.
        levels: of the sampler, or the number of steps of the model's own.
        path: a folder, or a URL that fsspec knows.
        feature: by which predictions are compared: a name of the model's own (its first by default), or one feature or
            function, alone or by its name.
        step: whose predictions are compared; the last by default.
        ridge: height from which a jump is a boundary, as a share of the distance of two unrelated pictures.
        prompt: from `model.prompt`, or its arguments: `{"texts": "a red cat", "guidance": 3.0}`.
        coarse: see `adaptive_basins`, as for the next two.
        probes: evaluated at random.
        seed: of the probes.
        threads: of PyTorch, on which the bits depend.
        progress: print the cost, and count the points.

    Returns:
        The basins, the points that were evaluated, and the estimate of what was missed.

    Raises:
        ValueError: in one line, for an argument, another slice in the folder, or a slice that does not fit.
        OSError: in one line, where the folder cannot be written or read; what is done stays.
    """
    coarse, probes, seed = whole("coarse", coarse, 1), whole("probes", probes, 0), whole("seed", seed, 0)
    ridge, threads = number("ridge", ridge, "a positive number", above=0), whole("threads", threads, 1, 256)
    switch("progress", progress)
    if not hasattr(source, "predict") and not callable(source):
        raise ValueError(f"source: a {type(source).__name__}; takes a model, or a function that loads one")
    if not (feature is None or isinstance(feature, str | Mapping) or callable(feature)):
        raise ValueError(f"feature = {brief(feature)}: takes a name of the model's own, a feature or a function of "
                         "pixels, or one of these by its name")
    check_basins(path)              # before minutes of loading a model
    features = feature if feature is None or isinstance(feature, Mapping) or callable(feature) else [feature]
    work = Work((lambda: source) if hasattr(source, "predict") else source, plane, levels, prompt, features,
                threads=threads)
    with renamed("features", "feature"):
        about = described(work)
    name, step = _asked(about, step)
    whole("grid", about.plane.grid, 3)
    height = ridge * about.features[name]["yardstick"]
    if not height > 0:
        raise ValueError(f"ridge = {ridge}: a share of 0, since pictures of this model do not differ by {name}; takes "
                         "a model and a feature by which they do")
    with placed(work):
        m = opened(work)
        ask = _steady(evaluator(m.model, about.plane, m.levels, step, m.features[name], m.prompt), m.model)
        place = place_of(path)
        batch = whole("batch", getattr(m.model, "batch", max(1, int(min(BATCH, STATES // about.point_bytes)))), 1)
        _announce(place, about, ask, _least(about, coarse, probes), step, progress)
        spec = {n: x for n, x in about.spec.items() if n not in OTHERS}
        spec |= {"step": step, "batch": batch, "distance": "the feature's"}
        spec = json.loads(json.dumps(spec))
        _begin(place, spec)
        with tqdm(desc="points", disable=not progress) as bar:
            kept = _Kept(ask, place, hash_of(spec), batch, bar.update)
            found = adaptive_basins(kept, about.plane.grid, height, coarse=coarse, probes=probes, seed=seed)
        told = found.dataset(about.plane).assign_attrs(step=step, feature=name, ridge=ridge, hash=hash_of(spec))
        place.put(RESULT, bytes(told.to_netcdf(engine="scipy")))
        return found


@dataclass(frozen=True)
class _Kept:
    """Evaluations of points, batch by batch, from a place where they are there.

    Attributes:
        evaluate: the points.
        place: where the answers are.
        hash: of the slice.
        batch: points of a file.
        done: told how many are known.
    """

    evaluate: Evaluate
    place: Place
    hash: str
    batch: int
    done: Callable[[int], object]

    def __call__(self, points: Int[ndarray, "m 2"]) -> Embedding:
        return joined([self._answer(part) for part in np.split(points, range(self.batch, len(points), self.batch))])

    def _answer(self, points: Int[ndarray, "b 2"]) -> Embedding:
        question = sha256(self.hash.encode() + np.ascontiguousarray(points, "<i8").tobytes()).hexdigest()[:32]
        key = f"{ANSWERS}/{self.hash[:16]}.{question}.{len(points)}"
        f = _unpacked(self.place.get(key))
        if f is None or len(f.points) != len(points):
            f = checked(self.evaluate(points), points)
            f_points = _single(f.points)
            f = Embedding(f_points, f_points if f.duals is f.points else _single(f.duals))
            self.place.put(key, _packed(f))
        self.done(len(points))
        return f


def _steady(ask: Evaluate, model: Model) -> Evaluate:
    """An evaluation that ends where the device's memory runs out, since smaller batches give other bits."""
    def evaluate(points: Int[ndarray, "m 2"]) -> Embedding:
        f = ask(points)
        check_batch(model)
        return f
    return evaluate


def _single(x: Tensor) -> Tensor:
    """Half precision as single, which files can hold; others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _packed(f: Embedding) -> bytes:
    """The file of an answer: a checksum, and the coordinates."""
    file = BytesIO()
    np.savez(file, *(x.numpy() for x in ((f.points,) if f.duals is f.points else (f.points, f.duals))))
    return sha256(file.getvalue()).digest() + file.getvalue()


def _unpacked(data: bytes | None) -> Embedding | None:
    """What a file holds; None where there is none, or not what was written."""
    if data is None or sha256(data[CHECKSUM:]).digest() != data[:CHECKSUM]:
        return None
    with np.load(BytesIO(data[CHECKSUM:]), allow_pickle=False) as arrays:
        points, *duals = (torch.from_numpy(arrays[name]) for name in arrays.files)
    return Embedding(points, *duals or [points])


def _asked(about: Description, step: int | None) -> tuple[str, int]:
    """The feature and the step that are meant. ValueError for several features, or a step that it does not look at."""
    if len(about.features) > 1:
        raise ValueError(f"feature: {', '.join(about.features)} are given; takes one")
    (name, told), = about.features.items()
    last = about.levels.steps - 1
    step = last if step is None else whole("step", step, 0, last, "a step")
    if told["at"] is not None and step not in told["at"]:
        raise ValueError(f"step = {step}: {name} looks at {', '.join(map(str, told['at'][:10]))} alone")
    return name, step


def _least(about: Description, coarse: int, probes: int) -> int:
    """Points that are evaluated whatever comes back."""
    grid = about.plane.grid
    return min((min(coarse, grid - 1) + 1)**2 + probes, grid**2)


def _announce(place: Place, about: Description, ask: Evaluate, least: int, step: int, progress: bool) -> None:
    """Say what a point costs, and how many there are at least; ValueError, one line, where those do not fit."""
    f, part = ask(np.zeros((1, 2), dtype=int)), (step + 1) / about.levels.steps
    size = sum(x.nbytes for x in ([f.points] if f.duals is f.points else [f.points, f.duals]))
    if progress:
        tqdm.write(f"{place.url}: {least} to {about.plane.grid**2} points, each "
                   f"{short_of(about.calls * part, 'evaluations')}, "
                   f"{short_of(about.operations * part, 'floating-point operations')} and {short_of(size)} on disk")
    left = max(0, least - sum(points for *_, points in _answers(place)))
    if left * size > (free := place.free()):
        raise ValueError(f"path = {place.url!r}: {short_of(left * size)} to write at least; takes a place with as "
                         f"much free, here are {short_of(free)}")
    if (need := COPIES * least * size + POINT * about.plane.grid**2) > (free := free_memory()):
        raise ValueError(f"grid, coarse, probes: about {short_of(need)} of memory at least; takes what fits into the "
                         f"{short_of(free)} that are free")


def check_basins(url: str | Path) -> dict | None:
    """What a folder of basins says of its slice; None for a new folder, or one whose root is damaged.

    Args:
        url: a path, or what fsspec takes.

    Raises:
        ValueError: in one line, where something else is there, or nothing can be written.
    """
    place = place_of(url)
    try:
        names, data = place.names(), place.get(ROOT)
        others = [n for n in names if n not in (ROOT, ANSWERS, RESULT) and not n.endswith(".part")]
        others += [n for n in (ROOT, RESULT) if n in names and place.get(n) is None]        # folders
        others += [ANSWERS] if ANSWERS in names and place.get(ANSWERS) is not None else []
        others += [ROOT] if _is_foreign(data) else []
        if _said(data) is None and not others and not _answers(place):
            others = [n for n in (RESULT, ANSWERS) if n in names and (n == RESULT or place.times(n))]
    except OSError as error:
        raise ValueError(str(error)) from None
    if others:
        raise ValueError(f"path = {place.url!r}: holds other files, such as {sorted(others)[0]!r}; takes a folder, "
                         "new or of basins")
    place.try_out()
    return _said(data)


def _said(data: bytes | None) -> dict | None:
    """The specification in a root; None where it is not what was written."""
    try:
        root = json.loads(data or b"")
        return root["spec"] if root["hash"] == hash_of(root["spec"]) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_foreign(data: bytes | None) -> bool:
    """Whether a root is not a damaged one of ours, but somebody else's."""
    try:
        json.loads(data or b"")
    except (ValueError, RecursionError):
        return False
    return sum(word in data for word in WORDS) < 2


def _answers(place: Place) -> list[tuple[str, str, int]]:
    """The answers in a folder: keys, beginnings of the hashes of their slices, points."""
    found = [(key, fullmatch(NAME, key)) for key in place.times(ANSWERS)]
    return [(key, of[1], int(of[2])) for key, of in found if of]


def _begin(place: Place, spec: dict) -> None:
    """Begin a folder, or go on with it. ValueError for one of another slice."""
    theirs = check_basins(place.url)
    if theirs is not None:
        check_same(place.url, theirs, spec)
    else:
        slices = {of for _, of, _ in _answers(place)}
        if slices and hash_of(spec)[:16] not in slices:
            raise ValueError(f"path = {place.url!r}: its {ROOT} is damaged, and no evaluation is of this slice; takes "
                             "a place of its own")
        data = json.dumps({"spec": spec, "hash": hash_of(spec)}, indent=1, sort_keys=True).encode()
        if not place.put(ROOT, data, new=place.get(ROOT) is None):
            return _begin(place, spec)          # another writer was faster, of another slice even
    place.tidy()


def basins_status(url: str | Path) -> str | None:
    """How far a folder of basins is, in words; None where none is there. Everything is read.

    Args:
        url: a path, or what fsspec takes.
    """
    place = place_of(url)
    data, answers = place.get(ROOT), _answers(place)
    if _is_foreign(data) or (data is None and not answers):
        return None
    sound = [points for key, _, points in answers if _unpacked(place.get(key)) is not None]
    damaged = len(answers) - len(sound)
    return "; ".join([f"{sum(sound)} predictions kept", *[f"{damaged} files of them damaged"] * bool(damaged),
                      *[f"{ROOT} is damaged (the same call mends it)"] * (_said(data) is None),
                      "the basins are " + ("there" if _is_result(place.get(RESULT)) else "not known yet")])


def _is_result(data: bytes | None) -> bool:
    """Whether a file is one of basins, as far as its form tells."""
    try:
        with xr.open_dataset(BytesIO(data or b""), engine="scipy") as found:
            return found.load().basin.shape == found.evaluated.shape
    except Exception:  # of what is no such file, SciPy and NumPy raise some six kinds
        return False
