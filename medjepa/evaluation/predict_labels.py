"""Labels, patients and studies of what is to be predicted, known before anything is embedded."""

from collections.abc import Sequence

from medjepa.checkpoint import load_encoder
from medjepa.config import Config
from medjepa.data.class_checks import check_classes
from medjepa.data.labels import AUTO_SPLIT, labelled
from medjepa.data.private_map import group_key, keyed_hash
from medjepa.data.store import Store
from medjepa.data.volume_store import VolumeStore
from medjepa.encoders import VolumeEncoder
from medjepa.errors import DataError
from medjepa.evaluation.embed_files import Progress, image_stores, volume_stores


def opened(config: Config, progress: Progress) -> Sequence[Store | VolumeStore]:
    """The sources, opened or prepared as the checkpoint takes them; nothing is embedded."""
    assert isinstance(config.checkpoint, str)
    encoder = load_encoder(config.checkpoint, device="cpu")
    if isinstance(encoder, VolumeEncoder):
        return volume_stores(encoder.pipeline, config, progress)
    return image_stores(encoder.pipeline, config, progress)


def check_labels(labels: Sequence[str], config: Config) -> list[str]:
    """Doubts about the labels' values, for the reader.

    Raises:
        DataError: no image has a label, every image has one, or the values are no classes.
    """
    given = [text for text in labels if text]
    if not given:
        raise DataError(
            f"label {config.label!r}: no image has one, so nothing can be learnt. Fill the column "
            "for some images of every class"
        )
    if len(given) == len(labels):
        raise DataError(
            f"label {config.label!r}: every image has one, so nothing is left to predict. Leave "
            "the cell empty, or the row out, where it is not known"
        )
    return list(check_classes(config.label or "", given, key=""))


def joined(
    stores: Sequence[Store | VolumeStore], config: Config
) -> tuple[list[str], list[str], list[str]]:
    """Label, patient and study of each item; "" where there is none.

    Raises:
        DataError: a column is missing.
    """
    labels, groups, studies = [], [], []
    for store in stores:
        ours = [""] * len(store)
        own = [f"{name}" for name in store.groups]
        given = labelled(
            store,
            config.label or "",
            group=config.data.group_column,
            split=AUTO_SPLIT,
            table=config.data.table,
        )
        for place, index in enumerate(given.indices):
            ours[index] = given.labels[place]
            if given.groups is not None:
                own[index] = given.groups[place]
        study = list(own)
        if (column := config.evaluation.study) is not None:
            secret = group_key(store.path)
            named = labelled(store, column, split=AUTO_SPLIT, table=config.data.table)
            for place, index in enumerate(named.indices):
                study[index] = keyed_hash(secret, named.labels[place])
        labels += ours
        groups += own
        studies += study
    return labels, groups, studies
