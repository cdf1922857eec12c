"""The settings of `medjepa finetune`: what is learnt from labels, by whom, and for how long."""

from dataclasses import dataclass
from typing import Literal

from medjepa.config.fields import require, setting

SEGMENTERS = (
    "pretrained", "scratch", "frozen_linear", "frozen_light", "pretrained_linear", "unet"
)  # fmt: skip
"""What `methods` may name for task=segment; the first two answer whether pre-training helped."""

CLASSIFIERS = ("pretrained", "scratch", "partial", "lora", "frozen")
"""What `methods` may name for task=classify."""

DEFAULTS: dict[str, object] = {
    "methods": ("pretrained", "scratch", "frozen_linear"),
    "fractions": (1.0,),
    "batch_size": 4,
    "learning_rate": 0.01,
    "encoder_rate": 0.1,
    "layer_decay": 0.8,
}
"""What an empty setting or a 0 stands for."""

TASK_DEFAULTS: dict[str, dict[str, object]] = {
    "classify": {
        "methods": ("pretrained", "scratch", "frozen"),
        "fractions": (0.01, 0.1, 1.0),
        "batch_size": 32,
        "learning_rate": 0.003,
        "encoder_rate": 0.3,
        "layer_decay": 0.75,
    },
    "detect": {
        **DEFAULTS,
        "methods": ("pretrained", "scratch", "frozen"),
        "learning_rate": 0.003,
    },
}
"""Likewise, for a task that differs."""


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """How a pre-trained encoder is trained further on labels, beside what it is compared with."""

    task: Literal["segment", "classify", "detect", "point"] = setting(
        "segment",
        "segment: label maps or masks; detect: boxes; point: maps at boxes, untrained; classify: "
        "one label for each",
    )
    labels: str = setting(
        "", "a folder of label maps named as the images, or the table's column that names them"
    )
    boxes: str = setting(
        "", "a CSV of boxes, or a folder of Pascal VOC files; empty: Annotations by the images"
    )
    normals: str = setting("", "images that hold nothing to be found, a folder or a table (point)")
    background: int = setting(
        0, "value of masks that is no structure: 255 for those drawn black on white (images)"
    )
    longer_side: int | None = setting(
        None, "pixels to which images are brought; none: as they are (detect: as pre-trained)"
    )
    regions: tuple[str, ...] = setting(
        (), "what is scored where regions overlap: [WT:1+2+3,TC:1+3,ET:3]; empty: each label value"
    )
    names: tuple[str, ...] = setting(
        (), "names of the label values 1, 2, ...: [anterior,posterior]; empty: as the data say"
    )
    methods: tuple[str, ...] = setting(
        (),
        "networks that are compared, of pretrained, scratch, frozen_linear, frozen_light, "
        "pretrained_linear, unet (needs monai); detect: of pretrained, scratch, frozen; classify: "
        "of pretrained, scratch, partial, lora, frozen; empty: the task's own",
    )
    fractions: tuple[float, ...] = setting(
        (),
        "shares of the labelled patients to train on; with equal seeds nested; empty: [1.0], "
        "classify [0.01,0.1,1.0]",
    )
    draws: int = setting(3, "draws of the labelled patients, and of training, a share (classify)")
    fold: str | tuple[str, ...] = setting(
        "test", "value of the split column that is tested; several as [0,1]; all: each in turn"
    )
    seeds: tuple[int, ...] = setting((), "one network for each; empty: seed")
    steps: int | None = setting(
        None, "steps of training of each network; none: by minutes, else 1000"
    )
    minutes: float | None = setting(
        None, "minutes of training of each network, if steps is not given"
    )
    batch_size: int = setting(0, "images or crops per step; 0: 4, classify 32")
    learning_rate: float = setting(
        0.0, "the peak, of what is not pre-trained; 0: 0.01, detect and classify 0.003"
    )
    encoder_rate: float = setting(
        0.0, "the encoder's last block learns at this share of it; 0: 0.1, classify 0.3"
    )
    layer_decay: float = setting(
        0.0, "and each block before it at this share of the next; 0: 0.8, classify 0.75"
    )
    scratch_rate: float = setting(
        0.002, "the peak of the network from scratch, all its layers alike (classify)"
    )
    weight_decay: float = setting(0.02, "AdamW's; none on biases and norms")
    strength: float = setting(
        1.0, "multiplies all changes of images in training; 0 switches them off"
    )
    patience: int = setting(
        5, "of 20 looks at the validation part, those without gain that end training (classify)"
    )
    last_blocks: int = setting(2, "of the encoder, that methods=[partial] trains (classify)")
    rank: int = setting(8, "of the adapters of methods=[lora] (classify)")
    overlap: float = setting(0.5, "share of a window that its neighbour sees too, when predicting")

    def __post_init__(self) -> None:
        for key, value in TASK_DEFAULTS.get(self.task, DEFAULTS).items():
            if not getattr(self, key):
                object.__setattr__(self, key, value)
        require(bool(self.methods), "finetune.methods", "at least one method", self.methods)
        require(
            bool(self.fractions) and all(0 < share <= 1 for share in self.fractions),
            "finetune.fractions",
            "shares above 0 and up to 1",
            self.fractions,
        )
        for key in ("steps", "minutes"):
            value = getattr(self, key)
            require(value is None or value > 0, f"finetune.{key}", "positive or none", value)
        for key in (
            "batch_size", "learning_rate", "encoder_rate", "layer_decay", "scratch_rate", "draws",
            "patience", "last_blocks", "rank",
        ):  # fmt: skip
            value = getattr(self, key)
            require(value > 0, f"finetune.{key}", "above 0", value)
        for key in ("weight_decay", "strength"):
            require(getattr(self, key) >= 0, f"finetune.{key}", "0 or more", getattr(self, key))
        require(0 <= self.background <= 255, "finetune.background", "0 to 255", self.background)
        side = self.longer_side
        require(side is None or side >= 8, "finetune.longer_side", "8 or more, or none", side)
        require(0 <= self.overlap < 1, "finetune.overlap", "in [0, 1)", self.overlap)
        require(all(s >= 0 for s in self.seeds), "finetune.seeds", "0 or more", self.seeds)

    @property
    def folds(self) -> tuple[str, ...]:
        """Values of the split column that are tested, in turn."""
        return (self.fold,) if isinstance(self.fold, str) else self.fold
