"""The demo goes on where it was stopped, shows a finished run again, and destroys nothing."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from medjepa.cli import demo, demo_kinds
from medjepa.config.load import load_config
from medjepa.errors import ConfigError
from medjepa.models.registry import ENCODERS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def typed(monkeypatch):
    """Verbs that note what was typed and leave what the real ones would."""
    calls = []

    def load(verb):
        def run(arguments):
            calls.append((verb, arguments))
            keys = dict(argument.split("=", 1) for argument in arguments)
            if verb == "pretrain":
                checkpoints = demo.Path(keys["out"]) / "checkpoints"
                checkpoints.mkdir(parents=True, exist_ok=True)
                (checkpoints / "last.pt").touch()
            if verb == "prepare":
                demo.Path(keys["out"]).mkdir()
                (demo.Path(keys["out"]) / "index.json").touch()
            if verb == "evaluate":
                report = demo.Path(keys["checkpoint"]) / "report"
                report.mkdir(parents=True)
                verdict = {"verdict": {"sentence": "Pre-training helped."}}
                (report / "results.json").write_text(json.dumps(verdict))
            return 0

        return run

    monkeypatch.setattr(demo, "load", load)
    monkeypatch.setattr(demo, "make_images", lambda folder: leave_table(folder.path / "images"))
    return calls


def leave_table(folder):
    folder.mkdir()
    (folder / "labels.csv").touch()


def verbs(calls):
    return [verb for verb, _ in calls]


def test_it_takes_the_steps_of_a_user_and_says_where_the_report_is(typed, tmp_path, capsys):
    assert demo.run([f"out={tmp_path / 'demo'}"]) == 0
    assert verbs(typed) == ["prepare", "pretrain", "evaluate"]
    out = capsys.readouterr().out
    assert "On synthetic images: Pre-training helped.\n" in out
    assert str(tmp_path / "demo" / "run" / "report" / "index.html") in out


@pytest.mark.parametrize(("kind", "axes"), [("volume", "volume"), ("clip", "clip")])
def test_volumes_and_clips_take_the_same_steps_with_settings_that_exist(
    typed, tmp_path, monkeypatch, kind, axes
):
    monkeypatch.chdir(tmp_path)
    assert demo.run([f"kind={kind}"]) == 0
    assert verbs(typed) == ["prepare", "pretrain", "evaluate"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [f"demo-{kind}"]
    settings = {"prepare": {}, "pretrain": {}}
    for verb, arguments in typed[:2]:
        settings[verb] = load_config(overrides=arguments, presets=ENCODERS)
    assert settings["prepare"].data.dimensions == 3
    assert settings["pretrain"].model.type == "vjepa"
    assert settings["pretrain"].model.kind == axes
    assert settings["pretrain"].training.max_minutes <= 1


def test_an_earlier_demo_of_images_is_still_known():
    assert "kind" not in demo.identity(demo.DemoSettings())
    kinds = [demo.identity(demo.parse([f"kind={kind}"])) for kind in ("volume", "clip")]
    assert [content["kind"] for content in kinds] == ["volume", "clip"]


def test_a_finished_demo_is_shown_again_and_not_made_again(typed, tmp_path, capsys):
    for _ in range(2):
        assert demo.run([f"out={tmp_path / 'demo'}"]) == 0
    assert len(typed) == 3
    assert capsys.readouterr().out.count("Pre-training helped.") == 2


def test_a_finished_step_is_done_again_if_its_product_is_gone(typed, tmp_path):
    demo.run([f"out={tmp_path / 'demo'}"])
    shutil.rmtree(tmp_path / "demo" / "run" / "report")
    assert demo.run([f"out={tmp_path / 'demo'}"]) == 0
    assert verbs(typed) == ["prepare", "pretrain", "evaluate", "evaluate"]


def test_other_settings_move_the_earlier_demo_aside(typed, tmp_path):
    for seed in (0, 1, 2):
        demo.run([f"out={tmp_path / 'demo'}", f"seed={seed}"])
    assert len(typed) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "demo.1", "demo.2"]


@pytest.mark.parametrize(("has_checkpoint", "resumes"), [(True, True), (False, False)])
def test_a_stopped_demo_goes_on(typed, tmp_path, monkeypatch, has_checkpoint, resumes):
    honest = demo.load

    def stops(verb):
        def run(arguments):
            checkpoints = tmp_path / "demo" / "run" / "checkpoints"
            checkpoints.mkdir(parents=True)
            (checkpoints / "half-written").touch()
            if has_checkpoint:
                (checkpoints / "last.pt").touch()
            raise KeyboardInterrupt

        return run if verb == "pretrain" else honest(verb)

    monkeypatch.setattr(demo, "load", stops)
    with pytest.raises(KeyboardInterrupt):
        demo.run([f"out={tmp_path / 'demo'}"])
    monkeypatch.setattr(demo, "load", honest)
    assert demo.run([f"out={tmp_path / 'demo'}"]) == 0
    assert verbs(typed) == ["prepare", "pretrain", "evaluate"]
    assert ("resume=true" in typed[1][1]) is resumes
    # What there is nothing to go on from is cleared away: pretrain refuses a full folder.
    assert (tmp_path / "demo" / "run" / "checkpoints" / "half-written").exists() is resumes


def test_a_step_that_fails_ends_the_demo_with_its_status(typed, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "load", lambda verb: lambda arguments: 1)
    assert demo.run([f"out={tmp_path / 'demo'}"]) == 1


def test_a_folder_of_something_else_is_left_alone(typed, tmp_path):
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something else"):
        demo.run([f"out={tmp_path}"])
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]
    assert typed == []


@pytest.mark.parametrize("argument", ["sed=1", "seed=one", "seed", "epochs=-1", "kind=slide"])
def test_a_wrong_key_or_number_is_refused(typed, tmp_path, argument):
    with pytest.raises(ConfigError, match=argument.split("=")[0]):
        demo.run([f"out={tmp_path / 'demo'}", argument])
    assert not (tmp_path / "demo").exists()


def test_it_trains_with_the_settings_of_a_small_machine():
    file = yaml.safe_load((ROOT / "configs" / "laptop.yaml").read_text(encoding="utf-8"))
    settings = demo.DemoSettings()
    assert file["model"].pop("name") == settings.model
    assert file["training"].pop("num_epochs") == settings.epochs
    flat = {f"{head}.{key}={value}" for head, keys in file.items() for key, value in keys.items()}
    assert flat == set(demo_kinds.SHORT_TRAINING)


@pytest.mark.parametrize(("epoch", "said"), [(6, True), (50, False)])
def test_a_training_cut_short_is_said_beside_the_verdict(typed, tmp_path, capsys, epoch, said):
    arguments = [f"out={tmp_path / 'demo'}", "epochs=50"]
    assert demo.run(arguments) == 0
    record = json.dumps({"step": 112, "epoch": epoch})
    (tmp_path / "demo" / "run" / "metrics.jsonl").write_text(f"{record}\n")
    capsys.readouterr()
    assert demo.run(arguments) == 0
    assert ("time for 112 steps of pre-training (6 of 50" in capsys.readouterr().out) == said
