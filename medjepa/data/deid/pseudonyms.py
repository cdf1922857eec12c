"""Keyed, one-way replacements: the same secret gives the same pseudonyms, another none of them."""

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from datetime import timedelta

from medjepa.data.decode.dicom_library import pydicom

STANDARD_ROOT = "1.2.840.10008."
"""UIDs that the DICOM standard itself defines (classes, syntaxes, code lists): they name nobody."""
SECRET_BYTES = 32
_MAX_DAYS = 3650
_MICROSECONDS_OF_A_DAY = 24 * 3600 * 10**6


def is_standard(uid: str) -> bool:
    """Whether the standard lists this UID; another number below its root could be anybody's."""
    return uid.startswith(STANDARD_ROOT) and uid in pydicom().uid.UID_dictionary


@dataclass(frozen=True)
class Pseudonyms:
    """HMAC-SHA256 of a project's secret and a value; whoever has no secret cannot test a guess.

    One secret is one project: its patients can be linked with each other and with no other's.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < SECRET_BYTES:
            raise ValueError(f"a secret has at least {SECRET_BYTES} bytes")

    def uid(self, value: str) -> str:
        """A valid UID below 2.25 (a version 4 UUID, PS3.5 section B.2); the standard's own stay."""
        value = value.strip(" \0")
        if not value or is_standard(value):
            return value
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', value)[:16], version=4).int}"

    def patient(self, identity: str) -> str:
        """A name for a patient; 80 bits, so that two patients never share one."""
        return "P" + self._short("patient", identity)

    def accession(self, identity: str, number: str) -> str:
        """An accession number (SH, at most 16 characters)."""
        return "A" + self._short("accession", f"{identity}\0{number.strip()}")[:15]

    def days(self, identity: str) -> timedelta:
        """By how much a patient's dates move into the past: whole days, never none."""
        number = int.from_bytes(self._digest("days", identity)[:8], "big")
        return timedelta(days=1 + number % _MAX_DAYS)

    def time_of_day(self, identity: str) -> timedelta:
        """By how much a patient's times of day are turned, never by nothing."""
        number = int.from_bytes(self._digest("time", identity)[:8], "big")
        return timedelta(microseconds=1 + number % (_MICROSECONDS_OF_A_DAY - 1))

    def _short(self, purpose: str, value: str) -> str:
        return base64.b32encode(self._digest(purpose, value)[:10]).decode()

    def _digest(self, purpose: str, value: str) -> bytes:
        message = f"{purpose}\0{value}".encode("utf-8", "surrogateescape")
        return hmac.new(self.secret, message, hashlib.sha256).digest()
