"""Every setting of MedJEPA with its default, its meaning and its limits."""

from dataclasses import dataclass, field
from typing import Any, Literal

from medjepa.errors import ConfigError
from medjepa.types import MODALITIES

ImageSize = int | tuple[int, int]
# ruff: noqa: RUF009 - `setting` makes a dataclass field, as `field` does


def setting(default: object, doc: str) -> Any:  # noqa: ANN401 - a dataclass field of any type
    """Declare one setting; `doc` is its line in the help text and in the base file."""
    return field(default=default, metadata={"doc": doc})


def _require(condition: bool, key: str, wanted: str, value: object) -> None:
    if not condition:
        raise ConfigError(f"{key}: must be {wanted}, got {value!r}")


def _require_scale(key: str, scale: tuple[float, float]) -> None:
    _require(0 < scale[0] <= scale[1] <= 1, key, "[low, high] with 0 < low <= high <= 1", scale)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The encoder, its predictor and projector."""

    type: Literal["lejepa", "vjepa"] = setting(
        "lejepa", "lejepa (images) or vjepa (volumes, clips)"
    )
    name: str = setting("", "a size from the registry (model=vit_ti8_64); sets the sizes below")
    image_size: ImageSize = setting(
        224, "pixels that the encoder sees: one number or [height, width]"
    )
    patch_size: ImageSize = setting(16, "pixels of a patch; must divide image_size")
    in_channels: int = setting(3, "1 for grey images, 3 for colour")
    embed_dim: int = setting(768, "length of an embedding")
    encoder_depth: int = setting(12, "transformer blocks of the encoder")
    encoder_heads: int = setting(12, "attention heads of the encoder; must divide embed_dim")
    predictor_dim: int = setting(384, "width of the predictor (objectives patches and both)")
    predictor_depth: int = setting(6, "transformer blocks of the predictor")
    predictor_heads: int = setting(6, "attention heads of the predictor")
    objective: Literal["views", "patches", "both"] = setting(
        "views", "views: predict the embedding of the full view; patches: of hidden patches"
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
                _require(value > 0, f"model.{key}", "a positive number", value)
        _require(0 <= self.dropout < 1, "model.dropout", "in [0, 1)", self.dropout)
        size, patch = _pair(self.image_size), _pair(self.patch_size)
        if any(s < p or s % p for s, p in zip(size, patch, strict=True)):
            raise ConfigError(
                f"model.patch_size: {self.patch_size} does not divide model.image_size "
                f"{self.image_size}; choose a multiple of the patch as image size"
            )
        for part, width in (("encoder", self.embed_dim), ("predictor", self.predictor_dim)):
            heads = getattr(self, f"{part}_heads")
            if width % heads:
                raise ConfigError(f"model.{part}_heads: {heads} does not divide the width {width}")


def _pair(size: ImageSize) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


@dataclass(frozen=True, kw_only=True)
class MaskingConfig:
    """Which patches are hidden."""

    mask_ratio: float = setting(0.75, "share of the patches that is hidden")
    mask_type: Literal["block", "random"] = setting(
        "block", "objective patches: hide connected areas (block) or single patches"
    )
    num_target_blocks: int = setting(4, "number of hidden blocks (mask_type block)")

    def __post_init__(self) -> None:
        _require(0 < self.mask_ratio < 1, "masking.mask_ratio", "between 0 and 1", self.mask_ratio)
        _require(
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
    view_mask_type: Literal["random", "block"] = setting(
        "random", "how hidden views hide: single patches, or connected areas"
    )
    full_scale: tuple[float, float] = setting((0.3, 1.0), "area of a full view, share of the image")
    hidden_scale: tuple[float, float] = setting(
        (0.3, 1.0), "area of a hidden view, share of the image"
    )
    strength: float = setting(
        1.0, "multiplies all grey-scale and colour changes; 0 switches them off"
    )

    def __post_init__(self) -> None:
        _require(self.num_full_views > 0, "views.num_full_views", "1 or more", self.num_full_views)
        _require(
            self.num_hidden_views >= 0, "views.num_hidden_views", "0 or more", self.num_hidden_views
        )
        _require_scale("views.full_scale", self.full_scale)
        _require_scale("views.hidden_scale", self.hidden_scale)
        _require(self.strength >= 0, "views.strength", "0 or more", self.strength)


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
        _require(self.batch_size >= 2, "training.batch_size", "2 or more", self.batch_size)
        _require(self.num_epochs > 0, "training.num_epochs", "positive", self.num_epochs)
        _require(self.learning_rate > 0, "training.learning_rate", "positive", self.learning_rate)
        for key in ("weight_decay", "warmup_epochs", "lambda_reg", "gradient_clip"):
            _require(getattr(self, key) >= 0, f"training.{key}", "0 or more", getattr(self, key))
        ratio = self.final_learning_rate
        _require(0 <= ratio <= 1, "training.final_learning_rate", "a share between 0 and 1", ratio)
        for key in ("max_steps", "max_minutes"):
            value = getattr(self, key)
            _require(value is None or value > 0, f"training.{key}", "positive or none", value)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the images come from and which of them are used."""

    dataset: str = setting("", "a name for the data, for your own notes")
    data_dir: str | tuple[str, ...] = setting(
        "", "a store, a folder of images or a CSV; several as [a,b]; short: data=..."
    )
    target_size: ImageSize = setting(
        224, "pixels at which images are read; follows model.image_size"
    )
    num_workers: int = setting(4, "processes that load images; 0: none beside the training itself")
    fit: Literal["stretch", "pad"] = setting("stretch", "how an image is brought to target_size")
    modality: str | tuple[str, ...] = setting(
        "auto", "kind of image (one, or [a,b] by source), which decides how it may be changed"
    )
    intensity: str = setting(
        "auto", "how values become grey levels: auto (by kind of image), as_stored, ct_lung, ..."
    )
    frames_per_clip: int = setting(8, "most images taken from one clip (2-D), by time; 0: all")
    dimensions: Literal[2, 3] = setting(
        2, "2: slices and frames are images; 3: volumes and clips as a whole (prepare)"
    )
    spacing: tuple[float, ...] = setting(
        (), "[z, y, x] in mm to which volumes are resampled (3-D); empty: as they are"
    )
    pattern: str | None = setting(
        None, "only files whose name fits, such as *.jpg; none: all images"
    )
    kinds: tuple[str, ...] = setting(
        ("original",), "DICOM images used, of original, derived, secondary, localizer; []: all"
    )
    select_modality: tuple[str, ...] = setting((), "only DICOM of these, such as [CR,DX]")
    view: tuple[str, ...] = setting((), "only radiographs of these views, such as [PA,AP]")
    body_part: tuple[str, ...] = setting((), "only DICOM of these body parts, such as [CHEST]")
    series_kind: tuple[str, ...] = setting((), "only DICOM series of these, such as [t1,flair]")
    weights: tuple[float, ...] = setting((), "share of each source in a batch; empty: by size")
    table: str | None = setting(None, "a CSV that names the images and their columns")
    image_column: str | None = setting(
        None, "the table's column of image names; none: found by itself"
    )
    group_column: str | None = setting(None, "the table's column of patients, who are never split")
    split_column: str | None = setting(None, "the table's column of train/val/test; none: split")
    use_all: bool = setting(False, "pre-train on images marked val or test too")
    val_fraction: float = setting(0.0, "share of the groups kept for a validation loss")
    cache_dir: str = setting("", "where raw folders are prepared; empty: the user's cache folder")

    def __post_init__(self) -> None:
        _require(self.num_workers >= 0, "data.num_workers", "0 or more", self.num_workers)
        _require(0 <= self.val_fraction < 1, "data.val_fraction", "in [0, 1)", self.val_fraction)
        for name in (self.modality,) if isinstance(self.modality, str) else self.modality:
            _require(
                name in ("auto", *MODALITIES),
                "data.modality",
                f"auto, {', '.join(MODALITIES)}",
                name,
            )
        _require(
            self.frames_per_clip >= 0, "data.frames_per_clip", "0 or more", self.frames_per_clip
        )
        _require(
            len(self.spacing) in (0, 3) and all(step > 0 for step in self.spacing),
            "data.spacing", "[z, y, x] in mm, each above 0", self.spacing,
        )  # fmt: skip
        kinds = ("original", "derived", "secondary", "localizer")
        for name in self.kinds:
            _require(name in kinds, "data.kinds", f"of {', '.join(kinds)}", name)
        _require(all(w > 0 for w in self.weights), "data.weights", "positive numbers", self.weights)
        if self.weights and len(self.weights) != len(self.sources):
            raise ConfigError(
                f"data.weights: {len(self.weights)} weights for {len(self.sources)} sources; "
                "give one for each"
            )

    @property
    def kinds_of_image(self) -> tuple[str | None, ...]:
        """`modality` by source, None where the headers say."""
        given = (self.modality,) if isinstance(self.modality, str) else self.modality
        listed = given * len(self.sources) if len(given) == 1 else given
        return tuple(None if name == "auto" else name for name in listed)

    @property
    def sources(self) -> tuple[str, ...]:
        """The paths of `data_dir` as a tuple."""
        if isinstance(self.data_dir, str):
            return (self.data_dir,) if self.data_dir else ()
        return self.data_dir


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
            _require(getattr(self, key) > 0, f"logging.{key}", "positive", getattr(self, key))


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How a frozen encoder is judged."""

    num_bootstrap: int = setting(1000, "resamples of the patients behind every interval")
    batch_size: int = setting(64, "images embedded at once")


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    data: DataConfig = field(default_factory=DataConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    out: str = setting("", "the folder that the run writes")
    label: str | None = setting(None, "the table's column to predict (evaluate)")
    checkpoint: str | tuple[str, ...] = setting("", "a run folder or a .pt file (evaluate)")
    resume: bool = setting(False, "go on with the run in `out`")
    seed: int = setting(0, "of all random numbers")
    privacy: Literal["refuse", "allow"] = setting(
        "refuse", "DICOM whose header identifies its patient: refuse, or allow (pseudonyms, say)"
    )

    def __post_init__(self) -> None:
        _require(self.seed >= 0, "seed", "0 or more", self.seed)
