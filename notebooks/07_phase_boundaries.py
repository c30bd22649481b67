# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,alt,mystnb,editable
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Phase boundaries of a latent slice
#
# Take three latents, stretch a plane through them, and denoise every point of it. Nearby points start out with the same
# blurred prediction and end as different pictures: somewhere in between the plane has been cut into regions.
# {cite:t}`lobashev2025caffarelli` make the cuts visible with a metric, in their Figures 1 and 6. This chapter makes the
# same figures for a model in which nothing is learned and nothing approximated: the exact denoiser of a finite set of
# pictures. Whatever boundaries appear here belong to the data. We begin with a case in which there can be none, a
# Gaussian, then look at the pictures, and then put each of the paper's observations to the test on a dozen slices. The
# second half does the same for a trained network, and compares the two.

# %% tags=["parameters"]
model = "exact"             # the exact denoiser of an image set
image_set = "families"      # families, emoji, digits, or the path of a directory of pictures
families = []               # only these families of the set; [] for all
resolution = 64             # pixels on a side
anchors = ""                # a .npy float array (3, rgb, y, x): z0, z1, z2; '' draws them from anchors_seed
anchors_seed = 6
extent = [0.0, 1.0, 0.0, 1.0]   # alpha0, alpha1, beta0, beta1; may leave [0, 1]
grid = 101                  # points along each side
steps = 50                  # of the sampler (DDIM, eta 0)
schedule = "scaled_linear"  # Stable Diffusion's; or log_snr, uniform in the logarithm of the noise level
normalise = True            # divide each latent by its standard deviation
feature = "pixels"          # pixels of the prediction; or posterior, two square roots of the posterior weights
ridge = 0.2                 # a jump over this share of the median distance of two images is a ridge
sets = 12                   # further anchor sets for the paper's observations, on a coarser grid
sets_grid = 33
null_images = 1600          # emoji for the null with Unicode's groups
device = "cpu"
seed = 0                    # of everything that is sampled for checks and controls
trained = "emoji-diffusion" # the second half's model: a StableDiffusionPipeline, directory or hub id; '' skips that half
revision = ""               # of a hub id: a branch, tag or commit
variant = ""                # of the weights' files, such as fp16
dtype = "float32"           # the network's; or bfloat16, float16
batch = 100                 # latents that the network takes at a time
prompt = "emoji"
negative_prompt = ""
guidance = 1.0              # 1 or less: none
grid_trained = 20           # points along each side of the network's slice
steps_trained = 25
decode_steps = [0, 6, 12, 20, 22, 24]   # where pictures and their features are made, at most 8
feature_trained = "emoji-clip"  # an open_clip model: directory or name
pretrained = ""             # its checkpoint, where it is a name: openai, or a .safetensors file
sets_trained = 4            # further anchor sets of the network, on a coarser grid
sets_grid_trained = 10
views_trained = 3           # small variations of each training picture in the exact denoiser of its data
tangent_points = 12         # where the network is differentiated
trained_on = "emoji"        # the data it was trained on, for the comparison with their exact model; '' if not at hand

# %% tags=["hide-input"]
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from phasebook.models.checkpoints import check_device
from phasebook.site.chapters.ledger import Correction, Ledger
from phasebook.site.chapters.parameters import Finite
from phasebook.site.chapters.parameters_slices import ExactParameters, TrainedParameters
from phasebook.slices.inputs import anchors_of, check_inputs, check_trained
from phasebook.slices.slices import check_extent

Grid = Annotated[int, Field(ge=2, le=201)]


class Chapter(ExactParameters, TrainedParameters):
    extent: Annotated[list[Finite], Field(min_length=4, max_length=4), AfterValidator(check_extent)]
    grid: Annotated[int, Field(ge=2, le=1001)]
    steps: Annotated[int, Field(ge=1, le=500)]
    sets: Annotated[int, Field(ge=1, le=200)]
    sets_grid: Grid
    null_images: Annotated[int, Field(ge=20, le=1600)]
    device: Annotated[str, AfterValidator(check_device)]
    grid_trained: Grid
    decode_steps: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=8)]
    sets_grid_trained: Grid
    views_trained: Annotated[int, Field(ge=0, le=16)]
    tangent_points: Annotated[int, Field(ge=2, le=10_000)]
    trained_on: Literal["emoji", ""]

    @model_validator(mode="after")
    def _usable(self):
        check_inputs(self)
        check_trained(self)
        return self


p = Chapter.read(globals())
ledger = Ledger("07_phase_boundaries", p)

# %% tags=["hide-input"]
from dataclasses import replace
from time import perf_counter

import numpy as np
import torch

from phasebook.models.captions import captioned
from phasebook.models.clip import ClipFeatures
from phasebook.models.entropy import conditional_entropies, full_entropy, half_level
from phasebook.models.exact import ExactModel
from phasebook.models.gaussian import GaussianModel
from phasebook.models.image_sets import load_images
from phasebook.models.pipeline import PipelineModel
from phasebook.models.prompted import Prompted, diffusers_steps
from phasebook.sampling.samplers import levels
from phasebook.site.figures.base import show
from phasebook.site.figures.explorer import show_explorer
from phasebook.site.figures.slices import Map, annotated, as_bytes, curves, show_slider, show_strip
from phasebook.slices.basins import basin_centres, basin_labels
from phasebook.slices.refine import cell_areas, growth, profile, tangent_isotropy
from phasebook.slices.slices import Plane, seeded_anchors, slice_of, telling_steps
from phasebook.slices.summary import agreement, early, isotropy, late, late_spread, median_interval, rise, statistics
from phasebook_training.diffusion import latent_views

# %% [markdown]
# ## The model, the slice, the metric
#
# **The model.** The data are $n$ pictures $x_1, \dots, x_n$, centred and scaled, each as likely as the others. Their noisy
# marginal is the mixture of the paper's Eq. (6), and its denoiser is a weighted mean of pictures,
#
# $$ \hat x_0(x, t) = \sum_i w_i x_i, \qquad w = \operatorname{softmax}_i \Big( -\frac{|x - \alpha_t x_i|^2}{2 \sigma_t^2} \Big). $$ (exact-denoiser)
#
# The sampler (DDIM with $\eta = 0$ {cite:p}`song2021ddim`, as the authors use) keeps $x_t$ in the span of its start and the pictures, so that
# the products $\langle x_t, x_i \rangle$ are all it needs: one multiplication with the $n \times n$ Gram matrix a step, at
# any resolution. The pictures are scaled to a root mean square norm of 12.8, about a ninth of that of the noise at 64
# pixels; then Stable Diffusion's own schedule, with $\sigma/\alpha$ from 13 down to 0.04, covers the noise levels at
# which they separate. Steps are counted from 0 at the noisy end.
#
# **The slice.** Three anchors, drawn from a normal distribution, span the plane
#
# $$ z(\alpha, \beta) = z_0 + \alpha (z_1 - z_0) + \beta (z_2 - z_0), \tag{3} $$
#
# and every latent is divided by its standard deviation, as in the authors' public code. In all figures $\alpha$ points up
# and $\beta$ right.
#
# **The metric.** With a feature $f(\alpha, \beta; t) = \phi(\hat x_0)$ and its Jacobian $J$, the pullback metric is
# $G = J^\top J$ (Eq. 5), and the paper maps $S = \det G$. Here the features are the pixels themselves and distances are
# root mean squares over pixels of range $[0, 1]$. The paper estimates $J$ by finite differences; we do that too, and
# carry the exact tangents along beside it.

# %% tags=["nbval-check-output"]
images = load_images(p.image_set, p.resolution, p.families or None)
exact = ExactModel.of(images, p.device)
L = levels(p.schedule, p.steps)
noise, unit = L.sigma_over_alpha, exact.typical_distance(p.feature)
print(f"{len(images)} images in {len(images.families)} families, two of them {unit:.2f} apart (median); "
      f"noise level {noise[0]:.2f} to {noise[-1]:.2f} in {p.steps} steps")

# %% [markdown]
# ## A case with a known answer: one Gaussian
#
# For a Gaussian with the pictures' mean and covariance the denoiser is linear. On principal axis $r$, of variance $s_r$,
# it multiplies by $\alpha s_r / (\alpha^2 s_r + \sigma^2)$, and the sampler is a product of such factors. Without
# normalisation the plane is mapped linearly, so $S$ must be one constant for each step, over the whole slice. It is a good
# first test of the finite differences, and it is the control that the paper's picture asks for: 'within a single mode,
# the latent geometry is flat'.

# %% tags=["hide-input"]
z = anchors_of(p.anchors, p.anchors_seed, exact.shape)
plane = Plane(z, tuple(p.extent), p.grid, p.normalise)
coarse = replace(plane, grid=min(p.grid, p.sets_grid))
gaussian = GaussianModel.of(exact)
linear = slice_of(gaussian, replace(coarse, normalise=False), L)
unevenness = float((np.ptp(linear.det_g.values, axis=(1, 2)) / (linear.det_g.values.mean((1, 2)) + 1e-12)).max())
curved = statistics(slice_of(gaussian, coarse, L), p.ridge * exact.typical_distance())
ledger.number("gaussian_unevenness_of_det_g", unevenness, "1")
ledger.number("gaussian_contrast", curved["contrast"], "1")
print(f"largest relative variation of S over the slice, at any step: {unevenness:.1e}; "
      f"largest slope over median slope with normalisation: {curved['contrast'][-1]:.2f}")

# %% [markdown]
# The first number is round-off: finite differences are exact on a linear map. The second shows what the division by the
# standard deviation does to a flat plane: it bends it onto a sphere. Slopes then vary smoothly, by less than a factor of
# two on this square and by more far outside it. No boundary can come from either.
#
# ## The pictures: Figure 1
#
# Now the mixture. The sweep keeps posterior weights, not pixels, and computes pixels for the points that are shown.

# %% tags=["hide-input"]
clock = perf_counter()
ds = slice_of(exact, plane, L, feature=p.feature, thumbnails=13)
ledger.number("sweep_seconds", perf_counter() - clock, "s")
shown, pixels = telling_steps(ds, 6), as_bytes(exact.decode(ds.weights.values))
rest = shown[-2] if len(shown) > 1 else shown[-1]            # where S has come to rest
log_s = Map("log(10⁻⁸ + det G)", np.log(1e-8 + ds.det_g.values))
log_t = Map("log(10⁻⁸ + tr G)", np.log(1e-8 + ds.tr_g.values))
print(f"sweep of {p.grid} x {p.grid} points and {p.steps} steps done; largest S: {ds.det_g.values.max():.3g}")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-slice", "caption": "The paper's Fig. 1 for the exact model: the grid of predicted images and, below it, log(10⁻⁸ + det G) at six steps, on one colour scale for all steps."}}
show_strip(shown, noise, p.extent, [log_s], pixels[shown], size=32,
           alt="Predicted images over the slice and the logarithm of det G at six steps: blurred and dark at first, "
               "then bright narrow ridges that cut the slice into regions of one picture each")

# %% [markdown]
# At the first step every prediction is nearly the mean of all pictures and $S$ is almost zero. Broad swells follow, and
# the colours of the images split before their shapes do; then the swells narrow into ridges, and the ridges branch.
# At the last step every image is one of the data, and the map has gone dark again except for a few points. That is not
# noise; it is taken up below. The slider runs over all steps.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-slider", "caption": "All steps of the same slice."}}
show_slider(noise, p.extent, log_s, pixels, size=21, start=rest,
            alt="Slider over all steps: the grid of predicted images beside the logarithm of det G")

# %% [markdown]
# The explorer below shows the prediction under the pointer. Pin a point, cross a ridge, and compare.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-explorer", "caption": "Explorer of the slice: map on the left, the predicted image under the pointer on the right. Arrow keys move the point, the slider changes the step, a click pins."}}
frames = sorted({round(k) for k in np.linspace(0, p.steps - 1, 10)} | set(shown))
maps = {f.label: f.values for f in (log_s, log_t)} | {"family entropy (nats)": ds.entropy_family.values}
show_explorer(pixels[frames], maps, extent=p.extent, steps_shown=frames, colours="Inferno", start_step=rest,
              alt="Explorer: a map of the slice with the predicted image under the pointer")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-annotated", "caption": "The paper's Fig. 6: the slice with its axes, at the step at which S has come to rest. Origin at the lower left, α up, β right; diamonds mark the anchors, and each large basin carries the family of its picture."}}
wide = slice_of(exact, replace(plane, grid=17), L, tangents=False, posterior=False, thumbnails=17)
edge = p.ridge * unit
labels = basin_labels(ds.jump_alpha.values[rest], ds.jump_beta.values[rest], edge)
names = [(plane.alpha[i], plane.beta[j], images.families[images.family[int(ds.atom[rest, i, j])]])
         for i, j in basin_centres(labels, 0.03)]
show(annotated(as_bytes(exact.decode(wide.weights.values[rest])), log_s, rest, p.extent, names),
     alt="Grid of predicted images and map of log det G with axes alpha and beta, anchors and basins named")

# %% [markdown]
# The anchors are random latents; they need not be close to any picture. Large basins belong to large or isolated
# families: what decides is how much of the noise's direction a picture can claim.
#
# ## Where det G goes blind
#
# Between two pictures $x_i$, $x_j$ the late prediction moves along a line, $\hat x_0 = w x_i + (1 - w) x_j$. Both columns
# of $J$ are then multiples of $x_i - x_j$, $G$ has rank one, and $\det G = 0$ *on the boundary itself*. Only where three
# pictures meet does the determinant survive. The trace, or the largest eigenvalue, sees every boundary.
# A trained network does not collapse like this: its predictions keep directions of their own.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-degenerate", "caption": "The determinant (top) and the trace (bottom) of the same metric, by finite differences. Late in the process the determinant survives at triple points alone."}}
later = sorted({shown[max(0, len(shown) - 3)], rest, p.steps - 1})
show_strip(later, noise, p.extent, [log_s, log_t],
           alt="det G and tr G at three steps; at the last, det G is dark but for points while tr G shows every ridge")

# %% [markdown]
# How far has the rank dropped? On the steepest hundredth of the slice we take $\det G / (\operatorname{tr} G / 2)^2$, which
# is 1 for an isotropic metric and 0 for rank one.

# %% tags=["hide-input"]
round_ = isotropy(ds.det_g.values, ds.tr_g.values, 0.01)
ledger.number("isotropy_on_ridges", round_, "1")
print(f"isotropy on the steepest points: {round_[0]:.2g} at the first step, {round_[rest]:.2g} at step {rest}, "
      f"{round_[-1]:.2g} at the last")

# %% [markdown]
# ## Observations (i) to (iii), on more than one slice
#
# The paper reads three things off its figure: (i) for large noise $S \approx 0$; (ii) ridges appear and branch, and
# partition the slice; (iii) late in the process the pattern stands still and the mean of $S$ reaches a plateau. One slice
# proves little, so we draw new anchors, sweep each slice on a coarser grid, and give medians with bootstrap intervals.
# We call $S$ flat early if its mean over the first tenth of the steps is below 1 % of its mean over the last fifth. We
# call it a plateau if over that last fifth the mean varies by less than 5 %. A *ridge* is an edge of the grid across
# which the prediction jumps by more than a fifth of the median distance of two pictures; *basins* are what stays
# connected once the ridges are cut. Branching means that the number of basins rises with the step (rank correlation at
# least 0.9).

# %% tags=["hide-input"]
planes = [replace(coarse, anchors=seeded_anchors(exact.shape, p.anchors_seed + 1000 + k)) for k in range(p.sets)]
runs = [statistics(slice_of(exact, one, L, feature=p.feature, tangents=False, posterior=False), edge) for one in planes]
own, over = statistics(ds, edge), {key: np.stack([r[key] for r in runs]) for key in runs[0]}
first, last = early(p.steps), late(p.steps)
long_enough, alive = p.steps >= 10, [r for r in runs if r["det"][last].mean() > 1e-12]
for name, key in (("mean_det_g", "det"), ("mean_tr_g", "trace"), ("basin_count", "basins")):
    ledger.number(name, own[key], "1")
    ledger.number(name + "_over_sets", np.median(over[key], 0), "1, median over anchor sets")
ledger.number("sigma_over_alpha", noise, "1")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-mean-s", "caption": "Mean of det G over the slice at each step, by finite differences as in the paper: median of the anchor sets (thin lines: each set)."}}
visible = np.maximum(over["det"], 1e-12)
show(curves(np.arange(p.steps), {"mean det G": np.median(visible, 0)}, faint={"mean det G": visible}, log="y",
            xtitle="step", ytitle="mean S"), alt="Mean of det G against the step for all anchor sets: it rises by "
     "orders of magnitude over the first half and then stays level")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-basins", "caption": "Number of basins at each step: median of the anchor sets (thin lines: each set)."}}
show(curves(np.arange(p.steps), {"basins": np.median(over["basins"], 0)}, faint={"basins": over["basins"]},
            xtitle="step", ytitle="basins"), alt="Number of basins against the step: one at first, then rising in stages")

# %% tags=["hide-input"]
flat, flat_note = median_interval([r["det"][first].mean() / r["det"][last].mean() for r in alive] if long_enough else [],
                                  p.seed)
branch, branch_note = median_interval([rise(r["basins"]) for r in runs] if long_enough else [], p.seed)
level, level_note = median_interval([late_spread(r["det"]) for r in runs] if long_enough else [], p.seed)
ledger.claim("slice.flat_early", "Sec. 3, (i)", "For large noise S is nearly 0: the metric is flat.", "<= 0.01", flat,
             note=f"mean S, first tenth of the steps over last fifth; {flat_note}")
ledger.claim("slice.ridges_branch", "Sec. 3, (ii)", "As t falls, ridges appear and branch and partition the slice: the "
             "number of basins grows from step to step.", ">= 0.9", branch,
             note=f"rank correlation of step and number of basins; {branch_note}")
ledger.claim("slice.plateau", "Sec. 3, (iii)", "At late t the mean of S approaches a plateau.", "<= 0.05", level,
             note=f"(max - min)/mean over the last fifth of the steps, finite differences; {level_note}")

# %% [markdown]
# In this model all three can be judged by eye in {numref}`fig-mean-s` and {numref}`fig-basins`: $S$ rises by four orders
# of magnitude, the basins split in stages, and then everything stands still. What stands still in a model that can only
# end on its data is simple: the choice between pictures is made, and the weights no longer change.
#
# One sentence of the paper's discussion sits badly with (i): 'regions with large Lipschitz constants appear even in the
# very first denoising steps'. Both cannot be right of one map. The next claims compare the largest Lipschitz constant of
# the first tenth of the steps with that of the last, and call it large from a tenth on; and they measure how ridges
# sharpen by the smallest share of the slice that holds half of $\int \sqrt{\operatorname{tr} G}$.

# %% tags=["hide-input"]
usable = alive if long_enough else []
steep, steep_note = median_interval([r["steepest"][first].max() / r["steepest"][last].max() for r in usable], p.seed)
narrow, narrow_note = median_interval([r["area"][-1] / r["area"][first].mean() for r in usable], p.seed)
ledger.claim("slice.early_lipschitz", "Sec. 4", "Large Lipschitz constants appear even in the very first steps.",
             ">= 0.1", steep, note=f"largest slope, first tenth of the steps over last fifth; the late slope is limited "
             f"by the grid, so the ratio is an upper bound; {steep_note}")
ledger.claim("slice.ridges_sharpen", "Sec. 4", "Coarse boundaries sharpen as the denoising proceeds.", "<= 0.5", narrow,
             note=f"share of the area that holds half of the variation, last step over first tenth; {narrow_note}")

# %% [markdown]
# ## Families before pictures?
#
# The paper's word is *hierarchical*: coarse boundaries first, finer ones inside them, as was found in time by
# {cite:t}`biroli2024dynamical` and {cite:t}`sclocchi2025phase`. In the exact model this is a question about entropies. Given $x_t$, how much is still open about the family of the picture, and how much about the
# picture? We mark the noise level at which half of each entropy is gone. The family should be settled at higher
# noise than the picture. But any grouping has *some* such level, so two nulls stand beside it: the same family sizes with
# the pictures shuffled among them, and, for the emoji, Unicode's own groups. Those sort pictures by what they mean
# (a mushroom and a monkey are both 'animals & nature'), not by how they look.

# %% tags=["hide-input"]
ratios, rng = np.geomspace(30, 0.03, 37), np.random.default_rng(p.seed)
labelings = {"atom": np.arange(len(images)), "family": images.family, "shuffled": rng.permutation(images.family)}
entropies = conditional_entropies(exact.gram.cpu(), ratios, labelings, 500, p.seed)
emoji = p.image_set in ("families", "emoji")
null = load_images("emoji", min(p.resolution, 32)) if emoji else images
pick = np.sort(rng.permutation(len(null))[:p.null_images])
everything = ExactModel.of(null).subset(pick)
meanings = {"Unicode group": null.group[pick], "group shuffled": rng.permutation(null.group[pick])}
entropies |= conditional_entropies(everything.gram, ratios, meanings, 500, p.seed)
labelings |= meanings

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-entropies", "caption": "Share of each entropy that is still open at a noise level. Solid: the image set. Dashed: the families shuffled. Dotted: Unicode's groups of all emoji, and the same shuffled (for other image sets, their own families again)."}}
full = {k: full_entropy(v) for k, v in labelings.items()}
open_share = {k: entropies[k] / full[k] if full[k] > 0 else np.zeros_like(ratios) for k in full}
seen = np.max(list(open_share.values()), 0) > 1e-3
seen[:12] = True
show(curves(ratios[seen], {k: v[seen] for k, v in open_share.items()}, xtitle="noise level σ/α", ytitle="share of the entropy", log="x", reverse=True,
            dash=["solid", "solid", "dash", "dot", "dot"]), alt="Entropy against noise level: the families are "
     "settled at higher noise than the pictures, shuffled families at lower noise, Unicode groups close to shuffled ones")

# %% tags=["hide-input"]
half = {k: half_level(ratios, entropies[k], full[k]) for k in full}
ledger.number("half_level", {k: v for k, v in half.items() if v}, "sigma/alpha at which half the entropy is gone")
ledger.number("entropy_family", ds.entropy_family.values.mean((1, 2)), "nats, mean over the slice")
ledger.number("entropy_atom", ds.entropy_atom.values.mean((1, 2)), "nats, mean over the slice")
ratio = {k: half[k] / half["atom"] if half[k] and half["atom"] else None for k in half}
words = ", ".join(f"{k} {v:.2f}" for k, v in ratio.items() if v and k in ("family", "shuffled"))
ledger.claim("slice.family_before_atom", "Sec. 4, Thm 2.1", "Coarse choices are made at higher noise than fine ones: the "
             "family is settled before the picture.", ">= 1", ratio["family"],
             note=f"noise levels at which half the entropy is gone, over that of the picture: {words or 'one family only'}")
print("; ".join(f"{k} {v:.2f}" for k, v in half.items() if v))

# %% [markdown]
# Families that look alike are settled before the picture is; shuffled families of the same sizes only after it, since one
# must then know nearly the picture itself. Unicode's groups lie much nearer to their shuffled twin in
# {numref}`fig-entropies`, and they too are settled later than the single pictures of the families: the hierarchy is one of
# images, and the diffusion knows of meanings only what they share in looks. It is a fact about the chosen data, and
# another set of pictures can have none of it.
#
# ## What finite differences see
#
# Where the prediction jumps, a difference quotient measures the jump divided by the spacing, however steep the map is.
# Then the height of a ridge is a property of the grid. We walk away from the steepest ridge of the slice and lay the
# estimates with spacings $h$, $2h$, $4h$ beside the exact derivative, at two steps (in double precision).

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-refinement", "caption": "Slope |∂f/∂β| against the distance from a ridge, at two steps: exactly (solid), and by centred differences with the spacing h of the grid, with 2h and with 4h."}}
double = ExactModel.of(images, dtype=torch.float64)
middle = shown[max(0, len(shown) - 3)]
i, j = np.unravel_index(ds.jump_beta.values[middle].argmax(), ds.jump_beta.shape[1:])
lines = {}
for step in sorted({middle, (middle + rest) // 2}):
    cut = profile(double, plane, L, step, float(plane.alpha[i]), float(ds.beta_edge[j]))
    lines |= {f"step {step}, exact": cut.exact} | {f"step {step}, h = {h:.3g}": e for h, e in cut.estimates.items()}
show(curves(cut.distance, {k: np.maximum(v, 1e-2) for k, v in lines.items()}, xtitle="distance from the ridge, in β",
            ytitle="slope", log="xy", dash=["solid", "dot", "dash", "dashdot"] * 2, paired=4, height=430),
     alt="Slope against the distance from a ridge at two steps; the exact slope at the ridge grows by orders of "
         "magnitude while the estimates stay at the jump divided by twice the spacing")

# %% tags=["hide-input"]
sizes = sorted({p.grid, (p.grid - 1) // 2 + 1, (p.grid - 1) // 4 + 1} - {1})
means = {n: slice_of(exact, replace(plane, grid=n), L, tangents=False, posterior=False).tr_g.values.mean((1, 2))
         for n in sizes[:-1]} | {p.grid: slice_of(exact, plane, L, tangents=False, posterior=False).tr_g.values.mean((1, 2))
                                 if p.feature != "pixels" else ds.tr_g.values.mean((1, 2))}
power = growth(means)
ledger.number("grid_exponent_of_mean_tr_g", power if power is not None else [], "1")
ledger.number("mean_tr_g_exact", ds.tr_g_exact.values.mean((1, 2)), "1")
repaired = None if power is None else Correction(
    statement="It is, while the ridges are wider than the grid: over the first tenth of the steps.", expected=0.0,
    measured=float(np.abs(power[first]).max()), tolerance=0.1)
ledger.claim("slice.fd_artefact", "Sec. 3", "The metric estimated by finite differences is a property of the model: the "
             "mean of tr G does not depend on the grid.", 0.0, None if power is None else power[-1], 0.1,
             note=f"exponent p of mean tr G ~ (N - 1)^p at the last step, grids {sizes}", correction=repaired)

# %% [markdown]
# The estimate is a box: as wide as the spacing, as high as the jump divided by twice the spacing. Its height hardly
# changes between the two steps, while the true ridge grows about tenfold in height and loses as much in width, and
# goes on doing so with every step. So the mean of
# $\operatorname{tr} G$ grows in proportion to the number of grid lines, and the plateau of (iii) has a height that the
# grid sets. That the plateau is level is a fact about the model; how high it is, is not.
#
# ## The volume element
#
# The paper calls $\det G$ proportional to the local volume element. The volume element is its square root. We check with
# areas: the image of a small square cell, as two triangles in feature space, against $\det G$ from the tangents.

# %% tags=["hide-input"]
area, volume = cell_areas(double, plane, L, middle, 400, 1e-4 * min(plane.spacing) * (plane.grid - 1), p.seed)
seen = volume > 1e-12
slope = np.polyfit(np.log(volume[seen]), np.log(area[seen]), 1)[0] if seen.sum() > 9 else None
root = float(np.median(area[seen] / np.sqrt(volume[seen]))) if seen.sum() > 9 else None
ledger.claim("slice.volume_element", "Fig. 1", "det G is proportional to the local volume element.", 1.0, slope, 0.02,
             note=f"exponent q in area ~ (det G)^q over {seen.sum()} small cells at step {middle}",
             correction=Correction(statement="sqrt(det G) is the volume element: area / sqrt(det G) = 1.", expected=1.0,
                                   measured=root, tolerance=0.01))
print(f"area of the image of a cell over the cell, over sqrt(det G): {root}")

# %% [markdown]
# ## Controls: one mode, one family
#
# The Gaussian of the opening has one mode and no boundary. What of a single family, the nearest thing to 'a single mode'
# in the data? It still consists of separate pictures, so boundaries must remain, but with the same yardstick (a fifth of
# the median distance over *all* pictures) fewer of them count.

# %% tags=["hide-input"]
largest = np.bincount(images.family).argmax()
alone = exact.subset(np.flatnonzero(images.family == largest))
single = statistics(slice_of(alone, coarse, L, tangents=False), p.ridge * exact.typical_distance())
ledger.claim("slice.single_mode_flat", "Sec. 1", "Within a single mode the latent geometry is flat.", "<= 2",
             curved["contrast"][-1], note="a Gaussian fitted to the images: largest slope over median slope, last step; "
             f"its slice has {int(curved['basins'][-1])} basin")
ledger.claim("slice.one_family_flat", "Sec. 1", "One family alone is a single phase.", 1.0, single["basins"][-1], 0.0,
             note=f"{images.families[largest]}, {len(alone.atoms)} images: basins at the last step")
ledger.number("basin_count_one_family", single["basins"], "1")

# %% [markdown]
# ## A trained network
#
# Everything so far concerned a model without a network. The paper's own object is a text-to-image latent diffusion
# model, seen through CLIP. Here is a small one of that kind, trained for this book on captioned emoji: an autoencoder
# with latents of shape $4 \times 16 \times 16$, a U-Net that hears a prompt, and Stable Diffusion's schedule; its card
# lies beside the weights. It goes through the same slice code. So does Stable Diffusion itself, under the parameters in
# `notebooks/params/sd15`, where there is a GPU. Two features are measured: the predicted latent at every step, and, at
# a few, the image features of a small CLIP, also trained here, of the decoded picture.
#
# Before anything is read off, one point is sampled by diffusers' own pipeline call, without guidance and with it, and
# the latents are compared after every step.

# %% tags=["hide-input"]
apart = None
if p.trained:
    pipeline = PipelineModel.load(p.trained, revision=p.revision or None, variant=p.variant or None, dtype=p.dtype,
                                  device=p.device, batch=p.batch)
    T, start = pipeline.levels(p.steps_trained), torch.as_tensor(seeded_anchors(pipeline.shape, p.seed)[0])
    differences = []
    for guidance in sorted({1.0, 5.0, p.guidance}):
        peer = diffusers_steps(pipeline, start, p.steps_trained, p.prompt, p.negative_prompt, guidance)
        ours = pipeline.sweep(start[None], T, pipeline.encode_prompt(p.prompt, p.negative_prompt, guidance))
        ours = torch.cat([part.after for part in ours])
        differences.append(float((ours - peer).abs().max() / peer.abs().max()))
    apart = max(differences)
    print(f"largest difference of a latent after any step: {apart:.1e} of the largest entry")
ledger.claim("pipeline.matches_diffusers", "Sec. 3", "The latents are those of diffusers' pipeline, after every step.",
             "<= 1e-5", apart, note="DDIM, eta 0; guidance 1, 5 and the chapter's own")

# %% tags=["hide-input"]
if p.trained:
    clip = ClipFeatures.load(p.feature_trained, p.pretrained or None, device=p.device)
    heard = Prompted(pipeline, pipeline.encode_prompt(p.prompt, p.negative_prompt, p.guidance))
    at = sorted({k for k in p.decode_steps if k < p.steps_trained})
    plane_t = Plane(seeded_anchors(heard.shape, p.anchors_seed), tuple(p.extent), p.grid_trained, p.normalise)
    clock = perf_counter()
    net = slice_of(heard, plane_t, T, feature="latent", tangents=False, thumbnails=10, also=heard.seen_by(clip, at))
    ledger.number("trained_sweep_seconds", perf_counter() - clock, "s")
    for name in ("clip", "clip_normalised"):
        ledger.number(f"trained_mean_det_g_{name}", net["det_g_" + name].values.mean((1, 2))[at], f"1, at steps {at}")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trained", "caption": "The paper's Fig. 1 for the trained network: predicted images, log(10⁻⁸ + det G) of the CLIP features of the decoded picture, and of the predicted latent, each on one colour scale for all steps."}}
if p.trained:
    log_clip, log_latent = (np.log(1e-8 + net[k].values) for k in ("det_g_clip", "det_g"))
    within = lambda x: (float(np.nanmin(x)), float(np.nanmax(x)))  # noqa: E731
    six = [at[k] for k in sorted({round(k) for k in np.linspace(0, len(at) - 1, 6)})]
    pictures = as_bytes(heard.decode(net.weights.values[six]))
    show_strip(six, T.sigma_over_alpha, p.extent, [Map("log(10⁻⁸ + det G), CLIP features", log_clip, within(log_clip)),
               Map("log(10⁻⁸ + det G), latents", log_latent, within(log_latent))], pictures, size=32,
               alt="Predicted images of the trained network over the slice at six steps, with maps of det G of CLIP "
                   "features and of latents: blurred and dark at first, later pictures with bright borders between them")

# %% [markdown]
# The pictures begin as one blur and end as several, with passages between them in which the network draws something
# halfway: an emoji, a fair attempt at one, or a melted mixture. The maps brighten from the first step to the last, in
# both features, and where two pictures meet there is a ridge. It is broad. A network is smooth, and nothing makes it
# land on the data.
#
# The numbers follow, over further anchor sets on a coarser grid. Beside the network we put what it was trained to be: the
# exact denoiser of the latents of its own training pictures (each as it is and in a few of the small variations it was
# shown in), which lives in the same latent space, with the same noise levels, on the same anchors.

# %% tags=["hide-input"]
nets, exacts = [], []
if p.trained:
    data = captioned() if p.trained_on else None
    ideal = ExactModel.of_latents(latent_views(pipeline.pipe.vae, data, p.views_trained), data.images, p.device) if data else None
    sets_t = [replace(plane_t, anchors=seeded_anchors(heard.shape, p.anchors_seed + 1000 + k), grid=p.sets_grid_trained)
              for k in range(p.sets_trained)]
    late_t, early_t = late(p.steps_trained), early(p.steps_trained)
    settled = [k for k in at if late_t.start <= k < late_t.stop]
    nets = [slice_of(heard, one, T, feature="latent", tangents=False, also=heard.seen_by(clip, settled)) for one in sets_t]
    exacts = [slice_of(ideal, one, T, tangents=False, posterior=False) for one in sets_t] if ideal else []
    edge_t = p.ridge * heard.typical_distance(pipeline.levels(min(10, p.steps_trained)), seed=p.seed)
    runs_t, runs_e = ([statistics(one, edge_t) for one in kind] for kind in (nets, exacts))
    for name, kind in (("network", runs_t), ("exact_latents", runs_e)):
        for key in ("det", "basins") if kind else ():
            ledger.number(f"{key}_{name}", np.median([r[key] for r in kind], 0), "1, median over anchor sets")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-two-means", "caption": "Mean of det G of the predicted latent at each step: the network and the exact denoiser of its training latents, on the same slices (medians; thin lines: each anchor set)."}}
if p.trained:
    kinds = {"network": runs_t} | ({"exact denoiser of its data": runs_e} if exacts else {})
    bundle = {k: np.maximum([r["det"] for r in v], 1e-12) for k, v in kinds.items()}
    show(curves(np.arange(p.steps_trained), {k: np.median(v, 0) for k, v in bundle.items()}, faint=bundle, log="y",
                xtitle="step", ytitle="mean S of the latent"), alt="Mean of det G against the step for the network and "
         "for the exact denoiser of its training data: both rise by orders of magnitude and then flatten")

# %% tags=["hide-input"]
ratio_t, ratio_note = median_interval([r["det"][early_t].mean() / r["det"][late_t].mean() for r in map(dict, runs_t)]
                                      if nets else [], p.seed)
branch_t, branch_t_note = median_interval([rise(r["basins"]) for r in runs_t] if nets else [], p.seed)
spreads = {key: [float(np.ptp(v) / v.mean()) for one in nets
                 if len(v := one["det_g" + key].values.mean((1, 2))[settled]) > 2 and v.mean() > 0]
           for key in ("", "_clip", "_clip_normalised")} if nets else {"_clip": []}
level_t, level_t_note = median_interval(spreads["_clip"], p.seed)
others = "; ".join(f"{k.strip('_') or 'latent'} {np.median(v):.3g}" for k, v in spreads.items() if v and k != "_clip")
ledger.claim("pipeline.flat_early", "Sec. 3, (i)", "For large noise S is nearly 0, in a trained network as well.",
             "<= 0.01", ratio_t, note=f"mean S of the latent, first tenth of the steps over last fifth; {ratio_note}")
ledger.claim("pipeline.ridges_branch", "Sec. 3, (ii)", "As t falls, ridges of a trained network appear and branch: the "
             "number of basins grows.", ">= 0.9", branch_t, note=f"rank correlation with the step; {branch_t_note}")
ledger.claim("pipeline.mean_s_plateau", "Sec. 3, (iii)", "At late t the mean of S of CLIP features approaches a plateau.",
             "<= 0.05", level_t, note=f"(max - min)/mean over the decoded steps of the last fifth; {level_t_note}; "
             f"other features: {others or 'none'}")

# %% [markdown]
# The thresholds are those that the exact model was held to above. The network's $S$ starts from as little and rises by as
# many orders of magnitude, but it ends several times lower, and where the exact denoiser comes to rest the network's is still
# rising at the last step: it sharpens its pictures to the end. That ridges branch is decided by little: the median lies at the
# threshold, with slices on both sides of it. A network's first ridges come late, and steps with one basin count as ties.
#
# ## Does the determinant go blind here as well?
#
# In the exact model the late prediction moves along lines between data, so $G$ loses rank. Finite differences on a coarse
# grid cannot see that: neighbours lie in three or four basins at once. We take the exact tangents at random points of the
# slice, by forward differentiation through the network and all steps, and average the isotropy
# $\det G / (\operatorname{tr} G / 2)^2$ with the weight $\operatorname{tr} G$, since where nothing moves it says nothing.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-isotropy", "caption": "Isotropy of the exact metric (1: equal eigenvalues; 0: rank one) at random points of a slice, averaged with the weight tr G, for the network and for the exact denoiser of its training latents (below 10⁻⁶ not drawn)."}}
round_net = round_exact = None
if p.trained:
    pairs = {"network": tangent_isotropy(heard, plane_t, T, p.tangent_points, p.seed, "latent")}
    if exacts:
        pairs["exact denoiser of its data"] = tangent_isotropy(ideal, plane_t, T, 400, p.seed)
    bundle = {k: (r * w).sum(1) / np.maximum(w.sum(1), 1e-30) for k, (r, w) in pairs.items()}
    round_net, round_exact = bundle["network"], bundle.get("exact denoiser of its data")
    show(curves(np.arange(p.steps_trained), {k: np.where(v > 1e-6, v, np.nan) for k, v in bundle.items()}, log="y",
                xtitle="step", ytitle="isotropy"), alt="Isotropy of the "
         "metric against the step: that of the network falls by about half, that of the exact denoiser to nothing")
    ledger.number("isotropy_tangents", {k: v.tolist() for k, v in bundle.items()}, "1")

# %% tags=["hide-input"]
ratio_net, weight = pairs["network"] if p.trained else (np.zeros((1, 1)), np.ones((1, 1)))
picks = np.random.default_rng(p.seed).integers(0, ratio_net.shape[1], (2000, ratio_net.shape[1]))
low, high = np.quantile((ratio_net[-1][picks] * weight[-1][picks]).sum(1) / weight[-1][picks].sum(1), [0.025, 0.975])
ledger.claim("pipeline.no_degeneracy", "Fig. 1", "det G shows the boundaries of a trained model: the metric does not lose "
             "rank on them.", ">= 0.01", None if round_net is None else round_net[-1], note="weighted isotropy at the last "
             f"step, {p.tangent_points} points, 95 % interval {low:.2g} to {high:.2g}"
             + ("" if round_exact is None else f"; exact denoiser of the same data: {round_exact[-1]:.2g}"))

# %% [markdown]
# ## Data or architecture?
#
# The paper leaves open whether the boundaries are a trait of the data or of the network. With a network *and* the exact
# denoiser of its data on one and the same slice, the question can be put to the test: if the boundaries belong to the
# data, the two maps agree, point by point. If they came from the architecture, the exact denoiser, which has none, would
# know nothing about them. The measure is the rank correlation of $\operatorname{tr} G$ over a slice; its null is the same
# correlation with the exact denoiser's maps of the *other* slices, which share everything except the anchors: the
# normalisation alone stretches the middle of every slice. Agreement beyond chance is $(r - r_0)/(1 - r_0)$.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-side-by-side", "caption": "The same slice in the network (top) and in the exact denoiser of its training latents (bottom): log(10⁻⁸ + tr G) of the predicted latent at six steps, on one colour scale."}}
if exacts:
    twin = slice_of(ideal, plane_t, T, tangents=False, posterior=False)
    both = [np.log(1e-8 + d.tr_g.values) for d in (net, twin)]
    limits = (-10.0, max(x[six].max() for x in both))           # where the exact one is flat it is flat to round-off
    show_strip(six, T.sigma_over_alpha, p.extent, [Map("network", both[0], limits), Map("exact denoiser", both[1], limits)],
               alt="tr G of the network and of the exact denoiser on the same slice at six steps: the same broad ridges "
                   "early on, more and finer ones in the exact denoiser later")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-agreement", "caption": "Rank correlation of tr G between network and exact denoiser over a slice, at each step: on the same slice, and with the other slices' maps as the null (medians; thin: each anchor set)."}}
own_t = null_t = np.zeros((0, p.steps_trained))
if exacts:
    own_t, null_t = agreement(*(np.stack([d.tr_g.values.reshape(p.steps_trained, -1) for d in k]) for k in (nets, exacts)))
    bundle = {"same slice": own_t, "other slices": null_t}
    show(curves(np.arange(p.steps_trained), {k: np.median(v, 0) for k, v in bundle.items()}, faint=bundle, xtitle="step",
                ytitle="rank correlation"), alt="Rank correlation of the two maps against the step: high on the same "
         "slice in the first half, near zero with other slices")

# %% tags=["hide-input"]
middle_t = slice(p.steps_trained // 4, max(p.steps_trained // 4 + 1, 3 * p.steps_trained // 4))
same, chance = own_t[:, middle_t].mean(1), null_t[:, middle_t].mean(1)
beyond, beyond_note = median_interval(list((same - chance) / (1 - chance)) if len(same) > 1 else [], p.seed)
for name, value in (("agreement", own_t), ("agreement_null", null_t)):
    ledger.number(name, np.median(value, 0) if len(value) else [], "rank correlation at each step, median over anchor sets")
beside = f"; correlations {np.median(same):.2f} and {np.median(chance):.2f} (null)" if beyond is not None else ""
ledger.claim("pipeline.data_or_architecture", "Sec. 4", "Phase boundaries are a property of the data rather than of the "
             "network: the exact denoiser of the same data has them in the same places.", ">= 0.5", beyond,
             note=f"agreement of tr G beyond chance, mean over the middle half of the steps; {beyond_note}{beside}")

# %% [markdown]
# The answer has two halves. While the noise is high the two maps agree, and more than slices do anyway: what the network
# has learnt of the coarse choices is what the data dictate. At the noise level at which the exact denoiser begins to pick
# single pictures ($\sigma/\alpha$ about 2.5 here) they part. From then on the exact denoiser's ridges are walls between
# training pictures, and the network, which was to generalise, has not learnt them; it keeps a few broad ridges of its
# own, some along the same lines ({numref}`fig-side-by-side`), most not. So boundaries need no architecture, and the early
# ones of a network are those of its data. The late ones of *this* network are not those of its training set.
#
# ## What was shown, and what was not
#
# For an exact diffusion on pictures, with no network in it, a slice of latent space does break into basins, from coarse
# to fine; observations (i) to (iii) are borne out with the thresholds stated above, and so the boundaries belong to the
# data. This supports the paper's answer to its own question, artefact or data. Three readings need repair. The metric is
# flat in the first steps, hence its Lipschitz constant is small there, against the discussion. The height of the
# ridges is set by the grid once they are narrower than its spacing. And the volume element is the square root of what is
# mapped. The order 'families first' depends on the pictures: it disappears for groups of meaning.
#
# A trained network shows the same course with softer outlines; its ridges keep full rank, its $S$ reaches no plateau by
# our threshold, and its boundaries are those of its data only while they are coarse.
#
# What was not shown: anything about DreamShaper-8, which was not run for these pages; whether a larger or longer
# trained network comes closer to the exact denoiser or moves away from it; and what guidance does to the boundaries. Nor
# are the ridges *singular*: at every step of this sampler the map is smooth, and what looks like a jump is a slope that
# is exponentially large in the ratio of distance to noise.

# %% tags=["results", "hide-input"]
ledger.emit()
