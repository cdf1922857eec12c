"""What an attribute can tell: which option of a profile keeps it, and how it is searched for."""

from functools import cache

from medjepa.data.verify.elements import dictionary_vr, keyword

ALLOWED = {
    "uids": "UIDs were kept on purpose",
    "dates": "dates were kept on purpose",
    "times": "times of day were kept on purpose",
    "device": "manufacturer, model and other facts of the device were kept on purpose",
    "institution": "name and address of the institution were kept on purpose",
    "characteristics": "sex, age, size and weight were kept on purpose",
    "descriptions": "descriptions and comments were cleaned, not removed",
    "technical": "text in attributes that the standard's table does not list (profile=basic)",
    "private": "private attributes that the standard calls safe were kept on purpose",
}
"""What may be allowed to stay, and why one would."""

TEXT = frozenset(
    (
        "AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC",
        "UI", "UR", "UT",
    )
)  # fmt: skip
WORDY = frozenset(
    (
        "AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT",
    )
)  # fmt: skip
"""VRs in which a short number is not a measurement."""
FREE = frozenset(("LT", "ST", "UT", "UC", "UR"))
NUMERIC = frozenset(
    (
        "AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV",
    )
)  # fmt: skip

_DEVICE = frozenset(
    (
        "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "StationName",
        "SoftwareVersions", "DetectorID", "GantryID", "PlateID", "CassetteID", "DeviceID",
        "DeviceUID", "DeviceLabel", "DeviceDescription", "LongDeviceDescription", "GeneratorID",
        "XRaySourceID", "SourceSerialNumber", "TransducerIdentificationSequence", "LensMake",
        "LensModel", "LensSerialNumber", "ScheduledStationName", "PerformedStationName",
        "ManufacturerDeviceIdentifier", "ManufacturerDeviceClassUID", "UniqueDeviceIdentifier",
        "DateOfLastCalibration", "TimeOfLastCalibration", "SecondaryCaptureDeviceID",
        "SecondaryCaptureDeviceManufacturer", "SecondaryCaptureDeviceManufacturerModelName",
        "SecondaryCaptureDeviceSoftwareVersions", "HardcopyCreationDeviceID", "StationAETitle",
    )
)  # fmt: skip
_CHARACTERISTICS = frozenset(
    (
        "PatientSex", "PatientAge", "PatientSize", "PatientWeight", "EthnicGroup", "Allergies",
        "PregnancyStatus", "SmokingStatus", "PatientSexNeutered", "MedicalAlerts",
        "SpecialNeeds", "PatientState", "PreMedication", "PatientBodyMassIndex",
        "MeasuredAPDimension", "MeasuredLateralDimension",
    )
)  # fmt: skip
_DESCRIPTIONS = ("Description", "Comments", "ProtocolName", "ReasonFor", "Label", "Text")
_TECHNICAL_GROUPS = frozenset(
    (0x0014, 0x0016, 0x0018, 0x0020, 0x0022, 0x0024, 0x0028, 0x003A, 0x0046, 0x0048, 0x0052, 0x0054,
     0x0060, 0x0062, 0x0066, 0x0068, 0x0074, 0x0076, 0x0078, 0x3002, 0x3004, 0x300A, 0x5200)
)  # fmt: skip
_TECHNICAL = frozenset(
    (
        "ImageType", "CodeValue", "CodeMeaning", "CodingSchemeDesignator", "CodingSchemeVersion",
        "LongCodeValue", "URNCodeValue", "CodingSchemeName", "MappingResource",
        "ContextGroupVersion",
        "ContextIdentifier", "Modality", "ConversionType", "PresentationIntentType",
        "LossyImageCompressionMethod", "VolumetricProperties", "PixelPresentation", "FrameType",
        "SpecificCharacterSet", "QueryRetrieveLevel", "ValueType",
        "ImplementationVersionName", "RelationshipType", "ContinuityOfContent", "CompletionFlag",
        "VerificationFlag",
        "MIMETypeOfEncapsulatedDocument", "RecommendedDisplayFrameRate", "QuantityDefinition",
    )
)  # fmt: skip
_NOT_OF_A_PATIENT = frozenset(
    (
        0x00020000, 0x00020001, 0x00020002, 0x00020010, 0x00020012, 0x00080005,
        0x00120062,
    )
)  # fmt: skip
"""What the file is, which program wrote it and that it was de-identified before."""
PERSONAL = frozenset(("PatientName", "PatientID", "OtherPatientIDs", "AccessionNumber"))


@cache
def category(tag: int, vr: str) -> str:
    """Which option keeps an attribute; "" for those that no option may keep."""
    name = keyword(tag)
    if is_private(tag):
        return "private"
    if vr == "UI" or dictionary_vr(tag) == "UI":
        return "uids"
    if name == "TimezoneOffsetFromUTC":
        return "times"
    if name in _DEVICE:
        return "device"
    if name.startswith("Institution"):
        return "institution"
    if name in _CHARACTERISTICS:
        return "characteristics"
    if vr in ("DA", "DT"):
        return "dates"
    if vr == "TM":
        return "times"
    if any(part in name for part in _DESCRIPTIONS):
        return "descriptions"
    if name in _TECHNICAL or tag >> 16 in _TECHNICAL_GROUPS or vr == "CS":
        return "technical"
    return ""


@cache
def is_private(tag: int) -> bool:
    """Whether the group is odd."""
    return bool(tag >> 16 & 1)


def says_nothing(tag: int) -> bool:
    """Whether an attribute is about the file and not about anybody."""
    return tag in _NOT_OF_A_PATIENT or tag & 0xFFFF == 0


def is_of_patient(tag: int) -> bool:
    """Whether an attribute is of the patient, the visit, the request or a finding."""
    return tag >> 16 in (0x0010, 0x0012, 0x0032, 0x0038, 0x0040)


def is_marker(tag: int) -> bool:
    """Whether an attribute says that, and how, a file was de-identified (PS3.15 section E.1)."""
    return tag in (0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280303)


def is_graphic(tag: int) -> bool:
    """Whether an attribute is of an overlay (60xx) or a curve (50xx)."""
    return tag >> 24 in (0x60, 0x50) and not is_private(tag) and tag >> 16 not in (0x5200, 0x5400)
