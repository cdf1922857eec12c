"""`method=`: every method from the command line to an evaluation, and what supervised may see."""

import csv

import pytest
import torch

from medjepa.checkpoint import load_checkpoint, load_encoder
from medjepa.cli.main import main
from medjepa.cli.pretrain import read_config
from medjepa.models.methods import METHODS
from medjepa.training import pretrain

SMALL = [
    "dino.num_local_views=2", "dino.hidden_dim=32", "dino.num_prototypes=32",
    "simclr.hidden_dim=32", "vicreg.hidden_dim=32", "vicreg.output_dim=32", "training.max_steps=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def labelled_folder(image_folder, tmp_path_factory):
    """The images with a finding: `rewrite(change)` gives a table whose rows are changed."""

    def rewrite(change=lambda row: row, name="findings.csv"):
        with (image_folder / "table.csv").open() as file:
            rows = list(csv.DictReader(file))
        for number, row in enumerate(rows):
            row["finding"] = "yes" if number // 2 % 2 else "no"
            change(row)
        path = tmp_path_factory.mktemp("tables") / name
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return rewrite


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_run_says_what_made_it_and_its_encoder_is_used_like_any(
    name, tiny_run, labelled_folder, tmp_path
):
    table = labelled_folder()
    out = tmp_path / "run"
    arguments = tiny_run(out, f"method={name}", "label=finding", f"data.table={table}", *SMALL)
    assert main(["pretrain", *arguments]) == 0
    checkpoint = load_checkpoint(out / "checkpoints" / "last.pt")
    assert checkpoint.payload["model_type"] == METHODS[name].__name__
    encoder = load_encoder(out, device="cpu")
    images = torch.rand(3, 1, 32, 32)
    again = load_encoder(out / "checkpoints" / "last.pt", device="cpu")
    assert (encoder.embed(images) == again.embed(images)).all()
    if name in ("dino", "ijepa"):
        for key, value in encoder.model.teacher.encoder.state_dict().items():
            assert torch.equal(encoder.model.encoder.state_dict()[key], value)


def test_a_method_is_evaluated_unchanged(tiny_run, labelled_folder, tmp_path, capsys):
    table, out = labelled_folder(), tmp_path / "run"
    assert main(["pretrain", *tiny_run(out, "method=mae", *SMALL)]) == 0
    data = [part for part in tiny_run(out) if part.startswith("data")]
    assert main(
        ["evaluate", f"checkpoint={out}", *data, "label=finding", f"data.table={table}",
         f"out={tmp_path / 'result'}", "evaluation.num_bootstrap=20", "hardware.device=cpu"]
    ) == 0  # fmt: skip
    assert "pre-trained" in capsys.readouterr().out.lower()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_stopped_run_goes_on_to_the_same_weights(name, tiny_run, labelled_folder, tmp_path):
    def run(out, *more, hooks=()):
        settings = [f"method={name}", "label=finding", f"data.table={table}", *SMALL[:-1]]
        return pretrain(
            read_config(tiny_run(out, *settings, "training.max_steps=5", *more)), hooks=hooks
        )

    def stop(info):
        if info.step == 3:
            raise KeyboardInterrupt

    table = labelled_folder()
    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "halves", "logging.save_minutes=1e-9", hooks=[stop])
    halves = run(tmp_path / "halves", "resume=true", "logging.save_minutes=1e-9")
    last = [load_checkpoint(r.checkpoint.parent / "last.pt").payload for r in (whole, halves)]
    for key, value in last[0]["model_state_dict"].items():
        assert torch.equal(value, last[1]["model_state_dict"][key]), key


def test_labels_of_test_images_change_no_weight(tiny_run, labelled_folder, tmp_path):
    def hide(row):
        if row["split"] == "test":
            row["finding"] = "maybe" if row["image_id"] < "36" else "yes"

    weights = []
    for number, table in enumerate((labelled_folder(), labelled_folder(hide))):
        out = tmp_path / str(number)
        settings = ["method=supervised", "label=finding", f"data.table={table}", *SMALL]
        pretrain(read_config(tiny_run(out, *settings)))
        weights.append(load_checkpoint(out / "checkpoints" / "last.pt").payload)
    assert weights[0]["model_config"]["num_classes"] == 2
    for key, value in weights[0]["model_state_dict"].items():
        assert torch.equal(value, weights[1]["model_state_dict"][key]), key


def test_labels_of_training_images_do_change_them(tiny_run, labelled_folder, tmp_path):
    def swap(row):
        row["finding"] = {"yes": "no", "no": "yes"}[row["finding"]]

    weights = []
    for number, table in enumerate((labelled_folder(), labelled_folder(swap))):
        out = tmp_path / str(number)
        settings = ["method=supervised", "label=finding", f"data.table={table}", *SMALL]
        pretrain(read_config(tiny_run(out, *settings)))
        payload = load_checkpoint(out / "checkpoints" / "last.pt").payload
        weights.append(payload["model_state_dict"]["head.weight"])
    assert not torch.equal(*weights)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["method=mea"], "did you mean mae?"),
        (["method=supervised"], "label=COLUMN"),
        (["method=supervised", "label=finding", "data.use_all=true"], "labels of test images"),
        (["method=simclr", "views.num_full_views=3"], "exactly 2 views"),
        (["method=mae", "model=vit3d_test", "model.in_channels=1"], "is for images"),
        (["method=ijepa", "ijepa.target_scale=[1,1]"], "leave no context"),
    ],
)
def test_a_mistake_is_one_message(tiny_run, labelled_folder, tmp_path, capsys, more, said):
    arguments = tiny_run(tmp_path / "run", f"data.table={labelled_folder()}", *more)
    assert main(["pretrain", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_without_a_split_supervised_is_refused(tiny_run, labelled_folder, tmp_path, capsys):
    table = labelled_folder(lambda row: row.pop("split"))
    settings = ["method=supervised", "label=finding", f"data.table={table}", *SMALL]
    assert main(["pretrain", *tiny_run(tmp_path / "run", *settings)]) == 2
    assert "marks no images as train and test" in capsys.readouterr().err
