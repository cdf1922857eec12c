"""Learning to segment and predicting tell an encoder the spacing, if it follows one."""

import math

import pytest
import torch
from segmentation_volumes import MemoryVolumes
from torch import nn

from medjepa.evaluation.segmentation_run import Plan, predict
from medjepa.models.encoder import ViTEncoder
from medjepa.models.segmenter import Segmenter, score
from medjepa.objectives.volume_augmentation import draw_labelled_view, labelled_view_spacing
from medjepa.training.finetune import FinetuneSettings, finetune_segmenter
from medjepa.training.segmentation_crops import LabelledCrops
from medjepa.types import MODALITIES

SIZE, PATCH = (8, 8, 8), (4, 4, 4)
CPU = torch.device("cpu")
THIN, THICK = (1.0, 1.0, 1.0), (5.0, 0.5, 0.5)
PLAN = Plan(
    methods=(), fractions=(), folds=(), seeds=(), window=SIZE, overlap=0.25, budget={},
    checkpoints={}, settings={}, device=CPU,
)  # fmt: skip


def network(reference, positions):
    torch.manual_seed(0)
    encoder = ViTEncoder(SIZE, PATCH, 1, 24, 2, 2, positions=positions)
    if reference is not None:
        encoder.reference_spacing.copy_(torch.tensor(reference))
    return Segmenter(encoder, 3)


class Taken(MemoryVolumes):
    """The same voxels, taken with another spacing."""

    def __init__(self, spacing):
        super().__init__(2)
        self.taken = spacing

    def known_spacing(self, case):
        return self.taken


class Crops:
    def __init__(self, spacing):
        self.spacing = spacing

    def __len__(self):
        return 3

    def __getitems__(self, indices):
        rng = torch.Generator().manual_seed(indices[0][1])
        images = torch.rand(len(indices), 1, *SIZE, generator=rng)
        given = None if self.spacing is None else torch.tensor([self.spacing] * len(indices))
        mri = torch.full((len(indices),), MODALITIES.index("mri"))
        return LabelledCrops(images, (images[:, 0] > 0.5).to(torch.uint8), mri, given)


def learnt(folder, spacing, reference, positions):
    model = network(reference, positions)
    settings = FinetuneSettings(steps=3, batch_size=2)
    finetune_segmenter(model, Crops(spacing), folder=folder, settings=settings, seed=0, device=CPU)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
@pytest.mark.parametrize("reference", [None, THIN])
def test_other_spacing_predicts_otherwise_if_the_encoder_follows_it(reference, positions):
    model = network(reference, positions).eval()
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.mul_(4)  # tokens that reach every score
    thin, thick, unknown = (
        predict(model, Taken(spacing), 0, PLAN) for spacing in (THIN, THICK, (math.nan,) * 3)
    )
    assert (thin == unknown).all()
    assert (thin != thick).any() == (reference is not None)


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
@pytest.mark.parametrize("reference", [None, THIN])
def test_other_spacing_is_learnt_otherwise_if_the_encoder_follows_it(
    tmp_path, reference, positions
):
    thin, thick, silent = (
        learnt(tmp_path / str(number), spacing, reference, positions)
        for number, spacing in enumerate((THIN, THICK, None))
    )
    follows = reference is not None
    assert torch.equal(thin, thick) != follows
    assert torch.equal(silent, thick) != follows


def test_a_network_without_an_encoder_is_asked_as_ever():
    images = torch.rand(1, 1, 4, 4, 4)
    plain = nn.Conv3d(1, 2, 1)
    assert torch.equal(score(plain, images, torch.ones(1, 3)), plain(images))


def test_the_spacing_of_a_view_is_the_distance_of_its_neighbours_in_the_image():
    sides, spacing = torch.tensor([6.0, 20.0, 16.0]), torch.tensor(THICK)
    mri = torch.full((5,), MODALITIES.index("mri"))
    view = draw_labelled_view(mri, (6, 20, 16), rng=torch.Generator().manual_seed(1))
    found = labelled_view_spacing(spacing.expand(5, -1), view)
    for axis in range(3):
        step = torch.zeros(3)
        step[axis] = 2 / sides[axis]  # one voxel, in shares of half a side
        moved = (view.matrix[..., :-1] @ step) * sides / 2 * spacing
        torch.testing.assert_close(found[:, axis], moved.norm(dim=1))
    assert (found - spacing).abs().max() > 0.05


def test_an_unknown_spacing_stays_unknown_and_adds_nothing():
    mri = torch.full((5,), MODALITIES.index("mri"))
    view = draw_labelled_view(mri, (6, 20, 16), rng=torch.Generator().manual_seed(1))
    given = torch.tensor([[math.nan, 0.5, 0.5]] * 5)
    found = labelled_view_spacing(given, view)
    assert found[:, 0].isnan().all() and not found[:, 1:].isnan().any()
    none = torch.tensor([[0.0, 0.5, 0.5]] * 5)
    torch.testing.assert_close(found[:, 1:], labelled_view_spacing(none, view)[:, 1:])
