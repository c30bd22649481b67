"""A trained model's slice, in batches, against one call of its pipeline per point (the authors' way), for both.

Same latents, prompt, guidance and steps; the peer is asked for latents, so neither side decodes. It is timed on one
thread as well as on all, and the faster counts: the layers of one point are too short to be shared by threads that
sleep while they wait. Speed does not depend on what the weights are: where none are shipped, random ones of the same
sizes stand in.
"""

import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import torch

from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.pipeline import PipelineModel

GRID, STEPS, GUIDANCE, PROMPT = 6, 8, 3.0, "cat face"
MODELS = {"icons-unet-a": "unet", "icons-transformer-a": "transformer"}      # asset: its trainer
TOLERANCE = 1e-5


def _random(folder: Path, kind: str) -> Path:
    """An untrained pipeline of a model's sizes."""
    from transformers import CLIPTokenizer

    from phasebook.models.pictures.icons import icons
    from phasebook_training import autoencoder
    from phasebook_training.tokenizer import save_tokenizer

    trainer = import_module(f"phasebook_training.{kind}")
    save_tokenizer(folder / "tokenizer", icons().prompts)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    trainer.export(trainer.build(len(tokenizer)).eval(), autoencoder.build(), tokenizer, folder / "model")
    return folder / "model"


def _best(run: Callable[[], torch.Tensor], times: int = 3) -> tuple[torch.Tensor, float]:
    """What a run gives, and the seconds of the fastest of several: the others were disturbed."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        found = run()
        best = min(best, time.perf_counter() - start)
    return found, best


def _per_point(folder: Path, z: torch.Tensor) -> tuple[torch.Tensor, float]:
    from phasebook_training.measures import load

    pipe = load(folder)
    options = {"max_sequence_length": pipe.tokenizer.model_max_length} if hasattr(pipe, "transformer") else {}
    call = lambda point: pipe(PROMPT, guidance_scale=GUIDANCE, num_inference_steps=STEPS, **options,  # noqa: E731
                              latents=point[None], output_type="latent").images
    call(z[0])
    threads, done = torch.get_num_threads(), []
    for count in sorted({1, threads}):
        torch.set_num_threads(count)
        done.append(_best(lambda: torch.cat([call(point) for point in z])))
    return min(done, key=lambda one: one[1])


def _batched(folder: Path, z: torch.Tensor) -> tuple[torch.Tensor, float]:
    model = PipelineModel.load(folder, batch=36)
    prompt, levels = model.prompt(PROMPT, GUIDANCE), model.levels(STEPS)
    sweep = lambda points: torch.cat([part.after for part in model.sweep(points, levels, prompt)  # noqa: E731
                                      if part.step == STEPS - 1])
    sweep(z[:1])
    return _best(lambda: sweep(z))


def rows() -> list[dict]:
    """For each model the ratio within one run, and the largest difference of the latents."""
    return [_row(name, kind) for name, kind in MODELS.items()]


def _row(name: str, kind: str) -> dict:
    a, b = torch.meshgrid(torch.linspace(0, 1, GRID), torch.linspace(0, 1, GRID), indexing="ij")
    weights = torch.stack([1 - a - b, a, b]).flatten(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = known_directory(name)
        origin = "" if folder else "; random weights of its sizes"
        folder = folder or _random(Path(scratch), kind)
        anchors = torch.randn(3, *PipelineModel.load(folder).shape, generator=torch.Generator().manual_seed(0))
        z = torch.einsum("kp,kcyx->pcyx", weights, anchors)
        z = z / z.std((1, 2, 3), keepdim=True)
        theirs, peer = _per_point(folder, z)
        mine, ours = _batched(folder, z)
    apart = float((mine - theirs).abs().max())
    return {"name": f"{name} slice, {GRID} x {GRID}, {STEPS} steps, guidance {GUIDANCE:g}", "ours_s": ours,
            "peer_s": peer, "ratio": peer / ours, "target": ">= 8",
            "detail": f"latents differ by {apart:.1e}: {'same' if apart <= TOLERANCE else 'not the same'}{origin}"}


if __name__ == "__main__":
    print(rows())
