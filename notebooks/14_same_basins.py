# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The same basins?
#
# A boundary may be looked at as a ridge, or as what it parts. {doc}`13_network_and_data` compared the metric of a network with that of its data. Here we
# compare what matters to a user: which latents end on the same picture. **If the network, its guidance, its sampler or its data are
# changed, does a slice of latent space keep its basins?**
#
# :::{admonition} Answer
# :class: tip
# Hardly. On a scale from other slices' basins, 0, to the same basins, 1: a U-Net shares little with a transformer whose training ended on the same pictures (`basins.any_backbone_at_levels`),
# with a U-Net of the same backbone that has learnt the other half of the pictures (`basins.of_one_backbone`), and with the exact denoiser of its own half (`basins.of_data`); nor do the exact denoisers of the two halves share much
# (`basins.of_both_halves`). It keeps more of its own basins, under twice as many steps (`basins.under_steps`) and under guidance 5 (`basins.under_guidance`), though whether that is half is
# not decided. So neither the pictures nor the backbone alone fix what a latent ends on, and which of them weighs more is open (`basins.follow_data_at_levels`). How much is left to the accidents of a single training only a second one would tell, and there is none.
# :::
#
# 'An artifact of the diffusion backbone architecture or an inherent property of the data distribution' {cite:p}`lobashev2025caffarelli`: the answer needs columns that
# differ in as few things as can be had. Their parameter is a list, so that any number of networks stands side by side.

# %% tags=["parameters"]
models = ["icons-unet-a", "icons-transformer-a"]    # pipelines of one latent space: directories or hub ids; the first is varied, the second another architecture
data = ["icons a", "icons b"]   # exact denoisers beside them
trained_on = "icons a"      # which of them holds the training data of the first model; '' if none does
same_backbone = "icons-unet-b"  # another network of the first one's backbone, trained on the other half; passed over if it is of another; '' if not at hand
views = 0                   # small variations of each training picture in the exact denoiser of the data
prompt = "emoji"
negative_prompt = ""
guidance = 1.0              # 1 or less: none
guidances = [5.0]           # further ones of the first model; the paper's authors take 5
steps = 8                   # of the first model's sampler (DDIM, eta 0), at whose noise levels all are finished
step_counts = [16]          # further ones of the first model
judge = "icons-clip-b"      # an open_clip model by whose features final pictures are told apart
pretrained = ""             # its checkpoint, where it is a name: openai, or a .safetensors file
cut = 0.5                   # pictures further apart than this share of a typical distance are of two basins
anchors_seed = 60
extent = [0.3, 0.7, 0.3, 0.7]   # alpha0, alpha1, beta0, beta1: so small that a basin holds several points
normalise = True            # divide each latent by its standard deviation
sets = 12                   # slices
sets_grid = 6               # points along each side of them
revision = ""               # of a hub id: a branch, tag or commit
variant = ""                # of the weights' files, such as fp16
dtype = "float32"           # the network's; or bfloat16, float16
batch = 100                 # latents that the network takes at a time
device = "cpu"
seed = 0                    # of the known answer's cells

# %% tags=["hide-input"]
from phasebook.site.chapters.basins import Chapter
from phasebook.site.results.ledger import Ledger

p = Chapter.read(globals())
ledger = Ledger("14_same_basins", p)

# %% tags=["hide-input"]
import numpy as np
from IPython.display import HTML, display

from phasebook.site.chapters.basins import basins_of, chance_in_words, columns, finals
from phasebook.site.chapters.network import over_slices
from phasebook.site.chapters.slices import planes
from phasebook.site.checks.models import judge_of, subjects, trained_subject
from phasebook.site.figures.base import show, table
from phasebook.site.figures.divisions import partitions
from phasebook.site.results.tables import told
from phasebook.slices.measures.partitions import displacement, shared_basins
from phasebook.stats import median_interval

# %% [markdown]
# ## A measure with a known answer
#
# Let every point of a slice carry the label of its basin, once by one model and once by another. The information that the labellings share,
# $I(A; B) / \sqrt{H(A) H(B)}$, is one where each tells the other, however the labels are named, and nought where they are independent. But on few points it is
# badly inflated: labels that have nothing to do with one another share a good part of their information by accident, and basins are compact,
# which adds to it. So the null are basins of *other* slices, and a score is $(s - s_0)/(1 - s_0)$, nought for strangers.
#
# Cells of random centres have the look of basins. The same cells under other names, and cells of other centres, are the two ends of the scale.

# %%
rng, side = np.random.default_rng(p.seed), np.linspace(0, 1, p.sets_grid)
centres = rng.random((2, p.sets, 6, 2))
at = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 1, 2)
cells, others = (np.stack([((at - c)**2).sum(-1).argmin(1) for c in kind]) for kind in centres)
scale = {"the same cells, renamed": shared_basins(cells, 5 - cells), "other cells": shared_basins(cells, others)}

# %% tags=["hide-input", "nbval-check-output"]
for name, one in scale.items():
    print(f"{name}: {chance_in_words(one)}")
ledger.number("shared_by_chance", float(np.nanmedian(scale["other cells"].own)), "share of the information, before the null is taken off")

# %% [markdown]
# Renamed cells score one and strangers nought; what lies between is to be read on this scale.
#
# ## Columns
#
# Each column finishes the same slices: the networks as they are, the first of them with other guidances and other numbers of steps, and the exact denoisers
# of sets of pictures in the same latent space, whose latents the network's own decoder turns into pictures. Eight steps of one sampler stand at other noise levels than eight
# of another, and steps as few as these give even one exact denoiser different basins. So every column but that of other steps has the levels of the first network: the same $\sigma/\alpha$ at each step,
# and from the same latent the same $x/\alpha$ to begin with. A basin is a cluster of final pictures in the
# features of a CLIP model (average linkage, cut at half of the distance that final pictures of different slices have). No metric enters, and no ridge.

# %%
networks = subjects(p)
judge = judge_of(p)
several = planes(networks[0].model.shape, p.anchors_seed, p.sets, p.extent, p.sets_grid, p.normalise)
kin = trained_subject(p, p.kin, like=p.models[0]) if p.kin else None
made = columns(p, networks + [kin] * bool(kin))
pictures = {name: finals(column, several, judge) for name, column in made.items()}
basins = basins_of(pictures, p.cut)
names, base = list(made), networks[0].title

# %%
pairs = {(a, b): shared_basins(basins[a], basins[b]) for a in names for b in names if a != b}
score = {pair: over_slices(one.beyond) for pair, one in pairs.items()}


def of(first, second):
    return score.get((first, second)) if first in made and second in made else None


# %% tags=["hide-input"]
cell = lambda a, b: "" if a == b else "no basins" if score[a, b] is None else f"{score[a, b].value:z.2f}"
rows = [(a, *(cell(a, b) for b in names), f"{np.median([len(set(x)) for x in basins[a]]):.0f}") for a in names]
display(HTML(table(("", *names, "basins"), rows, "Information that basins share beyond chance (medians over slices), and basins a slice")))
for a in names:
    ledger.number(f"basins_{a}", [len(set(x)) for x in basins[a]], "1, a slice each")

# %% mystnb={"figure": {"caption": "Three slices, and how each model divides them, a row each, \u03b1 up and \u03b2 to the right: one colour for each basin, that of the first row's basin with which it shares most points.", "name": "fig-same-basins"}} tags=["hide-input"]
shown = np.stack([basins[name].reshape(-1, p.sets_grid, p.sets_grid)[:3] for name in names])
show(partitions(names, shown), alt="Basins of three slices as the U-Net, the transformer, a U-Net of the other half, other guidance, other steps and two exact denoisers divide them, a row each: "
     "only other steps and guidance keep some of the outlines")

# %% [markdown]
# The claims read the table where the thing in question differs, each with an interval over slices, and two differences slice by slice. Guidance, steps and the two halves of
# the data differ in that thing alone; U-Net and transformer in backbone, objective, and in what they saw first, not in the noise levels; the two U-Nets in the half they learnt, in the seed, and in that the first began with all things of its half.

# %% tags=["hide-input", "nbval-check-output"]
exact = [name for name in names if name.startswith("exact")]
strongest = f"guidance {max(p.guidances):g}" if p.guidances else ""
twice = f"{2 * p.at('steps', p.models[0])} steps"
own, other = f"exact, {p.trained_on}", networks[1].title if len(networks) > 1 else ""
asked = {"of_data": (base, own), "any_backbone_at_levels": (base, other), "of_one_backbone": (base, again := kin.title if kin else ""),
         "of_both_halves": (exact[0], exact[1]) if len(exact) > 1 else ("", ""), "under_guidance": (base, strongest), "under_steps": (base, twice)}
for claim, (first, second) in asked.items():
    share = of(first, second)
    ledger.claim(f"basins.{claim}", share, note=f"{first} and {second}" if share else "not among the columns")
    print(f"{first} and {second}: measured on {share.n} slices" if share else f"{claim.replace('_', ' ')}: not among the columns")
for claim, (one, two) in {"networks_nearer_at_levels": (other, own), "follow_data_at_levels": (other, again)}.items():
    more = pairs[base, one].beyond - pairs[base, two].beyond if {one, two} <= set(made) else np.empty(0)
    ledger.claim(f"basins.{claim}", over_slices(more), note="" if len(more) else "not among the columns")

# %% [markdown]
# What would refute 'data': a network that shares no more with the exact denoiser of its data than with other slices, while it shares nearly all with
# itself at another number of steps. What would refute 'architecture': two backbones that share as much as one does with itself. Neither is so: with other steps the network shares 0.6 with itself, and with another backbone 0.2.
# The row of steps is the yardstick for both, since nothing but the sampler differs there: the error of its steps, and the level that a latent is taken to lie at, since sixteen steps begin a little
# noisier than eight. The second U-Net has learnt other pictures of the same things, so what it shares with the first is the backbone's or the distribution's.
#
# ## Where guidance puts the boundaries
#
# Shared information does not tell whether a boundary has moved a little or been drawn anew. So we measure the mean distance from each boundary of one
# column to the nearest of another, both ways, in units of $\alpha$ and $\beta$; a boundary is seen to move by half a spacing at the least, and a mean over boundaries may be smaller. Beside guidance stands the
# other number of steps, which ought to move nothing, and beside both the boundaries of another slice, which have nothing in common with these.

# %%
def moved(name, ahead=0):
    """On each slice; or against the slices that lie `ahead`, which have nothing in common with it."""
    shape = (-1, p.sets_grid, p.sets_grid)
    both = zip(basins[base].reshape(shape), np.roll(basins[name].reshape(shape), ahead, axis=0), strict=True)
    return [displacement(a, b, several[0].spacing) for a, b in both]


changed = [f"guidance {g:g}" for g in p.guidances]
steps_moved, guidance_moved = ({name: median_interval(moved(name)) for name in some}
                               for some in ([f"{k} steps" for k in p.step_counts], changed))
strangers = {name: median_interval(moved(name, 1)) for name in (*steps_moved, *guidance_moved)}

# %% tags=["hide-input"]
rows = [(name, told(one), told(strangers[name])) for name, one in (steps_moved | guidance_moved).items()]
display(HTML(table(("", "moved", "from another slice's"), rows, f"Displacement of boundaries, in units of a slice whose points lie {several[0].spacing[0]:.3f} apart")))
for name, one in (steps_moved | guidance_moved).items():
    ledger.number(f"displacement_{name}", one and one.value, "units of alpha and beta, median over slices")
    ledger.number(f"displacement_null_{name}", strangers[name] and strangers[name].value, "the same, to the next slice's boundaries")

# %% [markdown]
# The displacement under other steps is the error of the sampler and of where it begins, and what guidance moves is to be read above it. Boundaries fill so small a grid that those of another
# slice are but half a spacing away: that is the upper end of the scale. Guidance lies between the two ends, with an interval that overlaps with both, so whether it moves boundaries by more than the steps do is not decided.
#
# ## What was shown, and what was not
#
# Shown: how much of the division of a slice survives a change of one thing, for every column that is at hand, on a scale whose two ends are known.
#
# Not shown: a second training of either backbone on the same pictures, from another seed, which would tell the pictures from the run; other samplers; what each network ends on by many steps, where levels matter less; whether guidance shrinks the basins that its prompt does not favour. The CLIP model by which pictures are told apart has learnt the other half of the
# icons, that of the second U-Net, and not the pictures of the other networks; pictures that it takes for one another are of one basin here. Eight statements rest on intervals of 95 %.

# %% tags=["results", "hide-input"]
ledger.emit()
