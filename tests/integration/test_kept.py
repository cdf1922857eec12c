"""What was computed before is not computed again; what has changed is."""

import json
import os
import shutil

import numpy as np
import pytest
import torch

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.main import main
from medjepa.data.cache import ensure_store
from medjepa.data.phantoms import generate
from medjepa.data.store import Store
from medjepa.evaluation import probes
from medjepa.evaluation.kept import Kept, digest_of_items
from medjepa.evaluation.run import evaluate
from medjepa.models.image_model import ImageModel
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS


@pytest.fixture(autouse=True)
def _few_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms") / "images"
    generate(folder, num_patients=60, images_per_patient=1, size=32)
    return folder


@pytest.fixture
def work(monkeypatch):
    """Count images that are read, batches that are encoded and probes that are fitted."""
    counts = {"read": 0, "encoded": 0, "fitted": 0}

    def watch(owner, name, key, num=lambda *_: 1):
        original = getattr(owner, name)

        def watched(self, *arguments, **named):
            counts[key] += num(*arguments)
            return original(self, *arguments, **named)

        monkeypatch.setattr(owner, name, watched)

    watch(Store, "gather", "read", lambda indices, *_: len(indices))
    watch(ImageModel, "standardise", "encoded")
    watch(probes.LogisticProbe, "fit", "fitted")

    def done():
        found = dict(counts)
        counts.update(dict.fromkeys(counts, 0))
        return found

    return done


def write_run(folder, *, seed=0):
    """A run that was not trained."""
    torch.manual_seed(seed)
    model = LeJEPA(**ENCODERS["vit_test"], in_channels=1, seed=seed)
    payload = {
        "model_state_dict": model.state_dict(),
        "model_config": model.config,
        "pipeline": {"size": (32, 32), "channels": 1, "fit": "stretch"},
        "seed": seed,
        "step": 4,
        "config": {"seed": seed},
    }
    save_checkpoint(folder / "checkpoints" / "last.pt", payload)
    return folder


def select(runs, images, out, *more):
    listed = ",".join(map(str, runs))
    arguments = [f"runs=[{listed}]", f"data={images}", f"out={out}", "num_views=3"]
    arguments += ["evaluation.num_bootstrap=40", "hardware.device=cpu", "data.num_workers=0"]
    return main(["select", *arguments, *more])


def numbers_of(out):
    found = json.loads((out / "select.json").read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key not in ("run", "checks")}


def test_select_with_one_more_checkpoint_does_its_work_alone(images, tmp_path, work):
    runs = [write_run(tmp_path / f"r{seed}", seed=seed) for seed in range(3)]
    assert select(runs[:2], images, tmp_path / "two", "label=label") == 0
    first = work()
    assert first["read"] and first["encoded"] and first["fitted"] == 2 + 3  # 3 baselines
    assert select(runs[:2], images, tmp_path / "again", "label=label") == 0
    assert work() == {"read": 0, "encoded": 0, "fitted": 0}
    assert numbers_of(tmp_path / "again") == numbers_of(tmp_path / "two")

    assert select(runs, images, tmp_path / "three", "label=label") == 0
    added = work()
    assert added["fitted"] == 1
    three = numbers_of(tmp_path / "three")
    assert three["rows"][:2] == numbers_of(tmp_path / "two")["rows"]
    shutil.rmtree(tmp_path / "cache" / "kept")
    assert select(runs, images, tmp_path / "afresh", "label=label") == 0
    whole = work()
    assert added["encoded"] < whole["encoded"] / 3 and added["read"] < whole["read"] / 2
    assert numbers_of(tmp_path / "afresh") == three


def test_a_changed_checkpoint_is_scored_anew(images, tmp_path, work):
    runs = [write_run(tmp_path / f"r{seed}", seed=seed) for seed in range(2)]
    assert select(runs, images, tmp_path / "before", "label=label") == 0
    work()
    file = runs[1] / "checkpoints" / "last.pt"
    payload = torch.load(file, weights_only=True)
    name = next(key for key in payload["model_state_dict"] if key.endswith("projection.weight"))
    payload["model_state_dict"][name] += 0.1
    torch.save(payload, file)
    assert select(runs, images, tmp_path / "after", "label=label") == 0
    done = work()
    assert done["read"] and done["encoded"] and done["fitted"] == 1
    before, after = numbers_of(tmp_path / "before"), numbers_of(tmp_path / "after")
    assert before["rows"][0] == after["rows"][0] and before["rows"][1] != after["rows"][1]


@pytest.mark.parametrize("change", ["seed=1", "num_views=4", "images=30"])
def test_other_settings_are_other_scores(change, images, tmp_path, work):
    runs = [write_run(tmp_path / f"r{seed}", seed=seed) for seed in range(2)]
    assert select(runs, images, tmp_path / "before", "data.use_all=true") == 0
    work()
    assert select(runs, images, tmp_path / "after", "data.use_all=true", change) == 0
    assert work()["encoded"]


def test_evaluate_reads_no_image_twice_and_a_changed_image_again(
    images, tmp_path, work, monkeypatch
):
    folder = shutil.copytree(images, tmp_path / "images")
    run = write_run(tmp_path / "run")
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1.0,))

    def methods():
        given = {"split": "auto", "shortcuts": (), "fractions": (), "num_resamples": 20}
        report = evaluate(run, folder, "label", device="cpu", num_workers=0, **given)
        return report.methods

    first = methods()
    assert work()["read"]
    assert methods() == first
    again = work()
    assert again["read"] == again["encoded"] == 0
    names = sorted((folder / "images").glob("*.png"))
    names[0].write_bytes(names[-1].read_bytes())
    assert methods() != first
    assert work()["read"]


def test_a_shard_that_was_written_again_is_another_image(images, tmp_path):
    stores = ensure_store(images, size=32, cache_dir=tmp_path, num_workers=0)
    before = digest_of_items(stores, [0, 1])
    assert digest_of_items(stores, [0, 1]) == before
    assert digest_of_items(stores, [1, 0]) != before != digest_of_items(stores, [0, 2])
    shard = stores[0].path / stores[0].shards[stores[0].items[0].shard].name
    os.utime(shard, ns=(0, 0))
    assert digest_of_items(stores, [0, 1]) != before


def test_forgetting_a_patient_deletes_what_is_kept(images, tmp_path, capsys):
    store = tmp_path / "store"
    assert main(["prepare", f"data={images}", f"out={store}", "data.num_workers=0"]) == 0
    kept = Kept(None)
    kept.put({"a": 1}, {"rows": np.ones(3)})
    assert list(kept.folder.glob("*.npz"))
    main(["forget", str(store), "patient=nobody"])
    assert not kept.folder.exists()


def test_a_cache_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    kept = Kept(tmp_path / "file")
    found = kept.rows({"a": {"b": 1}}, lambda missing: {name: np.arange(2) for name in missing})
    assert found["a"].tolist() == [0, 1]
    assert "computed anew" in kept.trouble
