"""Settings of the encoder, its masks and its views."""

from dataclasses import dataclass
from typing import Literal

from medjepa.config.fields import ImageSize, require, require_scale, setting
from medjepa.config.methods import MethodName
from medjepa.errors import ConfigError

# ruff: noqa: RUF009 - `setting` makes a dataclass field, as `field` does


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The encoder, its predictor and projector."""

    type: Literal["lejepa", "vjepa"] = setting(
        "lejepa", "lejepa (images) or vjepa (volumes, clips)"
    )
    method: MethodName = setting(
        "lejepa",
        "what trains the encoder (short: method=mae): lejepa, or for comparison supervised, mae, "
        "simclr, vicreg, dino, ijepa (images)",
    )
    name: str = setting("", "a size from the registry (model=vit_ti8_64); sets the sizes below")
    image_size: ImageSize = setting(
        224, "pixels that the encoder sees: one number, [height, width], [z, y, x] or [t, y, x]"
    )
    patch_size: ImageSize = setting(16, "pixels of a patch; must divide image_size")
    in_channels: int = setting(3, "1 for grey images, 3 for colour; of volumes: contrasts")
    embed_dim: int = setting(768, "length of an embedding")
    encoder_depth: int = setting(12, "transformer blocks of the encoder")
    encoder_heads: int = setting(12, "attention heads of the encoder; must divide embed_dim")
    predictor_dim: int = setting(384, "width of the predictor (objectives patches and both)")
    predictor_depth: int = setting(6, "transformer blocks of the predictor")
    predictor_heads: int = setting(6, "attention heads of the predictor")
    objective: Literal["views", "patches", "both", "teacher"] = setting(
        "views",
        "views: predict the embedding of the full view; patches: of hidden patches; "
        "teacher (vjepa): V-JEPA's own, of a moving average",
    )
    kind: Literal["volume", "clip"] = setting(
        "volume", "vjepa: whether the first axis is space or time"
    )
    positions: Literal["sincos", "rotary"] = setting(
        "sincos", "vjepa: positions are added, or turn queries and keys"
    )
    drop_background: bool = setting(
        False, "vjepa: patches that are black throughout are not computed on"
    )
    teacher_momentum: float = setting(
        0.99925, "objective teacher: share of the moving average that a step keeps"
    )
    projector_dim: int = setting(512, "width of the projector's hidden layers")
    projection_dim: int = setting(
        16, "length of a projected embedding, on which views are compared"
    )
    num_directions: int = setting(1024, "random directions of SIGReg, drawn anew each step")
    stop_gradient: bool = setting(False, "patches: take the targets for constants (not LeJEPA)")
    dropout: float = setting(0.0, "share of activations dropped in the encoder")

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if isinstance(value, int) and not isinstance(value, bool):
                require(value > 0, f"model.{key}", "a positive number", value)
        require(0 <= self.dropout < 1, "model.dropout", "in [0, 1)", self.dropout)
        require(
            0 <= self.teacher_momentum < 1,
            "model.teacher_momentum", "in [0, 1)", self.teacher_momentum,
        )  # fmt: skip
        num_axes = 3 if self.type == "vjepa" else 2
        size = _per_axis("model.image_size", self.image_size, num_axes)
        patch = _per_axis("model.patch_size", self.patch_size, num_axes)
        if any(s < p or s % p for s, p in zip(size, patch, strict=True)):
            raise ConfigError(
                f"model.patch_size: {self.patch_size} does not divide model.image_size "
                f"{self.image_size}; choose a multiple of the patch as image size"
            )
        if self.type == "lejepa" and self.objective == "teacher":
            raise ConfigError("model.objective: teacher is for model.type=vjepa (volumes, clips)")
        if self.type == "vjepa" and self.method != "lejepa":
            raise ConfigError(
                f"model.method: {self.method} is for images (model.type=lejepa); of volumes and "
                "clips there are the objectives views, patches, both and teacher (V-JEPA), which "
                "model.objective chooses"
            )
        for part, width in (("encoder", self.embed_dim), ("predictor", self.predictor_dim)):
            heads = getattr(self, f"{part}_heads")
            if width % heads:
                raise ConfigError(f"model.{part}_heads: {heads} does not divide the width {width}")


def _per_axis(key: str, size: ImageSize, num_axes: int) -> tuple[int, ...]:
    if isinstance(size, int):
        return (size,) * num_axes
    if len(size) != num_axes:
        wanted = "[z, y, x] (clips: [t, y, x])" if num_axes == 3 else "[height, width]"
        raise ConfigError(f"{key}: must be one number or {wanted}, got {list(size)}")
    return tuple(size)


@dataclass(frozen=True, kw_only=True)
class MaskingConfig:
    """Which patches are hidden."""

    mask_ratio: float = setting(0.75, "share of the patches that is hidden")
    mask_type: Literal["block", "random", "tube"] = setting(
        "block",
        "objective patches: hide connected areas (block), single patches, or areas of the frame "
        "through all frames (tube, vjepa)",
    )
    num_target_blocks: int = setting(4, "number of hidden blocks (mask_type block)")

    def __post_init__(self) -> None:
        require(0 < self.mask_ratio < 1, "masking.mask_ratio", "between 0 and 1", self.mask_ratio)
        require(
            self.num_target_blocks > 0,
            "masking.num_target_blocks",
            "positive",
            self.num_target_blocks,
        )


@dataclass(frozen=True, kw_only=True)
class ViewsConfig:
    """The views of an image that are made to agree."""

    num_full_views: int = setting(2, "views with all their patches; their mean is the target")
    num_hidden_views: int = setting(2, "further views with mask_ratio of their patches hidden")
    view_mask_type: Literal["random", "block", "tube"] = setting(
        "random", "how hidden views hide: single patches, connected areas, or tubes (vjepa)"
    )
    full_scale: tuple[float, float] = setting((0.3, 1.0), "area of a full view, share of the image")
    hidden_scale: tuple[float, float] = setting(
        (0.3, 1.0), "area of a hidden view, share of the image"
    )
    strength: float = setting(
        1.0, "multiplies all grey-scale and colour changes; 0 switches them off"
    )

    def __post_init__(self) -> None:
        require(self.num_full_views > 0, "views.num_full_views", "1 or more", self.num_full_views)
        require(
            self.num_hidden_views >= 0, "views.num_hidden_views", "0 or more", self.num_hidden_views
        )
        require_scale("views.full_scale", self.full_scale)
        require_scale("views.hidden_scale", self.hidden_scale)
        require(self.strength >= 0, "views.strength", "0 or more", self.strength)
