"""A small exact model with its judge, and a network's stand-in whose answers are known in closed form."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.edits.judges import Judge
from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.sampling.features import Latent, OfPixels
from phasebook.sampling.levels import scaled_linear_levels
from phasebook.sampling.protocols import Frame, Model, Prediction, Prompt


class Worded(Model):
    """Pictures of one colour a text with Gaussian variation of variance `spread`: latents are pixels, 3 x 4 x 4."""

    COLOURS = {"": 0.5, "emoji": 0.5, "dark": 0.1, "light": 0.9}

    def __init__(self, spread=0.01):
        self.shape, self.fingerprint, self.spread = (3, 4, 4), "worded", spread
        self.features = {"latent": Latent(self.shape), "pixels": OfPixels(lambda x: x.flatten(1) / 48**0.5)}

    def levels(self, steps):
        return scaled_linear_levels(steps)

    def start(self, latents, coefficients=None):
        return torch.as_tensor(np.asarray(latents), dtype=torch.float64)

    def prompt(self, texts, guidance=1.0, negative=""):
        texts = [texts] if isinstance(texts, str) else texts
        means = torch.tensor([self.COLOURS[t] for t in texts], dtype=torch.float64)
        return Prompt({"mean": means.view(-1, 1, 1, 1)}, guidance)

    def predict(self, x, levels, step, prompt=None, read=None):
        mean = (prompt or self.prompt("")).conditions["mean"]
        a, s = float(levels.alpha[step]), float(levels.sigma[step])
        x0 = mean + a * self.spread / (a**2 * self.spread + s**2) * (x - a * mean)
        at = step if read is None else read
        return Prediction(x0, (x - float(levels.alpha[at]) * x0) / float(levels.sigma[at]))

    def decode(self, x0):
        return x0.float().clamp(0, 1)


class Clip:
    """Features of pictures and of words: their brightness as an angle."""

    def __call__(self, pixels):
        angle = pixels.flatten(1).mean(1)
        return torch.stack([angle.cos(), angle.sin()], 1)

    def text(self, texts):
        angle = torch.tensor([Worded.COLOURS[t] for t in texts])
        return torch.stack([angle.cos(), angle.sin()], 1)


@pytest.fixture(scope="session")
def images():
    return load_images("families", 16, ["faces", "hearts", "clocks"])


@pytest.fixture(scope="session")
def exact(images):
    """Model, levels and judge."""
    model = ExactModel.of(images, dtype=torch.float64)
    levels = model.levels(30)
    feature = model.features["pixels"]
    atoms = torch.cat([model.gram, torch.eye(len(images)).double()], 1)
    judge = Judge(feature, model.names, feature(Frame(model, 29, atoms)))
    return SimpleNamespace(model=model, levels=levels, judge=judge)


@pytest.fixture(scope="session")
def worded():
    model = Worded()
    return SimpleNamespace(model=model, levels=model.levels(12), judge=Judge(OfPixels(Clip()), texts=Clip()))
