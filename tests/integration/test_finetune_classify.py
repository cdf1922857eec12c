"""Labelled images in files, a checkpoint, and what `finetune task=classify` makes of them."""

import csv
import json
import stat

import pytest
import torch
from classify_files import NAME, write_images, write_run

from medjepa.cli.main import main
from medjepa.evaluation import classify_run
from medjepa.training.interrupts import StopWish


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classify")
    patch = pytest.MonkeyPatch()
    patch.setenv("MEDJEPA_CACHE", str(folder / "cache"))
    write_images(folder / "images")
    yield [
        "finetune", "task=classify", f"data={folder / 'images'}", "label=finding",
        f"checkpoint={write_run(folder / 'run', folds=folder)}", "data.num_workers=0",
        "group=patient", "evaluation.num_bootstrap=200", "batch_size=16",
    ]  # fmt: skip
    patch.undo()


@pytest.fixture(scope="module")
def finished(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    assert main([*given, *ASKED, f"out={out}"]) == 0
    return out


ASKED = (
    "fractions=[0.2,1.0]", "draws=2", "steps=20", "methods=[pretrained,scratch,partial,lora]",
    "last_blocks=1", "rank=2",
)  # fmt: skip


def numbers(out):
    return json.loads((out / "results.json").read_text(encoding="utf-8"))


def test_an_encoder_that_knows_the_answer_is_found_better_than_scratch(finished):
    report = numbers(finished)
    assert {v["outcome"] for v in report["verdicts"]} == {"helped"}
    gain = {
        d["fraction"]: d["difference"] for d in report["differences"]
        if (d["against"], d["metric"]) == ("scratch", "auc")
    }  # fmt: skip
    assert gain[0.2]["low"] > 0
    few = next(e for e in report["equivalences"] if e["fraction"] == 0.2)
    assert few["decided"]
    assert "as good as scratch with more than" in few["sentence"]


def test_every_method_and_baseline_is_in_the_table_with_n_and_intervals(finished):
    report = numbers(finished)
    assert [(row["fraction"], row["method"]) for row in report["rows"]] == [
        (fraction, method)
        for fraction in (1.0, 0.2)
        for method in ("pretrained", "partial", "lora", "frozen", "scratch", "majority")
    ]
    for row in report["rows"]:
        assert row["scores"]["auc"]["low"] is not None
        if row["method"] in ("pretrained", "scratch"):
            assert row["num_draws"] == len(row["per_draw"]["auc"]) == 2
            assert row["spread"]["auc"] is not None
            assert set(row["num_patients"]) == {8 if row["fraction"] == 0.2 else 40}
            assert all(num > 0 for num in row["num_validation"])
        if row["method"] == "majority":
            assert (
                row["scores"]["auc"]["value"] == row["scores"]["balanced_accuracy"]["value"] == 0.5
            )
    trained = {row["method"]: row["num_parameters"] for row in report["rows"]}
    assert trained["lora"] < trained["partial"] < trained["pretrained"] == trained["scratch"]
    assert (report["num_train_patients"], report["num_test_patients"]) == (40, 40)


def test_the_page_begins_with_verdict_and_leaks_and_shows_the_curve(finished):
    page = (finished / "index.html").read_text(encoding="utf-8")
    places = [page.index(text) for text in (
        "Pre-training helped", "No patient is on both sides", "<h2>Results", "<svg",
    )]  # fmt: skip
    assert places == sorted(places)
    assert "±" in page


def test_what_is_written_names_nobody(finished):
    for path in (p for p in finished.rglob("*") if p.is_file() and p.suffix != ".pt"):
        text = path.read_text(encoding="utf-8")
        assert NAME not in text
        assert str(finished.parent) not in text
    predictions = finished / "predictions.csv"
    assert stat.S_IMODE(predictions.stat().st_mode) == 0o600
    rows = list(csv.DictReader(predictions.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 5 * 2 * 40  # methods, shares, patients
    assert {row["n_images"] for row in rows} == {"2"}
    assert all(abs(float(row["p_a"]) + float(row["p_b"]) - 1) < 1e-5 for row in rows)


def test_again_trains_nothing_and_writes_the_same(given, finished, monkeypatch, capsys):
    before = {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()}
    monkeypatch.setattr(classify_run, "finetune_classifier", None)
    assert main([*given, *ASKED, f"out={finished}"]) == 0
    assert {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()} == before
    out = capsys.readouterr().out
    assert "Pre-training helped" in out
    assert "The page:" in out
    assert main([*given, *ASKED, f"out={finished}", "learning_rate=0.1"]) == 2
    assert "learning_rate was 0.003, now 0.1" in capsys.readouterr().err


def weights(out):
    models = sorted(out.glob("parts/*/model.pt"))
    return {
        path.parent.name: torch.load(path, weights_only=True)["model_state_dict"] for path in models
    }


SHORT = ("fractions=[0.5]", "draws=1", "steps=10", "methods=[pretrained]")


def test_no_test_label_changes_a_weight(given, tmp_path):
    write_images(tmp_path / "turned", turn_test=True)
    turned = [f"data={tmp_path / 'turned'}" if a.startswith("data=") else a for a in given]
    assert main([*given, *SHORT, f"out={tmp_path / 'a'}"]) == 0
    assert main([*turned, *SHORT, f"out={tmp_path / 'b'}"]) == 0
    first, second = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert first.keys() == second.keys() == {"50-pretrained-0"}
    for name, weight in first["50-pretrained-0"].items():
        torch.testing.assert_close(second["50-pretrained-0"][name], weight, rtol=0, atol=0)
    auc = [numbers(tmp_path / n)["rows"][0]["per_draw"]["auc"][0] for n in "ab"]
    assert auc[0] > auc[1] + 0.2  # the labels did change


class Soon(StopWish):
    """Wishes to stop after some questions."""

    left = 5

    def __bool__(self):
        Soon.left -= 1
        return Soon.left <= 0


def test_stopped_and_gone_on_writes_what_one_run_writes(given, tmp_path, monkeypatch):
    assert main([*given, *SHORT, f"out={tmp_path / 'whole'}"]) == 0
    train = classify_run.finetune_classifier
    monkeypatch.setattr(
        classify_run, "finetune_classifier", lambda *a, **k: train(*a, **{**k, "wish": Soon()})
    )
    assert main([*given, *SHORT, f"out={tmp_path / 'parts'}"]) == 130
    assert (tmp_path / "parts" / "parts" / "50-pretrained-0" / "finetune.pt").is_file()
    monkeypatch.undo()
    assert main([*given, *SHORT, f"out={tmp_path / 'parts'}"]) == 0
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name, weight in one["50-pretrained-0"].items():
        torch.testing.assert_close(two["50-pretrained-0"][name], weight, rtol=0, atol=0)
    rows = [numbers(tmp_path / name)["rows"] for name in ("whole", "parts")]
    assert [row["per_draw"] for row in rows[0]] == [row["per_draw"] for row in rows[1]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("methods=[unet]", "unet is unknown to task=classify; of pretrained"),
        ("fractions=[0.01]", "fewer patients than the 2 classes"),
        ("methods=[partial] last_blocks=9", "the encoder has 2 blocks"),
        ("seeds=[0,1]", "by draws="),
        ("fold=0", "split=auto"),
        ("label=", "label= missing"),
        ("label=split", "the training part holds 1 class,"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(given, tmp_path, capsys, change, said):
    out = tmp_path / "out"
    assert main([*given, "steps=2", "fractions=[1.0]", *change.split(), f"out={out}"]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_a_class_without_test_images_is_refused(given, tmp_path, capsys):
    images = write_images(tmp_path / "images", num_patients=12, num_test=4)
    table = (images / "labels.csv").read_text().replace("test,b", "test,a")
    (images / "labels.csv").write_text(table)
    other = [f"data={images}" if a.startswith("data=") else a for a in given]
    assert main([*other, "fractions=[1.0]", f"out={tmp_path / 'out'}"]) == 2
    assert "the test part has nothing of 'b'" in " ".join(capsys.readouterr().err.split())
