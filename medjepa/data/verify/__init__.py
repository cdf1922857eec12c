"""Is a de-identified copy free of its originals? Written apart from what de-identifies.

Every string of the originals that could identify is taken from their bytes, and every byte of the
output is searched for it; the structure of the output is checked by itself. Nothing of
`medjepa.data.deid` is used here: a mistake there must not be made twice.
"""

from medjepa.data.verify.attributes import ALLOWED
from medjepa.data.verify.job import Finding, VerifyReport, verify

__all__ = ["ALLOWED", "Finding", "VerifyReport", "verify"]
