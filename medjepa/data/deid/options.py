"""What a de-identification may keep, by the names of the options of PS3.15 table E.1-1."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Options:
    """The profile and its options.

    Attributes:
        profile: "strict" (only attributes that are needed to decode, place, time and measure the
            pixels) or "basic" (everything but what the standard's table lists).
        dates: "shift" by whole days, one offset per patient; "remove"; or "keep".
        times: times of day "remove"d, turned by one offset per patient ("shift"), or "keep".
        retain_uids: leave UIDs as they are.
        retain_device: leave what names the device (basic), manufacturer and model (strict).
        retain_institution: leave what names the institution (basic only).
        retain_patient_characteristics: leave sex, age, size and weight.
        retain_safe_private: leave the private attributes that the standard calls safe (basic only).
        clean_descriptors: keep the known words of descriptions (basic only).
        clean_structured: keep codes and numbers of structured reports.
        clean_graphics: keep drawn annotations without their texts (basic only).
        clean_pixels: "quarantine" what may have text burned in, or "blank" what was found.
        clean_faces: a tool that removes the face from head volumes (pydeface, fsl_deface, or a
            command line with {input} and {output}); "" warns only.
        regions: a file with rectangles to blank or keep, by device; "ctp": the published ones.
        ocr: a program that looks for text beside our own search; "" for none.
    """

    profile: Literal["strict", "basic"] = "strict"
    dates: Literal["shift", "remove", "keep"] = "shift"
    times: Literal["remove", "shift", "keep"] = "remove"
    retain_uids: bool = False
    retain_device: bool = False
    retain_institution: bool = False
    retain_patient_characteristics: bool = False
    retain_safe_private: bool = False
    clean_descriptors: bool = False
    clean_structured: bool = False
    clean_graphics: bool = False
    clean_pixels: Literal["quarantine", "blank"] = "quarantine"
    clean_faces: str = ""
    regions: str = ""
    ocr: Literal["", "tesseract"] = ""

    def columns(self) -> tuple[str, ...]:
        """Columns of the table that are asked for, the one that counts most first."""
        names = [
            name
            for name in (
                "retain_uids", "retain_device", "retain_institution",
                "retain_patient_characteristics", "retain_safe_private", "clean_descriptors",
                "clean_structured", "clean_graphics",
            )
            if getattr(self, name)
        ]  # fmt: skip
        dates = {"keep": ["keep_dates"], "shift": ["shift_dates"], "remove": []}[self.dates]
        return (*dates, *names)
