"""The metric by differences, by forward-mode differentiation, and in closed form: what each costs, and the mean of tr G
by differences over that by tangents. Processor time.

The `ratio` of a row is the cost over that of differences; its detail tells the difference early and late.
"""

import time

from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.protocols import Model
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import slice_of


def _ways(name: str, model: Model, ways: tuple[str, ...], feature: str, grid: int, steps: int) -> list[dict]:
    plane, levels = Plane(seeded_anchors(model.shape, 6), grid=grid), model.levels(steps)
    slice_of(model, Plane(plane.anchors, grid=3), model.levels(2), features=[feature])      # what is made once
    took, means, found = {}, {}, []
    for way in ("differences", *ways):
        start = time.process_time()
        one = slice_of(model, plane, levels, features=[feature], jacobian=way)
        took[way] = time.process_time() - start
        means[way] = one.values("trace", exact=way != "differences").mean((1, 2))
        if way != "differences":
            early, late = (float(means["differences"][k] / max(means[way][k], 1e-300)) for k in (0, steps - 1))
            found.append({"name": f"metric by {way} against differences ({name})", "ours_s": took[way],
                          "peer_s": took["differences"], "ratio": took[way] / took["differences"], "target": "",
                          "detail": f"{grid} x {grid} x {steps}; the mean of tr G by differences over that by "
                                    f"tangents: {early:.4g} at the first step, {late:.3g} at the last"})
    return found


def rows(grid: int = 41, steps: int = 50, network_grid: int = 9, network_steps: int = 10,
         resolution: int = 64) -> list[dict]:
    """The exact model in both ways, the shipped network by forward mode."""
    found = _ways("exact model", ExactModel.of(load_images("families", resolution)), ("jvp", "exact"), "pixels", grid,
                  steps)
    folder = known_directory("icons-unet-a")
    if folder is not None:
        network = PipelineModel.load(folder)
        found += _ways("icons-unet-a", network, ("jvp",), "latent", network_grid, network_steps)
    return found


if __name__ == "__main__":
    for row in rows():
        print(row)
