"""What several tests build: small image sets, tiny random pipelines, and samplers written independently."""

import json
from types import SimpleNamespace

import numpy as np
import torch

from phasebook.sampling.samplers import sample
from phasebook_training.tokenizer import LENGTH, save_tokenizer

WORDS = ["", "red apple", "green apple", "cat face", "snow-capped mountain", "blurry, ugly"]


def build(folder, prediction="epsilon", scheduler=None, seed=0):
    """A random Stable Diffusion of a few thousand weights, with attention at both levels and a real VAE."""
    from diffusers import AutoencoderKL, DDIMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    save_tokenizer(folder / "words", WORDS)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "words")
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(sample_size=8, in_channels=4, out_channels=4, layers_per_block=1,
                                block_out_channels=(16, 32), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=16,
                                attention_head_dim=2, norm_num_groups=8)
    vae = AutoencoderKL(block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
                        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4)
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, projection_dim=16, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=LENGTH, eos_token_id=len(tokenizer) - 1,
        bos_token_id=len(tokenizer) - 2, pad_token_id=len(tokenizer) - 1))
    kind = {"epsilon": PNDMScheduler, "v_prediction": DDIMScheduler}[prediction]     # what SD 1.5 ships, and ours
    own = kind(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
               set_alpha_to_one=False, prediction_type=prediction)
    pipe = StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet,
                                   scheduler=scheduler or own, safety_checker=None, feature_extractor=None,
                                   requires_safety_checker=False)
    pipe.save_pretrained(folder / "model")
    if prediction == "epsilon" and scheduler is None:      # as in SD 1.5's configuration
        edit(folder / "model" / "scheduler" / "scheduler_config.json", clip_sample=False)
    return folder / "model"


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def images(n=12, size=6, families=3, seed=0):
    """Noisy copies of a few random pictures: a set with families."""
    rng = np.random.default_rng(seed)
    family = np.arange(n) % families
    pixels = 0.5 * rng.random((families, size, size, 3))[family] + 0.5 * rng.random((n, size, size, 3))
    return SimpleNamespace(pixels=pixels.astype(np.float32), family=family, names=tuple(f"image {i}" for i in range(n)),
                           families=tuple(f"family {k}" for k in range(families)))


def plain_ddim(denoise, x, levels, first=0):
    """DDIM written out, in the space of x itself: (x, xhat_0, x after) of every step."""
    for k in range(first, levels.steps):
        alpha, sigma = levels.alpha[k], levels.sigma[k]
        x0 = denoise(x, float(alpha), float(sigma))
        after = levels.alpha[k + 1] * x0 + levels.sigma[k + 1] * (x - alpha * x0) / sigma
        yield x, x0, after
        x = after


def reference(folder, z, steps, prompt, negative, guidance, eta=0.0, seeds=None):
    """(step, n, latent): what diffusers' own pipeline call has after every step, one call per point."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    found = []
    for i, start in enumerate(z):
        trace = []

        def keep(pipe, step, time, tensors, trace=trace):
            trace.append(tensors["latents"].clone())
            return tensors

        generator = None if seeds is None else torch.Generator().manual_seed(seeds[i])
        pipe(prompt, negative_prompt=negative, guidance_scale=guidance, num_inference_steps=steps, latents=start[None],
             eta=eta, generator=generator, output_type="latent", callback_on_step_end=keep)
        found.append(torch.cat(trace))
    return torch.stack(found, 1)


def run(model, z, steps, prompt, **options):
    """(step, n, latent): what our sampler has after every step."""
    return torch.stack([frame.after for frame in sample(model, z, model.levels(steps), prompt, **options)])


def apart(ours, theirs):
    """Largest difference in units of the largest latent: a random network blows latents up to 20 or so."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1))


def noise(n, shape=(4, 8, 8), seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))
