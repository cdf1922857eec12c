"""What can go wrong for a user: each error says what, which file or key, and what to do next."""

import errno
from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "free some space, then run the same command again",
    errno.EDQUOT: "your quota is used up: free some space, then run the same command again",
    errno.EFBIG: "larger than a file may be here (ulimit -f): have the limit raised",
    errno.EROFS: "the disk is mounted read-only: choose another folder",
    errno.EACCES: "you may not do that here: choose another folder, or have its rights changed",
    errno.EPERM: "you may not do that here: choose another folder, or have its rights changed",
    errno.EIO: "the disk, or the network that it is reached by, failed: look at it first",
    errno.ESTALE: "the network drive has gone away: mount it again",
    errno.ENAMETOOLONG: "choose a shorter name",
}


class MedJEPAError(Exception):
    """The root of every error that MedJEPA raises on purpose."""


class ConfigError(MedJEPAError, ValueError):
    """A setting is unknown, of the wrong type, or contradicts another."""


class DataError(MedJEPAError, ValueError):
    """A table, a split or a store does not hold together (a patient in two splits, say)."""


class CheckpointError(MedJEPAError, ValueError):
    """A checkpoint cannot be read, or does not fit the model asked for."""


class TrainingError(MedJEPAError, RuntimeError):
    """Training cannot go on: the loss is no longer a number, say."""


class InputError(MedJEPAError, ValueError):
    """A file cannot be used as an image; the text begins with its path as it was given."""

    def __init__(self, path: str | Path, reason: str, *, format: str = "") -> None:
        self.path = str(path)
        self.format = format
        self.reason = reason
        super().__init__(self.path, reason, format)

    def __str__(self) -> str:
        kind = f" ({self.format})" if self.format else ""
        return f"{self.path}{kind}: {self.reason}"

    def __reduce__(self) -> tuple[object, ...]:
        # Decoding runs in worker processes; the default pickling would lose the keyword argument.
        return (_rebuild_input_error, (self.path, self.reason, self.format))


def _rebuild_input_error(path: str, reason: str, kind: str) -> InputError:
    return InputError(path, reason, format=kind)


class InputWarning(UserWarning):
    """A file was repaired or is doubtful; the text says what was assumed."""


def refused_by_the_machine(error: OSError) -> str | None:
    """What a full disk or a missing right needs, in a sentence; None where a bug is likelier."""
    if error.errno not in _ADVICE:
        return None
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror}; {_ADVICE[error.errno]}"
