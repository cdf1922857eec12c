"""The classifiers of a study, and the recipe of each."""

from dataclasses import fields, replace

import torch

from medjepa.config import Config
from medjepa.config.finetune import CLASSIFIERS
from medjepa.errors import ConfigError
from medjepa.evaluation.classify_results import LORA, PARTIAL, SCRATCH
from medjepa.evaluation.embed import untrained_twin
from medjepa.models.classifier import Classifier
from medjepa.models.image_model import ImageModel
from medjepa.models.vjepa import VJEPA
from medjepa.training.finetune_classify import ClassifySettings
from medjepa.training.lora import add_adapters

DEFAULT_STEPS = 1000
"""Of training, where neither steps nor minutes are given."""


def classifier_of(
    method: str,
    model: ImageModel | VJEPA,
    num_classes: int,
    *,
    seed: int,
    last_blocks: int,
    rank: int,
) -> Classifier:
    """Build a classifier.

    Args:
        method: one of `CLASSIFIERS` but frozen.
        model: pre-trained, of images, volumes or clips; it is copied, not changed.
        num_classes: of the label.
        seed: of all weights that are not pre-trained.
        last_blocks: of the encoder, that `partial` trains.
        rank: of the adapters of `lora`.
    """
    dropped = isinstance(model, VJEPA) and model.drop_background
    background = model.background if isinstance(model, VJEPA) and dropped else None
    twin = untrained_twin(model, seed=seed)
    encoder = twin.encoder
    if method != SCRATCH:
        encoder.load_state_dict(model.encoder.state_dict())
    if method == PARTIAL:
        encoder.requires_grad_(False)
        for block in list(encoder.blocks)[-last_blocks:]:
            block.requires_grad_(True)
        encoder.norm.requires_grad_(True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if method == LORA:
            add_adapters(encoder, rank=rank)
        return Classifier(
            encoder,
            num_classes,
            mean=model.pixel_mean.cpu(),
            std=model.pixel_std.cpu(),
            background=background,
        )


def settings_of(config: Config) -> ClassifySettings:
    """The recipe of the pre-trained network, from the section `finetune`.

    Raises:
        ConfigError: both steps and minutes are given, or batches of one.
    """
    asked = config.finetune
    known = {field.name for field in fields(ClassifySettings)}
    given = {name: value for name, value in vars(asked).items() if name in known}
    given["mixed_precision"] = config.hardware.mixed_precision
    if asked.batch_size < 2:
        raise ConfigError(
            "finetune.batch_size: task=classify standardises by the batch; give 2 or more"
        )
    if asked.steps is None and asked.minutes is None:
        given["steps"] = DEFAULT_STEPS
    return ClassifySettings(**given)


def recipe_of(method: str, settings: ClassifySettings, scratch_rate: float) -> ClassifySettings:
    """The recipe of a method: layers learn alike where none is pre-trained, or all are new."""
    if method == SCRATCH:
        return replace(settings, learning_rate=scratch_rate, encoder_rate=1.0, layer_decay=1.0)
    if method == LORA:
        return replace(settings, encoder_rate=1.0, layer_decay=1.0)
    return settings


def check_methods(config: Config, depth: int) -> tuple[str, ...]:
    """The methods that are asked for, once each, in the order of `CLASSIFIERS`.

    Raises:
        ConfigError: an unknown one, or more blocks than the encoder has.
    """
    asked = config.finetune
    if unknown := [name for name in asked.methods if name not in CLASSIFIERS]:
        raise ConfigError(
            f"finetune.methods: {unknown[0]} is unknown to task=classify; of "
            f"{', '.join(CLASSIFIERS)} as many as wanted"
        )
    if PARTIAL in asked.methods and asked.last_blocks > depth:
        raise ConfigError(
            f"finetune.last_blocks={asked.last_blocks}: the encoder has {depth} blocks; give "
            f"1 to {depth}"
        )
    return tuple(name for name in CLASSIFIERS if name in asked.methods)
