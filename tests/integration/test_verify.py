"""`verify` against copies that are clean, dirty, and clean but for one string."""

import ast
import gzip
import json
import random
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from deid_files import ct, written
from hypothesis import given, settings
from hypothesis.strategies import integers

import medjepa.data.verify as package
from medjepa.cli.main import main
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.job import anonymize
from medjepa.data.deid.options import Options
from medjepa.data.verify import verify
from medjepa.data.verify.elements import walk
from medjepa.data.verify.vocabulary import terms, vocabulary, words_of
from medjepa.errors import ConfigError, DataError

STRINGS = (
    "Mustermann^Erika", "Erika Mustermann", "MUSTERMANN", "MRN-4711-22", "ACC99-8817",
    "Hauptstr. 17", "1.3.6.1.4.1.99999.1.2", "1.3.6.1.4.1.99999.1.3", "Krankenhaus Musterstadt",
    "SN-88123-X", "hidden words of a maker", "Dr. Wunderlich", "1964-08-12", "12.08.1964",
    "QUIETSCHENTE",
)  # fmt: skip


def original(number, **tags):
    """Return one slice of a patient with everything that a scanner writes."""
    Dataset, Sequence = pydicom().Dataset, pydicom().Sequence
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.3.6.1.4.1.99999.1.900"
    item.PersonName = "Dr. Wunderlich"
    values = {
        "SOPInstanceUID": f"1.3.6.1.4.1.99999.1.{number + 2}",
        "StudyInstanceUID": "1.3.6.1.4.1.99999.2",
        "SeriesInstanceUID": "1.3.6.1.4.1.99999.3", "PatientName": "Mustermann^Erika",
        "PatientID": "MRN-4711-22", "AccessionNumber": "ACC99-8817",
        "PatientAddress": "Hauptstr. 17",
        "PatientBirthDate": "19640812", "PatientSex": "F", "PatientAge": "036Y",
        "PatientWeight": "61.5",
        "InstitutionName": "Krankenhaus Musterstadt", "DeviceSerialNumber": "SN-88123-X",
        "SeriesDescription": "QUIETSCHENTE axial", "InstanceNumber": str(number),
        "StudyTime": "101112.5", "SeriesDate": "20010204", "BodyPartExamined": "CHEST",
        "ReferencedImageSequence": Sequence([item]), "PixelSpacing": ["0.75", "0.75"], **tags,
    }  # fmt: skip
    dataset = ct(**values)
    block = dataset.private_block(0x0019, "ACME 1.1", create=True)
    block.add_new(0x01, "LO", "hidden words of a maker")
    pixels = np.random.default_rng(number).integers(0, 4096, 64, dtype=np.uint16)
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Originals in a folder named after their patient, and what anonymize makes of them."""
    root = tmp_path_factory.mktemp("verify")
    source, out = root / "in", root / "out"
    (source / "MUSTERMANN_4711").mkdir(parents=True)
    for number in range(4):
        name = f"MUSTERMANN_4711/Erika_{number}.dcm"
        (source / name).write_bytes(written(original(number)))
    other = original(
        7,
        PatientName="Beispiel^Anton",
        PatientID="MRN-9",
        StudyDate="20051224",
        StudyInstanceUID="1.3.6.1.4.1.99999.4",
        SeriesInstanceUID="1.3.6.1.4.1.99999.5",
    )
    (source / "other.dcm").write_bytes(written(other))
    assert not anonymize(source, out, num_workers=0).quarantined
    return source, out


@pytest.fixture
def copies(folders, tmp_path):
    """A copy of the output that a test may change, with its originals."""
    source, out = folders
    shutil.copytree(out, tmp_path / "out")
    return source, tmp_path / "out"


def snapshot(folder):
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def test_a_clean_copy_has_no_finding(folders, tmp_path, capsys):
    source, out = folders
    before = snapshot(source) | snapshot(out)
    report = tmp_path / "report.json"
    assert main(["verify", str(source), str(out), f"report={report}"]) == 0
    assert snapshot(source) | snapshot(out) == before
    told = capsys.readouterr().out
    assert "5 files" in told and "0 findings" in told and "5 compared with their original" in told
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_a_plain_copy_has_every_string(folders, tmp_path, capsys):
    source, _ = folders
    shutil.copytree(source, tmp_path / "copy")
    report = tmp_path / "report.json"
    arguments = ["verify", str(source), str(tmp_path / "copy"), f"report={report}"]
    assert main([*arguments, "show=true"]) == 1
    texts = {f.get("text", "").lower() for f in json.loads(report.read_text())["findings"]}
    for string in set(STRINGS[:-3]) - {"Erika Mustermann"}:
        assert string.lower() in texts, string
    assert "quietschente axial" in texts
    shown = capsys.readouterr().out
    assert main(arguments) == 1
    told = report.read_text()
    for string in ("Mustermann^", "4711-22", "Hauptstr", "QUIETSCHENTE"):
        assert string not in told.replace("MUSTERMANN_4711", "") and string not in shown


def plant(out, rng):
    """Put one string of the originals into one random place of one output file."""
    path = rng.choice(sorted(p for p in out.rglob("*") if p.is_file()))
    string = rng.choice(STRINGS)
    raw = rng.choice([string, string.upper(), string.lower()]).encode(
        rng.choice(["ascii", "ascii", "utf-16-le"])
    )
    content = bytearray(path.read_bytes())
    place = rng.choice(["anywhere", "inserted", "end", "preamble", "element", "beside", "packed"])
    if place == "anywhere":
        begin = rng.randrange(len(content) - len(raw))
        content[begin : begin + len(raw)] = raw
    elif place == "inserted":
        begin = rng.randrange(len(content))
        content[begin:begin] = raw
    elif place == "end":
        content += raw
    elif place == "preamble":
        content[0 : len(raw[:128])] = raw[:128]
    elif place == "element":
        dataset = pydicom().dcmread(path)
        target = rng.choice([dataset, dataset.DeidentificationMethodCodeSequence[0]])
        name = rng.choice(["PatientComments", "ImageComments", "RequestedProcedureDescription"])
        setattr(target, name, string)
        content = bytearray(written(dataset))
    elif place == "beside":
        path = path.with_name("notes.txt")
        content = bytearray(b"x" * rng.randrange(40) + raw)
    else:
        path = path.with_name("notes.gz")
        content = bytearray(gzip.compress(raw * 3))
    path.write_bytes(content)
    return path, string, place


@settings(max_examples=30, deadline=None)
@given(integers(0, 10**9))
def test_one_string_anywhere_is_found(folders, tmp_path_factory, seed):
    source, out = folders
    copy = tmp_path_factory.mktemp("mutated") / "out"
    shutil.copytree(out, copy)
    path, string, place = plant(copy, random.Random(seed))
    report = verify(source, copy)
    name = path.relative_to(copy).as_posix()
    assert any(finding.file == name for finding in report.findings), (string, place)
    shutil.rmtree(copy)


def change(path, function):
    dataset = pydicom().dcmread(path)
    function(dataset)
    path.write_bytes(written(dataset))


def first(out):
    return sorted(p for p in out.rglob("*.dcm"))[0]


def set_to(**values):
    def change_it(dataset):
        for name, value in values.items():
            setattr(dataset, name, value)

    return change_it


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (set_to(PatientIdentityRemoved="NO"), "PatientIdentityRemoved is not YES"),
        (set_to(PatientAge="095Y"), "an age above 90 years"),
        (set_to(PatientAge="036Y"), "the age is that of the original"),
        (set_to(PatientSex="F"), "the PatientSex is that of the original"),
        (set_to(StudyTime="101112.5"), "the time is that of the original"),
        (set_to(SOPInstanceUID="1.2.3.77"), "neither the standard's nor below 2.25"),
        (lambda d: d.add_new(0x00200052, "LO", "2.25.007"), "not a valid UID"),
        (lambda d: d.add_new(0x60003000, "OW", b"\1\2\3\4"), "an overlay or a curve"),
        (lambda d: d.add_new(0x00090010, "LO", "X"), "a private attribute"),
        (lambda d: d.add_new(0x00189FF0, "LO", "X"), "the standard does not list"),
        (lambda d: d.add_new(0x00880200, "SQ", []), "an icon image"),
        (set_to(PixelData=bytes(150)), "bytes behind the last pixel"),
    ],
)
def test_structure_that_may_not_be(copies, function, said):
    source, out = copies
    change(first(out), function)
    report = verify(source, out)
    assert any(said in finding.what for finding in report.findings), report.findings


def test_dates_and_uids_that_were_not_replaced_as_one(copies):
    source, out = copies
    by_number = {int(pydicom().dcmread(p).InstanceNumber): p for p in out.rglob("*.dcm")}
    change(by_number[0], set_to(StudyDate="20010203"))
    change(by_number[1], set_to(StudyInstanceUID="2.25.1234567"))
    change(by_number[2], set_to(PatientID="PSOMEBODYELSE"))
    whats = {finding.what for finding in verify(source, out).findings}
    for said in (
        "the date is that of the original",
        "a UID was replaced by two different ones",
        "one patient has two pseudonyms",
        "moved by different numbers of days",
    ):
        assert any(said in what for what in whats), said


def test_what_was_kept_on_purpose_is_allowed(folders, tmp_path):
    source, _ = folders
    options = Options(dates="keep", times="keep", retain_patient_characteristics=True,
                      retain_device=True, retain_uids=True)  # fmt: skip
    anonymize(source, tmp_path / "kept", options=options, num_workers=0)
    found = verify(source, tmp_path / "kept")
    assert {"UID of the originals", "the date is that of the original"} <= set(found.counts)
    allow = ("dates", "times", "characteristics", "device", "uids")
    assert not verify(source, tmp_path / "kept", allow=allow).findings


def test_a_file_of_the_quarantine_must_not_be_there(copies, tmp_path):
    source, out = copies
    listed = tmp_path / "quarantine.json"
    listed.write_text(json.dumps([{"path": "other.dcm", "reason": "looks odd"}]))
    report = verify(source, out, quarantine=listed)
    assert report.counts == {"its original is in quarantine": 1}


def test_missing_and_unknown_files_are_counted(copies):
    source, out = copies
    first(out).unlink()
    assert verify(source, out).num_missing == 1
    (out / "extra.txt").write_text("nothing of interest")
    assert verify(source, out).counts == {"not a DICOM file": 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{in}"], "two folders"),
        (["{in}", "{out}", "alow=dates"], "alow"),
        (["{in}", "{out}", "allow=everything"], "everything"),
        (["{in}", "{out}", "report={out}/r.json"], "only read"),
        (["{in}", "{out}", "quarantine=/nowhere.json"], "nowhere"),
        (["{in}/nowhere", "{out}"], "no such file"),
    ],
)
def test_mistakes_are_one_message(folders, capsys, arguments, said):
    source, out = folders
    filled = [a.replace("{in}", str(source)).replace("{out}", str(out)) for a in arguments]
    assert main(["verify", *filled]) == 2
    assert said in capsys.readouterr().err


def test_without_originals_nothing_is_verified(tmp_path, folders):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no DICOM file"):
        verify(tmp_path / "empty", folders[1])
    with pytest.raises(ConfigError, match="allow"):
        verify(folders[0], folders[1], allow=["x"])


def test_an_empty_output_is_not_called_clean(tmp_path, folders):
    source, _ = folders
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="holds no file, so nothing was verified"):
        verify(source, tmp_path / "out")
    # All of it kept back: there is nothing that could have left.
    paths = [p.relative_to(source).as_posix() for p in source.rglob("*.dcm")]
    listed = tmp_path / "quarantine.json"
    listed.write_text(json.dumps([{"path": path, "reason": "odd"} for path in paths]))
    assert verify(source, tmp_path / "out", quarantine=listed).num_findings == 0


def test_it_shares_nothing_with_what_it_checks():
    for module in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any("deid" in name for name in names), module


def test_every_defined_term_that_may_stay_is_known_here():
    import medjepa.data.deid as deid

    allowed = Path(deid.__file__).with_name("allowed.txt").read_text()
    kept = {t for line in allowed.splitlines() if " terms " in line and line[0] != "#"
            for t in line.split(" terms ")[1].split(",")[0].split("|")}  # fmt: skip
    unknown = {
        term for term in kept if len(term) > 3 and term not in terms()
        and not all(len(word) < 4 or word in vocabulary() for word in words_of(term))
    }  # fmt: skip
    assert len(kept) > 100 and not unknown


def test_real_studies_come_out_clean(real_data, tmp_path):
    source = tmp_path / "in"
    files = sorted(real_data("ct_chest_dicom").rglob("*.dcm"))[:3]
    files += sorted(real_data("brain_mri_dicom_pgbm").rglob("*.dcm"))[:4]
    source.mkdir()
    for path in files:
        shutil.copy(path, source / path.name)
    anonymize(source, tmp_path / "out", num_workers=0)
    report = verify(source, tmp_path / "out")
    assert report.num_files == len(files) == report.num_matched
    assert not report.findings, report.findings
    assert walk(files[0].read_bytes()).text("0010,0020")
