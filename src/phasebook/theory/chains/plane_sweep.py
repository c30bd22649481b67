"""Chains of 1, 2, 4, .. Brenier maps against the flow in the plane: latents that end in another atom, and the order.

A latent z is the point `mean + (Cov p_s)^(1/2) z` at the far level s, for chain and flow alike. float64.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from phasebook.stats import Estimate, slope_interval
from phasebook.theory.cells.mixture_cells import cell_of, lines, mismatch
from phasebook.theory.chains.plane_atoms import Atoms, flow, flow_atom
from phasebook.theory.chains.plane_chain import Chain, chain

__all__ = ["Sweep", "order", "sweep"]

SHORT = 1.6        # ratio of successive levels up to which a chain counts as asymptotic
FAINT = 2e-5       # a mismatch below this is lost in the location of the boundaries
APART = 2e-3       # where no chain differs more from the flow, what is measured is the error of the links


class Sweep(NamedTuple):
    """Chains of different lengths against the flow.

    Attributes:
        n: numbers of maps.
        mismatch: Gaussian mass of the latents that chain and flow send to different atoms.
        last: the same where the flow replaces all maps but the last.
        links: the same where the flow replaces the last map alone.
        chains: the chains.
        remark: on what was left out.
    """

    n: Int[ndarray, " k"]
    mismatch: Float[ndarray, " k"]
    last: Float[ndarray, " k"]
    links: Float[ndarray, " k"]
    chains: list[Chain]
    remark: str


def sweep(data: Atoms, start: float, end: float, many: Sequence[int], nodes: float, count: int, seed: int) -> Sweep:
    """Chains of `many` numbers of maps; one that is not resolved is left out and remarked.

    Args:
        data: the atoms.
        start: noise level of the latents.
        end: see `chain`.
        many: numbers of maps.
        nodes: grid points per noise level.
        count: lines along which labels are compared.
        seed: of the directions.
    """
    wanted = lines(lambda z: flow_atom(data, data.latent(z, start), start), count, seed)
    rows, chains, lost = [], [], []
    for n in sorted(set(many)):
        try:
            maps = chain(data, start, end, n, nodes)
        except RuntimeError as error:
            lost.append((n, error))
            continue

        def composed(z, maps=maps):
            return maps.atom_of(data.latent(z, start))

        def last_alone(z, maps=maps):
            return cell_of(data.y, maps.values, flow(data, data.latent(z, start), start, maps.levels[-1]))

        def links_alone(z, maps=maps):
            x = data.latent(z, start)
            for step in maps.links:
                x = step(x)
            return flow_atom(data, x, maps.levels[-1])

        off = [mismatch(lines(label, count, seed), wanted) for label in (composed, last_alone, links_alone)]
        rows.append((n, *off))
        chains.append(maps)
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    names = ", ".join(str(n) for n, _ in lost)
    remark = f"WARNING: chains of {names} maps left out, the first for {lost[0][1]}." if lost else ""
    return Sweep(table[:, 0].astype(int), table[:, 1], table[:, 2], table[:, 3], chains, remark)


def order(measured: Sweep, span: float) -> tuple[Estimate | None, str]:
    """Minus the slope of the log mismatch of the links in log n over the asymptotic chains, or None and the reason.

    Not that of the whole chain: the last map starts at a level that does not sink below `end`, and what it alone
    misplaces tends to a positive limit.

    Args:
        measured: from `sweep`.
        span: first level over the last, start / end.
    """
    short = measured.n >= np.log(span) / np.log(SHORT)
    if short.sum() < 3:
        return None, f"fewer than three of the chains have steps of a factor of {SHORT} or less"
    if measured.mismatch.max() < APART or measured.links[short].min() < FAINT:
        return None, "chains and flow agree within the accuracy of the links and of the boundaries"
    value, low, high, n = slope_interval(measured.n[short], measured.links[short])
    return Estimate(-value, -high, -low, n), ""
