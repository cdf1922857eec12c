"""Odd volumes and clips through the three verbs: pretrain, embed, evaluate."""

import csv
import itertools
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.main import main
from medjepa.data import read
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS

VOLUMES = (
    ((31, 47, 24), (1.0, 1.0, 1.0)),
    ((29, 37, 1), (0.5, 0.5, 5.0)),
    ((34, 25, 7), (0.5, 0.5, 5.0)),
)
"""Voxels and mm of x, y, z: odd sides, a single slice, thick slices."""
TURNS = list(
    itertools.product(itertools.permutations(range(3)), itertools.product((0, 1), repeat=3))
)
WORKERS = "data.num_workers=0"
MODEL = (
    "model.type=vjepa", "model.in_channels=1", "model.embed_dim=24", "model.encoder_depth=1",
    "model.encoder_heads=2", "model.predictor_dim=24", "model.predictor_depth=1",
    "model.predictor_heads=2", "model.projector_dim=16", "model.num_directions=16",
    "training.batch_size=4", "training.max_steps=2", WORKERS, "hardware.device=cpu",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _few_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.shortcut.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))


def stored(values, spacing, turn):
    """A NIfTI image of (x, y, z, ...) values; in the file axes are permuted and turned round."""
    order, flipped = turn
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    origin = -np.asarray(spacing) * (np.asarray(values.shape[:3]) - 1) / 2
    for place, axis in enumerate(order):
        sign = -1.0 if flipped[place] else 1.0
        affine[axis, place] = sign * spacing[axis]
        affine[axis, 3] = sign * origin[axis]
    rest = tuple(range(3, values.ndim))
    array = np.transpose(values, (*order, *rest))
    array = np.flip(array, tuple(place for place in range(3) if flipped[place]))
    image = nibabel.Nifti1Image(np.ascontiguousarray(array), affine)
    if values.ndim == 4:
        image.header["pixdim"][4] = 0.05
    image.header.set_xyzt_units("mm", "sec")
    return image


def write_table(folder, rows):
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "patient"], *rows])
    return folder


def write_volumes(folder, turns):
    """Twelve patients with a bright half, upper or lower by the class where there is one."""
    folder.mkdir()
    rows = []
    for patient, turn in zip(range(12), turns, strict=False):
        shape, spacing = VOLUMES[patient % 3]
        values = np.random.default_rng(patient).normal(100, 10, shape)
        half = slice(None, shape[1] // 2) if patient // 3 % 2 else slice(shape[1] // 2, None)
        values[:, half] += 60
        nibabel.save(stored(values.astype(np.int16), spacing, turn), folder / f"{patient}.nii.gz")
        rows.append([f"{patient}.nii.gz", patient // 3 % 2, patient])
    return write_table(folder, rows)


def write_clips(folder, turns):
    """Twelve patients: stacks of two slices through 3 to 11 moments, or animations of 3 frames."""
    folder.mkdir()
    rows = []
    for patient, turn in zip(range(12), turns, strict=False):
        length = (3, 11, 3)[patient % 3]
        frames = np.random.default_rng(patient).normal(80, 10, (length, 2, 18, 22))
        frames[:, :, patient // 3 % 2 * 9 :][:, :, :9] += 90
        name = f"{patient}.gif" if patient % 3 == 2 else f"{patient}.nii.gz"
        if patient % 3 == 2:
            images = [Image.fromarray(f) for f in frames[:, 0].clip(0, 255).astype(np.uint8)]
            images[0].save(folder / name, save_all=True, append_images=images[1:], duration=50)
        else:
            stack = frames.transpose(3, 2, 1, 0).astype(np.int16)
            nibabel.save(stored(stack, (1.5, 1.5, 8.0), turn), folder / name)
        rows.append([name, patient // 3 % 2, patient])
    return write_table(folder, rows)


def pretrain(data, out, *more):
    assert main(["pretrain", f"data={data}", f"out={out}", *MODEL, *more]) == 0
    return out


def embedded(run, data, out):
    """{file: its row}."""
    assert main(["embed", f"checkpoint={run}", f"data={data}", f"out={out}", WORKERS]) == 0
    features = np.load(out / "embeddings.npz")["embeddings"]
    files = list(csv.DictReader((out / "private" / "files.csv").read_text().splitlines()))
    return {Path(row["file"]).name: one for row, one in zip(files, features, strict=True)}


def evaluated(run, data, *more):
    asked = [
        f"checkpoint={run}",
        f"data={data}",
        "label=label",
        "evaluation.num_bootstrap=50",
        WORKERS,
    ]
    assert main(["evaluate", *asked, *more]) == 0
    return json.loads((run / "report" / "results.json").read_text(encoding="utf-8"))


def images_run(folder, *, blind=False, **changes):
    torch.manual_seed(0)
    settings = {**ENCODERS["vit_test"], "embed_dim": 24, "encoder_depth": 1, **changes}
    model = LeJEPA(**settings, in_channels=1)
    if blind:
        torch.nn.init.zeros_(model.encoder.norm.weight)
    payload = {"model_state_dict": model.state_dict(), "model_config": model.config, "seed": 0}
    save_checkpoint(folder / "checkpoints" / "best_model.pt", payload)
    return folder


@settings(max_examples=30, deadline=None)
@given(
    turn=st.sampled_from(TURNS),
    shape=st.sampled_from([(3, 5, 4), (6, 7, 1), (1, 1, 2), (2, 9, 3)]),
    num_frames=st.sampled_from([0, 3]),
)
def test_permuted_axes_are_the_same_volume(tmp_path_factory, turn, shape, num_frames):
    spacing = (0.5, 0.75, 5.0)
    whole = (*shape, num_frames) if num_frames else shape
    values = np.random.default_rng(0).integers(-900, 900, whole).astype(np.int16)
    path = tmp_path_factory.mktemp("turned") / "a.nii"
    nibabel.save(stored(values, spacing, turn), path)
    image = read(path)
    np.testing.assert_array_equal(image.array[0], values.T)
    assert image.spacing[-3:] == spacing[::-1]


@pytest.mark.parametrize("kind", ["volume", "clip"])
def test_odd_data_go_through_every_verb_however_their_axes_lie(tmp_path, kind):
    write = write_volumes if kind == "volume" else write_clips
    straight = write(tmp_path / "straight", [TURNS[0]] * 12)
    turned = write(tmp_path / "turned", TURNS[1::4])
    size = "[8,16,16]" if kind == "volume" else "[4,16,16]"
    patch = "[4,8,8]" if kind == "volume" else "[2,8,8]"
    run = pretrain(
        straight, tmp_path / "run", f"model.kind={kind}", f"model.image_size={size}",
        f"model.patch_size={patch}",
    )  # fmt: skip
    losses = [json.loads(x)["total_loss"] for x in (run / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite(losses).all()
    rows = embedded(run, straight, tmp_path / "rows")
    assert len(rows) == 12 and np.isfinite(list(rows.values())).all()
    assert len({row.tobytes() for row in rows.values()}) == 12
    again = embedded(run, turned, tmp_path / "again")
    assert rows.keys() == again.keys()
    for name, row in rows.items():
        assert again[name] == pytest.approx(row, abs=1e-5), name
    numbers = evaluated(run, turned)
    found = {row["key"]: row["probe"]["auc"]["value"] for row in numbers["methods"]}
    assert found["pixels"] == 1.0 and np.isfinite(list(found.values())).all()


def test_the_inflated_encoder_is_a_baseline_of_its_own(tmp_path, capsys):
    data = write_volumes(tmp_path / "data", [TURNS[0]] * 12)
    run = pretrain(
        data, tmp_path / "run", "model.kind=volume", "model.image_size=[8,16,16]",
        "model.patch_size=[4,8,8]",
    )  # fmt: skip
    # What sees nothing knows nothing: the row is of the 2-D weights, and of no others.
    images = images_run(tmp_path / "images", blind=True)
    alone = evaluated(run, data, "group=file")
    assert alone["num_test_patients"] == alone["num_test"]  # each file is a patient, if said so
    both = evaluated(run, data, "group=file", f"inflated={images}")
    without, rows = ({row["key"]: row for row in of["methods"]} for of in (alone, both))
    inflated = rows.pop("inflated")
    assert inflated["num_features"] == 24
    assert inflated["probe"]["auc"]["value"] == 0.5 != rows["untrained"]["probe"]["auc"]["value"]
    assert rows == without
    # Its patches are those of slices, and its size must be the 3-D encoder's.
    for changes, word in (({"patch_size": 4}, "patches of"), ({"embed_dim": 32}, "differ in size")):
        wrong = images_run(tmp_path / word, **changes)
        asked = [f"checkpoint={run}", f"data={data}", "label=label", f"inflated={wrong}"]
        assert main(["evaluate", *asked]) == 2
        assert word in capsys.readouterr().err
