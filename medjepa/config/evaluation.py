"""Settings of `medjepa evaluate`: what is told apart, on which splits, beside what."""

from dataclasses import dataclass
from typing import Literal

from medjepa.config.fields import require, setting


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How a frozen encoder is judged."""

    target: Literal["classes", "multilabel", "ordinal", "regression", "survival"] = setting(
        "classes", "what label= is: classes, findings (a|b or columns), grades, numbers, time,event"
    )
    levels: tuple[str, ...] = setting((), "of an ordinal target, [low,...,high]; none: numbers")
    features: Literal["last", "last4"] = setting(
        "last", "mean patches of the last block, or of the last four, one after another"
    )
    class_weight: Literal["none", "balanced"] = setting(
        "none", "of the linear probe; balanced: each class counts alike"
    )
    few_shot: bool = setting(False, "also 1 to 20 labelled images a class, 1,000 episodes each")
    num_bootstrap: int = setting(1000, "resamples of the patients behind every interval")
    batch_size: int = setting(64, "images embedded at once")
    positive: str | tuple[str, ...] = setting(
        "", "value of the label, or [a,b], against all others; empty: each value is a class"
    )
    negative: str | tuple[str, ...] = setting(
        "", "with positive: the values it is told apart from, the rest is left out; empty: all"
    )
    num_splits: int = setting(
        1, "splits into training and test made here, averaged; 20 or more for few patients"
    )
    shortcut: str | tuple[str, ...] = setting(
        "auto", "columns that might give the label away (site, scanner, ...); auto: found; none"
    )
    study: str | None = setting(
        None, "the table's column of studies, to which clips are averaged; none: the patients"
    )
    clips: int = setting(4, "clips of a video that are embedded, evenly over its length")
    overlap: float = setting(0.25, "share of a window that its neighbour in a volume sees too")
    attentive: bool = setting(False, "also an attentive probe, on the tokens (slower)")
    slices: str = setting("", "a 2-D run: its encoder averaged over slices or frames, as baseline")
    inflated: str = setting("", "a 2-D run: its encoder inflated to volumes, as baseline")
    timm: str = setting(
        "", "an encoder of timm (resnet50.a1_in1k), with its own weights, as baseline; empty: none"
    )
    timm_weights: str = setting("", "its model.safetensors; empty: timm fetches it")
    across: str = setting(
        "", "learn at one site, test at another: site (the data= sources), or a column; empty: no"
    )
    corruptions: bool = setting(
        False, "also the test images under noise, blur, ... at five severities (slower)"
    )
    ood: str = setting("", "a folder of other images: can they be told from the test's? empty: no")

    def __post_init__(self) -> None:
        for key in ("num_bootstrap", "batch_size", "num_splits", "clips"):
            require(getattr(self, key) > 0, f"evaluation.{key}", "positive", getattr(self, key))
        require(
            bool(self.timm) or not self.timm_weights,
            "evaluation.timm_weights",
            "given together with evaluation.timm, its name",
            self.timm_weights,
        )
        require(0 <= self.overlap < 1, "evaluation.overlap", "in [0, 1)", self.overlap)
        require(
            bool(self.positive) or not self.negative,
            "evaluation.negative",
            "given together with evaluation.positive",
            self.negative,
        )
        both = sorted(set(self.positives) & set(self.negatives))
        require(not both, "evaluation.positive", "other values than evaluation.negative", both)

    @property
    def positives(self) -> tuple[str, ...]:
        """`positive` as a tuple."""
        return _several(self.positive)

    @property
    def negatives(self) -> tuple[str, ...]:
        """`negative` as a tuple."""
        return _several(self.negative)

    @property
    def shortcuts(self) -> tuple[str, ...] | None:
        """Columns that are looked at as shortcuts; None where they are to be found."""
        if self.shortcut == "auto":
            return None
        if isinstance(self.shortcut, str):
            return () if self.shortcut.lower() in ("", "none") else (self.shortcut,)
        return self.shortcut


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return value
