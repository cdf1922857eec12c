"""Settings: frozen dataclasses, YAML files over them, and `key=value` over those."""

from medjepa.config.describe import help_text
from medjepa.config.load import flat, from_dict, load_config, save_yaml, to_dict
from medjepa.config.schema import (
    Config,
    DataConfig,
    EvaluationConfig,
    HardwareConfig,
    LoggingConfig,
    MaskingConfig,
    ModelConfig,
    TrainingConfig,
    ViewsConfig,
)

__all__ = [
    "Config", "DataConfig", "EvaluationConfig", "HardwareConfig", "LoggingConfig", "MaskingConfig",
    "ModelConfig", "TrainingConfig", "ViewsConfig", "flat", "from_dict", "help_text", "load_config",
    "save_yaml", "to_dict",
]  # fmt: skip
