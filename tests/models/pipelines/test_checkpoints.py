"""What is checked before a model is loaded."""

import pytest
import torch

from phasebook.models.pipelines.checkpoints import check_device


@pytest.mark.parametrize("device", ["gpu", "mps", "", "cuda"])
def test_bad_device(device):
    if device == "cuda" and torch.cuda.is_available():
        assert check_device(device) == "cuda"
        return
    with pytest.raises(ValueError, match="takes 'cpu'"):
        check_device(device)
