"""The command line's surface is deliberate: verbs, exit codes, a quick answer to --help."""

import signal
import subprocess
import sys

import pytest

from medjepa.cli import main as cli
from medjepa.errors import ConfigError

RECORDED_VERBS = [
    "demo",
    "inspect",
    "data",
    "prepare",
    "pretrain",
    "evaluate",
    "select",
    "finetune",
    "predict",
    "embed",
    "anonymize",
    "verify",
    "forget",
    "doctor",
]
HEAVY = ("torch", "numpy", "sklearn", "scipy", "matplotlib", "rich")


def imported_by(code: str) -> set[str]:
    report = f"{code}\nimport sys; print('IMPORTED', *sys.modules)"
    command = [sys.executable, "-c", report]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(answer.stdout.rsplit("IMPORTED", 1)[1].split())


def test_the_verbs_are_the_recorded_ones():
    assert list(cli.VERBS) == RECORDED_VERBS


@pytest.mark.parametrize(
    "code",
    ["import medjepa", "from medjepa.cli.main import main; assert main(['--help']) == 0"],
    ids=["import", "help"],
)
def test_nothing_heavy_is_imported(code):
    assert not imported_by(code) & set(HEAVY)


@pytest.mark.parametrize("verb", RECORDED_VERBS)
def test_every_verb_answers_help_without_torch(verb):
    code = f"from medjepa.cli.main import main; assert main([{verb!r}, '--help']) == 0"
    assert not imported_by(code) & set(HEAVY)


def test_help_lists_every_verb(capsys):
    assert cli.main([]) == cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {verb} " in out for verb in RECORDED_VERBS)


def test_an_unknown_verb_names_the_nearest(capsys):
    assert cli.main(["pretran", "data=x"]) == 2
    assert "medjepa pretrain" in capsys.readouterr().err


def test_user_errors_are_one_message_and_exit_2(monkeypatch, capsys):
    def run(arguments):
        raise ConfigError(f"training.epochs: unknown key, got {arguments}")

    monkeypatch.setattr(cli, "load", lambda name: run)
    assert cli.main(["pretrain", "training.epochs=1"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("medjepa: training.epochs: unknown key")
    assert "Traceback" not in err


def test_other_errors_are_bugs_and_keep_their_traceback(monkeypatch):
    def run(arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "load", lambda name: run)
    with pytest.raises(ZeroDivisionError):
        cli.main(["pretrain"])


@pytest.mark.parametrize(
    ("verb", "again"), [("pretrain", "data=x resume=true"), ("evaluate", "evaluate data=x\n")]
)
def test_control_c_says_how_to_go_on(monkeypatch, capsys, verb, again):
    def run(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "load", lambda name: run)
    assert cli.main([verb, "data=x"]) == 130
    assert again in capsys.readouterr().err


def test_control_c_within_an_import_is_no_bug(monkeypatch, capsys):
    """A library that was half imported when Ctrl-C came breaks in its own way afterwards."""

    def run(arguments):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise AttributeError("partially initialized module") from None

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(cli, "load", lambda name: run)
    assert cli.main(["evaluate", "data=x"]) == 130
    assert "stopped. To go on: medjepa evaluate data=x\n" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_the_package_runs_as_a_module():
    answer = subprocess.run(
        [sys.executable, "-m", "medjepa", "--version"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.startswith("medjepa ")
