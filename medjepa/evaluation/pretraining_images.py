"""What pre-training saw, where it still lies: a test image may be there in another form."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medjepa.config import load_config
from medjepa.data.altered import Altered, altered_pairs
from medjepa.data.cache import default_cache
from medjepa.data.duplicates import all_near_pairs, thumbnail
from medjepa.data.spellings import plain_patient
from medjepa.data.store import Store, open_store
from medjepa.data.store_index import is_store
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.kept import Arrays, Kept, digest_of_items
from medjepa.evaluation.results import Check

_CONFIG, _BATCH = "config.yaml", 256


@dataclass(frozen=True, kw_only=True)
class PretrainingImages:
    """Those images of pre-training that are still here.

    Attributes:
        prints: (N, D) fingerprints.
        keys: (N,) content hashes of their files.
        num_missing: images that pre-training used and that are in no store here.
        altered: fingerprints of them in further forms; None looks for none.
        patients: content hash of a file -> its patient's plain name, where one is known; private.
    """

    prints: np.ndarray
    keys: tuple[str, ...]
    num_missing: int
    altered: Altered | None = None
    patients: Mapping[str, str] = field(default_factory=dict, repr=False)

    def near(
        self,
        prints: np.ndarray,
        keys: Sequence[str],
        tested: np.ndarray,
        altered: Altered | None = None,
    ) -> list[tuple[str, int]]:
        """(Key of an image of pre-training, test image) that show one picture as two files."""
        known = set(self.keys)
        rest = np.array([i for i in tested if keys[i] not in known], dtype=np.int64)
        if not len(rest) or not len(self.keys):
            return []
        pairs = {(i, j) for i, j, _ in all_near_pairs(self.prints, prints[rest])}
        if altered is not None and self.altered is not None:
            pairs |= {(i, j) for i, j, _ in altered_pairs(self.altered, altered.take(rest))}
        return [(self.keys[i], int(rest[j])) for i, j in sorted(pairs)]


def pretraining_images(
    used: Collection[str], folders: Iterable[Path], cache_dir: str | Path | None
) -> PretrainingImages:
    """Look for the images of runs in the stores that their settings name, and in the cache.

    Args:
        used: content hashes of the images' files.
        folders: of the runs.
        cache_dir: where raw folders are prepared; None for the user's cache folder.
    """
    wanted, thumbnails, keys = set(used), [], []
    patients: dict[str, str] = {}
    kept = Kept(cache_dir)
    for store in _stores(folders, cache_dir):
        if not wanted:
            break
        here = {key: index for index, key in enumerate(store.keys) if key in wanted}
        if here:
            thumbnails += list(_thumbnails(store, np.array(list(here.values()), np.int64), kept))
            keys += list(here)
            patients |= {key: name for key, name in patient_names([store]).items() if key in here}
            wanted -= set(here)
    altered = Altered.of(np.stack(thumbnails)) if thumbnails else None
    return PretrainingImages(
        prints=np.zeros((0, 1), np.float32) if altered is None else altered.whole,
        keys=tuple(keys),
        num_missing=len(wanted),
        altered=altered,
        patients=patients,
    )


def patient_names(stores: Iterable[Store | VolumeStore]) -> dict[str, str]:
    """Content hash of each file -> its patient's plain name, as table or header have it; private.

    A store without its private folder knows no names.
    """
    names: dict[str, str] = {}
    for store in stores:
        try:
            files = store.private_map().files
        except DataError:
            continue
        given = {record.key: record.patient or record.header_patient for record in files}
        names |= {key: plain_patient(name) for key, name in given.items() if key and name}
    return names


def check_names(
    before: PretrainingImages, names: Mapping[str, str], keys: Sequence[str], tested: np.ndarray
) -> list[Check]:
    """Say how many test patients bear the name of one whose other images were pre-trained on.

    Patients whose images of pre-training are evaluated too are told by `check_pretraining`.

    Args:
        before: images of pre-training.
        names: of `patient_names`, for the evaluated images.
        keys: (N,) content hashes of these.
        tested: indices of the test images.
    """
    evaluated = set(keys)
    elsewhere = {name for key, name in before.patients.items() if key not in evaluated}
    shared = {names[keys[i]] for i in tested if keys[i] in names} & elsewhere
    if not shared:
        return []
    who = "1 test patient has" if len(shared) == 1 else f"{len(shared):,} test patients have"
    return [
        Check(
            passed=None,
            text=f"{who} the name of a patient whose images "
            "pre-training used: the same person? Where each hospital numbers its own, it "
            "need not be.",
        )
    ]


def _stores(folders: Iterable[Path], cache_dir: str | Path | None) -> Iterator[Store]:
    named: list[Path] = []
    roots = [default_cache() if cache_dir is None else Path(cache_dir)]
    for folder in folders:
        if (folder / _CONFIG).is_file():
            try:
                data = load_config(folder / _CONFIG).data
            except ConfigError:  # of another version: the cache is looked at all the same
                continue
            named += [Path(source) for source in data.sources]
            roots += [Path(data.cache_dir)] if data.cache_dir else []
    cached = [path for root in roots for path in sorted((root / "stores").glob("*"))]
    for path in dict.fromkeys([*named, *cached]):
        if is_store(path):
            try:
                yield open_store(path)
            except DataError:  # of volumes, of another version, or half written: not to be read
                continue


def _thumbnails(store: Store, indices: np.ndarray, kept: Kept) -> np.ndarray:
    """(n, H, W); those of an earlier evaluation are read again, which takes no image."""

    def compute() -> Arrays:
        starts = range(0, len(indices), _BATCH)
        batches = (store.gather(indices[n : n + _BATCH], store.channels) for n in starts)
        return {"rows": np.stack([thumbnail(image) for batch in batches for image in batch])}

    return kept.of({"thumbnails": digest_of_items([store], indices.tolist())}, compute)["rows"]
