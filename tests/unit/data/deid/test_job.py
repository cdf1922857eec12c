"""A folder in, a folder out: every file is counted, a killed job goes on, nothing slips through."""

import hashlib
import json
import stat

import pytest
from deid_files import ct, written

from medjepa.cli import main as cli
from medjepa.data.deid.job import anonymize
from medjepa.data.deid.options import Options
from medjepa.data.deid.single import anonymize_dicom
from medjepa.errors import ConfigError, DataError, InputError, InputWarning


@pytest.fixture
def originals(tmp_path):
    """Four good files of two patients, one that must stay behind, one that is no DICOM."""
    folder = tmp_path / "Doe_Jane"
    folder.mkdir()
    for number in range(4):
        source = ct(SOPInstanceUID=f"1.2.3.4.{number}", PatientID=f"MRN-{number // 2}",
                    InstitutionName="St. Invented", InstanceNumber=number)  # fmt: skip
        (folder / f"Doe^Jane_{number}.dcm").write_bytes(written(source))
    capture = ct(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SOPInstanceUID="1.2.3.4.9")
    (folder / "capture.dcm").write_bytes(written(capture))
    (folder / "notes.txt").write_text("Doe, Jane")
    return folder


def run(source, out, **arguments):
    return anonymize(source, out, num_workers=0, **arguments)


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_file_is_counted_and_originals_are_not_touched(originals, tmp_path):
    before = digests(originals)
    report = run(originals, tmp_path / "out")
    assert (report.found, report.written, report.patients) == (6, 4, 2)
    assert [path for path, _ in report.quarantined] == ["capture.dcm"]
    assert report.skips.total() == 1
    assert digests(originals) == before


def test_nothing_of_the_originals_is_in_the_output(originals, tmp_path):
    run(originals, tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix == ".dcm"]) == 4
    secret = (tmp_path / "out.private" / "secret.key").read_bytes().strip()
    for path in files:
        content = path.read_bytes() + str(path.relative_to(tmp_path / "out")).encode()
        for token in (b"Doe", b"MRN", b"Invented", b"1.2.3.4", b"20010203", secret):
            assert token not in content
        assert path.read_bytes()[:128] in (b"\0" * 128,) or path.suffix != ".dcm"


def test_what_links_them_is_for_the_owner_only(originals, tmp_path):
    run(originals, tmp_path / "out")
    for folder in (tmp_path / "out.private", tmp_path / "out.quarantine"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    held = json.loads((tmp_path / "out.quarantine" / "quarantine.json").read_text())
    assert [entry["path"] for entry in held] == ["capture.dcm"]
    assert "Invented" in (tmp_path / "out.private" / "devices.csv").read_text()


def test_again_writes_nothing_new_and_a_new_file_is_added(originals, tmp_path):
    run(originals, tmp_path / "out")
    before = digests(tmp_path / "out")
    again = run(originals, tmp_path / "out")
    assert (again.known, digests(tmp_path / "out")) == (4, before)
    (originals / "new.dcm").write_bytes(written(ct(SOPInstanceUID="1.2.3.4.99")))
    more = run(originals, tmp_path / "out")
    assert (more.known, more.written) == (4, 5)
    assert before.items() <= digests(tmp_path / "out").items()


def test_a_killed_job_goes_on_to_the_same_bytes(originals, tmp_path):
    run(originals, tmp_path / "whole")
    secret = tmp_path / "whole.private" / "secret.key"

    class Killed(Exception):
        pass

    def until_the_second(description, total):
        from contextlib import contextmanager

        @contextmanager
        def bar():
            done = []

            def advance(count):
                done.append(count)
                if len(done) == 3:
                    raise Killed

            yield advance

        return bar()

    with pytest.raises(Killed):
        run(originals, tmp_path / "part", secret=secret, progress=until_the_second)
    journal = tmp_path / "part.private" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"path": "torn')
    report = run(originals, tmp_path / "part", secret=secret)
    assert report.found == 6
    assert digests(tmp_path / "part") == digests(tmp_path / "whole")
    assert digests(tmp_path / "part.quarantine") == digests(tmp_path / "whole.quarantine")


def test_one_object_twice_is_written_once_and_another_of_its_name_stays_behind(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.dcm", "b.dcm"):
        (folder / name).write_bytes(written(ct()))
    (folder / "c.dcm").write_bytes(written(ct(SliceThickness="3")))
    report = run(folder, tmp_path / "out")
    assert (report.written, report.skips.total()) == (1, 1)
    assert [path for path, _ in report.quarantined] == ["c.dcm"]


def test_damaged_files_stay_behind_and_stop_nothing(originals, tmp_path):
    good = (originals / "Doe^Jane_0.dcm").read_bytes()
    (originals / "short.dcm").write_bytes(good[:-64])
    (originals / "noise.dcm").write_bytes(good[:132] + bytes(range(256)))
    (originals / "empty.dcm").write_bytes(b"")
    report = run(originals, tmp_path / "out")
    assert report.written == 4
    assert {path for path, _ in report.quarantined} == {
        "capture.dcm", "short.dcm", "noise.dcm", "empty.dcm"
    }  # fmt: skip
    assert not any("Doe" in reason for _, reason in report.quarantined)


def test_folders_that_contain_one_another_and_other_options_are_refused(originals, tmp_path):
    for out in (originals, originals / "out", originals.parent):
        with pytest.raises((ConfigError, DataError)):
            run(originals, out)
    run(originals, tmp_path / "out")
    with pytest.raises(ConfigError, match="other options"):
        run(originals, tmp_path / "out", options=Options(dates="remove"))


def test_the_command_tells_numbers_and_no_names(originals, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["anonymize", str(originals), str(out), "num_workers=0"]) == 1
    text = capsys.readouterr().out
    assert "6 files found: 4 written" in text
    assert "capture.dcm" not in text
    assert "Doe" not in text.replace(str(tmp_path), "")
    assert cli.main(["anonymize", str(originals)]) == 2
    assert cli.main(["anonymize", str(originals), str(out), "datse=keep"]) == 2
    assert "dates" in capsys.readouterr().err


def test_one_file_by_the_function(originals, tmp_path):
    source, target = originals / "Doe^Jane_0.dcm", tmp_path / "clean.dcm"
    anonymize_dicom(source, target, secret=b"s" * 32)
    first = target.read_bytes()
    assert b"Doe" not in first
    anonymize_dicom(source, target, secret=b"s" * 32)
    assert target.read_bytes() == first
    with pytest.raises(InputError, match="secondary capture"):
        anonymize_dicom(originals / "capture.dcm", tmp_path / "no.dcm", secret=b"s" * 32)
    with pytest.raises(InputError, match="same file"):
        anonymize_dicom(source, source, secret=b"s" * 32)
    assert not (tmp_path / "no.dcm").exists()


def test_without_a_secret_the_function_says_that_nothing_can_be_linked(originals, tmp_path):
    from medjepa.data.deid import single

    single._of_this_process.cache_clear()
    with pytest.warns(InputWarning, match="secret"):
        anonymize_dicom(originals / "Doe^Jane_0.dcm", tmp_path / "clean.dcm")
