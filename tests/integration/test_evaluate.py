"""From a checkpoint and a folder of files to a verdict and a page."""

import json

import numpy as np
import pytest
import torch

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.evaluate_script import main as script
from medjepa.cli.main import main
from medjepa.data.phantoms import generate
from medjepa.errors import ConfigError
from medjepa.evaluation.embed import embed, encoder_of, untrained_twin
from medjepa.evaluation.run import evaluate
from medjepa.evaluation.runs import PRETRAINING_KEYS, load_runs
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms") / "images"
    generate(folder, num_patients=48, images_per_patient=2, size=32)
    return folder


@pytest.fixture(autouse=True)
def _few_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    # Every fit goes through the type checker here: fewer of them.
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))


def write_run(folder, *, seed=0, shift=0.0, channels=1):
    torch.manual_seed(seed)
    model = LeJEPA(**ENCODERS["vit_test"], in_channels=channels, seed=seed)
    model.set_pixel_statistics(torch.full((channels,), 0.5), torch.full((channels,), 0.25))
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter += shift
    size = ENCODERS["vit_test"]["image_size"]
    save_checkpoint(
        folder / "checkpoints" / "best_model.pt",
        {
            "model_state_dict": model.state_dict(),
            "model_config": model.config,
            "pipeline": {"size": (size, size), "channels": channels, "fit": "stretch"},
            "seed": seed,
            "config": {"seed": seed},
        },
    )
    rows = [
        {"step": s, "total_loss": 1 / s, "prediction_loss": 1 / s, "regularization_loss": 1 / s}
        for s in range(1, 6)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"step": 6, "tot'
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_the_untrained_twin_is_the_run_before_its_first_step(tmp_path):
    torch.manual_seed(5)
    fresh = LeJEPA(**ENCODERS["vit_test"], in_channels=1, seed=5)
    run = load_runs(write_run(tmp_path / "run", seed=5, shift=0.1))[0]
    twin = untrained_twin(run.model, seed=run.seed)
    for name, value in fresh.state_dict().items():
        if not name.startswith("pixel_"):
            assert torch.equal(twin.state_dict()[name], value), name
    assert torch.equal(twin.pixel_mean, run.model.pixel_mean)
    assert torch.equal(twin.pixel_std, run.model.pixel_std)


def test_the_batch_size_does_not_change_embeddings(tmp_path):
    run = load_runs(write_run(tmp_path / "run"))[0]
    encode = {"model": encoder_of(run.model, torch.device("cpu"))}
    size = ENCODERS["vit_test"]["image_size"]
    pictures = list(torch.rand(7, 1, size, size, generator=torch.Generator().manual_seed(0)))
    small, large = (embed(pictures, encode, batch_size=b)["model"] for b in (2, 64))
    assert small == pytest.approx(large, abs=1e-5)


def test_checkpoints_that_see_images_differently_are_refused(tmp_path):
    paths = [write_run(tmp_path / "grey"), write_run(tmp_path / "colour", channels=3)]
    with pytest.raises(ConfigError, match="differently"):
        load_runs(paths)


def test_the_verb_writes_page_and_numbers_beside_the_run(images, tmp_path, capsys):
    runs = [write_run(tmp_path / f"run{seed}", seed=seed) for seed in (0, 1)]
    status = main(
        ["evaluate", f"checkpoint=[{runs[0]},{runs[1]}]", f"data={images}", "label=label"]
    )
    assert status == 0
    numbers = json.loads((runs[0] / "report" / "results.json").read_text(encoding="utf-8"))
    page = (runs[0] / "report" / "index.html").read_text(encoding="utf-8")
    assert numbers["synthetic"] is True
    assert "Synthetic data" in page
    # Both runs *are* untrained encoders: no difference at all.
    assert numbers["verdict"]["outcome"] != "helped"
    assert numbers["comparisons"][0]["difference"]["value"] == 0
    assert numbers["seeds"] == [0, 1]
    assert len(numbers["loss_curves"][0]["step"]) == 5
    assert str(tmp_path) not in json.dumps(numbers) + page
    output = capsys.readouterr().out
    assert "index.html" in output
    assert numbers["verdict"]["headline"] in " ".join(output.split())


def test_images_that_pretraining_used_are_found_in_the_test(images, tmp_path):
    run = write_run(tmp_path / "run")
    options = {"fractions": (), "num_resamples": 20, "num_workers": 0}
    report = evaluate(run, images, "label", **options)
    assert report.checks[-1].passed is None
    store = next((tmp_path / "cache" / "stores").iterdir())
    index = json.loads((store / "index.json").read_text(encoding="utf-8"))
    (run / PRETRAINING_KEYS).write_text(json.dumps(index["items"]["key"]), encoding="utf-8")
    report = evaluate(run, images, "label", **options)
    assert report.checks[-1].passed is False
    assert f"{report.num_test} of the {report.num_test}" in report.checks[-1].text


def test_the_guides_script(images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "run")
    flags = ["--checkpoint", str(run / "checkpoints" / "best_model.pt"), "--data_dir", str(images)]
    flags += ["--metadata_csv", str(images / "labels.csv"), "--label_column", "label"]
    assert script([*flags, "--num_classes", "9"]) == 2
    assert "not 9" in capsys.readouterr().err
    assert script([*flags, "--batch_size", "16"]) == 0
    found = json.loads((tmp_path / "results" / "evaluation_results.json").read_text())
    assert 0 <= found["linear_probing"]["accuracy"] <= 1
    assert 0 <= found["linear_probing"]["auc"] <= 1
    assert [row["fraction"] for row in found["few_shot"]] == [0.01, 0.05, 0.1, 0.25, 0.5, 1.0]
    assert np.all([row["num_labeled"] >= 2 for row in found["few_shot"]])


def test_a_store_prepared_anew_changes_no_number(images, tmp_path):
    run = write_run(tmp_path / "run", shift=0.1)
    options = {"fractions": (0.5,), "num_draws": 2, "num_resamples": 30, "num_workers": 0}
    reports = [
        evaluate(run, images, "label", split="auto", cache_dir=tmp_path / name, **options)
        for name in ("one", "two")
    ]
    one, two = (
        [report.methods, report.comparisons, report.num_test, report.label_efficiency]
        for report in reports
    )
    assert repr(one) == repr(two)


def test_an_encoder_of_timm_is_a_row_of_every_table(images, tmp_path, stand_in_timm):
    run, out = write_run(tmp_path / "run"), tmp_path / "out"
    command = ["evaluate", f"checkpoint={run}", f"data={images}", "label=label", f"out={out}"]
    command += ["evaluation.num_bootstrap=20", "timm=resnet.tag"]
    assert main([*command, "corruptions=true"]) == 0
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    row = next(one for one in report["methods"] if one["key"] == "timm")
    assert row["num_features"] == 5 and row["probe"]["auc"]["low"] is not None
    assert any(one["against"] == "timm" for one in report["comparisons"])
    spoilt = next(one for one in report["sections"] if one["key"] == "corruptions")
    assert "Encoder of other images (timm)" in {one[0] for one in spoilt["rows"]}
    page = (out / "index.html").read_text(encoding="utf-8")
    assert (
        "Encoder of other images (timm)" in page
        and "resnet.tag of timm sees the images of 32 x 32" in page
    )
