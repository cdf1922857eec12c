"""How a setting is declared, and how a value is refused."""

from dataclasses import field
from typing import Any

from medjepa.errors import ConfigError

FrameSize = int | tuple[int, int]
"""One number for both sides, or [height, width]."""
ImageSize = int | tuple[int, int] | tuple[int, int, int]
"""One number for both sides, [height, width], or three for volumes and clips."""


def setting(default: object, doc: str) -> Any:  # noqa: ANN401 - a dataclass field of any type
    """Declare one setting; `doc` is its line in the help text and in the base file."""
    return field(default=default, metadata={"doc": doc})


def require(condition: bool, key: str, wanted: str, value: object) -> None:
    """Refuse the value of a key unless the condition holds.

    Raises:
        ConfigError: naming the key, what is wanted and what was given.
    """
    if not condition:
        raise ConfigError(f"{key}: must be {wanted}, got {value!r}")


def require_scale(key: str, scale: tuple[float, ...]) -> None:
    """Refuse what is no range of shares; as `require`."""
    is_range = len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1
    require(is_range, key, "[low, high] with 0 < low <= high <= 1", scale)
