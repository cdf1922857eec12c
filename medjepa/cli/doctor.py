"""`medjepa doctor`: what this machine has for the job; writes nothing."""

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from medjepa import __version__
from medjepa.errors import ConfigError

HELP = """\
usage: medjepa doctor

Prints versions, the device that would be used, cores, memory, free disk space, and for each kind
of file whether its decoder works. Writes nothing. Exit status 1 if something needed is missing.
"""
# What decodes which files: distribution, import name.
DECODERS = (
    ("PNG, JPEG", "pillow", "PIL.Image"),
    ("TIFF", "tifffile", "tifffile"),
    ("TIFF and SVS codecs", "imagecodecs", "imagecodecs"),
    ("DICOM", "pydicom", "pydicom"),
    ("DICOM JPEG 2000", "pylibjpeg-openjpeg", "openjpeg"),
    ("DICOM RLE", "pylibjpeg-rle", "rle"),
    ("DICOM JPEG-LS", "pyjpegls", "jpeg_ls"),
    ("DICOM JPEG", "python-gdcm", "gdcm"),
    ("NIfTI", "nibabel", "nibabel"),
)
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "matplotlib", "safetensors", "rich")


def run(arguments: list[str]) -> int:
    """Print the facts; returns 1 if something needed is missing."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(HELP, end="")
        return 0
    if arguments:
        raise ConfigError(f"medjepa doctor takes no arguments, got {' '.join(arguments)}")
    missing: list[str] = []
    print(f"medjepa        {__version__}")
    print(f"Python         {platform.python_version()} ({sys.executable})")
    print(f"system         {platform.platform()}")
    for line in machine():
        print(line)
    for name in LIBRARIES:
        print(f"{name:<14} {version(name, missing)}")
    print("decoders")
    for what, distribution, module in DECODERS:
        print(f"  {what:<20} {decoder_state(distribution, module, missing)}")
    if missing:
        print(f"\nmissing: {', '.join(missing)}\nTo repair: pip install -e . in the checkout")
    return 1 if missing else 0


def machine() -> Iterator[str]:
    """Yield lines on device, cores, memory and disk."""
    from medjepa.utils.device import get_device

    yield f"device         {get_device()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield f"cores          {cores}"
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        yield f"memory         {memory / 1e9:.1f} GB"
    yield f"free disk here {shutil.disk_usage(Path.cwd()).free / 1e9:.1f} GB"


def version(distribution: str, missing: list[str]) -> str:
    """Return an installed version; notes what is not installed in `missing`."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        missing.append(distribution)
        return "not installed"


def decoder_state(distribution: str, module: str, missing: list[str]) -> str:
    """Return a decoder's version, or why it does not work here."""
    state = version(distribution, missing)
    if state == "not installed":
        return state
    try:
        importlib.import_module(module)
    except (ImportError, OSError, AttributeError) as error:
        # A shared library that the system lacks; gdcm trips over any folder named `dl`.
        missing.append(distribution)
        return f"{state}, but it does not load: {error}"
    return state
