"""Synthetic clips: deterministic, told apart by motion and by no single frame."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy.stats import kstest

from medjepa.data.decode import read
from medjepa.data.phantoms import PhantomReport, generate_clips, is_synthetic, plan
from medjepa.data.phantoms.beat import MOTIONS, Beat, contraction, draw_beat, phases
from medjepa.data.phantoms.clips import FRAME_SECONDS, clips_of, ending_of
from medjepa.data.phantoms.heart import draw_heart, draw_look, film
from medjepa.errors import ConfigError, DataError

SMALL = {"num_patients": 8, "clips_per_patient": 2, "num_frames": 16, "size": 32}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PhantomReport:
    return generate_clips(tmp_path_factory.mktemp("clips") / "made", **SMALL, seed=3)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tree(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_one_seed_gives_the_same_bytes_and_another_seed_other_clips(made, tmp_path):
    again = generate_clips(tmp_path / "again", **SMALL, seed=3)
    other = generate_clips(tmp_path / "other", **SMALL, seed=4)
    assert tree(again.root) == tree(made.root)
    mine, theirs = tree(made.root / "clips"), tree(other.root / "clips")
    assert not set(mine.values()) & set(theirs.values())


def test_the_table_lists_every_clip_once_and_keeps_patients_apart(made):
    table = rows(made.labels_csv)
    assert sorted(row["file"] for row in table) == sorted(
        path for path in tree(made.root) if path.startswith("clips/")
    )
    assert {Path(row["file"]).suffix for row in table} == {".dcm", ".gif", ".png"}
    patients = {s: {r["patient"] for r in table if r["split"] == s} for s in ("train", "test")}
    assert not patients["train"] & patients["test"]
    for split in patients:
        assert {row["label"] for row in table if row["split"] == split} == set(MOTIONS)
    assert max(Counter(row["patient"] for row in table).values()) > 1


def test_site_and_format_tell_nothing_of_the_class():
    patients = plan(320, 1, seed=0)
    cells = Counter((p.label, p.site.name, ending_of(p) == "dcm") for p in patients)
    assert len(cells) == len(MOTIONS) * 4
    expected = 320 / len(cells)
    # A chi-square of 9 degrees of freedom: above 21.7 with a probability of 1 %.
    assert sum((n - expected) ** 2 / expected for n in cells.values()) < 21.7


def test_every_format_is_read_as_it_was_drawn(made):
    table = iter(rows(made.labels_csv))
    for patient in plan(8, 2, seed=3):
        for frames in clips_of(patient, num_frames=16, size=32, seed=3):
            image = read(made.root / next(table)["file"])
            assert image.axes == "tyx"
            assert image.spacing[0] == pytest.approx(FRAME_SECONDS)
            np.testing.assert_allclose(image.array[0] / 255, frames, atol=0.51 / 255)
            assert frames.std() > 0.05


def test_no_single_frame_tells_the_class():
    """The picture follows from the phases alone, and a frame's phases are uniform in each class."""
    times = np.array([0.0, 0.5, 1.3], np.float32)
    for name in MOTIONS:
        drawn = []
        for seed in range(400):
            rng = np.random.default_rng([seed, 1])
            drawn.append(phases(rng, draw_beat(rng, name, 0.7), times))
        found = np.array(drawn)  # (draws, 2, frames)
        for half in range(2):
            for frame in range(3):
                assert kstest(found[:, half, frame], "uniform").pvalue > 0.001, (name, half, frame)
        # Nor do both halves together: they are independent.
        assert abs(np.corrcoef(found[:, 0, 1], found[:, 1, 1])[0, 1]) < 0.17


def test_a_frame_is_a_function_of_its_phases():
    rng = np.random.default_rng(0)
    heart, look = draw_heart(rng), draw_look(rng)
    beating = draw_beat(rng, "none", 0.7)
    at = phases(np.random.default_rng(5), beating, np.array([0.0, FRAME_SECONDS], np.float32))
    still = Beat(
        moves=(False, False),
        start=(float(at[0, 1]), float(at[1, 1])),
        period_seconds=0.7,
        unsteady=0.0,
    )
    shown = [
        film(
            np.random.default_rng(5), heart, look, beat,
            num_frames=2, size=32, frame_seconds=FRAME_SECONDS,
        )[1]
        for beat in (beating, still)
    ]  # fmt: skip
    np.testing.assert_allclose(shown[0], shown[1], atol=1e-5)


@pytest.mark.parametrize("name", MOTIONS)
def test_the_half_that_is_named_stands_still(name):
    moved = np.zeros(2)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        found = contraction(phases(rng, draw_beat(rng, name, 0.7), np.arange(24) * 0.06))
        moved += found.std(1)
    stands = {"none": (), "apical": (0,), "basal": (1,), "global": (0, 1)}[name]
    assert [half for half in (0, 1) if moved[half] < 1e-6] == list(stands)


def test_a_half_that_moves_is_seen_to_move():
    rng = np.random.default_rng(2)
    heart, look = draw_heart(rng), draw_look(rng)
    change = {}
    for name in MOTIONS:
        own = np.random.default_rng(3)
        frames = film(
            own, heart, look, draw_beat(own, name, 0.6), num_frames=24, size=64, frame_seconds=0.06
        )
        slow = frames.reshape(6, 4, 64, 64).mean(1).std(0)  # speckle averaged away
        change[name] = (slow[18:28, 16:48].mean(), slow[36:50, 16:48].mean())
    upper, lower = {n: c[0] for n, c in change.items()}, {n: c[1] for n, c in change.items()}
    assert min(upper["none"], upper["basal"]) > 1.3 * max(upper["apical"], upper["global"])
    assert min(lower["none"], lower["apical"]) > 1.3 * max(lower["basal"], lower["global"])


def test_every_file_says_that_it_is_synthetic(made):
    headers = [pydicom.dcmread(path) for path in sorted(made.root.rglob("*.dcm"))]
    assert headers
    for header in headers:
        assert str(header.PatientName).startswith("SYNTHETIC^")
        assert header.PatientIdentityRemoved == "YES"
        assert header.Modality == "US"
        assert header.BurnedInAnnotation == "NO"
    assert len({header.SOPInstanceUID for header in headers}) == len(headers)
    assert is_synthetic(made.root)


def test_the_same_data_set_is_reused_and_anything_else_is_refused(made):
    assert generate_clips(made.root, **SMALL, seed=3) == made
    with pytest.raises(DataError, match="already holds something else"):
        generate_clips(made.root, **SMALL, seed=4)


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_patients", 7), ("clips_per_patient", 0), ("seed", -1), ("num_frames", 1), ("size", 15)],
)
def test_a_setting_out_of_range_is_named(tmp_path, key, value):
    with pytest.raises(ConfigError, match=f"{key}: need .*{value}"):
        generate_clips(tmp_path / "out", **{key: value})
