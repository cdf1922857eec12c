import pytest
import torch

from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS
from medjepa.models.vjepa import VJEPA
from medjepa.training.trainer import MedJEPATrainer


def waves(num=64, size=32):
    """Images that no generator of random numbers can change."""
    grid = torch.linspace(0, 1, size)
    number = torch.arange(num)[:, None, None]
    rows, columns = grid[:, None] * (1 + number % 7), grid[None, :] * (1 + number % 5)
    return list((0.5 + 0.5 * torch.sin(6 * (rows + columns) + number))[:, None].double())


def ten_losses(model, images, folder):
    losses = []
    config = {
        "batch_size": 16, "num_epochs": 3, "max_steps": 10, "learning_rate": 1e-3, "log_every": 1,
        "num_workers": 0, "device": "cpu", "checkpoint_dir": str(folder),
    }  # fmt: skip
    # In float64: processors sum in different orders, and ten steps of Adam enlarge what rounding
    # does to float32 beyond what a change of the method would do.
    MedJEPATrainer(
        model.double(), images, config, hooks=[lambda info: losses.append(info.total_loss)]
    ).train()
    assert len(losses) == 10
    return losses


@pytest.mark.parametrize("objective", ["views", "both"])
def test_ten_steps_give_the_recorded_losses(golden, tmp_path, objective):
    torch.manual_seed(0)
    model = LeJEPA(**ENCODERS["vit_test"], in_channels=1, objective=objective, seed=0)
    golden(f"lejepa_2d_{objective}.txt", ten_losses(model, waves(), tmp_path), rtol=1e-6)


@pytest.mark.parametrize("objective", ["both", "teacher"])
def test_ten_steps_on_volumes_give_the_recorded_losses(golden, tmp_path, objective):
    torch.manual_seed(0)
    model = VJEPA(
        (8, 16, 16), (4, 8, 8), 1, 24, 2, 2, 16, 1, predictor_heads=2, num_directions=16,
        objective=objective, mask_type="tube", teacher_momentum=0.9,
    )  # fmt: skip
    slices = [torch.stack([x * (1 - 0.1 * z) for z in range(8)], 1) for x in waves(64, 16)]
    golden(f"vjepa_3d_{objective}.txt", ten_losses(model, slices, tmp_path), rtol=1e-6)
