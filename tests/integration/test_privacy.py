"""What the library writes for others names nobody: no person, number or path of the originals."""

import stat
from pathlib import Path

import numpy as np
import pytest
from image_files import write_dicom, write_png

from medjepa.cli.main import main
from medjepa.data.verify.harvest import Harvest
from medjepa.data.verify.index import Index
from medjepa.data.verify.scan import in_name, in_other

PEOPLE = (
    ("Mustermann", "Erika"), ("Beispielson", "Anton"), ("Quietsch", "Ente"), ("Wunderlich", "Rosa"),
    ("Zoomaier", "Karl"), ("Xylander", "Olga"), ("Yggdrasil", "Nils"), ("Vogelsang", "Ida"),
)  # fmt: skip
EXPORT = "Kreiskrankenhaus_Export"


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """An archive's export: folders named after patients, and headers that nobody cleaned well."""
    folder = tmp_path_factory.mktemp("privacy") / EXPORT
    rng = np.random.default_rng(0)
    rows = ["file,patient_id,finding"]
    for number, (last, first) in enumerate(PEOPLE):
        home = f"{last}_{first}_1964{number + 1:02d}12"
        for image in range(3):
            pixels = np.clip(rng.normal(90 + 60 * (number % 2), 20, (32, 32)), 0, 255)
            names = [f"{home}/{last}{image}.png", f"{home}/CT_{last}_{image}.dcm"]
            write_png(folder / names[0], pixels.astype(np.uint8))
            write_dicom(folder / names[1], (pixels * 10).astype(np.uint16), **header(number, image))
            finding = "ill" if number % 2 else "well"
            rows += [f"{name},MRN-4711-{number},{finding}" for name in names]
    (folder / "Mustermann_kaputt.png").write_bytes(b"\x89PNG\r\n\x1a\nMustermann")
    (folder / "Beispielson_odd.dcm").write_bytes(b"Anton Beispielson" * 20)
    (folder / "entlassene_patienten.csv").write_text("\n".join(rows) + "\n")
    return folder


def header(number, image):
    last, first = PEOPLE[number]
    return {
        "PatientIdentityRemoved": "YES",
        "PatientName": f"{last}^{first}",
        "PatientID": f"MRN-4711-{number}",
        "PatientBirthDate": f"1964{number + 1:02d}12",
        "PatientAddress": "Hauptstr. 17",
        "InstitutionName": "Krankenhaus Musterstadt",
        "StudyInstanceUID": f"1.3.6.1.4.1.99999.7.{number}",
        "SOPInstanceUID": f"1.3.6.1.4.1.99999.8.{number}.{image}",
        "AccessionNumber": f"ACC99-881{number}",
        "SeriesDescription": f"Thorax of {last}",
        "PatientComments": "collects rubber ducklings",
        "OperatorsName": "Knipser^Kai",
    }


@pytest.fixture(scope="module")
def written(export, tmp_path_factory):
    """Everything that a whole job leaves: prepare, pretrain, evaluate, inspect."""
    out = tmp_path_factory.mktemp("public")
    tiny = [
        "model=vit_test", "model.in_channels=1", "training.batch_size=8", "training.max_steps=2",
        "data.target_size=32", "data.num_workers=0", "hardware.device=cpu",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDJEPA_CACHE", str(out / "cache"))
        # Every fit goes through the type checker here: fewer of them.
        patch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (0.01, 1.0))
        patch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))
        status = main(["prepare", f"data={export}", f"out={out / 'store'}", "data.target_size=32",
                       "data.num_workers=0"])  # fmt: skip
        assert status == 1  # two broken files
        assert main(["pretrain", f"data={export}", f"out={out / 'run'}", *tiny]) == 0
        evaluate = [f"checkpoint={out / 'run'}", f"data={export}", "label=finding"]
        assert main(["evaluate", *evaluate, f"out={out / 'page'}", "hardware.device=cpu",
                     "data.num_workers=0"]) == 0  # fmt: skip
        assert main(["inspect", str(export), f"out={out / 'survey'}"]) in (0, 1)
        assert main(["forget", str(out / "store"), "patient=MRN-4711-3", f"runs={out}"]) == 0
    return out


def is_private(path, root):
    """Only its owner can read it, by itself or through a folder that nobody else can enter."""
    within = [p for p in path.parents if root in p.parents]
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (path, *within)]
    return any(mode & 0o077 == 0 for mode in modes)


@pytest.fixture(scope="module")
def index(export):
    """What must not be found: everything in the headers, and every name of a file or folder."""
    harvest = Harvest()
    from medjepa.data.verify.elements import looks_like_dicom, walk

    for path in sorted(p for p in export.rglob("*") if p.is_file()):
        name, content = path.relative_to(export.parent).as_posix(), path.read_bytes()
        if looks_like_dicom(content):
            harvest.file(walk(content), name, 0)
        else:
            harvest.path(name, 0)
    harvest.path(str(export), 0)
    return Index(harvest)


def files_of(root):
    return sorted(p for p in root.rglob("*") if p.is_file())


def found_in(index, path):
    content = path.read_bytes()
    return {(s.kind, s.text) for _, s in in_other(index, content) if s.kind != "binary data"}


def test_nothing_that_is_not_private_names_anybody(written, index):
    public = [path for path in files_of(written) if not is_private(path, written)]
    kinds = {path.suffix for path in public}
    assert {".json", ".html", ".pt", ".safetensors", ".jsonl", ".log", ".png"} <= kinds
    leaks = {path.name: found for path in public if (found := found_in(index, path))}
    assert not leaks
    assert not [p for p in files_of(written) if list(in_name(index, p.name))]


def test_the_search_would_see_them(written, index):
    private = {p.name: p for p in files_of(written) if is_private(p, written)}
    texts = {text for _, text in found_in(index, private["map.json"])}
    assert any("Beispielson" in text for text in texts)
    assert found_in(index, private["config.yaml"])  # where the images lie


def test_private_files_are_few_and_known(written):
    private = {p.name for p in files_of(written) if is_private(p, written)}
    assert private == {
        "map.json", "key", "lock", "failures.json", "table-0.csv", "config.yaml", "files.csv",
        "forgotten.json", ".test_looks.json.lock",
    } | {p.name for p in (written / "cache").rglob("*") if p.is_file()}  # fmt: skip
    assert [p.stat().st_size for p in written.rglob(".test_looks.json.lock")] == [0]


def test_private_files_are_private_one_by_one(written):
    for folder in written.rglob("private"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((written / "run" / "config.yaml").stat().st_mode) == 0o600


def test_a_run_that_is_passed_on_loads_without_its_private_files(written, tmp_path):
    from medjepa.checkpoint import load_encoder

    (tmp_path / "best_model.pt").write_bytes(
        (written / "run" / "checkpoints" / "best_model.pt").read_bytes()
    )
    assert load_encoder(tmp_path).embed_dim > 0


def test_an_error_of_a_run_is_not_written_down(export, tmp_path, monkeypatch, index):
    """The console may name a file to its owner; what stays on the disk may not."""
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    arguments = [f"data={export}", f"out={tmp_path / 'run'}", "model=vit_test",
                 "data.split_column=nothing", "hardware.device=cpu"]  # fmt: skip
    assert main(["pretrain", *arguments]) == 2
    logs = [path for path in files_of(tmp_path) if not is_private(path, tmp_path)]
    assert not any(found_in(index, Path(path)) for path in logs)
