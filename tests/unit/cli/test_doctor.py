"""`medjepa doctor` tells what is there, names what is missing, and writes nothing."""

import importlib

import pytest

from medjepa.cli import doctor
from medjepa.errors import ConfigError


def test_it_tells_what_is_here_and_writes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctor.run([]) == 0
    out = capsys.readouterr().out
    for fact in ("device", "cores", "free disk", "torch", "DICOM JPEG 2000", "NIfTI"):
        assert fact in out
    assert not list(tmp_path.iterdir())


def test_a_decoder_that_is_missing_or_does_not_load_is_named(capsys, monkeypatch):
    honest = importlib.import_module

    def broken(name):
        if name == "gdcm":
            raise ImportError("libX11.so.6: cannot open shared object file")
        return honest(name)

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    monkeypatch.setattr(doctor, "LIBRARIES", ("torch", "no-such-library"))
    assert doctor.run([]) == 1
    out = capsys.readouterr().out
    assert "libX11.so.6" in out
    assert "missing: no-such-library, python-gdcm" in out


def test_it_takes_no_arguments():
    with pytest.raises(ConfigError, match="takes no arguments"):
        doctor.run(["data=x"])
