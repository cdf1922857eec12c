"""The built-in synthetic data: deterministic, balanced, local signs, and plainly not a patient."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from medjepa.data.decode import read
from medjepa.data.phantoms import (
    CLASSES,
    SITES,
    PhantomReport,
    generate,
    is_synthetic,
    phantom_batch,
    plan,
)
from medjepa.data.phantoms.anatomy import draw_anatomy
from medjepa.data.phantoms.body import Frame, frame
from medjepa.data.phantoms.findings import Sign, draw_finding, draw_place, sign
from medjepa.data.phantoms.texture import area_reduce, edge, lattice, noise
from medjepa.errors import ConfigError, DataError

SMALL = {"num_patients": 8, "images_per_patient": 2, "size": 32}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PhantomReport:
    return generate(tmp_path_factory.mktemp("phantoms") / "made", **SMALL, seed=3)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tree(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def drawn(name: str, seed: int) -> tuple[Frame, Sign]:
    rng = np.random.default_rng(seed)
    anatomy = draw_anatomy(rng)
    finding = draw_finding(rng, name, draw_place(rng), anatomy, breath=0.0)
    centres = (np.arange(192, dtype=np.float32) + 0.5) / 96 - 1
    y, x = np.meshgrid(centres, centres, indexing="ij")
    at = frame(anatomy, x, y, breath=0.0, turn=0.0)
    return at, sign(finding, at)


def test_one_seed_gives_the_same_bytes_and_another_seed_other_images(made, tmp_path):
    again = generate(tmp_path / "again", **SMALL, seed=3)
    other = generate(tmp_path / "other", **SMALL, seed=4)
    assert tree(again.root) == tree(made.root)
    mine, theirs = tree(made.root / "images"), tree(other.root / "images")
    assert not set(mine.values()) & set(theirs.values())


def test_the_table_lists_every_image_once_and_nothing_else(made):
    listed = [row["file"] for row in rows(made.labels_csv)]
    images = [path for path in tree(made.root) if path.startswith("images/")]
    assert sorted(listed) == sorted(images)
    assert len(listed) == made.num_images == 16
    assert {Path(file).suffix for file in listed} == {".png", ".dcm"}


def test_no_patient_is_in_two_splits_and_each_split_holds_every_class(made):
    table = rows(made.labels_csv)
    patients = {s: {r["patient"] for r in table if r["split"] == s} for s in ("train", "test")}
    assert not patients["train"] & patients["test"]
    for split in patients:
        assert {row["label"] for row in table if row["split"] == split} == set(CLASSES)


def test_a_cohort_is_exact_in_size_and_balanced_in_class_site_and_split():
    patients = plan(400, 4, seed=0)
    counts = [patient.num_images for patient in patients]
    assert sum(counts) == 1600
    assert min(counts) >= 1
    assert len(set(counts)) > 4
    cells = Counter((p.label, p.site.name, p.split) for p in patients)
    assert set(cells.values()) == {15, 35}
    assert all(number == (15 if key[2] == "test" else 35) for key, number in cells.items())
    # The order of the patients tells nothing about their class.
    assert len({tuple(p.label for p in patients[i : i + 4]) for i in range(0, 400, 4)}) > 10


def test_every_format_shows_the_same_picture(tmp_path):
    png = generate(tmp_path / "png", **SMALL, format="png")
    dicom = generate(tmp_path / "dicom", **SMALL, format="dicom")
    kinds = set()
    for first, second in zip(rows(png.labels_csv), rows(dicom.labels_csv), strict=True):
        header = pydicom.dcmread(dicom.root / second["file"])
        kinds.add((second["site"], header.PhotometricInterpretation))
        as_png = read(png.root / first["file"]).array[0] / 65535
        as_dicom = read(dicom.root / second["file"]).array[0] / (2**header.BitsStored - 1)
        assert np.abs(as_png - as_dicom).max() < 1 / 2**12
        assert as_png.std() > 0.05
    assert kinds == {("site-a", "MONOCHROME2"), ("site-b", "MONOCHROME1")}


def test_every_file_says_that_it_is_synthetic(made):
    headers = [pydicom.dcmread(path) for path in sorted(made.root.rglob("*.dcm"))]
    assert headers
    for header in headers:
        assert str(header.PatientName).startswith("SYNTHETIC^")
        assert header.PatientIdentityRemoved == "YES"
        assert header.Modality == "DX"
        assert header.SOPInstanceUID.is_valid
        assert header.SOPInstanceUID.startswith("2.25.")
    assert len({header.SOPInstanceUID for header in headers}) == len(headers)
    listed = {r["patient"] for r in rows(made.labels_csv) if r["file"].endswith(".dcm")}
    assert {header.PatientID for header in headers} == listed
    assert json.loads((made.root / "phantom.json").read_text())["synthetic"] is True
    assert is_synthetic(made.root)
    assert is_synthetic(made.labels_csv)
    assert not is_synthetic(made.root.parent)


def test_boxes_are_the_tight_frames_of_the_masks(made):
    boxes = rows(made.root / "annotations" / "boxes.csv")
    assert len(boxes) >= 0.9 * made.num_images
    for box in boxes:
        mask = np.asarray(
            Image.open(made.root / "annotations/masks" / f"{Path(box['file']).stem}.png")
        )
        left, top, right, bottom = (int(box[k]) for k in ("x_min", "y_min", "x_max", "y_max"))
        assert set(np.unique(mask)) == {0, 255}
        inside = mask[top:bottom, left:right]
        assert inside.sum() == mask.sum()
        assert inside.any(0)[[0, -1]].all()
        assert inside.any(1)[[0, -1]].all()


@pytest.mark.parametrize("name", CLASSES)
def test_a_sign_is_local_lies_in_the_chest_and_is_larger_than_a_patch(name):
    areas = []
    for seed in range(12):
        at, seen = drawn(name, seed)
        areas.append(seen.mask.mean())
        assert at.wall[seen.mask].min() > -0.03
        outside = np.abs(seen.attenuation[~seen.mask])
        assert outside.sum() < 0.5 * np.abs(seen.attenuation).sum()
        assert (outside > 1e-4).mean() < 0.15
    # A patch of 8 of 64 pixels is 1.6 % of the image; no finding fills a whole lung (some 17 %).
    assert 0.01 < np.median(areas) < 0.10


def test_a_net_is_told_by_its_texture_and_not_by_its_brightness():
    mean, spread = [], []
    for seed in range(12):
        _, seen = drawn("interstitial", seed)
        mean.append(seen.attenuation[seen.mask].mean())
        spread.append(seen.attenuation[seen.mask].std())
    assert abs(np.mean(mean)) < 0.4 * np.mean(spread)


def test_a_pneumothorax_hides_the_lung_markings_and_darkens():
    for seed in range(6):
        _, seen = drawn("pneumothorax", seed)
        assert seen.hidden[seen.mask].mean() > 0.8
        assert np.median(seen.attenuation[seen.mask]) < -0.03


def test_a_batch_is_deterministic_and_in_range():
    first, again = phantom_batch(10, 32, 5), phantom_batch(10, 32, 5)
    for mine, same in zip(first, again, strict=True):
        assert (mine == same).all()
    assert first.images.shape == first.masks.shape == (10, 32, 32)
    assert first.images.dtype == np.float32
    assert 0 <= first.images.min() < 0.2 < 0.8 < first.images.max() <= 1
    assert set(phantom_batch(16, 16, 0).labels) == set(range(len(CLASSES)))
    for patient in np.unique(first.groups):
        assert len(set(first.labels[first.groups == patient])) == 1


def test_images_of_one_patient_differ_but_less_than_those_of_two():
    batch = phantom_batch(60, 32, 1)
    x = batch.images.reshape(60, -1)
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    likeness = x @ x.T / x.shape[1]
    same = batch.groups[:, None] == batch.groups
    np.fill_diagonal(same, False)
    assert likeness[same].max() < 0.999
    site = np.array([patient.site.name for patient in plan(15, 4, 1)])[batch.groups]
    other = (batch.groups[:, None] != batch.groups) & (site[:, None] == site)
    assert likeness[same].mean() > likeness[other].mean() + 0.03


def test_a_larger_picture_shows_the_same_patient():
    small, large = phantom_batch(8, 32, 2), phantom_batch(8, 128, 2)
    assert (small.labels == large.labels).all()
    for little, big in zip(small.images, large.images, strict=True):
        assert np.corrcoef(little.ravel(), area_reduce(big, 4).ravel())[0, 1] > 0.98


def test_the_sites_have_their_own_grey_scale():
    images = {site.name: [] for site in SITES}
    batch, patients = phantom_batch(96, 32, 0), plan(24, 4, 0)
    for image, group in zip(batch.images, batch.groups, strict=True):
        images[patients[group].site.name].append(np.median(image))
    assert abs(np.mean(images["site-a"]) - np.mean(images["site-b"])) > 0.02


def test_the_same_data_set_is_reused_and_anything_else_is_refused(made, tmp_path):
    before = made.labels_csv.stat().st_mtime_ns
    assert generate(made.root, **SMALL, seed=3) == made
    assert made.labels_csv.stat().st_mtime_ns == before
    with pytest.raises(DataError, match="already holds something else"):
        generate(made.root, **SMALL, seed=4)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(DataError, match="already holds something else"):
        generate(tmp_path, **SMALL)
    assert (tmp_path / "note.txt").read_text() == "mine"


def test_an_interrupted_run_leaves_nothing_that_looks_complete(made, tmp_path):
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        generate(out, **SMALL, seed=3, progress=stop)
    assert not out.exists()
    written: list[int] = []
    assert tree(generate(out, **SMALL, seed=3, progress=written.append).root) == tree(made.root)
    assert sum(written) == made.num_images
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_patients", 7),
        ("images_per_patient", 0),
        ("size", 15),
        ("seed", -1),
        ("format", "jpeg"),
    ],
)
def test_a_setting_out_of_range_is_named(tmp_path, key, value):
    with pytest.raises(ConfigError, match=f"{key}: need .*{value}"):
        generate(tmp_path / "out", **{key: value})
    assert not (tmp_path / "out").exists()


def test_noise_is_periodic_smooth_and_of_about_unit_variance():
    values = lattice(np.random.default_rng(0), 32)
    x = np.linspace(3, 99, 9600, dtype=np.float32)
    y = np.linspace(0, 21, 9600, dtype=np.float32)
    here = noise(values, x, y)
    np.testing.assert_allclose(noise(values, x + 32, y - 64), here, atol=1e-3)
    assert np.abs(np.diff(here)).max() < 0.15
    assert 0.6 < here.std() < 1.4


def test_an_edge_is_half_on_the_border_and_flat_beyond_its_width():
    value = edge(np.array([-1.0, -0.2, 0.0, 0.2, 1.0], np.float32), 0.1)
    np.testing.assert_allclose(value, [0, 0, 0.5, 1, 1], atol=1e-6)
