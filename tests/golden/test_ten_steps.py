import pytest
import torch

from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS
from medjepa.training.trainer import MedJEPATrainer


def waves(num=64, size=32):
    """Images that no generator of random numbers can change."""
    grid = torch.linspace(0, 1, size)
    number = torch.arange(num)[:, None, None]
    rows, columns = grid[:, None] * (1 + number % 7), grid[None, :] * (1 + number % 5)
    return list((0.5 + 0.5 * torch.sin(6 * (rows + columns) + number))[:, None].double())


@pytest.mark.parametrize("objective", ["views", "both"])
def test_ten_steps_give_the_recorded_losses(golden, tmp_path, objective):
    torch.manual_seed(0)
    model = LeJEPA(**ENCODERS["vit_test"], in_channels=1, objective=objective, seed=0)
    # In float64: processors sum in different orders, and ten steps of Adam enlarge what rounding
    # does to float32 beyond what a change of the method would do.
    model = model.double()
    losses = []
    config = {
        "batch_size": 16, "num_epochs": 3, "max_steps": 10, "learning_rate": 1e-3, "log_every": 1,
        "num_workers": 0, "device": "cpu", "checkpoint_dir": str(tmp_path),
    }  # fmt: skip
    MedJEPATrainer(
        model, waves(), config, hooks=[lambda info: losses.append(info.total_loss)]
    ).train()
    assert len(losses) == 10
    golden(f"lejepa_2d_{objective}.txt", losses, rtol=1e-6)
