# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Phase boundaries of a latent slice
#
# Take three latents, stretch a plane through them, and denoise every point of it. Nearby points start out with the same blurred prediction and end as
# different pictures: somewhere in between the plane has been cut into regions. {cite:t}`lobashev2025caffarelli` make the cuts visible with a metric, in their
# Figures 1 and 6. This chapter makes the same figures for a model in which nothing is learned and nothing approximated: the exact denoiser of a finite set of
# pictures. **What remains of the paper's observations when the network is taken away, the metric is exact, and the scale of the data is allowed to vary?**
#
# :::{admonition} Answer
# :class: tip
# All of them, on a grid and on the right axis, and the late ones of necessity. A slice breaks into basins: boundaries need no network, they belong to the data.
# Once every point has chosen its picture nothing is left to change, so that basins are flat, borders stand and the mean of $S$ is level; while the slice is being
# parted, the interior is not flat, and the mean of $S$ is level only from a third of the collapse level on. 'Early' has a meaning only for the noise in units of the data's largest standard deviation: a schedule that begins
# below one begins after the data have begun to split. And that families are settled before pictures is a fact about families that look alike.
# :::
#
# We open on a case in which there can be no boundary, a Gaussian; then look at the pictures; then put each observation to the test on eighteen slices and
# four scales of the data; and last ask whether what is cut first is what is coarse. The slice is measured here as the paper does it, on a grid. What a grid
# makes of a ridge is the next chapter's subject.

# %% tags=["parameters"]
image_set = "families"      # families, emoji, digits, or the path of a directory of pictures
families = []               # only these families of the set; [] for all
resolution = 64             # pixels on a side
norms = [12.8, 6.4, 25.6, 110.9]    # root mean square norms of the data: the chapter's own, and others; 110.9 is unit variance
anchors = ""                # a .npy float array (3, rgb, y, x): z0, z1, z2; '' draws them from anchors_seed
anchors_seed = 6
extent = [0.0, 1.0, 0.0, 1.0]   # alpha0, alpha1, beta0, beta1; may leave [0, 1]
grid = 101                  # points along each side
steps = 50                  # of the sampler (DDIM, eta 0)
schedule = "scaled_linear"  # Stable Diffusion's; or log_snr, uniform in the logarithm of the noise level
normalise = True            # divide each latent by its standard deviation
feature = "pixels"          # pixels of the prediction; or posterior, two square roots of the posterior weights
sets = 18                   # further anchor sets for the paper's observations, on a coarser grid
sets_grid = 17
null_images = 1600          # emoji for the null with Unicode's groups
device = "cpu"
seed = 0                    # of everything that is sampled for checks and controls
store = ""                  # a path or URL: the slice is kept there, and a stopped run goes on

# %% tags=["hide-input"]
from phasebook.site.chapters.slices import Chapter, anchors_of, by_scale, planes, swept
from phasebook.site.results.ledger import Ledger

p = Chapter.read(globals())
ledger = Ledger("11_phase_boundaries", p)

# %% tags=["hide-input"]
import numpy as np
from IPython.display import HTML, display

from phasebook.hierarchy.transitions import collapse_of
from phasebook.models.entropy import full_entropy, half_level, sampled_entropies
from phasebook.models.exact import ExactModel
from phasebook.models.gaussian import GaussianModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.sampling.levels import named_levels
from phasebook.site.chapters.slices import PICTURES
from phasebook.site.figures.base import show
from phasebook.site.figures.explorer import show_explorer
from phasebook.site.figures.live import show_live
from phasebook.site.figures.slices import Map, annotated, curves, show_strip
from phasebook.slices.measures.basins import basin_centres, basin_labels
from phasebook.slices.measures.statistics import (
    basin_counts,
    contrast,
    half_parted,
    hull,
    interior_sensitivity,
    largest_deviation,
    mean_s,
    observations,
    plane_contrast,
)
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.slice import RIDGE
from phasebook.slices.sweep import slice_of
from phasebook.stats import grouped_bootstrap, median_interval

# %% [markdown]
# ## The model, the slice, the metric
#
# **The model.** The data are $n$ pictures $x_1, \dots, x_n$, centred and scaled, each as likely as the others. Their noisy marginal is the mixture of the
# paper's Eq. (6), and its denoiser is a weighted mean of pictures,
#
# $$ \hat x_0(x, t) = \sum_i w_i x_i, \qquad w = \operatorname{softmax}_i \Big( -\frac{|x - \alpha_t x_i|^2}{2 \sigma_t^2} \Big). $$ (exact-denoiser)
#
# The sampler (DDIM with $\eta = 0$ {cite:p}`song2021ddim`, as the authors use) keeps $x_t$ in the span of its start and the pictures, so that the products
# $\langle x_t, x_i \rangle$ are all it needs: one multiplication with the $n \times n$ Gram matrix a step, at any resolution. Steps are counted from 0 at the
# noisy end.
#
# **The slice.** Three anchors, drawn from a normal distribution, span the plane
#
# $$ z(\alpha, \beta) = z_0 + \alpha (z_1 - z_0) + \beta (z_2 - z_0), \tag{3} $$
#
# and every latent is divided by its standard deviation, as in the authors' public code. In all figures $\alpha$ points up and $\beta$ right.
#
# **The metric.** With a feature $f(\alpha, \beta; t) = \phi(\hat x_0)$ and its Jacobian $J$, the pullback metric is $G = J^\top J$ (Eq. 5), and the paper
# maps $S = \det G$. Here the features are the pixels themselves and distances are root mean squares over pixels of range $[0, 1]$. The paper estimates $J$ by
# finite differences; we do that too, and carry exact tangents along beside it.
#
# **The noise level.** How much noise is much noise depends on the data. The right unit is their largest standard deviation, the root of the largest
# eigenvalue $\Lambda_1$ of their covariance:
#
# $$ \nu = \frac{\sigma}{\alpha \sqrt{\Lambda_1}} . $$ (eq-nu)
#
# At $\nu = 1$ the noisy distribution begins to split {cite:p}`biroli2024dynamical`. We call $\nu \ge 1$ large noise and $\nu \le 0.1$ small noise ('late
# $t$'), and a *ridge* an edge of the grid across which the prediction jumps by more than a fifth of the median distance of two pictures.

# %% tags=["nbval-check-output"]
images = load_images(p.image_set, p.resolution, p.families or None)
exact = ExactModel.of(images, p.device, norm=p.norms[0])
levels = named_levels(p.schedule, p.steps)
deviation = largest_deviation(exact.gram.cpu().numpy())
nu = levels.sigma_over_alpha / deviation
typical = exact.features["pixels"].yardstick(exact)
groups = f"{len(images.families)} famil{'y' if len(images.families) == 1 else 'ies'}"
print(f"{len(images)} pictures in {groups}, two of them {typical:.2f} apart (median); "
      f"nu from {nu[0]:.2f} to {nu[-1]:.3f} in {p.steps} steps")

# %% [markdown]
# The slice begins above the noise at which the data part and ends far below it, so whatever happens to a boundary happens in between.
#
# ## A case with a known answer: one Gaussian
#
# For a Gaussian with the pictures' mean and covariance the denoiser is linear. On principal axis $r$, of variance $s_r$, it multiplies by $\alpha s_r /
# (\alpha^2 s_r + \sigma^2)$, and the sampler is a product of such factors. Without normalisation the plane is mapped linearly, so $S$ must be one constant
# for each step, over the whole slice. It is a good first test of the finite differences, and it is the control that the paper's picture asks for: 'within a
# single mode, the latent geometry is flat'. With normalisation the plane itself is bent onto a sphere, and slopes vary smoothly before any model has acted;
# what the Gaussian adds is measured against that.

# %%
z = anchors_of(p.anchors, p.anchors_seed, exact.shape)
gaussian = GaussianModel.of(exact)
linear = slice_of(gaussian, Plane(z, tuple(p.extent), p.sets_grid, normalise=False), levels).values("det")
uneven = np.ptp(linear, axis=(1, 2)) / (linear.mean((1, 2)) + 1e-12)

several = planes(exact.shape, p.anchors_seed, p.sets, p.extent, p.sets_grid, p.normalise)
bent = [contrast(slice_of(gaussian, one, levels), -1) / plane_contrast(one) for one in several]

# %% tags=["hide-input", "nbval-check-output"]
ledger.number("gaussian_unevenness_of_det_g", float(uneven.max()), "1")
ledger.claim("slice.single_mode_flat", median_interval(bent), note="last step, by finite differences",
             unless="" if p.normalise else "the plane is not normalised")
print(f"largest relative variation of S over the slice without normalisation, at any step: {uneven.max():.3f}; "
      f"with it, largest over median slope, over that of the plane: {np.median(bent):.2f}")

# %% [markdown]
# The first number is round-off: finite differences are exact on a linear map. The second is near one: a Gaussian adds nothing to the bend of the sphere. No
# boundary can come from either.
#
# ## The pictures: Figure 1
#
# Now the mixture. The sweep keeps posterior weights, not pixels, and computes pixels for the points that are shown.

# %%
plane = Plane(z, tuple(p.extent), p.grid, p.normalise)
ds = swept(p.store, exact, plane, levels, [p.feature], fields=list(exact.fields), pictures=PICTURES)
shown, rest = ds.telling(6), ds.resting()
log_s = Map("log(10⁻⁸ + det G)", np.log(1e-8 + ds.values("det")))
log_t = Map("log(10⁻⁸ + tr G)", np.log(1e-8 + ds.values("trace")))

# %% mystnb={"figure": {"caption": "The paper's Fig. 1 for the exact model: the grid of predicted images and, below it, log(10\u207b\u2078 + det G) at six steps, on one colour scale for all steps.", "name": "fig-slice"}} tags=["hide-input"]
show_strip(shown, levels.sigma_over_alpha, p.extent, [log_s], ds.pictures(shown), size=32,
           alt="Predicted images over the slice and the logarithm of det G at six steps: blurred and dark at first, "
               "then bright narrow ridges that cut the slice into regions of one picture each")

# %% [markdown]
# At the first step every prediction is nearly the mean of all pictures and $S$ is almost zero. Broad swells follow, and the colours of the images split
# before their shapes do; then the swells narrow into ridges, and the ridges branch. At the last step every image is one of the data, and the map has gone
# dark again except for a few points: not because the boundaries are gone, as the next chapter shows, but because the determinant no longer sees them. The
# explorer shows the prediction under the pointer at any step. Pin a point, cross a ridge, and compare.

# %% mystnb={"figure": {"caption": "Explorer of the slice: map on the left, the predicted image under the pointer on the right. Arrow keys move the point, the slider changes the step, a click pins.", "name": "fig-explorer"}} tags=["hide-input"]
frames = sorted({round(k) for k in np.linspace(0, p.steps - 1, 10)} | set(shown))
maps = {f.label: f.values for f in (log_s, log_t)} | {"family entropy (nats)": ds.data.entropy_family.values}
show_explorer(ds.pictures(frames), maps, extent=p.extent, steps_shown=frames, colours="Inferno", start_step=rest,
              alt="Explorer: a map of the slice with the predicted image under the pointer")

# %% mystnb={"figure": {"caption": "The paper's Fig. 6, at the last step: the slice with its axes, origin at the lower left, \u03b1 up, \u03b2 right; diamonds mark the anchors, and each large basin carries the family of its picture. The map is of the trace.", "name": "fig-annotated"}} tags=["hide-input"]
labels = basin_labels(ds.values("jump_alpha")[-1], ds.values("jump_beta")[-1], ds.ridge())
names = [(plane.alpha[i], plane.beta[j], images.families[images.family[int(ds.data.atom[-1, i, j])]])
         for i, j in basin_centres(labels, 0.03)]
show(annotated(ds.pictures([p.steps - 1])[0], log_t, p.steps - 1, p.extent, names),
     alt="Grid of predicted images and map of log tr G with axes alpha and beta, anchors and basins named")

# %% [markdown]
# The anchors are random latents; they need not be close to any picture. Large basins belong to large or isolated families: what decides is how much of the
# noise's direction a picture can claim.
#
# This is one plane, and one set of pictures. The model is small enough to be computed where you read: below, your browser sweeps planes of your own through a
# bank of twelve latents, the chapter's three among them, with the sampler at 30 steps. Drag an anchor, and the basins follow. Switch a family off, and others
# take its share of the plane. A prompt is a bonus on the log-prior of the pictures that it names, in nats; a negative one drives them out. Lower the noise once
# more after each change, and watch which borders are drawn first.

# %% mystnb={"figure": {"caption": "The exact model, live: predictions on the left, log tr G or phases on the right, and beneath them how the picture at the ring comes about. Latents are normalised.", "name": "fig-live"}} tags=["hide-input"]
bank = np.concatenate([z, *(seeded_anchors(exact.shape, p.anchors_seed + k) for k in (1, 2, 3))])
show_live(exact, bank, named_levels(p.schedule, 30), step=12, alt="Live diagram of the exact model: predictions over a "
          "slice that the reader chooses, and the boundaries between them")

# %% [markdown]
# Nothing of it was drawn beforehand: the model is the chapter's own, computed again where you read.
#
# ## Observations (i) to (iii), on eighteen slices and four scales
#
# The paper reads three things off its figure: '(i) for large noise (early reverse time), $S \approx 0$ (flat metric); (ii) as $t$ decreases, narrow high–$S$
# ridges appear and branch, partitioning the slice into phases with low interior sensitivity; (iii) at late $t$, the ridge pattern stabilizes and the mean of
# $S$ approaches a plateau.' One slice proves little, so we draw new anchors. And one scale of the data proves little, though nothing in the observations
# names it:
#
# :::{prf:proposition} The scale drops out
# :label: prop-scale
# Multiply the data and $\sigma/\alpha$ at every step by $c > 0$. Then the deterministic sampler, started at $x = \sigma z$, predicts $c$ times what it
# predicted before, from every $z$ and at every step.
# :::
#
# :::{prf:proof}
# Write $y = x/\alpha$ and $r = \sigma/\alpha$. The denoiser is a function $D(y, r)$, and that of the data times $c$ is $D_c(c y, c r) = c\,D(y, r)$, since
# the posterior weights depend on $|y - x_i|/r$ alone. A step reads $y' = D + \tfrac{r'}{r}(y - D)$: if $y$ and $r$ are multiplied by $c$, so is $y'$. The
# start is $y = r z$.
# :::
#
# A schedule is fixed, however, so another scale of the data means another window on the axis $\nu$. Pictures with a root mean square norm of 12.8 are met by
# Stable Diffusion's schedule at $\nu = 2.1$. At unit variance in every entry, the scale on which Stable Diffusion keeps its latents, the window opens at $\nu = 0.24$: the first step is
# past the first split. (For these pictures, a quarter of whose variance lies on the first axis. The less lies there, the higher a window opens at the same scale:
# for the latents of {doc}`13_network_and_data`, with a thirteenth, near 1.5. For Stable Diffusion's own it was not measured.) What holds of large noise must be read at $\nu \ge 1$, wherever a schedule puts it; where it does not reach so far, there is nothing
# to read.
#
# At the other end there is nothing to find out:
#
# :::{prf:proposition} After the choice nothing moves
# :label: prop-at-rest
# Let $d$ be the largest distance of two pictures. If from some step on each point of the grid gives one and the same picture the weight $1 - \varepsilon$ or more,
# then from that step on the jump across every edge of the grid is the distance of its two pictures, to $2 \varepsilon d$.
# :::
#
# :::{prf:proof}
# The prediction is $\sum_i w_i x_i$, and $|\sum_i w_i x_i - x_j| \le \sum_{i \ne j} w_i |x_i - x_j| \le \varepsilon d$. Twice this for the two ends of an edge.
# :::
#
# So a pattern that stands, a level mean of $S$ and phases of low interior sensitivity follow, late in the process, from the form of the exact denoiser; no set of
# pictures could refute them, and they are no claims here. What can be asked is *how early*. Is the interior flat as soon as half of the basins are there? Is
# all at rest by half the noise at which the random energy model puts the collapse onto single pictures (defined in {doc}`16_temporal_transitions`)? The bounds
# are ours: the paper says 'late $t$', not when that is.

# %%
by_norm = {p.norms[0]: [slice_of(exact, one, levels, features=[p.feature], jacobian="exact") for one in several]}
for norm in p.norms[1:]:
    model = ExactModel.of(images, p.device, norm=norm)
    by_norm[norm] = [slice_of(model, one, levels, features=[p.feature]) for one in several]
axis = {norm: nu * p.norms[0] / norm for norm in p.norms}
observed = {norm: [observations(one, axis[norm]) for one in slices] for norm, slices in by_norm.items()}

# %% mystnb={"figure": {"caption": "Mean of S by finite differences, over its last value, against \u03bd: medians of eighteen slices, for data of four root mean square norms under one and the same schedule.", "name": "fig-mean-s"}} tags=["hide-input"]
ticks = np.geomspace(2, 0.02, 61)
onto = lambda norm, y: np.interp(-np.log(ticks), -np.log(axis[norm]), y, left=np.nan)
rising = {n: np.median([np.maximum(mean_s(one), 1e-30) / mean_s(one)[-1].clip(1e-30) for one in v], 0)
          for n, v in by_norm.items()}
show(curves(ticks, {f"norm {n:g}": np.exp(onto(n, np.log(y))) for n, y in rising.items()}, log="xy", reverse=True,
            xtitle="ν", ytitle="mean S, over the last"),
     alt="Four curves of mean S against nu: where they overlap they agree, rising over orders of magnitude to a level; "
         "the one for unit variance begins near the top of the rise")

# %% mystnb={"figure": {"caption": "Number of basins against \u03bd: medians of eighteen slices, for the same four scales.", "name": "fig-basins"}} tags=["hide-input"]
counted = {n: np.median([basin_counts(one, one.ridge()) for one in v], 0) for n, v in by_norm.items()}
show(curves(ticks, {f"norm {n:g}": onto(n, y) for n, y in counted.items()}, log="x", reverse=True, xtitle="ν",
            ytitle="basins"), alt="Number of basins against nu for four scales: one above nu 0.6, then rising in stages")

# %%
collapse = collapse_of(exact.gram.cpu().numpy()) / deviation
statistic = {"slice.flat_above_one": ("flat", 1, 1), "slice.ridges_branch": ("branching", 1, 0),
             "slice.pattern_at_rest": ("pattern", collapse, collapse), "slice.plateau_at_rest": ("plateau", collapse, collapse)}
estimates = {}
for claim, (key, unit, above) in statistic.items():
    rows = {norm: [getattr(o, key) for o in there if axis[norm][0] >= above] for norm, there in observed.items()}
    estimates[claim] = {f"norm {norm:g}": median_interval([x and x / unit for x in row]) for norm, row in rows.items()}

runs = by_norm[p.norms[0]]
parted = [half_parted(basin_counts(one, one.ridge())) for one in runs]
inside = [interior_sensitivity(one)[k] for one, k in zip(runs, parted, strict=True) if k is not None]

# %% tags=["hide-input"]
for claim, row in estimates.items():
    scales = sum(estimate is not None for estimate in row.values())
    ledger.claim(claim, hull(list(row.values())), note=f"value at the first scale; the interval holds those of {scales} scales",
                 unless="" if scales > 1 else "fewer than two scales of the data reach that far")
ledger.claim("slice.half_parted_calm", median_interval([x for x in inside if np.isfinite(x)]), note="tangents at the points")
ledger.number("late_overlap", float(np.median([o.overlap for o in observed[p.norms[0]] if o.overlap is not None] or [0])), "median, ν = 0.1 and last")
ledger.number("half_parted", [None if k is None else float(nu[k]) for k in parted], "nu, a slice each")
ledger.number("collapse_predicted", collapse, "nu")
ledger.number("sigma_over_alpha", levels.sigma_over_alpha, "1")
ledger.number("sqrt_lambda_1", deviation, "in units of the scaled data")
ledger.number("mean_det_g", mean_s(ds), "1")
ledger.number("basin_count", basin_counts(ds, ds.ridge()), "1")
ledger.number("basin_count_over_sets", counted[p.norms[0]], "1, median over anchor sets")
display(HTML(by_scale(ledger, estimates)))

# %% [markdown]
# On the axis $\nu$ the curves of {numref}`fig-mean-s` and {numref}`fig-basins` fall on one another where their windows open above one, as the proposition
# wants; what is left between them is the spacing of the steps. At unit variance the basins are fewer: the sampler starts from pure noise where noisy pictures
# would already be spread like the data, so that all its points begin too close to the mean. Where windows open above one, $S$ rises by three orders of magnitude and more, at unit variance by one; the basins
# split in stages, and in the end everything stands still. The table says what each scale alone would have told; a scale that the schedule meets too late for a statement
# has no such step, and the statement does not speak of it. The ledger's interval holds those of all others,
# so that a statement which is true at one scale and false at another comes out undecided. This chapter makes eight claims; of intervals at 95 % one in twenty
# misses, so one surprise among them would be no news.
#
# Late, the numbers are what {prf:ref}`prop-at-rest` wants: ridges at $\nu = 0.1$ and at the last step are the same, and the mean of $S$ changes by less than a part in a
# thousand (medians). Before, it is otherwise. With half of the basins drawn, at $\nu = 0.43$, the median slope is still a fifth of the mean; it is a tenth near 0.35. The pattern is
# at rest from about half the collapse level on, so that the bound of one half is undecided, and the mean of $S$ only from a third on: jumps still grow where ridges
# already stand, and the boundaries between pictures that are nearly alike come last.
#
# How much depends on the fifth that makes a ridge?

# %% mystnb={"figure": {"caption": "Number of basins against the height from which a jump is a ridge, as a share of the median distance of two pictures: at three noise levels (medians of eighteen slices). The book uses 0.2 everywhere.", "name": "fig-threshold"}} tags=["hide-input"]
shares = np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5])
at = {f"ν = {nu[k]:.2g}": k for k in (*(int(np.abs(nu - value).argmin()) for value in (0.3, 0.1)), p.steps - 1)}
table = np.median([[basin_counts(one, one.ridge(share=s)) for s in shares] for one in runs], 0)
show(curves(shares, {name: table[:, k] for name, k in at.items()}, xtitle="ridge, share of a picture's distance",
            ytitle="basins"), alt="Number of basins against the ridge threshold at three noise levels: level late in the process over "
     "small thresholds, falling beyond")

# %% [markdown]
# Late in the process the number hardly moves up to a fifth, and then falls slowly, as more and more pairs of like pictures count as one. At $\nu = 0.3$ it
# falls from the smallest threshold on, since swells have no edge. So the book claims that the count grows, and where ridges lie, but no count as such.
#
# ## Families before pictures?
#
# The paper's word is *hierarchical*: coarse boundaries first, finer ones inside them, as was found in time by {cite:t}`biroli2024dynamical` and
# {cite:t}`sclocchi2025phase`. In the exact model this is a question about entropies. Given $x_t$, how much is still open about the family of the picture, and
# how much about the picture? We mark the noise level at which half of each entropy is gone. Any grouping has *some* such level, so two nulls stand beside it:
# the same family sizes with the pictures shuffled among them, and, for the emoji, Unicode's own groups, which sort pictures by what they mean, not by how
# they look. The interval draws the families that
# noisy pictures come from: how much hangs on these sixteen? The mixture that they are told apart in stays as it is.

# %%
ratios, rng = np.geomspace(30, 0.03, 37), np.random.default_rng(p.seed)
labelings = {"atom": np.arange(len(images)), "family": images.family, "shuffled": rng.permutation(images.family)}
sampled = sampled_entropies(exact.gram.cpu(), ratios, labelings, 500, p.seed)
full = {name: full_entropy(labels) for name, labels in labelings.items()}


def half(name, index):
    return half_level(ratios, sampled.values[name][:, index].mean(1), full[name])


order = grouped_bootstrap(lambda index: (half("family", index) or np.nan) / (half("atom", index) or np.nan),
                          images.family[sampled.origin], p.seed, least=10)

# %%
null = load_images("emoji", min(p.resolution, 32)) if p.image_set in ("families", "emoji") else images
pick = np.sort(rng.permutation(len(null))[:p.null_images])
meanings = {"Unicode group": null.group[pick], "group shuffled": rng.permutation(null.group[pick])}
gram = ExactModel.of(null).subset(pick).gram
own = largest_deviation(gram.cpu().numpy()) / deviation         # the same nu for both sets
wider = sampled_entropies(gram, ratios * own, meanings, 500, p.seed)

# %% mystnb={"figure": {"caption": "Share of each entropy that is still open at a noise level. Solid: the image set. Dashed: the families shuffled. Dotted: Unicode's groups of all emoji, and the same shuffled (for other image sets, their own families again).", "name": "fig-entropies"}} tags=["hide-input"]
full |= {name: full_entropy(labels) for name, labels in meanings.items()}
still = {name: values.mean(1) / max(full[name], 1e-9) for name, values in (sampled.values | wider.values).items()}
show(curves(ratios[:28] / deviation, {k: v[:28] for k, v in still.items()}, xtitle="ν", ytitle="share of the entropy",
            log="x", reverse=True, dash=["solid", "solid", "dash", "dot", "dot"]),
     alt="Entropy against noise level: the families are settled at higher noise than the pictures, shuffled families at "
         "lower noise, Unicode groups close to shuffled ones")

# %% tags=["hide-input", "nbval-check-output"]
ledger.claim("slice.family_before_atom", order, note=f"bootstrap over {groups}")
halves = {name: half(name, np.arange(len(sampled.origin))) for name in labelings}
ledger.number("half_level", {k: v for k, v in halves.items() if v}, "sigma/alpha at which half the entropy is gone")
print("; ".join(f"{k}: half gone at nu = {v / deviation:.2f}" for k, v in halves.items() if v))

# %% [markdown]
# Families that look alike are settled before the picture is; shuffled families of the same sizes only after it, since one must then know nearly the picture
# itself. Unicode's groups lie much nearer to their shuffled twin in {numref}`fig-entropies`: the hierarchy is one of images, and the diffusion knows of
# meanings only what they share in looks. It is a fact about the chosen data, and another set of pictures can have none of it.
#
# Is one family, then, the paper's 'single mode'? It still consists of separate pictures, so boundaries must remain, but with the same yardstick (a fifth of
# the median distance over *all* pictures) fewer of them count.

# %%
largest = np.bincount(images.family).argmax()
alone = exact.subset(np.flatnonzero(images.family == largest))
alone_counts = [basin_counts(slice_of(alone, one, levels), RIDGE * typical)[-1] for one in several]

# %% tags=["hide-input"]
ledger.claim("slice.one_family_flat", median_interval(alone_counts),
             note=f"{images.families[largest]}, {len(alone.atoms)} pictures")

# %% [markdown]
# Several phases remain in the largest family on nearly every slice: a family is a cluster of modes, not one.
#
# ## What was shown, and what was not
#
# For an exact diffusion on pictures, with no network in it, a slice of latent space does break into basins, from coarse to fine. Boundaries therefore belong
# to the data, which supports the paper's answer to its own question, artefact or data. Slices are flat at large noise, once it is measured
# in units of the data, and ridges appear and branch. That phases are flat inside and that the pattern and the mean of $S$ come to rest is true at the end, and had to be; it
# is not true while the slice is being parted. The order 'families first' depends on the pictures, and a family of them is no single mode.
#
# What was not shown: anything about a network, which takes a chapter of its own; and anything about the metric *on* a ridge. $S$ was estimated on a grid, as
# in the paper, and a plateau of such estimates need not be one of the metric. What a ridge is, and what of it a grid can see, is asked next.

# %% tags=["results", "hide-input"]
ledger.emit()
