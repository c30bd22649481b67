# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Transitions in time
#
# The chapters before cut latent *space*. Statistical physics cuts *time*: as the noise falls, a diffusion first decides the class of a sample
# (speciation), and much later the sample itself (collapse) {cite:p}`biroli2024dynamical`. The theory names both moments from the covariance of the
# data, without a network and without a slice. **Do pictures part where the theory of two Gaussian classes says, and do the first ridges of a slice
# wait for it?**
#
# :::{admonition} Answer
# :class: tip
# For two families of pictures, yes: at the noise level that the largest eigenvalue names, two denoisings of one noisy picture end in the same family
# with a probability of 0.77 (0.76 to 0.78), and the theory without a parameter says 0.7752. With all sixteen families at once half of the decision is
# made at 0.7 of that level (more than a quarter below it or not is undecided), and single pictures are settled at 0.4. The variance of what a
# denoising changes peaks beside the level of the families. Whether ridges wait is undecided, since it depends on the grid: of fifty slices of the
# exact model not one has a ridge before the speciation level on 25 and 49 lines, and ten have on 13, where neighbours lie so far apart that a swell
# will do. On 25 lines the first comes at 0.7 of that level (median), about where the families are settled. Of two factors the one with the larger
# share of the variance comes first, beyond what shuffled labels would give: what an icon shows before its style, and the style before it once it is
# exaggerated.
# :::
#
# We begin with the known answer, two classes, and with a check that a sampler's trips are those of the posterior.

# %% tags=["parameters"]
models = ["exact"]          # the exact denoiser of an image set, first; then directories or hub ids of pipelines
image_set = "families"      # of the exact model: families, emoji, digits, or the path of a directory of pictures
families = []               # only these families of the set; [] for all
resolution = 64             # pixels on a side
schedule = "scaled_linear"  # of the exact model: Stable Diffusion's; or log_snr
steps = 50                  # of the sampler; one number for all models, or one for each
trained_on = "icons a"      # the networks' data: icons a, icons b, or a list as of steps; '' if not at hand
views = 1                   # small variations of each training picture in the exact denoiser of the data
samples = 2000              # trips of the exact model to each noise level, by its posterior
starts = 840                # trips through a sampler, two from each picture of the emoji; likewise
visits = 31                 # noise levels of a trip; likewise
slices = 50                 # whose first ridges are looked for; likewise
grid = 25                   # points along each side of them; likewise
extent = [0.0, 1.0, 0.0, 1.0]   # alpha0, alpha1, beta0, beta1
factor_sets = 12            # disjoint sets of icons for the last section; 0 to leave it out
anchors_seed = 40
prompt = "emoji"
negative_prompt = ""
guidance = 1.0              # 1 or less: none
revision = ""               # of a hub id: a branch, tag or commit
variant = ""                # of the weights' files, such as fp16
dtype = "float32"           # the network's; or bfloat16, float16
device = "cpu"
batch = 100                 # latents that the network takes at a time
seed = 0                    # of noise and starts

# %% tags=["hide-input"]
from phasebook.site.chapters.transitions import Chapter
from phasebook.site.results.ledger import Ledger

p = Chapter.read(globals())
ledger = Ledger("16_temporal_transitions", p)

# %% tags=["hide-input"]
from functools import partial

import numpy as np
from IPython.display import HTML, display

from phasebook.hierarchy.factors import factor_split, variance_share
from phasebook.hierarchy.transitions import (
    collapse_of,
    exact_trips,
    pair_clones,
    peak_over_class,
    sampled_trips,
    settled,
    starts_of,
    susceptibility,
)
from phasebook.mixtures.regimes import clone_probability
from phasebook.site.chapters.slices import planes
from phasebook.site.chapters.transitions import (
    factor_levels,
    factors_on_slices,
    first_ridges,
    icon_parts,
    kept_more,
    lead,
    recorded,
    ridges_table,
    states_of,
    travellers,
    trips_of,
    weighted,
)
from phasebook.site.checks.models import subjects
from phasebook.site.figures.base import show
from phasebook.site.figures.slices import curves, overlaid
from phasebook.slices.measures.statistics import hull
from phasebook.slices.slice import RIDGE
from phasebook.stats import Estimate, grouped_bootstrap, median_interval, share_interval

# %% [markdown]
# ## Trips
#
# Noise a picture to a level $r = \sigma/\alpha$ and denoise it again by the reverse *stochastic* process. It ends on a draw from the posterior
# $p(x_0 \mid x_t)$: what the trip keeps was decided at $r$, what it loses was not {cite:p}`sclocchi2025phase`. Two trips from one noisy state are
# *clones*. In the exact model of $n$ pictures the posterior is a list of $n$ weights, so that no sampler is needed; a network travels through its own. By
# Bayes' rule the picture before the trip is itself a draw from that posterior. So a trip keeps the family as often as two clones share
# one, and either may be counted.
#
# Are the sampler's trips the posterior's? The exact model can be asked both ways.

# %%
here = travellers(subjects(p), p)
first = here[p.models[0]]
exact, levels = first.subject.model, first.subject.levels
trips = {name: trips_of(one, p.samples, p.at("starts", name), p.at("visits", name), p.seed) for name, one in here.items()}

middle = int(np.argmin(np.abs(np.log(first.noise / 0.7))))
walk = states_of(exact, starts_of(p.at("starts", first.subject.name), len(exact.atoms), p.seed))
walked = sampled_trips(exact, walk, levels, [middle], first.label, seed=p.seed)
straight = exact_trips(exact.gram.cpu().numpy(), exact.family, walked.noise, p.samples, p.seed)

# %% tags=["hide-input"]
ledger.claim("transitions.walked_as_drawn", kept_more(walked, straight, p.seed), note=f"ν = {first.noise[middle]:.2f}, {levels.steps} steps")

# %% [markdown]
# Walked trips of fifty steps keep the family more often, by some four hundredths. To that accuracy the drawn ones, which cost nothing, stand for both.
#
# ## Two families
#
# Take two families alone, equally many pictures of each. Let $\Lambda_1$ be the largest eigenvalue of the covariance of the two together. The theory
# has two Gaussian clouds $\mathcal N(\pm M e, vI)$ far apart, $\Lambda_1 = M^2 + v$, and says: at $r^2 = \Lambda_1$ clones share a class with the
# probability of {eq}`eq-clones`, 0.7752, whatever $M$, $v$ and the dimension. Families of pictures are no Gaussian clouds. They have axes of their
# own, nine to ninety-seven members, and for a few pairs the first axis is not even the one that parts them.

# %%
table = pair_clones(exact.gram.cpu().numpy(), exact.family, min(p.samples, 1000), p.seed)


def of_families(index):
    part = table[np.ix_(index, index)]
    return float(np.nanmedian(part)) if np.isfinite(part).any() else np.nan


clones = grouped_bootstrap(of_families, np.arange(len(table)), p.seed, least=10) if len(table) > 1 else None

# %% tags=["hide-input", "nbval-check-output"]
ledger.claim("transitions.clones", clones, note="median over pairs of families; the interval draws families")
if clones:
    print(f"clones share a family: {clones.value:.2f}; two Gaussian classes: {clone_probability():.4f}")

# %% [markdown]
# The median over pairs of families is the number of the theory, and nearly nine in ten pairs lie within three hundredths of it. A formula for two Gaussians
# in infinitely many dimensions describes two handfuls of emoji.
#
# ## All families, and single pictures
#
# With sixteen families there are many axes. *Settled* is the level at which the share that a trip keeps has come half way from what chance keeps, at the
# noisiest level, to all. Beside the family stands the picture itself. For the collapse the theory compares the entropy $\log n$ of the choice with
# that of a Gaussian cloud: $\frac12 \sum_j \log (1 + \lambda_j / r^2) = \log n$, here with the eigenvalues $\lambda_j$ of the pictures' own covariance.

# %%
def settled_at(name, what):
    one, noise = trips[name], trips[name].noise / here[name].deviation
    group = one.origin if what == "picture" or name == p.models[0] else np.arange(one.label.shape[1])
    return grouped_bootstrap(lambda index: settled(noise, getattr(one, what)[:, index].mean(1)), group, p.seed,
                             draws=300, least=10)


family = {name: settled_at(name, "label") for name, one in trips.items() if one}
picture = settled_at(p.models[0], "picture")
predicted = collapse_of(exact.gram.cpu().numpy()) / first.deviation

# %% mystnb={"figure": {"caption": "What a trip to \u03bd and back keeps: the family (of a network: Unicode's group of the nearest training picture) and, in the exact model, the picture itself; and how often two clones share the family, which for an exact posterior is as often as it is kept: one curve hides the other.", "name": "fig-trips"}} tags=["hide-input"]
figures = []
for name, one in trips.items():
    if one:
        title = here[name].subject.title
        rows = {"family kept": one.label, "clones agree": one.clones, "picture kept": one.picture}
        lines = {f"{title}: {label}": row.mean(1) for label, row in rows.items() if np.isfinite(row).all()}
        figures.append(curves(one.noise / here[name].deviation, lines, log="x", reverse=True, xtitle="ν", ytitle="share of trips"))
if figures:
    show(overlaid(figures), alt="Share of trips that keep the family and of clones that agree, against "
             "nu: near chance at large noise, rising to one; the picture itself is kept only at lower noise")

# %% tags=["hide-input", "nbval-check-output"]
ledger.claim("transitions.speciation", family[p.models[0]], note="in units of sqrt Λ₁; the interval draws families")
ratio = picture and Estimate(*(x / predicted for x in picture[:3]), picture.n)
ledger.claim("transitions.collapse", ratio, note="measured over predicted level")
ledger.number("collapse_predicted", predicted, "nu")
for name, one in family.items():
    ledger.number(f"class_level_{here[name].subject.title}", one and one.value, "nu")
    print(f"{here[name].subject.title}: family settled at nu = " + (f"{one.value:.1f}" if one else "no level"))

# %% [markdown]
# Family before picture, by a factor of 1.6 in the noise. With all families at once the half-way level lies below the speciation level; whether by
# more than a quarter is undecided. The formula does not forbid it: it names the *first* split, along the first axis, and further ones follow along
# lesser axes. The collapse, too, comes at a lower noise than the random energy model says, by an eighth, and whether by more than a quarter is
# undecided as well. The model counts the pictures as a Gaussian cloud; those that have near-copies among them are chosen late.
#
# Clones and trips agree in {numref}`fig-trips`, as Bayes' rule wants. A network's curves may agree less: its starts are its own samples, its families are Unicode's
# groups, which are of meaning, and the group of the nearest training picture is a rough label for a melted one.
#
# ## The largest fluctuation
#
# At large noise all trips change everything, at small noise nothing. Between, some trips change the family and some do not, and the variance of
# the change is large. Its peak is the dynamical susceptibility's, by which the transition of the class was found without any labels
# {cite:p}`sclocchi2025phase`. With two classes there would be no peak, since pure noise has the largest variance of all; with many there is one.

# %%
peaks = {}
for name, one in trips.items():
    if one:
        group = one.origin if name == p.models[0] else np.arange(one.label.shape[1])
        peaks[name] = grouped_bootstrap(partial(peak_over_class, one), group, p.seed, draws=300, least=10)

# %% mystnb={"figure": {"caption": "Variance of the change under a trip to \u03bd and back, over its largest value.", "name": "fig-susceptibility"}} tags=["hide-input"]
figures = []
for name, one in trips.items():
    if one:
        spread = susceptibility(one, np.arange(one.label.shape[1]))
        figures.append(curves(one.noise / here[name].deviation, {here[name].subject.title: spread / spread.max()}, log="x", reverse=True,
                              xtitle="ν", ytitle="variance of the change", height=300))
if figures:
    show(overlaid(figures),
         alt="Variance of the change against nu: level at large noise, a peak below nu one, then falling to zero")

# %% tags=["hide-input"]
for name in here:
    ledger.claim("transitions.susceptibility", peaks.get(name), model=name,
                 note="level of the peak over that of the class" if name in peaks else "its data are not at hand")

# %% [markdown]
# In the exact model the peak lies beside the level at which the class is settled, and above that of single pictures, by a half. So the fluctuation goes with the
# choice of the family.
#
# ## The first ridges
#
# Space and time meet here. If boundaries are choices, none should be there before the data begin to split at $\nu = 1$. On each slice we take the
# first step at which two neighbours on the grid are a ridge apart. That is a statement about a grid as well: on a coarse one neighbours lie so far
# apart that a mere swell lifts them by a fifth. So the same slices are swept on half as many lines and on twice as many, and the fifth is halved and doubled.

# %%
sizes = {name: (p.at("grid", name), max(2, (p.at("grid", name) + 1) // 2), 2 * p.at("grid", name) - 1) for name in here}
begun = {}
for name, one in here.items():
    for size, until in zip(sizes[name], (0.25, 0.25, 1), strict=True):       # the finest before the split alone
        several = planes(one.subject.model.shape, p.anchors_seed, p.at("slices", name), p.extent, size, True)
        begun[name, size] = first_ridges(one, several, until)

# %% mystnb={"figure": {"caption": "Share of slices on which some neighbours of the grid are a ridge apart, against \u03bd. One is the speciation level of the data; the finest grid was swept no further.", "name": "fig-first-ridges"}} tags=["hide-input"]
figures = []
for name, one in here.items():
    shown, lines = one.noise[one.noise >= 0.25], {}
    for size, until in sorted(zip(sizes[name], (0.25, 0.25, 1), strict=True)):
        known = np.array([x or 0 for x in begun[name, size][RIDGE]])
        share = (known[:, None] >= shown - 1e-12).mean(0)
        lines[f"{one.subject.title}, {size} lines"] = np.where(shown >= until, share, np.nan)
    figures.append(curves(shown, lines, log="x", reverse=True, xtitle="ν", ytitle="slices with a ridge", height=300))
show(overlaid(figures),
     alt="Share of slices with a ridge against nu on three grids: none above nu one on the finer, all of them near a quarter on the two that are followed so far")

# %% tags=["hide-input"]
early = {}
for name, one in here.items():
    before = {size: [sum(x is not None and x > 1 for x in levels) for levels in begun[name, size].values()] for size in sizes[name]}
    shares = [share_interval(before[size][1], p.at("slices", name)) for size in sizes[name]]
    ledger.claim("transitions.none_before", hull(shares), model=name, note=f"grids of {', '.join(map(str, sizes[name]))} lines")
    rows = {f"{size} lines": {f"{share:.1f}": recorded(levels) for share, levels in begun[name, size].items()} for size in sizes[name]}
    ledger.number(f"first_ridges_{one.subject.title}", rows, "nu, a slice each, by grid and threshold")
    display(HTML(ridges_table(one.subject.title, {size: begun[name, size] for size in sorted(sizes[name])})))
    early[one.subject.title] = before[sizes[name][0]][1]

# %% tags=["nbval-check-output"]
for title, slices in early.items():
    print(f"{title}: slices with a ridge at nu > 1: {slices}")

# %% [markdown]
# On 25 lines none of fifty slices has a ridge before the speciation level, and four in ten have one by the time the families are settled. On 49 lines
# none has one before it either, on 13 ten have: over the three grids of the claim it is undecided.
#
# The closer neighbours lie, the later they are a ridge apart. If a tenth makes a ridge, eleven slices have one before the split on 25 lines, and none
# on 49: what stood there were swells. So the eigenvalue of a covariance, which needs neither model nor slice, bounds from above where phase
# boundaries begin, for neighbours that are near enough; where they do begin it does not say.
#
# ## Two factors: style or thing?
#
# The icons have two factors: a thing and the style of the artist who drew it, each thing in several styles. Which of the two is decided first? The theory
# suggests the one with the larger part of the covariance. We measure the share of the variance that lies between the classes of each factor, less what as
# many classes take by chance ($\omega^2$), and the level at which trips settle it, on disjoint sets of things. Any labels have such a level: once the
# picture is chosen, all its labels are, and a label of few classes is then settled at another level than one of many. So both factors are shuffled among the
# pictures too, and the ratio of the two levels is taken over that of the shuffled labels. And there is a known answer: icons whose style is
# exaggerated, the mean of each style times eight, until it has the larger share.

# %%
share, order, beyond, turned = {"style": [], "thing": [], "style, eightfold": []}, [], [], []
parts = icon_parts(p.factor_sets, p.seed) if p.factor_sets else None
for number, index in enumerate(parts.index if parts else []):
    gram = parts.model.subset(index).gram.double().numpy()
    style, thing = parts.style[index], parts.thing[index]
    strong = weighted(gram, style, 8)
    for name, products, labels in (("style", gram, style), ("thing", gram, thing), ("style, eightfold", strong, style)):
        share[name].append(variance_share(products, labels).omega)
    own, other = (factor_levels(products, style, thing, min(p.samples, 500), p.seed + number) for products in (gram, strong))
    order.append(lead(own))
    beyond.append(factor_split(own, "style", "shuffled style"))
    turned.append(lead(other))

# %% tags=["hide-input", "nbval-check-output"]
larger = [a - b for a, b in zip(share["thing"], share["style"], strict=True)]
ledger.claim("factors.thing_larger", median_interval(larger), note=f"{len(order)} disjoint sets of things")
ledger.claim("factors.thing_before_style", median_interval(order), note="exact model")
ledger.claim("factors.style_before_thing", median_interval(turned), note="exact model of exaggerated icons")
ledger.claim("factors.style_of_its_own", median_interval(beyond), note="over that of shuffled styles")
for name, values in share.items():
    if values:
        print(f"share of the variance, {name}: {np.median(values):.2f}")
for name, one in here.items():
    if name != p.models[0]:
        several = planes(one.subject.model.shape, p.anchors_seed, p.at("slices", name), p.extent, p.at("grid", name), True)
        ratios = factors_on_slices(one, several, p.at("visits", name), p.seed)
        ledger.claim("factors.thing_before_style", median_interval(ratios), model=name, note="" if ratios else "not trained on icons")

# %% [markdown]
# The thing takes two fifths of the variance, the style little more than a hundredth. That the style has the lower level, by seven hundredths, proves nothing by itself:
# shuffled styles would have about the same, since a label of no meaning is settled with the picture. But things and styles that are both shuffled have equal levels, to a hundredth,
# so that the lead of the thing is its own (0.93 in the median, 0.92 to 0.97 on single sets). Exaggerated eightfold, the style takes nearly six tenths of the variance, and is settled at twice the level of the thing.
# A share says which factor comes first, not by how much: here thirty to one gives seven hundredths. The style as it is, is settled one or two hundredths
# before shuffled styles would be: artists draw one thing so much alike that the style is a fine
# detail, and a hierarchy 'style, then thing' does not exist in these data. For a network on icons the same number is read off the samples of its
# slices, trained on `icons a` or `icons b`.
#
# ## What was shown, and what was not
#
# The theory of two Gaussian classes holds for two families of pictures without a parameter; with many families half of the decision is made below its
# level, by more than a quarter or less. The variance of what a trip changes peaks where the class is settled. Whether ridges of a slice come after
# speciation is undecided over three grids; on the two finer ones they do. Of the two factors of icons the larger is settled first, as they are and
# exaggerated.
#
# Not shown: that early ridges are the pictures' own (a Gaussian of the same covariance was not swept beside them); that the collapse level is the
# right one for a network, which has no single pictures to collapse on; and anything about classes by meaning. Families here are families by looks. No
# network is among the default models: trips, slices and factors with intervals take it some hundred thousand evaluations, many minutes on a
# processor. `-p models '["exact", "icons-unet-a"]'` puts one there, and its trips then go through its own sampler. Ten statements rest on intervals
# of 95 %, each read by itself.

# %% tags=["results", "hide-input"]
ledger.emit()
