"""The kinds of diffusers pipelines that are models: `FAMILIES`."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from phasebook.arguments import brief
from phasebook.models.pipelines.family import Family

__all__ = ["CLIP_WORDS", "FAMILIES", "family_of"]

TEXT = [("transformers", "CLIPTextModel")]
PROJECTED = [("transformers", "CLIPTextModelWithProjection")]
T5 = [("transformers", "T5EncoderModel")]
CLIP_WORDS = [("transformers", "CLIPTokenizer"), ("transformers", "CLIPTokenizerFast")]
WORDS_T5 = [("transformers", "T5Tokenizer"), ("transformers", "T5TokenizerFast")]
VAE = [("diffusers", "AutoencoderKL"), ("diffusers", "AutoencoderTiny")]
UNET = [("diffusers", "UNet2DConditionModel")]


def _both(guided: bool, negative: Tensor | None, positive: Tensor) -> Tensor:
    return torch.cat([negative, positive]) if guided else positive


class StableDiffusion(Family):
    """Stable Diffusion 1.x and 2.x."""

    pipeline = "StableDiffusionPipeline"
    parts = {"text_encoder": TEXT, "tokenizer": CLIP_WORDS, "unet": UNET, "vae": VAE}

    def encode(self, pipe, text, negative, guidance):
        guided = guidance > 1
        wanted, unwanted = pipe.encode_prompt(text, pipe.unet.device, 1, guided, negative if guided else None)
        return {"embeddings": _both(guided, unwanted, wanted)}

    def call(self, pipe, x, time, c):
        return pipe.unet(x, time, encoder_hidden_states=c["embeddings"], return_dict=False)[0]


class StableDiffusionXL(Family):
    """Stable Diffusion XL: two text encoders, and the picture's size as a condition."""

    pipeline = "StableDiffusionXLPipeline"
    parts = {"text_encoder": TEXT, "text_encoder_2": PROJECTED, "tokenizer": CLIP_WORDS,
             "tokenizer_2": CLIP_WORDS, "unet": UNET, "vae": VAE}
    optional = ("text_encoder", "tokenizer")
    upcasts = True

    def place(self, vae):
        spread, middle = (getattr(vae.config, key, None) for key in ("latents_std", "latents_mean"))
        if spread is None or middle is None:
            return 1.0, 0.0
        return torch.tensor(spread).view(1, -1, 1, 1), torch.tensor(middle).view(1, -1, 1, 1)

    def encode(self, pipe, text, negative, guidance):
        guided = guidance > 1
        wanted, unwanted, pooled, unpooled = pipe.encode_prompt(
            text, device=pipe.unet.device, do_classifier_free_guidance=guided,
            negative_prompt=(negative or None) if guided else None)
        return {"embeddings": _both(guided, unwanted, wanted), "pooled": _both(guided, unpooled, pooled)}

    def call(self, pipe, x, time, c):
        size = (x.shape[2] * pipe.vae_scale_factor, x.shape[3] * pipe.vae_scale_factor)
        sizes = torch.tensor([*size, 0, 0, *size], device=x.device, dtype=x.dtype).expand(len(x), 6)
        return pipe.unet(x, time, encoder_hidden_states=c["embeddings"], return_dict=False,
                         added_cond_kwargs={"text_embeds": c["pooled"], "time_ids": sizes})[0]


class StableDiffusion3(Family):
    """Stable Diffusion 3: a diffusion transformer with flow matching, two CLIP encoders and, if present, T5.

    Where T5 is absent as many zeros as CLIP has words take its place; diffusers' call does the same if it is told so
    (`max_sequence_length`), and takes 256 zeros otherwise.
    """

    pipeline = "StableDiffusion3Pipeline"
    network = "transformer"
    parts = {"text_encoder": PROJECTED, "text_encoder_2": PROJECTED, "text_encoder_3": T5, "tokenizer": CLIP_WORDS,
             "tokenizer_2": CLIP_WORDS, "tokenizer_3": WORDS_T5,
             "transformer": [("diffusers", "SD3Transformer2DModel")], "vae": VAE}
    optional = ("text_encoder_3", "tokenizer_3")
    flow = True

    def sentences(self, pipe):
        return [(pipe.tokenizer_3, 256)] if pipe.text_encoder_3 is not None else []

    def encode(self, pipe, text, negative, guidance):
        guided = guidance > 1
        # where T5 is absent its place is taken by zeros: as many as CLIP has words
        words = {} if pipe.text_encoder_3 is not None else {"max_sequence_length": pipe.tokenizer.model_max_length}
        wanted, unwanted, pooled, unpooled = pipe.encode_prompt(
            text, None, None, device=pipe.transformer.device, do_classifier_free_guidance=guided,
            negative_prompt=negative, **words)
        return {"embeddings": _both(guided, unwanted, wanted), "pooled": _both(guided, unpooled, pooled)}

    def call(self, pipe, x, time, c):
        times = torch.full((len(x),), time, device=x.device, dtype=torch.float32)
        return pipe.transformer(hidden_states=x, timestep=times, encoder_hidden_states=c["embeddings"],
                                pooled_projections=c["pooled"], return_dict=False)[0]


class Flux(Family):
    """Flux: flow matching on patches of 2 x 2; guidance is a number that the network was distilled with."""

    pipeline = "FluxPipeline"
    network = "transformer"
    parts = {"text_encoder": TEXT, "text_encoder_2": T5, "tokenizer": CLIP_WORDS, "tokenizer_2": WORDS_T5,
             "transformer": [("diffusers", "FluxTransformer2DModel")], "vae": VAE}
    flow = True

    def size(self, pipe):
        return pipe.default_sample_size

    def shape(self, pipe):
        size = 2 * (pipe.default_sample_size // 2)
        return pipe.transformer.config.in_channels // 4, size, size

    def tokens(self, pipe):
        _, y, x = self.shape(pipe)
        return (y // 2) * (x // 2)      # packed by the pipeline, whatever the network says

    def tokenizers(self, pipe):
        return []           # CLIP's part is pooled

    def sentences(self, pipe):
        return [(pipe.tokenizer_2, 512)]

    def check_words(self, pipe, **words):
        if negative := words.get("negative_prompt"):
            raise ValueError(f"negative_prompt = {negative!r}: Flux has its guidance distilled into one call; takes ''")

    def encode(self, pipe, text, negative, guidance):
        wanted, pooled, _ = pipe.encode_prompt(text, device=pipe.transformer.device)
        strength = torch.full((1,), float(guidance), device=wanted.device)
        return {"embeddings": wanted, "pooled": pooled, "guidance": strength}

    def call(self, pipe, x, time, c):
        b, channels, y, width = x.shape
        patches = pipe._pack_latents(x, b, channels, y, width)
        places = pipe._prepare_latent_image_ids(b, y // 2, width // 2, x.device, x.dtype)
        words = torch.zeros(c["embeddings"].shape[1], 3, device=x.device, dtype=x.dtype)
        times = torch.full((b,), time / 1000, device=x.device, dtype=x.dtype)
        raw = pipe.transformer(
            hidden_states=patches, timestep=times, encoder_hidden_states=c["embeddings"], txt_ids=words, img_ids=places,
            guidance=c["guidance"] if pipe.transformer.config.guidance_embeds else None,
            pooled_projections=c["pooled"], return_dict=False)[0]
        flat = raw.view(b, y // 2, width // 2, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
        return flat.reshape(b, channels, y, width)


class PixArt(Family):
    """PixArt-alpha: a diffusion transformer on betas, with T5."""

    pipeline = "PixArtAlphaPipeline"
    network = "transformer"
    parts = {"text_encoder": T5, "tokenizer": WORDS_T5, "transformer": [("diffusers", "PixArtTransformer2DModel")],
             "vae": VAE}

    def tokenizers(self, pipe):
        return []

    def sentences(self, pipe):
        return [(pipe.tokenizer, 120)]

    def placed(self, levels):
        if levels.steps > 1:
            return levels       # of a single step diffusers takes the predicted picture itself
        return replace(levels, alpha=np.append(levels.alpha[:1], 1.0), sigma=np.append(levels.sigma[:1], 0.0),
                       landing=None)

    def encode(self, pipe, text, negative, guidance):
        guided = guidance > 1
        wanted, mask, unwanted, unmask = pipe.encode_prompt(text, guided, negative, device=pipe.transformer.device)
        return {"embeddings": _both(guided, unwanted, wanted), "mask": _both(guided, unmask, mask)}

    def call(self, pipe, x, time, c):
        config = pipe.transformer.config
        extra = {"resolution": None, "aspect_ratio": None}
        if config.sample_size == 128:
            size = [float(n * pipe.vae_scale_factor) for n in x.shape[2:]]
            extra["resolution"] = torch.tensor([size], device=x.device, dtype=x.dtype).expand(len(x), 2)
            extra["aspect_ratio"] = torch.full((len(x), 1), size[0] / size[1], device=x.device, dtype=x.dtype)
        times = torch.full((len(x),), time, device=x.device)
        raw = pipe.transformer(x, encoder_hidden_states=c["embeddings"], encoder_attention_mask=c["mask"],
                               timestep=times, added_cond_kwargs=extra, return_dict=False)[0]
        return raw.chunk(2, dim=1)[0] if config.out_channels // 2 == config.in_channels else raw


class ClassConditional(Family):
    """DiT: a diffusion transformer on betas that is told a class. A prompt is the name of one, or its number."""

    pipeline = "DiTPipeline"
    network = "transformer"
    parts = {"transformer": [("diffusers", "DiTTransformer2DModel")], "vae": VAE}

    def check_words(self, pipe, **words):
        for label, text in words.items():
            self.number(pipe, label, text)

    def number(self, pipe, label: str, text: str) -> int:
        """Of the class that a text means; '' is the one beyond the last, which stands for all in training."""
        classes, text = pipe.transformer.config.num_embeds_ada_norm, text.strip()
        if not text:
            return classes
        named = {name: k for name, k in pipe.labels.items() if name and not name.isdigit() and k < classes}
        digits = text.isascii() and text.isdigit() and len(text) < 10
        number = int(text) if digits else named.get(text, -1)
        if not 0 <= number < classes:
            known = f", or a name of one alone, such as {brief(next(iter(named)))}" if named else "; it has no names"
            raise ValueError(f"{label} = {brief(text)}: no class of a DiTPipeline; takes a number from 0 to "
                             f"{classes - 1}{known}")
        return number

    def encode(self, pipe, text, negative, guidance):
        wanted, unwanted = (torch.tensor([self.number(pipe, label, one)], device=pipe.transformer.device)
                            for label, one in (("prompt", text), ("negative_prompt", negative)))
        return {"label": _both(guidance > 1, unwanted, wanted)}

    def call(self, pipe, x, time, c):
        times = torch.full((len(x),), time, device=x.device)
        raw = pipe.transformer(x, timestep=times, class_labels=c["label"], return_dict=False)[0]
        return raw[:, :x.shape[1]]      # half of what it says may be a variance


class Unconditional(Family):
    """DDPM and DDIM pipelines: pixels, and no prompt."""

    parts = {"unet": [("diffusers", "UNet2DModel")]}

    def __init__(self, pipeline: str):
        self.pipeline = pipeline

    def check_words(self, pipe, **words):
        for label, text in words.items():
            if text:
                raise ValueError(f"{label} = {text!r}: a {self.pipeline} takes none; takes ''")

    def encode(self, pipe, text, negative, guidance):
        return {}

    def call(self, pipe, x, time, c):
        # a plain number would be cut to a whole one, and Euler's and Karras' levels lie between times of training
        return pipe.unet(x, torch.as_tensor(time, device=x.device), return_dict=False)[0]


FAMILIES: dict[str, Family] = {f.pipeline: f for f in (
    StableDiffusion(), StableDiffusionXL(), StableDiffusion3(), Flux(), PixArt(), ClassConditional(),
    Unconditional("DDPMPipeline"),
    Unconditional("DDIMPipeline"))}


def family_of(label: str, name: str) -> Family:
    """The family of a pipeline's class.

    Raises:
        ValueError: one line, for a class that this code cannot run.
    """
    if name not in FAMILIES:
        raise ValueError(f"{label}: is a {name}; takes one of {', '.join(FAMILIES)}")
    return FAMILIES[name]
