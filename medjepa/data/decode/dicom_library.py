"""pydicom, imported so that a stray folder cannot break it, and the errors that it raises."""

import importlib
import struct
import sys
import warnings
import zlib
from types import ModuleType


def pydicom() -> ModuleType:
    """Return pydicom.

    It imports gdcm, which does `import dl`, a module that Python 3 no longer has: any folder of
    that name on the path is taken for it, and the import of pydicom dies with AttributeError.
    """
    if "pydicom" not in sys.modules:
        blocked = {name: None for name in ("dl", "DLFCN") if name not in sys.modules}
        sys.modules.update(blocked)  # type: ignore[arg-type]  # None makes the import fail
        try:
            with warnings.catch_warnings():
                # gdcm's bindings are not yet silent about their own types on newer Pythons.
                warnings.simplefilter("ignore", DeprecationWarning)
                importlib.import_module("pydicom.pixels")
        finally:
            for name in blocked:
                sys.modules.pop(name, None)
    return sys.modules["pydicom"]


_ERRORS = (
    OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, LookupError,
    NotImplementedError, RuntimeError, RecursionError, OverflowError, ArithmeticError,
    StopIteration, struct.error, zlib.error,
)  # fmt: skip


def errors() -> tuple[type[BaseException], ...]:
    """What pydicom and its decoders raise on damaged files (found by damaging them).

    To be called once something was raised: a decoder written in Rust panics with an exception that
    is no `Exception`, can be imported from nowhere, and does not exist before the first panic.
    """
    own = pydicom().errors
    panics = (e for e in BaseException.__subclasses__() if e.__name__ == "PanicException")
    return (*_ERRORS, own.InvalidDicomError, own.BytesLengthException, *panics)
