"""VJEPA: the guide's call on volumes and clips, for every objective, mask and kind of position."""

import copy

import pytest
import torch

from medjepa.models.registry import ENCODERS
from medjepa.models.vjepa import VJEPA, PatchEmbedding3D
from medjepa.objectives.randomness import generator

OBJECTIVES = ("views", "patches", "both", "teacher")


def tiny(**changes) -> VJEPA:
    torch.manual_seed(0)
    settings = {
        "volume_size": (8, 16, 12), "patch_size": (4, 4, 4), "embed_dim": 24, "depth": 2,
        "num_heads": 2, "predictor_dim": 16, "predictor_depth": 1, "predictor_heads": 2,
        "num_directions": 8, "projector_dim": 16,
    }  # fmt: skip
    return VJEPA(**{**settings, **changes})


def volumes(num: int = 4, channels: int = 1, shape=(8, 16, 12)) -> torch.Tensor:
    return torch.rand(num, channels, *shape, generator=generator(0, 0, "volumes"))


def test_the_call_of_the_guide():
    model = VJEPA(embed_dim=48, depth=1, num_heads=2, predictor_dim=24, predictor_depth=1)
    x = torch.rand(2, 1, 128, 128, 64)
    assert set(model(x)) >= {"total_loss", "prediction_loss", "regularization_loss"}
    assert model.encode(x).shape == (2, 48)
    tokens = PatchEmbedding3D(embed_dim=24)(x)
    assert tokens.shape == (2, 8 * 8 * 8, 24)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("mask_type", ["random", "block", "tube"])
def test_every_trained_weight_gets_a_gradient(objective, mask_type):
    model = tiny(objective=objective, mask_type=mask_type, view_mask_type=mask_type)
    model(volumes())["total_loss"].backward()
    without = {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert not without
    assert all(p.grad is None for n, p in model.named_parameters() if n.startswith("teacher"))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["volume", "clip"])
def test_contrasts_and_colours(channels, kind):
    model = tiny(in_channels=channels, kind=kind, objective="both")
    assert torch.isfinite(model(volumes(channels=channels, shape=(10, 20, 16)))["total_loss"])
    assert model.encode(volumes(3, channels)).shape == (3, 24)


def test_losses_repeat_from_a_state_dict_and_move_on_from_step_to_step():
    model = tiny(objective="both")
    first, second = (float(model(volumes())["total_loss"].detach()) for _ in range(2))
    again = tiny(objective="both")
    assert float(again(volumes())["total_loss"].detach()) == first != second
    later = VJEPA(**model.config)
    later.load_state_dict(model.state_dict())
    assert float(later(volumes())["total_loss"].detach()) == float(
        model(volumes())["total_loss"].detach()
    )


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
def test_positions_follow_the_spacing_where_it_is_known(positions):
    model = tiny(positions=positions).eval()
    x, unknown = volumes(2), torch.full((2, 3), torch.nan)
    plain = model.encode(x)
    torch.testing.assert_close(model.encode(x, spacing=torch.ones(2, 3)), plain)  # none is native
    model.set_reference_spacing(torch.tensor([2.0, 1.0, 1.0]))
    native = torch.tensor([[2.0, 1.0, 1.0]]).expand(2, 3)
    torch.testing.assert_close(model.encode(x, spacing=native), plain)
    torch.testing.assert_close(model.encode(x, spacing=unknown), plain)
    wide = model.encode(x, spacing=torch.tensor([[2.0, 1.0, 1.0], [5.0, 1.0, 1.0]]))
    torch.testing.assert_close(wide[0], plain[0])
    assert not torch.allclose(wide[1], plain[1])


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
def test_a_part_of_the_patches_sees_the_places_that_the_whole_sees(positions):
    """With one block, a token's own value depends on its place; dropping others keeps places."""
    model = tiny(positions=positions, depth=1).eval()
    x = volumes(2)
    kept = torch.tensor([[5], [9]])
    alone = model.encoder(x, kept)
    order = torch.arange(model.encoder.num_patches).expand(2, -1)
    torch.testing.assert_close(model.encoder(x, order), model.encoder(x))
    assert alone.shape == (2, 1, 24)


def test_rotations_make_attention_depend_on_distance_alone():
    """Two tokens of equal content, moved together, attend alike (Su et al., section 3.2)."""
    from medjepa.models.encoder import rotate
    from medjepa.models.patches import rotations
    from medjepa.types import PatchGrid

    turned = rotations(PatchGrid((4, 4, 4)), 24)
    q, k = torch.rand(2, 1, 1, 64, 24, generator=generator(0, 0, "qk"))
    q, k = q[:, :, :1].expand(-1, -1, 64, -1), k[:, :, :1].expand(-1, -1, 64, -1)
    score = (rotate(q, turned) @ rotate(k, turned).transpose(-1, -2)).view(4, 4, 4, 4, 4, 4)
    torch.testing.assert_close(score[0, 0, 0, 1, 2, 0], score[2, 1, 3, 3, 3, 3])
    torch.testing.assert_close(score[3, 2, 1, 1, 2, 0], score[2, 2, 2, 0, 2, 1])
    assert not torch.isclose(score[0, 0, 0, 1, 2, 0], score[0, 0, 0, 2, 2, 0])


def test_a_hidden_voxel_cannot_change_what_is_seen():
    model = tiny().eval()
    x = volumes(1)
    visible = torch.arange(0, 12)[None]
    changed = x.clone()
    changed[:, :, 4:] = 1 - changed[:, :, 4:]  # patches 12 to 23
    torch.testing.assert_close(
        model.encoder(x, visible), model.encoder(changed, visible), rtol=0, atol=0
    )


def test_odd_sizes_that_the_patch_divides_are_embedded_and_others_refused():
    model = tiny().eval()
    assert model.encode(volumes(2, shape=(4, 4, 4))).shape == (2, 24)
    assert model.encode(volumes(2, shape=(12, 8, 32))).shape == (2, 24)
    with pytest.raises(ValueError, match="multiple"):
        model.encode(volumes(2, shape=(31, 47, 24)))


def test_views_are_cut_from_volumes_of_any_size():
    for shape in ((31, 47, 24), (1, 40, 40), (3, 5, 7)):
        assert torch.isfinite(tiny(objective="both")(volumes(shape=shape))["total_loss"])


def with_background(num: int = 3) -> torch.Tensor:
    x = volumes(num) * 0.5 + 0.5
    x[0, :, 4:] = 0  # half of it
    x[1, :, :, 8:] = 0
    x[2, :, 1:] = 0
    return x


def test_background_is_not_computed_on():
    model = tiny(drop_background=True).eval()
    sizes = []
    model.encoder.blocks[0].register_forward_hook(lambda _, args, out: sizes.append(out.shape[1]))
    x = with_background()
    together = model.encode(x)
    assert sizes == [12, 12, 12]
    for row, one in zip(together, x, strict=True):  # no volume depends on those beside it
        torch.testing.assert_close(model.encode(one[None])[0], row)
    assert model.encode(torch.zeros(1, 1, 8, 16, 12)).isfinite().all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objectives_work_on_the_foreground(objective):
    model = tiny(drop_background=True, objective=objective, mask_type="tube")
    loss = model(with_background(3))["total_loss"]
    loss.backward()
    assert torch.isfinite(loss)


def test_the_teacher_follows_slowly_and_is_never_trained():
    model = tiny(objective="teacher", teacher_momentum=0.9)
    start = copy.deepcopy(model.encoder.state_dict())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(volumes())["total_loss"].backward()
        if not model.teacher.encoder.blocks[0].mlp[0].weight.equal(start["blocks.0.mlp.0.weight"]):
            break
        student = model.encoder.blocks[0].mlp[0].weight.detach().clone()
        optimizer.step()
        student = model.encoder.blocks[0].mlp[0].weight.detach().clone()
    teacher = model.teacher.encoder.blocks[0].mlp[0].weight
    before = start["blocks.0.mlp.0.weight"]
    torch.testing.assert_close(teacher, 0.9 * before + 0.1 * student)
    assert all(not p.requires_grad and p.grad is None for p in model.teacher.parameters())


def test_the_teachers_loss_is_l1_on_layer_normed_targets():
    """A predictor that gives the normed target has no loss; a constant has that of L1."""
    model = tiny(objective="teacher", strength=0.0, full_scale=(1.0, 1.0)).eval()
    wanted = {}

    def remember(_, __, output):
        wanted["tokens"] = torch.nn.functional.layer_norm(output, output.shape[-1:])

    model.teacher.encoder.register_forward_hook(remember)
    targets = {}

    def answer(_, args, output):
        targets["indices"] = args[2]
        indices = args[2][..., None].expand(-1, -1, 24)
        return wanted["tokens"].gather(1, indices) + 0.25

    model.predictor.register_forward_hook(answer)
    loss = model(volumes())
    assert float(loss["total_loss"]) == pytest.approx(0.25, rel=1e-5)
    assert float(loss["regularization_loss"]) == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"objective": "view"}, "objective must be one of"),
        ({"mask_type": "tubes"}, "mask_type must be one of"),
        ({"kind": "video"}, "kind must be one of"),
        ({"positions": "learned"}, "positions must be"),
        ({"volume_size": (9, 16, 12)}, "multiple"),
        ({"positions": "rotary", "num_heads": 12}, "cannot be rotated"),
        ({"objective": "teacher", "teacher_momentum": 1.0}, "teacher_momentum"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        tiny(**changes)


@pytest.mark.parametrize("name", [n for n in ENCODERS if n.startswith(("vit3d", "clip"))])
def test_sizes_of_the_registry_fit(name):
    sizes = ENCODERS[name]
    assert sizes["type"] == "vjepa" and sizes["embed_dim"] % sizes["encoder_heads"] == 0
    assert all(s % p == 0 for s, p in zip(sizes["image_size"], sizes["patch_size"], strict=True))
