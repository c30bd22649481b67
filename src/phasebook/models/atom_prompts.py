"""Prompts of an exact model: a bonus on the log-prior of the pictures that a text names."""

from collections.abc import Sequence

import torch
from torch import Tensor

from phasebook.arguments import number
from phasebook.models.denoiser import listed
from phasebook.sampling.protocols import Prompt, check_prompt

__all__ = ["log_prior", "prompt_of"]


def prompt_of(texts: str | Sequence[str], guidance: float, negative: str, names: Sequence[str],
              families: Sequence[str], bonus: float, atoms: Tensor) -> Prompt:
    """See `ExactModel.prompt`.

    Args:
        texts: one, or one a point.
        guidance: a factor.
        negative: what is taken off.
        names: of the atoms.
        families: of each atom its own.
        bonus: nats.
        atoms: in whose type and place the prior is.
    """
    guidance, single = number("guidance", guidance, "a finite number >= 0", least=0), listed(texts, negative)
    known = {text: _named("prompt", text, names, families).to(atoms) for text in dict.fromkeys(single)}
    less = _named("negative", negative, names, families).to(atoms)
    prior = (torch.stack([known[text] for text in single]) - less) * bonus * guidance
    if not bool(prior.isfinite().all()):
        raise ValueError(f"guidance = {guidance:g}: its bonus is beyond {str(atoms.dtype).removeprefix('torch.')}; "
                         "takes a smaller one")
    return Prompt({"log_prior": prior}, guidance)


def log_prior(prompt: Prompt | None, points: int) -> Tensor | None:
    """What a prompt adds to the log-prior of the atoms, a row a point or one for all; None without a prompt."""
    check_prompt(prompt, points)
    return None if prompt is None else prompt.conditions.get("log_prior")


def _named(parameter: str, text: str, names: Sequence[str], families: Sequence[str]) -> Tensor:
    """Which atoms a text names: by their name or family, else by a part of their name; none for an empty one."""
    wanted = text.strip().casefold()
    known = [name.casefold() for name in names]
    hit = [bool(wanted) and wanted in (name, family.casefold()) for name, family in zip(known, families, strict=True)]
    if wanted and not any(hit):
        hit = [wanted in name for name in known]            # part of a name
    if wanted and not any(hit):
        raise ValueError(f"{parameter} = {text!r}: names no image and no family; takes "
                         f"{', '.join(dict.fromkeys(families))}, or (part of) an image's name")
    return torch.tensor(hit)
