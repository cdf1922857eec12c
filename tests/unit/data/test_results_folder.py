"""A verb overwrites its own results and nobody else's."""

import json

import pytest

from medjepa.cli.main import main
from medjepa.data.results_folder import refuse_others_results
from medjepa.errors import DataError

VERBS = ("evaluate", "finetune", "predict", "select")


def write_results(folder, verb):
    """What `verb` leaves behind, as far as it tells whose it is."""
    if verb == "select":
        (folder / "select.json").write_text("{}")
        return
    numbers = {"run": {"command": f"medjepa {verb} checkpoint=a"}}
    (folder / "results.json").write_text(json.dumps(numbers))


@pytest.mark.parametrize("owner", VERBS)
@pytest.mark.parametrize("verb", VERBS)
def test_only_its_own_results_are_overwritten(tmp_path, owner, verb):
    write_results(tmp_path, owner)
    if owner == verb:
        refuse_others_results(tmp_path, verb)
        return
    with pytest.raises(DataError, match=f"results of {owner}, which {verb} .*out="):
        refuse_others_results(tmp_path, verb)


def test_an_unfinished_study_is_that_of_finetune(tmp_path):
    (tmp_path / "parts").mkdir()
    refuse_others_results(tmp_path, "finetune")
    with pytest.raises(DataError, match="results of finetune"):
        refuse_others_results(tmp_path, "evaluate")


@pytest.mark.parametrize("text", ["not json", "[1]", '{"mine": 1}', '{"run": 3}'])
def test_numbers_that_no_verb_wrote_are_left_alone(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match="results of something else"):
        refuse_others_results(tmp_path, "evaluate")


def test_an_empty_folder_and_a_report_without_a_command_are_taken(tmp_path):
    refuse_others_results(tmp_path / "new", "evaluate")
    refuse_others_results(tmp_path, "evaluate")
    (tmp_path / "results.json").write_text('{"run": {}}')
    refuse_others_results(tmp_path, "evaluate")


@pytest.mark.parametrize(
    ("verb", "owner"),
    [
        ("evaluate", "finetune"),
        ("evaluate", "select"),
        ("finetune", "evaluate"),
        ("select", "evaluate"),
        ("predict", "evaluate"),
    ],
)
def test_every_verb_looks_before_it_works(tmp_path, capsys, verb, owner):
    write_results(tmp_path, owner)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    runs = "runs" if verb == "select" else "checkpoint"
    asked = [f"{runs}={tmp_path / 'no_run'}", f"data={tmp_path / 'no_data'}", f"out={tmp_path}"]
    assert main([verb, *asked, *([] if verb == "select" else ["label=a"])]) == 2
    assert f"the results of {owner}" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
