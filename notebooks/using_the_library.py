# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Using the library
#
# The code behind this book is a library: give it a denoiser, and it gives you slices of the denoiser's latent space, the
# metric on them, their phases, and the distances between their points. This page shows its uses, from a function of
# your own to edits of a folder of pictures. It is executed whenever the book is built, and what it prints is compared when the
# book is tested. All names are listed in {doc}`../api`.
#
# ## A function of your own
#
# Whoever can write down $\hat x_0(x, \alpha, \sigma) = E[x_0 \mid \alpha x_0 + \sigma \varepsilon = x]$ has a model. Here the
# data are three points in the plane, and the denoiser is their posterior mean; it answers for each row of `x` by itself,
# whatever the others are. A plane through three random latents is then the latent space itself; `Plane(latents,
# normalise=False)` goes through three of your own.

# %%
import torch

from phasebook import Denoiser, Plane, slice_of

atoms = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.5]], dtype=torch.float64)


def denoise(x, alpha, sigma):
    distance = ((x[:, None] - alpha * atoms) ** 2).sum(-1)
    return torch.softmax(-distance / (2 * sigma**2), -1) @ atoms


model = Denoiser((2,), denoise)
plane = Plane.random(model.shape, seed=0, extent=(-1.0, 2.0, -1.0, 2.0), grid=61)
s = slice_of(model, plane, model.levels(40), jacobian="jvp")
phases = s.phases(s.ridge(share=0.3))

# %% tags=["nbval-check-output"]
for step in s.telling(4):
    print(f"step {step:2d}: sigma/alpha {s.levels.sigma_over_alpha[step]:6.2f}, phases: {phases[step].max() + 1}")

# %% [markdown]
# The slice is an xarray Dataset behind a few questions: `s.values("det")` is the paper's $S = \det G$ at every step,
# `s.values("trace", exact=True)` the trace from exact tangents, `s.phases` the regions between ridges, `s.telling` the
# steps between which something happens. A ridge is a jump of the prediction by a share of the yardstick, the distance of two
# unrelated predictions (0.2 by default). Of the metric a picture is one line; phases are an array, which any plotting
# library draws:

# %%
import plotly.express as px

metric = s.figure(s.resting())
regions = px.imshow(phases[s.resting()], x=plane.beta, y=plane.alpha, origin="lower", labels={"x": "β", "y": "α", "color": "phase"},
                    width=480, height=440).update_layout(coloraxis_showscale=False)

# %% [markdown]
# In a notebook of your own `metric` as the last line of a cell is shown, `metric.write_html("slice.html")` keeps it, and
# so does `metric.write_image("slice.png")` once `kaleido` is installed (`pip install kaleido`; it is no part of this
# environment). The folded cells below are this book's own way to show a figure, with a text for those who cannot look
# at it.

# %% mystnb={"figure": {"caption": "log tr G of a mixture of three points in the plane, late in the process: three regions, one for each point.", "name": "fig-own-function"}} tags=["hide-input"]
from phasebook.site.figures.base import show

show(metric, alt="Heat map of log tr G over the latent plane: three dark regions with bright borders that meet in one point")

# %% [markdown]
# Inside a dark region the prediction hardly moves: it is one of the three points. A phase is such a region.

# %% mystnb={"figure": {"caption": "Its phases at the same step: the regions between ridges. Pointed at, each says its number.", "name": "fig-own-phases"}} tags=["hide-input"]
show(regions, alt="Map of the latent plane in three flat colours, one for each dark region of the trace")

# %% [markdown]
# The ridges of the trace are the borders of the phases. A sharp ridge is as high on any grid and a smooth
# transition gets lower on a finer one, so phases are compared at one grid only. `share` is the least height of a border, in
# parts of the yardstick: modes of smooth data, parted by less, merge into one phase at a larger one. A share is good if a
# little more or less of it gives the same phases. `s.resting()` is the last but one of six telling steps; of smooth data
# the metric goes on changing after it, to the last step, `s.steps - 1`.
#
# Distances of latents and of pixels are root mean squares over their entries, so that they compare between models: in the
# plane `det` is a fourth of the determinant of $J^T J$, and `trace` half of its trace. Those of a feature of your own are
# Euclidean: a function that wants a mean takes it itself.
#
# `det` and `trace` are finite differences, as in the paper, so that the grid limits them; `exact=True` does not.
#
# The sampler is there for itself, forwards, from any level, and backwards. States come from latents by `model.start`. DDIM is
# of first order: of mixtures with wide components its end moves with the number of steps, and less by Heun's method,
# `dataclasses.replace(levels, order=2)`. A frame's `after` is the state that its step ends on, with what noise is left
# there; `x0` is the clean prediction.

# %% tags=["nbval-check-output"]
from phasebook import invert, resume, sample

x = model.start(plane.latents([0.2, 1.5], [0.1, 0.4]))
frames = list(sample(model, x, model.levels(40)))
final = frames[-1].after
again = resume(model, frames[20].x, torch.tensor([20, 20]), model.levels(40)).x
back = invert(model, final, model.levels(40), iterations=50, tolerance=1e-10)
print(f"resumed from step 20 it ends {'in the same place' if (again - final).abs().max() < 1e-12 else 'elsewhere'};",
      f"inverted it comes back {'to its start' if (back.x[0] - x).abs().max() < 1e-6 else 'elsewhere'}")

# %% [markdown]
# So a trajectory can be left, gone on with, and gone back, at any level.
#
# `between` follows points of the slice through all steps. From their distances splits and trees are read: here, when the
# middles of the three phases part, pair by pair.

# %% tags=["nbval-check-output"]
import numpy as np

from phasebook.slices.measures.splits import split_steps

rows, columns = np.transpose([np.argwhere(phases[-1] == k).mean(0).round().astype(int) for k in range(3)])
apart = s.between(plane.alpha[rows], plane.beta[columns]).distances
first, second = np.triu_indices(3, 1)
for i, j, step in zip(first, second, split_steps(apart[:, first, second].T), strict=True):
    print(f"phases {i} and {j} part at step {step}")

# %% [markdown]
# What the chapters measure beyond a slice is called by its module, as `split_steps` is: `phasebook.slices.measures` holds
# splits, ridges, basins and partitions, `phasebook.hierarchy` ultrametricity beside known trees and their twins,
# `phasebook.edits` edits and their judges; the last two are used below. Their docstrings say what each takes.
#
# ## A fine slice from a few of its points
#
# Most points of a fine grid lie inside a phase and have the prediction of their neighbours. `adaptive_basins` evaluates a coarse grid, halves the spacing where
# neighbours lie further apart than a ridge is high, follows the boundaries that it meets, and fills the rest. What the coarse grid steps over it cannot
# know: random probes among the filled points estimate the share that was put in a basin of other predictions. The basins are those of
# `s.phases(ridge, by="cut")` on the same grid, to whose ridges a single low edge is a gap. `dataset` keeps all of it, with the estimate, wherever xarray writes. Where an
# evaluation is dear, `store_basins` does the same and keeps each one in a folder, so that a run that was stopped goes on ({doc}`../cluster`).

# %%
from phasebook import adaptive_basins, evaluator

ridge, step = s.ridge(share=0.3), s.resting()
fine = Plane.random(model.shape, seed=0, extent=(-1.0, 2.0, -1.0, 2.0), grid=201)
found = adaptive_basins(evaluator(model, fine, model.levels(40), step, model.features["latent"]), fine.grid, ridge)
kept = found.dataset(fine)                      # kept.to_zarr("basins.zarr")
fine_map = found.figure(fine)

# %% tags=["nbval-check-output"]
print(f"{int(kept.evaluated.sum())} of {kept.evaluated.size} points evaluated;",
      f"wrongly filled: {kept.missed_value:.1%}, with 95 % confidence at most {kept.missed_high:.1%}")

# %% mystnb={"figure": {"caption": "Basins of the mixture on a grid of 201 points a side. Dark: the points that were evaluated.", "name": "fig-own-fine"}} tags=["hide-input"]
show(fine_map, alt="Three flat regions; dark points form a wide regular lattice, and lie densely along the boundaries alone")

# %% [markdown]
# The wide lattice is the coarse grid, the dense points follow the boundary; all that lies between was filled.
#
# ## A diffusers pipeline in memory, and a feature of your own
#
# `PipelineModel.of` takes a `StableDiffusionPipeline` as it is in memory, `PipelineModel.load` a directory or a hub id.
# Predictions are compared by the entries of their latents, unless you name other features: any function of the decoded
# pixels, a tensor $(p, 3, y, x)$ in $[0, 1]$, will do. Here it is the mean colour, beside the latent.

# %%
from phasebook import PipelineModel

pipe = PipelineModel.load("icons-unet-a").pipe          # the shipped StableDiffusionPipeline, in place of yours
model = PipelineModel.of(pipe, "my pipeline")


def mean_colour(pixels):
    return pixels.mean((2, 3))


s = slice_of(model, Plane.random(model.shape, seed=1, grid=5), model.levels(6), prompt=model.prompt("cat face", 3.0),
             features={"latent": model.features["latent"], "colour": mean_colour}, pictures=5, keep=[5])

# %% tags=["nbval-check-output"]
print("the mean colour varies most at step", s.values("trace", "colour").mean((1, 2)).argmax())
print("pictures kept, as steps x points x points x pixels:", " x ".join(map(str, s.pictures([5]).shape)))

# %% [markdown]
# The prompt names one picture, so the whole slice comes to show it, and what varied over the slice falls away.
#
# Without `sampler="own"` the sampler is DDIM, the paper's choice, whatever scheduler the pipeline has, with the levels and
# the clipping (`clip_sample`) that this scheduler sets. A network without
# text is a function again: a `UNet2DModel` that predicts noise is wrapped in three lines, and so is a
# `UNet2DConditionModel` with `encoder_hidden_states=text.expand(len(x), -1, -1)`. `Denoiser` asks for the clean prediction;
# the training time is the one whose noise level is nearest, so the levels are those that the network was trained for.

# %%
from diffusers import DDIMScheduler, UNet2DModel

from phasebook import scaled_linear_levels

torch.manual_seed(0)
network = UNet2DModel(sample_size=16, block_out_channels=(16, 32), norm_num_groups=8, layers_per_block=1,
                      down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D")).eval()
alpha_of = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod.sqrt()


def predict(x, alpha, sigma):
    time = int((alpha_of - alpha).abs().argmin())
    return (x - sigma * network(x, time).sample) / alpha


model = Denoiser((3, 16, 16), predict, dtype=torch.float32, levels=scaled_linear_levels, decode=lambda x0: x0 / 2 + 0.5)
s = slice_of(model, Plane.random(model.shape, seed=0, grid=4), model.levels(5), jacobian="jvp")

# %% tags=["nbval-check-output"]
print(f"the trace is positive and finite at {int((s.values('trace', exact=True) > 0).all((1, 2)).sum())} of {s.levels.steps} steps")

# %% [markdown]
# Weights at random know nothing, but a slice of them is made like any other.
#
# ## A folder of pictures
#
# The exact model needs no training: its data *are* the pictures of a folder, whose sub-folders, if any, are the
# families. `fields` adds numbers of each point that only this model has: the likeliest picture, and the entropies of
# the posterior.

# %% tags=["nbval-check-output"]
import tempfile
from pathlib import Path

from PIL import Image

from phasebook import ExactModel, load_images

folder = Path(tempfile.mkdtemp())
for colour in ("crimson", "seagreen", "royalblue", "gold"):
    Image.new("RGB", (32, 32), colour).save(folder / f"{colour}.png")
images = load_images(folder, resolution=16)
model = ExactModel.of(images)
s = slice_of(model, Plane.random(model.shape, seed=0, grid=41), model.levels(50), fields=model.fields)
reached = sorted({images.names[k] for k in s.data.atom.values[-1].ravel()})
print("pictures that the slice ends on:", ", ".join(reached))

# %% [markdown]
# A slice of an exact model ends on pictures of its folder: there are no others.
#
# ## A tree of pictures, and edits
#
# Starts that end on one picture are a leaf of the tree, and the noise level at which two pictures part is the height at which
# their branches meet. `likeness` says how nearly such heights are ultrametric, and `linkage_of` gives the tree as SciPy's
# functions take it.

# %% tags=["nbval-check-output"]
from phasebook.hierarchy.leaves import linkage_of, parted
from phasebook.hierarchy.ultrametric import likeness

starts = model.start(np.random.default_rng(0).standard_normal((40, *model.shape)))
leaves = parted(model, starts, model.levels(50), model.features["pixels"])
tree = linkage_of(leaves.heights)
print("leaves:", ", ".join(images.names[k] for k in model.weights(leaves.x0).argmax(-1).tolist()))
print(f"cophenetic correlation: {likeness(leaves.heights)['cophenetic']:.2f}")

# %% [markdown]
# An edit inverts the picture of one prompt to step $k$ and samples on with another prompt. Its $k^*$ is the largest $k$ from which
# this still ends on the other prompt's picture, here by the distance of pixels: the later, the less of the way is undone.
# Inversions want float64. States of an exact model are products with its atoms; for a plane through inverted pictures
# `Denoiser(exact.shape, exact.denoise)` is the same model, whose states are latents.

# %% tags=["nbval-check-output"]
from phasebook.edits.editing import edit, make
from phasebook.edits.judges import Judge
from phasebook.edits.pairs import listed

exact = ExactModel.of(images, dtype=torch.float64)
pairs = listed([("crimson", "gold"), ("crimson", "seagreen"), ("seagreen", "royalblue")])
made = make(exact, pairs, levels=exact.levels(50), guidance=1.0)
edits = edit(exact, Judge(exact.features["pixels"]), pairs, range(0, 51, 2), made, levels=exact.levels(50), iterations=50)
for source, target, k in zip(pairs.source, pairs.target, edits.k_star, strict=True):
    print(f"{source} to {target}: k* = {k}")

# %% [markdown]
# ## A model class of your own
#
# Anything that inherits from `phasebook.Model` and says how it starts, predicts and decodes can be sampled, inverted,
# sliced and edited; {doc}`../api` lists what the protocol asks for, and `tests/models/test_conformance.py` is the list of
# what a model owes it.
#
# What the chapters on models do with one of yours costs no code: each takes a list `models`, in which a directory or a hub id
# may stand: `phasebook run 15 -p models '["exact", "path/to/pipeline"]'`.
