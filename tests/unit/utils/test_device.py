import pytest
import torch

from medjepa.errors import ConfigError
from medjepa.utils import device as devices
from medjepa.utils.logging import get_logger, log_to


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_best_device_is_taken_and_named_once(monkeypatch, caplog, cuda, mps, best):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    devices._best_device.cache_clear()
    with caplog.at_level("INFO", "medjepa"):
        assert devices.get_device() == devices.get_device() == torch.device(best)
    assert caplog.text.count("computing on") == 1
    assert devices.choose_device("auto") == torch.device(best)
    devices._best_device.cache_clear()


def test_a_device_that_is_not_here_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="available: cpu"):
        devices.choose_device("cuda")


def test_the_table_is_printed_and_returned(capsys):
    info = devices.get_device_info()
    printed = capsys.readouterr().out
    assert all(value in printed for value in info.values())
    assert int(info["cpus"]) >= 1


def test_messages_go_where_they_are_asked_to_and_stop(tmp_path, capsys):
    logger = get_logger("medjepa.training.trainer")
    assert get_logger("other").name == "medjepa.other"
    with log_to(tmp_path / "train.log"):
        logger.info("inside")
    logger.info("outside")
    assert "inside" in (tmp_path / "train.log").read_text()
    assert "outside" not in (tmp_path / "train.log").read_text() + capsys.readouterr().err
