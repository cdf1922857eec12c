"""Settings of the methods beside LeJEPA: `method=` chooses one, its section holds these.

Defaults are published ones; widths that were meant for a million images and a cluster are smaller,
and say so. Sizes of encoder and predictor, views and mask ratio are those of the other sections.
"""

from dataclasses import dataclass
from typing import Literal

from medjepa.config.fields import require, require_scale, setting

MethodName = Literal["lejepa", "supervised", "mae", "simclr", "vicreg", "dino", "ijepa"]


@dataclass(frozen=True, kw_only=True)
class MAEConfig:
    """Masked autoencoder; hides `masking.mask_ratio`, its decoder has the predictor's size."""

    norm_pixels: bool = setting(
        True, "method mae: each patch is normalised before it is compared with what is painted"
    )


@dataclass(frozen=True, kw_only=True)
class SimCLRConfig:
    """Contrastive learning."""

    temperature: float = setting(0.1, "method simclr: divides the cosines of NT-Xent")
    hidden_dim: int = setting(2048, "method simclr: width of the projector's hidden layer")
    output_dim: int = setting(128, "method simclr: length of what is compared")

    def __post_init__(self) -> None:
        _require_positive("simclr", self, "temperature", "hidden_dim", "output_dim")


@dataclass(frozen=True, kw_only=True)
class VICRegConfig:
    """Variance, invariance, covariance."""

    invariance_weight: float = setting(25.0, "method vicreg: weight of the views' distance")
    variance_weight: float = setting(25.0, "method vicreg: weight of the hinge on deviations")
    covariance_weight: float = setting(1.0, "method vicreg: weight of features that repeat others")
    hidden_dim: int = setting(2048, "method vicreg: width of the expander (published: 8192)")
    output_dim: int = setting(2048, "method vicreg: length of what is compared (published: 8192)")

    def __post_init__(self) -> None:
        for key in ("invariance_weight", "variance_weight", "covariance_weight"):
            require(getattr(self, key) >= 0, f"vicreg.{key}", "0 or more", getattr(self, key))
        _require_positive("vicreg", self, "hidden_dim", "output_dim")


@dataclass(frozen=True, kw_only=True)
class DINOConfig:
    """Self-distillation of small views from large ones."""

    num_local_views: int = setting(8, "method dino: small views beside the two large ones")
    global_scale: tuple[float, float] = setting(
        (0.4, 1.0), "method dino: area of a large view, share of the image"
    )
    local_scale: tuple[float, float] = setting(
        (0.05, 0.4), "method dino: area of a small view, share of the image"
    )
    momentum: float = setting(
        0.996, "method dino: share of the teacher that the first step keeps; rises to 1"
    )
    student_temperature: float = setting(0.1, "method dino: divides the student's scores")
    first_teacher_temperature: float = setting(
        0.04, "method dino: divides the teacher's scores at the beginning"
    )
    teacher_temperature: float = setting(
        0.07, "method dino: divides the teacher's scores after the warm-up"
    )
    temperature_warmup: float = setting(
        0.3, "method dino: share of the run over which the teacher's temperature rises"
    )
    centring: bool = setting(True, "method dino: subtract the teacher's mean scores")
    centre_momentum: float = setting(0.9, "method dino: share of the centre that a step keeps")
    freeze_epochs: float = setting(1.0, "method dino: epochs in which the prototypes stand still")
    hidden_dim: int = setting(2048, "method dino: width of the head's hidden layers")
    bottleneck_dim: int = setting(256, "method dino: length of what is compared with prototypes")
    num_prototypes: int = setting(4096, "method dino: outputs of the head (published: 65536)")

    def __post_init__(self) -> None:
        require(
            self.num_local_views >= 0, "dino.num_local_views", "0 or more", self.num_local_views
        )
        require_scale("dino.global_scale", self.global_scale)
        require_scale("dino.local_scale", self.local_scale)
        for key in ("momentum", "centre_momentum", "temperature_warmup"):
            require(0 <= getattr(self, key) <= 1, f"dino.{key}", "in [0, 1]", getattr(self, key))
        require(self.momentum < 1, "dino.momentum", "below 1", self.momentum)
        require(self.freeze_epochs >= 0, "dino.freeze_epochs", "0 or more", self.freeze_epochs)
        _require_positive(
            "dino", self, "student_temperature", "first_teacher_temperature",
            "teacher_temperature", "hidden_dim", "bottleneck_dim", "num_prototypes",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class IJEPAConfig:
    """I-JEPA with its teacher."""

    num_targets: int = setting(4, "method ijepa: hidden blocks of a view")
    target_scale: tuple[float, float] = setting(
        (0.15, 0.2), "method ijepa: area of a hidden block, share of the view"
    )
    target_aspect: tuple[float, float] = setting(
        (0.75, 1.5), "method ijepa: height of a hidden block over its width"
    )
    context_scale: tuple[float, float] = setting(
        (0.85, 1.0), "method ijepa: area of the visible block before hidden ones are cut out"
    )
    min_context: int = setting(10, "method ijepa: patches that stay visible at least")
    momentum: float = setting(
        0.996, "method ijepa: share of the teacher that the first step keeps; rises to 1"
    )
    teacher: bool = setting(True, "method ijepa: targets of a moving average (off: collapse)")

    def __post_init__(self) -> None:
        require_scale("ijepa.target_scale", self.target_scale)
        require_scale("ijepa.context_scale", self.context_scale)
        low, high = self.target_aspect
        require(0 < low <= high, "ijepa.target_aspect", "[low, high], positive", self.target_aspect)
        require(0 <= self.momentum < 1, "ijepa.momentum", "in [0, 1)", self.momentum)
        _require_positive("ijepa", self, "num_targets", "min_context")


def _require_positive(section: str, settings: object, *keys: str) -> None:
    for key in keys:
        value = getattr(settings, key)
        require(value > 0, f"{section}.{key}", "positive", value)
