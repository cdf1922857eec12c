"""Every method: the same encoder, same seed same result, and what keeps it from collapse."""

import pytest
import torch

from medjepa.config import load_config
from medjepa.config.methods import MethodName
from medjepa.models.methods import DINO, MAE, METHODS, SimCLR, Supervised, VICReg
from medjepa.models.registry import ENCODERS
from medjepa.training.monitor import feature_spread
from medjepa.training.run import build_model

SMALL = {
    "dino": {"num_local_views": 2, "hidden_dim": 32, "bottleneck_dim": 16, "num_prototypes": 32},
    "simclr": {"hidden_dim": 32, "output_dim": 16},
    "vicreg": {"hidden_dim": 32, "output_dim": 32},
    "supervised": {"num_classes": 2},
}
SIZES = {
    "image_size": 32, "patch_size": 8, "in_channels": 1, "embed_dim": 32, "encoder_depth": 2,
    "encoder_heads": 2,
}  # fmt: skip
PREDICTOR = {"predictor_dim": 32, "predictor_depth": 1, "predictor_heads": 2}


def build(name, *, seed=0, **more):
    torch.manual_seed(seed)
    predictor = PREDICTOR if name in ("mae", "ijepa") else {}
    return METHODS[name](**{**SIZES, **predictor, **SMALL.get(name, {}), "seed": seed, **more})


def images(num=16):
    grid = torch.linspace(0, 1, 32)
    number = torch.arange(num)[:, None, None]
    waves = torch.sin(6 * (grid[:, None] * (1 + number % 7) + grid * (1 + number % 5)) + number)
    return (0.5 + 0.5 * waves)[:, None].float()


def train(model, steps, *, lr=1e-3, num=16):
    model.set_run_length(total_steps=steps, steps_per_epoch=4)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr)
    losses = []
    for _ in range(steps):
        given = {"label": torch.arange(num) % 2} if isinstance(model, Supervised) else {}
        output = model(images(num), **given)
        optimizer.zero_grad()
        output["total_loss"].backward()
        model.drop_gradients()
        optimizer.step()
        losses.append(float(output["total_loss"].detach()))
    return losses


@torch.no_grad()
def embeddings(model):
    return model.eval().encode(images(16))


def test_the_setting_names_the_methods():
    assert set(MethodName.__args__) == {"lejepa", *METHODS}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_encoder_is_the_same_and_so_is_the_result_of_a_seed(name):
    reference = build("mae").encoder.state_dict()
    first, second = build(name), build(name)
    for key, value in first.encoder.state_dict().items():
        assert torch.equal(value, reference[key])
    assert train(first, 3) == train(second, 3)
    assert train(build(name, seed=1), 3) != train(build(name), 3)
    again = METHODS[name](**first.config)
    assert again.config == first.config
    again.load_state_dict(first.state_dict())
    assert again.train().step == 3
    assert torch.equal(embeddings(again), embeddings(first))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_settings_reach_the_model(name):
    config = load_config(None, ["model=vit_test", f"method={name}", "views.strength=0.5"], ENCODERS)
    model = build_model(config, num_classes=3)
    assert isinstance(model, METHODS[name]) and model.config["strength"] == 0.5
    assert model.config["embed_dim"] == 32


def test_mae_hides_three_quarters_and_the_encoder_never_sees_them():
    model, seen = build("mae"), {}
    forward = model.encoder.forward

    def watched(x, patch_indices=None, **more):
        seen["visible"] = patch_indices
        return forward(x, patch_indices, **more)

    model.encoder.forward = watched
    decode = model.decoder.forward
    hidden = []

    def decoded(tokens, visible, targets):
        assert tokens.shape[1] == 4 == visible.shape[1]
        hidden.append(targets)
        return decode(tokens, visible, targets)

    model.decoder.forward = decoded
    model(images())
    both = torch.cat([seen["visible"], hidden[0]], 1).sort(1).values
    assert hidden[0].shape == (32, 12) and torch.equal(both, torch.arange(16).expand(32, -1))
    assert len({tuple(row) for row in hidden[0].tolist()}) > 16


def test_mae_compares_normalised_patches():
    model = build("mae", num_full_views=1)
    model.decoder.forward = lambda tokens, visible, targets: torch.zeros(
        len(tokens), targets.shape[1], 64
    )
    # Nothing painted: the loss is the mean square of normalised patches, which is (P - 1) / P.
    loss = float(model(images())["total_loss"].detach())
    assert loss == pytest.approx(63 / 64, rel=0.02)


@pytest.mark.parametrize("name", ["dino", "ijepa"])
def test_the_teacher_is_the_moving_average_after_k_steps(name):
    model = build(name, momentum=0.9)
    model.set_run_length(total_steps=11, steps_per_epoch=2)
    followed = [(model.teacher.encoder.blocks[0].mlp[0], model.encoder.blocks[0].mlp[0])]
    if name == "dino":
        followed.append((model.teacher_head.layers[0], model.head.layers[0]))
    expected = [trained.weight.detach().clone() for _, trained in followed]
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=10.0)
    for step in range(5):
        if step:
            # What the step before this one left, at that step's momentum.
            share = (step - 1) / 10
            keep = (
                0.9 + 0.1 * share
                if name == "ijepa"
                else 1 - 0.1 * (1 + torch.cos(torch.tensor(torch.pi * share)).item()) / 2
            )
            expected = [
                keep * own + (1 - keep) * trained.weight.detach()
                for own, (_, trained) in zip(expected, followed, strict=True)
            ]
        output = model(images())
        for own, (average, _) in zip(expected, followed, strict=True):
            assert torch.allclose(average.weight, own, atol=1e-6)
        optimizer.zero_grad()
        output["total_loss"].backward()
        optimizer.step()
    for own, (_, trained) in zip(expected, followed, strict=True):
        assert not torch.allclose(own, trained.weight, atol=1e-4)
    model.finish()
    assert torch.allclose(followed[0][1].weight, expected[0], atol=1e-6)


def test_prototypes_stand_still_in_the_first_epoch_and_have_length_1():
    model = build("dino", freeze_epochs=1.0)
    before = model.head.prototypes.detach().clone()
    train(model, 4)  # an epoch
    assert torch.equal(before, model.head.prototypes)
    scores = model.head(embeddings(model))
    assert bool((scores.abs() <= 1 + 1e-6).all())  # cosines


def test_prototypes_begin_to_move_at_the_learning_rate():
    """As if training began: moments learnt from gradients of 0 would change the steps."""
    model, rate = build("dino", freeze_epochs=5.0), 1e-3
    model.set_run_length(total_steps=40, steps_per_epoch=4)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    moved = []
    for _ in range(24):
        before = model.head.prototypes.detach().clone()
        optimizer.zero_grad()
        model(images())["total_loss"].backward()
        model.drop_gradients()
        optimizer.step()
        moved.append(float((model.head.prototypes.detach() - before).abs().max()))
    assert moved[:20] == [0.0] * 20
    assert moved[20] == pytest.approx(rate, rel=0.02)
    assert max(moved[20:]) < 1.1 * rate


def test_small_views_are_small_and_only_the_student_sees_them():
    model, shapes = build("dino"), {"student": [], "teacher": []}
    for name, encoder in (("student", model.encoder), ("teacher", model.teacher.encoder)):
        encoder.register_forward_pre_hook(
            lambda _, given, seen=shapes[name]: seen.append(tuple(given[0].shape))
        )
    model(images())
    assert shapes == {
        "student": [(32, 1, 32, 32), (32, 1, 16, 16)], "teacher": [(32, 1, 32, 32)],
    }  # fmt: skip


SAFEGUARDS = [
    ("vicreg", {}, {"variance_weight": 0.0, "covariance_weight": 0.0}),
    ("ijepa", {"momentum": 0.9, "num_full_views": 1}, {"teacher": False}),
]


@pytest.mark.parametrize(("name", "both", "without"), SAFEGUARDS)
def test_without_its_safeguard_features_collapse(name, both, without):
    spread = {}
    for kind, settings in (("safe", {}), ("bare", without)):
        model = build(name, **both, **settings)
        train(model, 40, lr=3e-3)
        spread[kind] = feature_spread(embeddings(model))
    assert spread["bare"] < 0.6 * spread["safe"]


def test_without_centring_one_prototype_takes_all():
    """The published sign of it: the teacher's distribution has entropy 0, and so has the loss."""
    entropy, loss = {}, {}
    for centring in (True, False):
        model = build("dino", centring=centring, momentum=0.9, num_local_views=0)
        loss[centring] = train(model, 40, lr=3e-3)[-1]
        with torch.no_grad():
            scores = model.teacher_head(embeddings(model)) - model.centre
            share = (scores / 0.07).softmax(-1).mean(0)
        entropy[centring] = float(-(share * share.clamp(min=1e-12).log()).sum())
    assert entropy[False] < 0.05 < 1 < entropy[True]
    assert loss[False] < 0.05 < 1 < loss[True]


def test_two_views_are_compared_or_it_is_refused():
    for kind in (SimCLR, VICReg, DINO):
        with pytest.raises(ValueError, match=r"exactly 2 views.*num_full_views is 3"):
            kind(**SIZES, num_full_views=3)
    assert MAE(**SIZES, **PREDICTOR, num_full_views=1).num_full_views == 1


def test_each_block_is_predicted_by_itself_from_a_context_without_it():
    model = build("ijepa", num_full_views=1)
    calls = []
    predict = model.predictor.forward

    def watched(seen, context, targets):
        calls.append((seen.shape, context, targets))
        return predict(seen, context, targets)

    model.predictor.forward = watched
    model(images(4))
    shape, context, targets = calls[0]
    assert shape[0] == 16 == len(targets)  # 4 images, each block by itself
    for kept, block in zip(context.tolist(), targets.tolist(), strict=True):
        assert not set(kept) & set(block)
