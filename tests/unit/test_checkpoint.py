"""Checkpoints: written whole, read without running anything, loaded strictly."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from medjepa.checkpoint import (
    find_checkpoint,
    load_checkpoint,
    load_encoder,
    rebuild_model,
    save_checkpoint,
)
from medjepa.errors import CheckpointError, InputError
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LeJEPA(**ENCODERS["vit_test"], in_channels=1, num_directions=8).eval()


@pytest.fixture
def payload(model):
    return {
        "model_state_dict": model.state_dict(),
        "model_config": model.config,
        "pipeline": {"size": (40, 40), "channels": 1, "fit": "stretch", "image_size": (32, 32)},
    }


@pytest.fixture
def file(payload, tmp_path):
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    save_checkpoint(path, payload)
    return path


def test_a_model_comes_back_as_it_was(model, file):
    again = rebuild_model(load_checkpoint(file))
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(again.encode(images), model.encode(images))
    assert [path.name for path in file.parent.iterdir()] == ["last.pt"]


def test_a_failed_write_leaves_the_old_file(file):
    before = file.read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save_checkpoint(file, {"broken": lambda: None})
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["last.pt"]


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code in a checkpoint was run')",))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_named(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"last\.pt.*(cut short|damaged)"):
        load_checkpoint(file)


@pytest.mark.parametrize(
    "content",
    [b"hello", b"\x80\x02garbage.", b"PK\x03\x04" + b"0" * 99, pickle.dumps({"a": Bomb()})],
)
def test_other_files_are_refused_and_never_run(tmp_path, content):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.pt"):
        load_checkpoint(path)


def test_a_torch_file_with_code_in_it_is_refused(tmp_path):
    torch.save({"model_state_dict": Bomb()}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="could run code"):
        load_checkpoint(tmp_path / "model.pt")


@pytest.mark.parametrize("content", [{}, [1], {"format": 1}, {"format": 9}])
def test_a_torch_file_of_something_else_is_refused(tmp_path, payload, content):
    if isinstance(content, dict) and content.get("format") == 9:
        content = {**payload, **content}
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"not a MedJEPA checkpoint|has format 9"):
        load_checkpoint(tmp_path / "model.pt")


def test_weights_of_another_model_name_what_differs(payload, tmp_path):
    state = dict(payload["model_state_dict"])
    state["extra"] = state.pop("pixel_mean")
    state["pixel_std"] = torch.ones(7)
    save_checkpoint(tmp_path / "x.pt", {**payload, "model_state_dict": state})
    with pytest.raises(CheckpointError) as caught:
        rebuild_model(load_checkpoint(tmp_path / "x.pt"))
    for part in ("missing: pixel_mean", "unexpected: extra", "pixel_std has shape (7,)"):
        assert part in str(caught.value)
    save_checkpoint(tmp_path / "y.pt", {**payload, "model_config": {"depth": 3}})
    with pytest.raises(CheckpointError, match="no model known here"):
        rebuild_model(load_checkpoint(tmp_path / "y.pt"))


def test_a_run_folder_gives_its_best_model(file):
    folder = file.parents[1]
    assert find_checkpoint(folder) == file
    (file.parent / "best_model.pt").write_bytes(file.read_bytes())
    assert find_checkpoint(folder).name == "best_model.pt"
    with pytest.raises(CheckpointError, match="no checkpoint in this folder"):
        find_checkpoint(folder.parent)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_encoder(folder / "gone.pt")


def test_a_run_in_runs_is_found_by_its_name(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    file.parents[1].rename(tmp_path / "runs" / "first")
    assert load_encoder("first", device="cpu").embed_dim == ENCODERS["vit_test"]["embed_dim"]


@pytest.fixture
def encoder(file):
    return load_encoder(file, device="cpu")


def test_a_file_and_its_pixels_embed_alike(encoder, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (50, 60), dtype=np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    from_file = encoder.embed([path, str(path)])
    assert from_file.shape == (2, encoder.embed_dim) and from_file.dtype == np.float32
    np.testing.assert_allclose(from_file, encoder.embed([pixels] * 2), atol=1e-6)
    np.testing.assert_allclose(from_file[:1], encoder.embed(path), atol=1e-6)


def test_the_batch_size_changes_nothing(encoder):
    images = torch.rand(5, 1, 32, 32)
    whole = encoder.embed(images)
    np.testing.assert_allclose(whole, encoder.embed(images.numpy(), batch_size=2), atol=1e-5)
    assert encoder.embed([]).shape == (0, encoder.embed_dim)


@pytest.mark.parametrize(
    "images",
    [
        torch.rand(2, 3, 32, 32),
        torch.rand(1, 32, 32),
        torch.full((1, 1, 32, 32), 2.0),
        torch.zeros(1, 1, 32, 32, dtype=torch.uint8),
        [np.full((8, 8), np.nan)],
        [np.zeros((2, 8, 8))],
        [np.zeros(8)],
    ],
)
def test_what_is_no_image_is_refused(encoder, images):
    with pytest.raises(InputError):
        encoder.embed(images)
