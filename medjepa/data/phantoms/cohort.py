"""Who is in a synthetic data set: every patient's finding, site, split and number of images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medjepa.data.phantoms.anatomy import draw_anatomy
from medjepa.data.phantoms.findings import CLASSES, draw_place
from medjepa.data.phantoms.render import SITES, Phantom, Site, render
from medjepa.data.phantoms.texture import FloatArray

# Of ten consecutive fours of patients (one of each class) these are test: 30 %, and both splits
# hold every class from eight patients on.
_TEST_FOURS = (1, 4, 7)


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One synthetic patient as planned: `index` counts from 0, `label` indexes `CLASSES`."""

    index: int
    label: int
    site: Site
    split: str
    num_images: int

    @property
    def name(self) -> str:
        """The fake identity that files and tables carry."""
        return f"SYNTHETIC-{self.index + 1:05d}"


class PhantomBatch(NamedTuple):
    """Phantoms in memory.

    Attributes:
        images: (N, size, size) float32 in [0, 1], as displayed.
        labels: (N,) indices into `CLASSES`.
        groups: (N,) the patient's number.
        masks: (N, size, size) bool, True where the finding is.
    """

    images: FloatArray
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    masks: NDArray[np.bool_]


def plan(num_patients: int, images_per_patient: int, seed: int) -> list[Patient]:
    """Plan a cohort with exactly `num_patients * images_per_patient` images.

    Classes are balanced over patients, sites over classes and splits; the number of images varies
    between patients (at least one).
    """
    rng = np.random.default_rng([seed, 0])
    num_images = _num_images(rng, num_patients, images_per_patient)
    patients = []
    for index in range(num_patients):
        four = index // len(CLASSES)
        if index % len(CLASSES) == 0:
            order = rng.permutation(len(CLASSES))
        label = int(order[index % len(CLASSES)])
        patients.append(
            Patient(
                index=index,
                label=label,
                # The + four // 10 keeps the sites balanced within the test split too.
                site=SITES[(label + four + four // 10) % len(SITES)],
                split="test" if four % 10 in _TEST_FOURS else "train",
                num_images=num_images[index],
            )
        )
    return patients


def _num_images(rng: np.random.Generator, num_patients: int, mean: int) -> list[int]:
    """At least one image each, a different number for most, `mean` exactly over the cohort."""
    counts = []
    for first in range(0, num_patients, len(CLASSES) * 10):
        size = min(len(CLASSES) * 10, num_patients - first)
        counts += (1 + rng.multinomial(size * (mean - 1), [1 / size] * size)).tolist()
    return counts


def images_of(patient: Patient, *, size: int, seed: int) -> Iterator[Phantom]:
    """Render a patient's images; a pure function of the seed and the patient's number."""
    rng = np.random.default_rng([seed, 1, patient.index])
    anatomy, place = draw_anatomy(rng), draw_place(rng)
    for number in range(patient.num_images):
        own = np.random.default_rng([seed, 2, patient.index, number])
        yield render(own, anatomy, CLASSES[patient.label], place, patient.site, size=size)


def phantom_batch(num: int, size: int, seed: int, *, images_per_patient: int = 4) -> PhantomBatch:
    """Render `num` phantoms in memory, `images_per_patient` each on average."""
    num_patients = max(1, -(-num // images_per_patient))
    images, labels, groups, masks = [], [], [], []
    for patient in plan(num_patients, images_per_patient, seed):
        for phantom in images_of(patient, size=size, seed=seed):
            images.append(phantom.image)
            masks.append(phantom.mask)
            labels.append(patient.label)
            groups.append(patient.index)
    return PhantomBatch(
        np.stack(images[:num]),
        np.array(labels[:num], np.int64),
        np.array(groups[:num], np.int64),
        np.stack(masks[:num]),
    )
