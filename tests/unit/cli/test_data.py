"""`medjepa data`: the four sub-verbs, their exit status and their JSON."""

import csv
import json

import pytest
from miniatures_more import MINIATURES

from medjepa.cli import data_script
from medjepa.cli.main import main


def test_list_names_every_set(capsys):
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["name", "modality"]
    assert len(lines) > 48
    assert main(["data", "list", "format=json"]) == 0
    assert {"name", "licence", "access"} <= set(json.loads(capsys.readouterr().out)[0])


def test_show_says_everything(capsys):
    assert main(["data", "show", "HAM10000"]) == 0
    out = capsys.readouterr().out
    for said in ("CC-BY-NC-4.0", "lesion_id", "balanced accuracy", "HAM10000_images_part_1"):
        assert said in out
    assert main(["data", "show", "ham10000", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["group"]["what"] == "lesion"


def test_check_recognises_reads_and_writes_the_table(tmp_path, capsys):
    MINIATURES["ham10000"](tmp_path)
    table = tmp_path / "labels.csv"
    assert main(["data", "check", str(tmp_path), f"table={table}", "complete=false"]) == 0
    out = capsys.readouterr().out
    assert "6 images (6 labelled), 5 by lesion" in out
    assert f"next: medjepa prepare data={table} out=STORE data.modality=skin\n" in out
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(r["filename"], r["label"], r["group"]) for r in rows} >= {
        ("HAM10000_images_part_2/ISIC_0027419.jpg", "bkl", "HAM_0000118")
    }


def test_check_ends_with_1_where_something_is_wrong(tmp_path, capsys):
    MINIATURES["busi"](tmp_path)
    assert main(["data", "check", str(tmp_path), "format=json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["dataset"], report["ok"], report["images"]) == ("busi", False, 5)
    assert report["problems"][0]["kind"] == "count"


def test_check_unpacks_arrays(tmp_path, capsys):
    MINIATURES["breastmnist"](tmp_path / "in")
    arguments = ["complete=false", "checksums=false", f"unpack={tmp_path / 'out'}"]
    assert main(["data", "check", str(tmp_path / "in"), *arguments]) == 0
    assert (tmp_path / "out" / "labels.csv").is_file()
    assert "7 images in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "did you mean list?"),
        (["show"], "takes one NAME"),
        (["show", "ham1000"], "did you mean ham10000"),
        (["check", ".", "tabel=x"], "did you mean table?"),
        (["check", ".", "complete=perhaps"], "true or false"),
        (["check", ".", "format=xml"], "text or json"),
        (["download", "ham10000"], "needs dir=DIR"),
        (["download", "ham10000", "dir=x"], "accept_licence=true"),
    ],
)
def test_mistakes_are_answered(arguments, said, tmp_path, monkeypatch, capsys):
    MINIATURES["busi"](tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["data", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_of_no_known_set_is_told_so(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("a")
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "own-dataset.md" in capsys.readouterr().err


def test_download_ends_with_1_where_a_click_is_needed(tmp_path, capsys):
    assert main(["data", "download", "oct2017", f"dir={tmp_path / 'x'}"]) == 1
    out = capsys.readouterr().out
    assert out.index("licence: CC-BY-4.0") < out.index("not downloaded")


def test_the_script_has_the_guides_flags(tmp_path, capsys):
    assert data_script.main([]) == 0
    assert "ham10000" in capsys.readouterr().out
    assert data_script.main(["--dataset", "ham10000", "--data_dir", str(tmp_path)]) == 2
    assert "accept_licence" in capsys.readouterr().err
    assert data_script.main(["--dataset", "busi", "--data_dir", str(tmp_path)]) == 1
    assert str(tmp_path / "busi") in capsys.readouterr().out


def test_a_table_elsewhere_is_named_beside_the_folder(tmp_path, capsys):
    folder, table = tmp_path / "DIR", tmp_path / "labels.csv"
    MINIATURES["ham10000"](folder)
    assert main(["data", "check", str(folder), f"table={table}", "complete=false"]) == 0
    assert f"prepare data={folder} data.table={table} out=STORE" in capsys.readouterr().out
