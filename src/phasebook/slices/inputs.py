"""What a slice is asked for, checked before anything is computed: each refusal is one line."""

import numpy as np

from phasebook.models.checkpoints import check_available, check_length, tokenizer_of
from phasebook.models.clip import check_feature
from phasebook.models.image_sets import load_images
from phasebook.slices.slices import Plane, load_anchors, seeded_anchors

__all__ = ["anchors_of", "check_inputs", "check_trained"]

MOST_NUMBERS = 60_000_000


def anchors_of(path: str, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """The anchors of a `.npy` file, or of a seed where `path` is ''."""
    return load_anchors(path, shape) if path else seeded_anchors(shape, seed)


def check_inputs(p) -> None:
    """ValueError for an image set, families, an anchors file or a size that cannot be used.

    `p` carries the parameters `image_set, families, resolution, anchors, anchors_seed, extent, grid, steps, normalise`.
    """
    load_images(p.image_set, 8, p.families or None)
    if p.grid**2 * p.steps > MOST_NUMBERS:
        raise ValueError(f"grid, steps = {p.grid}, {p.steps}: {p.grid**2 * p.steps} points in all; "
                         f"take grid² x steps <= {MOST_NUMBERS}")
    anchors = anchors_of(p.anchors, p.anchors_seed, (3, p.resolution, p.resolution))
    plane = Plane(anchors, tuple(p.extent), p.grid, p.normalise)
    plane.coefficients(*(x.ravel() for x in np.meshgrid(plane.alpha, plane.beta, indexing="ij")))


def check_trained(p) -> None:
    """ValueError unless the trained model and its features are there, or `trained` is ''. Nothing is loaded.

    `p` carries `trained, revision, variant, feature_trained, pretrained, prompt, negative_prompt`, and may carry
    `steps_trained, decode_steps`.
    """
    if not p.trained:
        return
    check_available(p.trained, p.revision or None, p.variant or None)
    check_feature(p.feature_trained, p.pretrained or None)
    if (tokenizer := tokenizer_of(p.trained)) is not None:
        check_length(tokenizer, prompt=p.prompt, negative_prompt=p.negative_prompt)
    late = [k for k in getattr(p, "decode_steps", []) if k >= p.steps_trained]
    if late:
        raise ValueError(f"decode_steps = {p.decode_steps}: takes steps from 0 to {p.steps_trained - 1} "
                         "(steps_trained - 1)")
