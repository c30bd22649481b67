"""Views of pictures: what stays, what moves, and the latents of each."""

from types import SimpleNamespace

import torch
from torch import nn

from phasebook.models.pictures.views import affine, latent_views
from tests.builders import refuses


def vae():
    """An encoder whose latents are means over 4 x 4 pixels."""
    part = nn.Module()
    part.encoder = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AvgPool2d(4))
    nn.init.dirac_(part.encoder[0].weight)
    part.config = SimpleNamespace(scaling_factor=0.4)
    return part.requires_grad_(False)


def test_nothing_moves_by_nothing_and_white_stays_white():
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    still = affine(x, torch.Generator().manual_seed(0), degrees=0, scale=(1, 1), shift=0)
    assert float((still - x).abs().max()) < 1e-4
    white = torch.ones(2, 3, 16, 16)
    torch.testing.assert_close(affine(white, torch.Generator().manual_seed(1)), white)


def test_pictures_that_are_not_square_are_refused():
    refuses(lambda: affine(torch.ones(2, 3, 8, 16), torch.Generator()), "pixels: 8 x 16; takes square pictures")


def test_the_first_view_is_the_picture_itself():
    x = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    views = latent_views(vae(), x, 2, seed=3)
    assert views.shape == (3, 5, 3, 4, 4)
    torch.testing.assert_close(views[0], 0.4 * x.unflatten(3, (4, 4)).unflatten(2, (4, 4)).mean((3, 5)))
    assert not torch.allclose(views[1], views[0]) and not torch.allclose(views[1], views[2])
    assert torch.equal(views, latent_views(vae(), x, 2, seed=3))


def test_an_encoder_of_half_precision_gives_latents_like_the_whole_ones():
    x = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    half = latent_views(vae().to(torch.bfloat16), x, 1)
    assert half.dtype == torch.float32 and float((half - latent_views(vae(), x, 1)).abs().max()) < 0.02
