"""The two doors to pre-training, as they are typed."""

import json

import numpy as np
import pytest
from PIL import Image

from medjepa.checkpoint import load_encoder
from medjepa.cli.main import main
from medjepa.cli.pretrain import read_config
from medjepa.cli.pretrain_script import heads_for
from medjepa.cli.pretrain_script import main as script
from medjepa.models.lejepa import LeJEPA
from medjepa.training import pretrain
from medjepa.types import MODALITIES


def test_the_verb_trains_and_says_what_comes_next(tiny_run, tmp_path, capsys):
    assert main(["pretrain", *tiny_run(tmp_path / "run", "training.max_steps=1")]) == 0
    printed = capsys.readouterr().out
    assert "best_model.pt" in printed and "medjepa evaluate checkpoint=" in printed


def test_help_lists_every_key_of_the_verb(capsys):
    assert main(["pretrain", "--help"]) == 0
    printed = capsys.readouterr().out
    for key in ("out=", "model.name=", "views.num_hidden_views=2", "logging.save_minutes=5.0"):
        assert key in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data=x", "model=vit_test"], "out="),
        (["out={tmp}/run", "model=vit_test"], "data="),
        (["out={tmp}/run", "data={tmp}/gone", "model=vit_test"], "gone"),
        (["out={tmp}/run", "data=x", "model=vit_tset"], "vit_test"),
        (["a.yaml", "b.yaml"], "one settings file"),
        (["out={tmp}/run", "data=x", "model.type=vjepa", "model.image_size=[16,16]"], "[z, y, x]"),
    ],
)
def test_a_mistake_is_one_message_and_leaves_no_folder(tmp_path, capsys, arguments, said):
    assert main(["pretrain", *(argument.format(tmp=tmp_path) for argument in arguments)]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_several_sources_fill_their_share_of_every_batch(image_folder, tiny_run, tmp_path):
    colour = tmp_path / "colour"
    colour.mkdir()
    for number in range(8):
        pixels = np.full((30, 30, 3), 20 * number, np.uint8)
        Image.fromarray(pixels).save(colour / f"{number}.jpg")
    seen = []
    forward = LeJEPA.forward

    def count(self, images, *, modality):
        seen.append((modality == MODALITIES.index("skin")).sum().item())
        return forward(self, images, modality=modality)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LeJEPA, "forward", count)
        arguments = tiny_run(
            tmp_path / "run", f"data=[{image_folder},{colour}]", "data.weights=[1,1]",
            "data.modality=[xray,skin]", "data.target_size=48", "training.num_epochs=1",
        )  # fmt: skip
        pretrain(read_config(arguments))
    assert seen == [4] * 5
    # The model sees its own size, whatever the size of the images that views are cut from.
    pipeline = load_encoder(tmp_path / "run", device="cpu").pipeline
    assert (pipeline.size, pipeline.image_size) == ((48, 48), (32, 32))


def test_the_guide_s_script_never_overwrites_an_earlier_run(image_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    flags = (
        f"--dataset chest --data_dir {image_folder} --file_extension .png --image_size 32 "
        "--patch_size 16 --embed_dim 32 --encoder_depth 1 --predictor_depth 1 --mask_ratio 0.5 "
        "--batch_size 16 --epochs 1 --lr 0.001 --lambda_reg 1.0 --num_workers 0 --log_every 1 "
        "--save_every 1"
    ).split()
    for _ in range(2):
        assert script(flags) == 0
    for folder in ("checkpoints", "checkpoints.1"):
        names = {path.name for path in (tmp_path / folder).iterdir()}
        assert {
            "best_model.pt",
            "last.pt",
            "checkpoint_epoch_1.pt",
            "training_history.json",
        } <= names
    history = json.loads((tmp_path / "checkpoints" / "training_history.json").read_text())
    assert set(history) == {"train_loss", "val_loss", "epochs"}


def test_the_script_names_a_mistake(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert script(["--data_dir", "gone"]) == 2
    assert "gone" in capsys.readouterr().err


@pytest.mark.parametrize(("width", "heads"), [(768, 12), (192, 3), (64, 1), (96, 12), (100, 10)])
def test_heads_divide_the_width(width, heads):
    assert heads_for(width) == heads
