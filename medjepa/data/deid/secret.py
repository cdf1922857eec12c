"""The secret of a project: made once, kept beside the output, never in it."""

import os
import secrets
from pathlib import Path

from medjepa.data.deid.pseudonyms import SECRET_BYTES
from medjepa.data.files import PRIVATE_FILE_MODE, write_atomic
from medjepa.errors import ConfigError


def project_secret(path: Path) -> bytes:
    """Read the secret, or make one that only its owner can read.

    Raises:
        ConfigError: the file is too short to be a secret, or cannot be read.
    """
    try:
        content = path.read_bytes().strip()
    except FileNotFoundError:
        content = secrets.token_hex(SECRET_BYTES).encode()
        write_atomic(path, content + b"\n", mode=PRIVATE_FILE_MODE)
    except OSError as error:
        raise ConfigError(
            f"secret={path}: cannot be read: {os.strerror(error.errno or 0)}"
        ) from error
    if len(content) < SECRET_BYTES:
        raise ConfigError(
            f"secret={path}: holds {len(content)} bytes, a secret has at least {SECRET_BYTES}; "
            "name a file that does not exist, and one is made"
        )
    return content
