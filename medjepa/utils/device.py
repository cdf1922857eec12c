"""Which device computes."""

import os
import platform
from functools import cache

import torch

from medjepa.errors import ConfigError
from medjepa.utils.logging import get_logger


def get_device() -> torch.device:
    """Return the best device here: cuda, then mps, then cpu."""
    return _best_device()


@cache
def _best_device() -> torch.device:
    # Cached, so that the choice is logged once and not at every call.
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda")
    elif torch.backends.mps.is_available():
        device = torch.device("mps")
    get_logger(__name__).info("computing on %s", device.type)
    return device


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; "auto" is the best one.

    Raises:
        ConfigError: this machine has no such device.
    """
    if name == "auto":
        return get_device()
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(name, False):
        usable = ", ".join(device for device, there in available.items() if there)
        raise ConfigError(f"hardware.device={name}: not available here; available: {usable}, auto")
    return torch.device(name)


def available_cpus() -> int:
    """Return how many processors this process may use: a container may not give all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_device_info() -> dict[str, str]:
    """Print a short table of device, memory and versions, and return it."""
    device = get_device()
    info = {
        "device": device.type,
        "cpus": str(available_cpus()),
        "threads": str(torch.get_num_threads()),
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        info["card"] = f"{card.name}, {card.total_memory / 2**30:.0f} GiB"
        info["bfloat16"] = "yes" if torch.cuda.is_bf16_supported() else "no"
    info["torch"] = str(torch.__version__)
    info["python"] = platform.python_version()
    for name, value in info.items():
        print(f"{name:<9} {value}")  # noqa: T201 - the guide's name for printing this
    return info
