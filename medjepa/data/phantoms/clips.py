"""Synthetic clips of the beating heart as a folder of DICOM, GIF and APNG files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from medjepa.data.phantoms.beat import MOTIONS, draw_beat
from medjepa.data.phantoms.clip_files import write_animation, write_cine
from medjepa.data.phantoms.cohort import Patient, plan
from medjepa.data.phantoms.folder import (
    LABEL_COLUMNS,
    PhantomReport,
    check_cohort,
    describe,
    write_once,
    write_table,
)
from medjepa.data.phantoms.heart import draw_heart, draw_look, film
from medjepa.data.phantoms.texture import FloatArray
from medjepa.errors import ConfigError

SENTENCE = "Synthetic clips made by MedJEPA's phantom generator: no patient, no diagnosis."
VERSION = 1  # of the clips; raise it when a seed would give other pixels
ENDINGS = ("dcm", "gif", "dcm", "png")
FRAME_SECONDS = 0.06


def generate_clips(
    out: Path,
    *,
    num_patients: int = 240,
    clips_per_patient: int = 2,
    num_frames: int = 24,
    size: int = 64,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> PhantomReport:
    """Write synthetic clips into the new folder `out`; the same arguments, the same bytes.

    The folder holds `clips/` (cine DICOM for half of the patients, GIF and APNG for a quarter
    each), `labels.csv` (file, label, patient, site, split), and `phantom.json`, which says that
    all of it is synthetic.

    Args:
        out: must not exist, be empty, or hold the data set of the same arguments.
        num_patients: at least 8, so that training and test split hold every class.
        clips_per_patient: on average; the total is exact.
        num_frames: of each clip, 0.06 s apart.
        size: height and width of a frame in pixels.
        seed: decides everything else.
        progress: called with the number of clips written since the last call.

    Raises:
        ConfigError: an argument is out of its range.
        DataError: `out` holds something else.
    """
    check_cohort(num_patients, ("clips_per_patient", clips_per_patient), seed)
    if num_frames < 2:
        raise ConfigError(f"num_frames: need at least 2, got {num_frames}")
    if not 16 <= size <= 1024:
        raise ConfigError(f"size: need 16 to 1024 pixels, got {size}")
    settings = {
        "synthetic": True, "sentence": SENTENCE,
        "generator": "medjepa.data.phantoms.clips", "version": VERSION, "classes": list(MOTIONS),
        "num_patients": num_patients, "clips_per_patient": clips_per_patient,
        "num_frames": num_frames, "size": size, "seed": seed,
    }  # fmt: skip
    patients = plan(num_patients, clips_per_patient, seed)
    out = Path(out)

    def write(root: Path) -> None:
        (root / "clips").mkdir()
        rows = []
        for patient in patients:
            clips = clips_of(patient, num_frames=num_frames, size=size, seed=seed)
            for number, frames in enumerate(clips, start=1):
                file = f"clips/{patient.name.lower()}-{number}.{ending_of(patient)}"
                _write_clip(root / file, frames, patient, key=f"clip/{seed}/{size}/{file}")
                label = MOTIONS[patient.label]
                rows.append((file, label, patient.name, patient.site.name, patient.split))
            if progress is not None:
                progress(patient.num_images)
        write_table(root / "labels.csv", LABEL_COLUMNS, rows)

    write_once(out, settings, write)
    return describe(out, patients, MOTIONS)


def clips_of(patient: Patient, *, num_frames: int, size: int, seed: int) -> Iterator[FloatArray]:
    """Draw a patient's clips (T, H, W); a pure function of the seed and the patient's number."""
    heart = draw_heart(np.random.default_rng([seed, 5, patient.index]))
    for number in range(patient.num_images):
        own = np.random.default_rng([seed, 6, patient.index, number])
        look = draw_look(own)
        beat = draw_beat(own, MOTIONS[patient.label], heart.period_seconds)
        yield film(
            own, heart, look, beat, num_frames=num_frames, size=size, frame_seconds=FRAME_SECONDS
        )


def ending_of(patient: Patient) -> str:
    """The format of a patient's files; neither class nor site tells it."""
    return ENDINGS[(patient.index + patient.index // 4 + patient.index // 8) % len(ENDINGS)]


def _write_clip(path: Path, frames: FloatArray, patient: Patient, *, key: str) -> None:
    if path.suffix == ".dcm":
        write_cine(path, frames, FRAME_SECONDS, site=patient.site, patient=patient.name, key=key)
    else:
        write_animation(path, frames, FRAME_SECONDS)
