"""Features that need no model of their own: the latent, the decoded picture, and any function of the picture."""

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from phasebook.arguments import brief, check_takes, latent_shape, number, of_its_kind, tensor_of, whole
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Embedding, Feature, Frame, Model, Pixels, Prompt
from phasebook.sampling.samplers import check_begin, normal_start
from phasebook.sampling.tangents import forward_mode, pushed

__all__ = ["Latent", "Normalised", "OfPixels", "distances", "final_distances", "named_features",
           "root_mean_square"]

STARTS, STEPS = 32, 10              # independent starts and sampler steps for a yardstick
ALIKE = 0.05                        # of the largest distance of samples: those nearer to one another show the same
HALVES = (torch.float16, torch.bfloat16)


def distances(embedding: Embedding, unit: float) -> Float[Tensor, "p p"]:
    """Distances of all points, in float64; exactly 0 where float32 leaves nothing but rounding."""
    points, duals = embedding.points.double(), embedding.duals.double()
    lengths = (points * duals).sum(-1).abs().max()
    points, duals = points - points.mean(0), duals - duals.mean(0)      # products of far points would cancel
    spread = (points * duals).sum(-1).abs().max().clamp(1e-300)
    least = max(1e-9, (4 * torch.finfo(embedding.points.dtype).eps) ** 2 * float(lengths / spread))
    product = points @ duals.T
    product = (product + product.T).div_(2)
    own = product.diagonal()
    square = (own[:, None] + own).sub_(product, alpha=2)
    square = torch.where(square > least * own.abs().max(), square, 0.0)
    return square.sqrt_().fill_diagonal_(0).mul_(unit)


def final_distances(feature: Feature, model: Model, levels: Levels, prompt: Prompt | None = None,
                    starts: int = STARTS, seed: int = 0) -> Float[Tensor, " m"]:
    """Distances of the last predictions of independent normal starts, each pair once."""
    check_begin(levels)
    *_, last = model.sweep(normal_start(model, seed, starts), levels, prompt)
    d = distances(feature(last), feature.unit)
    return d[tuple(torch.triu_indices(starts, starts, 1))]


class _Base(Feature):
    """What features share: the yardstick is the median distance of independent samples of ten steps."""

    def yardstick(self, model: Model, prompt: Prompt | None = None) -> float:
        """The median distance of the last predictions of independent normal starts; of unlike ones, where few are."""
        apart = final_distances(self, model, model.levels(STEPS), prompt)
        unlike = apart > ALIKE * apart.max()
        if apart.median() <= ALIKE * apart.max() and unlike.any():
            apart = apart[unlike]
        return float(apart.median())


class Latent(_Base):
    """The entries of the predicted clean state; distances are root mean squares over the entries."""

    def __init__(self, shape: tuple[int, ...]):
        self.unit = torch.Size(latent_shape(shape)).numel() ** -0.5

    def __call__(self, frame: Frame) -> Embedding:
        """The states, flat."""
        flat = frame.x0.flatten(1).float() if frame.x0.dtype in HALVES else frame.x0.flatten(1)
        slope = None if frame.dx0 is None else frame.dx0.flatten(2).to(flat)
        return Embedding(flat, flat, slope, slope)


class OfPixels(_Base):
    """Any function of the predicted picture: a network's features, or the pixels themselves.

    Distances are Euclidean, times `unit`; their yardstick is the median over independent starts.

    Args:
        function: of pixels (p, 3, y, x) in [0, 1], to coordinates (p, k) or of any shape with the points first.
        unit: of distances.
        at: the steps at which it is measured; None for all. Decoding often costs more than denoising.
        name: by which refusals call it.
    """

    def __init__(self, function: Callable[[Pixels], Tensor], unit: float = 1.0, at: Collection[int] | None = None,
                 name: str = ""):
        check_takes(f"features: {name!r}" if name else "function", function, "pixels")
        if at is not None and not hasattr(at, "__iter__"):
            raise ValueError(f"at = {brief(at)}: takes a list of steps")
        self.function = function
        self.unit = number("unit", unit, "a positive number", above=0)
        self.at = None if at is None else frozenset(whole("at", step, 0, what="steps") for step in at)
        if self.at is not None and not self.at:
            raise ValueError("at = []: takes one step or more, or None for all")
        self.label = f"feature {name!r}" if name else "feature"

    @property
    def fingerprint(self) -> str | None:
        """That of a function which has one: by it slices of two networks' features are told apart."""
        return getattr(self.function, "fingerprint", None)

    @torch.no_grad()
    def __call__(self, frame: Frame) -> Embedding:
        """The function of the frame's pixels; tangents by forward-mode differentiation through the decoder."""
        flat = self._all(frame)
        if frame.dx0 is None:
            return Embedding(flat, flat)
        both = pushed(lambda x0: (self._kept(frame.model.decode(x0)),))
        with forward_mode():
            slope = torch.stack([both(frame.x0, d)[1] for d in frame.dx0])
        return Embedding(flat, flat, slope, slope)

    def _all(self, frame: Frame) -> Float[Tensor, "p k"]:
        """The function of all pictures; copied part by part, since it may give the same memory each time."""
        flat, done = torch.empty(0), 0
        for pixels in frame.pictures():
            values = self._of(pixels)
            if done == 0:
                flat = values.new_empty(len(frame.x0), values.shape[1])
            if values.shape[1] != flat.shape[1]:
                raise ValueError(f"{self.label}: gives {flat.shape[1]} numbers for a picture, then {values.shape[1]}; "
                                 "takes a function that gives as many for each")
            flat[done:done + len(values)] = values
            done += len(values)
        return flat

    def _of(self, pixels: Pixels) -> Float[Tensor, "p k"]:
        """The function of a copy, which it may change: the pictures are those of the next feature as well."""
        takes = "a function that gives a number or a row for each picture"
        with of_its_kind(self.label, pixels, "a function that converts them"):
            values = self.function(pixels.clone())
        values = tensor_of(self.label, values, takes)
        if values.ndim < 1 or len(values) != len(pixels) or values.numel() == 0:
            raise ValueError(f"{self.label}: gives shape {tuple(values.shape)} for {len(pixels)} pictures; takes "
                             f"{takes}")
        if not values.is_floating_point():
            values = values.double()            # bytes would wrap in differences
        elif values.dtype in HALVES:
            values = values.float()             # squares beyond 65504 and 11 bits are no metric
        return values.reshape(len(values), -1)

    def _kept(self, pixels: Pixels) -> Float[Tensor, "p k"]:
        """The function of pixels with tangents. ValueError where it has lost them, unless it is constant."""
        values = self._of(pixels).clone()       # the next call may write to the same memory
        if forward_ad.unpack_dual(values).tangent is None and not torch.equal(values, self._of(1 - pixels)):
            raise ValueError(f"tangents: the {self.label} leaves torch on the way; takes a function of tensors "
                             "throughout, or jacobian='differences'")
        return values


def root_mean_square(pixels: Pixels) -> Float[Tensor, "p k"]:
    """Coordinates of pictures in which distances are root mean squares over pixels."""
    return pixels.flatten(1) / pixels[0].numel() ** 0.5


class Normalised(_Base):
    """Another feature's coordinates divided by their norm, without tangents."""

    def __init__(self, feature: Feature):
        if not hasattr(feature, "yardstick"):
            raise ValueError(f"feature = {brief(feature)}: takes a feature, such as OfPixels(function)")
        self.feature = feature
        self.at = feature.at

    def __call__(self, frame: Frame) -> Embedding:
        """Points of norm one, by the feature's own inner product."""
        f = frame.embedded(self.feature)
        if f.duals is f.points:
            flat = F.normalize(f.points, dim=-1)
            return Embedding(flat, flat)
        norm = (f.points * f.duals).sum(-1, keepdim=True).clamp(min=1e-24).sqrt()
        return Embedding(f.points / norm, f.duals / norm)


def named_features(model: Model,
                   features: Sequence[str] | Mapping[str, Feature | Callable] | None) -> dict[str, Feature]:
    """Features by name.

    Args:
        model: whose own features may be meant by name.
        features: names of the model's own, or a mapping from names to features or functions of pixels; None for the
            model's first.

    Returns:
        Features, in the order given.

    Raises:
        ValueError: for a name that the model does not know, or nothing that can be measured.
    """
    own = dict(model.features)
    if features is None:
        features = list(own)[:1]
    if callable(features):
        features = {"feature": features}
    if not isinstance(features, Mapping):
        if not hasattr(features, "__iter__"):
            raise ValueError(f"features = {brief(features)}: takes {', '.join(own)}, or a mapping from a name to a "
                             "feature or a function of pixels")
        features = {str(name): name for name in ([features] if isinstance(features, str) else features)}
    chosen: dict[str, Feature] = {}
    for name, feature in features.items():
        if not isinstance(name, str) or not name or not name.isprintable():
            raise ValueError(f"features: the name {brief(name)}; takes a text")
        if isinstance(feature, str):
            if feature not in own:
                raise ValueError(f"features = {feature!r}: takes {', '.join(own)}, or a mapping from a name to a "
                                 "feature or a function of pixels")
            feature = own[feature]
        elif not hasattr(feature, "yardstick"):
            if not callable(feature):
                raise ValueError(f"features: {name} = {brief(feature)}; takes a feature or a function of pixels")
            feature = OfPixels(feature, name=name)
        if isinstance(feature, type):
            raise ValueError(f"features: {name} = the class {feature.__name__}; takes one that is made, as in "
                             f"{feature.__name__}()")
        number(f"features: the unit of {name!r}", feature.unit, "a positive number", above=0)
        chosen[name] = feature
    if not chosen:
        raise ValueError("features: none given; takes one or more")
    return chosen
