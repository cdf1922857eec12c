"""What the three demos differ in: the synthetic data, how they are read, how long is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

DEFAULTS: dict[str, dict[str, Any]] = {
    "image": {},
    "volume": {
        "out": "runs/demo-volume",
        "patients": 160,
        "epochs": 24,
        "minutes": 0.6,
        "model": "vit3d_ti10_40",
    },
    "clip": {
        "out": "runs/demo-clip",
        "patients": 240,
        "epochs": 16,
        "minutes": 0.6,
        "model": "clip_ti16_64",
    },
}
"""Where a demo's settings differ from those of images."""
IMAGES_PER_PATIENT = {"image": 4, "volume": 2, "clip": 2}
WHAT = {
    "image": "synthetic radiographs: PNG and DICOM files",
    "volume": "synthetic volumes of the head: NIfTI files, some of thick slices",
    "clip": "synthetic clips of the heart: DICOM, GIF and APNG files",
}
PREPARE = {
    "image": ("data.target_size=64", "data.modality=xray"),
    "volume": ("data.dimensions=3", "data.spacing=[4,4,4]", "data.modality=mri"),
    "clip": ("data.dimensions=3", "data.target_size=64", "data.modality=ultrasound"),
}
# What configs/laptop.yaml sets: the demo runs where that file is not, too.
SHORT_TRAINING = (
    "training.learning_rate=0.002",
    "training.lambda_reg=0.388",
    "training.warmup_epochs=3",
    "model.num_directions=256",
    "masking.mask_ratio=0.7",
    "data.num_workers=0",
)
# Half a minute is some 150 steps: a high rate, and views that differ less.
FEW_STEPS = (
    "training.batch_size=32",
    "training.learning_rate=0.005",
    "training.warmup_epochs=2",
    "model.num_directions=256",
    "masking.mask_ratio=0.7",
    "views.full_scale=[0.5,1]",
    "views.hidden_scale=[0.5,1]",
    "data.num_workers=0",
)
PRETRAIN = {
    "image": ("model.in_channels=1", *SHORT_TRAINING),
    # Large patches: one sees a layer and its neighbours, or a wall that moves, and a step takes
    # less than half the time.
    "volume": (*FEW_STEPS, "model.patch_size=[20,20,20]", "views.num_hidden_views=1"),
    "clip": (
        *FEW_STEPS,
        "model.patch_size=[4,32,32]",
        "views.num_hidden_views=1",
        "data.frame_step=2",
    ),
}


def version_of(kind: str) -> int:
    """Version of a kind's generator: with another one an earlier demo is not gone on with."""
    from medjepa.data.phantoms import clips, dataset, volumes

    return {"image": dataset.VERSION, "volume": volumes.VERSION, "clip": clips.VERSION}[kind]


def make(
    kind: str, out: Path, *, patients: int, seed: int, progress: Callable[[int], None]
) -> None:
    """Write the synthetic data of a kind."""
    from medjepa.data.phantoms import generate, generate_clips, generate_volumes

    number = IMAGES_PER_PATIENT[kind]
    common: dict[str, Any] = {"num_patients": patients, "seed": seed, "progress": progress}
    if kind == "image":
        generate(out, images_per_patient=number, **common)
    elif kind == "volume":
        generate_volumes(out, volumes_per_patient=number, **common)
    else:
        generate_clips(out, clips_per_patient=number, **common)
