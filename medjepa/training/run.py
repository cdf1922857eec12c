"""`medjepa pretrain` in Python: from a configuration to a run folder."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from medjepa.config import Config, flat, load_config, save_yaml
from medjepa.data.files import check_out
from medjepa.errors import ConfigError
from medjepa.models.image_model import ImageModel
from medjepa.models.lejepa import LeJEPA
from medjepa.models.methods import METHODS, Method
from medjepa.models.registry import ENCODERS
from medjepa.models.vjepa import VJEPA
from medjepa.training.distributed import is_first, process_group, wait_for_all
from medjepa.training.files import BEST, LAST, check_free
from medjepa.training.hooks import Hook, check_installed
from medjepa.training.labels import check_supervised, with_labels
from medjepa.training.resume import differences
from medjepa.training.settings import TrainerSettings
from medjepa.training.sources import Sources, open_sources
from medjepa.training.state import History
from medjepa.training.trainer import MedJEPATrainer
from medjepa.training.volume_sources import open_volume_sources
from medjepa.utils.logging import get_logger, log_to

CONFIG_FILE, LOG_FILE = "config.yaml", "train.log"
KEYS_FILE = "pretraining_keys.json"
"""The content hashes of the images that were trained on: `evaluate` looks for leaks with them."""
# Settings that may differ between a run and its continuation.
FREE_SECTIONS = ("hardware", "logging", "evaluation")
FREE_KEYS = (
    "resume",
    "out",
    "label",
    "checkpoint",
    "data.num_workers",
    "data.cache_dir",
    "data.dataset",
)
VJEPA_NAMES = {
    "image_size": "volume_size", "encoder_depth": "depth", "encoder_heads": "num_heads",
}  # fmt: skip
"""Settings under the names that `VJEPA` has for them."""
NOT_LEJEPA = ("method", "kind", "positions", "drop_background", "teacher_momentum")
SUPERVISED = "supervised"
_logger = get_logger(__name__)


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        out: its folder.
        checkpoint: the best model's file.
        history: train_loss, val_loss and epochs.
        num_steps: steps taken in all.
        seconds: time trained in all.
        is_first: whether this process is the one that talks; False on the others of torchrun.
    """

    out: Path
    checkpoint: Path
    history: History
    num_steps: int
    seconds: float
    is_first: bool = True


def pretrain(config: Config, *, hooks: Sequence[Hook] = ()) -> RunResult:
    """Pre-train an encoder into the folder `config.out`.

    Raises:
        ConfigError: a setting is missing or contradicts another, or the folder is not free.
        DataError: the images cannot be used.
        TrainingError: the loss is no longer a number.
        KeyboardInterrupt: stopped by the user; the run can be continued.
    """
    out = _checked_folder(config)
    with process_group(), log_to(console=is_first()) as open_log:
        model, sources = _model_and_sources(config)
        trainer = MedJEPATrainer(
            model,
            sources.train,
            trainer_settings(config),
            sources.val,
            hooks=hooks,
            seed=config.seed,
            run_dir=out,
            pipeline=sources.pipeline,
            weights=config.data.weights or None,
        )
        # Only now: a run that cannot begin leaves no folder that the next attempt finds full.
        if is_first():
            out.mkdir(parents=True, exist_ok=True)
            open_log(out / LOG_FILE)
        if config.resume:
            _go_on(trainer)
        if is_first():
            save_yaml(config, out / CONFIG_FILE)
            (out / KEYS_FILE).write_text(json.dumps(sources.used_keys), encoding="utf-8")
        history = trainer.train()
        if is_first():
            _draw(history, out / "report")
        wait_for_all()
        first = is_first()
    return RunResult(
        out=out,
        checkpoint=trainer.files.checkpoint_dir / BEST,
        history=history,
        num_steps=trainer.state.step,
        seconds=trainer.state.seconds,
        is_first=first,
    )


def _model_and_sources(config: Config) -> tuple[ImageModel | VJEPA, Sources]:
    """Build the model, and open what it learns from; a mistake in sizes is told before reading."""
    if config.model.method == SUPERVISED:
        check_supervised(config)
        sources, num_classes = with_labels(open_sources(config), config)
        return build_model(config, num_classes=num_classes), sources
    model = build_model(config)
    is_3d = config.model.type == "vjepa"
    return model, open_volume_sources(config) if is_3d else open_sources(config)


def build_model(config: Config, *, num_classes: int = 0) -> ImageModel | VJEPA:
    """Build the model of a configuration; its weights depend on the seed.

    `num_classes` is what supervised training tells apart.

    Raises:
        ConfigError: the sizes do not fit one another.
    """
    torch.manual_seed(config.seed)
    if config.model.method in METHODS:
        return _build_method(config, METHODS[config.model.method], num_classes)
    settings = {**vars(config.model), **vars(config.masking), **vars(config.views)}
    arguments = {key: value for key, value in settings.items() if key not in ("type", "name")}
    arguments |= {"lambda_reg": config.training.lambda_reg, "seed": config.seed}
    if config.model.type == "vjepa":
        del arguments["method"]
        kind: type[LeJEPA] | type[VJEPA] = VJEPA
        for ours, guides in VJEPA_NAMES.items():
            arguments[guides] = arguments.pop(ours)
    else:
        kind = LeJEPA
        for name in NOT_LEJEPA:
            del arguments[name]
    try:
        return kind(**arguments)
    except ValueError as error:
        raise ConfigError(f"model: {error}") from error


def _build_method(config: Config, method: type[Method], num_classes: int) -> ImageModel:
    """Give a method those of the settings that it takes; its own section's win."""
    section = getattr(config, config.model.method, None)
    settings: dict[str, Any] = {
        **vars(config.model),
        **vars(config.masking),
        **vars(config.views),
        **({} if section is None else vars(section)),
        "num_classes": num_classes,
        "seed": config.seed,
    }
    takes = {name for kind in (Method, method) for name in inspect.signature(kind).parameters}
    build: Callable[..., ImageModel] = method
    try:
        return build(**{name: value for name, value in settings.items() if name in takes})
    except ValueError as error:
        raise ConfigError(f"method={config.model.method}: {error}") from error


def trainer_settings(config: Config) -> dict[str, object]:
    """Return the trainer's flat settings."""
    merged: dict[str, Any] = {
        **vars(config.training),
        **vars(config.logging),
        **vars(config.hardware),
        "num_workers": config.data.num_workers,
    }
    return {f.name: merged[f.name] for f in fields(TrainerSettings)}


def _go_on(trainer: MedJEPATrainer) -> None:
    last = trainer.files.checkpoint_dir / LAST
    if last.is_file():
        trainer.load_checkpoint(last)
        state = trainer.state
        _logger.info("going on from step %d of %d", state.step, state.total_steps)
    else:
        _logger.warning("%s: nothing to go on from: starting from the beginning", last)


def _draw(history: History, folder: Path) -> None:
    """Draw the loss curves into the run's report."""
    from medjepa.utils.visualization import plot_training_history

    folder.mkdir(exist_ok=True)
    plot_training_history(history, save_path=folder / "training_history.png")


def _checked_folder(config: Config) -> Path:
    """Check that the run may write to `out`, and that a continued one is still the same."""
    if not config.out:
        raise ConfigError("out: where to write the run? give out=runs/NAME")
    check_installed(
        use_tensorboard=config.logging.use_tensorboard, use_wandb=config.logging.use_wandb
    )
    out = Path(config.out)
    check_free(out, resume=config.resume)
    check_out(out)
    before = out / CONFIG_FILE
    if config.resume and before.is_file():
        changed = differences(_deciding(load_config(before, presets=ENCODERS)), _deciding(config))
        if changed:
            raise ConfigError(
                f"resume=true, but the settings of {before} differ: {'; '.join(changed)}. The "
                "result would be neither run: set them back, or start a new run in another out"
            )
    return out


def _deciding(config: Config) -> dict[str, object]:
    """Return the settings on which the weights depend."""
    free: tuple[str, ...] = FREE_KEYS
    if config.model.method == SUPERVISED:
        free = tuple(key for key in FREE_KEYS if key != "label")
    return {
        key: value
        for key, value in flat(config).items()
        if key not in free and key.partition(".")[0] not in FREE_SECTIONS
    }
