# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Few steps
#
# The paper ends with advice: its findings 'suggest introducing more flexible layers capable of modeling' singularities, 'especially for diffusion distillation
# and few-step generation' {cite:p}`lobashev2025caffarelli`. A later version adds three sentences, in our words: distillation moves the formation of boundaries to
# earlier steps; it lowers the number of sharp ones; and to cover the modes well a map must not be Lipschitz. A generator in one step has to do at once what a
# sampler does in fifty. **What does a finite slope cost a generator, and do layers that jump help a student?**
#
# :::{admonition} Answer
# :class: tip
# A leak. Between two parts of equal mass at distance $D$ a generator with a Lipschitz constant $L$ well above $D$ puts at least some $0.4\, D/L$ of its samples nowhere, in any dimension, and every
# continuous student that we trained obeys (`few.leak_bound`, its constant over the one demanded). No leak at all takes a jump; a small one takes a large constant and no more.
# In the plane, layers that jump leak less than an MLP of the same size and budget (`few.hard_layers_leak_less`), and less than their own soft versions, which are continuous
# (`few.jumps_beyond_pieces`). But this they do not learn: with pieces that begin at data they leak about as little before their first update (`few.hard_layers_owe_training`).
# On emoji one of the two kinds of them learns to leak nearly as much as the MLP. A small leak is thus neither sure with jumps nor the work of distillation.
# :::
#
# The chapter first proves the bound, then trains many small students of the exact flow, all of one size and budget, on targets where everything can be counted.

# %% tags=["parameters"]
targets = ["two_disks", "eight", "unequal", "annulus"]      # data of the plane
chained = ["two_disks", "eight", "unequal", "annulus"]     # of these, the ones that students of several steps learn as well
layers = ["mlp", "icnn", "potential_soft", "potential_hard", "moe_soft", "moe_hard"]    # mlp must be among them
steps_student = [1, 2, 4]
budget = 300                # optimiser steps of 32 pairs, for all layers of a student together
width = 19                  # of the MLP in the plane; all layers get as many weights
width_emoji = 36            # likewise on emoji
seeds = 20                  # students a row
temperature = 0.1           # of soft choices
left_mass = 0.2             # of the target unequal
pictures = 8                # emoji; their span is the latent space
grid = 21                   # points on a side of a plane
steps_teacher = 12
paths = 2048                # of the exact flow, to learn from, and as many to be measured on
network = "icons-unet-a"    # a directory of a latent diffusion pipeline
students = None             # what `phasebook train student-...` left; null: assets/, beside the network
judge = "icons-clip-b"      # names the pictures of network and students; trained on the other half
network_planes = 12         # on which they are compared
network_grid = 4            # points on a side of these
reach = 0.225               # of these, in distances of their latents
starts = 48                 # independent ones
seed = 0

# %% tags=["hide-input"]
from phasebook.site.chapters.few_steps import Chapter
from phasebook.site.results.ledger import Ledger

p = Chapter.read(globals())
ledger = Ledger("18_few_steps", p)

# %% tags=["hide-input"]
import numpy as np
import torch
from IPython.display import HTML, display

from phasebook.fewstep.bound import chained_constant, leak_of_two, least_leak, searched_leak, sectors_leak, slabs_leak
from phasebook.fewstep.measures import brenier_mismatch
from phasebook.fewstep.planes import plane_latents, student_foresees, teacher_foresees
from phasebook.fewstep.students import distil, fresh_noise, lessons
from phasebook.fewstep.targets import latents, named_target, of_pictures
from phasebook.models.pictures.image_sets import load_images
from phasebook.sampling.batches import side_by_side
from phasebook.site.chapters.few_steps import (
    formed,
    good,
    less,
    measured,
    pick_pictures,
    ridge_of,
    sharp,
    sooner,
    words,
    wrong_pictures,
)
from phasebook.site.figures.base import show, table
from phasebook.site.figures.fewstep import Leaks, Portrait, leaks, picture_rows, planes, portraits
from phasebook.site.figures.transport import Curve, curves
from phasebook.site.results.tables import told
from phasebook.stats import grouped_bootstrap, largest_of, median_interval, spearman

# %% [markdown]
# ## The bound
#
# A generator $G$ sends a standard Gaussian latent $z$ to $G(z)$. The target lies in two parts $A$ and $B$ at distance $D$. Let $p$ and $q$ be the probabilities
# that $G(z)$ lies in $A$ and in $B$; what is left, $1 - p - q$, is the *leak*: samples of no kind.
#
# :::{prf:theorem} Leak against slope
# :label: thm-leak
# If $G : \mathbb{R}^d \to \mathbb{R}^m$ has the Lipschitz constant $L$, then for every $d$
#
# $$ \begin{aligned}
# 1 - p - q &\;\geq\; \Phi\big(\Phi^{-1}(p) + D/L\big) - p, \qquad \text{that is,} \\
# L &\;\geq\; \frac{D}{-\Phi^{-1}(p) - \Phi^{-1}(q)} .
# \end{aligned} $$ (eq-leak)
#
# For equal masses the leak is at least $2\,\Phi(D / 2L) - 1$. On the line, and along one coordinate in any dimension, the bound is attained.
# :::
#
# :::{prf:proof}
# Two latents in $G^{-1}(A)$ and $G^{-1}(B)$ are at least $D/L$ apart, so $G^{-1}(B)$ misses all points nearer than $D/L$ to $G^{-1}(A)$. Gaussian isoperimetry
# {cite:p}`borell1975brunn,sudakov1978extremal` says that these points have at least the mass that a half-space of mass $p$ would have: $\Phi(\Phi^{-1}(p) +
# D/L)$. So $q \leq 1 - \Phi(\Phi^{-1}(p) + D/L)$. The map $z \mapsto L z_1 + b$, cut off at two parts on a line, has half-spaces for preimages: equality.
# :::
#
# Bounds of this kind are known for generative models that push a Gaussian forward {cite:p}`salmona2022pushforward,issenhuth2023unveiling`; we use the form
# {eq}`eq-leak` because each of its letters can be measured. With $D/L$ small the leak is about $\varphi(\Phi^{-1}(p))\, D/L$: it falls like one over the slope, no
# faster and no slower.
#
# :::{prf:corollary} What a continuous generator can do
# :label: cor-continuous
# A continuous generator that reaches the interior of both parts leaks, Lipschitz or not: $\mathbb{R}^d$ is connected, so its image is, and the open set between
# the parts is hit by an open set of latents. A leak of at most $\ell$ with equal masses needs $L \geq D / (2 \Phi^{-1}((1+\ell)/2))$, about $0.4\, D/\ell$.
# :::
#
# :::{prf:corollary} Several steps
# :label: cor-steps
# A sampler in $k$ steps gives $x_1 = G_1(z_1)$ and $x_j = G_j\big(\sqrt{1 - s_j^2}\, x_{j-1} + s_j z_j\big)$, with $s_j$ the part of fresh noise and $L_j$ the
# constant of $G_j$. As a map of all its noise $(z_1, \dots, z_k)$ it is one generator, and has the constant $L = B_k$, where
#
# $$ B_1 = L_1, \qquad B_j = L_j \sqrt{(1 - s_j^2)\, B_{j-1}^2 + s_j^2} . $$ (eq-chain-constant)
#
# Without fresh noise this is $L_1 \cdots L_k$; with it, it is at most $\max_j L_j L_{j+1} \cdots L_k$, and may exceed the product. To leak at most $\ell$ takes
# $k \geq \log \big( D / (2\Phi^{-1}((1+\ell)/2)) \big) / \log \max_i L_i$ steps in either case, if some $L_i > 1$.
# :::
#
# :::{prf:proof}
# Let $\delta$ be the distance of two latents without $z_j$, and $\delta_j$ that of their $z_j$. By Cauchy and Schwarz what $G_j$ is given differs by at most $\sqrt{1 -
# s_j^2}\, B_{j-1} \delta + s_j \delta_j \leq \sqrt{(1 - s_j^2) B_{j-1}^2 + s_j^2}\, \sqrt{\delta^2 + \delta_j^2}$. Linear maps of the line attain it. The root is a mean of $B_{j-1}$
# and 1, so $B_j \leq L_j \max(B_{j-1}, 1)$, whence both of the rest.
# :::
#
# The last step shows why the fresh noise is no detail: after a $G_1$ that is constant, $G_2$ still gets noise to stretch. Slopes multiply where leaks would add: that is
# what steps are for. First the case with a known answer. A search over preimages that are unions of up to three intervals of the line, which knows nothing of the
# theorem, has to end at the theorem's number.

# %% tags=["nbval-check-output"]
cases = [(mass, gap) for mass in (0.1, 0.5) for gap in (0.2, 1.0)]
off = max(abs(searched_leak(mass, gap) - leak_of_two(mass, gap)) for mass, gap in cases)
print(f"The least leak by search and that by the theorem {'agree' if off <= 1e-4 else 'do not agree'} to 1e-4.")
chains = [chained_constant([3.0] * 4), chained_constant([3.0] * 4, fresh_noise(4))]
print(f"Four maps of slope 3 have slope {chains[0]:.0f} on end, {chains[1]:.0f} with the fresh noise of our students.")

# %% tags=["hide-input"]
widths = np.geomspace(0.02, 2.0, 25)
octet, pair = named_target("eight"), np.array([[0.0, 1.0], [1.0, 0.0]])
near = octet.gaps / octet.gaps[0, 1]
apart = [np.array([least_leak(np.array([m, 1 - m]), pair, 1 / w) for w in widths]) for m in (0.5, 0.2)]
several = [np.array(v) for v in ([least_leak(octet.shares, near, 1 / w) for w in widths],
                                 [sectors_leak(8, w) for w in widths], [slabs_leak(8, w) for w in widths])]

# %% mystnb={"figure": {"caption": "The least leak against L/D, the Lipschitz constant over the distance of the parts. Left: two parts, attained on the line. Right: eight parts on a circle, the bound by pairs of groups, and two generators' preimages: sectors, and parallel slabs.", "name": "fig-leak-bound"}} tags=["hide-input"]
show(curves([[Curve("equal masses", 1 / widths, apart[0], "predicted", 0), Curve("masses 0.2 and 0.8", 1 / widths, apart[1], "predicted", 1)],
             [Curve("eight parts: bound", 1 / widths, several[0], "predicted", 2), Curve("sectors", 1 / widths, several[1], "fitted", 3),
              Curve("slabs", 1 / widths, several[2], "fitted", 4)]], ["L / D"] * 2, ["leak", "leak of eight parts"]),
     alt="Leak against L over D on log axes: straight lines of slope minus one for large constants; for eight parts sectors lie "
         "above the bound and slabs above the sectors")

# %% [markdown]
# A leak of one per cent takes a slope of forty times the distance of the parts, by the figure above: large and finite. Unequal masses are cheaper, since a
# wall far out in the Gaussian is short. For several parts every split into two groups gives a bound, and the largest of them counts; eight parts on a circle leave
# it far below what is known to be possible. Of our two constructions sectors are the better one, and slabs, all that one dimension offers, leak more. For up to
# $d + 1$ parts the least boundary is known {cite:p}`milman2022gaussian`; for eight in the plane it is not, and we claim no optimum.
#
# ## Six layers of one size
#
# A layer is a map of $\mathbb{R}^d$, trained to imitate the exact flow. Two of six jump:
#
# | layer | map | jumps |
# |---|---|---|
# | MLP, `mlp` | two hidden layers, SiLU | no |
# | input-convex, `icnn` | gradient of an input-convex network {cite:p}`amos2017input`, by automatic differentiation | no |
# | soft potential, `potential_soft` | gradient of $\tau \log \sum_k \exp((a_k \cdot x + b_k)/\tau) + c\,\lVert x \rVert^2/2$ | no |
# | hard potential, `potential_hard` | gradient of $\max_k (a_k \cdot x + b_k) + c\,\lVert x \rVert^2/2$ | yes |
# | soft experts, `moe_soft` | affine experts, mixed by a softmax gate at temperature $\tau$ | no |
# | hard experts, `moe_hard` | the expert of the largest gate | yes |
#
# A jump has no gradient, so hard layers are taught with a soft choice that hardens, each piece by its own error weighted with the probability that it is chosen
# {cite:p}`jacobs1991adaptive`. Layers with pieces start with pieces at data, which the other two cannot. Apart from that all is equal: weights to 5 %, steps of the
# optimiser, learning rate, data, and by seed the batches in their order; a soft layer and the hard one of its kind begin with the same weights. A row is one layer,
# target, number of steps and lesson, with twenty students.
#
# The targets are two disks, eight Gaussians on a circle, two disks of unequal masses, and an annulus. A student of $k$ steps has a layer for each, and divides
# its weights among them and its `budget` too, so that each layer has a $k$-th of the updates. It is taught either the *trajectory*, from a state of the exact flow to the next, or *consistency*: from every level to the end of the
# path, fresh noise being added between steps {cite:p}`song2023consistency`; our targets are exact ends of paths, where one would usually have the student's own.

# %% tags=["nbval-check-output"]
taught = [lessons(named_target(name, p.left_mass), latents(p.paths, 2, p.seed + 1)) for name in p.targets]
z = latents(p.paths, 8, p.seed + 2)
ends = {one.target.name: lessons(one.target, z[:, :2]).states[-1].numpy().astype(float) for one in taught}


def rows_of(name):
    rows = {}
    for steps, budget in [(1, 0), *((k, p.budget) for k in p.steps_student)]:
        some = [one for one in taught if steps == 1 or one.target.name in p.chained]
        students = distil(name, some, steps, weights=p.weights(), seeds=p.seeds, budget=budget,
                          temperature=p.temperature, seed=p.seed) if some else {}
        for (target, kind), student in students.items():
            rows[target, name, steps, kind if budget else "untrained"] = measured(student, z, ends[target], p.seeds, budget > 0)
    return rows


both = {key: row for part in side_by_side(rows_of, p.layers) for key, row in part.items()}
raw = {key: row for key, row in both.items() if key[-1] == "untrained"}
rows = {key: row for key, row in both.items() if key not in raw}
parted = [one.target.name for one in taught if one.target.gaps is not None]
sizes = sorted({row.student.size for row in rows.values()})
print(f"{len(rows)} rows of {p.seeds} students, {sizes[0]} to {sizes[-1]} weights each, {p.budget} updates a student")

# %% tags=["hide-input"]
shown = next(name for name in ("eight", *p.targets) if name in p.targets)
axis = np.linspace(-3, 3, 81)
field = torch.as_tensor(np.stack(np.meshgrid(axis, axis), -1).reshape(1, -1, 2), dtype=torch.float32)
columns = []
for name in [n for n in ("mlp", "potential_soft", "potential_hard", "moe_hard") if n in p.layers]:
    one = rows[shown, name, 1, "trajectory"].student.only([0])
    x, part = one(field)[0].numpy(), one.target.part
    change = np.stack(np.gradient(x.reshape(81, 81, 2), axis[1] - axis[0], axis=(0, 1)))
    steep = np.sqrt((change**2).sum((0, -1)))
    samples = one(torch.as_tensor(z[None, :1200, :2], dtype=torch.float32))[0].numpy()
    columns.append(Portrait(words(name), samples, part(samples), part(x).reshape(81, 81), steep))

# %% mystnb={"figure": {"caption": "Four layers of equal size and budget in one step on eight Gaussians, one seed. Top: samples. Middle: the part that each latent goes to, dark grey for none. Bottom: the slope of the map, logarithmic; by differences of neighbouring latents, which a jump makes as large as the grid lets it be.", "name": "fig-portraits"}} tags=["hide-input"]
show(portraits(columns, axis, len(columns and named_target(shown).shares)),
     alt="Three rows of panels for four layers: the MLP's samples fill the ring between the clusters and its latents have wide "
         "grey bands; the soft potential's bands are thin; the hard layers have clusters without anything between and walls for bands")

# %% [markdown]
# Where a map cannot turn fast enough, its samples run from cluster to cluster and a band of latents goes nowhere; in {numref}`fig-portraits` such latents are dark grey.
# A soft choice has bands as narrow as its temperature and the size of its pieces allow. Where a layer jumps, its slope is not a number any more, only the inverse of
# the finite difference.
#
# Two tables: the leak, and how far the samples are from the target by the sliced Wasserstein distance. Both give medians over seeds with their intervals (of students: all are tried on the same
# latents), after training and with first weights, before any update. Coverage and slope are in the results file.

# %%
for measure in ("leak", "distance"):
    lines = []
    for (target, name, steps, kind), row in rows.items():
        if (steps, kind) == (1, "trajectory"):
            scores = (getattr(one.score, measure) for one in (row, raw[target, name, 1, "untrained"]))
            lines.append((words(name) if target == p.targets[0] else "", words(target), *(told(median_interval(score)) for score in scores)))
    display(HTML(table(("layer", "target", "after training", "before"), lines, f"Students in one step, {measure}: medians over seeds with intervals")))

# %% tags=["hide-input"]
for name in ("moe_hard", "potential_hard"):
    known, own, soft = name in p.layers, (name, 1, "trajectory"), name.replace("hard", "soft")
    note, pieces = "" if known else "this layer was not trained", known and soft in p.layers
    gain = median_interval(less(rows, ("mlp", 1, "trajectory"), own, parted)) if known else None
    ledger.claim("few.hard_layers_leak_less", gain, model=name, note=note)
    owed = median_interval(less(both, (name, 1, "untrained"), own, parted)) if known else None
    ledger.claim("few.hard_layers_owe_training", owed, model=name, note=note)
    beyond = median_interval(less(rows, (soft, 1, "trajectory"), own, parted)) if pieces else None
    ledger.claim("few.jumps_beyond_pieces", beyond, model=name, note="" if pieces else "this layer and its soft version were not both trained")

# %% [markdown]
# Two comparisons keep these numbers honest. The first is with the layer's own soft version, which begins with the same weights and learns from the same batches: most of
# what the MLP leaks is gone with pieces that blend, and jumps take away most of what is left (`few.jumps_beyond_pieces`). The second is with the same layer before any training.
# Its pieces lie at data, so its samples lie there as well: the potential leaks hardly more than after training, and the experts less. So the small
# leak says nothing about what was learnt (`few.hard_layers_owe_training`). What training brings shows in the distance. An MLP has no such start,
# and owes all that it has to training. The input-convex network, smooth and convex, leaked most: a convex potential by itself is no help. The parts of the
# annulus touch, so that isoperimetry is silent: a plane can be wrapped around a hole, with a cut and without a leak.
#
# ## Emoji
#
# Now data with pictures. The differences of $n$ emoji span $n - 1$ dimensions, and the exact model's flow leaves all others alone; so the latent space of eight
# emoji has seven dimensions, and nothing is lost. Students have as many steps as those of the plane, and are taught consistency. Table and figures have one draw of eight;
# for the claim on wrong pictures every seed has eight of its own, so that its interval knows of the choice as well.

# %%
everything = load_images("families", 32).pixels
pixels = pick_pictures(everything, p.pictures, p.seed)
faces, back = of_pictures(pixels)
dims = p.pictures - 1
album = lessons(faces, latents(p.paths, dims, p.seed + 4))
test = latents(p.paths, dims * max(p.steps_emoji), p.seed + 5)
truth = lessons(faces, test[:, :dims]).states[-1].numpy().astype(float)


def student_of(task):
    (student,) = distil(task[0], [album], task[1], ("consistency",), weights=p.weights(emoji=True), seeds=p.seeds,
                        budget=task[2], temperature=p.temperature, seed=p.seed).values()
    return student, measured(student, test, truth, p.seeds, task[2] > 0)


tasks = [(name, *one) for name in p.layers for one in [(1, 0), *((k, p.budget) for k in p.steps_emoji)]]
pairs = dict(zip(tasks, side_by_side(student_of, tasks), strict=True))
emoji = {(name, steps): pair for (name, steps, budget), pair in pairs.items() if budget}
raw |= {("emoji", name, 1, "untrained"): row for (name, _, budget), (_, row) in pairs.items() if not budget}
rows |= {("emoji", name, steps, student.kind): row for (name, steps), (student, row) in emoji.items()}

# %% tags=["hide-input"]
lines = []
for (name, steps, budget), (_, row) in pairs.items():
    other = told(median_interval(row.score.moved)) if steps == 1 else "–"
    lines.append((words(name), steps if budget else "1, untrained", told(median_interval(row.score.leak)), other))
display(HTML(table(("layer", "steps", "leak", "to another picture"), lines, "Students on emoji: medians over seeds with intervals")))
wrong = wrong_pictures(everything, p, [name for name in ("mlp", "moe_hard", "potential_hard") if name in p.layers])
for name in ("moe_hard", "potential_hard"):
    saved = median_interval(wrong["mlp"] - wrong[name]) if name in p.layers else None
    ledger.claim("few.wrong_pictures", saved, model=name, note="one step, other pictures for each seed" if saved else "this layer was not trained")

# %% tags=["nbval-check-output"]
print(f"{p.pictures} emoji in {dims} dimensions, students of {emoji['mlp', 1][0].size} weights")

# %% tags=["hide-input"]
for (target, name, steps, kind), row in (rows | raw).items():
    s, steep = row.score, None if row.constant is None else np.median(row.constant)
    values = [np.median(v) for v in (s.leak, s.coverage, s.distance, s.moved)]
    ledger.number(f"{target}_{name}_{steps}_{kind}", [*values, steep], "medians over seeds: leak, coverage, sliced W2, share moved, "
                  "Lipschitz constant from below (none of layers that jump or were not trained)")

# %% mystnb={"figure": {"caption": "What each student draws in one step from the same eight latents, and what the exact flow draws (top).", "name": "fig-few-pictures"}} tags=["hide-input"]
drawn = [truth[:8]] + [emoji[name, 1][0](torch.as_tensor(test[None, :8, :dims], dtype=torch.float32))[0].numpy() for name in p.layers]
pictured = (pixels.reshape(len(pixels), -1).mean(0) + np.stack(drawn) @ back).reshape(-1, 8, *pixels.shape[1:])
show(picture_rows(["exact flow", *map(words, p.layers)], pictured), alt="Rows of eight emoji each: clean in the exact flow and, mostly, from the hard potential; "
     "mixtures of several from the MLP and the experts")

# %% [markdown]
# What leaks are mixtures of several emoji ({numref}`fig-few-pictures`). Most of the MLP's samples are farther from every emoji than a quarter of the
# least distance of two; of the hard potential's none. But the hard potential does not leak before its first update
# either; what it learns is to send latents to the *right* emoji: half as many go wrong in the end as at first. The hard experts begin with a leak of 0.02 and end at 0.84,
# not far from the MLP: an affine expert in seven dimensions is costly, and for the few dozen that there is room for it is cheaper, in the mean square, to end between the pictures. So
# `few.wrong_pictures` holds for one of the two layers that jump and fails for the other: it is the kind of layer that counts. Which picture a latent goes to is told for
# one step alone, since in later ones fresh noise has a say.
#
# ## Against the bound
#
# The Lipschitz constant of a trained map can be measured from below only. From the steepest of 256 latents we climb on the slope by random moves that shrink,
# and end with a difference quotient of the map itself over a distance of 0.002, which no Lipschitz constant can lie below. So the check is one-sided in our
# disfavour: had the ascent missed the steepest place, a student might seem to break the theorem; one that did break it could not seem to obey. The leak is counted on
# `paths` latents and taken at the upper end of its 99.9 % interval, because no leak among so many is not none. For layers that jump $L$ is infinite and the theorem
# is silent. Emoji are eight parts in seven dimensions, and their students are held against the bound with those of the plane; fresh noise counts as latent.

# %% tags=["nbval-check-output"]
finite = {key: row for key, row in rows.items() if row.bound}
most = max(float((row.asked / row.constant)[row.asked > 0].max(initial=0.0)) for row in finite.values())
passed = [f"{words(name)} in {steps} on {words(target)} ({kind})" for (target, name, steps, kind), row in finite.items() if good(row)]
flat = [(k, leak, c) for k, row in enumerate(finite.values())
        for leak, c in zip(row.score.leak, row.constant / row.student.target.gap, strict=True)]
group, leak, steep = (np.array(v) for v in zip(*flat, strict=True))
falling = grouped_bootstrap(lambda i: spearman(leak[i], steep[i]), group, p.seed)
print(f"Of {len(leak)} continuous students {'none has' if most <= 1 else 'some have'} less than the constant that the leak demands.")

# %% tags=["hide-input"]
ledger.claim("few.equality_line", off, note=f"{len(cases)} pairs of mass and width")
ledger.claim("few.leak_bound", 1 / most if most > 0 else None, note="secants of length 0.002; leak at the upper end of its 99.9 % interval")
needed = len(passed) or largest_of(0, p.seeds, 12)        # that few students are no good says little of their layer
ledger.claim("few.nonlipschitz_needed", needed, corrected=falling, note="; ".join(passed[:6]))
panels = []
for target in parted[:2]:
    data, by_layer = named_target(target, p.left_mass), {}
    constants = np.geomspace(1, 2000, 40) / 2
    for name in p.layers:
        chosen = [row for (t, n, *_), row in rows.items() if (t, n) == (target, name)]
        where = np.concatenate([np.full(p.seeds, np.inf) if row.student.jumps else row.constant / data.gap for row in chosen])
        by_layer[words(name)] = where, np.concatenate([row.score.leak for row in chosen])
    panels.append(Leaks(by_layer, constants, np.array([least_leak(data.shares, data.gaps, c * data.gap) for c in constants])))

# %% mystnb={"figure": {"caption": "Leak against L/D for every student, all steps and seeds. Left: the first target of separate parts, two disks. Right: the second, eight Gaussians. The curve is the least leak of students whose parts have the target's proportions: one with lopsided masses may lawfully lie below it, and is held against the bound at its own masses by the claim. Rings: layers that jump, whose L is infinite, side by side at the right end. A leak of zero is drawn at 0.0001.", "name": "fig-leak-students"}} tags=["hide-input"]
show(leaks(panels),
     alt="Clouds of students by layer above and to the right of the bound's falling curve; on two disks the MLP lies next to "
         "it; rings of hard layers at infinity, at the right end")

# %% [markdown]
# Continuous students of two disks in one step lie near the curve in {numref}`fig-leak-students`: given their slope they must leak more than half of what they leak (medians).
# Those of several steps leak up to about three times what they must, and soft layers move along the curve, to the right and down. On eight Gaussians all stay well away, as sectors and slabs do in {numref}`fig-leak-bound`.
#
# The later version's sentence, that good coverage needs a map that is not Lipschitz, fails in its literal form: six rows of soft layers, in two and four steps, leak for most seeds under one per cent and miss no
# mass by a tenth (the claim's note has them). What follows from {eq}`eq-leak` is that the
# constant must be large, and the correction asks whether over all students the leak falls as it rises. It does, with a rank correlation of $-0.62$, but the interval, $-0.74$ to $-0.46$, reaches across
# the bound, so that the verdict stays that of the literal form.
#
# ## A potential that jumps is a transport
#
# The gradient of any convex function is the optimal transport onto its own image. For `potential_hard` that image is a cloud of pieces $a_k$ (shifted by $c x$,
# which changes no cell), so the layer has learnt a power diagram, and the solver of {doc}`05_singular_sets`, given nothing but the pieces and the masses of their
# cells, must find the same cells again.

# %% tags=["nbval-check-output"]
cells = None
if "potential_hard" in p.layers:
    many = latents(1 << 14, 2, p.seed + 3)
    apart = {target: brenier_mismatch(rows[target, "potential_hard", 1, "trajectory"].student.layers[0], many) for target in p.targets}
    cells = max(float(v.max()) for v in apart.values())
    print(f"{'At most' if cells <= 0.01 else 'More than'} 1 % of the latents lie in another cell than the optimal transport's.")
ledger.claim("few.convex_potential_matches_brenier", cells, note="" if cells is not None else "this layer was not trained")

# %% [markdown]
# It does. So what such a layer can learn of a flow is bounded by what a transport can be: {doc}`06_complexity_and_drift` finds some four per cent of the mass of generic
# atoms on the other side of a wall. By symmetry the two agree on two equal disks and on eight Gaussians.
#
# ## More steps, of the same size in total
#
# By {prf:ref}`cor-steps` four maps of slope 3 do what one of slope 81 does, and with fresh noise between them half of it. But here a student of four steps has a quarter
# of the weights and of the updates for each.

# %%
chain, more, lines = [name for name in parted if name in p.chained], {}, []
for name in p.layers:
    for kind in ("trajectory", "consistency") if 4 in p.steps_student and chain else ():
        more[name, kind] = median_interval(less(rows, (name, 1, "trajectory"), (name, 4, kind), chain))
        lines.append((words(name), kind, told(more[name, kind])))
display(HTML(table(("layer", "lesson", "how much less four steps leak (negative: more)"), lines, "Four steps against one: medians over seeds with intervals")))
ledger.claim("few.steps_leak_less_at_equal_cost", more.get(("mlp", "trajectory")),
             note=", ".join(map(words, chain)) if more else "no student in four steps")

# %% [markdown]
# At equal cost steps helped most surely the soft potential, whose slopes multiply to hundreds. The MLP leaks more in four steps than in one, and the claim fails, as it would for the hard experts: with a quarter of
# the weights and of the updates each map is so much blunter that four of them do not make up for it. The hard potential has hardly any leak to lose. The corollary
# says what steps can do; it does not say that a budget divided by four will do it.
#
# ## Earlier and fewer?
#
# For the two sentences on distillation we lay planes through three latents, a plane for each seed, and ask at every step what the model foresees: the exact
# denoiser its posterior mean, a student its answer. A boundary is *sharp* where the foreseen picture jumps, from one grid point to the next, by more than a fifth
# of the median distance of two emoji; the areas that such boundaries part are *phases*. Boundaries have *formed* at the share of the sampler's steps at which half of their final length is there. The shares
# depend on how steps are spaced; both spacings are even in the logarithm of the noise, or nearly so. The teacher begins at noise of ten deviations of the data, which is a choice:
# one that begins higher spends more of its steps on nothing. So its shares are taken from five and from twenty as well, and stand in the note of the claim. *Earlier* is asked of students in four steps,
# since one step has no other than its first; *fewer* of students in one.

# %%
planes_of = plane_latents(dims, p.grid, p.seeds, p.seed + 6)
height = ridge_of(faces.mixture.means)
teacher = teacher_foresees(faces, planes_of, p.steps_teacher)
views = {key: student_foresees(student, planes_of, p.seed) for key, (student, _) in emoji.items()}
edges = {key: sharp(view, height) for key, view in views.items()}
own = sharp(teacher, height)

# %% tags=["hide-input"]
late, lines = formed(own.cut), []
begun = {far: formed(sharp(teacher_foresees(faces, planes_of, p.steps_teacher, far), height).cut) for far in (5, 20)}
for name in ("mlp", "potential_hard"):
    known = name in p.layers
    soon = formed(edges[name, 4].cut) if known and 4 in p.steps_emoji else []
    gain = sooner(late, soon) if soon else []
    fewer = edges[name, 1].phases / own.phases if known else []
    note = f"{len(gain)} planes with sharp boundaries in both" if soon else "no student of this layer in four steps"
    for far in begun if gain else ():
        note += f"; with a teacher from {far} deviations on {told(median_interval(sooner(begun[far], soon)))}"
    ledger.claim("few.distillation_earlier", median_interval(gain), model=name, note=note)
    ledger.claim("few.distillation_fewer", median_interval(fewer), model=name, note="one step")
ledger.number("sharp_teacher", np.median(own.cut, 1), "share of edges, by step")
for (name, steps), one in edges.items():
    ledger.number(f"sharp_{name}_{steps}", np.median(one.cut, 1), "share of edges, by step")
    ledger.number(f"phases_{name}_{steps}", float(np.median(one.phases)), "phases at the last step")
    if name in ("mlp", "potential_hard"):
        lines.append((words(name), steps, told(median_interval(one.phases)), told(median_interval(formed(one.cut)))))
lines.append(("teacher", "–", told(median_interval(own.phases)), told(median_interval(late))))
display(HTML(table(("layer", "steps", "phases", "formed at"), lines, "Phases of a plane: medians over planes with intervals, or with the number n of planes that have a boundary")))

# %% tags=["hide-input"]
first = [("exact flow", teacher[-1, 0])] + [(name, views[name, 1][-1, 0]) for name in p.layers]
jumps = [np.maximum(np.linalg.norm(np.diff(v, axis=0), axis=-1)[:, 1:], np.linalg.norm(np.diff(v, axis=1), axis=-1)[1:]) for _, v in first]

# %% mystnb={"figure": {"caption": "One plane of latents, in two blocks; the first column is the exact flow, the others are students in one step. Above: the picture that each latent comes nearest to. Below: the largest jump to a neighbour, one scale for all.", "name": "fig-few-planes"}} tags=["hide-input"]
show(planes([words(name) for name, _ in first], [faces.near(v) for _, v in first], jumps, p.pictures),
     alt="Maps for the exact flow and six layers: similar areas; jumps along thin lines in the exact flow and the hard layers, "
         "faint or none in the MLP")

# %% [markdown]
# For the hard potential earlier holds and fewer fails: in one step it has as many phases as its teacher, and in four it has half of its boundaries at its first step, a third of the sampler before
# the teacher. A student of consistency is taught the end of the path from its first step on, so that *earlier* is what it is asked for. And by how much depends on where the teacher begins: by a
# quarter of the sampler from five deviations, by a third from ten and from twenty; from two and a half, in a run apart, the interval is 0.08 to 0.17 and would decide nothing.
#
# The MLP in one step has one phase, since at this grid hardly any of its walls is sharp, so fewer holds; in four steps no plane of it has a boundary of which
# one could ask when it formed, and earlier is not tested. A map may lose sharp boundaries by merging two areas (upper rows of {numref}`fig-few-planes`) or by blurring the wall between them
# (lower rows), which is paid for in leak. Both layers were distilled alike, so what the MLP lost in sharp boundaries it lost to its slope, not to distillation.
#
# ## A trained network
#
# A network can be asked the same. `phasebook train student-unet-a` distils one, without data, into students of 4, 2 and 1 steps: it has the teacher's weights to begin
# with, and each of its steps is to land where the teacher's own path of twenty steps comes by {cite:p}`salimans2022progressive`; the student of two steps begins as that of four, that of one
# as that of two. `--start DIR` names any other teacher. Students lie beside their teacher in `assets/`, or where `students` says. Teacher and students then
# start from the same latents: on small planes, for boundaries as before, and at independent places, for three more numbers. *Coverage* is the number of different things that
# the judge names in their pictures; *leak* the share of pictures that resemble no thing as well as three in four of the teacher's do, a quarter for the teacher itself; *split* the share of the sampler after
# which two starts have parted, by the median over pairs that share no start. Intervals are over planes for boundaries, over starts or pairs for the rest.
#
# The parts of which the judge tells have no distance, so the bound cannot be asked of them. It can be asked of half-spaces: along the axis on which the teacher's latents vary
# most, what lies below one decile and what lies above another are two parts as far apart as the deciles. The theorem holds for the sampler's value along this axis, a real function
# of all its noise. Its constant is measured from below by an ascent along gradients, which ends as above with a difference quotient. The axis is fitted
# to the teacher's latents on the planes, and what is demanded is counted at the independent starts. Fitted to the same starts the axis would demand too much: of forty-eight points of a
# Gaussian in 1024 dimensions a constant of four, where it is 1.

# %% tags=["hide-input"]
from pathlib import Path

from phasebook.models.towers.clip import ClipFeatures
from phasebook.site.chapters.network_students import compared, students_of

# %%
family, column = students_of(p.network, p.students, 64), {}
if family:
    shape = next(iter(family.values())).model.shape
    flat = plane_latents(int(np.prod(shape)), p.network_grid, p.network_planes, p.seed + 7, p.reach)
    column = compared(family, flat, p.starts, ClipFeatures.load(p.judge), p.seed + 8)
lines = [(steps, told(median_interval(one.sharp.phases)), told(median_interval(formed(one.sharp.cut))), told(one.kinds),
          told(one.melted), told(one.split)) for steps, one in column.items()]
heads = ("steps", "phases", "formed at", "coverage", "leak", "split at")
display(HTML(table(heads, lines, "Network and students: medians with intervals")))
lines = [(steps, f"{one.asked:.2g}", f"{one.constant:.2g}") for steps, one in column.items()]
display(HTML(table(("steps", "L demanded", "L at least"), lines, "Their Lipschitz constants along one axis")))

# %% tags=["nbval-check-output"]
print(f"Students of the network: {', '.join(f'in {k}' for k in list(column)[1:]) or 'none, not tested here'}.")

# %% tags=["hide-input"]
name, note, gain, fewer = Path(p.network).name, "no student of this network is there", [], []
if {1, 4} <= set(column):
    above, *_ = column.values()
    gain = sooner(formed(above.sharp.cut), formed(column[4].sharp.cut))
    fewer, note = column[1].sharp.phases / above.sharp.phases, f"{p.network_planes} planes"
ratios = [one.constant / one.asked for one in column.values() if one.asked > 0]
ledger.claim("few.leak_bound_network", min(ratios) if ratios else median_interval([]), model=name, note=f"{p.starts} starts" if column else note)
ledger.claim("few.distillation_earlier", median_interval(gain), model=name, note=note)
ledger.claim("few.distillation_fewer", median_interval(fewer), model=name, note=note)
for steps, one in column.items():
    values = [float(np.median(one.sharp.phases)), one.kinds.value, one.melted.value, one.split.value, *np.median(one.sharp.cut, 1)]
    ledger.number(f"network_{steps}", values, "phases, things, melted, split, then share of sharp edges by step")

# %% [markdown]
# All four samplers obey the bound, with three times the constant demanded and more. The two sentences on distillation are undecided: a dozen planes are few, and some have
# no sharp boundary at all. On the others the teacher's boundaries come late, and those of the student in four steps with its last one, in the median: to learn the end of the
# teacher's path does not make *earlier* true by construction. In coverage and leak the students' intervals overlap with the teacher's, so that they lose nothing that so few
# starts could tell. Where no student is there nothing of this is tested, and the claims say so.
#
# ## What was shown, and what was not
#
# Shown: a bound on the leak that holds for every generator with a Lipschitz constant, attained on the line, and what becomes of it in several steps, fresh noise counted; how near to it small
# continuous students come at equal size and budget; how much less layers that jump leak in the plane, and that they do so before training; and that a trained piecewise affine potential is an optimal
# transport, by a test that it can fail.
#
# Not shown: anything about large networks, or about prompts: the network's students know one. Training is short and equal, so it tells how layers compare when resources are few, not what each can do in the end;
# a longer one is one command away, `phasebook run 18 -p budget 3000`. Constants are measured from below, those of soft layers in several steps near the limit of
# the secant. For three parts or more the bound by pairs is not sharp, and we know of none that is in the plane.

# %% tags=["results", "hide-input"]
ledger.emit()
