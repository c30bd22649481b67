# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A network against its data
#
# In {doc}`11_phase_boundaries` there was no network, and there were boundaries. A network is trained to be such an exact denoiser, of its own data, and
# never quite becomes it. The paper's question is whether the phase boundaries are 'an artifact of the diffusion backbone architecture or an
# inherent property of the data distribution', and it argues for the latter {cite:p}`lobashev2025caffarelli`. With a network *and* the exact denoiser of
# its data on one and the same slice, the question can be put to the test. **Are a network's boundaries those of its data?**
#
# :::{admonition} Answer
# :class: tip
# Not those of its training set, for the most part. On a scale from chance, 0, to the same map, 1, a network and the exact denoiser of its own pictures agree by less than half, and no better than chance as far as twelve slices tell,
# where boundaries begin (`pipeline.own_data_onset`) and where they form (`pipeline.own_data_forming`). So do the exact denoisers of two halves of the data (`pipeline.halves_onset`, `pipeline.halves_forming`): their boundaries are walls between single pictures.
# A U-Net and a transformer that learnt the same half agree better than chance (`pipeline.architecture_onset`, `pipeline.architecture_forming`), and so do two U-Nets that learnt
# two halves (`pipeline.backbone_onset`, `pipeline.backbone_forming`); which of the two do more is not decided (differences: `pipeline.follow_data_onset`, `pipeline.follow_data_forming`). Nor is it whether U-Net and transformer agree better with each other than with the
# denoiser of a Gaussian, which knows mean and covariance of the data and has no boundary at all (differences: `pipeline.more_than_covariance_onset`, `pipeline.more_than_covariance_forming`): what networks share may be no more than that.
# :::
#
# What would have refuted 'data': maps that agree no better on the same slice than on different ones. What would have refuted
# 'architecture': two backbones that agree by more than the covariance of their data makes them, or one backbone that, having learnt other pictures, agrees with itself no more than with another. We begin with a known answer, diffusers' own sampler, and end with the comparison.

# %% tags=["parameters"]
models = ["icons-unet-a", "icons-transformer-a"]    # pipelines: directories or hub ids; exact denoisers are compared with the first
trained_on = "icons a"      # the data they were trained on: icons a, icons b, a list with one for each; '' if not at hand
other_half = "icons b"      # pictures that the first was not trained on, where it is known on which it was; '' if not at hand
same_backbone = "icons-unet-b"  # another network of the first one's backbone, trained on the other half; passed over if it is of another; '' if not at hand
views = 1                   # small variations of each training picture in the exact denoiser of the data
prompt = "emoji"
negative_prompt = ""
guidance = 1.0              # 1 or less: none; the paper's authors take 5
steps = 20                  # of the sampler (DDIM, eta 0)
judge = "icons-clip-b"      # an open_clip model whose image features are measured: directory or name
pretrained = ""             # its checkpoint, where it is a name: openai, or a .safetensors file
anchors_seed = 6
extent = [0.0, 1.0, 0.0, 1.0]   # alpha0, alpha1, beta0, beta1
normalise = True            # divide each latent by its standard deviation
grid = 10                   # points along each side of the slice that is shown
shown = 6                   # steps of it that are decoded
sets = 12                   # further anchor sets for what is claimed, on a coarser grid
sets_grid = 7
ridges = 1                  # of each of these slices, at which tangents are taken
revision = ""               # of a hub id: a branch, tag or commit
variant = ""                # of the weights' files, such as fp16
dtype = "float32"           # the network's; or bfloat16, float16
batch = 100                 # latents that the network takes at a time
device = "cpu"
seed = 0                    # of everything that is sampled for checks

# %% tags=["hide-input"]
from phasebook.site.chapters.network import Chapter
from phasebook.site.results.ledger import Ledger

p = Chapter.read(globals())
ledger = Ledger("13_network_and_data", p)

# %% tags=["hide-input"]
from html import escape
from itertools import combinations

import numpy as np
from IPython.display import HTML, display

from phasebook.models.gaussian import GaussianModel
from phasebook.sampling.features import OfPixels
from phasebook.site.chapters.network import (
    above_both,
    agreement_within,
    as_well,
    datasets,
    deviation_of,
    from_diffusers,
    maps_of,
    nearest_kind,
    nearest_steps,
    over_slices,
    same_kinds,
    without_ends,
)
from phasebook.site.chapters.slices import planes
from phasebook.site.chapters.two_models import DrawnBy, basin_of, toggle_album
from phasebook.site.checks.models import judge_of, subjects, trained_subject
from phasebook.site.figures.album import show_albums
from phasebook.site.figures.base import show, table
from phasebook.site.figures.slices import Map, curves, overlaid, show_strip, strip_html
from phasebook.site.results.tables import signs, told
from phasebook.slices.measures.ridges import isotropy, medians, ridge_edges, ridges_at, without_swells
from phasebook.slices.measures.statistics import agreement, basin_counts, late, mean_s, observations, ridge_share
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import slice_of
from phasebook.stats import median_interval

# %% [markdown]
# ## The network, and diffusers' sampler as the known answer
#
# The paper's own object is a text-to-image latent diffusion model, its pictures measured through CLIP. Here is a small one of that kind, trained for this
# book on icons: an autoencoder with latents of shape $4 \times 16 \times 16$, a U-Net that is given a prompt, and Stable Diffusion's schedule. Beside it stands a
# diffusion transformer of the same size, on the same latents and words, with flow matching. Their cards lie beside the weights. Both learnt half of the pictures of 398 things that look
# alike in six styles, `icons a` (the U-Net had begun with this half of all 1382 things, of which its exact denoiser has only the 398). The other half, `icons b`, shows the same things in the same styles; a second U-Net, of the same layers, has learnt it. All three go through the same slice code as the exact model. So would Stable Diffusion itself, under the
# parameters in `notebooks/params/sd15`, where there is a GPU. Unlike the authors' our default has no guidance: guidance sharpens towards a prompt, and
# the exact denoiser to which we compare has none.
#
# Two features are measured: the predicted latent at every step, and, at a few, the image features of the decoded picture by a small CLIP. It was trained
# on the other half, so that it has not seen what these two networks have. Before anything is read off, one point is sampled by diffusers' own pipeline call, without guidance and with it, and
# the latents are compared after every step.

# %%
spread = sorted({round(k) for k in np.linspace(0, p.at("steps", p.models[0]) - 1, p.shown)})
judge = judge_of(p)
networks = {s.name: s for s in subjects(p, judge, {name: spread for name in p.models})}
apart = {name: max(from_diffusers(s, p, guidance) for guidance in {1.0, 5.0, p.guidance}) for name, s in networks.items()}

# %% [markdown]
# They are the same (`pipeline.matches_diffusers`, below): whatever is measured from here on is the network's and its sampler's, not our code's.
#
# ## What the network was trained to be
#
# Beside each network we put the exact denoiser of the latents of its own training pictures, each as it is and in one of the small variations it was
# shown in (`views`). It lives in the same latent space, takes the same noise levels, and starts from the same anchors. It memorises; a network should
# not. What the comparison tests is therefore generalisation as much as architecture: a difference may come from either.
# The U-Net is somewhere in between: by its card nearly all samples of named prompts are nearer to a picture of its half than to any of the other half, and yet
# no copies of it.

# %%
first = p.models[0]
data = datasets(networks, {name: p.at("trained_on", name) for name in networks}, p.views, p.device)
unseen = datasets({first: networks[first]}, {first: p.unseen}, p.views, p.device)[first]
noise = {name: s.levels.sigma_over_alpha / deviation_of(s, data[name], p.seed) for name, s in networks.items()}

# %% tags=["hide-input", "nbval-check-output"]
for name, s in networks.items():
    ledger.claim("pipeline.matches_diffusers", apart[name], model=name, note="eta 0; guidance 1, 5 and the chapter's own",
                 unless="" if p.dtype == "float32" else f"{p.dtype} rounds by more than the bound")
    ledger.number(f"nu_{s.title}", [x if np.isfinite(x) else None for x in noise[name]], "1; none for pure noise")
    print(f"{s.title}: nu from {noise[name][np.isfinite(noise[name])][0]:.2f} to {signs(f'{noise[name][-1]:.2g}')} in {s.levels.steps} steps; "
          f"the latents are {'' if apart[name] <= 1e-5 else 'not '}diffusers' own, to a hundred-thousandth")

# %% [markdown]
# On this axis the steps of both can be compared, whatever their samplers. (A first level that is pure noise has no $\nu$.)
#
# ## One slice, in both
#
# First the paper's Fig. 1 for the network: predicted pictures, the map of $\det G$ of their CLIP features, which is what the paper maps, and of the
# predicted latents.

# %%
nets, twins = {}, {}
for name, s in networks.items():
    plane = Plane(seeded_anchors(s.model.shape, p.anchors_seed), tuple(p.extent), p.at("grid", name), p.normalise)
    nearest = {"basin": basin_of(data[name], p.views)} if data[name] else {}
    nets[name] = slice_of(s.model, plane, s.levels, prompt=s.prompt, features=s.features, fields=nearest, pictures=10, keep=spread)
    if data[name]:
        drawn = DrawnBy.of_network(data[name], s.model)             # its predictions, drawn by the network's decoder
        twins[name] = slice_of(drawn, plane, s.levels, fields=nearest, pictures=10, keep=spread)
plane = Plane(seeded_anchors(networks[first].model.shape, p.anchors_seed), tuple(p.extent), p.at("grid", first), p.normalise)
known = {"exact, own data": twins.get(first), "exact, other half": unseen and slice_of(unseen, plane, networks[first].levels)}

# %% mystnb={"figure": {"caption": "The paper's Fig. 1 for the trained networks: predicted images, log(10\u207b\u2078 + det G) of the CLIP features of the decoded picture, and of the predicted latent, each on one colour scale for all steps.", "name": "fig-trained"}} tags=["hide-input"]
def course_of(title, net):
    logs = {f: np.log(1e-8 + net.values("det", f)) for f in ("clip", "latent")}
    rows = [Map(f"log(10⁻⁸ + det G), {f}", x, (float(np.nanmin(x)), float(np.nanmax(x)))) for f, x in logs.items()]
    return f"<p><strong>{escape(title)}</strong></p>" + strip_html(
        spread, net.levels.sigma_over_alpha, p.extent, rows, net.pictures(spread), size=32,
        alt=f"Predicted images of {title} over the slice at six steps, with maps of det G of CLIP features and "
            "of latents: blurred and dark at first, later pictures with bright borders between them")


display(HTML("".join(course_of(networks[name].title, net) for name, net in nets.items())))

# %% tags=["hide-input"]
for name, net in nets.items():
    for feature in ("clip", "clip_normalised"):
        ledger.number(f"mean_det_g_{feature}_{networks[name].title}", mean_s(net, feature)[spread], f"1, at steps {spread}")

# %% [markdown]
# The pictures begin as one blur and end as several, with passages between them in which the network draws something
# halfway: an emoji, a fair attempt at one, or a melted mixture. The maps brighten most over the first half of the
# steps and less afterwards, in both features, and where two pictures meet there is a ridge. It is broad. A network is smooth, and nothing makes it
# land on the data. Now the same slice in the exact denoiser of its data:

# %% mystnb={"figure": {"caption": "One slice by two networks and two exact denoisers, a row each: log(10\u207b\u2078 + tr G) of the predicted latent at six noise levels, on one colour scale. The levels are those of the first network; another takes its step of the nearest noise.", "name": "fig-side-by-side"}} tags=["hide-input"]
columns = {s.title: (noise[name], nets[name]) for name, s in networks.items()}
columns |= {title: (noise[first], one) for title, one in known.items() if one}
logs = {title: np.log(1e-8 + one.values("trace"))[nearest_steps(nu, noise[first])] for title, (nu, one) in columns.items()}
limits = (-10.0, max(np.nanmax(x[spread]) for x in logs.values()))           # where the exact one is flat it is flat to round-off
show_strip(spread, networks[first].levels.sigma_over_alpha, p.extent, [Map(title, x, limits) for title, x in logs.items()],
           alt="tr G of two networks and of two exact denoisers on the same slice at six steps: alike and smooth at the first; later "
               "the exact denoisers are bright nearly everywhere, with black patches between, and the networks stay smooth")

# %% [markdown]
# The first maps are alike, swell for swell. Later the exact denoisers cut the slice into cells, each in its own way, and the networks hardly do.
#
# What is drawn on the two sides of these ridges? {numref}`fig-toggle` lays the one model over the other: the same points of the same plane, the same
# decoder, and one colour for each training picture in both. A point has the colour of the training picture whose latents are nearest to its prediction;
# for the exact denoiser that is, late on, the picture that it ends on. Go back and forth between the two at the largest noise, where little changes, then at the least.

# %% mystnb={"figure": {"caption": "Network and exact denoiser of its training latents on one slice, by the button. Left: predicted pictures, all through the network's decoder. Right: the training picture that is nearest to each prediction; a colour means the same picture in both.", "name": "fig-toggle"}} tags=["hide-input"]
show_albums({networks[name].title: toggle_album(nets[name], twin, spread) for name, twin in twins.items()},
            alt="predicted pictures and basins of one slice, of the network or of the exact denoiser of its data, at a noise level to choose")

# %% [markdown]
# Where the colours agree the network sends a latent towards the picture that its data would send it to. Where they do not, look at the pictures before
# judging: the nearest training picture of something half drawn is a name for it, not what it is.
#
# ## Observations (i) to (iii) on a dozen slices
#
# The windows of noise are those of {doc}`11_phase_boundaries`, in units of the largest standard deviation of the data. Each claim is a median over
# slices with an interval that covers whatever their distribution. The ledger of this chapter makes ten statements a network, and twelve on columns; at a level of
# 95 % one interval in twenty misses, so a single surprise among them is no news.

# %%
runs, exacts, plain, sharp, heights, judged = {}, {}, {}, {}, {}, {}
even = {name: GaussianModel.of(own) if own else None for name, own in data.items()}
for name, s in networks.items():
    several = planes(s.model.shape, p.anchors_seed, p.sets, p.extent, p.sets_grid, p.normalise)
    judged[name] = sorted({0, *np.flatnonzero(late(noise[name]))[:1].tolist(), s.levels.steps - 1})
    features = {"latent": s.features["latent"], "clip": OfPixels(judge, at=judged[name])}
    kinds = {"kind": nearest_kind(data[name])} if data[name] else {}
    runs[name] = [slice_of(s.model, one, s.levels, prompt=s.prompt, features=features, fields=kinds) for one in several]
    exacts[name] = [slice_of(data[name], one, s.levels, fields={"atom": data[name].fields["atom"]})
                    for one in several] if data[name] else []
    heights[name] = runs[name][0].ridge()
    plain[name] = [slice_of(even[name], one, s.levels) for one in several] if data[name] else []
    sharp[name] = [without_swells(*both) for both in zip(runs[name], plain[name], strict=True)] if data[name] else []

# %%
observed, bounded, cut = {}, {}, {}
for name, slices in runs.items():
    observed[name], bounded[name] = ([observations(one, noise[name], ridge=heights[name]) for one in kind] for kind in (slices, sharp[name]))
    cut[name] = [basin_counts(one, heights[name]).max() > 1 for one in sharp[name]]
late_move, gaussian_move = {}, {}
for name in runs:
    for moves, slices, feature in ((late_move, runs[name], "clip"), (gaussian_move, plain[name], None)):
        logs = [np.log(1e-8 + mean_s(one, feature)[judged[name]]) for one in slices] if len(judged[name]) == 3 else []
        moves[name] = [float(abs(x[-1] - x[-2]) / (x[-1] - x[0])) for x in logs if x[-1] - x[0] > 1e-6]

# %% mystnb={"figure": {"caption": "Mean of S = det G of the predicted latent at each step: networks and the exact denoiser of their training latents at the same steps (medians; dashed: the second network; thin lines: each slice of the first).", "name": "fig-two-means"}} tags=["hide-input"]
figures = []
for name, s in networks.items():
    kinds = {s.title: runs[name]} | ({f"exact, as of {s.title}": exacts[name]} if exacts[name] else {})
    bundle = {k: np.maximum([mean_s(one) for one in v], 1e-12) for k, v in kinds.items()}
    figures.append(curves(noise[name], {k: np.median(v, 0) for k, v in bundle.items()}, faint=bundle if name == first else None,
                          log="xy", reverse=True, xtitle="ν", ytitle="mean S of the latent"))
show(overlaid(figures), alt="Mean of det G against nu for each network and for the exact denoiser of its training data: all "
     "rise by orders of magnitude and level off, the networks' lower")

# %% tags=["hide-input"]
for name in networks:
    ledger.claim("pipeline.flat_early", median_interval([o.flat for o in observed[name]]), model=name)
    grows = median_interval([o.branching for o, parted in zip(bounded[name], cut[name], strict=True) if parted])
    stands, close = median_interval([o.overlap for o in bounded[name]]), bool(late(noise[name]).sum() < 3)
    ledger.claim("pipeline.sharp_ridges_branch", grows, model=name,
                 note=f"such ridges cut {sum(cut[name])} of {p.sets} slices" if sharp[name] else "its data are not at hand")
    ledger.claim("pipeline.sharp_pattern_stable", without_ends(stands) if close else stands, model=name,
                 note="no such ridge late on" if not stands else "the two are neighbours among the sampler's steps" if close else f"{stands.n} of {p.sets} slices have such ridges")
    moved = median_interval(late_move[name])
    ledger.claim("pipeline.mean_s_rests", without_ends(moved) if close else moved, model=name,
                 note=f"CLIP features, from step {judged[name][-2]} to {judged[name][-1]}" + ", its neighbour" * close if moved else "no step at nu <= 0.1 before the last")
    ledger.number(f"mean_det_g_{networks[name].title}", np.median([mean_s(one) for one in runs[name]], 0), "latent, median over slices")
    if plain[name]:
        flat = median_interval([observations(one, noise[name], ridge=heights[name]).flat for one in plain[name]])
        ledger.number(f"gaussian_flat_early_{networks[name].title}", flat and flat.value, "as pipeline.flat_early, of the denoiser of a Gaussian")
        ledger.number(f"gaussian_late_move_{networks[name].title}", float(np.median(gaussian_move[name])) if gaussian_move[name] else None,
                      "share of the rise of log S, as pipeline.mean_s_rests, of its latent")

# %% tags=["hide-input"]
rows = []
for name, s in networks.items():
    sides = {s.title: runs[name], f"Gaussian, as of {s.title}": plain[name], f"exact, as of {s.title}": exacts[name]}
    for kind, slices in sides.items() if data[name] else ():
        height = heights[name] if slices is runs[name] else slices[0].ridge()
        share, left = (np.median([ridge_share(one, height, -1) for one in some])
                       for some in (slices, [without_swells(*both) for both in zip(slices, plain[name], strict=True)]))
        seen = [observations(one, noise[name], ridge=height) for one in slices]
        grows, stands = (median_interval([getattr(o, key) for o in seen]) for key in ("branching", "overlap"))
        rows.append((kind, f"{share:.0%}", f"{left:.0%}", told(grows), told(stands)))
        ledger.number(f"ridges_{kind}", [share, left], "share of edges, at the last step: above a ridge's height, and no swell; medians over slices")
        ledger.number(f"with_swells_{kind}", [grows and grows.value, stands and stands.value], "gamma of the number of basins, and edges shared by nu = 0.1 and the last step; medians")
if rows:
    display(HTML(table(("", "edges above a ridge's height", "and no swell", "basins grow (γ), swells counted", "edges shared late, swells counted"), rows,
                       "Ridges on these grids, and what a map without boundaries has of them (medians over slices)")))

# %% [markdown]
# A network's $S$ starts from as little as that of the exact denoiser and rises by three and a half to four and a half orders of magnitude in {numref}`fig-two-means`, but later, and ends lower. Late on
# the mean of $S$ of the transformer's CLIP features has come to rest, as the paper reports of its own (`pipeline.mean_s_rests`); of the U-Net's twenty steps only the last two are late, between which little could move, so that nothing is decided. Neither asks for a boundary, as a null tells: the denoiser of a Gaussian with the mean and the covariance of the training latents has none, and
# the mean of $S$ of its latent is half a per cent at large noise of what it is at small noise, and late on moves by three per cent of its rise.
#
# Of ridges so coarse a grid tells little. Nearly nine edges in ten of a network's slices are above a ridge's height, and a quarter of the Gaussian's. Its 'basins' grow in number no less steadily than a network's,
# and at the U-Net's steps nine in ten of its 'ridges' stand: what was counted are swells. So the claims count *sharp* ridges alone: a jump, divided by the Gaussian's on the same edge, has to be
# more than twice what it is on a usual edge of the slice. The Gaussian then has none, and the exact denoiser keeps nearly all. At the last step the U-Net keeps some on eight slices of twelve, the transformer on three. They cut three
# slices of the U-Net into basins and none of the transformer's, too few to decide whether a network's ridges branch (`pipeline.sharp_ridges_branch`). Whether they stand is not decided either (`pipeline.sharp_pattern_stable`): the transformer has too few, and the U-Net's
# last two steps are neighbours.
#
# ## Does the determinant go blind here as well?
#
# In the exact model the late prediction moves along lines between data, so $G$ loses rank on every boundary. A coarse grid cannot tell: neighbours lie in
# three or four basins at once. So we climb onto ridges as before, halving edges of the grid, and take exact tangents there, by forward
# differentiation through the network and all steps.

# %%
shape, steep, narrow = {}, {}, {}
for name, s in networks.items():
    end, gaussian, sides = s.levels.steps - 1, even[name], {}
    if data[name]:
        sides["network"] = (s.model, sharp[name], heights[name], s.prompt, s.features["latent"])
        sides["Gaussian"] = (gaussian, plain[name], plain[name][0].ridge(), None, gaussian.features["pixels"])
        sides["Gaussian, there"] = (gaussian, sharp[name], heights[name], None, gaussian.features["pixels"])
        sides["exact"] = (data[name], exacts[name], exacts[name][0].ridge(), None, data[name].features["pixels"])
    for kind, (model, slices, height, prompt, feature) in sides.items():
        edges = [ridge_edges(one, [end], height, p.ridges) for one in slices]
        on = ridges_at(model, edges, s.levels, end, feature, prompt, rounds=5)
        length = np.concatenate([np.linalg.norm(e.high - e.low, axis=1) for e in edges])
        shape[name, kind] = medians(edges, isotropy(on.trace, on.det))
        steep[name, kind], narrow[name, kind] = medians(edges, on.slope), medians(edges, on.slope * length / on.jump)

# %% tags=["hide-input", "nbval-check-output"]
for name in networks:
    ledger.claim("pipeline.rank_on_sharp_ridges", e := median_interval(shape.get((name, "network"), [])), model=name, note=f"tangents; {e.n} of {p.sets} slices have such ridges" if e else "no such ridge at the last step")
    for kind in ("network", "Gaussian", "Gaussian, there"):
        if e := median_interval(shape.get((name, kind), [])):
            ledger.number(f"on_ridges_{kind}_{networks[name].title}", [e.value, median_interval(narrow[name, kind]).value],
                          "det G / (tr G / 2)^2, and slope over the mean slope of the edge, medians; the Gaussian's on its swells, and on the network's sharp ridges")
    for kind in ("network", "exact"):
        if there := [x for x in steep.get((name, kind), []) if x is not None]:
            ledger.number(f"slope_on_ridges_{kind}_{networks[name].title}", float(np.median(there)), "at the last step, after five halvings, median")
            print(f"{networks[name].title}, slope on ridges at the last step, after five halvings, {kind}: {float(f'{np.median(there):.1g}'):g}")

# %% [markdown]
# The measure is $\det G / (\operatorname{tr} G / 2)^2$: 1 where both directions change alike, 0 where one does not. Full rank alone is no sign of a boundary: where the Gaussian swells it is 0.7, and where a network has a sharp ridge the Gaussian has 0.9. The network itself has next to nothing there: 0.015 on eight slices of the
# U-Net, and 0.006 on three of the transformer, on either side of what is claimed and on too few slices to decide (`pipeline.rank_on_sharp_ridges`). So these ridges are no swells: they are six and ten times steeper than the edges
# of the grid that cross them, and along them little changes. But the exact denoiser's are at least ten times as steep as they. (At least, since those are thinner than five halvings of this grid resolve; {doc}`12_ridges_and_resolution` goes on to where ridges are resolved.)
#
# ## Data or architecture?
#
# If the boundaries belong to the data, the two maps agree, point by point. If they came from the architecture, the exact denoiser, which has none, would
# know nothing about them. The measure is the rank correlation of $\operatorname{tr} G$ over a slice; its null is the same
# correlation with the exact denoiser's maps of the *other* slices, which share everything except the anchors: the
# normalisation alone stretches the middle of every slice. Agreement beyond chance is $(r - r_0)/(1 - r_0)$.

# %%
own, chance = {}, {}
for name in twins:
    flat = [np.stack([one.values("trace").reshape(one.steps, -1) for one in kind]) for kind in (runs[name], exacts[name])]
    own[name], chance[name] = agreement(*flat)

# %% mystnb={"figure": {"caption": "Rank correlation of tr G between network and exact denoiser over a slice, against \u03bd: on the same slice, and with the other slices' maps as the null (medians; dashed: the second network; thin: each slice of the first).", "name": "fig-agreement"}} tags=["hide-input"]
figures = []
for name in twins:
    title, bundle = networks[name].title, {"same slice": own[name], "other slices": chance[name]}
    bundle = {f"{title}, {k}": v for k, v in bundle.items()}
    figures.append(curves(noise[name], {k: np.median(v, 0) for k, v in bundle.items()}, faint=bundle if name == first else None,
                          log="x", reverse=True, xtitle="ν", ytitle="rank correlation"))
if figures:
    show(overlaid(figures), alt="Rank correlation of the two maps against nu: high on the same slice while the noise is large, "
         "falling below, where it stays about a tenth above that of other slices")

# %% [markdown]
# A map may agree and the pictures differ. So a second question: does one and the same latent lead to the same *kind* of picture? The kind of a network's
# picture, one of Unicode's eight groups (food, animals, objects, ...), is that of the nearest training latent; chance is what the exact denoiser's pictures on other slices would give.

# %%
same = {}
for name in twins:
    drawn = np.stack([one.data.kind.values[-1] for one in runs[name]])
    exact = np.stack([data[name].family[one.data.atom.values[-1]] for one in exacts[name]])
    same[name] = same_kinds(drawn, exact)

# %% tags=["hide-input"]
for name in networks:
    ledger.claim("pipeline.same_kind", e := over_slices(same.get(name, np.empty(0))), model=name, note="last step" if e else "one slice has no others beside it" if p.sets == 1 and name in same else "other slices agree in full" if name in same else "its data are not at hand")
    for label, value in (("agreement", own), ("agreement_null", chance)):
        if name in value and p.sets > 1:
            ledger.number(f"{label}_{networks[name].title}", np.median(value[name], 0), "rank correlation, median over slices")

# %% [markdown]
# At the largest noise the two maps agree, and more than slices do anyway. But all slices look alike there, and there are no
# boundaries yet ({doc}`16_temporal_transitions`). Below, both curves of {numref}`fig-agreement` fall and stay a tenth or so apart: of what there is to agree on beyond chance most is gone, and single slices go their own ways. From then on the exact denoiser's ridges are walls between
# training pictures, most of which the network, which was to generalise, has not learnt. The kinds of the final pictures ask the same of what is drawn, where the same basins
# would give one and strangers nought: the networks come out near nought (`pipeline.same_kind`). Whether what is the network's own comes of an architecture or of what a network has generalised, a network and its data cannot say:
# that takes a second architecture, and the second half of the data.
#
# ## Another architecture, another half
#
# So six columns are compared: the exact denoiser of the pictures that a network was trained on, the network, a second network of another
# architecture, a third one of the first's backbone that has learnt the other half, the exact denoiser of that half, and the denoiser of the Gaussian,
# whose maps show what mean and covariance make alike. Each pair is one comparison of maps beyond chance, at equal $\nu$: samplers of different kinds place their steps differently, so maps are
# interpolated between steps. Two windows count, where boundaries begin, $0.5 \le \nu < 1$, and where they form, $0.1 \le \nu < 0.5$. If boundaries belong to the distribution, the two exact
# denoisers agree; if to the architecture, the two networks differ and the two of one backbone agree; and a network that has learnt the distribution, not its sample, is as near to either
# exact denoiser.

# %%
maps = {s.title: maps_of(noise[name], runs[name]) for name, s in networks.items()}
several = planes(networks[first].model.shape, p.anchors_seed, p.sets, p.extent, p.sets_grid, p.normalise)
kin = trained_subject(p, p.kin, like=first) if p.kin else None
if kin:
    maps[kin.title] = maps_of(kin.levels.sigma_over_alpha / deviation_of(kin, unseen, p.seed),
                              [slice_of(kin.model, one, kin.levels, prompt=kin.prompt) for one in several])
beside = {"exact, own data": data[first], "exact, other half": unseen, "Gaussian of own data": even[first]}
for title, model in beside.items():
    if model:
        swept = exacts[first] if model is data[first] else plain[first] if title.startswith("Gaussian") else [slice_of(model, one, networks[first].levels) for one in several]
        maps[title] = maps_of(noise[first], swept)
windows = {"onset": (0.5, 1.0), "forming": (0.1, 0.5)}
agree = {(a, b, key): agreement_within(maps[a], maps[b], *window) for a, b in combinations(maps, 2) for key, window in windows.items()}
known_data = p.at("trained_on", first)
alike = [name for name in networks if known_data and p.at("trained_on", name) == known_data]
one, two = ([networks[name].title for name in alike] + ["", ""])[:2]


def between(first, second, key):
    """Of two columns on each slice; NaN where one of them is missing."""
    values = agree.get((first, second, key), [])
    return values if len(values) else np.full(p.sets, np.nan)

# %% tags=["hide-input"]
median = lambda *pair: told(over_slices(between(*pair)))
display(HTML(table(("columns", "0.5 ≤ ν < 1", "0.1 ≤ ν < 0.5"), [(" and ".join(pair), median(*pair, "onset"), median(*pair, "forming"))
                   for pair in combinations(maps, 2)], "Agreement of maps beyond chance, medians over slices with their intervals")))
absent = "a column is not at hand, or reaches no noise level of the window"
own, other = "exact, own data", "exact, other half"
stranger = {name: unseen if name in alike else data[first] if known_data and p.at("trained_on", name) == p.unseen else None for name in networks}
strange = {name: [slice_of(model, one, networks[name].levels) for one in several] if model else [] for name, model in stranger.items()}
blank = np.full(p.sets, np.nan)
for key, window in windows.items():
    near, smooth, far = ({name: some if swept[name] and len(some := agreement_within(maps[s.title], maps_of(noise[name], swept[name]), *window))
                          else blank for name, s in networks.items()} for swept in (exacts, plain, strange))      # by the network's own sampler
    each, backbone = between(one, two, key), between(networks[first].title, kin and kin.title, key)
    pair = alike[:2] if len(alike) > 1 else []
    asked = {"halves": between(own, other, key), "architecture": each, "backbone": backbone, "follow_data": each - backbone,
             "nearer_than_data": each - np.mean([near[name] for name in pair] or [blank], 0)}
    for claim, values in asked.items():
        ledger.claim(f"pipeline.{claim}_{key}", e := over_slices(values), note="" if e else absent)
    ledger.claim(f"pipeline.more_than_covariance_{key}", e := above_both(each, *([smooth[name] for name in pair] or [blank, blank])), note="" if e else absent)
    for name in networks:
        ledger.claim(f"pipeline.own_data_{key}", e := over_slices(near[name]), model=name, note="" if e else absent)
    if pair and all(exacts[name] for name in pair):
        e = over_slices(agreement_within(*(maps_of(noise[name], exacts[name]) for name in pair), *window))
        ledger.number(f"exact_by_two_samplers_{key}", e and e.value, "agreement beyond chance of one exact denoiser with itself, median over slices")
for name in networks:       # in the last window, where boundaries form
    less, why = as_well(near[name], far[name])
    ledger.claim("pipeline.unseen_as_seen_forming", less, model=name, note=why if less else absent)

# %% [markdown]
# 'Own' and 'other' are the halves of the first network. Rows that are not at hand with the chosen parameters are recorded as not tested; a second network named in
# `models` brings its own. The table is read against its own ends: 1 for two models with the same
# boundaries, 0 for maps that agree no better than those of different slices; and against the rows of the Gaussian, whose maps have no boundary.
#
# A sampler has a say as well: the U-Net's begins at a finite noise level, the transformer's at pure noise. The exact denoiser of one half, run by the one, agrees with the same denoiser run by the other at 0.76 where boundaries begin, and at
# 0.65 where they form. So for the claims each network meets the exact denoiser of its data as its own sampler runs it (`pipeline.own_data_onset` and those that follow), while all exact rows of the table are run by the first network's. The networks are smoother and mind less:
# in a trial the transformer, begun where the U-Net begins and taken through its levels, agreed with itself at 0.98 and 0.92, and with the U-Net at 0.67 and 0.48.
#
# With the default parameters the nearest pairs are a U-Net and the transformer, and it matters little which U-Net, that of the transformer's half or that of the other. The two U-Nets, one backbone, are no nearer to each other;
# where boundaries begin they are as near as the transformer is to the Gaussian. So neither the backbone nor the half sorts the networks, as far as twelve slices tell: the intervals are wide, and of the differences that are claimed one is decided: where boundaries begin, U-Net and transformer agree more with each other than with the denoiser of their data (`pipeline.nearer_than_data_onset`).
#
# What networks share, whoever they are, may be what any of them learns of the distribution, or no more than the swelling of the metric that follows from mean and covariance alone: where boundaries begin the Gaussian agrees with all three, with
# intervals clear of nought, and whether U-Net and transformer agree with each other by more is not decided. The exact denoisers agree hardly with the Gaussian, and neither with one another nor with any network clearly beyond chance. That speaks against the exact denoiser of a training set as an account of a network's boundaries.
#
# Whether a network has learnt the distribution and not its sample (`pipeline.unseen_as_seen_forming`) would be told by its agreement with the half that it has not seen, were that with its own half clear of chance. It is so for neither
# network: one that agrees with nobody agrees with both halves alike.
#
# The two differences to the Gaussian are taken each by itself, and the lower one counts. The larger of two agreements, slice by slice, would lie above either where both scatter: of three maps that agree alike it makes a
# difference of −0.04 to −0.24. What remains leans against the claim: what is a network's own lowers its agreement with the smooth map once, and that of two networks twice.
#
# ## What was shown, and what was not
#
# Shown: in the mean of $S$ a trained network takes the course that the paper describes. Its metric is flat at large noise and, where the sampler has steps enough to tell, at rest late on; a map without boundaries does both too.
# Its boundaries are for the most part not those of its training set.
#
# Not shown: whether its ridges branch, stand and keep full rank, of which grids of 7 by 7 points do not tell, since most of what they count are swells and sharp ridges are few. Nor what a network's boundaries come from. The exact denoiser to which it is
# compared memorises, so what is tested late is generalisation. All networks have an autoencoder in common. U-Net and transformer differ in backbone, objective and sampler at once,
# the two U-Nets in pictures, seed, and in that the first began with all things of its half. There is one training of each: what two trainings of one backbone on the same pictures share would be the yardstick, and is not at hand.
#
# Nor was anything shown about DreamShaper-8, which was not run for these pages; whether a larger or longer
# trained network comes closer to the exact denoiser or moves away from it; and what guidance does to the boundaries. The network has learnt a thousand
# pictures, and the CLIP that judges it, which has learnt others, does not know all of these by name (the cards say how many). It illustrates a course of events;
# it cannot speak for text-to-image models at large.

# %% tags=["results", "hide-input"]
ledger.emit()
