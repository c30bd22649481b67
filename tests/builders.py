"""What several tests build: small image sets, tiny random pipelines, and samplers written independently."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.sampling.samplers import sample
from phasebook_training.tokenizer import LENGTH, save_tokenizer

WORDS = ["", "red apple", "green apple", "cat face", "snow-capped mountain", "blurry, ugly"]


def words(folder):
    """A CLIP tokenizer of a few words."""
    from transformers import CLIPTokenizer

    save_tokenizer(folder / "words", WORDS)
    return CLIPTokenizer.from_pretrained(folder / "words")


def text_encoder(tokenizer, width=16, projected=False, projection=16):
    """A random CLIP text encoder of one layer."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=32, projection_dim=projection,
        num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=LENGTH, eos_token_id=len(tokenizer) - 1,
        bos_token_id=len(tokenizer) - 2, pad_token_id=len(tokenizer) - 1)
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def vae(channels=4):
    """A random VAE that halves each side."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
                         up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=channels, norm_num_groups=4)


def build(folder, prediction="epsilon", scheduler=None, seed=0):
    """A random Stable Diffusion of a few thousand weights, with attention at both levels and a real VAE."""
    from diffusers import DDIMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    tokenizer = words(folder)
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(sample_size=8, in_channels=4, out_channels=4, layers_per_block=1,
                                block_out_channels=(16, 32), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=16,
                                attention_head_dim=2, norm_num_groups=8)
    text = text_encoder(tokenizer)
    kind = {"epsilon": PNDMScheduler, "v_prediction": DDIMScheduler}[prediction]     # what SD 1.5 ships, and ours
    own = kind(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
               set_alpha_to_one=False, prediction_type=prediction)
    pipe = StableDiffusionPipeline(vae=vae(), text_encoder=text, tokenizer=tokenizer, unet=unet,
                                   scheduler=scheduler or own, safety_checker=None, feature_extractor=None,
                                   requires_safety_checker=False)
    pipe.save_pretrained(folder / "model")
    if prediction == "epsilon" and scheduler is None:      # as in SD 1.5's configuration
        edit(folder / "model" / "scheduler" / "scheduler_config.json", clip_sample=False)
    return folder / "model"


def unet(**changes):
    """A random U-Net with attention."""
    from diffusers import UNet2DConditionModel

    own = {"sample_size": 8, "in_channels": 4, "out_channels": 4, "layers_per_block": 1, "block_out_channels": (16, 32),
           "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
           "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "cross_attention_dim": 16, "attention_head_dim": 2,
           "norm_num_groups": 8}
    return UNet2DConditionModel(**own | changes)


def betas(kind="DDIMScheduler", **changes):
    """A scheduler on Stable Diffusion's betas."""
    import diffusers

    own = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    own |= {"clip_sample": False, "set_alpha_to_one": False} if kind == "DDIMScheduler" else {}
    return getattr(diffusers, kind)(**own | changes)


def t5(folder):
    """A T5 encoder and its tokenizer, of a few pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -5.0)] + [(c, -2.0) for c in "▁abcdefghijklmnopqrstuvwxyz-,"]
    table = Tokenizer(models.Unigram(pieces, 2))
    table.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = T5TokenizerFast(tokenizer_object=table, eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
                                extra_ids=0)
    config = T5Config(vocab_size=len(pieces), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    return T5EncoderModel(config), tokenizer


def pipeline(kind, folder, seed=0, **changes):
    """A random pipeline of a few thousand weights, by a short name; `changes` replace parts."""
    import diffusers

    torch.manual_seed(seed)
    tokenizer = words(folder)
    if kind == "sd":
        parts = {"unet": unet(), "text_encoder": text_encoder(tokenizer), "tokenizer": tokenizer, "vae": vae(),
                 "scheduler": betas(), "safety_checker": None, "feature_extractor": None,
                 "requires_safety_checker": False}
        return diffusers.StableDiffusionPipeline(**parts | changes)
    if kind == "sdxl":
        parts = {"unet": unet(addition_embed_type="text_time", addition_time_embed_dim=8, cross_attention_dim=32,
                              projection_class_embeddings_input_dim=6 * 8 + 16, transformer_layers_per_block=1),
                 "text_encoder": text_encoder(tokenizer), "text_encoder_2": text_encoder(tokenizer, projected=True),
                 "tokenizer": tokenizer, "tokenizer_2": tokenizer, "vae": vae(), "scheduler": betas()}
        return diffusers.StableDiffusionXLPipeline(**parts | changes, add_watermarker=False)
    if kind == "sd3":
        network = diffusers.SD3Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
            num_attention_heads=2, joint_attention_dim=32, caption_projection_dim=16, pooled_projection_dim=32,
            pos_embed_max_size=8)
        parts = {"transformer": network, "text_encoder": text_encoder(tokenizer, projected=True),
                 "text_encoder_2": text_encoder(tokenizer, projected=True), "text_encoder_3": None,
                 "tokenizer": tokenizer, "tokenizer_2": tokenizer, "tokenizer_3": None, "vae": vae(),
                 "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)}
        return diffusers.StableDiffusion3Pipeline(**parts | changes)
    if kind == "flux":
        network = diffusers.FluxTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=16, pooled_projection_dim=16, guidance_embeds=True,
            axes_dims_rope=(4, 4, 8))
        encoder, pieces = t5(folder)
        parts = {"transformer": network, "text_encoder": text_encoder(tokenizer), "text_encoder_2": encoder,
                 "tokenizer": tokenizer, "tokenizer_2": pieces, "vae": vae(),
                 "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)}
        made = diffusers.FluxPipeline(**parts | changes)
        made.default_sample_size = 8
        return made
    if kind == "pixart":
        network = diffusers.PixArtTransformer2DModel(
            sample_size=8, patch_size=2, in_channels=4, out_channels=8, num_layers=1, attention_head_dim=8,
            num_attention_heads=2, caption_channels=16, cross_attention_dim=16, use_additional_conditions=False)
        encoder, pieces = t5(folder)
        parts = {"transformer": network, "text_encoder": encoder, "tokenizer": pieces, "vae": vae(),
                 "scheduler": betas()}
        return diffusers.PixArtAlphaPipeline(**parts | changes)
    if kind == "dit":
        network = diffusers.DiTTransformer2DModel(sample_size=8, patch_size=2, in_channels=4, out_channels=8,
                                                  num_layers=2, attention_head_dim=8, num_attention_heads=2)
        names = {str(n): f"class {n}" for n in range(1000)} | {"3": "cat face, cat", "7": "red apple"}
        parts = {"transformer": network, "vae": vae(), "scheduler": betas(), "id2label": names}
        return diffusers.DiTPipeline(**parts | changes)
    network = diffusers.UNet2DModel(sample_size=8, block_out_channels=(16, 32), norm_num_groups=8, layers_per_block=1,
                                    down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                                    up_block_types=("AttnUpBlock2D", "UpBlock2D"))
    parts = {"unet": network, "scheduler": betas("DDPMScheduler", clip_sample=False)} | changes
    return {"ddpm": diffusers.DDPMPipeline, "ddim": diffusers.DDIMPipeline}[kind](**parts)


def filled(module, seed=0):
    """A module that was made on the meta device, with random weights that are views of one buffer: as much to compute
    as with weights of its own, and hardly anything to hold or to draw."""
    most = max(w.numel() for w in module.parameters())
    pool = torch.empty(most + 10**6).normal_(0.0, 0.02, generator=torch.Generator().manual_seed(seed))
    for k, part in enumerate(module.modules()):
        for name, weight in list(part._parameters.items()):
            if weight is None:
                continue
            shape, start = weight.shape, (7919 * k) % 10**6
            own = pool[start:start + weight.numel()]
            if len(shape) < 2:
                own = torch.full(shape, float(name == "weight"))
            elif len(shape) == 4:       # as the model lays them out, or each would be copied
                own = own.view(shape[0], *shape[2:], shape[1]).permute(0, 3, 1, 2)
            part._parameters[name] = torch.nn.Parameter(own.view(shape), requires_grad=False)
        for name, buffer in list(part._buffers.items()):
            if buffer is not None:
                part._buffers[name] = torch.arange(buffer.numel()).view(buffer.shape)
    return module


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


def refuses(call, *words):
    """`call` is refused in one line that says all these words."""
    with pytest.raises(ValueError) as error:
        call()
    assert "\n" not in str(error.value)
    assert [word for word in words if word not in str(error.value)] == [], str(error.value)


def apart(ours, theirs):
    """Largest difference in units of the largest latent: a random network blows latents up to 20 or so."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1))


def noise(n, shape=(4, 8, 8), seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))
