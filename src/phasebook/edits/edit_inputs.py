"""What chapter 7 is asked for, checked before anything is computed: each refusal is one line."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy import ndarray
from PIL import Image

from phasebook.models.captions import captioned
from phasebook.models.checkpoints import known_directory
from phasebook.models.exact import ExactModel
from phasebook.models.image_sets import ImageSet, load_images
from phasebook.models.vocabulary import picture_size, unknown_word
from phasebook.slices.inputs import check_trained

__all__ = ["check_edits", "edit_images", "edit_list", "read_picture", "trained_list"]


def edit_images(name: str, resolution: int) -> ImageSet:
    """An image set by name; 'captioned' are the emoji that the shipped models were trained on, with their captions."""
    if name != "captioned":
        return load_images(name, resolution)
    images = captioned().images
    if resolution == images.resolution:
        return images
    load_images("families", resolution)                                             # refuses a bad resolution
    small = F.interpolate(torch.as_tensor(images.pixels).movedim(-1, 1), (resolution,) * 2, mode="bilinear",
                          antialias=True, align_corners=False)
    return ImageSet(small.movedim(1, -1).clamp(0, 1).numpy(), *(getattr(images, k) for k in (
        "names", "captions", "family", "families", "group", "groups")))


def edit_list(p) -> list[tuple[str, str]]:
    """The edits to show: the one asked for, then `edits`, each once."""
    return list(dict.fromkeys([(p.source_prompt, p.target_prompt), *map(tuple, p.edits)]))


def trained_list(p) -> list[tuple[str, str]]:
    """The same for the trained model: `trained_edits`, or the exact model's."""
    return list(map(tuple, p.trained_edits)) or edit_list(p)


def read_picture(path: str, sizes: Sequence[int] = ()) -> Float[ndarray, "y x 3"]:
    """The picture in a file, in [0, 1]; ValueError, one line, unless it can be read and has one of `sizes`, if any."""
    label = f"source_image = {path!r}"
    try:
        with Image.open(Path(path).expanduser()) as image:
            found = np.asarray(image.convert("RGB"), np.float32) / 255
    except FileNotFoundError:
        raise ValueError(f"{label}: no such file; takes a picture, or '' to make the source from its prompt") from None
    except Exception as error:  # corrupt files make Pillow's readers raise some ten different kinds
        raise ValueError(f"{label}: cannot be read ({type(error).__name__}); takes a picture that Pillow "
                         "reads") from None
    if sizes and (found.shape[0] != found.shape[1] or found.shape[0] not in sizes):
        raise ValueError(f"{label}: {found.shape[1]} x {found.shape[0]} pixels; takes "
                         + " or ".join(f"{s} x {s}" for s in dict.fromkeys(sizes)))
    return found


def _check_steps(name: str, values: Sequence[int], steps: int, of: str) -> None:
    if any(not 0 <= k < steps for k in values) or sorted(set(values)) != list(values):
        raise ValueError(f"{name} = {list(values)}: takes rising steps from 0 to {steps - 1} ({of} - 1)")


def _check_words(name: str, edits: Sequence[tuple[str, str]]) -> None:
    for source, target in edits:
        if not source.strip() or not target.strip():
            raise ValueError(f"{name[source.strip() != '']} = '': is empty; takes words (the generic prompt of the "
                             "inversion is the parameter prompt)")
        if source.strip().casefold() == target.strip().casefold():
            raise ValueError(f"{name[1]} = {target!r}: is the source's prompt; takes another one")


def _check_exact(p, names: tuple[str, str]) -> None:
    model = ExactModel.of(edit_images(p.image_set, 8))
    for i, edit in enumerate(edit_list(p)):
        for name, text in zip(names if i == 0 else ("edits", "edits"), edit, strict=True):
            try:
                model.encode_prompt(text)
            except ValueError as error:
                raise ValueError(f"{name}{str(error).removeprefix('prompt')}") from None


def _check_heard(p, names: tuple[str, str]) -> None:
    """Nothing that the trained model's tokenizer has no tokens for."""
    texts = [("prompt", p.prompt), ("negative_prompt", p.negative_prompt)]
    for i, edit in enumerate(trained_list(p)):
        own = ("trained_edits",) * 2 if p.trained_edits else names if i == 0 else ("edits",) * 2
        texts += zip(own, edit, strict=True)
    folder = known_directory(p.trained)
    for name, text in texts:
        if folder and (word := unknown_word(folder, text)):
            raise ValueError(f"{name} = {text!r}: the word {word!r} is not in the vocabulary of {p.trained}; takes "
                             "words of the letters it knows")


def check_edits(p) -> None:
    """ValueError, one line, for prompts, steps, pictures or a trained model that cannot be used. `p`: the chapter's."""
    names = ("source_prompt", "target_prompt")
    _check_words(names, [(p.source_prompt, p.target_prompt)])
    _check_words(("edits", "edits"), p.edits)
    _check_words(("trained_edits", "trained_edits"), p.trained_edits)
    _check_steps("k_values", p.k_values, p.steps, "steps")
    edit_images(p.image_set, p.resolution)
    _check_exact(p, names)
    check_trained(p)
    sizes = [p.resolution]
    if p.trained:
        _check_steps("k_values_trained", p.k_values_trained, p.steps_trained, "steps_trained")
        _check_heard(p, names)
        folder = known_directory(p.trained)
        sizes += [picture_size(folder)] if folder else []
        if p.points and len(p.points) != len(trained_list(p)):
            raise ValueError(f"points = {p.points}: takes one (alpha, beta) for each of {len(trained_list(p))} edits")
        if p.expected_steps and len(p.expected_steps) != len(trained_list(p)):
            raise ValueError(f"expected_steps = {p.expected_steps}: takes one for each of {len(trained_list(p))} edits")
    if p.source_image:
        # a model that is yet to be fetched has a size of its own
        read_picture(p.source_image, sizes if not p.trained or known_directory(p.trained) else ())
