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
# # A short heat flow is almost an optimal transport
#
# Let a probability density diffuse for a short time. The mass it moves could have been moved more cheaply: there is
# exactly one cheapest way, the Brenier map {cite:p}`brenier1991polar`. The theorem on which
# {cite:t}`lobashev2025caffarelli` build (their Theorem B.1) says that the two ways agree to second order in the time.
# This chapter measures the agreement, and not only its order: each constant is predicted by a formula and met to
# several digits. We start with a Gaussian, where both ways can be written down, continue with mixtures on the line,
# and end on the flat torus, the one setting of the three in which the theorem's assumptions can hold.
# On the way we test the equations of the paper's proof one by one. Three of them do not survive as
# printed.

# %% tags=["parameters"]
gaussian_variance = 2.0         # s of N(0, s), the opening case
mixture_means = [-1.5, 1.0]     # a Gaussian mixture on the line
mixture_stds = [0.7, 0.5]
mixture_weights = [0.4, 0.6]    # positive, sum 1
# rows k1, k2, a, phase of rho = 1 + sum a cos(k.x + phase)
torus_modes = [
    [1, 0, 0.3, 0.0],
    [0, 1, 0.2, 0.5],
    [1, 1, 0.2, 1.0],
    [2, -1, 0.1, 0.3],
]
torus_grid = 64                 # points an axis; refined where too coarse
# heat times
epsilons = [1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3]

# %% tags=["hide-input"]
from typing import Annotated

from pydantic import Field, model_validator

from phasebook.site.chapters.ledger import Correction, Ledger
from phasebook.site.chapters.parameters import Finite, Parameters, Positive
from phasebook.theory.heat.expansion import resolving_grid
from phasebook.theory.heat.line import check_mixture
from phasebook.theory.heat.torus import TorusDensity, check_modes


class Chapter(Parameters):
    gaussian_variance: Annotated[float, Field(ge=1e-3, le=1e3)]
    mixture_means: list[Finite]
    mixture_stds: list[Positive]
    mixture_weights: list[Positive]
    torus_modes: list[list[Finite]]
    torus_grid: Annotated[int, Field(ge=16, le=384)]
    epsilons: Annotated[list[Annotated[float, Field(ge=1e-9, le=1.0)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _densities(self):
        check_mixture(self.mixture_means, self.mixture_stds, self.mixture_weights)
        check_modes(self.torus_modes, grid=self.torus_grid)
        resolving_grid(TorusDensity.from_rows(self.torus_modes), self.torus_grid)
        return self


p = Chapter.read(globals())
ledger = Ledger("01_heat_and_transport", p)

# %% [markdown]
# ## Setting
#
# Write $\gamma_t$ for the centred Gaussian with covariance $t I$, $\rho_t = \rho * \gamma_t$ for the density after heat
# time $t$ (a variance) and $\mu_t$ for its measure. Then $\partial_t \rho_t = \tfrac12 \Delta \rho_t$, and the mass moves
# with the velocity
#
# $$ v_t = -\tfrac12 \nabla \log \rho_t. \tag{20} $$
#
# $T_\varepsilon$ is the Brenier map from $\mu_0 = \mu$ to $\mu_\varepsilon$. Moving every particle along the straight
# segment from $x$ to $T_\varepsilon(x)$ gives the displacement interpolation of {cite:t}`mccann1997convexity`,
#
# $$ \mu_t^{\mathrm{OT}} = \bigl((1 - \tfrac{t}{\varepsilon})\,\mathrm{Id} + \tfrac{t}{\varepsilon} T_\varepsilon\bigr)_\# \mu,
# \qquad 0 \le t \le \varepsilon, \tag{11} $$
#
# a curve with the same two ends as the heat flow. The theorem compares the curves and the maps: for small
# $\varepsilon$,
#
# $$ \sup_{t \le \varepsilon} W_2(\mu_t, \mu_t^{\mathrm{OT}}) \le C \varepsilon^2, \tag{12} $$
#
# $$ \bigl\| T_\varepsilon - (\mathrm{Id} - \tfrac{\varepsilon}{2} \nabla \log \rho) \bigr\|_{L^2(\mu)} \le C' \varepsilon^2 . \tag{13} $$
#
# ## The known answer: a Gaussian
#
# For $\rho = \mathcal N(0, s)$ the heat flow only widens the bell: $\rho_t = \mathcal N(0, s + t)$, and the Brenier map is the
# dilation $T_\varepsilon(x) = \sqrt{1 + \varepsilon / s}\, x$. Expanding the root,
#
# $$ T_\varepsilon(x) = x + \frac{\varepsilon}{2 s} x - \frac{\varepsilon^2}{8 s^2} x + O(\varepsilon^3), $$
#
# and the first two terms are $\mathrm{Id} - \tfrac{\varepsilon}{2} \nabla \log \rho$. So the left side of (13) is
# $\tfrac18 s^{-3/2} \varepsilon^2$ to leading order. Along both curves the law stays Gaussian; one has standard deviation
# $\sqrt{s + t}$, the other the chord of this function over $[0, \varepsilon]$. The distance $W_2$ of two centred Gaussians on
# the line is the difference of their standard deviations, here the sag of the chord, at most
# $\tfrac1{32} s^{-3/2} \varepsilon^2$ to leading order.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-gaussian-sag", "caption": "Gaussian: the distance between heat flow and displacement interpolation over the time within one step, in units of ε² s^(−3/2), for ε = s/100, s/3 and 3 s. The line is the leading order t (ε − t)/8."}}
import numpy as np

from phasebook.site.figures.base import show
from phasebook.site.figures.transport import Curve, Field, animated_pair, curves, fields
from phasebook.theory.heat import gaussians

within = np.linspace(0.02, 0.98, 33)
steps = {"ε = s/100": 0.01, "ε = s/3": 1 / 3, "ε = 3 s": 3.0}
sag = [Curve(name, within, gaussians.interpolation_gap(1.0, within * e, e) / e**2, "measured", i + 1)
       for i, (name, e) in enumerate(steps.items())]
sag = [Curve("leading order", within, within * (1 - within) / 8, "predicted", 0), *sag]
show(curves([sag], ["t / ε"], ["W₂(μₜ, μₜᴼᵀ) / (ε² s<sup>−3/2</sup>)"], log=False),
     alt="Three dotted arches over t/epsilon; the one for small epsilon lies on the parabola with top 1/32.")

# %% [markdown]
# The gap in {numref}`fig-gaussian-sag` is zero at both ends, where the curves meet, and largest near the middle, where it comes to
# $1/32$ in these units as $\varepsilon \to 0$. For a step as long as $3s$ the parabola overestimates the gap by a factor of about three.
#
# ## The sharp form of the theorem
#
# Both constants of the Gaussian are special cases of one vector field. Define
#
# $$ Q = \Delta \log \rho + \tfrac12 |\nabla \log \rho|^2 = \frac{2 \Delta \sqrt \rho}{\sqrt \rho}. $$ (eq-q)
#
# The second form follows from $\Delta \sqrt\rho = \tfrac12 \sqrt\rho\, \Delta \log\rho + \tfrac14 \sqrt\rho\, |\nabla \log \rho|^2$.
#
# :::{prf:lemma} Acceleration of the heat flow
# :label: lem-acceleration
# Along a trajectory $\dot X = v_t(X)$ of the velocity (20), $\ddot X = -\tfrac14 \nabla Q_t(X)$, where $Q_t$ belongs to $\rho_t$.
# :::
#
# :::{prf:proof}
# The heat equation gives $\partial_t \log \rho_t = \tfrac12 (\Delta \log \rho_t + |\nabla \log \rho_t|^2)$, hence
# $\partial_t v_t = -\tfrac14 \nabla (\Delta \log \rho_t + |\nabla \log \rho_t|^2)$. The convective part is
# $(\nabla v_t) v_t = \tfrac14 D^2 \log\rho_t \nabla \log \rho_t = \tfrac18 \nabla |\nabla \log \rho_t|^2$. The sum is
# $-\tfrac14 \nabla (\Delta \log\rho_t + \tfrac12 |\nabla \log\rho_t|^2)$.
# :::
#
# The acceleration is a gradient. That is the whole reason why the two ways agree to one order more than one would guess.
#
# :::{prf:proposition} Theorem B.1 with its constants
# :label: prop-sharp
# Let $\rho$ be a smooth, positive density on the flat torus. As $\varepsilon \to 0$,
#
# $$ \begin{aligned}
# T_\varepsilon &= \mathrm{Id} - \frac{\varepsilon}{2} \nabla \log \rho - \frac{\varepsilon^2}{8} \nabla Q + O(\varepsilon^3), \\
# W_2(\mu_t, \mu_t^{\mathrm{OT}}) &= \frac{t (\varepsilon - t)}{8} \|\nabla Q\|_{L^2(\rho)} + O(\varepsilon^3)
# \end{aligned} $$ (eq-sharp)
#
# uniformly in $t \in [0, \varepsilon]$. The left sides of (13) and (12) are therefore $\tfrac{\varepsilon^2}{8} \|\nabla Q\|$ and
# $\tfrac{\varepsilon^2}{32} \|\nabla Q\|$ to leading order, and their quotient tends to 4.
# :::
#
# :::{prf:proof}
# By {prf:ref}`lem-acceleration` the flow map is $X_\varepsilon = \mathrm{Id} + \varepsilon v_0 - \tfrac{\varepsilon^2}{8} \nabla Q + O(\varepsilon^3)$,
# and it carries $\mu$ to $\mu_\varepsilon$. Drop the remainder: $G = \mathrm{Id} - \nabla(\tfrac\varepsilon2 \log\rho + \tfrac{\varepsilon^2}{8} Q)$
# is the gradient of a function that is convex for small $\varepsilon$, so it is the Brenier map onto its own image
# ({cite:t}`mccann2001polar` on the torus), and the density of the image differs from $\rho_\varepsilon$ by $O(\varepsilon^3)$, with derivatives. The
# Monge-Ampère equation linearised at the identity is $u \mapsto \rho^{-1} \nabla \cdot (\rho \nabla u)$, invertible on functions
# without mean in Hölder spaces; by the implicit function theorem $T_\varepsilon = G + O(\varepsilon^3)$.
#
# For the second claim let $S_t$ be the Brenier map from $\mu$ to $\mu_t$ and $I_t = (1 - \tfrac t\varepsilon) \mathrm{Id} + \tfrac t\varepsilon T_\varepsilon$.
# By the first claim, used for $t$ and for $\varepsilon$, $S_t - I_t = \tfrac18 (t \varepsilon - t^2) \nabla Q + O(\varepsilon^3)$. The pair $(S_t, I_t)$ couples $\mu_t$
# with $\mu_t^{\mathrm{OT}}$, which bounds $W_2$ from above. The map $S_t \circ I_t^{-1}$ from $\mu^{\mathrm{OT}}_t$ to $\mu_t$ is the identity plus a gradient plus
# $O(\varepsilon^3)$; by the argument of the first part it is within $O(\varepsilon^3)$ of the optimal one, which bounds $W_2$ from below.
# :::
#
# For $\mathcal N(0, s I_d)$ one has $\nabla Q = x / s^2$ and $\|\nabla Q\| = \sqrt d\, s^{-3/2}$, as found above (the package's tests repeat this
# with SymPy, with unequal variances as well). The next order can be had in the same way. The third derivative of a trajectory is
# $\dddot X = -\tfrac14 (\nabla \partial_t Q + D^2 Q\, v)$; its gradient part, divided by 6, is the coefficient $b$ of $\varepsilon^3$ in $T_\varepsilon$. Both
# ratios of measured to predicted error then leave 1 linearly, with slopes known in advance: $\beta$ for (13) and $\tfrac32 \beta$ for (12), where
#
# $$ \beta = - 8\, \langle \nabla Q, b \rangle_{L^2(\rho)} \,/\, \|\nabla Q\|^2_{L^2(\rho)} . $$ (eq-beta)
#
# This tells us, before any measurement, how small $\varepsilon$ has to be.

# %% tags=["hide-input"]
from phasebook.theory.heat.expansion import ladder, line_expansion, slope, torus_expansion
from phasebook.theory.heat.interpolation import (
    gaussian_sweep,
    line_interpolant,
    line_sweep,
    summary,
    torus_gap,
    torus_sweep,
    velocity_gap,
)
from phasebook.theory.heat.line import LineMixture
from phasebook.theory.heat.monge_ampere import brenier
from phasebook.theory.heat.torus import grid_points, mean_norm

bell = LineMixture([0.0], [np.sqrt(p.gaussian_variance)], [1.0])
mixture = LineMixture(p.mixture_means, p.mixture_stds, p.mixture_weights)
torus = TorusDensity.from_rows(p.torus_modes)
n, coarse = resolving_grid(torus, p.torus_grid)
constants = {"gaussian": line_expansion(bell), "line": line_expansion(mixture), "torus": torus_expansion(torus, n)}
rungs = {name: ladder(p.epsilons, c) for name, c in constants.items()}

# %% [markdown]
# ## The line
#
# On the line the Brenier map is the monotone one, $F_\varepsilon(T_\varepsilon(x)) = F(x)$ with $F$ the distribution function. For a mixture of Gaussians
# $F$ is a sum of error functions, so the map is found by root finding, and $W_2$ is an integral over quantiles. We solve for the displacement and form
# the difference $F_\varepsilon(x + u) - F(x)$ without cancellation, so that even at $\varepsilon = 10^{-6}$ the second-order term, $10^{-12}$
# in size, keeps many correct digits.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-line", "caption": "Heat flow (solid) and displacement interpolation (dashed) of a mixture on the line between the same two ends, over one long step. Below: the density of the first minus that of the second."}}
long = 1 / constants["line"].kappa
x = np.linspace((mixture.means - 3.5 * mixture.stds).min(), (mixture.means + 3.5 * mixture.stds).max(), 241)
parts = np.linspace(0, 1, 17)
heat = [np.exp(mixture.heat(f * long).log_density(x)) for f in parts]
straight = line_interpolant(mixture, parts, long, x)
show(animated_pair(parts * long, [(x, y) for y in heat], [(x, y) for y in straight],
                   [(x, a - b) for a, b in zip(heat, straight, strict=True)],
                   names=("heat flow ρₜ", "displacement interpolation"), difference_name="difference",
                   x_title="x", y_titles=("density", "difference")),
     alt="Animation: two density curves with two bumps stay close to each other while they flatten; their difference, "
         "positive in the valley and negative at the peak, is largest half way and vanishes at both ends.")

# %% [markdown]
# The step in {numref}`fig-line` is as long as the density's own time scale, where nothing is small any more, and still the two densities stay
# close. The heat flow is the earlier one: it moves fastest at the start, when the density is steepest, and fills the valley and lowers the peak
# before the interpolation does, which keeps one velocity throughout. The difference rises from zero, is largest about half way, and returns to
# zero where the curves meet again.
#
# ## The torus
#
# On the torus $[0, 2\pi)^2$ we take densities $\rho = 1 + \sum_k a_k \cos(k \cdot x + \theta_k)$ with respect to $dx / (2\pi)^2$. The heat flow multiplies
# $a_k$ by $e^{-|k|^2 t/2}$, exactly. The Brenier map is $\mathrm{Id} + \nabla\phi$ with $\phi$ periodic, a solution of the Monge-Ampère equation
#
# $$ \log \rho_\varepsilon(x + \nabla\phi) + \log\det(I + D^2\phi) = \log \rho(x), $$ (eq-monge-ampere)
#
# which we solve by Newton's method with Fourier derivatives. Again the equation is written in increments. We write
# $\phi = -\tfrac\varepsilon2 \log\rho + c$ and solve for $c$; the equation stays the full one, but its first-order part no longer drowns the second.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-torus", "caption": "Left: the density on the torus and the displacement of its Brenier map, for half its own time scale. Right: Q, and what the Brenier map adds to the paper's first-order map at the smallest usable ε: the arrows follow −∇Q. In each panel the arrows are drawn on one scale, the longest 0.6 long."}}
x = grid_points(n, 2)
thin = max(n // 12, 1)
points = x[::thin, ::thin].reshape(-1, 2)
long = 1 / constants["torus"].kappa
small = rungs["torus"].epsilons[rungs["torus"].best]
moved, extra = brenier(torus, long / 2, n).displacement, brenier(torus, small, n).second
arrows = [f[::thin, ::thin].reshape(-1, 2) for f in (moved, extra)]
scale = [0.6 / np.hypot(*a.T).max() for a in arrows]
show(fields([Field(f"ρ and T − Id, ε = {long / 2:.2g}", torus(x), points, arrows[0], scale[0], "ρ"),
             Field(f"Q and T − (Id − (ε/2) ∇ log ρ), ε = {small:.0e}", torus.q(x), points, arrows[1], scale[1], "Q")]),
     alt="Two coloured squares with arrows: mass moves away from the dense region; the second-order part of the map "
         "points down the slopes of Q.")

# %% [markdown]
# The left panel of {numref}`fig-torus` is the first order: mass leaves the dense region along $-\nabla\log\rho$. The right panel shows what is left when that is
# subtracted, and it is $-\nabla Q$ to the eye. Now to the digits.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-errors", "caption": "Left sides of (13) and (12) against ε. Markers: measured; solid: predicted by the sharp form, with no free constant; dashed: fitted power law over the usable range, for the torus."}}
sweeps = {"gaussian": gaussian_sweep(p.gaussian_variance, rungs["gaussian"].epsilons),
          "line": line_sweep(mixture, rungs["line"].epsilons),
          "torus": torus_sweep(torus, rungs["torus"].epsilons, n, constants["torus"].kappa)}
found = {name: summary(sweeps[name], constants[name], rungs[name]) for name in sweeps}
panels = [[], []]
for i, (name, s) in enumerate(sweeps.items()):
    for panel, error, share in zip(panels, (s.map_error, s.w2), (8, 32), strict=True):
        panel.append(Curve(name, s.epsilons, error, "measured", i))
        panel.append(Curve(f"predicted, {name}", s.epsilons, s.epsilons**2 / share * constants[name].grad_q_norm,
                           "predicted", i))
usable = found["torus"].usable
for panel, error in zip(panels, (sweeps["torus"].map_error, sweeps["torus"].w2), strict=True):
    log_eps = np.log(sweeps["torus"].epsilons)
    fit = np.polyfit(log_eps[usable], np.log(error[usable]), 1)
    panel.append(Curve("fitted, torus", sweeps["torus"].epsilons, np.exp(np.polyval(fit, log_eps)), "fitted", 6))
show(curves(panels, ["ε (heat time)"] * 2, ["‖T − (Id − (ε/2) ∇ log ρ)‖", "max<sub>t</sub> W₂(μₜ, μₜᴼᵀ)"]),
     alt="Two log-log panels: errors of the three settings lie on their predicted lines of slope 2.")

# %% tags=["hide-input"]
for name, v in found.items():
    orders = f"orders {v.map_slope:.5f} (13), {v.w2_slope:.5f} (12)" if v.map_slope else "no usable eps"
    print(f"{name:9} ||grad Q|| = {constants[name].grad_q_norm:.6f}, {orders}")

# %% [markdown]
# Over the whole range the markers of {numref}`fig-errors` sit on lines that contain nothing fitted. The slopes just printed use only the usable $\varepsilon$: those above
# the floor of floating point and below the density's time scale, both estimated from the density beforehand. A plot over five decades forgives much,
# so we divide.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ratios", "caption": "Distance from 1 of the ratio measured / predicted, for the map (13) and for the interpolation (12). Solid lines: the predicted next order, |β| ε and 3/2 |β| ε."}}
panels = [[], []]
for i, (name, s) in enumerate(sweeps.items()):
    for panel, error, share, order in zip(panels, (s.map_error, s.w2), (8, 32), (1, 1.5), strict=True):
        ratio = error / (s.epsilons**2 / share * constants[name].grad_q_norm)
        panel.append(Curve(name, s.epsilons, np.abs(ratio - 1), "measured", i))
        panel.append(Curve(f"next order, {name}", s.epsilons, order * abs(constants[name].beta) * s.epsilons,
                           "predicted", i))
show(curves(panels, ["ε (heat time)"] * 2, ["|ratio − 1|, map", "|ratio − 1|, interpolation"]),
     alt="Two log-log panels: the ratios approach 1 linearly in epsilon along the predicted lines.")

# %% [markdown]
# The ratios approach 1 in proportion to $\varepsilon$, along the lines that {eq}`eq-beta` draws ({numref}`fig-ratios`). Agreement at the next order is a far
# stricter test than agreement of the constant: an error of one part in a thousand in $\|\nabla Q\|$ would bend every marker off its line.

# %% tags=["hide-input"]
remarks = {name: " ".join(t for t in (coarse if name == "torus" else "", rungs[name].remark, sweeps[name].remark) if t)
           for name in sweeps}
where = {"gaussian": "N(0, s) on R", "line": "Gaussian mixture on R", "torus": "flat torus"}
for name, f in found.items():
    at = f"Ratio at eps = {f.eps:.0e}, the smallest usable. {remarks[name]}" if f.eps else remarks[name]
    ledger.claim(f"heat.{name}.map", "Eq. (13)", f"{where[name]}: the Brenier map is Id - (eps/2) grad log rho up to "
                 "(eps^2/8) ||grad Q||.", 1.0, f.map_ratio, 5e-4, note=at)
    ledger.claim(f"heat.{name}.w2", "Eq. (12)", f"{where[name]}: heat flow and displacement interpolation are "
                 "(eps^2/32) ||grad Q|| apart.", 1.0, f.w2_ratio, 5e-4, note=at)
best = found["torus"]
ledger.claim("heat.order", "Eqs. (13), (14)", "The map error is of second order in eps (torus).", 2.0,
             best.map_slope, 2e-3, note=remarks["torus"])
ledger.claim("heat.order_w2", "Eq. (12)", "The distance of the two curves is of second order in eps (torus).", 2.0,
             best.w2_slope, 2e-3, note=remarks["torus"])
_ = ledger.claim("heat.quotient", "Eqs. (12), (13)", "The map error is four times the distance of the curves (torus).",
             4.0, best.quotient, 1e-2, note=f"Sharp form. {remarks['torus']}".strip())

# %% [markdown]
# ## The proof, equation by equation
#
# The paper derives the theorem from four expansions. Each claims a rate, and a rate can be fitted:
#
# $$ \rho_t = \rho + \tfrac t2 \Delta\rho + \tfrac{t^2}8 \Delta^2\rho + R_t, \quad \|R_t\|_\infty \le C t^3, \tag{18} $$
#
# $$ v_t = -\tfrac12 \nabla\log\rho - \tfrac t4 \nabla \frac{\Delta\rho}{\rho} + O(t^2), \tag{24} $$
#
# $$ v_0^{\mathrm{OT}} = -\tfrac12\nabla\log\rho = v_0^{\mathrm{heat}}, \tag{27} $$
#
# $$ \|\nabla(\psi_\varepsilon - \psi_0)\|_{L^2(\rho)} = O(\varepsilon), \tag{31} $$
#
# where $T_\varepsilon = \mathrm{Id} + \varepsilon\nabla\psi_\varepsilon$ and $\psi_0 = -\tfrac12\log\rho$.
#
# Equation (27) needs a reading: the velocity of the displacement interpolation at $t = 0$ is $(T_\varepsilon - \mathrm{Id})/\varepsilon$, which depends on
# $\varepsilon$ and equals $v_0$ in the limit only. We measure the rate, on the line for (27) and on the torus for (31); the proposition gives the constant
# $\tfrac18\|\nabla Q\|$ for both.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-residuals", "caption": "What is left in the expansions of the proof, against t or ε, with the rate each should have. The residual of (18) is a maximum over the torus, the others are L²(ρ) norms."}}
x, rho = grid_points(n, 2), torus(grid_points(n, 2))
times = np.logspace(-4, -2.5, 7) / constants["torus"].kappa
waves = np.logspace(-4, -2.5, 7) / (torus.wave**2).sum(1).max()
taylor = np.array([np.abs(torus.taylor_remainder(x, t)).max() for t in waves])
velocity = np.array([mean_norm(-(torus.heat(t).score(x) - torus.score(x)) / 2 + t / 4 * torus.grad_ratio(x), rho)
                     for t in times])
start = {name: (sweeps[name].epsilons[found[name].usable],
                (sweeps[name].map_error / sweeps[name].epsilons)[found[name].usable]) for name in ("line", "torus")}
rates = {"18": (waves, taylor, 3), "24": (times, velocity, 2), "27": (*start["line"], 1), "31": (*start["torus"], 1)}
panel = []
for i, (number, (t, residual, order)) in enumerate(rates.items()):
    panel += [Curve(f"({number})", t, residual, "measured", i),
              Curve(f"rate {order}, ({number})", t, residual[0] * (t / t[0]) ** order, "predicted", i)]
show(curves([panel], ["t or ε (heat time)"], ["residual"]), alt="Residuals on log axes along lines of slope 3, 2, 1 and 1.")

# %% tags=["hide-input"]
fitted = {k: slope(t, r) if len(t) > 1 else None for k, (t, r, _) in rates.items()}
says = {"18": "The Taylor remainder of the heat flow is of third order in t.",
        "24": "The heat velocity is -(1/2) grad log rho - (t/4) grad (Laplacian rho / rho) up to second order in t.",
        "27": "The initial velocity of the displacement interpolation is that of the heat flow, up to first order in eps.",
        "31": "The potentials converge: ||grad (psi_eps - psi_0)|| is of first order in eps."}
notes = {"18": "Needs six derivatives of rho, not the four assumed: the remainder is (t^3/48) Laplacian^3 rho at first.",
         "24": "", "27": f"Gaussian mixture on the line. {remarks['line']}", "31": remarks["torus"]}
for number, (_, _, order) in rates.items():
    ledger.claim(f"heat.eq{number}", f"Eq. ({number})", says[number], float(order), fitted[number], 1e-2,
                 note=notes[number].strip())

# %% [markdown]
# All four rates hold ({numref}`fig-residuals`). One remark on (18): a remainder of third order takes six bounded derivatives of $\rho$, while the paper assumes four.
# For $\rho \in C^4$ the remainder is only $o(t^2)$, which would leave (24) without its rate. Smoothness is cheap here, so this is a blemish, not a hole.
#
# ## What cannot hold: a lower bound on all of space
#
# The paper assumes
#
# $$ 0 < m \le \rho(x) \le M \quad \text{for all } x \in \mathbb R^d. \tag{7} $$
#
# No probability density does this. A ball $B_R$ holds mass at least $m\,|B_R|$, which exceeds 1 once $R$ is large, so $\inf_{B_R} \rho \le 1 / |B_R| \to 0$. For our mixture the decay is
# Gaussian: the smallest value inside $[-R, R]$ falls without end. What the proof uses is invertibility of $\rho^{-1}\nabla\cdot(\rho\nabla\,\cdot\,)$ and enough
# decay, and on the line our measurements go through without (7). On the torus (7) is honest.

# %% tags=["hide-input"]
# from here out the ends lie lower than any valley between the components
radii = 3 * np.abs(mixture.means).max() + mixture.stds.max() * np.array([2.0, 4.0, 8.0, 16.0])
least = np.array([mixture.log_density(np.linspace(-r, r, 4001)).min() for r in radii]) / np.log(10)
for r, v in zip(radii, least, strict=True):
    print(f"least density on [-{r:.3g}, {r:.3g}]: 10^{v:.1f}")
_ = ledger.claim("heat.eq7", "Eq. (7)", "The density is bounded below by a positive constant on all of R^d: its infimum over "
             "growing balls levels off (ratio of the last two infima 1).", 1.0, 10.0 ** (least[-1] - least[-2]), 1e-2,
             note=f"Impossible for a probability density on R^d. On the torus (7) holds: min rho = {torus.minimum():.4g} here.")

# %% [markdown]
# ## Two inequalities that fail, and how to mend them
#
# To compare the curves the paper bounds the difference of their velocities, and integrates:
#
# $$ \| v_t^{\mathrm{heat}} - v_t^{\mathrm{OT}} \|_{L^2(\mu_t)} \le C_0 t, \tag{35} $$
#
# $$ W_2(\mu_t, \mu_t^{\mathrm{OT}}) \le C t^2 . \tag{36} $$
#
# The first would make the velocities equal at $t = 0$. They are not: the interpolation leaves with the *mean* velocity of the whole step, the heat flow with
# its initial one.
#
# :::{prf:proposition} What the velocities do
# :label: prop-velocities
# In the setting of {prf:ref}`prop-sharp`, uniformly in $t \in [0, \varepsilon]$,
# $\| v_t^{\mathrm{heat}} - v_t^{\mathrm{OT}} \|_{L^2(\mu_t)} = \tfrac14 |t - \tfrac\varepsilon2|\, \|\nabla Q\| + O(\varepsilon^2)$. In particular the difference at $t = 0$ is
# $\tfrac\varepsilon8 \|\nabla Q\|$ to leading order, and $W_2(\mu_t, \mu_t^{\mathrm{OT}}) / t^2 = \tfrac18 (\varepsilon/t - 1) \|\nabla Q\| + O(\varepsilon^3 / t^2)$.
# :::
#
# :::{prf:proof}
# Along a trajectory the heat velocity is $v_0 - \tfrac t4 \nabla Q + O(t^2)$. The interpolation keeps the velocity
# $(T_\varepsilon - \mathrm{Id})/\varepsilon = v_0 - \tfrac\varepsilon8 \nabla Q + O(\varepsilon^2)$. At time $t$ the two kinds of particles are $O(\varepsilon^2)$ apart; subtract. The
# statement on $W_2$ is {eq}`eq-sharp`.
# :::
#
# The repair is small. Put $C_0 \varepsilon$ in place of $C_0 t$ in (35). Grönwall's inequality then gives $C_0 e^{Lt} \varepsilon t$ in place of (36), and this is still at most
# $C \varepsilon^2$: the theorem (12) stands, with the sharp $C_0 = \tfrac18 \|\nabla Q\|$.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-velocities", "caption": "Torus, one step of the smallest usable ε. Left: the difference of the velocities over t, in units of (ε/8) ‖∇Q‖. Right: W₂ over t, in units of (ε²/32) ‖∇Q‖. Solid: the sharp form. Dashed: the printed forms, a multiple of t through the end of the step for (35), a multiple of t² through the middle for (36)."}}
eps, size, inside = small, constants["torus"].grad_q_norm, np.linspace(0.02, 0.98, 17)
whole = brenier(torus, eps, n)
speed = velocity_gap(torus, inside, eps, n, whole) / (eps / 8 * size)
apart = np.array([torus_gap(torus, f * eps, eps, n, whole) for f in inside]) / (eps**2 / 32 * size)
left = [Curve("measured", inside, speed), Curve("sharp form", inside, np.abs(2 * inside - 1), "predicted", 0),
        Curve("printed form", inside, inside, "fitted", 1)]
right = [Curve("measured", inside, apart), Curve("sharp form", inside, 4 * inside * (1 - inside), "predicted", 0),
         Curve("printed form", inside, 4 * inside**2, "fitted", 1)]
show(curves([left, right], ["t / ε"] * 2, ["velocity difference", "W₂(μₜ, μₜᴼᵀ)"], log=False),
     alt="Left: a V that is 1 at both ends of the step and 0 in its middle, while the printed bound starts at 0. "
         "Right: an arch that lies above the printed parabola for small t.")

# %% tags=["hide-input"]
early = np.logspace(-3, -1.5, 4)
gaps = velocity_gap(torus, early, eps, n, whole)
distances = np.array([torus_gap(torus, f * eps, eps, n, whole) for f in early])
ledger.claim("heat.eq35", "Eq. (35)", "The velocities differ by at most C_0 t: the difference vanishes at least linearly "
             "as t -> 0 (fitted slope in t).", ">= 1", slope(early, gaps), 0.05, note=remarks["torus"],
             correction=Correction(statement="The velocities differ by at most C_0 eps, sharp for C_0 = ||grad Q|| / 8 "
                                   "(ratio of the largest difference to it).", expected=1.0, tolerance=2e-3,
                                   measured=float(velocity_gap(torus, [0.0, 1.0], eps, n, whole).max() / (eps / 8 * size))))
_ = ledger.claim("heat.eq36", "Eq. (36)", "W2(mu_t, mu_t^OT) is at most C t^2: it vanishes at least quadratically as t -> 0 "
             "(fitted slope in t).", ">= 2", slope(early, distances), 0.05, note=remarks["torus"],
             correction=Correction(statement="W2(mu_t, mu_t^OT) is at most C_0 eps t exp(L t), hence C eps^2: "
                                   "W2 = t (eps - t)/8 ||grad Q|| (ratio at the smallest t).", expected=1.0, tolerance=2e-3,
                                   measured=float(distances[0] / (eps**2 * early[0] * (1 - early[0]) / 8 * size))))

# %% [markdown]
# In {numref}`fig-velocities` the measured difference is largest exactly where (35) says it is zero. Whatever the constant, the dashed parabola on the right lies below the arch for
# small $t$: there $W_2$ grows like $t$, and (36) fails.
#
# ## What was shown, and what was not
#
# Theorem B.1 holds, and more precisely than stated: its two constants are $\tfrac18\|\nabla Q\|$ and $\tfrac1{32}\|\nabla Q\|$, measured to better than one part in a thousand on a Gaussian, a
# mixture on the line and a density on the torus, with the next order confirmed as well. Its proof needs a compact domain or decay in place of (7), six derivatives in place of four, and
# $C_0\varepsilon$ in place of $C_0 t$ in (35).
#
# What we solved are smooth densities in one and two dimensions. The proposition is proved for the torus; on the line, where $\log\rho$ is unbounded below, it is observed, not proved.
# The constant $\|\nabla Q\|$ grows like the inverse cube of the smallest length in the density: for data with sharp modes the theorem's "sufficiently small $\varepsilon$" is small against the
# variance of a single mode, and a sampler's steps need not be. And the theorem speaks of one step. What happens when steps are composed, and which map the composition tends to, is the subject of the next chapter.

# %% tags=["nbval-check-output", "hide-input"]
for id in ("heat.torus.map", "heat.order", "heat.quotient", "heat.eq18"):
    value = ledger.claims[id].measured
    print(id, "not tested here" if value is None else f"{value:.2f}")

# %% tags=["results", "hide-input"]
for name, s in sweeps.items():
    ledger.number(f"grad_q_norm_{name}", constants[name].grad_q_norm, "1 / length^3")
    ledger.number(f"eps_{name}", s.epsilons, "length^2 (heat time)")
    ledger.number(f"map_error_{name}", s.map_error, "length")
    ledger.number(f"w2_{name}", s.w2, "length")
    ledger.number(f"eps_usable_{name}", s.epsilons[found[name].usable], "length^2 (heat time)")
ledger.number("torus_grid_used", n, "points per axis")
ledger.emit()
