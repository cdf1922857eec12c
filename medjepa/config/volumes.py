"""Sizes of volumes and clips that follow from several settings."""

from medjepa.config.schema import Config
from medjepa.errors import ConfigError


def crop_of(config: Config) -> tuple[int, int, int]:
    """The size of a crop: `data.crop`, else what the model sees."""
    size = config.data.crop or config.model.image_size
    if isinstance(size, int):
        return size, size, size
    if len(size) != 3:
        raise ConfigError(f"data.crop: [z, y, x] or [t, y, x], got {list(size)}")
    return size[0], size[1], size[2]


def frame_size_of(config: Config) -> tuple[int, int] | None:
    """(H, W) to which the frames of clips are brought; None for volumes, which stay as they are."""
    if config.model.kind == "volume":
        return None
    size = config.data.target_size
    return (size, size) if isinstance(size, int) else (size[0], size[1])
