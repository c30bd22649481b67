"""The verb `phasebook slice`: a big slice into a store, or how far one is."""

import argparse
import json
from functools import partial
from pathlib import Path

from phasebook.site.checks.parameters import ParameterError

__all__ = ["add_arguments"]

BATCH = 64              # of a pipeline
IMAGES = {"image_set": "families", "resolution": 64}       # of the exact model


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """What the verb takes.

    Args:
        verb: its parser.
    """
    verb.add_argument("model", metavar="MODEL", nargs="?", help="exact, a pipeline's directory, or a hub id")
    verb.add_argument("-o", metavar="STORE", dest="store", required=True,
                      help="a folder, or a URL that fsspec knows; one that is begun is continued")
    verb.add_argument("--status", action="store_true", help="only say how far the store is")
    verb.add_argument("--grid", type=int, default=101, help="points along each side (101)")
    verb.add_argument("--steps", type=int, default=50, help="of the sampler (50)")
    verb.add_argument("--seed", type=int, default=6, help="of the three anchors (6)")
    verb.add_argument("--anchors", type=Path, metavar="FILE.npy", help="three latents, in place of --seed")
    verb.add_argument("--extent", type=_json, default=[0.0, 1.0, 0.0, 1.0], metavar="JSON",
                      help="'[alpha0, alpha1, beta0, beta1]'")
    verb.add_argument("--features", nargs="+", metavar="NAME",
                      help="of the model's own (its first), or the directory of an open_clip or vision model")
    verb.add_argument("--jacobian", default="differences", help="of the metric: differences; jvp, or exact (of a model "
                      "with a closed form), beside them")
    verb.add_argument("--pictures", type=int, default=0, help="kept along each side (0)")
    verb.add_argument("--keep", type=int, nargs="+", metavar="STEP", help="steps of kept pictures (all)")
    verb.add_argument("--prompt", default="", help="of a pipeline, or of the exact model")
    verb.add_argument("--negative", default="", help="negative prompt")
    verb.add_argument("--guidance", type=float, default=1.0)
    verb.add_argument("--image-set", default=IMAGES["image_set"], help="of the exact model")
    verb.add_argument("--resolution", type=int, default=IMAGES["resolution"], help="of the exact model")
    for name in ("revision", "variant"):
        verb.add_argument(f"--{name}", help="of a pipeline")
    verb.add_argument("--dtype", default="float32")
    verb.add_argument("--device", default="cpu", help="cpu or cuda")
    verb.add_argument("--batch", type=int, default=BATCH, help="latents at a time, of a pipeline")
    verb.add_argument("--sampler", default="ddim", help="ddim; own, levels and method (DDIM, Euler, Heun) of its "
                      "scheduler")
    verb.add_argument("--small-vae", help="AutoencoderTiny that decodes in place of a pipeline's VAE")
    verb.add_argument("--basins", action="store_true", help="only the basins, from the points along their boundaries")
    verb.add_argument("--step", type=int, help="of --basins: whose predictions are compared (the last)")
    verb.add_argument("--ridge", type=float, help="of --basins: from this share of the distance of two unrelated "
                      "pictures on, a jump is a boundary (0.2)")
    verb.add_argument("--tile", type=int, default=26, help="points along each side of a tile (26)")
    verb.add_argument("--engine", default="local",
                      help="local; dask, workers on this machine; tcp://host:8786 or scheduler.json, workers elsewhere")
    verb.add_argument("--workers", type=int, help="of --engine dask (one a core)")
    verb.add_argument("--threads", type=int, default=1, help="of a worker (1)")
    verb.add_argument("--tries", type=int, default=3, help="of a tile that fails (3)")
    verb.set_defaults(action=_slice)


def _json(text: str) -> object:
    """What JSON text says; ValueError where it says nothing."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


_json.__name__ = "JSON"         # what argparse calls it


def _slice(options: argparse.Namespace) -> None:
    # torch loads in seconds, which other verbs need not pay
    from phasebook.arguments import renamed
    from phasebook.slices.stores.workers import EngineError

    try:
        with renamed("path", "store"):
            if options.status:
                return _status(options.store)
            _made(options)
    except (ValueError, TypeError, FileNotFoundError) as error:
        raise ParameterError(" ".join(str(error).split())) from None
    except EngineError as error:
        raise OSError(str(error)) from None


def _status(store: str) -> None:
    from phasebook.slices.stores.basins import basins_status
    from phasebook.slices.stores.store import stored

    if (said := basins_status(store)) is not None:
        return print(f"{store}: {said}")
    found, attributes, _ = stored(store)
    print(f"{store}: {found.status()}")
    found.framed(attributes)            # an error, where what all tiles share is damaged


def _made(options: argparse.Namespace) -> None:
    from phasebook.arguments import number
    from phasebook.slices.slice import RIDGE
    from phasebook.slices.stores.basins import check_basins, store_basins
    from phasebook.slices.stores.engine import store_slice
    from phasebook.slices.stores.store import check_store

    number("guidance", options.guidance, "a finite number")       # also where no prompt would look at it
    _check_used(options)
    (check_basins if options.basins else check_store)(options.store)        # before minutes of loading a model
    prompt = {"texts": options.prompt, "guidance": options.guidance, "negative": options.negative}
    exact, plain = options.model == "exact", not options.prompt and not options.negative
    slice_ = _source(options), _plane(options), options.steps, options.store
    prompt = None if exact and plain else prompt
    if options.basins:
        found = store_basins(*slice_, prompt=prompt, feature=_features(options), step=options.step,
                             ridge=RIDGE if options.ridge is None else options.ridge, threads=options.threads,
                             progress=True)
        return print(f"{options.store}: {found}")
    store_slice(*slice_, prompt=prompt, features=_features(options), jacobian=options.jacobian,
                pictures=options.pictures, keep=options.keep,
                fields=["atom", "entropy_atom", "entropy_family"] if exact else (), tile=options.tile,
                engine=options.engine, workers=options.workers, threads=options.threads, tries=options.tries,
                read=False, progress=True)
    _status(options.store)


def _check_used(options: argparse.Namespace) -> None:
    """ParameterError for an option that this model or engine would pass over without a word."""
    exact = options.model == "exact"
    others = {"revision": None, "variant": None, "small_vae": None, "batch": BATCH} if exact else IMAGES
    given = [name for name, usual in others.items() if options.model and getattr(options, name) != usual]
    if given:
        takes = "a pipeline's" if exact else "the exact model's"
        raise ParameterError(f"{given[0]} = {getattr(options, given[0])!r}: is {takes}, and MODEL is {options.model}")
    if exact and options.guidance != 1 and not options.prompt and not options.negative:
        raise ParameterError(f"guidance = {options.guidance}: of a prompt, and none is given")
    whole = {"jacobian": "differences", "pictures": 0, "keep": None, "tile": 26, "engine": "local", "workers": None,
             "tries": 3}
    given = [name for name, usual in (whole if options.basins else {"step": None, "ridge": None}).items()
             if getattr(options, name) != usual]
    if given:
        raise ParameterError(f"{given[0]} = {getattr(options, given[0])!r}: is of a slice "
                             + ("with all its points, not of --basins" if options.basins else "with --basins alone"))
    if options.workers is not None and options.engine != "dask":
        raise ParameterError(f"workers = {options.workers}: of --engine dask, which starts them, and engine = "
                             f"{options.engine!r}")


def _source(options: argparse.Namespace):
    from phasebook.arguments import whole
    from phasebook.models.pipelines.noise import check_sampler
    from phasebook.models.sources import ExactSource, PipelineSource

    if not options.model:
        raise ParameterError("MODEL: none given; takes exact, a pipeline's directory, or a hub id")
    whole("batch", options.batch, 1)
    check_sampler(options.sampler)
    if options.model == "exact":
        if options.sampler == "own":
            raise ParameterError("sampler = 'own': the exact model has no scheduler; takes 'ddim'")
        return ExactSource(options.image_set, options.resolution, device=options.device, dtype=options.dtype)
    return PipelineSource(options.model, options.revision, options.variant, options.dtype, options.device,
                          options.batch, options.small_vae, options.sampler)


def _features(options: argparse.Namespace):
    """The names that were given; in place of a vision model's directory, what loads it in each worker."""
    from phasebook.models.pipelines.checkpoints import known_directory
    from phasebook.models.sources import FeatureSource
    from phasebook.models.towers.vision import check_features

    features = {}
    for name in options.features or ():
        folder = known_directory(name)
        if folder and any((folder / file).is_file() for file in ("open_clip_config.json", "config.json")):
            check_features(name)
            if folder.resolve().name in features:       # it would replace the other without a word
                raise ValueError(f"features = {name!r}: takes directories of different names")
            features[folder.resolve().name] = FeatureSource(name, options.device, batch=options.batch)
        else:
            features[name] = name
    return features or None


def _plane(options: argparse.Namespace):
    """The plane, or what makes it once the model has told the shape of its latents."""
    from phasebook.slices.plane import Plane, load_anchors, read_array

    if not isinstance(options.extent, list):
        raise ParameterError(f"extent = {options.extent}: takes four finite numbers alpha0, alpha1, beta0, beta1")
    given = {"extent": tuple(options.extent), "grid": options.grid}
    if not options.anchors:
        return partial(Plane.random, seed=options.seed, **given)
    label = f"anchors = {str(options.anchors)!r}"
    shape = read_array(options.anchors, label, "takes a .npy file: three latents, an array of floats").shape[1:]
    return Plane(load_anchors(options.anchors, shape), **given)
