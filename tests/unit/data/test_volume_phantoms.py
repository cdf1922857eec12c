"""Synthetic volumes: deterministic, told apart by their finding alone, on grids that fit."""

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.stats import kstest

from medjepa.data.decode import read
from medjepa.data.phantoms import PhantomReport, generate_volumes, is_synthetic, plan
from medjepa.data.phantoms.head import (
    FIELD_MM,
    STRUCTURES,
    centres,
    draw_head,
    draw_visit,
    scan,
)
from medjepa.data.phantoms.lesions import LESIONS, PERIODS_MM, draw_lesion, paint, phases
from medjepa.data.phantoms.solid import cloud, cube
from medjepa.data.phantoms.volume_files import ORIENTATIONS
from medjepa.data.phantoms.volumes import SPACINGS, orientation_of, volumes_of
from medjepa.data.volumetric import canonical
from medjepa.errors import ConfigError, DataError

SMALL = {"num_patients": 8, "volumes_per_patient": 2}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PhantomReport:
    return generate_volumes(tmp_path_factory.mktemp("volumes") / "made", **SMALL, seed=3)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tree(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_one_seed_gives_the_same_bytes_and_another_seed_other_volumes(made, tmp_path):
    again = generate_volumes(tmp_path / "again", **SMALL, seed=3)
    other = generate_volumes(tmp_path / "other", **SMALL, seed=4)
    assert tree(again.root) == tree(made.root)
    mine, theirs = tree(made.root / "volumes"), tree(other.root / "volumes")
    assert not set(mine.values()) & set(theirs.values())


def test_the_table_lists_every_volume_once_and_keeps_patients_apart(made):
    table = rows(made.labels_csv)
    assert sorted(row["file"] for row in table) == sorted(
        path for path in tree(made.root) if path.startswith("volumes/")
    )
    patients = {s: {r["patient"] for r in table if r["split"] == s} for s in ("train", "test")}
    assert not patients["train"] & patients["test"]
    for split in patients:
        assert {row["label"] for row in table if row["split"] == split} == set(LESIONS)
    assert max(Counter(row["patient"] for row in table).values()) > 1


def test_site_and_orientation_tell_nothing_of_the_class():
    patients = plan(320, 1, seed=0)
    cells = Counter((p.label, p.site.name, orientation_of(p)) for p in patients)
    assert len(cells) == len(LESIONS) * len(SPACINGS) * len(ORIENTATIONS)
    expected = 320 / len(cells)
    # A chi-square of 21 degrees of freedom: above 38.9 with a probability of 1 %.
    assert sum((n - expected) ** 2 / expected for n in cells.values()) < 38.9


def test_a_file_is_read_as_it_was_drawn_whatever_its_orientation_and_spacing(made):
    table = iter(rows(made.labels_csv))
    seen = set()
    for patient in plan(8, 2, seed=3):
        for drawn in volumes_of(patient, seed=3):
            path = made.root / next(table)["file"]
            header = nib.load(path)
            seen.add(("".join(nib.aff2axcodes(header.affine)), drawn.spacing))
            image = canonical(read(path))
            assert image.spacing == drawn.spacing == SPACINGS[patient.site.name]
            np.testing.assert_allclose(image.array[0] / 1000, drawn.values, atol=6e-4)
            extent = np.array(image.array.shape[1:]) * image.spacing
            assert (extent == FIELD_MM).all()
    assert {codes for codes, _ in seen} == set(ORIENTATIONS)
    assert {spacing for _, spacing in seen} == set(SPACINGS.values())


def test_label_maps_lie_on_the_grids_of_their_volumes_and_show_what_they_name(made):
    settings = json.loads((made.root / "phantom.json").read_text(encoding="utf-8"))
    assert settings["structures"] == {str(value): name for value, name in STRUCTURES.items()}
    for row in rows(made.labels_csv):
        volume = nib.load(made.root / row["file"])
        labels = nib.load(made.root / "annotations" / "structures" / Path(row["file"]).name)
        np.testing.assert_array_equal(labels.affine, volume.affine)
        values, mask = volume.get_fdata(), np.asarray(labels.dataobj)
        assert mask.shape == values.shape
        assert set(np.unique(mask)) == {0, *STRUCTURES}
        brain, fluid = np.median(values[mask == 1]), np.median(values[mask == 2])
        assert fluid < 0.6 * brain
        assert 0.2 < (mask == 3).sum() / (mask > 0).sum() < 0.7


@pytest.mark.parametrize("name", LESIONS[1:])
def test_the_class_changes_the_finding_and_nothing_else(name):
    def draw(which):
        rng = np.random.default_rng(7)
        head = draw_head(rng, which)
        visit = draw_visit(rng)
        return head, visit, scan(rng, head, visit, (4.0, 4.0, 4.0))

    head, visit, one = draw(LESIONS[0])
    other = draw(name)[2]
    assert (one.labels == other.labels).all()
    differs = np.abs(one.values - other.values) > 1e-6
    assert differs[one.labels == 3].mean() > 0.8
    z, y, x = (
        (centres(4.0) - moved) / scale
        for moved, scale in zip(visit.shift, visit.scale, strict=True)
    )
    ball = paint(head.lesion, (z, y, x), growth=visit.growth, moved=visit.moved).weight > 0
    assert not (differs & ~ball).any()
    assert ball.mean() < 0.2


def test_no_single_plane_tells_the_class():
    """The picture of a plane follows from its phase alone, which is uniform in each class."""
    heights = np.array([-31.0, 0.0, 4.0, 17.0], np.float32)
    for name in LESIONS:
        found = np.array(
            [
                phases(draw_lesion(np.random.default_rng([seed, 1]), name), heights)
                for seed in range(400)
            ]
        )
        for plane in range(len(heights)):
            assert kstest(found[:, plane], "uniform").pvalue > 0.001, (name, plane)


@pytest.mark.parametrize("name", LESIONS)
def test_a_plane_is_a_function_of_its_phase(name):
    lesion = draw_lesion(np.random.default_rng(4), name)
    axis, height = centres(4.0), np.array([lesion.centre[0] + 12], np.float32)
    plane = (height, axis, axis)
    own = paint(lesion, plane, growth=1.0, moved=(0, 0, 0))
    assert own.change.shape == (1, 1, 1)
    for other in LESIONS:
        phase = float(phases(lesion, np.array([12.0]))[0]) - 12 / PERIODS_MM[other]
        same = replace(lesion, name=other, phase=phase)
        painted = paint(same, plane, growth=1.0, moved=(0, 0, 0))
        np.testing.assert_array_equal(painted.weight, own.weight)
        np.testing.assert_allclose(painted.change, own.change, atol=1e-5)


@pytest.mark.parametrize("name", LESIONS)
def test_planes_together_tell_the_class(name):
    lesion = draw_lesion(np.random.default_rng(5), name)
    heights = np.arange(-36, 36, 0.5, dtype=np.float32)
    middle = np.zeros(1, np.float32)
    painted = paint(
        replace(lesion, centre=(0.0, 0.0, 0.0)),
        (heights, middle, middle), growth=1.0, moved=(0, 0, 0),
    )  # fmt: skip
    crossings = np.count_nonzero(np.diff(np.sign(painted.change.ravel())))
    assert abs(crossings - 2 * 72 / PERIODS_MM[name]) <= 1


def test_volumes_of_one_patient_differ_but_less_than_those_of_two():
    volumes, groups = [], []
    for patient in plan(24, 3, seed=1):
        if patient.site.name == "site-a":
            for drawn in volumes_of(patient, seed=1):
                volumes.append(drawn.values.ravel())
                groups.append(patient.index)
    likeness = np.corrcoef(volumes)
    same = np.array(groups)[:, None] == groups
    np.fill_diagonal(same, False)
    different = np.array(groups)[:, None] != groups
    assert likeness[same].max() < 0.999
    assert likeness[same].mean() > likeness[different].mean() + 0.02


def test_every_folder_says_that_it_is_synthetic(made):
    assert is_synthetic(made.root)
    assert is_synthetic(made.labels_csv)
    header = nib.load(next((made.root / "volumes").iterdir())).header
    assert header["descrip"].item() == b"Synthetic phantom, not a patient"


def test_the_same_data_set_is_reused_and_anything_else_is_refused(made):
    before = made.labels_csv.stat().st_mtime_ns
    assert generate_volumes(made.root, **SMALL, seed=3) == made
    assert made.labels_csv.stat().st_mtime_ns == before
    with pytest.raises(DataError, match="already holds something else"):
        generate_volumes(made.root, **SMALL, seed=4)


@pytest.mark.parametrize(
    ("key", "value"), [("num_patients", 7), ("volumes_per_patient", 0), ("seed", -1)]
)
def test_a_setting_out_of_range_is_named(tmp_path, key, value):
    with pytest.raises(ConfigError, match=f"{key}: need .*{value}"):
        generate_volumes(tmp_path / "out", **{key: value})


def test_a_cloud_is_anchored_to_places_and_smooth():
    values = cube(np.random.default_rng(0))
    fine, coarse = np.arange(0, 16, 0.05, dtype=np.float32), np.arange(0, 16, 2, dtype=np.float32)
    field = cloud(values, coarse, fine, coarse)
    np.testing.assert_allclose(cloud(values, coarse, fine[::40], coarse), field[:, ::40], rtol=1e-5)
    np.testing.assert_allclose(cloud(values, coarse + 16, fine, coarse), field, atol=1e-4)
    assert np.abs(np.diff(field, axis=1)).max() < 0.8
    assert 0.6 < cloud(values, fine[::7], fine[::7], fine[::7]).std() < 1.5
