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
# # The hierarchy, measured
#
# The last chapter cut a slice of latent space into phases. {cite:t}`lobashev2025caffarelli` say more than that: the
# coarse boundaries come first and the finer ones appear inside the regions they enclose, so that the phases form a tree,
# 'implying that distances between images in this geometry follow an ultrametric structure'. The paper shows two figures
# of nearby points that part (its Figures 4 and 5) and measures nothing of the rest. This chapter measures it. It opens
# with points whose tree is known, to see whether the measures find it, and with points that have none, to see whether
# they are fooled. Then it follows pairs, phases and their boundaries through the steps, builds the tree, and asks of
# several kinds of distance whether they are those of a tree.

# %% tags=["parameters"]
model = "exact"             # the exact denoiser of an image set
image_set = "families"      # families, emoji, digits, or the path of a directory of pictures
families = []               # only these families of the set; [] for all
resolution = 64             # pixels on a side
anchors = ""                # a .npy float array (3, rgb, y, x): z0, z1, z2; '' draws them from anchors_seed
anchors_seed = 6
n_anchor_sets = 10          # further anchor sets for every interval
extent = [0.0, 1.0, 0.0, 1.0]       # of the first slice: alpha0, alpha1, beta0, beta1
sets_extent = [-1.0, 2.0, -1.0, 2.0]    # of the further sets: wider, for more phases and larger trees
grid = 101                  # points along each side
sets_grid = 41
steps = 50                  # of the sampler (DDIM, eta 0)
schedule = "scaled_linear"  # Stable Diffusion's; or log_snr, uniform in the logarithm of the noise level
normalise = True            # divide each latent by its standard deviation
feature = "pixels"          # pixels of the prediction; or posterior, two square roots of the posterior weights
ridge = 0.2                 # a jump over this share of the median distance of two pictures is a ridge
pair_coordinates = []       # pairs [[alpha, beta], [alpha, beta]] for Figs. 4 and 5; [] for those across the largest jumps
leaves = 24                 # of a tree: the largest phases, at most
starts = 64                 # independent starts for trees without a slice
draws = 30                  # of each null and each bootstrap over points
device = "cpu"
seed = 0                    # of everything that is sampled for intervals and controls
trained = "emoji-diffusion" # the second half's model: a StableDiffusionPipeline, directory or hub id; '' skips that half
revision = ""               # of a hub id: a branch, tag or commit
variant = ""                # of the weights' files, such as fp16
dtype = "float32"           # the network's; or bfloat16, float16
batch = 100                 # latents that the network takes at a time
prompt = "emoji"
negative_prompt = ""
guidance = 1.0              # 1 or less: none
ridge_trained = 0.1         # of the network, whose phases have shallower borders
extent_trained = [-0.5, 1.5, -0.5, 1.5]
grid_trained = 16           # points along each side of the network's slices
steps_trained = 12
sets_trained = 3            # anchor sets of the network; the first is the one that is shown
feature_trained = "emoji-clip"  # an open_clip model: directory or name
pretrained = ""             # its checkpoint, where it is a name: openai, or a .safetensors file

# %% tags=["hide-input"]
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from phasebook.models.checkpoints import check_device
from phasebook.site.chapters.ledger import Correction, Ledger
from phasebook.site.chapters.parameters import Finite, Fraction
from phasebook.site.chapters.parameters_slices import ExactParameters, TrainedParameters
from phasebook.slices.film import check_pairs
from phasebook.slices.inputs import anchors_of, check_inputs, check_trained
from phasebook.slices.slices import check_extent

Extent = Annotated[list[Finite], Field(min_length=4, max_length=4), AfterValidator(check_extent)]


class Chapter(ExactParameters, TrainedParameters):
    n_anchor_sets: Annotated[int, Field(ge=2, le=200)]
    extent: Extent
    sets_extent: Extent
    grid: Annotated[int, Field(ge=5, le=501)]
    sets_grid: Annotated[int, Field(ge=5, le=201)]
    steps: Annotated[int, Field(ge=5, le=500)]
    pair_coordinates: list[list[list[Finite]]]
    leaves: Annotated[int, Field(ge=5, le=100)]
    starts: Annotated[int, Field(ge=8, le=400)]
    draws: Annotated[int, Field(ge=10, le=1000)]
    device: Annotated[str, AfterValidator(check_device)]
    ridge_trained: Fraction
    extent_trained: Extent
    grid_trained: Annotated[int, Field(ge=5, le=501)]

    @model_validator(mode="after")
    def _usable(self):
        check_inputs(self)
        check_inputs(self.model_copy(update={"extent": self.sets_extent, "grid": self.sets_grid, "anchors": ""}))
        check_pairs(self.pair_coordinates, self.extent)
        check_trained(self)
        return self


p = Chapter.read(globals())
ledger = Ledger("09_hierarchy", p)

# %% tags=["hide-input"]
from functools import partial

import numpy as np
import torch
from IPython.display import HTML, display

from phasebook.hierarchy.hierarchy import (
    found_tree,
    over_sets,
    pair_split,
    split_steps,
    spread,
    tree_distance,
    tree_of,
    ultrametricity,
)
from phasebook.hierarchy.nulls import known_cases
from phasebook.hierarchy.survey import drops, geodesic_distances, resting, straightness, survey
from phasebook.models.clip import ClipFeatures
from phasebook.models.exact import ExactModel
from phasebook.models.gaussian import GaussianModel
from phasebook.models.image_sets import load_images
from phasebook.models.pipeline import PipelineModel
from phasebook.models.prompted import Prompted
from phasebook.sampling.samplers import levels
from phasebook.site.figures.base import show
from phasebook.site.figures.hierarchy import (
    distance_matrices,
    geodesic_map,
    merge_tree,
    pair_strips,
    phase_maps,
    ultrametric_table,
)
from phasebook.site.figures.slices import as_bytes, curves
from phasebook.slices.film import film_of, film_seen, nearby_pairs, pairs_between, starts_apart
from phasebook.slices.phases import persistence, phases_of, telling_counts
from phasebook.slices.slices import Plane, seeded_anchors
from phasebook.slices.summary import rise

# %% [markdown]
# ## A case with a known answer: a tree, and none
#
# A distance is *ultrametric* if of the three sides of any triangle the two largest are equal. That is the distance of
# leaves in a tree, all at one level: how far up one must go to meet. Four numbers measure how nearly a set of distances
# is of this kind.
#
# - **Triples.** Sides $d_1 \ge d_2 \ge d_3$ have the isosceles defect $(d_1 - d_2)/(d_1 - d_3)$, and a triple agrees if
#   it is at most 0.2. Triples that are equilateral as far as can be told say nothing and are counted apart. A tree: 1.
# - **Cophenetic correlation** of the distances with those read off the dendrogram that average linkage makes of them.
#   A tree: 1.
# - **Gap**: the largest distance to the subdominant ultrametric (single linkage), over the diameter. A tree: 0.
# - **Gromov's $\delta$** over the diameter, from the four-point condition. Any tree: 0.
#
# There is a trap. In many dimensions all distances between random points are nearly equal: every triangle is nearly
# equilateral, and gap and $\delta$ are small with no tree in sight. So each number stands beside a null: points with
# exactly the same covariance spectrum and nothing else in common (their principal components are turned at random). A gap
# or a $\delta$ counts as small only if its whole interval lies below that null, twice as far from the null's median as its
# 2.5 % quantile; chance alone does not get there.
#
# The trees are mixtures with one point a leaf, in which every edge adds an independent increment: binary, ternary, and
# a comb, in which one leaf after another leaves the trunk. Against them stand Euclidean points in 2 and in 12 288
# dimensions, the number of entries of a picture here.

# %% tags=["nbval-check-output"]
cases = known_cases(p.seed)
controls = {name: ultrametricity(points=x, draws=p.draws, seed=p.seed) for name, (x, _) in cases.items()}
told = [found_tree(controls[name]) == is_tree for name, (_, is_tree) in cases.items()]
for name, u in controls.items():
    print(f"{name}: {'tree' if found_tree(u) else 'no tree'}")

# %% tags=["hide-input"]
display(HTML(ultrametric_table(controls, "Known answers: value [95 % interval, bootstrap over the points] and the 95 % "
                               "range of the null")))
for name, s in controls["binary tree"]._asdict().items():
    ledger.number(f"{name}_known_tree", s.record(), "1")
ledger.claim("hierarchy.known_tree_found", "Abstract", "Ultrametric distances can be told from others: the four measures "
             "find a known tree, and none in Euclidean points.", 1.0, np.mean(told), note=f"share of {len(told)} cases "
             "told rightly: triples and cophenetic correlation >= 0.95, gap and delta below their null")

# %% [markdown]
# The trees are found and the clouds are not, although in 12 288 dimensions gap and $\delta$ are as small as those of
# the trees or smaller: there the null says the same. The measures can be trusted where the answer is not known.
#
# ## Phases over steps
#
# The model, the slice and the metric are those of chapter 5, with the same anchors. A *phase* at a step is a valley of the
# metric: we take the largest jump of the prediction from a grid point to its neighbours and flood this landscape
# (watershed). Two valleys count as two if the pass between them is at least a *ridge* high, a fifth of the median distance
# of two pictures. In the exact model there are *true basins* beside them: the regions in which one picture, or one family,
# is the likeliest.

# %% tags=["hide-input"]
images = load_images(p.image_set, p.resolution, p.families or None)
exact = ExactModel.of(images, p.device)
L, edge = levels(p.schedule, p.steps), p.ridge * exact.typical_distance(p.feature)
noise = L.sigma_over_alpha
plane = Plane(anchors_of(p.anchors, p.anchors_seed, exact.shape), tuple(p.extent), p.grid, p.normalise)
film = film_of(exact, plane, L, feature=p.feature)
phases = phases_of(film.watershed(edge), plane.spacing)
kin = phases_of(film.true(images.family), plane.spacing)
shown, rest = telling_counts(phases.count, 6), resting(film)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-phases", "caption": "Phases of the slice by watershed on the metric, at six steps. A phase that splits hands its colour to the child that holds most of it, where no neighbour has it; the colours mean nothing else."}}
show(phase_maps(phases.labels, shown, noise, p.extent, phases.count),
     alt="Coloured maps of the phases at six steps: one phase at first, then a few large ones, which are cut further")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-true-basins", "caption": "The same slice by the posterior: regions in which one family of pictures is the likeliest, at the same steps."}}
show(phase_maps(kin.labels, shown, noise, p.extent, kin.count),
     alt="Coloured maps of the likeliest family at six steps: several regions from the first step on, with moving borders")

# %% [markdown]
# The two kinds of map disagree at the start and come together at the end. The likeliest family is defined from the
# first step on, when the posterior hardly prefers any: its borders are there, but nothing jumps across them, and they
# drift before they set. A phase of the metric begins when there is something to see, and then stays where it is.
#
# ## The paper's Figures 4 and 5: nearby points that part
#
# 'Before two points are separated by a phase boundary, their latents yield similar noiseless predictions; once a
# boundary intervenes, the predictions diverge.' The pairs below are neighbours on the grid, taken where the final jump is
# largest. (The parameter `pair_coordinates` names others; for Stable Diffusion it holds the paper's own points.) A pair
# splits at the first step at which its predictions are half their final distance apart.

# %% tags=["hide-input"]
couples = np.array(p.pair_coordinates, dtype=float) if p.pair_coordinates else nearby_pairs(film, 4)
near = pairs_between(exact, plane, L, *couples.reshape(-1, 2).T, feature=p.feature)
first = np.arange(0, 2 * len(couples), 2)
gone, parted = near.distances[:, first, first + 1].T, pair_split(near.distances)[first, first + 1]
frames = sorted({round(k) for k in np.linspace(0, p.steps - 1, 11)})
pictures = as_bytes(exact.decode(near.weights[frames]))
pictures = pictures.reshape(len(frames), len(couples), 2, *pictures.shape[2:]).swapaxes(0, 1)
names = ["(α, β) = " + " and ".join(f"({a:.2f}, {b:.2f})" for a, b in pair) for pair in couples]

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-pairs", "caption": "The paper's Figs. 4 and 5 for the exact model: predictions of two neighbouring grid points at some steps, and their distance at every step. Dotted: the split step, half of the final distance."}}
show(pair_strips(pictures, frames, gone, parted, names, "rms"),
     alt="Four pairs of neighbouring points: the predicted images agree for the first steps, then turn into different "
         "pictures within a few steps; below each pair the distance, which rises from zero to a plateau")

# %% [markdown]
# Each pair shows one blurred picture for a third of the way, parts within a few steps, and ends on two pictures that
# need not have anything in common. Four pairs chosen for their jumps prove little, so the next sections draw new anchors
# and measure every pair of neighbours. The squares are wider ($\alpha$ and $\beta$ from -1 to 2), for more phases.

# %% tags=["hide-input"]
planes = [Plane(seeded_anchors(exact.shape, p.anchors_seed + 1000 + k), tuple(p.sets_extent), p.sets_grid, p.normalise)
          for k in range(p.n_anchor_sets)]
found = [survey(film_of(exact, one, L, feature=p.feature), edge, partial(pairs_between, exact, one, L, feature=p.feature),
                leaves=p.leaves, draws=p.draws, seed=p.seed + k, member=images.family) for k, one in enumerate(planes)]
over = lambda value: spread([value(one) for one in found], p.seed)  # noqa: E731
before = over(lambda one: one.pairs and one.pairs.before)
control = over(lambda one: one.pairs and one.pairs.control)
ledger.number("pairs_before_over_after", before._asdict(), "1")
ledger.number("pairs_control_over_parted", control._asdict(), "1")
ledger.claim("hierarchy.pairs_diverge", "Sec. 3, Figs. 4, 5", "Before two nearby points are separated by a ridge their "
             "predictions agree; afterwards they diverge.", "<= 0.2", before.high, note="distance of the predictions of "
             f"neighbours before a ridge parts them over that after, upper end of the interval; {before.words}; "
             f"neighbours that no ridge parts, over those: {control.words}")

# %% [markdown]
# The claim compares mean distances before and after the step at which the watershed first puts the two points into
# different phases. Neighbours that no ridge ever parts are the control: they end on the same picture. Here and below a claim
# holds only if its whole interval meets the bound; an interval that straddles it counts against the claim.
#
# ## Coarse first, fine inside
#
# Three statements hide in the word *hierarchical*. **The number of phases never falls.** **Coarse boundaries come first**:
# we take every edge of the grid with a ridge across it in the end, and ask for the rank correlation of its final jump (how
# unlike are the two pictures?) with the step at which half of that jump is there. The threshold is each edge's own, so
# that large jumps are not early by definition. **Fine phases lie inside coarse ones**: the nesting score is the share of
# the area that lies within the coarse phase which holds most of its fine phase, for the phases of every earlier step
# against those of the last; labels dealt to other points say what chance would give.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-counts", "caption": "Number of phases at each step by four definitions: median over the anchor sets (thin lines: each set, for the watershed)."}}
counts = {name: np.stack([one.counts[name] for one in found]) for name in found[0].counts}
show(curves(np.arange(p.steps), {k: np.median(v, 0) for k, v in counts.items()},
            faint={"watershed": counts["watershed"]}, xtitle="step", ytitle="phases"),
     alt="Number of phases against the step: by the metric it rises from one; regions of the likeliest picture and "
         "family are many from the start, fall a little and rise again")

# %% tags=["hide-input"]
fall, climb = over(lambda one: drops(one.counts["watershed"])), over(lambda one: rise(one.counts["watershed"]))
fall_true = over(lambda one: drops(one.counts["pictures"]))
coarse, within = over(lambda one: one.coarse), over(lambda one: one.nesting and one.nesting.score)
chance = over(lambda one: one.nesting and one.nesting.shuffled)
within_true = over(lambda one: one.nesting_true and one.nesting_true.score)
ledger.number("nesting", {"value": within.value, "low": within.low, "high": within.high, "null": chance.value}, "1")
ledger.number("nesting_true_basins", within_true._asdict(), "1")
ledger.number("coarse_first", coarse._asdict(), "rank correlation of final jump and step")
ledger.number("persistence", persistence(phases.labels), "share of the boundary of a step that is boundary at the last")
ledger.number("boundary_length", phases.length, "in units of alpha and beta")
ledger.number("phase_count", {name: np.median(v, 0) for name, v in counts.items()}, "1, median over anchor sets")
ledger.claim("hierarchy.count_monotone", "Thm 2.1 (3)", "The complexity never decreases as t falls: the number of phases "
             "does not drop at any step.", "<= 0", max(drops(one.counts["watershed"]) for one in found), note="share of "
             f"steps at which it drops, the worst of the sets; {fall.words}; regions of the likeliest picture: {fall_true.words}", correction=Correction(
                 statement="It grows on the whole: rank correlation of step and number of phases, lower end.",
                 expected=">= 0.9", measured=climb.low))
ledger.claim("hierarchy.coarse_first", "Abstract, Sec. 4", "Coarse boundaries appear in the early steps, finer ones "
             "later.", "<= -0.1", coarse.high, note="rank correlation of the final jump across a boundary with the step "
             f"at which half of it is there, upper end; {coarse.words}")
ledger.claim("hierarchy.nesting", "Sec. 1, 4", "Finer boundaries appear within the regions separated at the previous "
             "level.", ">= 0.9", within.low, note=f"nesting score, lower end; {within.words}; shuffled labels "
             f"{chance.words}; true basins {within_true.words}")
print(f"nesting {within.words}\nby chance {chance.words}\ncoarse first {coarse.words}")

# %% [markdown]
# Phases found in the metric nest nearly perfectly, far beyond chance, and unlike pictures part before similar ones. The true basins
# move more: at the first steps they are lines in a fog. That the count never falls is a stricter demand than that it grows;
# the verdict is in the table at the end.
#
# ## The tree
#
# When do two phases part? Three definitions of a *split step* are in use here: (a) the first step at which the predictions
# differ by more than half the *median* final distance of all pairs, one threshold for all, so that split steps compare;
# (b) half of the pair's own final distance, as in {numref}`fig-pairs`; (c) the first step at which a ridge parts them. The
# tree distance is the number of steps that are left. The leaves below are the largest final phases of the first slice,
# each by its deepest point.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-tree", "caption": "Merge tree of the final phases of the slice: average linkage of the tree distances by definition (a), with the final prediction of each leaf."}}
leaves = geodesic_distances(film.surface(p.steps - 1), phases.labels[-1], p.leaves)
if leaves:
    geodesic, (row, column) = leaves[0], leaves[1].T
    ends = pairs_between(exact, plane, L, plane.alpha[row], plane.beta[column], feature=p.feature)
    split = tree_distance(split_steps(ends.distances), p.steps)
    tree = tree_of(split)
    show(merge_tree(tree, as_bytes(exact.decode(ends.weights[-1])), xtitle="steps before the end at which they part"),
         alt="Dendrogram with the final pictures at its leaves: similar pictures merge late, unlike ones near the root")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-matrices", "caption": "Three distances of the same leaves, ordered by the tree: geodesic distance on the slice, tree distance by split steps, and distance of the final pictures."}}
if leaves:
    show(distance_matrices({"geodesic on the slice": geodesic, "split steps (a)": split,
                            "final pictures": ends.distances[-1]}, tree),
         alt="Three matrices: the split steps show blocks along the diagonal, the geodesic distances only traces of them")

# %% [markdown]
# Leaves that join at zero are too much alike ever to part by that threshold. And a tree can be drawn of anything: average linkage always returns one. Blocks along the diagonal of the middle matrix say that
# it describes something; how well, only the four numbers can tell.
#
# ## Is it ultrametric?
#
# Five kinds of distance are put to the test. On the slices of the anchor sets: the *geodesic distance* under the pullback
# metric of the last step, which is what the paper's sentence speaks of; the tree distance by split steps (a); and that by
# ridges (c). Without any slice, for independent starts that end on different pictures: the distance of the final pictures
# and the tree distance by split steps. Distances counted in steps get a tolerance of one step. Intervals are bootstraps
# over anchor sets, or over three seeds.

# %% tags=["hide-input"]
free = [starts_apart(exact, L, p.starts, p.seed + k, feature=p.feature, least=edge).distances for k in range(3)]
free = [d for d in free if len(d[0]) >= 5]
final = [ultrametricity(distances=d[-1], draws=p.draws, seed=p.seed) for d in free]
timed = [ultrametricity(distances=tree_distance(split_steps(d), p.steps), tie=1.0, draws=p.draws, seed=p.seed) for d in free]
kinds = {"binary tree (control)": controls["binary tree"],
         "slices: geodesic, last step": over_sets([one.geodesic for one in found], p.seed),
         "slices: split steps (a)": over_sets([one.split for one in found], p.seed),
         "slices: ridges (c)": over_sets([one.ridges for one in found], p.seed),
         "starts: final pictures": over_sets(final, p.seed), "starts: split steps (a)": over_sets(timed, p.seed)}
kinds = {name: u for name, u in kinds.items() if u}
display(HTML(ultrametric_table(kinds, "Ultrametricity: value [95 % interval] and the 95 % range of the null of equal spectrum")))

# %% tags=["hide-input"]
names = {"slices: geodesic, last step": "", "slices: split steps (a)": "_slice_split", "slices: ridges (c)": "_slice_ridges",
         "starts: final pictures": "_exact_final", "starts: split steps (a)": "_exact_split"}
for kind, suffix in names.items():
    for name in ("triples", "cophenetic", "gap", "delta"):
        record = getattr(kinds[kind], name).record() if kind in kinds else dict.fromkeys(("value", "low", "high", "null"))
        ledger.number(name + suffix, record, "1")
least = lambda u: min(u.triples.low, u.cophenetic.low) if u else None  # noqa: E731
words = lambda u: "nothing to measure" if u is None else (  # noqa: E731
    f"triples {u.triples.low:.2f} to {u.triples.high:.2f} (null {u.triples.null:.2f}), cophenetic "
    f"{u.cophenetic.low:.2f} to {u.cophenetic.high:.2f}; gap below its null: {u.gap.below_null}, delta: {u.delta.below_null}")
on_slice, exact_split = kinds.get("slices: geodesic, last step"), kinds.get("starts: split steps (a)")
ledger.claim("hierarchy.ultrametric_slice", "Abstract", "Distances between images in this geometry follow an ultrametric "
             "structure.", ">= 0.95", least(on_slice), note="geodesic distances on the slice, the smaller of triples and "
             f"cophenetic correlation, lower ends; {words(on_slice)}")
ledger.claim("hierarchy.ultrametric_exact", "Abstract", "The tree of split steps is ultrametric: distances of independent "
             "starts by the steps at which they part.", ">= 0.95", least(exact_split),
             note=f"the smaller of triples and cophenetic correlation, lower ends; {words(exact_split)}")
ledger.claim("hierarchy.more_than_chance", "Abstract", "Split steps are closer to a tree's distances than points of the "
             "same spectrum, or the same steps dealt to other pairs.", ">= 0", exact_split and exact_split.triples.low
             - max(exact_split.triples.null_high, exact_split.triples.shuffled), note="share of triples that agree, "
             "lower end, less the larger of the null's 97.5 % quantile and what the shuffled steps reach")

# %% [markdown]
# The rows fall into three groups. Steps at which *ridges* part the leaves are ultrametric, but that is no discovery:
# phases that nest form a tree by construction, and the row only says once more that they nest. *Split steps* of
# predictions, and final pictures, agree with a tree in more triples than points of their spectrum do, and in fewer than a
# tree does; gap and $\delta$, which look at the worst case, see no tree at all. There is a hierarchy in the data, and it is not
# a strict one. *Geodesic distances* on the slice are those of a plane
# cut by walls of different heights. A path from one phase to another may walk round a high wall, and distances add up
# along the way, which is just what ultrametric distances do not do.
#
# ## Straight inside, curved across
#
# 'Within a single mode, the latent geometry is flat: a straight line in latent space corresponds to a geodesic
# interpolation. However, when the geodesic crosses a boundary, it curves.' We take random pairs of points whose chords have
# 0.15 to 0.4 of the slice's side, and ask by what share the straight line is longer than the geodesic. Pairs inside one phase
# and pairs across a boundary are about equally far apart. The numbers are for the step at which the metric has come to rest.
# By then moving along a ridge costs next to nothing (the rank has dropped to one, chapter 5), and many curves are equally
# short; the figure shows an earlier step, before the first split, at which geodesics are still smooth and unique.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-geodesics", "caption": "Geodesics (solid) and their chords (dotted) on the first slice, over log(10⁻⁸ + tr G), at a step at which the ridges are still wide. Pairs that end in one phase, and in two."}}
wide = 2 * shown[1] // 3
lines = straightness(film.surface(wide), phases.labels[-1], 22, p.seed)
ledger.number("excess_while_ridges_are_wide", lines.medians(), f"1, inside and across, first slice, step {wide}")
some = np.concatenate([lines.spaced(side, 4) for side in (True, False)])
show(geodesic_map(np.log(1e-8 + film.trace[wide]), lines.curves[some], lines.inside[some], p.extent,
                  "log(10⁻⁸ + tr G)"),
     alt="Map of the metric with geodesics: within a phase to be most follow their chords, across a boundary they bend "
         "away from the bright ridges")

# %% tags=["hide-input"]
inside, across = over(lambda one: one.inside), over(lambda one: one.across)
alone = film_of(GaussianModel.of(exact), planes[0], L)
flat = straightness(alone.surface(resting(alone)), np.zeros(alone.E.shape[1:], dtype=int), 18, p.seed).medians()[0]
ledger.number("excess_inside", inside._asdict(), "1, share of the straight line's length")
ledger.number("excess_one_gaussian", flat, "1, share of the straight line's length")
ledger.number("excess_across", across._asdict(), "1, share of the straight line's length")
ledger.claim("hierarchy.straight_inside", "Sec. 1", "Within a mode a straight line in latent space is a geodesic.",
             "<= 0.05", inside.high, note=f"share by which the geodesic is shorter, upper end; {inside.words}; a Gaussian "
             f"fitted to the pictures, one mode: {flat:.2g}")
ledger.claim("hierarchy.curved_across", "Sec. 1", "When the geodesic crosses a boundary, it curves.", ">= 0.05",
             across.low, note=f"share by which the geodesic is shorter, lower end; {across.words}")
print(f"inside: {inside.words}\nacross: {across.words}\none Gaussian: {flat:.2g}")

# %% [markdown]
# Across a boundary the sentence is right: the geodesic looks for a pass, and the straight line climbs what lies in its
# way. Inside a phase it is right for one mode in the strict sense, the Gaussian fitted to all pictures, whose straight lines
# are geodesics to less than a thousandth. A phase of the pictures is seldom as flat: its metric falls off from its rim
# inward, by orders of magnitude, and a path that dips into the middle saves a share of a length that is small anyway.
# How large a share differs so much between slices that the interval covers everything from flat to bent.
#
# ## A trained network
#
# The same code asks the same questions of the small text-to-image model trained for this book (chapter 5), on coarse grids
# and a few anchor sets; a machine with a GPU takes more by the parameters in `notebooks/params/sd15`, which run Stable
# Diffusion at the paper's own points. Phases and split steps go by the predicted latent. The geodesic distances of the tree go
# by the image features of the decoded last prediction, as the paper's metric does; its leaves are points of the slice that lie
# far from one another, since here every point is a picture of its own.

# %% tags=["hide-input"]
net, free_t = [], []
if p.trained:
    pipeline = PipelineModel.load(p.trained, revision=p.revision or None, variant=p.variant or None, dtype=p.dtype,
                                  device=p.device, batch=p.batch)
    heard = Prompted(pipeline, pipeline.encode_prompt(p.prompt, p.negative_prompt, p.guidance))
    clip = ClipFeatures.load(p.feature_trained, p.pretrained or None, device=p.device)
    see = lambda weights: clip(torch.as_tensor(heard.decode(weights)).movedim(-1, -3))  # noqa: E731
    T = pipeline.levels(p.steps_trained)
    step_t = p.ridge_trained * heard.typical_distance(T)
    squares = [Plane(seeded_anchors(heard.shape, p.anchors_seed + k), tuple(p.extent_trained), p.grid_trained, p.normalise)
               for k in range(p.sets_trained)]
    reels = [film_of(heard, one, T, feature="latent", keep=[p.steps_trained - 1]) for one in squares]
    for k, (one, reel) in enumerate(zip(squares, reels, strict=True)):
        net.append(survey(reel, step_t, partial(pairs_between, heard, one, T, feature="latent"), leaves=p.leaves,
                          draws=p.draws, seed=p.seed + k, final=film_seen(reel, see).surface(0)))
    free_t = [starts_apart(heard, T, p.starts, p.seed + k, feature="latent", least=step_t).distances for k in range(2)]

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-pairs-trained", "caption": "The paper's Figs. 4 and 5 for the trained network: two neighbouring points of its first slice at some steps, and the distance of their predicted latents."}}
if p.trained:
    couples_t = np.array(p.pair_coordinates, dtype=float) if p.pair_coordinates else nearby_pairs(reels[0], 2, 0.3)
    near_t = pairs_between(heard, squares[0], T, *couples_t.reshape(-1, 2).T, feature="latent")
    first = np.arange(0, 2 * len(couples_t), 2)
    gone_t, parted_t = near_t.distances[:, first, first + 1].T, pair_split(near_t.distances)[first, first + 1]
    frames = sorted({round(k) for k in np.linspace(0, p.steps_trained - 1, 11)})
    pictures = as_bytes(heard.decode(near_t.weights[frames]))
    pictures = pictures.reshape(len(frames), len(couples_t), 2, *pictures.shape[2:]).swapaxes(0, 1)
    show(pair_strips(pictures, frames, gone_t, parted_t, ["(α, β) = " + " and ".join(
        f"({a:.2f}, {b:.2f})" for a, b in pair) for pair in couples_t], "rms of latents"),
         alt="Two pairs of neighbouring points of the trained network: one blurred picture at first, two different ones "
             "in the end, and the distance of their predictions")

# %% tags=["hide-input"]
if p.pair_coordinates and "dreamshaper" in p.trained.lower():
    shares = [g[:k].mean() / g[k:].mean() for g, k in zip(gone_t, parted_t, strict=True) if 0 < k < len(g)]
    ledger.claim("sd.pairs", "Figs. 4, 5", "On DreamShaper-8, the named pairs of nearby latents agree before a boundary and "
                 "differ after it.", "<= 0.25", max(shares, default=None), note="distance of the predicted latents before "
                 f"the split step over that after, the worst of {len(shares)} pairs")
over_t = lambda value: spread([value(one) for one in net], p.seed)  # noqa: E731
before_t, coarse_t = over_t(lambda one: one.pairs and one.pairs.before), over_t(lambda one: one.coarse)
within_t = over_t(lambda one: one.nesting and one.nesting.score)
chance_t = over_t(lambda one: one.nesting and one.nesting.shuffled)
timed_t = [ultrametricity(distances=tree_distance(split_steps(d), p.steps_trained), tie=1.0, draws=p.draws, seed=p.seed)
           for d in free_t if len(d[0]) >= 5]
kinds_t = {"slices: geodesic, CLIP features, last step": over_sets([one.geodesic for one in net], p.seed),
           "slices: split steps (a)": over_sets([one.split for one in net], p.seed),
           "starts: split steps (a)": over_sets(timed_t, p.seed)}
inside_t, across_t = over_t(lambda one: one.inside), over_t(lambda one: one.across)
for name, s in (("pairs", before_t), ("coarse_first", coarse_t), ("nesting", within_t), ("excess_inside", inside_t),
                ("excess_across", across_t)):
    ledger.number(f"trained_{name}", s._asdict(), "1")
of_net, split_net = kinds_t["slices: geodesic, CLIP features, last step"], kinds_t["starts: split steps (a)"]
ledger.claim("hierarchy.trained_pairs_diverge", "Sec. 3, Figs. 4, 5", "In a trained network, predictions of nearby points "
             "agree before a ridge separates them and diverge afterwards.", "<= 0.2", before_t.high, note=before_t.words)
ledger.claim("hierarchy.trained_coarse_first", "Abstract", "In a trained network, coarse boundaries come first.", "<= -0.1",
             coarse_t.high, note=coarse_t.words)
ledger.claim("hierarchy.trained_nesting", "Sec. 1, 4", "In a trained network, finer phases lie inside coarser ones.",
             ">= 0.9", within_t.low, note=f"{within_t.words}; shuffled labels {chance_t.words}")
ledger.claim("hierarchy.trained_ultrametric", "Abstract", "In a trained network, geodesic distances on the slice are "
             "ultrametric.", ">= 0.95", least(of_net), note=words(of_net))
ledger.claim("hierarchy.trained_split_steps", "Abstract", "In a trained network, the tree of split steps is ultrametric.",
             ">= 0.95", least(split_net), note=words(split_net))
ledger.claim("hierarchy.trained_straight_inside", "Sec. 1", "In a trained network, straight lines inside a phase are "
             "geodesics.", "<= 0.05", inside_t.high, note=f"{inside_t.words}; across: {across_t.words}")
if any(kinds_t.values()):
    display(HTML(ultrametric_table({k: u for k, u in kinds_t.items() if u}, "Trained network: value [95 % interval], null")))

# %% [markdown]
# Few sets and coarse grids make these intervals wide; that is what they are for. Two things differ from the exact model
# whatever the weights. The network has no flat interiors: its pictures go on changing between the boundaries, so that
# nearby points drift apart from the start and ridges stand out less. And a sampler of a dozen steps knows a dozen split
# steps at most: many triples agree for want of resolution, as the high null beside them shows.
#
# With the weights of this book, phases nest as well as in the exact model. But nearby points are a quarter of their later
# distance apart before any ridge comes between them, more than the fifth that we had allowed, and large jumps come later than small
# ones, not earlier. Inside its phases straight lines are geodesics to a few percent, and across boundaries they are
# longer by a tenth or so: these ridges are low. Its geodesic distances are no more ultrametric than those of the
# exact model.
#
# ## What was shown, and what was not
#
# In the exact model the picture of the paper is right in its first half. Neighbours agree until a ridge parts them; phases
# found in the metric nest far beyond chance, and with rare exceptions their number only grows; unlike pictures part before
# similar ones; geodesics bend across boundaries, and inside a phase they bend less, if more than a flat phase
# would let them. The second half, that distances are therefore ultrametric, does not follow. The order in which
# ridges appear is a tree, by construction. Distances in the geometry of the slice are not: they add up along a path, and
# their triples agree no more often than chance has it. Split steps and pictures lie in between, closer to a tree than
# chance and well short of one.
#
# What was not shown: that a hierarchy of *meaning* exists (chapter 5 found one of looks), or anything on Stable Diffusion
# unless it was run. The network's slices were coarse and few. A phase is a matter of the threshold `ridge`; the parameters let
# the reader move it.

# %% tags=["results", "hide-input"]
ledger.emit()
