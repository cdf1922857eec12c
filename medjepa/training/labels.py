"""Labels for supervised training, of the training part alone."""

from dataclasses import replace

import numpy as np

from medjepa.config import Config
from medjepa.data.class_checks import check_classes
from medjepa.data.labelled_dataset import LabelledDataset
from medjepa.data.labels import labelled
from medjepa.data.store_dataset import StoreDataset
from medjepa.data.tables import class_names
from medjepa.errors import ConfigError, DataError
from medjepa.training.parts import has_split
from medjepa.training.sources import Sources
from medjepa.utils.logging import get_logger

_logger = get_logger(__name__)


def check_supervised(config: Config) -> None:
    """Refuse supervised training that could see the labels of images meant for testing.

    Raises:
        ConfigError: no label column, or data.use_all.
    """
    if not config.label:
        raise ConfigError(
            "method=supervised: which column of the table to learn? give label=COLUMN"
        )
    if config.data.use_all:
        raise ConfigError(
            "method=supervised with data.use_all=true would learn the labels of test images, and "
            "every later evaluation would be of what it has seen: leave data.use_all out"
        )


def with_labels(sources: Sources, config: Config) -> tuple[Sources, int]:
    """Give the training and validation images their labels; returns the number of classes too.

    Classes are those of the training images; images without a label, and validation images of
    another class, are left out.

    Raises:
        ConfigError: the table marks no images for testing, so that nothing would stay unseen.
        DataError: no such column, or fewer than 2 classes.
    """
    train, val = sources.train, sources.val
    assert isinstance(train, StoreDataset)
    assert val is None or isinstance(val, StoreDataset)
    for store in train.stores:
        if not has_split(store, config):
            raise ConfigError(
                "method=supervised: the table marks no images as train and test, so that the "
                "labels it learns would be those it is evaluated on; add such a column (or name "
                "it: data.split_column=COLUMN)"
            )
    wanted = [train] if val is None else [train, val]
    texts = _texts(train, config, np.concatenate([part.indices for part in wanted]))
    classes = class_names([text for i in train.indices if (text := texts.get(int(i))) is not None])
    if len(classes) < 2:
        raise DataError(
            f"label={config.label}: the training images have {len(classes)} class"
            f"{'' if len(classes) == 1 else 'es'} ({', '.join(classes)}); at least 2 are needed"
        )
    for note in check_classes(config.label or "", list(texts.values()), key=""):
        _logger.warning("label=%s: %s", config.label, note)
    numbers = {name: number for number, name in enumerate(classes)}

    def labelled_part(part: StoreDataset) -> LabelledDataset:
        labels = [numbers.get(texts.get(int(i), ""), -1) for i in part.indices]
        return LabelledDataset(part, labels)

    given = labelled_part(train)
    held = None if val is None else labelled_part(val)
    if len(given) < len(train):
        _logger.info("%d training images have no label and are left out", len(train) - len(given))
    _logger.info("learning %s: %s", config.label, ", ".join(classes))
    keys = [key for store in train.stores for key in store.keys]
    used = [given] if held is None else [given, held]
    return (
        replace(
            sources,
            train=given,
            val=held if held is not None and len(held) else None,
            used_keys=sorted({keys[i] for part in used for i in part.images.indices}),
        ),
        len(classes),
    )


def _texts(dataset: StoreDataset, config: Config, wanted: np.ndarray) -> dict[int, str]:
    """The label of each wanted image by its number across all stores; no other label is kept."""
    assert config.label is not None
    allowed = set(wanted.tolist())
    found: dict[int, str] = {}
    start = 0
    for store in dataset.stores:
        given = labelled(
            store, config.label, split=config.data.split_column, table=config.data.table
        )
        for index, text in zip(given.indices, given.labels, strict=True):
            if start + int(index) in allowed:
                found[start + int(index)] = text
        start += len(store)
    return found
