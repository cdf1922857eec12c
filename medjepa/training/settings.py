"""The flat settings of the trainer, under the names of the guide."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import get_type_hints

from medjepa.config.build import Value, convert, nearest_key
from medjepa.errors import ConfigError

# What may change between a run and its continuation: it changes no weight.
FREE_KEYS = (
    "num_workers", "log_every", "save_every", "save_minutes", "checkpoint_dir", "device",
    "mixed_precision", "use_wandb", "use_tensorboard", "project_name", "max_minutes",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """What the loop needs to know; the meanings are those of `medjepa.config`."""

    batch_size: int = 64
    num_epochs: int = 100
    learning_rate: float = 0.001
    weight_decay: float = 0.05
    warmup_epochs: float = 10.0
    gradient_clip: float = 1.0
    final_learning_rate: float = 0.001
    max_steps: int | None = None
    max_minutes: float | None = None
    num_workers: int = 4
    log_every: int = 50
    save_every: int = 5
    save_minutes: float = 5.0
    checkpoint_dir: str = "checkpoints"
    device: str = "auto"
    mixed_precision: bool = True
    use_wandb: bool = False
    use_tensorboard: bool = False
    project_name: str = "MedJEPA"

    @classmethod
    def from_dict(cls, config: Mapping[str, object]) -> "TrainerSettings":
        """Check the keys and types of a user's dict.

        Raises:
            ConfigError: for an unknown key, naming the nearest, or a value of another type.
        """
        kinds = get_type_hints(cls)
        for key in config:
            if key not in kinds:
                nearest = nearest_key(str(key), kinds)
                hint = f"; did you mean {nearest}?" if nearest else f"; known: {', '.join(kinds)}"
                raise ConfigError(f"MedJEPATrainer: unknown setting {key}{hint}")
        values = {k: convert(Value(v, "MedJEPATrainer"), kinds[k], k) for k, v in config.items()}
        settings = cls(**values)  # type: ignore[arg-type]
        settings.check()
        return settings

    def check(self) -> None:
        """Refuse numbers with which nothing can be trained."""
        for key in ("num_epochs", "learning_rate", "log_every", "save_every", "save_minutes"):
            if getattr(self, key) <= 0:
                raise ConfigError(f"{key}: must be positive, got {getattr(self, key)}")
        if self.batch_size < 2:
            raise ConfigError(f"batch_size: must be 2 or more, got {self.batch_size}")

    def fixed(self) -> dict[str, object]:
        """Return the settings on which the weights depend: a continued run must have the same."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in FREE_KEYS}
