"""A network of Stable Diffusion 1.5's sizes with random weights on a CUDA device: its rate as a share of that of matrix
products measured in the same minute, images a second, peak memory; by number format, batch and compilation; and its VAE
against a small decoder. Without such a device there are no rows."""

import time
from collections.abc import Callable

import torch

DTYPES = {"float32": torch.float32, "TF32": torch.float32, "bfloat16": torch.bfloat16}
BATCHES, STEPS = (1, 4, 16, 64), 50
UNET = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
WIDE = (128, 256, 512, 512)                         # of the VAE
TINY = (64, 64, 64, 64)                             # of the small decoder


def _seconds(run: Callable[[], object], times: int = 5) -> float:
    """The fastest of several runs, after two that choose kernels."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    best = float("inf")
    for k in range(times + 2):
        wait()
        start = time.perf_counter()
        run()
        wait()
        best = min(best, time.perf_counter() - start) if k >= 2 else best
    return best


def _product_rate(dtype: torch.dtype, device: str, n: int) -> float:
    """Operations a second of a product of two square matrices."""
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / _seconds(lambda: a @ b)


def _network(dtype: torch.dtype, device: str, sizes: dict):
    from diffusers import UNet2DConditionModel

    with torch.device(device):
        network = UNet2DConditionModel(**sizes)
    return network.to(dtype, memory_format=torch.channels_last).eval().requires_grad_(False)


def _inputs(network, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    side, width, of = network.config.sample_size, network.config.cross_attention_dim, network.device
    x = torch.randn(batch, 4, side, side, device=of, dtype=network.dtype)
    text = torch.randn(batch, 77, width, device=of, dtype=network.dtype)
    return x.contiguous(memory_format=torch.channels_last), text


def _operations(network) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    x, text = _inputs(network, 1)
    with FlopCounterMode(display=False) as counter:
        network(x, 500, text)
    return counter.get_total_flops()


def _row(kind: str, batch: int, seconds: float, share: float, target: str = "") -> dict:
    cuda = torch.cuda.is_available()
    peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else float("nan")
    card = torch.cuda.get_device_name() if cuda else "no CUDA device"
    return {"name": f"SD-1.5 sizes, {kind}, batch {batch}: share of matrix products", "ours_s": seconds,
            "peer_s": seconds * share, "ratio": share, "target": target,
            "detail": f"{batch / seconds / STEPS:.2f} images/s at {STEPS} steps; peak {peak:.1f} GB; "
                      f"{card}"}


def _unet(kind: str, compiled: bool, device: str, sizes: dict, batches: tuple[int, ...], n: int) -> list[dict]:
    dtype, found = DTYPES[kind], []
    torch.set_float32_matmul_precision("high" if kind == "TF32" else "highest")
    rate, network = _product_rate(dtype, device, n), _network(dtype, device, sizes)
    operations = _operations(network)
    if compiled:
        network.compile(dynamic=False)
    for batch in batches:
        x, text = _inputs(network, batch)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=kind == "TF32"):
                seconds = _seconds(lambda: network(x, 500, text))  # noqa: B023
        except torch.OutOfMemoryError:
            break
        aim = ">= 0.5" if kind == "bfloat16" and compiled and batch == batches[-1] else ""
        found.append(_row(kind + ", compiled" * compiled, batch, seconds, batch * operations / seconds / rate, aim))
    return found


def _decoders(device: str, side: int, wide: tuple[int, ...], tiny: tuple[int, ...], batch: int) -> dict:
    from diffusers import AutoencoderKL, AutoencoderTiny

    with torch.device(device):
        full = AutoencoderKL(block_out_channels=wide, layers_per_block=2, latent_channels=4,
                             down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
        small = AutoencoderTiny(encoder_block_out_channels=tiny, decoder_block_out_channels=tiny)
    z = torch.randn(batch, 4, side, side, device=device, dtype=torch.bfloat16)
    run = [_seconds(lambda: part.decode(z)) for part in  # noqa: B023
           (one.to(torch.bfloat16).eval().requires_grad_(False) for one in (small, full))]
    return {"name": "small decoder against the full VAE, bfloat16", "ours_s": run[0], "peer_s": run[1],
            "ratio": run[1] / run[0], "target": "", "detail": f"{batch} pictures of {8 * side} x {8 * side}"}


@torch.no_grad()
def rows(device: str = "cuda", unet: dict = UNET, batches: tuple[int, ...] = BATCHES, n: int = 8192,
         decoders: tuple[tuple[int, ...], tuple[int, ...]] = (WIDE, TINY)) -> list[dict]:
    """By format, compiled or not (on a CUDA device), and batch. Without a CUDA device there are none, unless another is
    asked for, which tries the code and measures nothing of interest."""
    if device == "cuda" and not torch.cuda.is_available():
        print("stable_diffusion_sizes: not run, no CUDA device here")
        return []
    found = []
    for kind in DTYPES:
        for compiled in (False, True) if device == "cuda" else (False,):
            found += _unet(kind, compiled, device, unet, batches, n)
            torch.cuda.empty_cache()
    return [*found, _decoders(device, unet["sample_size"], *decoders, min(8, max(batches)))]


if __name__ == "__main__":
    for row in rows():
        print(row)
