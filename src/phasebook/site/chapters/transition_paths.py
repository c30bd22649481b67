"""Parameters of the chapter on transition paths."""

import os
from typing import Annotated, Self

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field, field_validator, model_validator

from phasebook.models.assets import asset
from phasebook.paths.barrier import minimax_energy
from phasebook.paths.denoiser import DEEPEST, Boltzmann
from phasebook.paths.geodesic import curve_of, overlaps
from phasebook.paths.potential import FORMULAS, Potential, of_formula, of_grid
from phasebook.site.checks.memory import named
from phasebook.site.checks.parameters import Finite, Parameters, Seed
from phasebook.slices.plane import read_array
from phasebook.stats import Estimate, grouped_bootstrap

__all__ = ["Chapter", "time_inside"]

ALANINE = "alanine"
STABLE = 3.0            # largest step size times curvature
HOT = 10.0              # kT above the pass up to which curvature counts
BORDER = 1e-3           # largest share of the density on the border of a window
COARSE = 64             # nodes by which the pass is looked for
QUADRATURE = 128        # and the density at a border
LARGEST = 1024          # nodes of a grid in one coordinate
ENDS = [[-2.55, 2.7], [0.95, -0.4]]     # the published experiment's, and the Langevin time of its paths
TIME = 128 * 512 * 4e-4
RUNS = 12               # of paths that are kept, with one in work and where it is looked up
COPIES = 8              # of the equilibrium samples while they are drawn
SPACED = 5.0            # the most that the SNR, or the curvature of the energy over kT, times the square of the spacing
                        # of nodes may be: sums err by 4 %
ROUGH = 1e-3            # the longest Langevin step on the surface of Mueller and Brown, at its log-SNR of 7
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
    temperature: Annotated[float, Field(ge=1e-12, le=1e6)]
    endpoints: Annotated[list[Place], Field(min_length=2, max_length=2)]
    levels: Annotated[list[Level], Field(min_length=2, max_length=2)]
    points: Annotated[int, Field(ge=32, le=512)]      # of fewer the known length is missed by more than its bound
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
        if np.allclose(*surface.within(np.array(self.endpoints))):
            raise ValueError(f"endpoints = {self.endpoints}: takes two different places")
        for name, level in (("least_level", self.least_level), ("avoid_level", self.avoid_level)):
            if level > min(self.levels):
                raise ValueError(f"{name} = {level:g}: takes at most the ends' {min(self.levels):g} (levels)")
        highest = minimax_energy(surface, self.place(self.endpoints), COARSE) + HOT * self.temperature
        bent = max(surface.stiffest(highest), 0.0) / self.temperature
        self._check_steps(bent)
        self._check_nodes(surface, bent)
        self._check_density(surface)
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`."""
        return {named(paths=self.paths, curve_points=self.curve_points): 16.0 * RUNS * self.paths * self.curve_points,
                named(samples=self.samples): 16.0 * COPIES * self.samples}

    def _check_nodes(self, surface: Potential, bent: float) -> None:
        """Sums over nodes h apart miss integrals against noise of variance 1/k by `2 exp(-2 pi^2 / (k h^2))`, and those
        against a density that bends by k itself by as much."""
        level = max(*self.levels, self.tether_level)
        noise = f"the noise at log-SNR {level:g} (levels, tether_level)"
        well = f"the density where the energy bends by {bent:.3g} kT (temperature = {self.temperature:g})"
        for k, what in ((np.exp(level), noise), (bent, well)):
            least = int(np.ceil(surface.size.max() * np.sqrt(k / SPACED))) + (not self.periodic)
            if self.nodes < least:
                raise ValueError(f"nodes = {self.nodes}: their spacing is coarser than {what}; takes >= {least}")

    def _check_steps(self, bent: float) -> None:
        """Langevin steps are stable where the noise and the energy bind most."""
        name, level = "levels", max(self.levels)
        if self.tether_level > level:
            name, level = "tether_level", self.tether_level
        if (np.exp(level) + bent) * self.step_size > STABLE:
            raise ValueError(f"step_size = {self.step_size:g}: Langevin steps are unstable at log-SNR {level:g} "
                             f"({name}) where the energy bends by {bent:.3g} kT (temperature = "
                             f"{self.temperature:g}); takes <= {STABLE / (np.exp(level) + bent):.2g}")

    def _check_density(self, surface: Potential) -> None:
        """A window holds the density; the region to avoid leaves the ends alone."""
        law = Boltzmann.of(surface, self.temperature, QUADRATURE)
        if not self.periodic and law.border > BORDER:
            raise ValueError(f"temperature = {self.temperature:g}: {law.border:.2g} of the density lies on the border "
                             f"of the potential's window; takes a lower one, with <= {BORDER:g}")
        star = curve_of(np.array([self.avoid_level]), self.place([self.avoid]))[0]
        met = overlaps(law, curve_of(np.array(self.levels), self.place(self.endpoints)), star).max()
        if not met <= self.overlap:
            raise ValueError(f"avoid = {self.avoid}: an end of the path overlaps the region by {met:.2g}; takes a "
                             f"region that overlaps both by at most overlap = {self.overlap:g} (avoid_level = "
                             f"{self.avoid_level:g})")

    @property
    def periodic(self) -> bool:
        """Whether both coordinates are angles."""
        return self.potential not in FORMULAS

    @property
    def rough_step(self) -> float:
        """A Langevin step on the surface of Mueller and Brown, whose levels and temperature the chapter sets itself."""
        return min(self.step_size / 2, ROUGH)

    @property
    def unit(self) -> str:
        """Of the energy, in words."""
        return "kJ/mol" if self.potential == ALANINE else "its unit"

    @property
    def published_wells(self) -> bool:
        """Whether the molecule and the ends are those of the published experiment, which numbers are compared with."""
        return self.potential == ALANINE and np.allclose(*(self.place(e) for e in (self.endpoints, ENDS)))

    @property
    def published_paths(self) -> bool:
        """Whether temperature, levels and the time of the paths are as published, too."""
        time = self.curve_points * self.steps * self.step_size / TIME
        return bool(self.published_wells and self.temperature == 1 and self.levels == [7.0, 7.0] and 0.5 < time < 2)

    def place(self, points: list) -> np.ndarray:
        """Places as the potential has them: angles of any number of turns are moved into its rectangle."""
        return self.surface().within(np.array(points))

    def surface(self, temperature: float | None = None) -> Potential:
        """The potential; for a grid, cut where its density at a temperature (the chapter's) is least."""
        if not self.periodic:
            return of_formula(*FORMULAS[self.potential])
        energy = np.load(asset("alanine/scan.npy")) if self.potential == ALANINE else _grid(self.potential)
        return of_grid(energy, temperature or self.temperature)


def time_inside(one: Float[ndarray, " p"], other: Float[ndarray, " p"], seed: int) -> Estimate | None:
    """The time that paths spend in a region over that of others; the interval draws paths.

    Args:
        one: share of its time that each path is inside.
        other: the same of those that are compared with, some of which are inside.
        seed: of the draws.
    """
    least = other[other > 0].min() / len(other) / 2         # half of the least there is, for a draw of none inside

    def ratio(index):
        above, below = one[index].mean(), other[index].mean()
        return above / max(below, least) if above or below else np.nan     # of nothing over nothing there is no ratio

    return grouped_bootstrap(ratio, np.arange(len(other)), seed)


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
