"""Phase boundaries in diffusion models: the code behind the book, and a library for models of your own.

    from phasebook import Denoiser, Plane, slice_of

    model = Denoiser((2,), my_denoise)                      # my_denoise(x, alpha, sigma) -> E[x_0 | x_t = x]
    s = slice_of(model, Plane.random((2,), seed=0), model.levels(50))
    s.phases(s.ridge())                                     # (step, alpha, beta)

Rooms: `theory` (heat flow, Brenier maps, power cells) stands alone; `mixtures` has exact mixtures; `sampling` the
protocols of models and features, and the samplers; `models` what obeys them; `slices`, `hierarchy`, `edits` and
`spacetime` what is measured; `site` the book. Names are loaded when they are first used: the import itself costs
nothing.
"""

__all__ = [
    "Adaptive", "ClipFeatures", "Denoiser", "Embedding", "Estimate", "ExactModel", "ExactSource", "Feature",
    "FeatureSource", "Frame", "GaussianModel", "ImageSet", "Inversion", "Latent", "Levels", "Model", "Normalised",
    "OfPixels", "PipelineModel", "PipelineSource", "Plane", "Prediction", "Prompt", "Resumed", "Slice",
    "VisionFeatures", "adaptive_basins", "evaluator", "invert", "load_images", "log_snr_levels", "open_store",
    "resume", "sample", "scaled_linear_levels", "slice_of", "store_basins", "store_slice",
]

# module: the public names that it defines
_MODULES = {
    "models.denoiser": ("Denoiser",),
    "models.exact": ("ExactModel",),
    "models.gaussian": ("GaussianModel",),
    "models.pipelines.pipeline": ("PipelineModel",),
    "models.sources": ("ExactSource", "FeatureSource", "PipelineSource",),
    "models.towers.clip": ("ClipFeatures",),
    "models.towers.vision": ("VisionFeatures",),
    "models.pictures.image_sets": ("ImageSet", "load_images",),
    "sampling.protocols": ("Embedding", "Feature", "Frame", "Model", "Prediction", "Prompt",),
    "sampling.levels": ("Levels", "log_snr_levels", "scaled_linear_levels",),
    "sampling.features": ("Latent", "Normalised", "OfPixels",),
    "sampling.samplers": ("Inversion", "Resumed", "invert", "resume", "sample",),
    "slices.adaptive": ("Adaptive", "adaptive_basins",),
    "slices.evaluator": ("evaluator",),
    "slices.stores.basins": ("store_basins",),
    "slices.stores.engine": ("store_slice",),
    "slices.plane": ("Plane",),
    "slices.slice": ("Slice",),
    "slices.stores.reading": ("open_store",),
    "slices.sweep": ("slice_of",),
    "stats": ("Estimate",),
}
_PLACES = {_name: f"phasebook.{_module}" for _module, _names in _MODULES.items() for _name in _names}


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module 'phasebook' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
