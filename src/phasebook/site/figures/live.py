"""The live diagram: an exact model computed in the reader's browser, on planes that the reader chooses.

The page gets what the model is made of: the Gram matrix of the atoms, the products of a bank of latents with them, the
bank's covariance, the noise levels, small pictures of the atoms. `live_model.js` computes with them what
`phasebook.models.exact` computes, `live.js` draws it. Until it runs, and where no script runs, the page shows a picture
that was computed here. One self-contained HTML output, like that of the explorer.
"""

import numpy as np
from IPython.display import HTML, display
from jaxtyping import Float, UInt8
from numpy import ndarray

from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import Levels
from phasebook.site.figures.explorer import palette
from phasebook.site.figures.widget import base64_of, beside, resized, sheet, webp, widget_html
from phasebook.slices.plane import Plane
from phasebook.slices.sweep import slice_of

__all__ = ["MOST_ATOMS", "live_html", "show_live"]

MOST_ATOMS = 600            # with more, neither the page stays small nor the diagram quick
CELL = 32                   # pixels of an atom's small picture
COLUMNS = 30                # of the sprite
PICTURES, MAP = 14, 41      # points along a side of the precomputed picture's two halves
STILL = 448                 # pixels on a side of one of them
COLOURS = "Inferno"
FLOOR = 1e-8                # added to the trace under the logarithm, as in the chapters


def show_live(model: ExactModel, bank: Float[ndarray, "b *latent"], levels: Levels, *, alt: str, step: int) -> None:
    """Display the live diagram of an exact model; a sentence instead where it has too many atoms.

    Args:
        model: of pictures.
        bank: latents, three or more: the first three are the anchors at the start, all can be mixed into anchors.
        levels: of the sampler.
        alt: what the diagram shows, for those who cannot see it.
        step: shown at the start.
    """
    if len(model.atoms) > MOST_ATOMS:
        display(HTML(f"<p>The live diagram takes at most {MOST_ATOMS} pictures; here are {len(model.atoms)}.</p>"))
    else:
        display(HTML(live_html(model, bank, levels, alt=alt, step=step)))


def live_html(model: ExactModel, bank: Float[ndarray, "b *latent"], levels: Levels, *, alt: str, step: int) -> str:
    """The live diagram as HTML; arguments as in `show_live`.

    Raises:
        ValueError: for an empty `alt`, a bank of fewer than three latents, a step that the levels lack.
    """
    if len(bank) < 3:
        raise ValueError(f"bank: {len(bank)} latents; takes three or more")
    if not 0 <= step < levels.steps:
        raise ValueError(f"step = {step}: takes a step from 0 to {levels.steps - 1}")
    picture, limits = _still(model, bank[:3], levels, step)
    data = {"alt": alt, "step": step, "limits": limits, "floor": FLOOR}
    data["colours"] = base64_of(palette(COLOURS).tobytes())
    data |= numbers(model, bank, levels) | _pictures(model)
    return widget_html("live", data, picture, alt, ["live_model.js", "live.js"])


def numbers(model: ExactModel, bank: Float[ndarray, "b *latent"], levels: Levels) -> dict:
    """What the numerics need: products in float32, the Gram matrix by its upper triangle."""
    n = len(model.atoms)
    gram = model.gram.cpu().numpy().astype(np.float32)
    products = model.start(bank)[:, :n].cpu().numpy().astype(np.float32)
    order = _spread(len(bank))
    bank, products = bank[order], products[order]
    covariance = np.cov(bank.reshape(len(bank), -1).astype(np.float64), ddof=1)
    return {"anchors": [order.index(k) for k in range(3)], "gram": base64_of(gram[np.triu_indices(n)].tobytes()),
            "products": base64_of(products.tobytes()), "covariance": covariance.tolist(),
            "alpha": levels.alpha.tolist(), "sigma": levels.sigma.tolist(), "unit": model.unit,
            "family": model.family.tolist(), "bonus": model.bonus}


def _spread(count: int) -> list[int]:
    """The order of a bank in which the first three lie a third of a turn apart."""
    places = [0, count // 3, 2 * count // 3]
    rest = iter(range(3, count))
    return [places.index(k) if k in places else next(rest) for k in range(count)]


def _pictures(model: ExactModel) -> dict:
    """Names, and the atoms' small pictures as one sprite."""
    atoms = (model.mean + model.atoms / model.scale).view(-1, *model.shape).clamp(0, 1)
    pixels = (atoms.cpu().numpy().transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)
    small = np.stack([resized(one, CELL) for one in pixels])
    return {"names": list(model.names), "families": list(model.families), "cell": CELL, "columns": COLUMNS,
            "sprite": webp(sheet(small, COLUMNS), 84)}


def _still(model: ExactModel, anchors: Float[ndarray, "3 *latent"], levels: Levels,
           step: int) -> tuple[str, tuple[float, float]]:
    """The picture that stands until the script runs, predictions beside trace; and the colour scale's ends."""
    ds = slice_of(model, Plane(anchors, grid=MAP), levels, pictures=PICTURES, keep=[step])
    trace = np.log(FLOOR + ds.values("trace"))
    low = float(np.percentile(trace, 2))
    high = max(float(trace.max()), low + 1e-3)              # one atom everywhere: a flat map
    rows = ds.pictures([step])[0][::-1]                     # alpha points up
    left = sheet(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])
    right = _coloured(np.clip((trace[step][::-1] - low) / (high - low), 0, 1))
    return webp(beside([resized(left, STILL), resized(right, STILL, sharp=True)]), 80), (low, high)


def _coloured(shares: Float[ndarray, "a b"]) -> UInt8[ndarray, "a b 3"]:
    return palette(COLOURS)[np.rint(shares * 255).astype(int)]
