"""Training: the loop, its schedule, and the losses under the names users know."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medjepa.training.run import RunResult, pretrain
    from medjepa.training.trainer import MedJEPATrainer

__all__ = ["MedJEPATrainer", "RunResult", "pretrain"]


def __getattr__(name: str) -> object:
    # The losses are used without a data pipeline: only those who train pay for its imports.
    from importlib import import_module

    homes = {"MedJEPATrainer": "trainer", "RunResult": "run", "pretrain": "run"}
    if name in homes:
        return getattr(import_module(f"medjepa.training.{homes[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
