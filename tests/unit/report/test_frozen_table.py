"""The frozen table copies what the reports say, goes on where it stopped, and names what failed."""

import csv
import json
import sys
from pathlib import Path

import frozen_table
import pytest
from frozen_rows import columns_of, rows_of
from frozen_sets import SETS, NotThere, source
from npz_images import write_table


def estimate(value, spread=0.1):
    return {
        "value": value,
        "low": value - spread,
        "high": value + spread,
        "standard_error": spread / 2,
    }


def evaluated():
    scores = {"auc": estimate(0.7), "balanced_accuracy": estimate(0.6)}
    methods = [
        {"key": key, "title": title, "probe": scores, "knn": scores}
        for key, title in (("pretrained", "Pre-trained encoder"), ("majority", "Majority class"))
    ]
    sections = [
        {
            "title": "Learnt at one site, tested at another",
            "columns": [
                "Features",
                "Sites",
                "Training images",
                "Test images",
                "Test patients",
                "Home",
                "Drop",
            ],
            "rows": [
                ["Pre-trained encoder", "site 1 → site 2", 709, 291, 204, estimate(0.8), None]
            ],
        },
        {
            "title": "Does the embedding group by class or by site?",
            "columns": ["Features", "Images", "Robustness index"],
            "rows": [["Pre-trained encoder", 1000, estimate(0.3)]],
        },
        {
            "title": "With a handful of labels",
            "columns": ["shots", "features", "classifier", "AUC, mean of episodes", "deviation"],
            "rows": [[5, "Majority class", "neighbours", estimate(0.5), 0.01]],
        },
    ]
    return {
        "verdict": {"outcome": "cannot tell", "sentence": "Cannot tell: ...", "baseline": ""},
        "num_test": 290,
        "num_test_patients": 201,
        "seed": 3,
        "seeds": [1, 2],
        "methods": methods,
        "comparisons": [{"against": "majority", "difference": estimate(0.2)}],
        "shortcuts": [],
        "sections": sections,
    }


def detected():
    row = {
        "title": "Frozen encoder, the same head",
        "seeds": [0],
        "scores": {"mean_ap": estimate(0.2), "ap50": estimate(0.5)},
        "sensitivities": [estimate(0.3)],
    }
    return {
        "verdict": {"outcome": "cannot tell", "sentence": "Cannot tell: ..."},
        "num_cases": 72,
        "num_patients": 72,
        "patients_known": False,
        "seed": 0,
        "budget": "300 steps",
        "rates": [1.0],
        "rows": [row],
    }


def test_every_number_with_an_interval_becomes_a_row_with_its_n_seed_and_verdict():
    rows = rows_of(evaluated(), set_name="lungs", stage="lungs-across")
    # 2 methods x 2 protocols x 2 metrics, a difference, and three cells of sections
    assert len(rows) == 8 + 1 + 3
    for row in rows:
        assert (row["set"], row["seed"], row["verdict"]) == ("lungs", 3, "cannot tell")
        assert row["low"] < row["value"] < row["high"]
        assert row["seeds_of_training"] == [1, 2]
    home = next(row for row in rows if row["metric"] == "Home")
    assert home["protocol"] == "Learnt at one site, tested at another, site 1 → site 2"
    assert (home["num_images"], home["num_patients"]) == (291, 204)  # its own, not the report's
    index = next(row for row in rows if row["metric"] == "Robustness index")
    assert (index["num_images"], index["num_patients"]) == (1000, None)  # not the test's patients
    few = next(row for row in rows if row["metric"] == "AUC, mean of episodes")
    assert few["method"] == "Majority class"
    assert few["protocol"] == "With a handful of labels, 5 shots, neighbours"
    assert (few["num_images"], few["num_patients"]) == (290, 201)
    assert [row["value"] for row in rows if "paired" in row["metric"]] == [0.2]


def test_a_page_shows_of_a_stage_what_it_is_about():
    heads, body = columns_of(rows_of(evaluated(), set_name="l", stage="l-across"))
    assert heads == ["Home"]
    assert list(body) == ["Pre-trained encoder, site 1 → site 2"]
    heads, body = columns_of(rows_of(evaluated(), set_name="l", stage="l-classes"))
    assert heads == ["Linear, AUC", "difference", "Linear, balanced accuracy", "kNN, AUC"]
    assert body["Majority class"]["difference"]["value"] == 0.2
    assert list(body) == ["Pre-trained encoder", "Majority class"]
    spoilt = evaluated()
    spoilt["sections"] = [
        {
            "title": "Spoilt test images",
            "columns": ["Features", "Corruption", "AUC", "Drop at 1", "Drop at 5"],
            "rows": [
                ["Pre-trained encoder", "none", estimate(0.9), None, None],
                ["Pre-trained encoder", "noise", estimate(0.6), estimate(-0.1), estimate(-0.3)],
            ],
        }
    ]
    heads, body = columns_of(rows_of(spoilt, set_name="l", stage="l-robustness"))
    assert heads == ["clean, AUC", "noise"]
    assert body["Pre-trained encoder"]["noise"]["value"] == -0.3
    heads, body = columns_of(rows_of(detected(), set_name="b", stage="b-decoded"))
    assert heads == ["mAP@[.5:.95]", "mAP@.5", "found at 1 false positives an image"]


@pytest.mark.parametrize("name", ["derm_isic_uda1", "retina_chase", "em_membrane"])
def test_a_set_without_a_split_gets_one_that_keeps_patients_together(tmp_path, name):
    folder = tmp_path / "set"
    if name == "derm_isic_uda1":
        rows = [(f"{n}.jpg", "malignant" if n % 3 == 0 else "benign") for n in range(60)]
        write_table(folder / "labels.csv", [("file", "benign_malignant"), *rows])
    elif name == "retina_chase":
        folder.mkdir()
        for number in range(1, 15):
            for eye in "LR":
                (folder / f"Image_{number:02d}{eye}.jpg").touch()
    else:
        (folder / "image").mkdir(parents=True)
        for number in range(30):
            (folder / "image" / f"{number}.png").touch()
    told = dict(text.split("=", 1) for text in source(name, folder, tmp_path / "out", 0))
    with Path(told["data.table"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    parts = {row["split"] for row in rows}
    assert parts == {"train", "test"}
    tested = [row for row in rows if row["split"] == "test"]
    assert 0.25 < len(tested) / len(rows) < 0.45
    if name == "retina_chase":
        assert len(rows) == 28
        train = {row["patient"] for row in rows if row["split"] == "train"}
        assert not train & {row["patient"] for row in tested}
    if name == "derm_isic_uda1":
        assert sum(row["benign_malignant"] == "malignant" for row in tested) == 6
    if name == "em_membrane":  # neighbours in the block are on one side
        assert sorted(int(row["file"][:-4]) for row in tested) == list(range(20, 30))


def test_a_set_that_is_not_there_says_so(tmp_path):
    for name in SETS:
        with pytest.raises(NotThere, match="no such folder"):
            source(name, tmp_path / "nothing", tmp_path, 0)


@pytest.fixture
def commands(monkeypatch):
    """Every stage succeeds but those whose command holds one of these words."""
    ran, broken = [], set()

    def run(arguments, log):
        ran.append(arguments)
        words = " ".join(arguments)
        if "stop" in broken:
            raise KeyboardInterrupt
        if any(word in words for word in broken):
            log.write_text("evaluate: the images are made of cheese\n")
            return 2
        if arguments[0] != "pretrain":
            out = next(a for a in arguments if a.startswith("out=")).removeprefix("out=")
            folder = Path(out)
            folder.mkdir(parents=True)
            found = detected() if arguments[0] == "finetune" else evaluated()
            (folder / "results.json").write_text(json.dumps(found))
        return 0

    monkeypatch.setattr(frozen_table, "run_command", run)
    return ran, broken


def table(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["frozen_table.py", *map(str, arguments)])
    return frozen_table.main()


def test_what_failed_is_named_and_done_again_and_the_rest_is_not(
    tmp_path, commands, monkeypatch, capsys
):
    ran, broken = commands
    chests = [tmp_path / name for name in ("cxr_kermany", "cxr_nih_224")]
    for folder in chests:
        folder.mkdir()
    asked = (tmp_path, tmp_path / "out", "cxr_kermany", "cxr_nih_224", "--steps", "5")
    broken.add("target=multilabel")
    assert table(monkeypatch, *asked) == 1
    said = capsys.readouterr().out
    assert "cxr_nih_224-findings: failed: exit status 2, see logs/" in said
    assert "made of cheese" in said
    whole = json.loads((tmp_path / "out" / "table.json").read_text())
    failures = {one["stage"]: one["failure"] for one in whole["stages"] if one["failure"]}
    assert list(failures) == ["cxr_nih_224-findings"]
    assert {row["stage"] for row in whole["rows"]} >= {"cxr_kermany-classes", "cxr_nih_224-across"}
    page = (tmp_path / "out" / "index.html").read_text()
    assert "exit status 2, see logs/cxr_nih_224-findings.log" in page
    assert str(tmp_path) not in page
    assert all(one["processor_seconds"] is not None for one in whole["stages"])
    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(whole["rows"])
    ran.clear()
    broken.clear()
    assert table(monkeypatch, *asked) == 0
    assert len(ran) == 1
    assert "target=multilabel" in ran[0]
    ran.clear()
    assert table(monkeypatch, *asked[:-1], "6") == 1  # other settings: nothing is mixed
    assert not ran
    assert table(monkeypatch, *asked, "--with", "data.num_workers=3") == 0  # changes no number
    assert not ran


def test_without_its_pretraining_a_set_is_not_measured(tmp_path, commands, monkeypatch, capsys):
    ran, broken = commands
    (tmp_path / "cxr_kermany").mkdir()
    broken.add("pretrain")
    asked = (tmp_path, tmp_path / "out", "cxr_kermany", "dermamnist")
    assert table(monkeypatch, *asked) == 1
    assert [one[0] for one in ran] == ["pretrain"]
    assert "dermamnist: not measured" in capsys.readouterr().out
    whole = json.loads((tmp_path / "out" / "table.json").read_text())
    assert all(one["failure"] for one in whole["stages"])
    assert not whole["rows"]


def test_a_stopped_stage_is_not_taken_for_done_and_its_seconds_count(
    tmp_path, commands, monkeypatch
):
    ran, broken = commands
    (tmp_path / "cxr_kermany").mkdir()
    asked = (tmp_path, tmp_path / "out", "cxr_kermany", "--steps", "5")
    broken.add("stop")
    with pytest.raises(KeyboardInterrupt):
        table(monkeypatch, *asked)
    assert [one[0] for one in ran] == ["pretrain"]
    cost = tmp_path / "out" / "costs" / "cxr_kermany.json"
    known = json.loads(cost.read_text())
    assert not known["finished"]
    cost.write_text(json.dumps({**known, "processor_seconds": 100.0}))
    broken.clear()
    assert table(monkeypatch, *asked) == 0
    assert ran[1] == ran[0]
    assert json.loads(cost.read_text())["processor_seconds"] >= 100


def test_a_command_gives_its_status_and_its_words(tmp_path):
    log = tmp_path / "log"
    assert frozen_table.run_command(["no-such-verb"], log) == 2
    assert "no-such-verb" in log.read_text()
