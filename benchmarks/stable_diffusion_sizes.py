"""A network of Stable Diffusion 1.5's sizes with random weights on a CUDA device: its rate as a share of that of matrix
products measured in the same minute, images a second, peak memory; by number format, batch and compilation; and its VAE
against a small decoder. Without such a device there are no rows."""

import time
from collections.abc import Callable

import torch

DTYPES = {"float32": torch.float32, "TF32": torch.float32, "bfloat16": torch.bfloat16}
BATCHES, SIDE, STEPS = (1, 4, 16, 64), 64, 50


def _seconds(run: Callable[[], object], times: int = 5) -> float:
    """The fastest of several runs, after two that choose kernels."""
    best = float("inf")
    for k in range(times + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start) if k >= 2 else best
    return best


def _product_rate(dtype: torch.dtype, n: int = 8192) -> float:
    """Operations a second of a product of two square matrices."""
    a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * n**3 / _seconds(lambda: a @ b)


def _network(dtype: torch.dtype):
    from diffusers import UNet2DConditionModel

    with torch.device("cuda"):
        network = UNet2DConditionModel(sample_size=SIDE, cross_attention_dim=768, attention_head_dim=8)
    return network.to(dtype, memory_format=torch.channels_last).eval().requires_grad_(False)


def _inputs(batch: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(batch, 4, SIDE, SIDE, device="cuda", dtype=dtype).contiguous(memory_format=torch.channels_last)
    return x, torch.randn(batch, 77, 768, device="cuda", dtype=dtype)


def _operations(network) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    x, text = _inputs(1, network.dtype)
    with FlopCounterMode(display=False) as counter:
        network(x, 500, text)
    return counter.get_total_flops()


def _row(kind: str, batch: int, seconds: float, share: float, target: str = "") -> dict:
    peak = torch.cuda.max_memory_allocated() / 2**30
    return {"name": f"SD-1.5 sizes, {kind}, batch {batch}: share of matrix products", "ours_s": seconds,
            "peer_s": seconds * share, "ratio": share, "target": target,
            "detail": f"{batch / seconds / STEPS:.2f} images/s at {STEPS} steps; peak {peak:.1f} GB; "
                      f"{torch.cuda.get_device_name()}"}


def _unet(kind: str, compiled: bool) -> list[dict]:
    dtype, found = DTYPES[kind], []
    torch.set_float32_matmul_precision("high" if kind == "TF32" else "highest")
    rate, network = _product_rate(dtype), _network(dtype)
    operations = _operations(network)
    if compiled:
        network.compile(dynamic=False)
    for batch in BATCHES:
        x, text = _inputs(batch, dtype)
        torch.cuda.reset_peak_memory_stats()
        try:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=kind == "TF32"):
                seconds = _seconds(lambda: network(x, 500, text))  # noqa: B023
        except torch.OutOfMemoryError:
            break
        aim = ">= 0.5" if kind == "bfloat16" and compiled and batch == BATCHES[-1] else ""
        found.append(_row(kind + ", compiled" * compiled, batch, seconds, batch * operations / seconds / rate, aim))
    return found


def _decoders(batch: int = 8) -> dict:
    from diffusers import AutoencoderKL, AutoencoderTiny

    wide = (128, 256, 512, 512)
    with torch.device("cuda"):
        full = AutoencoderKL(block_out_channels=wide, layers_per_block=2, latent_channels=4,
                             down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
        small = AutoencoderTiny()
    z = torch.randn(batch, 4, SIDE, SIDE, device="cuda", dtype=torch.bfloat16)
    run = [_seconds(lambda: part.decode(z)) for part in  # noqa: B023
           (one.to(torch.bfloat16).eval().requires_grad_(False) for one in (small, full))]
    return {"name": "small decoder against the full VAE, bfloat16", "ours_s": run[0], "peer_s": run[1],
            "ratio": run[1] / run[0], "target": "", "detail": f"{batch} pictures of 512 x 512"}


@torch.no_grad()
def rows() -> list[dict]:
    """By format, compiled or not, and batch."""
    if not torch.cuda.is_available():
        print("stable_diffusion_sizes: no CUDA here")
        return []
    found = []
    for kind in DTYPES:
        for compiled in (False, True):
            found += _unet(kind, compiled)
            torch.cuda.empty_cache()
    return [*found, _decoders()]


if __name__ == "__main__":
    for row in rows():
        print(row)
