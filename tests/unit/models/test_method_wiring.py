"""What each method compares with what: its loss again, image by image and by plain formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from medjepa.models.methods import METHODS
from medjepa.objectives.masks import draw_masks

SIZES = {
    "image_size": 32, "patch_size": 8, "in_channels": 1, "embed_dim": 32, "encoder_depth": 1,
    "encoder_heads": 2,
}  # fmt: skip
MORE = {
    "dino": {"num_local_views": 2, "hidden_dim": 32, "bottleneck_dim": 16, "num_prototypes": 24},
    "simclr": {"hidden_dim": 32, "output_dim": 16},
    "vicreg": {"hidden_dim": 32, "output_dim": 32},
    "supervised": {"num_classes": 3},
    "mae": {"predictor_dim": 32, "predictor_depth": 1, "predictor_heads": 2},
    "ijepa": {"predictor_dim": 32, "predictor_depth": 1, "predictor_heads": 2},
}
NUM = 5


@pytest.fixture
def images():
    return torch.rand(NUM, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def build(name):
    """A method whose weights are all stirred, each copy in its own way; in evaluation mode."""
    torch.manual_seed(1)
    model = METHODS[name](**SIZES, **MORE[name]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def views_of(model, images, number, stream="full", **more):
    return model.view(images, torch.zeros(NUM, dtype=torch.long), f"{stream} {number}", **more)


@torch.no_grad()
def found(model, images, **more):
    return float(model(images, **more)["total_loss"])


@torch.no_grad()
def test_views_of_an_image_differ(images):
    model = build("mae")
    both = model.full_views(images, torch.zeros(NUM, dtype=torch.long))
    assert torch.equal(both, torch.cat([views_of(model, images, 0), views_of(model, images, 1)]))
    assert ((both[:NUM] - both[NUM:]).abs().amax((1, 2, 3)) > 0.01).all()


@torch.no_grad()
def test_simclr_finds_the_other_view_among_all_others(images):
    model = build("simclr")
    views = torch.cat(
        [model.projector(model.encoder(views_of(model, images, v)).mean(1)) for v in (0, 1)]
    )
    total = 0.0
    for i, own in enumerate(views):
        close = [float(torch.cosine_similarity(own, other, dim=0)) / 0.1 for other in views]
        right = close[(i + NUM) % (2 * NUM)]
        total += math.log(sum(math.exp(c) for k, c in enumerate(close) if k != i)) - right
    assert found(model, images) == pytest.approx(total / (2 * NUM), rel=1e-4)


@torch.no_grad()
def test_vicreg_weighs_three_parts_of_two_views(images):
    model = build("vicreg")
    first, second = (
        model.expander(model.encoder(views_of(model, images, v)).mean(1)) for v in (0, 1)
    )
    hinge = covariance = 0.0
    for view in (first, second):
        hinge += float((1 - (view.var(0) + 1e-4).sqrt()).clamp(min=0).mean())
        table = torch.cov(view.T)
        covariance += float((table - table.diagonal().diag()).square().sum() / 32)
    invariance = float((first - second).square().mean())
    output = model(images)
    assert float(output["prediction_loss"]) == pytest.approx(25 * invariance, rel=1e-4)
    rest = 25 * hinge + covariance
    assert float(output["regularization_loss"]) == pytest.approx(rest, rel=1e-4)
    assert float(output["total_loss"]) == pytest.approx(25 * invariance + rest, rel=1e-4)


@torch.no_grad()
def test_supervised_tells_the_label_of_every_view(images):
    model, label = build("supervised"), torch.tensor([0, 2, 1, 1, 0])
    total = 0.0
    for number in (0, 1):
        for scores, wanted in zip(
            model.head(model.encoder(views_of(model, images, number)).mean(1)), label, strict=True
        ):
            total -= float(scores.softmax(0)[wanted].log()) / (2 * NUM)
    assert found(model, images, label=label) == pytest.approx(total, rel=1e-4)


@torch.no_grad()
def test_mae_paints_the_hidden_patches_from_the_visible_ones_alone(images):
    model = build("mae")
    visible, hidden = draw_masks(
        2 * NUM, model.grid, mask_ratio=0.75, mask_type="random", num_blocks=1,
        rng=model.rng("mask"),
    )  # fmt: skip
    total = 0.0
    for number, view in enumerate(torch.cat([views_of(model, images, v) for v in (0, 1)])):
        seen, away = visible[number], hidden[number]
        tokens = model.encoder(view[None], seen[None])
        painted = model.decoder(tokens, seen[None], away[None])[0]
        for patch, place in zip(painted, away.tolist(), strict=True):
            row, column = divmod(place, 4)
            there = view[0, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8].flatten()
            wanted = (there - there.mean()) / (there.var() + 1e-6).sqrt()
            total += float((patch - wanted).square().mean()) / hidden.numel()
    assert found(model, images) == pytest.approx(total, rel=1e-4)


@torch.no_grad()
def test_ijepa_predicts_what_the_teacher_has_at_each_block(images):
    model = build("ijepa")
    contexts, blocks = model._draw(2 * NUM)
    total = 0.0
    for number, view in enumerate(torch.cat([views_of(model, images, v) for v in (0, 1)])):
        context = contexts[number : number + 1]
        seen = model.encoder(view[None], context)
        whole = model.teacher.encoder(view[None])[0]
        for block in blocks[number]:
            predicted = model.predictor(seen, context, block[None])[0]
            wanted = F.layer_norm(whole[block], (32,))
            gap = (predicted - wanted).abs()
            total += float(torch.where(gap < 1, gap**2 / 2, gap - 0.5).mean())
    assert found(model, images) == pytest.approx(total / blocks.shape[:2].numel(), rel=1e-4)


def cosines(head, x):
    """Of what the layers say with each prototype: lengths do not count."""
    return torch.cosine_similarity(head.layers(x)[:, None], head.prototypes[None], dim=-1)


def dino_scores(model, images) -> tuple[list[Tensor], list[Tensor]]:
    """Of the student for all views, of the teacher for the large ones."""
    large = [views_of(model, images, v, scale=(0.4, 1.0)) for v in (0, 1)]
    small = [views_of(model, images, v, "local", scale=(0.05, 0.4), size=[16, 16]) for v in (0, 1)]
    student = [cosines(model.head, model.encoder(view).mean(1)) for view in large + small]
    teacher = [cosines(model.teacher_head, model.teacher.encoder(view).mean(1)) for view in large]
    return student, teacher


@torch.no_grad()
def test_dino_says_of_every_view_what_the_teacher_says_of_another(images):
    model = build("dino")
    model.set_run_length(total_steps=100, steps_per_epoch=10)
    model.centre.copy_(torch.randn(24))
    student, teacher = dino_scores(model, images)
    pairs = []
    for t, wanted in enumerate(teacher):
        for s, said in enumerate(student):
            if s != t:
                chance = ((wanted - model.centre) / 0.04).softmax(1)  # 0.07 is reached by and by
                pairs.append(float(-(chance * (said / 0.1).log_softmax(1)).sum(1).mean()))
    assert len(pairs) == 6
    assert found(model, images) == pytest.approx(sum(pairs) / 6, rel=1e-4)


@torch.no_grad()
def test_dino_s_centre_follows_the_teacher_in_training_alone(images):
    model = build("dino")
    model.centre.copy_(before := torch.randn(24))
    model(images)
    assert torch.equal(model.centre, before)
    mean = torch.cat(dino_scores(model, images)[1]).mean(0)
    model.train()(images)
    torch.testing.assert_close(model.centre, 0.9 * before + 0.1 * mean)
