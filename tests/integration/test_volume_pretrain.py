"""Pre-training on volumes and clips: a folder prepares itself, folds are kept, exact to the bit."""

import json
import os
import signal

import nibabel
import numpy as np
import pytest
import torch
from image_files import write_nifti
from scipy import ndimage

from medjepa.cli.pretrain import read_config
from medjepa.config import load_config
from medjepa.data.sampling import BatchPlan
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.errors import ConfigError, DataError
from medjepa.training import pretrain
from medjepa.training.feed import Feed
from medjepa.training.volume_sources import open_volume_sources


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """12 volumes of odd shapes with label maps, in 3 folds, and one cine stack of 3 slices."""
    root = tmp_path_factory.mktemp("folder")
    rows = ["file,fold"]
    for number in range(12):
        rng = np.random.default_rng(number)
        shape = tuple(int(n) for n in rng.integers(9, 22, 3))
        values = ndimage.gaussian_filter(rng.normal(size=shape), 2) * 5000
        write_nifti(root / "images" / f"v{number}.nii.gz", values.astype(np.int16), np.eye(4))
        labels = (values > 0).astype(np.uint8)
        write_nifti(root / "labels" / f"v{number}.nii.gz", labels, np.eye(4))
        rows.append(f"v{number}.nii.gz,{number % 3}")
    cine = ndimage.gaussian_filter(rng.normal(size=(24, 20, 3, 30)), (2, 2, 0, 2)) * 9000
    image = nibabel.Nifti1Image(cine.astype(np.int16), np.eye(4))
    image.header["pixdim"][4] = 0.05
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, root / "images" / "cine.nii.gz")
    (root / "folds.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def arguments(folder, tmp_path_factory):
    """Key=value arguments of a run of 6 steps."""

    def make(out, *more):
        return [
            f"data={folder}", f"out={out}", "model.type=vjepa", "model.image_size=[16,16,8]",
            "model.patch_size=[8,8,4]", "model.in_channels=1", "model.embed_dim=24",
            "model.encoder_depth=1", "model.encoder_heads=2", "model.predictor_dim=24",
            "model.predictor_depth=1", "model.predictor_heads=2", "model.projector_dim=16",
            "model.num_directions=16", "training.batch_size=4", "training.max_steps=6",
            "data.split_column=fold", "data.held_out=[1]", "data.num_workers=0",
            f"data.cache_dir={tmp_path_factory.getbasetemp() / 'volume-cache'}",
            "logging.log_every=1", "hardware.device=cpu", *more,
        ]  # fmt: skip

    return make


def weights(out):
    return torch.load(out / "checkpoints" / "last.pt", weights_only=True)["model_state_dict"]


def test_workers_and_an_interruption_change_nothing(arguments, tmp_path):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    pretrain(read_config(arguments(straight)))

    def press_control_c(info):
        if info.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pretrain(read_config(arguments(broken, "data.num_workers=2")), hooks=[press_control_c])
    pretrain(read_config([f"out={broken}", "resume=true"]))
    first, second = weights(straight), weights(broken)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    losses = [
        [
            json.loads(line)["total_loss"]
            for line in (out / "metrics.jsonl").read_text().splitlines()
        ]
        for out in (straight, broken)
    ]
    assert losses[0] == losses[1]
    assert len(set(losses[0])) == 6
    # Eight volumes of two folds; the label maps were never images.
    assert len(json.loads((straight / "pretraining_keys.json").read_text())) == 8
    payload = torch.load(straight / "checkpoints" / "last.pt", weights_only=True)
    pipeline = VolumePipeline.from_dict(payload["pipeline"])
    assert (pipeline.crop, pipeline.channels, pipeline.kind) == ((16, 16, 8), 1, "volume")


def test_folds_decide_who_is_trained_on(arguments, folder):
    for held_out, num_train in (("[0]", 8), ("[0,2]", 4), ("[]", 12)):
        options = [a for a in arguments("x") if not a.startswith(("data.held", "data.split"))]
        if held_out != "[]":
            options += ["data.split_column=fold", f"data.held_out={held_out}"]
        sources = open_volume_sources(load_config(None, options))
        assert len(sources.train) == num_train == len(set(sources.used_keys))
        assert sources.val is None
        plan = BatchPlan(num_train, num_train, seed=0)
        feed = Feed(sources.train, plan, num_workers=0, pin=False)
        drawn = sources.train.__getitems__([(index, 3) for index in plan.batch(3)]).batch
        assert torch.equal(feed.batch(3, 5).images, drawn.images)
        assert not torch.equal(drawn.images, sources.train.__getitems__(plan.batch(3)).batch.images)
    with_val = load_config(None, [*arguments("x"), "data.val_fraction=0.25"])
    sources = open_volume_sources(with_val)
    assert (len(sources.train), len(sources.val)) == (6, 2)
    assert not set(sources.train.indices) & set(sources.val.indices)
    with pytest.raises(DataError, match=r"data\.held_out: no row has '7' in column 'fold'"):
        open_volume_sources(load_config(None, [*arguments("x"), "data.held_out=[7]"]))
    with pytest.raises(ConfigError, match=r"data\.split_column"):
        load_config(None, ["data.held_out=[7]"])


def test_clips_at_the_working_size_and_time_step(arguments):
    options = [a for a in arguments("x") if not a.startswith(("data.held", "data.split"))]
    config = load_config(
        None,
        [*options, "model.kind=clip", "model.image_size=[8,16,16]", "model.patch_size=[2,8,8]",
         "data.frame_seconds=0.1"],
    )  # fmt: skip
    sources = open_volume_sources(config)
    # One stack of three slices of one patient; frames at target_size, which follows the model's.
    assert (len(sources.train), len(sources.used_keys)) == (3, 1)
    assert [item.shape for item in sources.train.items] == [(30, 16, 16)] * 3
    batch = sources.train.__getitems__([(0, 5), (2, 5)]).batch
    assert batch.images.shape == (2, 1, 8, 16, 16)
    assert batch.spacing[0].tolist() == pytest.approx([0.1, 20 / 16, 24 / 16])
    assert sources.pipeline["frame_size"] == (16, 16)
