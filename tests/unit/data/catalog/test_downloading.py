"""Every set comes by its owner's own route, with its terms first, or with the steps to take."""

import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from miniatures import packed
from miniatures_more import MINIATURES
from web_server import server

from medjepa.data.catalog import check_entry, download, entries, entry_named
from medjepa.data.catalog.checksums import digest
from medjepa.data.catalog.entry import Download, RemoteFile
from medjepa.data.catalog.routes import route_of
from medjepa.errors import ConfigError, DataError

SETS = entries()


def zipped(folder, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return target.read_bytes()


def said(entry, folder, **options):
    lines = []
    outcome = download(entry, folder, say=lines.append, **options)
    return outcome, "\n".join(lines)


def test_terms_first_then_files_then_unpacked(tmp_path):
    MINIATURES["kvasir-seg"](tmp_path / "made")
    content = zipped(tmp_path / "made", tmp_path / "kvasir-seg.zip")
    with server(content=content) as (url, _):
        file = RemoteFile(name="kvasir-seg.zip", url=url, size=len(content))
        entry = replace(SETS["kvasir-seg"], download=Download(route="https", files=(file,)))
        outcome, text = said(entry, tmp_path / "DIR", allow_http=True)
        again, _ = said(entry, tmp_path / "DIR", allow_http=True)
    assert text.splitlines()[1].startswith("licence: research and educational use only")
    assert (outcome.complete, outcome.fetched) == (True, ["kvasir-seg.zip"])
    assert outcome.unpacked == ["kvasir-seg.zip"]
    assert (again.fetched, again.known, again.unpacked) == ([], ["kvasir-seg.zip"], [])
    assert (tmp_path / "DIR" / "Kvasir-SEG" / "kavsir_bboxes.json").exists()
    assert "medjepa data check" in text


def test_nothing_is_fetched_before_the_terms_are_accepted(tmp_path):
    with pytest.raises(ConfigError, match="accept_licence=true"):
        download(SETS["ham10000"], tmp_path / "DIR")
    assert not (tmp_path / "DIR").exists()


def test_a_click_is_described_and_what_lies_there_is_taken(tmp_path):
    folder = tmp_path / "DIR"
    entry = SETS["oct2017"]
    outcome, text = said(entry, folder)
    assert not outcome.complete
    assert "not downloaded" in text
    assert "still to come: OCT2017.tar.gz" in text
    folder.mkdir()
    (folder / "OCT2017.tar.gz").write_bytes(b"whatever")
    outcome, _ = said(entry, folder, extract=False)
    assert outcome.complete


def test_files_that_were_fetched_by_hand_are_unpacked_to_what_check_reads(tmp_path):
    MINIATURES["pcam"](tmp_path)
    for path in sorted(tmp_path.glob("*.h5")):
        packed(path, path.with_suffix(".h5.gz"))
        path.unlink()
    entry = replace(SETS["pcam"], download=Download(route="manual"))
    outcome, _ = said(entry, tmp_path)
    assert len(outcome.unpacked) == 6
    assert check_entry(SETS["pcam"], tmp_path, complete=False, checksums=False).ok
    again, _ = said(entry, tmp_path)
    assert again.unpacked == []


def test_archives_inside_archives_are_unpacked(tmp_path):
    MINIATURES["busi"](tmp_path / "made")
    zipped(tmp_path / "made", tmp_path / "outer" / "Dataset_BUSI.zip")
    (tmp_path / "DIR").mkdir()
    zipped(tmp_path / "outer", tmp_path / "DIR" / "all.zip")
    outcome, _ = said(SETS["busi"], tmp_path / "DIR")
    assert outcome.unpacked == ["all.zip", "Dataset_BUSI.zip"]
    assert check_entry(SETS["busi"], tmp_path / "DIR", complete=False).ok


def test_an_archive_over_what_is_there_is_refused(tmp_path):
    MINIATURES["busi"](tmp_path)
    zipped(tmp_path / "Dataset_BUSI_with_GT", tmp_path / "a.zip")
    (tmp_path / "benign").mkdir()
    (tmp_path / "benign" / "benign (1).png").write_text("mine")
    with pytest.raises(DataError, match="extract=false"):
        said(SETS["busi"], tmp_path)
    assert (tmp_path / "benign" / "benign (1).png").read_text() == "mine"


def test_a_wrong_file_by_hand_is_refused(tmp_path):
    file = RemoteFile(name="set.zip", md5="0" * 32)
    entry = replace(SETS["busi"], download=Download(route="manual", files=(file,)))
    (tmp_path / "set.zip").write_bytes(b"x")
    with pytest.raises(DataError, match="not as published"):
        said(entry, tmp_path)


@pytest.mark.parametrize("name", [n for n, e in SETS.items() if e.download.route == "https"])
def test_https_sets_have_addresses_of_their_files(name):
    files = SETS[name].download.files
    assert files
    assert all(f.url.startswith("https://") for f in files)
    assert all(len(f.md5) in (0, 32) and len(f.sha256) in (0, 64) for f in files)


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("ham10000", "kaggle datasets download -d kmader/skin-cancer-mnist-ham10000 -p DIR"),
        ("aptos2019", "kaggle competitions download -c aptos2019-blindness-detection -p DIR"),
        ("brats2021", "synapse get -r syn25829067 --downloadLocation DIR"),
        ("vindr-cxr", "wget -r -N -c -np -nH --cut-dirs=3 -P DIR --ask-password"),
    ],
)
def test_the_owners_client_is_called_as_it_asks(name, begins):
    assert " ".join(route_of(SETS[name], Path("DIR")).command).startswith(begins)


@pytest.mark.parametrize("name", ["ham10000", "brats2021", "vindr-cxr"])
def test_without_the_client_the_steps_are_printed(tmp_path, monkeypatch, name):
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome, text = said(SETS[name], tmp_path / "DIR", accept_licence=True)
    assert not outcome.complete
    assert "Install the client" in text
    assert "Credentials:" in text


def client(folder, name, monkeypatch, status=0):
    """A stand-in for a client: it writes down how it was called."""
    path = folder / name
    path.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"open({str(folder / 'called')!r}, 'w').write(' '.join(sys.argv[1:]))\n"
        f"sys.exit({status})\n"
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder / "called"


def test_the_client_is_run_and_believed(tmp_path, monkeypatch):
    called = client(tmp_path, "kaggle", monkeypatch)
    outcome, _ = said(SETS["ham10000"], tmp_path / "DIR", accept_licence=True)
    assert outcome.complete
    assert called.read_text().startswith("datasets download -d kmader/")


def test_a_client_that_fails_is_reported(tmp_path, monkeypatch):
    client(tmp_path, "synapse", monkeypatch, status=3)
    outcome, text = said(SETS["brats2021"], tmp_path / "DIR", accept_licence=True)
    assert not outcome.complete
    assert "status 3" in text


def test_physionet_is_told_the_users_name_and_no_password(tmp_path, monkeypatch):
    called = client(tmp_path, "wget", monkeypatch)
    monkeypatch.setenv("PHYSIONET_USER", "someone")
    outcome, _ = said(SETS["vindr-cxr"], tmp_path / "DIR", accept_licence=True)
    assert outcome.complete
    assert "--user=someone https://physionet.org/files/vindr-cxr/1.0.0/" in called.read_text()


def test_an_unknown_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"pathmnist has no path\.npz"):
        download(entry_named("pathmnist"), tmp_path, names=("path.npz",))


def test_checksums_are_those_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert digest(tmp_path / "a", "md5") == "900150983cd24fb0d6963f7d28e17f72"
