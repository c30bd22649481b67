"""Parameters of the chapter on transition paths."""

import os
from typing import Annotated, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from phasebook.models.assets import asset
from phasebook.paths.denoiser import DEEPEST
from phasebook.paths.potential import FORMULAS, Potential, of_formula, of_grid
from phasebook.site.checks.memory import check_memory
from phasebook.site.checks.parameters import Finite, Parameters, Seed
from phasebook.slices.plane import read_array

__all__ = ["Chapter"]

ALANINE = "alanine"
STABLE = 3.0            # largest step size times curvature
LARGEST = 1024          # nodes of a grid in one coordinate
RUNS = 8                # of paths that are kept, with one in work
COPIES = 8              # of the equilibrium samples while they are drawn
SMALLEST = 1e-9         # difference of two energies

Place = Annotated[list[Finite], Field(min_length=2, max_length=2)]
Level = Annotated[float, Field(ge=-4, le=8)]


class Chapter(Parameters):
    """What the chapter's first cell sets.

    Attributes:
        potential: `"alanine"`, a formula, or a `.npy` grid over two angles.
        temperature: kT in the potential's unit.
        endpoints: two places.
        levels: the log-SNR of each.
        points: of a geodesic.
        nodes: of the quadrature, in each coordinate.
        paths: drawn along each curve.
        curve_points: at which a curve is laid out for them.
        steps: Langevin steps at each of those.
        step_size: of a Langevin step.
        tether_level: log-SNR of the straight tether.
        least_level: lower bound of the log-SNR of the low-variance curve.
        avoid: the place of the region to avoid.
        avoid_level: its log-SNR, and the bound on the avoiding curve's.
        overlap: the overlap with it that is allowed.
        samples: equilibrium samples of the learned denoiser.
        train_steps: of its training.
        seed: of every draw.
    """

    potential: str
    temperature: Annotated[float, Field(gt=0, le=1e6)]
    endpoints: Annotated[list[Place], Field(min_length=2, max_length=2)]
    levels: Annotated[list[Level], Field(min_length=2, max_length=2)]
    points: Annotated[int, Field(ge=16, le=512)]
    nodes: Annotated[int, Field(ge=48, le=384)]
    paths: Annotated[int, Field(ge=20, le=2000)]
    curve_points: Annotated[int, Field(ge=32, le=4096)]
    steps: Annotated[int, Field(ge=1, le=1024)]
    step_size: Annotated[float, Field(gt=0, le=1)]
    tether_level: Level
    least_level: Level
    avoid: Place
    avoid_level: Level
    overlap: Annotated[float, Field(ge=1e-6, lt=1)]
    samples: Annotated[int, Field(ge=1000, le=10_000_000)]
    train_steps: Annotated[int, Field(ge=1, le=1_000_000)]
    seed: Seed

    @field_validator("potential")
    @classmethod
    def _known(cls, value: str) -> str:
        if value != ALANINE and value not in FORMULAS:
            _grid(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        surface = self.surface()
        highest = surface.table[..., 0].max() / self.temperature
        if self.periodic and highest > DEEPEST:
            raise ValueError(f"temperature = {self.temperature:g}: the energy spans {highest:.3g} kT; takes >= "
                             f"{surface.table[..., 0].max() / DEEPEST:.3g} (at most {DEEPEST:g} kT)")
        for name, places in (("endpoints", self.endpoints), ("avoid", [self.avoid])):
            for place in places:
                share = (surface.within(np.array(place)) - surface.low) / surface.size
                if ((share < 0) | (share > 1)).any():
                    ends = [f"{a:.2f} to {a + b:.2f}" for a, b in zip(surface.low, surface.size, strict=True)]
                    raise ValueError(f"{name} = {place}: outside the potential; takes {' by '.join(ends)}")
        check_memory({name: getattr(self, name) for name in ("paths", "curve_points", "samples")},
                     16.0 * (RUNS * self.paths * self.curve_points + COPIES * self.samples))
        if np.allclose(*surface.within(np.array(self.endpoints))):
            raise ValueError(f"endpoints = {self.endpoints}: takes two different places")
        for name, level in (("least_level", self.least_level), ("avoid_level", self.avoid_level)):
            if level > min(self.levels):
                raise ValueError(f"{name} = {level:g}: takes at most the ends' {min(self.levels):g} (levels)")
        stiffest = np.exp(max(self.levels)) * self.step_size
        if stiffest > STABLE:
            raise ValueError(f"step_size = {self.step_size:g}: Langevin steps are unstable at log-SNR "
                             f"{max(self.levels):g}; takes <= {STABLE / np.exp(max(self.levels)):.2g}")
        return self

    @property
    def periodic(self) -> bool:
        """Whether both coordinates are angles."""
        return self.potential not in FORMULAS

    @property
    def unit(self) -> str:
        """Of the energy, in words."""
        return "kJ/mol" if self.potential == ALANINE else "its unit"

    def place(self, points: list) -> np.ndarray:
        """Places as the potential has them: angles of any number of turns are moved into its rectangle."""
        return self.surface().within(np.array(points))

    def surface(self, temperature: float | None = None) -> Potential:
        """The potential; for a grid, cut where its density at a temperature (the chapter's) is least."""
        if not self.periodic:
            return of_formula(*FORMULAS[self.potential])
        energy = np.load(asset("alanine/scan.npy")) if self.potential == ALANINE else _grid(self.potential)
        return of_grid(energy, temperature or self.temperature)


def _grid(value: str) -> np.ndarray:
    """A grid from a file; ValueError in one line."""
    known = ", ".join([ALANINE, *FORMULAS])
    if not value.endswith(".npy") or not os.path.isfile(value):
        raise ValueError(f"potential = {value!r}: unknown; takes one of {known}, or a .npy file")
    energy = read_array(value, f"potential = {value!r}", "takes a .npy file: one array of energies over two angles")
    if energy.ndim != 2 or not 8 <= min(energy.shape) <= max(energy.shape) <= LARGEST:
        raise ValueError(f"potential = {value!r}: has shape {energy.shape}; takes 2 angles of 8 to {LARGEST} nodes")
    if energy.dtype.kind not in "fiu" or not np.isfinite(energy).all():
        raise ValueError(f"potential = {value!r}: takes finite real energies")
    spread = float(energy.max()) - float(energy.min())
    if not SMALLEST <= spread <= 1 / SMALLEST:
        raise ValueError(f"potential = {value!r}: its energies span {spread:.3g}; takes {SMALLEST:g} to "
                         f"{1 / SMALLEST:g}")
    return energy.astype(float)
