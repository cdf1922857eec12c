"""The log: what a run says, and what of it may be kept."""

from medjepa.utils.logging import CONSOLE_ONLY, get_logger, log_to


def test_names_of_files_are_told_but_not_kept(tmp_path, capsys):
    log = get_logger("medjepa.test")
    with log_to(tmp_path / "run.log"):
        log.warning("left out: %s", "SMITH_JOHN.png", extra=CONSOLE_ONLY)
        log.warning("one file failed")
    assert "SMITH_JOHN.png" in capsys.readouterr().err
    kept = (tmp_path / "run.log").read_text()
    assert "one file failed" in kept
    assert "SMITH" not in kept
