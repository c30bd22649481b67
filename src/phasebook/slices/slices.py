"""Two-dimensional slices of latent space, Eq. (3), and what a model predicts on them at every step.

    z(alpha, beta) = z_0 + alpha (z_1 - z_0) + beta (z_2 - z_0),     optionally divided by its standard deviation

(unbiased, over the whole tensor, as the authors' public code does). alpha multiplies z_1 - z_0 and points up in
figures, beta multiplies z_2 - z_0 and points right. A slice is an xarray Dataset with dims (step, alpha, beta).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from tqdm import tqdm

from phasebook.sampling.samplers import Levels
from phasebook.slices.metric import Metric, finite_difference_metric, jumps, pullback

__all__ = ["Plane", "check_anchors", "check_extent", "load_anchors", "seeded_anchors", "slice_of", "telling_steps"]

LARGEST = 1e6                    # in an anchor or an extent: far beyond, float32 loses the pictures
Seen = Callable[[Any], dict[str, torch.Tensor]]     # of a frame: further features by name
POINTS_IN_A_TILE = 2_500         # rows of the grid are swept in tiles of about this many points: they stay in cache


def seeded_anchors(shape: tuple[int, ...], seed: int) -> Float[ndarray, "3 *latent"]:
    """Three standard normal latents of `shape`, float32, drawn by torch's CPU generator from `seed`."""
    return torch.randn((3, *shape), generator=torch.Generator().manual_seed(seed)).numpy()


def load_anchors(path: str | Path, shape: tuple[int, ...]) -> Float[ndarray, "3 *latent"]:
    """Three latents from a `.npy` file; ValueError in one line names the file and what is wrong with it.

    Nothing is unpickled. Accepts float16, float32 and float64 of shape (3, *shape).
    """
    takes = f"takes a .npy file: one array of floats, shape {(3, *shape)}"
    try:
        anchors = np.load(path, allow_pickle=False)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"anchors = {str(path)!r}: cannot be read ({reason}); {takes}") from None
    except (ValueError, EOFError, BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "allow_pickle" in reason:            # numpy's advice to unpickle is not ours
            reason = "pickled objects or not an array"
        raise ValueError(f"anchors = {str(path)!r}: not a readable .npy array ({reason}); {takes}") from None
    if not isinstance(anchors, ndarray) or anchors.dtype.kind != "f":
        kind = anchors.dtype if isinstance(anchors, ndarray) else "an archive"
        raise ValueError(f"anchors = {str(path)!r}: holds {kind}; {takes}")
    check_anchors(anchors, shape, f"anchors = {str(path)!r}")
    return anchors


def check_anchors(anchors: Float[ndarray, "3 *latent"], shape: tuple[int, ...], label: str = "anchors") -> None:
    """ValueError unless there are three finite latents of `shape` that span a plane."""
    if anchors.shape != (3, *shape):
        raise ValueError(f"{label}: shape {anchors.shape}; takes {(3, *shape)}, three latents (rgb, y, x)")
    if not np.isfinite(anchors).all():
        where = ", ".join(map(str, np.argwhere(~np.isfinite(anchors))[0]))
        raise ValueError(f"{label}: NaN or Inf at [{where}]; takes finite numbers")
    if (size := float(np.abs(anchors).max())) > LARGEST:
        raise ValueError(f"{label}: a number of size {size:.3g} in it; takes numbers up to {LARGEST:g}")
    edges = np.stack([anchors[1] - anchors[0], anchors[2] - anchors[0]]).reshape(2, -1).astype(np.float64)
    size = np.linalg.svd(edges, compute_uv=False)
    if size[-1] <= 1e-5 * max(size[0], np.abs(anchors).max(), 1e-300):
        raise ValueError(f"{label}: the three latents lie on one line or coincide; take three that span a plane")


def check_extent(extent: list[float]) -> list[float]:
    """`[alpha0, alpha1, beta0, beta1]` with finite, increasing ends; ValueError in one line otherwise."""
    if len(extent) != 4 or not np.isfinite(extent).all():
        raise ValueError(f"extent = {list(extent)}: takes four finite numbers alpha0, alpha1, beta0, beta1")
    if max(map(abs, extent)) > LARGEST:
        raise ValueError(f"extent = {list(extent)}: takes numbers from {-LARGEST:g} to {LARGEST:g}")
    a0, a1, b0, b1 = extent
    least = 1e-6 * max(1.0, *map(abs, extent))          # closer grid points than float32 can tell apart
    if a1 - a0 < least or b1 - b0 < least:
        raise ValueError(f"extent = {list(extent)}: takes alpha0 < alpha1 and beta0 < beta1 (apart by {least:.0e})")
    return list(extent)


@dataclass(frozen=True, eq=False)
class Plane:
    """A rectangle of the slice through three anchors, with `grid` x `grid` points.

    Points are combinations of the anchors, so everything the normalisation needs (the standard deviation of a
    combination and its derivatives) comes from the anchors' 3 x 3 covariance: no latent is formed.
    """

    anchors: Float[ndarray, "3 *latent"]
    extent: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)
    grid: int = 101
    normalise: bool = True

    def __post_init__(self):
        if self.grid < 2:
            raise ValueError(f"grid = {self.grid}: takes an integer >= 2")
        check_extent(list(self.extent))
        check_anchors(self.anchors, self.anchors.shape[1:])

    @property
    def alpha(self) -> Float[ndarray, " grid"]:
        return np.linspace(*self.extent[:2], self.grid)

    @property
    def beta(self) -> Float[ndarray, " grid"]:
        return np.linspace(*self.extent[2:], self.grid)

    @property
    def spacing(self) -> tuple[float, float]:
        a0, a1, b0, b1 = self.extent
        return (a1 - a0) / (self.grid - 1), (b1 - b0) / (self.grid - 1)

    def coefficients(self, alpha: Float[ndarray, " p"],
                     beta: Float[ndarray, " p"]) -> tuple[Float[ndarray, "p 3"], Float[ndarray, "2 p 3"]]:
        """Coefficients c with `z = sum_k c_k z_k` at points, and their derivatives along alpha and beta.

        With normalisation `c / s`, `s^2 = c^T C c` with C the anchors' covariance, and `dc / s - c (c^T C dc) / s^3`.
        ValueError names a point where the standard deviation vanishes.
        """
        c = np.stack([1 - alpha - beta, alpha, beta], -1)
        dc = np.broadcast_to(np.array([[-1.0, 1, 0], [-1, 0, 1]])[:, None], (2, *c.shape))
        if not self.normalise:
            return c, dc.copy()
        covariance = np.cov(self.anchors.reshape(3, -1).astype(np.float64), ddof=1)
        s = np.sqrt(np.einsum("pi,ij,pj->p", c, covariance, c).clip(0))[:, None]
        if (s <= 1e-6 * np.sqrt(covariance.diagonal().max())).any():
            i = int(s.argmin())
            raise ValueError(f"anchors: the slice has standard deviation zero at alpha = {alpha[i]:.4g}, "
                             f"beta = {beta[i]:.4g} and cannot be normalised there; take normalise = False")
        slope = np.einsum("pi,ij,kpj->kp", c, covariance, dc)[..., None]
        return c / s, dc / s - c * slope / s**3

    def latents(self, alpha: Float[ndarray, " p"], beta: Float[ndarray, " p"]) -> Float[ndarray, "p *latent"]:
        """The latents themselves at points, float64."""
        return np.tensordot(self.coefficients(alpha, beta)[0], self.anchors.astype(np.float64), 1)


def _rows(grid: int) -> list[tuple[int, int]]:
    height = max(1, POINTS_IN_A_TILE // grid)
    return [(r, min(r + height, grid)) for r in range(0, grid, height)]


def _finite(value: ndarray, what: str, step: int, plane: Plane, row: int) -> ndarray:
    """`value` (rows, grid) unless it holds NaN or Inf: then ValueError names step and point."""
    if not np.isfinite(value).all():
        i, j = np.argwhere(~np.isfinite(value))[0]
        raise ValueError(f"{what} is not finite at step {step}, alpha = {plane.alpha[row + i]:.6g}, "
                         f"beta = {plane.beta[j]:.6g}")
    return value


def _metric_fields(metric: Metric, suffix: str) -> dict[str, torch.Tensor]:
    return {"det_g" + suffix: metric.det, "tr_g" + suffix: metric.trace, "largest" + suffix: metric.largest}


def _tile(model, plane: Plane, levels: Levels, top: int, bottom: int, options: dict, also: Seen | None, keep, progress):
    """Sweep the rows top..bottom (with a halo row on either side for centred differences); yield (step, fields)."""
    low, high = max(top - 1, 0), min(bottom + 1, plane.grid)
    a, b = (x.ravel() for x in np.meshgrid(plane.alpha[low:high], plane.beta, indexing="ij"))
    c, dc = plane.coefficients(a, b)
    q = model.start(plane.anchors, c)
    tangents = torch.stack([model.start(plane.anchors, d) for d in dc]) if options["tangents"] else None
    mine = slice(top - low, bottom - low)
    unit = 1.0 if options["feature"] == "posterior" else model.unit
    for frame in model.sweep(q, levels, tangents, feature=options["feature"]):
        grid = lambda x: x.view(high - low, plane.grid, -1)  # noqa: E731
        f, dual = grid(frame.features), grid(frame.duals)
        fields = _metric_fields(finite_difference_metric(f, dual, plane.spacing, unit), "")
        if tangents is not None:
            exact = pullback(*frame.d_features, *frame.d_duals, unit)
            fields |= {k: v.view(high - low, -1) for k, v in _metric_fields(exact, "_exact").items()}
        jump = {"": jumps(f, dual, unit)}
        for name, g in (also(frame) if also else {}).items():
            g = grid(g)
            fields |= _metric_fields(finite_difference_metric(g, g, plane.spacing), f"_{name}")
            jump[f"_{name}"] = jumps(g, g)
        fields = {k: v[mine].cpu().numpy() for k, v in fields.items()}
        for suffix, (up, right) in jump.items():
            fields["jump_beta" + suffix] = right[mine].cpu().numpy()
            fields["jump_alpha" + suffix] = up[top - low:min(bottom, plane.grid - 1) - low].cpu().numpy()
        if options["posterior"]:
            fields |= {k: v.reshape(high - low, -1)[mine] for k, v in model.summary(frame.weights).items()}
        keep(frame.step, top, frame.weights.view(high - low, plane.grid, -1)[mine])
        progress.update()
        yield frame.step, fields


def slice_of(model, plane: Plane, levels: Levels, *, feature: str = "pixels", tangents: bool = True,
             thumbnails: int = 0, posterior: bool = True, also: Seen | None = None,
             progress: bool = False) -> xr.Dataset:
    """Sweep a slice and measure its metric at every step.

    Variables, dims (step, alpha, beta): `det_g, tr_g, largest` by finite differences, the same with `_exact` from
    tangents, `jump_alpha, jump_beta` (distance of grid neighbours; one row or column less), and where the model has
    a posterior `atom, entropy_atom, entropy_family` (nats). `weights` (step, alpha_thumb, beta_thumb, atom): what
    `model.decode` takes, on `thumbnails` x `thumbnails` points of the grid. Feature distances are root-mean-square
    over the pixels for feature 'pixels', over a latent's entries for 'latent' (`models.prompted`).

    `also`: gives further features of a frame, {name: (points, k)}, or none of them at a step to skip. They add
    `det_g_NAME, tr_g_NAME, largest_NAME, jump_alpha_NAME, jump_beta_NAME`, NaN where skipped.
    ValueError names step and point of a number that is not finite.
    """
    posterior = posterior and hasattr(model, "summary")
    options = {"feature": feature, "tangents": tangents, "posterior": posterior}
    pick = np.unique(np.linspace(0, plane.grid - 1, min(thumbnails, plane.grid)).round().astype(int))
    fields: dict[str, ndarray] = {}
    weights: list[ndarray | None] = [None] * levels.steps

    def keep(step: int, top: int, tile: torch.Tensor) -> None:
        rows = pick[(pick >= top) & (pick < top + len(tile))]
        if len(rows):
            part = tile[rows - top][:, pick].cpu().numpy().copy()
            weights[step] = part if weights[step] is None else np.concatenate([weights[step], part])

    tiles = _rows(plane.grid)
    with tqdm(total=levels.steps * len(tiles), desc="slice", disable=not progress) as bar:
        for top, bottom in tiles:
            for step, found in _tile(model, plane, levels, top, bottom, options, also, keep, bar):
                for name, value in found.items():
                    if name not in fields:
                        size = (plane.grid - name.startswith("jump_alpha"), value.shape[1])
                        whole = name == "atom"
                        fields[name] = np.full((levels.steps, *size), 0 if whole else np.nan,
                                               np.int32 if whole else value.dtype)
                    fields[name][step, top:top + len(value)] = _finite(value, name, step, plane, top)
    return _dataset(model, plane, levels, fields, weights, pick, options)


def _dataset(model, plane, levels, fields, weights, pick, options) -> xr.Dataset:
    across = lambda name: ("alpha_edge", "beta") if name.startswith("jump_alpha") else (  # noqa: E731
        "alpha", "beta_edge" if name.startswith("jump_beta") else "beta")
    data = {name: (("step", *across(name)), value) for name, value in fields.items()}
    coords = {
        "step": np.arange(levels.steps), "alpha": plane.alpha, "beta": plane.beta,
        "sigma_over_alpha": ("step", levels.sigma_over_alpha, {"unit": "1"}), "timestep": ("step", levels.timestep),
        "alpha_edge": (plane.alpha[1:] + plane.alpha[:-1]) / 2, "beta_edge": (plane.beta[1:] + plane.beta[:-1]) / 2,
    }
    if len(pick):
        data["weights"] = (("step", "alpha_thumb", "beta_thumb", "atom_index"), np.stack(weights))
        coords |= {"alpha_thumb": plane.alpha[pick], "beta_thumb": plane.beta[pick]}
    spec = {
        "model": model.fingerprint, "anchors": sha256(np.ascontiguousarray(plane.anchors)).hexdigest()[:16],
        "extent": list(plane.extent), "grid": plane.grid, "normalise": plane.normalise, "schedule": levels.name,
        "steps": levels.steps, "feature": options["feature"], "tangents": options["tangents"],
    }
    text = json.dumps(spec, sort_keys=True)
    return xr.Dataset(data, coords, {"spec": text, "hash": sha256(text.encode()).hexdigest(), "unit": "1"})


def telling_steps(dataset: xr.Dataset, count: int) -> list[int]:
    """At most `count` steps, from the first to the last, between which the logarithm of the mean of det G makes equal
    progress, ending where it has come to rest: where pictures differ. Increasing and distinct."""
    rise = np.maximum.accumulate(np.log(1e-8 + dataset.det_g.values.mean((1, 2))))
    last = len(rise) - 1
    if rise[-1] - rise[0] < 1e-6:
        return sorted({round(k) for k in np.linspace(0, last, count)})
    marks = rise[0] + (rise[-1] - rise[0]) * np.linspace(0, 0.98, count - 1)[1:]
    return sorted({0, last, *(int(np.searchsorted(rise, m)) for m in marks)})
