# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Transition paths: over the pass by way of noise
#
# A molecule sits in one well of its energy and will, once in a very long while, cross to another. The work that the paper takes its spacetime from
# {cite:p}`karczewski2025spacetime` offers geodesics as a way to such crossings: if data are drawn from the Boltzmann density $\exp(-U/kT)$, a geodesic between two
# low-noise points of spacetime goes up into the noise, where wells merge, and comes down in the other one. The molecule follows it by Langevin dynamics.
#
# **Do geodesics find the pass, what do the constrained ones gain, and does a learned denoiser know any of it?**
#
# :::{admonition} Answer
# :class: tip
# They find it: on alanine dipeptide paths along the geodesic climb about 1.2 kJ/mol above the lowest pass, which agrees with what was published. But a straight tether at one noise level climbs only 2.4 more, and
# that null stands below every published competitor; with more noise it climbs no higher than the geodesic. A bound on the noise narrows the distributions on the way; keeping out of a region works when overlap is what is penalised. A small denoiser
# learned from equilibrium samples has the denoised means nearly right within wells and the energies of geodesics too large, that of the free one about twice.
# :::

# %% tags=["parameters"]
potential = "alanine"                  # or "mueller_brown", "double_well", or a .npy grid over two angles in [-pi, pi)
temperature = 1.0                      # kT in the potential's unit (published: 1 kJ/mol)
endpoints = [[-2.55, 2.7], [0.95, -0.4]]
levels = [7.0, 7.0]                    # log-SNR of the two ends
points = 128                           # of a geodesic
nodes = 128                            # of the quadrature, in each coordinate
paths = 200                            # along each curve
curve_points = 512                     # at which a curve is laid out for them
steps = 32                             # Langevin steps at each of those
step_size = 0.0016                     # of a Langevin step
tether_level = 4.0                     # log-SNR of the straight tether
least_level = 3.0                      # lower bound of the low-variance curve's log-SNR
avoid = [-0.8, -0.1]                   # the region to avoid is p(x_0 | z) here
avoid_level = 4.0                      # at this log-SNR, which also bounds the avoiding curve's
overlap = 0.01                         # of its distributions with the region's, at most
samples = 100000                       # equilibrium samples of the learned denoiser
train_steps = 2000                     # of its training
seed = 3

# %% tags=["hide-input"]
from phasebook.site.chapters.transition_paths import Chapter, time_inside
from phasebook.site.results.ledger import Ledger

p = Chapter.read(globals())
ledger = Ledger("10_transition_paths", p)

# %% [markdown]
# ## Two answers that are known
#
# In two coordinates nothing has to be learned: for natural parameters $\eta = (q, -k/2)$ the denoising distribution is
#
# $$ p(x_0 \mid \eta) \propto e^{-U(x_0)/kT}\, e^{q \cdot x_0 - k |x_0|^2/2}, $$ (eq-boltzmann)
#
# and moments are sums over a grid. The noise factor is a product of one in each coordinate, so that all moments of a whole curve are five matrix products. The trapezoidal rule for a smooth density
# that vanishes at the border converges faster than any power of the spacing. Geodesics are polygons of least energy
# $\sum_i (\eta_{i+1} - \eta_i) \cdot (\mu_{i+1} - \mu_i)$, found from coarse to fine with gradients made of posterior covariances.
#
# The first known answer is that of {prf:ref}`prop-free`'s half-space: for $U = kT |x|^2/2$ two points of posterior width $s$ are $2\sqrt{2d}\operatorname{arsinh}\bigl(|\Delta y|/(2\sqrt{2d}\,s)\bigr)$ apart, $d = 2$.

# %%
import numpy as np

from phasebook.mixtures.spacetime import half_space
from phasebook.paths.denoiser import Boltzmann
from phasebook.paths.geodesic import Region, curve_of, geodesic, half_circle, laid_out, measured, tether

rng = np.random.default_rng(p.seed)
line = np.linspace(-8, 8, 161)
gaussian = Boltzmann.of_log(line, line, -(line[:, None] ** 2 + line**2) / 2)
off = []
for s, y in ((0.5, 0.6), (0.3, 1.0)):
    k = 1 / s**2 - 1                                            # posterior precision k + 1, mean q / (k + 1)
    ends = curve_of(np.full(2, np.log(k)), np.array([[-y, 0.0], [y, 0.0]]) * (k + 1) / k)
    straight = ends[0] + np.linspace(0, 1, p.points)[:, None] * (ends[1] - ends[0])
    off.append(geodesic(gaussian, straight, p.points).length / half_space.level_distance(2 * y, s, 2) - 1)
ledger.claim("paths.gaussian", float(np.abs(off).max()), note="posterior widths 0.5 and 0.3 of data of width 1")

# %% [markdown]
# The second is the surface of Müller and Brown, a sum of four Gaussians with three minima {cite:p}`muller1979location`. Whatever path joins the outer two, it climbs at least to the higher of two saddles, which root finding gives to rounding. On a grid the lowest pass is found by flooding: nodes are
# added in the order of their energies, neighbours merged by union-find, until the two ends are connected. No optimiser takes part, and no path can beat the number.

# %% tags=["nbval-check-output"]
from scipy.optimize import root

from phasebook.paths.barrier import minimax_energy
from phasebook.paths.langevin import transition_paths
from phasebook.paths.potential import FORMULAS, mueller_brown, of_formula

rough, heat = of_formula(*FORMULAS["mueller_brown"]), 15.0
wells = [root(lambda x: mueller_brown(x)[1], guess).x for guess in ([-0.56, 1.44], [0.62, 0.03])]
saddle = root(lambda x: mueller_brown(x)[1], [-0.82, 0.62]).x
height = mueller_brown(saddle)[0] - mueller_brown(wells[0])[0]
flooded = minimax_energy(rough, np.array(wells))
law = Boltzmann.of(rough, heat, p.nodes)
first = geodesic(law, half_circle(law, curve_of(np.full(2, 7.0), np.array(wells)), p.points), p.points)
crossing = transition_paths(rough, heat, laid_out(law, first, p.curve_points), p.paths, p.steps, p.rough_step, rng)
print(f"saddle {height:.2f} above the lowest minimum, by flooding {flooded:.0f}")
ledger.claim("paths.saddle", flooded / height)

# %% mystnb={"figure": {"caption": "The surface of M\u00fcller and Brown, a free geodesic (means of its distributions) and twelve annealed Langevin paths along it.", "name": "fig-mueller"}} tags=["hide-input"]
from phasebook.site.figures import onedim as draw
from phasebook.site.figures import paths as draw_paths
from phasebook.site.figures.base import show

show(draw_paths.landscape(rough.axes(p.nodes), rough.nodes(p.nodes), {"geodesic": first.mean}, ["x", "y"], "above the minimum", 250, crossing.position[:, :12]),
     alt="Dark wells at the upper left and the lower right. Thin paths crowd in the two wells and cross between them in few steps; the geodesic's means run straight from one to the other.")

# %% [markdown]
# In {numref}`fig-mueller` the geodesic cuts the corner: its means leave the valley, as the mean of a distribution with weight in both wells must. The paths do not follow the means. They are drawn from the
# distributions, one after the other: long stays in the wells, and crossings that are few steps long. That is the use of noise here: it says *when* to cross, the energy says *where*.
#
# ## Alanine dipeptide
#
# The molecule of the published experiment has two angles, $\varphi$ and $\psi$, that tell its shapes apart. Our energy is a relaxed scan: at each of 89 × 89 pairs of angles all else is at rest (amber99sb-ildn in vacuum {cite:p}`lindorff2010improved`, by OpenMM {cite:p}`eastman2017openmm`;
# `python -m tools.scan_alanine` makes it again within a minute). It is continued by its Fourier series, and the periods of the angles are cut where the Boltzmann density is least, so that no well is torn. As in the published code $kT = 1$ kJ/mol, which is 120 K.

# %% tags=["nbval-check-output"]
energy, wells = p.surface(), p.place(p.endpoints)
ends = curve_of(np.array(p.levels), wells)
law = Boltzmann.of(energy, p.temperature, p.nodes)
bottom = minimax_energy(energy, wells)
free = geodesic(law, half_circle(law, ends, p.points), p.points)
print(f"lowest pass {bottom:.1f} {p.unit}; free geodesic: energy {free.energy:.2f}, length {free.length:.1f}")

# %%
bent = np.concatenate([ends[:1], tether(wells, p.tether_level, p.points - 2), ends[1:]])
half = p.points // 2
one, two = geodesic(law, free.eta, half), geodesic(law, bent, half, method="CG")
ledger.claim("paths.second_optimiser", abs(two.energy / one.energy - 1), note=f"conjugate gradients from the straight tether, {half} points")

published, reason = p.published_wells, "published for alanine dipeptide between its two wells"
ledger.claim("paths.published_pass", bottom if published else None, note="" if published else reason)
other = confirmed = None
if published:
    hot = p.surface(2.494)
    warm, there = Boltzmann.of(hot, 2.494, 128), hot.within(np.array(p.endpoints))
    other = geodesic(warm, half_circle(warm, curve_of(np.full(2, 4.0), there), 128), 128)
    confirmed = geodesic(warm, tether(there, 4.0, 128), 128, method="CG")
ledger.claim("paths.free_energy", other.energy if published else None, note=f"length {other.length:.2f}" if published else reason)
ledger.claim("paths.free_energy_confirmed", abs(confirmed.energy / other.energy - 1) if published else None,
             note="conjugate gradients from the tether at log-SNR 4" if published else reason)

# %% mystnb={"figure": {"caption": "Denoising distributions along the free geodesic of the potential, from one end to the other; dots are their means.", "name": "fig-along"}} tags=["hide-input"]
names = ["φ", "ψ"] if p.periodic else ["x", "y"]
places = [f"{name} (rad)" if p.periodic else name for name in names]
picked = np.linspace(0, p.points - 1, 15).round().astype(int)
axes, shares = [a[::2] for a in energy.axes(p.nodes)], picked / (p.points - 1)
density = np.stack([law.posterior(free.eta[i])[::2, ::2] for i in picked])
show(draw_paths.along(axes, density, free.mean[picked], shares, places),
     alt="A bright spot in one well grows, splits over several wells, and shrinks again in the other well as the slider moves.")

# %% [markdown]
# The slider of {numref}`fig-along` shows what a geodesic is: the distribution widens in its well, mass appears in others, the first well empties and the last one narrows. Nothing moves over the pass; mass is *reweighed*, as between the atoms of the sphere. In the middle the signal-to-noise ratio goes to zero while $q$ does not: the distribution is the
# whole Boltzmann density, tilted. In the variables of the sampler that is $x_t = q \sigma^2/\alpha$, and without a bound on the noise it lies as far out as one lets it.
#
# ## Paths, and a null
#
# Annealed Langevin dynamics {cite:p}`karczewski2025spacetime` take some steps at each point of the curve and carry on from where they are. MaxEnergy is the largest energy that a path meets, at the ends of its steps. No continuous path can stay below the flooded pass; a step of length $\ell$ can skip a crest of curvature $\kappa$ by as much as $\kappa \ell^2/8$, which we allow for. The null is a tether that knows no geometry: places on the straight line between the ends, all at one noise level.

# %% tags=["nbval-check-output"]
from phasebook.stats import grouped_bootstrap

fine = {"geodesic": laid_out(law, free, p.curve_points), "tether": tether(wells, p.tether_level, p.curve_points)}
runs = {name: transition_paths(energy, p.temperature, eta, p.paths, p.steps, p.step_size, rng) for name, eta in fine.items()}
tops = {name: run.max_energy for name, run in runs.items()}
over = grouped_bootstrap(lambda i: float(tops["geodesic"][i].mean()), np.arange(p.paths), p.seed)
gain = grouped_bootstrap(lambda i: float((tops["tether"] - tops["geodesic"])[i].mean()), np.arange(p.paths), p.seed)
ledger.claim("paths.published_energy", over if p.published_paths else None,
             note=f"standard deviation {tops['geodesic'].std():.2f}" if p.published_paths else f"{reason}, at kT = 1, log-SNR 7 and as long a run")
ledger.claim("paths.null", gain, note=f"tether {tops['tether'].mean():.2f}, standard deviation {tops['tether'].std():.2f}")
leap = 9 / 8 * p.step_size * energy.stiffest(bottom)             # what a step of three deviations skips of a crest
below = sum(int((top < bottom - leap).sum()) for top in tops.values())
print(f"paths below the pass by more than the {leap:.1f} that a step can skip: {below}")

# %% [markdown]
# Published are 37.66 ± 0.61 for this method, and 42.54 ± 7.42, 58.11 ± 18.51 and 66.24 ± 1.01 for two kinds of Monte Carlo and for Doob's Lagrangian. Beside those the difference between geodesic and tether is small, and the tether costs nothing to find. Most of the gain over earlier methods comes from following any chain of
# narrow distributions with the true energy at every step.

# %%
from IPython.display import HTML

from phasebook.site.figures.base import table

lower, own = p.tether_level - np.array([0.4, 0.6, 0.8, 1.0]), np.random.default_rng([p.seed, 1])       # draws that leave all others as they are
at = {p.tether_level: runs["tether"]} | {
    level: transition_paths(energy, p.temperature, tether(wells, level, p.curve_points), p.paths, p.steps, p.step_size, own) for level in lower}
away = {level: np.linalg.norm(energy.within(run.position[-1]) - wells[1], axis=-1) for level, run in at.items()}
arrived = {level: (far < 3 * np.exp(-level / 2)).mean() for level, far in away.items()}                # three deviations of the noise
above = {level: run.max_energy - tops["geodesic"] for level, run in at.items()}
passing = np.array([above[level] for level in at if arrived[level] >= 0.95])
least = grouped_bootstrap(lambda i: float(passing[:, i].mean(1).min()), np.arange(p.paths), p.seed) if len(passing) else None
ledger.claim("paths.null_lowest", least, note="; ".join(f"log-SNR {level:.3g}: {above[level].mean():.2f}, {arrived[level]:.1%} arrive" for level in at))
HTML(table(("log-SNR of the tether", "paths that arrive", f"mean MaxEnergy above the geodesic's, {p.unit}"),
           [(f"{level:.3g}", f"{arrived[level]:.1%}", f"{above[level].mean():.2f}") for level in at], "A straight tether at other levels"))

# %% [markdown]
# Nor is the rest the geometry's alone, for the tether of `paths.null` stands at one level, which `tether_level` sets. The table lowers it. A path counts as arrived that ends within three standard deviations of the noise from the second well. At log-SNR 3.6 paths climb 0.9 above those of the geodesic, at 3.4 by 0.4,
# at 3.2 no higher, and still nearly all of them arrive; at 3 half of them stay behind (`paths.null_lowest`). What the geodesic is worth here is that it finds its noise by itself. A tether has to be told, and the best level lies next to those at which paths are lost.
#
# ## Constraints
#
# Two variants are published. *Low variance*: the curve may not rise above a noise level. We make it a bound on the log-SNR. *Avoiding a region*: the region is a denoising distribution $z^*$, and the curve keeps off it. The published penalty is on a divergence; we take the overlap, which for an exponential family needs nothing but its log-partition function,
#
# $$ \int \sqrt{p(x_0 \mid \eta)\, p(x_0 \mid \eta^*)}\, dx_0 = \exp\bigl( A(\tfrac{\eta + \eta^*}2) - \tfrac12 A(\eta) - \tfrac12 A(\eta^*) \bigr). $$ (eq-overlap)
#
# Whether paths avoid the region is judged by the paths: the share of time inside the smallest set that holds 95 % of $p(x_0 \mid z^*)$, against the curve with the same bound on noise and no region.

# %% tags=["nbval-check-output"]
star = curve_of(np.array([p.avoid_level]), p.place([p.avoid]))[0]
core = law.core(star, 0.95)
narrow = geodesic(law, bent, p.points, least=p.least_level)
close = geodesic(law, bent, p.points, least=p.avoid_level)
around = geodesic(law, close.eta, p.points, least=p.avoid_level, region=Region(star, p.overlap))
for name, curve in {"low variance": narrow, "close": close, "avoiding": around}.items():         # close: the same bound, no region
    runs[name] = transition_paths(energy, p.temperature, laid_out(law, curve, p.curve_points), p.paths, p.steps, p.step_size, rng)
    print(f"{name}: energy {curve.energy:.2g}, widest distribution {curve.spread.max():.1f}")
ledger.claim("paths.low_variance", narrow.spread.max() / free.spread.max(), note=f"MaxEnergy {runs['low variance'].max_energy.mean():.2f}",
             unless="" if free.log_snr.min() < p.least_level else "the free geodesic keeps to the bound")

# %%
inside = {name: core[tuple(np.moveaxis(energy.nearest(runs[name].position, p.nodes), -1, 0))].mean(0) for name in ("close", "avoiding")}
met = inside["close"].mean() > 1e-3
ratio = time_inside(inside["avoiding"], inside["close"], p.seed) if met else None
ledger.claim("paths.avoids", ratio, note=f"inside {inside['close'].mean():.2%} and {inside['avoiding'].mean():.2%} of the time" if met else "no path meets the region anyway")

# %% mystnb={"figure": {"caption": "The energy over two angles, means of four curves, paths along the free geodesic, and the outline of the region to avoid.", "name": "fig-ramachandran"}} tags=["hide-input"]
means = {"free": free.mean, "low variance": narrow.mean, "avoiding": around.mean, "straight": measured(law, fine["tether"]).mean}
top = float(np.quantile(energy.nodes(p.nodes), 0.9))
show(draw_paths.landscape(energy.axes(p.nodes), energy.nodes(p.nodes), means, places, p.unit, top, runs["geodesic"].position[:, :12], core.astype(float)),
     alt="A map of the energy with dark wells at the upper left, the middle left and the right. Thin paths cross from left to right through one pass; thick curves of means run through the wells; a dotted outline marks the region.")

# %% mystnb={"figure": {"caption": "Along the curves of the map before: noise level, and the standard deviation of the denoising distribution.", "name": "fig-levels"}} tags=["hide-input"]
s = np.linspace(0, 1, p.points)
curves = {"free": free, "low variance": narrow, "avoiding": around}
show(draw.lines({"log-SNR": {n: (s, np.maximum(c.log_snr, -8)) for n, c in curves.items()}, "width": {n: (s, c.spread) for n, c in curves.items()}},
                ["share of the way", "share of the way"], ["log k", "√tr Cov"]),
     alt="Left: the free curve falls out of the frame in the middle, the two others rest on their bounds. Right: its width has one broad hump; theirs have two lower ones each, where wells change places.")

# %% [markdown]
# In {numref}`fig-ramachandran` and {numref}`fig-levels` the bounded curves rest on their bounds and go from well to well. Their distributions are narrow except where one well hands over to the next, and there no bound on the noise helps: between wells the posterior is a mixture. The avoiding paths pay: they climb about a kilojoule more than those of the same bound. The energies of the curves are 2.8 and 8.6 times the free one's; that is the price of the bounds, to which the region adds little. Each search says what one more step would gain: next to nothing for the free and the low-variance curve. The avoiding one stops short of that, its penalty being stiff; it keeps the overlap it is allowed, and its energy is an upper bound.
#
# ## A learned denoiser
#
# The published work learns the denoiser from simulated walkers, 36 % of which sat in the right half of the map, where the Boltzmann density has 0.2 %. We train a small network on samples from equilibrium, and read $\mathbb E|x_0|^2 = |\mathbb E x_0|^2 + \nabla_q \cdot \mathbb E x_0$ off it by automatic differentiation. Then we let it measure the exact curves.

# %%
from phasebook.paths.learned import equilibrium, train

learned = train(equilibrium(law, p.samples, rng), p.train_steps, p.seed)
ratios, clamped, error = {}, {}, {}
for name, curve in (("free", free), ("low variance", narrow), ("avoiding", around)):
    mu = learned.moments(curve.eta)
    parts = np.diff(curve.eta, axis=0) * np.diff(mu, axis=0)
    ratios[name], clamped[name] = parts.sum() / curve.energy, np.maximum(parts, 0).sum() / curve.energy
    error[name] = float(np.median(np.linalg.norm(mu[:, :2] - curve.mean, axis=1) / curve.spread))
ledger.claim("paths.learned_matches_exact", float(ratios["free"]), note=f"low variance {ratios['low variance']:.2f}, avoiding {ratios['avoiding']:.2f}")

# %% mystnb={"figure": {"caption": "First coordinate of the denoised mean along two curves: exact, and by the learned denoiser.", "name": "fig-learned"}} tags=["hide-input"]
panels = {n: {"exact": (s, c.mean[:, 0]), "learned": (s, learned.moments(c.eta)[:, 0], "dash")} for n, c in (("free", free), ("low variance", narrow))}
show(draw.lines(panels, ["share of the way"] * 2, [f"E {names[0]}"] * 2),
     alt="Two rising curves in each panel, solid and dashed. They agree at both ends and part in the middle; on the low-variance curve the dashed one starts too early and arrives too late.")

# %% [markdown]
# The claim fails. At both ends and within a well the learned mean is nearly the exact one; between wells it changes over in the wrong place ({numref}`fig-learned`): the network has the wells and misjudges their weights. No wonder: in the middle of the free geodesic $x_t$ lies far outside of what a noised sample reaches, and the ends of the bounded ones
# stand in a well that holds two samples in a thousand, beyond a pass that holds none. The energy comes out about twice too large in this training, 1.9 to 2.3 times with other samples, and hardly smaller when one of these goes on for four times as many steps: it is not for want of training. Clamping the product of each coordinate and that of time at zero, one by one, as the published code does, makes it four to seven times too large; an exact denoiser needs no clamp, since only the sum of the two parts has a sign. The published energy of
# the free geodesic, 1.08 with denoiser and clamp, stands beside an exact one of 1.07 here, where the levels and the temperature of the paths are taken; it is not said for which it was found, so it confirms nothing.
#
# ## What was shown, and what was not
#
# Shown: exact denoisers of two energies, geodesics confirmed by closed form and by a second optimiser, the lowest pass as a bound that no path beats by more than a step can skip, published MaxEnergy reproduced on a scan of our own, beside a null that comes close, and as low where its noise is chosen with the result in sight; both constraints, judged by the paths.
#
# Not shown: anything beyond two coordinates, where quadrature ends; other molecules; rates or probabilities of the crossings, which MaxEnergy says nothing about; a geodesic found *with* the learned denoiser, and the training on walkers that the published one had.

# %% tags=["nbval-check-output", "remove-cell"]
for id in ("paths.saddle", "paths.published_pass", "paths.low_variance"):
    value = ledger.claims[id].estimate
    print(id, "not tested" if value is None else f"{value:.1f}")

# %% tags=["results", "hide-input"]
ledger.number("max_energy_mean", {name: float(run.max_energy.mean()) for name, run in runs.items()}, f"{p.unit} above the minimum")
ledger.number("max_energy_std", {name: float(run.max_energy.std()) for name, run in runs.items()}, p.unit)
ledger.number("energy", {n: c.energy for n, c in curves.items()}, "raw sum")
ledger.number("left_to_gain", {n: c.gain for n, c in curves.items()} | ({"300 K": other.gain, "300 K, second": confirmed.gain} if published else {}),
              "share of the cost that one more step promises")
ledger.number("overlap_reached", around.overlap, f"largest along the avoiding curve, {p.overlap:g} allowed")
ledger.number("lowest_top", {name: float(top.min() - bottom) for name, top in tops.items()}, f"{p.unit} above the pass, of the lowest path")
ledger.number("border", law.border, "share of the density on the outermost nodes")
ledger.number("length", {n: c.length for n, c in curves.items()}, "Fisher-Rao")
ledger.number("learned_energy", {n: float(v) for n, v in ratios.items()}, "over the exact one")
ledger.number("learned_energy_clamped", {n: float(v) for n, v in clamped.items()}, "over the exact one")
ledger.number("learned_error", error, "median distance of means, posterior widths")
ledger.emit()
