"""Every setting of MedJEPA with its default, its meaning and its limits."""

from dataclasses import dataclass, field
from typing import Literal

from medjepa.config.data import DataConfig
from medjepa.config.evaluation import EvaluationConfig
from medjepa.config.fields import require, setting
from medjepa.config.finetune import FinetuneConfig
from medjepa.config.methods import (
    DINOConfig,
    IJEPAConfig,
    MAEConfig,
    SimCLRConfig,
    VICRegConfig,
)
from medjepa.config.model import MaskingConfig, ModelConfig, ViewsConfig

__all__ = [
    "Config", "DataConfig", "EvaluationConfig", "HardwareConfig", "LoggingConfig", "MaskingConfig",
    "ModelConfig", "TrainingConfig", "ViewsConfig",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how fast to train."""

    batch_size: int = setting(64, "images per step, over all processes together")
    num_epochs: int = setting(100, "passes over the images")
    learning_rate: float = setting(0.001, "the peak, after the warm-up")
    weight_decay: float = setting(0.05, "AdamW's; none on biases and norms")
    warmup_epochs: float = setting(10.0, "epochs over which the learning rate rises from 0")
    lambda_reg: float = setting(1.0, "weight of SIGReg; 1 is the published setting (lambda = 0.05)")
    gradient_clip: float = setting(1.0, "greatest length of the gradient; 0: do not clip")
    final_learning_rate: float = setting(0.001, "at the end, as a share of learning_rate")
    max_steps: int | None = setting(None, "stop after so many steps; the schedule follows")
    max_minutes: float | None = setting(
        None, "stop after about so many minutes: the steps are counted out by a short trial before"
    )

    def __post_init__(self) -> None:
        require(self.batch_size >= 2, "training.batch_size", "2 or more", self.batch_size)
        require(self.num_epochs > 0, "training.num_epochs", "positive", self.num_epochs)
        require(self.learning_rate > 0, "training.learning_rate", "positive", self.learning_rate)
        for key in ("weight_decay", "warmup_epochs", "lambda_reg", "gradient_clip"):
            require(getattr(self, key) >= 0, f"training.{key}", "0 or more", getattr(self, key))
        ratio = self.final_learning_rate
        require(0 <= ratio <= 1, "training.final_learning_rate", "a share between 0 and 1", ratio)
        for key in ("max_steps", "max_minutes"):
            value = getattr(self, key)
            require(value is None or value > 0, f"training.{key}", "positive or none", value)


@dataclass(frozen=True, kw_only=True)
class HardwareConfig:
    """The device."""

    device: Literal["auto", "cuda", "mps", "cpu"] = setting(
        "auto", "auto: cuda, then mps, then cpu"
    )
    mixed_precision: bool = setting(True, "bfloat16 on cuda; other devices always use float32")


@dataclass(frozen=True, kw_only=True)
class LoggingConfig:
    """What is written down, and how often."""

    log_every: int = setting(50, "steps between two lines of metrics.jsonl")
    save_every: int = setting(5, "epochs between two checkpoint_epoch_N.pt")
    save_minutes: float = setting(5.0, "minutes between two last.pt, besides one each epoch")
    checkpoint_dir: str = setting("checkpoints", "folder of the checkpoints, below the run folder")
    use_wandb: bool = setting(
        False, "send the metrics to Weights & Biases (WANDB_MODE=offline: a file)"
    )
    use_tensorboard: bool = setting(False, "write the metrics for TensorBoard")
    project_name: str = setting("MedJEPA", "project in Weights & Biases")

    def __post_init__(self) -> None:
        for key in ("log_every", "save_every", "save_minutes"):
            require(getattr(self, key) > 0, f"logging.{key}", "positive", getattr(self, key))


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    mae: MAEConfig = field(default_factory=MAEConfig)
    simclr: SimCLRConfig = field(default_factory=SimCLRConfig)
    vicreg: VICRegConfig = field(default_factory=VICRegConfig)
    dino: DINOConfig = field(default_factory=DINOConfig)
    ijepa: IJEPAConfig = field(default_factory=IJEPAConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    data: DataConfig = field(default_factory=DataConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    out: str = setting("", "the folder that the run writes")
    label: str | None = setting(None, "the table's column to predict (evaluate; method supervised)")
    checkpoint: str | tuple[str, ...] = setting("", "a run folder or a .pt file (evaluate)")
    resume: bool = setting(False, "go on with the run in `out`")
    seed: int = setting(0, "of all random numbers")
    privacy: Literal["refuse", "allow"] = setting(
        "refuse", "DICOM whose header identifies its patient: refuse, or allow (pseudonyms, say)"
    )

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", "0 or more", self.seed)
