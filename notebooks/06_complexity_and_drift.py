# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One transport is not the flow
#
# The paper models a diffusion by a chain of transports. Between two positive noise levels none of them has a singular set ({prf:ref}`thm-whole`), yet
# boundaries are what one sees in the latent space of a diffusion model.
#
# **What remains of a singular set at a positive noise level? Does its complexity grow as the noise falls, and does it stay in place?**
#
# :::{admonition} Answer
# :class: tip
# What remains is steepness: ridges, across which the flow stretches by up to $s\, e^{D^2/(8 s^2)}$ (heat frame), $D$ the diameter of the data, in any
# dimension. Of the complexities that we count at positive noise only the number of modes on the line can never fall, by a theorem; modes and ridges
# in the plane do. On data that are hierarchical by construction modes multiply by a power law whose exponent is the dimension of the data. A boundary
# moves while it forms, over six to nine per cent of all latents for a few atoms, and less once it is a ridge: over a fifth of a per cent for these,
# over up to two in random mixtures.
# :::

# %% tags=["parameters"]
atoms = [[-1.2, 0.3], [0.2, 1.1], [1.3, 0.1], [-0.3, -1.0], [0.3, 0.2]]      # data in the plane
atom_weights = [0.25, 0.15, 0.3, 0.2, 0.1]   # positive, sum 1
line_atoms = [-2.0, 0.0, 1.0]                # data on the line
line_weights = [0.2, 0.5, 0.3]
grid = 100                                   # points an axis of the latent plane
reach = 4.0                                  # radius of the disk of latents; beyond 4 are 3 of 10 000
lipschitz_threshold = 5.0                    # a map that stretches more than this, in units of a Gaussian of the same covariance, is steep
dimensions = [2, 3, 64]                      # of random data for the bound
mode_steps = 5000                            # random steps in noise on which modes are counted
generations = 6                              # of Cantor data
cantor_ratio = 0.3333333333333333            # length of a part over its interval
mixtures = 60                                # random ones on the line whose regions are counted; a fifth of them is followed
trees = 12                                   # random trees, and Gaussian twins of them
tree_depth = 5                               # generations
tree_branches = 2                            # children of a node
tree_ratio = 0.3                             # size of a generation over that of the one before
tree_dimension = 8                           # of the space
seed = 0

# %% tags=["hide-input"]
from phasebook.site.chapters.complexity import Chapter
from phasebook.site.results.ledger import Ledger

p = Chapter.read(globals())
ledger = Ledger("06_complexity_and_drift", p)

# %% tags=["hide-input"]
import numpy as np
from IPython.display import HTML
from scipy.stats import norm

from phasebook.mixtures import monotone, ridges
from phasebook.mixtures import trees as hierarchies
from phasebook.mixtures.latent_flow import (
    basins,
    count_regions,
    even_slope,
    latent_flow,
    line_quantile,
    line_slope,
    steep_regions,
)
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.critical_points import equilateral_triangle, mode_count_changes
from phasebook.site.figures.base import show, table
from phasebook.site.figures.singular import Cells, cells_and_basins, drift_curves, growth_panel, stretching
from phasebook.site.figures.toy import show_toy
from phasebook.site.figures.transport import curves
from phasebook.stats import largest_of, median_interval, share_interval
from phasebook.theory.cells.power_cells import solve

data = Mixture.atoms(p.atoms, np.array(p.atom_weights))
ascending = np.argsort(p.line_atoms)
line = Mixture.atoms(np.array(p.line_atoms)[ascending, None], np.array(p.line_weights)[ascending])
size = np.linalg.norm(data.means - data.weights @ data.means, axis=1).max() or 1.0
line_size = np.abs(line.means - line.weights @ line.means).max() or 1.0

# %% [markdown]
# ## Two atoms: steep, never broken
#
# For two equal atoms at $\pm a$ the flow on the axis is a quantile map of one variable. In the heat frame $y = x_t / \alpha$, with $s = \sigma /
# \alpha$, its slope at the midpoint is
#
# $$ \frac{dy}{dz}\Big|_{z = 0} = \frac{\phi(0)}{p_s(0)} = s \, \exp\Big(\frac{a^2}{2 s^2}\Big), $$ (eq-midpoint)
#
# times $\alpha$ in the frame of $x_t$. It is exponential in $1/s^2$ and finite for every $s > 0$.

# %% tags=["nbval-check-output"]
noise = np.array([2.0, 1.0, 0.6, 0.4, 0.3])
pair = Mixture.atoms([[-1.0, 0.0], [1.0, 0.0]])
slope = latent_flow(pair, np.zeros((1, 2)), noise, jacobian=True, rate=200).jacobian[:, 0, 0, 0]
formula = noise * np.exp(1 / (2 * noise**2))
for s, by_flow, by_formula in zip(noise, slope, formula, strict=True):
    print(f"s = {s:.1f}: slope {by_flow:8.3f} by the flow, {by_formula:8.3f} by the formula")

# %% [markdown]
# At $s = 0.3$ the slope is near eighty; at $s = 0.1$ it is $5 \times 10^{20}$. For practical purposes the difference between steep and broken is lost
# there. For a theorem about sets $S_k$ it is not: a statement about $t_k > 0$ is one about empty sets.
#
# ## A bound in every dimension
#
# How steep can a ridge be at all? Two atoms are the steepest of all data of one diameter.
#
# :::{prf:proposition} Two atoms are the worst
# :label: prop-lipschitz
# Let the data lie in a set of diameter $D$ in $\mathbb{R}^d$. The flow from the latent to the noise level $s$ (heat frame) has Lipschitz constant at
# most $s \exp(D^2 / (8 s^2))$. Two equal atoms attain it.
# :::
#
# :::{prf:proof}
# Along the flow the derivative $J = dy/dz$ obeys $dJ / d \log s = (I - \operatorname{Cov}[x_0 | y] / s^2) J$. A random variable with values in an
# interval of length $D$ has variance at most $D^2/4$ (Popoviciu), so $\operatorname{Cov} \leq \tfrac14 D^2 I$, and on the way down from $S$ to $s$
# the norm changes by at most $\log |J(s)| - \log |J(S)| \leq \int_s^S (D^2/(4 \tau^2) - 1)\, d\tau / \tau$, where $|J(S)| / S \to 1$ as $S \to
# \infty$. The integral is $D^2 / (8 s^2) - \log (S/s) + O(S^{-2})$. For two atoms at $\pm a$, $D = 2a$, it is {eq}`eq-midpoint`.
# :::
#
# With $D = 2R$, $R$ the radius of a ball that holds the data, the same integral is that of Mikulincer and Shenfeld {cite:p}`mikulincer2023lipschitz`;
# for data that are more log-concave than the latents such flows are even contractions {cite:p}`kim2012generalization`. The bound knows no dimension. How near do other data come?
#
# ## Steepness, measured where it is wide
#
# A ridge of the latent plane is as narrow as it is steep; a grid of latents misses it, and a constant read off a grid says more about the grid. In
# the *image*, at the level $s$, the same points fill the ground between the atoms, on a scale of $s$. So we follow the flow upwards, from $y$ to the
# latent $z$, with the derivative $K = dz/dy$. The Lipschitz constant at $z$ is $1/\sigma_{\min}(K)$; in the plane it is $\sigma_{\max}(K) / \det K$,
# and Liouville's formula $\det K = p_s(y) / \phi(z)$ gives the small number without cancellation. Newton's method climbs from between
# pairs of atoms and, in the plane, from a coarse grid of the image. For atoms in $\mathbb{R}^d$ everything happens in their affine span.

# %% tags=["nbval-check-output"]
shares = {}
for d in p.dimensions:
    rng = np.random.default_rng([p.seed, d])
    cloud = Mixture.atoms(rng.normal(size=(5, d)))
    flat, _ = ridges.in_span(cloud)
    diameter = np.linalg.norm(cloud.means[:, None] - cloud.means, axis=-1).max()
    for s in diameter * np.array([0.5, 0.3, 0.2, 0.15]):
        top, _ = ridges.ascend(flat, s, ridges.pair_starts(flat), reach=p.reach)
        shares[d, s] = np.exp(max(top, np.log(s)) - ridges.lipschitz_bound(cloud, s))
for d in p.dimensions:
    print(f"d = {d}: Lipschitz constant over its bound, noise falling:", ", ".join(f"{v:.2f}" for (e, _), v in shares.items() if e == d))

# %% [markdown]
# In the plane the two atoms at the largest distance have others near the way between them, and among the latents with $|z| \leq$ `reach` the constant
# falls to a twenty-fifth of its bound. In 64 dimensions it stays within a tenth of the bound: every pair of five atoms is then an edge of their hull,
# and out on the ridge between the two they are alone. Two atoms attain the bound, and a few in many dimensions nearly do.
#
# The check of the ascent is a case with a closed form: two atoms with weights 0.3 and 0.7, for which the line gives the steepest point exactly. Then
# the chapter's data, beside what a grid of latents shows.

# %% tags=["nbval-check-output"]
uneven, tilted = Mixture.atoms([[-1.0], [1.0]], np.array([0.3, 0.7])), Mixture.atoms([[-1.0, 0.0], [1.0, 0.0]], np.array([0.3, 0.7]))
ascended, exact = [], []
for s in (1.0, 0.5, 0.3, 0.2):
    ascended.append(np.exp(ridges.ascend(tilted, s, ridges.pair_starts(tilted))[0]) / np.sqrt(1 + s**2))
    exact.append(line_slope(uneven, s, np.linspace(-1, 1, 200_001))[1].max())
worst = max(np.array(ascended) / exact, key=lambda r: abs(r - 1))
levels = size * np.geomspace(1.6, 0.1, 9)
tops, bound_shares = [], []
for s in levels:
    starts = np.concatenate([ridges.pair_starts(data), ridges.image_grid(data, s, p.reach, 24).reshape(-1, 2)])
    top, _ = ridges.ascend(data, s, starts, reach=p.reach)
    tops.append(top - np.log1p(s**2) / 2)
    bound_shares.append(np.exp(top - ridges.lipschitz_bound(data, s)))
print(f"two unequal atoms: ascent over closed form {worst:.4f}")
print("decimal logarithm of the Lipschitz constant:", ", ".join(f"{abs(t) / np.log(10):.1f}" for t in tops))

# %% mystnb={"figure": {"caption": "Stretching of the composed map from the latent plane to noise level $\\sigma/\\alpha$, variance-preserving frame: the largest seen at the corners and along the edges of each cell of the grid, a lower bound where a ridge is thinner than the grid. Move the slider towards less noise. Dotted: walls of the one-shot transport, for orientation.", "name": "fig-lipschitz"}}
latent_axis = np.linspace(-3.2, 3.2, p.grid) + 0.0037           # off the walls of symmetric atoms
z = np.stack(np.meshgrid(latent_axis, latent_axis), axis=-1)
flow = latent_flow(data, z, levels, jacobian=True, rate=8)
on_grid = flow.cell_lipschitz(latent_axis[1] - latent_axis[0])
one_shot = solve(p.atoms, p.atom_weights)
show(stretching([f"{s:.2f}" for s in levels], on_grid, (latent_axis[1:] + latent_axis[:-1]) / 2, one_shot.walls.ends(5.0)),
     alt="Heat maps of the latent plane. At high noise the map is nearly uniform; with falling noise bright curves form, "
         "first one between the heaviest groups of atoms, then more, and become thin and very bright.")

# %% [markdown]
# Bright curves appear one after another and sharpen, as in the paper's pictures. The colours understate it: at the lowest level a grid of a hundred
# points an axis finds less than two hundred where the ascent finds a number of twelve digits. The steepest places lie far out on the longest ridge, at the
# rim of the disk that is looked at: there is no finite Lipschitz constant that would not depend on `reach`, except by {prf:ref}`prop-lipschitz`.
#
# ## Cells of one transport, basins of the flow
#
# It is tempting to draw the cells of a single transport from the Gaussian to the data and to call them the basins of the diffusion. The paper does
# not: its $T_k$ are composed. That the flow is in general not the optimal transport is a theorem {cite:p}`lavenant2022flow`. How much does it matter?

# %% mystnb={"figure": {"caption": "Cells of the one-shot transport from the Gaussian (left) and basins of the probability-flow ODE (right, with the walls of the cells in black), for four symmetric atoms and for the chapter's atoms.", "name": "fig-cells"}}
drawn = np.random.default_rng(p.seed).normal(size=(8192, 2))          # a share of latents is no matter of a grid
cases, shifted = [], []
for title, points, weights in (("four symmetric atoms", [[1, 1], [-1, 1], [-1, -1], [1, -1]], None),
                               ("the chapter's atoms", p.atoms, p.atom_weights)):
    cells = solve(points, weights)
    mixture = Mixture.atoms(points, cells.atom_weights)
    shifted.append(share_interval(int((cells.cell_of(drawn) != basins(mixture, drawn, rate=8)).sum()), len(drawn)))
    cases.append(Cells(title, cells.cell_of(z), basins(mixture, z, rate=8), cells.walls.ends(5.0), 100 * shifted[-1].value))
show(cells_and_basins(cases, latent_axis), alt="Four maps of the latent plane. For four symmetric atoms cells and basins "
     "are the same quadrants. For five generic atoms the basins have curved boundaries that deviate from the straight walls.")

# %% tags=["nbval-check-output"]
print(f"latents that end in another atom: {cases[0].differ:.1f} % (symmetric), {cases[1].differ:.1f} % (chapter's atoms)")

# %% [markdown]
# For symmetric atoms the two agree, as symmetry forces them to. For the chapter's atoms walls are straight, boundaries of the flow are curved, and a
# few per cent of the latents end elsewhere. Both maps carry the right mass to each atom; only one is cheapest.
#
# ## The sets of Theorem 2.1, read literally
#
# 'Such a condition arises naturally during mode-splitting or due to non-convexity of the support of data distribution', says 2.1.2. We look for it in
# a chain across all mode splittings of the line's atoms. On the line a composition of Brenier maps is the Brenier map, so each $T_k$ is known: its
# slope is $p_{t_k}(x) / p_{t_{k-1}}(T_k x)$. In the plane we take the determinant of the flow's derivative at every latent and level of
# {numref}`fig-lipschitz`.
#
# The third part of the theorem pulls the singular sets back to the latent space:
#
# $$ S_{\text{total}} = \bigcup_{k=1}^{N} (\mathcal{T}_{N \to k})^{-1}(S_k). \tag{2} $$
#
# $S_k$ lies in the domain of $T_k$, at time $t_k$. The appendix speaks of 'the composed map from the initial prior space to the space at time $t_k$',
# which is $T_{k+1} \circ \cdots \circ T_N$, and with it (2) is right. But it writes $\mathcal{T}_{N \to k} = T_k \circ \cdots \circ T_N$, which lands
# at $t_{k-1}$: for $k = 1$ this asks which latents are sent, by the whole chain, into the wall $S_1$, and none is, since the chain ends on the atoms.
# The theorem itself leaves the symbol undefined.

# %% tags=["nbval-check-output"]
chain = line_size * np.geomspace(1.5, 0.15, 25)
ranks = norm.cdf(np.linspace(-4, 4, 161))
places = np.array([line_quantile(line, s, ranks) for s in chain])
heights = np.array([line.log_density(x[:, None], 1.0, s) for s, x in zip(chain, places, strict=True)])
step_slopes = np.exp(heights[:-1] - heights[1:])
singular = int((~np.isfinite(step_slopes).all(1) | (step_slopes <= 0).any(1)).sum())
folds = int((~(np.linalg.det(flow.jacobian) > 0)).sum())
print(f"{len(step_slopes)} Brenier maps: slopes up to {step_slopes.max():.1f}; latents where the flow folds, at {len(levels)} levels: {folds}")

cuts, last = np.cumsum(line.weights)[:-1], 0.35 * line_size
wall = line_quantile(line, last, cuts)                                                          # S_1
before = latent_flow(line, norm.ppf(cuts)[:, None], np.array([last]), rate=100).y[0, :, 0]      # T_2 o ... o T_N
after = np.sort(line.means[:, 0])[np.arange(len(cuts)) + (before > wall)]                       # T_1 o ... o T_N
hits = [float((np.abs(place - wall) < 1e-3 * line_size).mean()) if len(cuts) else None for place in (after, before)]

# %% [markdown]
# No map is singular, as {prf:ref}`thm-whole` says. All terms of the union with $k > 1$ are empty, and the term $k = 1$ contains everything. A union
# over more and more sets cannot decrease: if 'complexity' means its size, the theorem's last clause is a definition and says nothing about diffusion.
#
# ## Do boundaries stay where they formed?
#
# The paper's preimages are fixed sets. The *picture* of nested phases needs that a boundary seen at one noise level lies where it lies at the next.
# On the line a boundary between two modes is an antimode of $p_s$, and its place in the latent space is its quantile $F_s(\text{antimode})$. Symmetry
# may hold it fixed; {numref}`fig-drift` takes unequal atoms.

# %% mystnb={"figure": {"caption": "Place in the latent space, as a quantile, of the boundaries between modes of two atoms with weights 0.3 and 0.7, and of the line's atoms: boundary 1 is that of the two, the others are the line's. Dots: where the map first stretches more than the threshold there. Read from right to left, as the noise falls.", "name": "fig-drift"}}
tracks = monotone.boundary_tracks(uneven, np.geomspace(1.5, 0.05, 100))
tracks += monotone.boundary_tracks(line, line_size * np.geomspace(1.5, 0.03, 100))
births = [monotone.drift(track, 0.0) for track in tracks]
drifts = [moved for track in tracks if (moved := monotone.drift(track, p.lipschitz_threshold)) is not None]
show(curves([drift_curves(tracks, p.lipschitz_threshold)], ["noise level s"], ["quantile of the latent"], log=False),
     alt="Curves of latent quantile over noise level; each starts at the right, bends, and is flat from its dot on to the left.")

# %% tags=["nbval-check-output"]
print(f"largest drift since birth {max(births):.3f}, since the slope is {p.lipschitz_threshold:g}: {max(drifts):.3f}" if drifts else "no ridge")
unlike = {"random mixtures": [t for rng in np.random.default_rng(p.seed).spawn(p.mixtures // 5)
                              for t in monotone.boundary_tracks(monotone.random_mixture(rng), np.geomspace(4, 0.03, 60))],
          "a wide Gaussian between narrow ones": monotone.boundary_tracks(monotone.wide_among_narrow(), np.geomspace(30, 0.1, 60))}
passed = {name: [moved for t in some if (moved := monotone.drift(t, p.lipschitz_threshold)) is not None] for name, some in unlike.items()}
for name, some in passed.items():
    print(f"{name}: {len(some)} ridges, largest drift {max(some):.3f}" if some else f"{name}: no ridge")

# %% [markdown]
# What is a ridge? The map to a mere Gaussian, which has no boundary, stretches as much as the data are wide. So slopes, here and in what follows, are
# in units of that for a Gaussian of the same covariance, and a boundary is a *ridge* from a slope of 5 on (`lipschitz_threshold`).
#
# The boundary of two atoms with weights 0.3 and 0.7 appears at the quantile 0.21 and ends at 0.30: nine per cent of all latents change sides. But
# where it is born it is no ridge: its slope is 1.4. By the time this is 3 only six in a thousand are still to pass, at 5 a fifth of a per cent.
# Nesting is poor for boundaries that are forming and good for those that are ridges.
#
# How good, depends on the data. On these two sets of atoms a ridge passes over less than one latent in a hundred (`singular.ridges_stay`). For
# whatever data this fails (`singular.ridges_stay_any`): four of twenty ridges of random mixtures pass over more, one of them over two in a hundred.
#
# ## Non-decreasing, under which definition?
#
# 'The complexity (number of singularities) of this set is non-decreasing as $t \to 0$.' Since the sets are empty until the end, the sentence needs a
# complexity that can be measured earlier. *Exact modes on the line*: convolution with a Gaussian creates no maxima in one dimension
# {cite:p}`silverman1981using`. *Exact modes in the plane*: false. Three equal atoms at the corners of an equilateral triangle have a fourth mode in
# the middle, for noise between $1/\sqrt 2$ and $0.73913$ circumradii {cite:p}`carreira2003number`. *Modes by relative height*, as the paper counts
# them: two light atoms pass the threshold together and fail it apart. *Steep regions* can merge in the plane.

# %% tags=["nbval-check-output"]
lost_on_line = monotone.random_mode_falls(p.mode_steps, np.random.default_rng(p.seed))
changes = mode_count_changes(equilateral_triangle(), 0.4, 1.2, tolerance=1e-9)
window = [level for level, _, _ in changes]
lost_in_plane = sum(below < above for _, below, above in changes)
several = [monotone.random_mixture(rng) for rng in np.random.default_rng(p.seed).spawn(p.mixtures)]
counted = [steep_regions(one, np.geomspace(4, 0.03, 40), p.lipschitz_threshold)[0] for one in several]
fallen = sum(monotone.falls(c) > 0 for c in counted)
by_height = monotone.height_counts(monotone.minor_pair(), np.geomspace(0.6, 0.05, 40), 0.05)
down = np.geomspace(30, 0.1, 60)
(wide, _), (equal, equal_mass) = (steep_regions(monotone.wide_among_narrow(atoms=k), down, p.lipschitz_threshold) for k in (0, 4))
regions, steep_mass = [], []
for s in levels:
    y = ridges.image_grid(data, s, p.reach, min(64, max(24, int(180 / np.sqrt(len(p.atoms))))))
    steep = ridges.lipschitz_from_image(data, y, s, p.reach) - np.log1p(s**2) / 2 > np.log(p.lipschitz_threshold * even_slope(data, s))
    regions.append(count_regions(steep))
    steep_mass.append(float(np.exp(data.log_density(y[steep], 1.0, s)).sum() * (y[0, 1, 0] - y[0, 0, 0]) ** 2))
print(f"triangle: a fourth mode between {window[0]:.4f} and {window[-1]:.4f} circumradii;",
      "regions in the plane, noise falling:", ", ".join(map(str, regions)))

# %% tags=["hide-input"]
rows = [
    ("exact modes, line", f"{p.mode_steps} random steps", lost_on_line, "none: it is a theorem"),
    ("exact modes, plane", "equilateral triangle", lost_in_plane, "1, then 4, then 3"),
    ("modes above 5 % of the highest, line", "weights 0.94, 0.03, 0.03", monotone.falls(by_height), "two light atoms part"),
    ("steep regions, line", "a wide Gaussian between two narrow ones", monotone.falls(wide), "counts " + ", ".join(map(str, np.unique(wide)))),
    ("steep regions, line", "twelve equal atoms of the same shape", monotone.falls(equal), "counts " + ", ".join(map(str, np.unique(equal)))),
    ("steep regions, line", f"{len(several)} random mixtures", sum(map(monotone.falls, counted)), f"in {fallen} of them regions merge or fade"),
    ("steep regions, plane", "the chapter's atoms, counted in the image", monotone.falls(regions), "counts " + ", ".join(map(str, regions))),
    ("mass of steep regions, line", "the twelve atoms", monotone.falls(equal_mass, 1e-3), "ridges sharpen"),
    ("mass of steep regions, plane", "the chapter's atoms", monotone.falls(steep_mass, 1e-3), "per mille " + ", ".join(f"{1e3 * m:.3g}" for m in steep_mass)),
    ("union of preimages (2)", "any", 0, "none: true by definition"),
]
display(HTML(table(("complexity", "case", "falls seen", "what happens"), rows, "How often a complexity falls as the noise does")))
ratio = slope / formula
ledger.claim("singular.midpoint_slope", ratio[np.argmax(np.abs(ratio - 1))], note="the worst of five noise levels")
ledger.claim("flow.ridge_ascent", worst, note="the worst of four noise levels")
ledger.claim("flow.lipschitz_bound", max([*shares.values(), *bound_shares]),
             note=f"five random atoms in d = {', '.join(map(str, p.dimensions))}, and the chapter's atoms, within |z| = {p.reach:g}")
ledger.claim("singular.ot_vs_flow", shifted[1], note="the chapter's atoms; 8192 latents")
ledger.claim("flow.no_fold", singular + folds, note="Brenier maps of a chain on the line, by their slopes, and latents at which "
             "the flow in the plane folds: none, as for every pair of smooth positive densities")
ledger.claim("singular.index", hits[0], corrected=hits[1], note="share of the true boundaries that the formula finds, for k = 1"
             if len(cuts) else "one atom has no boundary")
ledger.claim("singular.ridges_stay", max(drifts) if drifts else None, note=f"from slope {p.lipschitz_threshold:g} on; two atoms and the line's atoms"
             if drifts else "no boundary is as steep as the threshold")
ledger.claim("singular.ridges_stay_any", max(sum(passed.values(), []), default=None), note="; ".join(
    f"{name}: {max(some):.3f}" if some else f"{name}: no ridge" for name, some in passed.items()))
ledger.claim("modes.line_falls", largest_of(lost_on_line, p.mode_steps), note=f"{p.mode_steps} random steps of random mixtures")
ledger.claim("modes.triangle", window[0] * np.sqrt(2), note=f"the count goes 1, then 4, then 3: it falls {'once' if lost_in_plane == 1 else f'{lost_in_plane} times'} as the noise does")
ledger.claim("singular.steep_parts", largest_of(fallen, len(several)), note=f"of {len(several)} random mixtures, threshold {p.lipschitz_threshold:g}")
ledger.claim("singular.steep_parts_any", sum(map(monotone.falls, (wide, equal, regions))), note="a wide Gaussian between two narrow ones, "
             f"twelve equal atoms of the same shape, and the plane: {', '.join(map(str, regions))}; "
             f"falls {', '.join(str(monotone.falls(counts)) for counts in (wide, equal, regions))}")

# %% [markdown]
# One count never falls for a reason that concerns diffusion: modes on the line. Steep regions merge in the plane, where three of the chapter's own
# become one; on the line they do in none of sixty random mixtures, nor beside a wide Gaussian. (They are counted in the image, where they are as wide
# as the noise; on a grid of latents they break into pieces.) The *mass* of the steep set falls on the line and in the plane: a ridge gains in height
# what it loses in width. So the paper's sentence is a theorem for modes on the line, a tautology for (2), not refuted here for ridges on the line,
# and false otherwise.
#
# All of it can be tried by hand. In {numref}`fig-toy` the colours are those of the posterior $p(x_0 = a_i | x_t)$: at low noise each atom has a *cell*,
# straight-walled, in which a sample is all but certain to end on it. The black lines part the *basins of the score*, the points from which climbing
# $\log p_s$ leads to one mode (a ring). Neither is the basin of the flow, which lives in the latent space. At high noise there is one mode, and the
# posterior has cells all the same: an atom without a mode of its own is decided upon as well, later. Beside it stands the tree of modes, most noise
# above. Drag an atom towards another, and their branches part lower and lower. A light atom parts last, and its mode comes out of nothing at a distance
# from its parent. Then start from the triangle: at the level shown there are four modes and three atoms. The fourth branch begins in mid-air.

# %% mystnb={"figure": {"caption": "Two to five atoms under noise, in the frame $x_t/\\alpha$. Left: posterior weights as blended colours, arrows along the score, rings at the modes, black borders of their basins. Right: the tree of modes over $\\sigma/\\alpha$; the dashed line is the level shown.", "name": "fig-toy"}} tags=["hide-input"]
show_toy(data, s=0.4, alt="Atoms in the plane with the cells of the posterior as colours, the basins of the score and their modes, and beside "
         "them the tree that the modes form over the noise level. Atoms, weights and noise can be changed.")

# %% [markdown]
# The toy computes what the chapter computes: its modes and the levels at which they part are those of the chapter's own search, so it can miss a mode and
# never invents one.
#
# ## Where complexity does grow: hierarchical data
#
# What is true behind the word 'hierarchical' is a statement about data. If they look the same at scale $r s$ as at $s$, with $b$ times as many parts,
#
# $$ N(s) \sim s^{-\log b / \log (1/r)}, $$ (eq-growth)
#
# with the similarity dimension of the data as exponent. For the Cantor measure of {prf:ref}`prop-cantor` it is $\log 2 / \log 3 = 0.6309$: the number
# of modes doubles with every factor $3$, by self-similarity, up to the tails of neighbours. We measure the noise levels at which $N$ reaches $b, b^2,
# \ldots$ by bisection, for Cantor data and for random trees in `tree_dimension` dimensions: every node has `tree_branches` children in random
# directions, `tree_ratio` times shorter from one generation to the next. The null is a cloud with as many points and the same covariance, drawn from
# a Gaussian: it also goes from one mode to all of them.

# %% mystnb={"figure": {"caption": "Noise levels at which the number of modes reaches a power of the branching number. Left: Cantor data, with the predicted slope. Right: a random tree (dots), its Gaussian twin (rings), and the predicted slope.", "name": "fig-growth"}}
def doublings(mixture, count, branches, depth, ratio):
    """Levels at which the modes of a hierarchy reach each power of its branching number."""
    extent = 2 * np.abs(mixture.means - mixture.means.mean(0)).max()
    return hierarchies.resolution_levels(lambda s: count(mixture, s), [branches**j for j in range(1, depth + 1)], 2 * extent, ratio**depth / 8, 0.01)


rng = np.random.default_rng(p.seed)
dust = hierarchies.cantor(p.generations, p.cantor_ratio)
dust_levels = doublings(dust, lambda m, s: int(monotone.mode_counts(m, [s])[0]), 2, p.generations, p.cantor_ratio)
dimension, expected = np.log(2) / np.log(1 / p.cantor_ratio), np.log(p.tree_branches) / np.log(1 / p.tree_ratio)
tree_levels, twin_levels = [], []
for _ in range(p.trees):
    tree = hierarchies.random_tree(p.tree_depth, p.tree_branches, p.tree_ratio, p.tree_dimension, rng)
    for mixture, kept in ((tree, tree_levels), (hierarchies.gaussian_twin(tree, rng), twin_levels)):
        kept.append(doublings(mixture, hierarchies.mode_count, p.tree_branches, p.tree_depth, p.tree_ratio))
panels = [growth_panel({"Cantor": dust_levels}, 2, dimension),
          growth_panel({"tree": tree_levels[0], "Gaussian twin": twin_levels[0]}, p.tree_branches, expected)]
show(curves(panels, ["noise level s"] * 2, ["modes", "modes"]), alt="Left: dots on a falling line on logarithmic axes. Right: dots on a "
     "falling line, rings that fall much more steeply within a narrow range of noise.")
cantor_exponent = hierarchies.growth_exponent(dust_levels, 2)
tree_exponents = [hierarchies.growth_exponent(x, p.tree_branches) for x in tree_levels]
twin_exponents = [hierarchies.growth_exponent(x, p.tree_branches) for x in twin_levels]
of_trees, of_twins = (median_interval([x / expected for x in those if x is not None]) for those in (tree_exponents, twin_exponents))

# %% tags=["nbval-check-output"]
if cantor_exponent and of_trees and of_twins:
    print(f"Cantor: exponent {cantor_exponent:.3f}, predicted {dimension:.3f}")
    print(f"over the prediction: trees {of_trees.value:.2f}, Gaussian twins {of_twins.value:.1f}")

# %% [markdown]
# For hierarchical data the paper's picture is right in a quantitative form, with an exponent that can be predicted and that a cloud without hierarchy
# does not have: there all modes appear within a narrow range of noise. It is a property of the data, not of the transport.
#
# ## What was shown, and what was not
#
# Shown: at positive noise nothing is broken; steepness is at most $s \exp(D^2/(8s^2))$ in any dimension, and two atoms attain it; one transport's
# cells are not the flow's basins; Eq. (2) is right after a shift of its index; boundaries drift while they form and less, though not always little,
# once they are ridges; 'non-decreasing' holds for modes on the line, and for preimages by definition, and fails for modes and ridges in the plane; on
# self-similar data modes multiply with a known exponent.
#
# Not shown: the constants are maxima found by ascent, lower bounds of suprema; in the plane the bound of {prf:ref}`prop-lipschitz` is far from sharp;
# modes in more than one dimension are those that mean shift reaches from the data; that ridges on the line never become fewer. Whether images are
# like the trees or like the clouds is open.

# %% tags=["results", "hide-input"]
ledger.claim("complexity.cantor", cantor_exponent / dimension if cantor_exponent else None,
             note=f"{p.generations} generations" if cantor_exponent else "fewer than four generations are resolved")
ledger.claim("complexity.trees", of_trees, note=f"{p.trees} trees; their Gaussian twins: {of_twins.value:.2g}" if of_trees and of_twins
             else "fewer than four generations are resolved")
ledger.number("triangle_window", window, "noise level over circumradius")
ledger.number("ot_vs_flow_percent", cases[1].differ, "per cent of Gaussian mass, chapter's atoms")
ledger.number("ot_vs_flow_percent_symmetric", cases[0].differ, "per cent of Gaussian mass, four symmetric atoms")
ledger.number("noise_levels", levels, "sigma / alpha")
ledger.number("log_lipschitz", tops, f"natural logarithm of the Lipschitz constant within |z| = {p.reach:g}, by level")
ledger.number("log_lipschitz_grid", np.log(on_grid.max(axis=(1, 2))), "natural logarithm of the largest stretch on the grid, by level")
ledger.number("steep_regions_plane", regions, f"regions stretched more than {p.lipschitz_threshold:g} times, by level")
ledger.number("steep_mass_plane", steep_mass, "Gaussian mass of them, by level")
ledger.number("drift_since_birth", births, "Gaussian mass")
ledger.number("cantor_exponent", cantor_exponent, "exponent of the number of modes in one over the noise")
ledger.number("tree_exponents", tree_exponents, f"the same, one a tree; predicted {expected:.4f}")
ledger.number("twin_exponents", twin_exponents, "the same, one a Gaussian twin")
ledger.emit()
