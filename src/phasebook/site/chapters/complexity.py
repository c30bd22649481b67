"""Parameters of chapter 6, on complexity and drift along the flow, and their checks."""

from typing import Annotated

from pydantic import Field, model_validator

from phasebook.site.checks.memory import named
from phasebook.site.checks.parameters import Parameters, Seed
from phasebook.theory.cells.power_cells import check_atoms

__all__ = ["Chapter"]

SQUARES, ROWS = 12, 16  # tables of all leaves by all, and of their coordinates, that live at a time in a mean shift
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]
Point = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
Weights = Annotated[list[float], Field(min_length=1, max_length=200)]


class Chapter(Parameters):
    """What chapter 6 takes."""

    atoms: Annotated[list[Point], Field(min_length=1, max_length=200)]
    atom_weights: Weights
    line_atoms: Annotated[list[Coordinate], Field(min_length=1, max_length=200)]
    line_weights: Annotated[list[float], Field(min_length=1, max_length=200)]
    grid: Annotated[int, Field(ge=20, le=400)]
    reach: Annotated[float, Field(ge=1, le=6)]
    lipschitz_threshold: Annotated[float, Field(ge=2, le=1000)]
    dimensions: Annotated[list[Annotated[int, Field(ge=1, le=512)]], Field(min_length=1, max_length=8)]
    mode_steps: Annotated[int, Field(ge=1, le=1_000_000)]
    generations: Annotated[int, Field(ge=3, le=8)]
    cantor_ratio: Annotated[float, Field(ge=0.05, le=0.45)]
    mixtures: Annotated[int, Field(ge=5, le=2000)]
    trees: Annotated[int, Field(ge=1, le=200)]
    tree_depth: Annotated[int, Field(ge=2, le=7)]
    tree_branches: Annotated[int, Field(ge=2, le=8)]
    tree_ratio: Annotated[float, Field(ge=0.05, le=0.4)]
    tree_dimension: Annotated[int, Field(ge=1, le=512)]
    seed: Seed

    @model_validator(mode="after")
    def _sound(self):
        check_atoms(self.atoms, self.atom_weights)
        flat = [[x, 0.0] for x in self.line_atoms]
        try:
            check_atoms(flat, self.line_weights)
        except ValueError as error:
            words = str(error).replace("atom_weights", "line_weights").replace("atoms", "line_atoms")
            raise ValueError(words) from None
        if self.tree_branches > self.tree_dimension + 1:
            raise ValueError(f"tree_branches = {self.tree_branches}: takes 2 to tree_dimension + 1 = "
                             f"{self.tree_dimension + 1}")
        if self.tree_branches**self.tree_depth > 2048:
            raise ValueError(f"tree_depth = {self.tree_depth}: tree_branches ** tree_depth is "
                             f"{self.tree_branches**self.tree_depth}; takes at most 2048 leaves")
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`."""
        leaves = self.tree_branches**self.tree_depth
        tree = named(tree_dimension=self.tree_dimension, tree_depth=f"{self.tree_depth} ({leaves} leaves)")
        return {named(grid=self.grid, atoms=f"{len(self.atoms)} atoms"): 160.0 * self.grid**2 * len(self.atoms),
                tree: 8.0 * leaves * (SQUARES * leaves + ROWS * self.tree_dimension)}
