"""Phase boundaries in diffusion models: the code behind the book, and a library for models of your own.

    from phasebook import Denoiser, Plane, slice_of

    model = Denoiser((2,), my_denoise)                      # my_denoise(x, alpha, sigma) -> E[x_0 | x_t = x]
    s = slice_of(model, Plane.random((2,), seed=0), model.levels(50))
    s.phases(s.ridge())                                     # (step, alpha, beta)

Rooms: `theory` (heat flow, Brenier maps, power cells) stands alone; `mixtures` has exact mixtures; `sampling` the
protocols of models and features, and the samplers; `models` what obeys them; `slices`, `hierarchy` and `edits` what is
measured; `site` the book. Names are loaded when they are first used: the import itself costs nothing.
"""

from importlib import import_module

# public name: the module that defines it
PLACES = {
    "Denoiser": "models.denoiser", "ExactModel": "models.exact", "GaussianModel": "models.gaussian",
    "PipelineModel": "models.pipelines.pipeline", "ClipFeatures": "models.clip", "ImageSet": "models.image_sets",
    "load_images": "models.image_sets",
    "Model": "sampling.protocols", "Feature": "sampling.protocols", "Frame": "sampling.protocols",
    "Prediction": "sampling.protocols", "Prompt": "sampling.protocols", "Embedding": "sampling.protocols",
    "Levels": "sampling.levels", "log_snr_levels": "sampling.levels", "scaled_linear_levels": "sampling.levels",
    "Latent": "sampling.features", "OfPixels": "sampling.features", "Normalised": "sampling.features",
    "sample": "sampling.samplers", "resume": "sampling.samplers", "invert": "sampling.samplers",
    "Plane": "slices.plane", "Slice": "slices.slice", "slice_of": "slices.sweep",
    "Estimate": "stats",
}

__all__ = sorted(PLACES)


def __getattr__(name: str):
    if name not in PLACES:
        raise AttributeError(f"module 'phasebook' has no attribute {name!r}")
    return getattr(import_module(f"phasebook.{PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
