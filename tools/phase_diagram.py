"""The picture at the head of the README and of the book: a slice of the exact model at four steps.

    python tools/phase_diagram.py [FILE]       (default: book/_static/phase_diagram.png)
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from phasebook import ExactModel, Plane, load_images, slice_of
from phasebook.site.figures.slices import Map, phase_diagram

STEPS = [0, 14, 20, 27]
PLACE = Path(__file__).parents[1] / "book" / "_static" / "phase_diagram.png"


def main(file: Path) -> None:
    """Sweep the default slice and write the picture in 256 colours."""
    model = ExactModel.of(load_images("families"))
    s = slice_of(model, Plane.random(model.shape, seed=6), model.levels(50), pictures=13, keep=STEPS)
    field = Map("log(10⁻⁸ + det G)", np.log(1e-8 + s.values("det")))
    picture = phase_diagram(s.pictures(STEPS), field, STEPS, s.levels.sigma_over_alpha)
    picture.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PLACE)
