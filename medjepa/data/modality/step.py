"""One step of a recipe, and how it becomes plain values and back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from medjepa.errors import ConfigError
from medjepa.types import MedicalImage

STEPS: dict[str, type["Step"]] = {}
"""Every step by its name in a checkpoint."""


@dataclass(frozen=True)
class Step:
    """Image in, image out; a subclass gives `name`, `apply` and a phrase in `describe`."""

    name: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        assert cls.name, f"{cls.__name__} needs a name"
        assert cls.name not in STEPS, f"two steps are called {cls.name}"
        STEPS[cls.name] = cls

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Return the changed image."""
        raise NotImplementedError

    def describe(self) -> str:
        """One phrase for a person."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint or an index."""
        return {"step": self.name, **asdict(self)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Step":
        """Build the step that `to_dict` described.

        Raises:
            ConfigError: there is no such step, or it has no such parameter.
        """
        name = values.get("step")
        kind = STEPS.get(str(name))
        if kind is None:
            raise ConfigError(
                f"intensity step {name!r} is unknown; one of {', '.join(sorted(STEPS))}"
            )
        given = {key: _frozen(value) for key, value in values.items() if key != "step"}
        unknown = set(given) - {field.name for field in fields(kind)}
        if unknown:
            raise ConfigError(f"intensity step {name}: unknown {', '.join(sorted(unknown))}")
        return kind(**given)


def _frozen(value: object) -> object:
    return tuple(_frozen(v) for v in value) if isinstance(value, (list, tuple)) else value
