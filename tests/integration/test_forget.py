"""A patient leaves a store: nothing of them stays, and nothing else changes."""

import json
import shutil
import stat

import numpy as np
import pytest
from image_files import grey, write_dicom, write_nifti, write_png

from medjepa.cli.main import main
from medjepa.data import open_store, open_volumes, prepare
from medjepa.data import removal as module
from medjepa.data.removal import forget, runs_that_saw
from medjepa.errors import CheckpointError, DataError

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))


def flat_store(root, *, shard_bytes=1000):
    """20 PNG files of 5 patients by a table, and 4 CT slices whose header names SECRET-77."""
    folder = root / "in"
    rows = ["file,patient_id,label"]
    for number in range(20):
        name = f"p{number % 5}x" + ".d" * (number % 2) + f"/im{number:02d}.png"
        write_png(folder / name, grey(number, (24, 24)))
        rows.append(f"{name},MRN-{number % 5},{number % 5}")
    for number in range(4):
        write_dicom(folder / "ct" / f"{number}.dcm", grey(number, (24, 24), np.uint16))
    (folder / "SECRET-77.png").write_bytes(b"\x89PNG broken")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return prepare(folder, root / "store", size=24, num_workers=0, shard_bytes=shard_bytes).out


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """One store of each kind, to be copied."""
    made = {}
    for make in (flat_store, volume_store):
        root = tmp_path_factory.mktemp(make.__name__)
        make(root)
        made[make] = root / "store"
    return made


def volume_store(root):
    """Four volumes of two patients."""
    folder, rows = root / "in", ["file,patient_id"]
    for number in range(4):
        array = np.random.default_rng(number).integers(-999, 999, (9, 8, 7), np.int16)
        write_nifti(folder / f"v{number}.nii", array, AFFINE)
        rows.append(f"v{number}.nii,MRN-{number % 2}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return prepare(folder, root / "store", dimensions=3, num_workers=0).out


def content(store):
    """Everything that a reader gets, without where it lies."""
    if json.loads((store / "index.json").read_text())["settings"]["dimensions"] == 3:
        opened = open_volumes(store)
        images = [opened.read(n) for n in range(len(opened))]
    else:
        opened = open_store(store)
        images = list(opened.gather(np.arange(len(opened)), 1))
    facts = [(i.key, i.group, i.modality, i.window, i.spacing, i.scale) for i in opened.items]
    return [(fact, image.tobytes(), image.dtype) for fact, image in zip(facts, images, strict=True)]


def keys_of(store, patient):
    from medjepa.data.private_map import PrivateMap

    records = PrivateMap.read(store).files
    return {r.key for r in records if patient in (r.patient, r.header_patient)}


def all_bytes(store):
    return b"\n".join(p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file())


@pytest.mark.parametrize(
    ("make", "patient", "others"),
    [(flat_store, "MRN-3", 20), (flat_store, "SECRET-77", 20), (volume_store, "MRN-1", 2)],
)
def test_the_patient_goes_and_everybody_else_stays_bit_for_bit(tmp_path, make, patient, others):
    store = make(tmp_path)
    keys, before = keys_of(store, patient), content(store)
    report = forget(store, [patient])
    assert (report.num_left, report.num_items) == (others, len(before) - others)
    assert report.known == {patient} and report.keys == keys
    assert content(store) == [entry for entry in before if entry[0][0] not in keys]


@pytest.mark.parametrize("make", [flat_store, volume_store])
def test_nothing_of_the_patient_is_left_in_any_file(tmp_path, make):
    store = make(tmp_path)
    theirs = [e for e in content(store) if e[0][0] in keys_of(store, "MRN-1")]
    stored = [entry[1] for entry in theirs] if make is volume_store else [
        grey(n, (24, 24)).tobytes() for n in range(1, 20, 5)
    ]  # fmt: skip
    assert stored and all(image in all_bytes(store) for image in stored)
    forget(store, ["MRN-1"])
    left = all_bytes(store)
    assert not any(image in left for image in stored)
    assert b"MRN-1" not in left and b"im01" not in left and b"im11" not in left
    assert b"MRN-0" in left


def test_rows_of_others_with_the_same_cell_stay(tmp_path):
    """A patient called 3 is not a label 3."""
    folder = tmp_path / "in"
    rows = ["file,patient,label"]
    for number in range(6):
        write_png(folder / f"a{number}.png", grey(number))
        rows.append(f"a{number}.png,{number},{3 if number % 2 else 4}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    store = prepare(folder, tmp_path / "store", size=16, num_workers=0).out
    forget(store, ["3"])
    copy = (store / "private" / "table-0.csv").read_text()
    assert copy.splitlines() == [row for row in rows if not row.startswith("a3")]
    assert stat.S_IMODE((store / "private" / "table-0.csv").stat().st_mode) == 0o600


def test_the_record_is_public_and_names_nobody(tmp_path, templates):
    store = shutil.copytree(templates[flat_store], tmp_path / "store")
    forget(store, ["MRN-3"])
    forget(store, ["SECRET-77"])
    removed = json.loads((store / "removed.json").read_text())
    assert sum(entry["num_items"] for entry in removed) == 8
    assert all(set(entry) == {"day", "num_items"} for entry in removed)
    assert stat.S_IMODE((store / "private" / "forgotten.json").stat().st_mode) == 0o600
    assert b"MRN-3" not in all_bytes(store) and b"SECRET-77" not in all_bytes(store)


def test_prepare_does_not_bring_them_back(tmp_path):
    store = flat_store(tmp_path)
    forget(store, ["MRN-3", "SECRET-77"])
    after = content(store)
    folder = tmp_path / "in"
    write_dicom(folder / "ct" / "new.dcm", grey(50, (24, 24), np.uint16))
    write_dicom(folder / "ct" / "else.dcm", grey(51, (24, 24), np.uint16), PatientID="OTHER")
    report = prepare(folder, store, size=24, num_workers=0)
    assert sum(n for reason, n in report.skips.items() if "forget" in reason) == 9
    again = content(store)
    assert again[: len(after)] == after and len(again) == len(after) + 1
    from medjepa.data.private_map import PrivateMap

    assert not any("new.dcm" in record.path for record in PrivateMap.read(store).files)
    copy = (store / "private" / "table-0.csv").read_text()
    assert "MRN-2" in copy and "MRN-3" not in copy


class KilledError(Exception):
    """Stands for kill -9: nothing catches it."""


@pytest.mark.parametrize("make", [flat_store, volume_store])
@pytest.mark.parametrize("survived", [0, 1, 2, 3, 4, 5, 6, 7, 9, 11])
def test_killed_anywhere_the_same_command_ends_it(tmp_path, monkeypatch, templates, make, survived):
    store = shutil.copytree(templates[make], tmp_path / "store")
    keys, before = keys_of(store, "MRN-1"), content(store)
    steps = iter(range(survived))

    def dying(function):
        def step(*arguments, **keywords):
            if next(steps, None) is None:
                raise KilledError
            return function(*arguments, **keywords)

        return step

    with monkeypatch.context() as patch:
        for name in ("write_atomic", "write_tensors", "write_private"):
            patch.setattr(module, name, dying(getattr(module, name)))
        for owner, name in ((module.Forgotten, "write"), (module.PrivateMap, "write")):
            patch.setattr(owner, name, dying(getattr(owner, name)))
        patch.setattr(module.Path, "unlink", dying(module.Path.unlink))
        try:
            forget(store, ["MRN-1"])
        except KilledError:
            pass
        else:
            assert survived > 5
    between = content(store)  # whole at every moment, with the patient or without
    left = [entry for entry in before if entry[0][0] not in keys]
    assert between in (before, left)
    report = forget(store, ["MRN-1"])
    assert content(store) == left
    assert report.num_items == len(before) - len(left) and report.keys == keys
    named = {s["name"] for s in json.loads((store / "index.json").read_text())["shards"]}
    assert {p.name for p in store.glob("shard-*")} == named
    assert b"MRN-1" not in all_bytes(store)
    assert sum(e["num_items"] for e in json.loads((store / "removed.json").read_text())) == (
        report.num_items
    )


def test_a_store_can_grow_after_a_whole_shard_has_gone(tmp_path):
    store = flat_store(tmp_path, shard_bytes=1)
    forget(store, ["MRN-4"])
    before = content(store)
    for number in range(60, 63):
        write_png(tmp_path / "in" / f"z{number}.png", grey(number, (24, 24)))
    prepare(tmp_path / "in", store, size=24, num_workers=0, shard_bytes=1)
    after = content(store)
    assert [e for e in after if e in before] == before and len(after) == len(before) + 3


def test_pixels_that_nobody_names_any_more_go_as_well(tmp_path):
    store = flat_store(tmp_path)
    (tmp_path / "in" / "p0x" / "im00.png").unlink()
    prepare(tmp_path / "in", store, size=24, num_workers=0)
    image = grey(0, (24, 24)).tobytes()
    assert image in all_bytes(store)
    forget(store, ["nobody"])
    assert image not in all_bytes(store)


def make_run(folder, keys):
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.pt").write_bytes(b"weights")
    if keys is not None:
        (folder / "pretraining_keys.json").write_text(json.dumps(sorted(keys)))


def test_the_command_lists_the_runs_that_saw_them(tmp_path, templates, capsys):
    store = shutil.copytree(templates[flat_store], tmp_path / "store")
    runs = tmp_path / "runs"
    make_run(runs / "saw", {*list(keys_of(store, "MRN-2"))[:2], "0" * 32})
    make_run(runs / "clean", keys_of(store, "MRN-1"))
    make_run(runs / "unknown", None)
    command = ["forget", str(store), "patient=MRN-2", f"runs={runs}"]
    for _ in range(2):  # asked again later, the answer is the same
        assert main(command) == 0
        told = capsys.readouterr().out
        assert "4 images taken out, 20 are left" in told and "1 runs below" in told
        assert f"{runs / 'saw'}: 2 of their files" in told and "cannot unlearn" in told
        assert str(runs / "saw" / "checkpoints" / "last.pt") in told
        assert str(runs / "unknown" / "checkpoints" / "last.pt") in told
        assert "clean" not in told and "MRN-2" not in told


def test_prepared_folders_in_the_cache_are_cleaned_too(tmp_path, capsys):
    store = flat_store(tmp_path)
    cached = tmp_path / "cache" / "stores" / "abc"
    (tmp_path / "in" / "table.csv").rename(tmp_path / "table.csv")
    prepare(tmp_path / "in", cached, size=16, num_workers=0)  # without a table: by content
    assert main(["forget", str(store), "patient=MRN-2"]) == 0
    assert f"{cached}: 4 images taken out, 20 are left" in capsys.readouterr().out
    report = prepare(tmp_path / "in", cached, size=16, num_workers=0)
    assert report.num_images == 20


def test_several_patients_from_a_file_and_one_who_is_not_there(tmp_path, templates, capsys):
    store = shutil.copytree(templates[flat_store], tmp_path / "store")
    listed = tmp_path / "who.txt"
    listed.write_text("MRN-0\n\n  MRN-1 \nMRN-99\n")
    assert main(["forget", str(store), f"patients={listed}"]) == 1
    told = capsys.readouterr().out
    assert "2 of 3 patients were found" in told and "8 images taken out, 16 are left" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{store}"], "who"),
        (["{store}", "patient=a", "patients=b"], "who"),
        (["{store}", "patient="], "no patient"),
        (["{store}", "patients=/nowhere.txt"], "cannot be read"),
        (["{store}", "patient=a", "run=x"], "unknown key run"),
        (["{store}/in", "patient=a"], "not a prepared store"),
        (["patient=a"], "one store"),
        (["{store}", "patient=MRN-1", "runs=/nowhere"], "no such folder"),
    ],
)
def test_mistakes_are_one_message(templates, capsys, arguments, said):
    store = templates[flat_store]
    assert main(["forget", *(a.replace("{store}", str(store)) for a in arguments)]) == 2
    assert said in capsys.readouterr().err


def test_a_store_without_its_private_folder_is_refused(tmp_path, templates):
    store = shutil.copytree(templates[flat_store], tmp_path / "store")
    (store / "private" / "map.json").unlink()
    with pytest.raises(DataError, match="private"):
        forget(store, ["MRN-1"])


def test_a_damaged_record_of_a_run_is_named(tmp_path):
    make_run(tmp_path / "run", set())
    (tmp_path / "run" / "pretraining_keys.json").write_text("{")
    with pytest.raises(CheckpointError, match="pretraining_keys"):
        runs_that_saw(tmp_path, ["a"], "pretraining_keys.json")
