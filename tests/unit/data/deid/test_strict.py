"""The default profile: what is named and plausible stays, and nothing else."""

import random
import runpy
from pathlib import Path

import pytest
from deid_files import CT, clean, ct, plant, reread, written

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.checks import allowed, looks_like_text
from medjepa.data.deid.identity import Quarantined

TEXT = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI",
        "UR", "UT")  # fmt: skip
BYTES = ("OB", "OW", "OF", "OD", "OL", "OV", "UN")
# Without these there is no image to clean; and a bad one keeps the file out, tested below.
BASE = {*ct().dir(), "PixelSpacing", "NumberOfFrames", "FloatPixelData", "DoubleFloatPixelData",
        "PlanarConfiguration", "SpecificCharacterSet"}  # fmt: skip


def flooded(names_of: str | None):
    """A CT image with a token of its own in every attribute of the standard."""
    from pydicom.datadict import DicomDictionary, dictionary_VR, keyword_for_tag

    source, item, tokens = ct(), pydicom().Dataset(), {}
    rng = random.Random(0)
    for tag in DicomDictionary:
        keyword, vr = keyword_for_tag(tag), dictionary_VR(tag).split(" or ")[0]
        if tag >> 16 in (0, 2, 4, 0xFFFE) or not keyword or keyword in BASE:
            continue
        token = "QZ" + "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=14))
        if vr in TEXT or vr in BYTES:
            value = token if vr in TEXT else token.encode()
            plant(source if names_of is None else item, tag, vr, value)
            tokens[keyword] = token.encode()
    if names_of:
        setattr(source, names_of, [item])
    assert len(tokens) > 2500
    return source, tokens


@pytest.mark.parametrize("place", [None, "ReferencedImageSequence", "FrameContentSequence"])
def test_no_text_in_any_attribute_of_the_standard_survives(place):
    source, tokens = flooded(place)
    content = written(_with_meta(clean(reread(source))))
    assert [name for name, token in tokens.items() if token in content] == []


def test_private_overlay_curve_and_unknown_elements_go():
    source = ct()
    for tag in (0x00190010, 0x00191001, 0x60004000, 0x60003000, 0x50000030, 0x00082200, 0x00189FF0):
        plant(source, tag, "LO", "QZTOKEN")
    assert b"QZTOKEN" in written(source)
    assert b"QZTOKEN" not in written(_with_meta(clean(reread(source))))


PLAUSIBLE = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "BodyPartExamined": "CHEST",
    "SliceThickness": "1.25",
    "PixelSpacing": [0.48828125, 0.48828125],
    "ImagePositionPatient": [-125.5, -110.25, 80.0],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "WindowCenter": "40",
    "KVP": "120",
    "SeriesNumber": 4,
    "InstanceNumber": 17,
    "PixelPaddingValue": 4000,
    "StackID": "1",
    "PatientPosition": "HFS",
}


@pytest.mark.parametrize(("name", "value"), PLAUSIBLE.items())
def test_what_decoding_placing_and_timing_need_is_kept(name, value):
    result = reread(_with_meta(clean(reread(ct(**{name: value})))))
    assert result[name].value == ct(**{name: value})[name].value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SeriesNumber", 47110815),
        ("InstanceNumber", 123456789),
        ("PixelPaddingValue", 54321),  # of 12 bits
        ("KVP", "19610412"),
        ("BodyPartExamined", "JANE DOE"),
        ("WindowCenter", "19610412"),
        ("FrameIncrementPointer", 0x00181063),  # points at a FrameTime that is not there
        ("Modality", "DOE"),
        ("SmallestImagePixelValue", 4711),
    ],
)
def test_what_is_not_plausible_goes(name, value):
    assert name not in clean(reread(ct(**{name: value})))


def test_image_type_keeps_its_known_values_in_their_places():
    kept = clean(ct(ImageType=["DERIVED", "PRIMARY", "DOE JANE", "MPR", "19610412"])).ImageType
    assert list(kept) == ["DERIVED", "PRIMARY", "OTHER", "MPR"]


@pytest.mark.parametrize(
    ("name", "value"), [("RescaleSlope", "Doe"), ("RescaleIntercept", "1961041219"), ("Rows", None)]
)
def test_pixels_without_what_gives_them_meaning_do_not_leave(name, value):
    source = ct(**{name: None})
    if value is not None:
        plant(source, pydicom().datadict.tag_for_keyword(name), "DS", value)
        with pytest.raises(Quarantined, match=name):
            clean(reread(source))
    else:
        source.add_new(0x00280010, "US", 0)
        with pytest.raises(Quarantined, match=name):
            clean(reread(source))


def test_codes_are_kept_with_the_meaning_that_their_list_gives():
    source = ct()
    known, unknown = pydicom().Dataset(), pydicom().Dataset()
    known.CodeValue, known.CodingSchemeDesignator, known.CodeMeaning = "51185008", "SCT", "Mrs Doe"
    unknown.CodeValue, unknown.CodingSchemeDesignator, unknown.CodeMeaning = "T-1", "99X", "Mrs Doe"
    source.AnatomicRegionSequence, source.ViewCodeSequence = [known], [unknown]
    result = clean(reread(source))
    assert "Doe" not in str(result)
    assert result.AnatomicRegionSequence[0].CodeValue == "51185008"
    assert result.AnatomicRegionSequence[0].CodeMeaning
    assert "ViewCodeSequence" not in result


def test_a_look_up_table_is_as_long_as_it_says_and_holds_no_text():
    def with_table(content: bytes):
        item = pydicom().Dataset()
        item.add_new(0x00283002, "US", [32, 0, 16])
        item.add_new(0x00283006, "OW", content)
        item.LUTExplanation = "Doe^Jane"
        return ct(VOILUTSequence=[item])

    ramp = b"".join((v * 2000).to_bytes(2, "little") for v in range(32))
    assert clean(reread(with_table(ramp))).VOILUTSequence[0].LUTData == ramp
    assert "Doe" not in str(clean(reread(with_table(ramp))))
    for bad in (ramp + b"JANE DOE", (b"DOE^JANE*19610412 MRN 4711 WARD 9" * 2)[:64]):
        kept = clean(reread(with_table(bad))).get("VOILUTSequence", [])
        assert not any("LUTData" in item for item in kept)


def test_text_is_told_from_ramps():
    assert looks_like_text(b"\0\0DOE^JANE 1961\0")
    assert looks_like_text(b"\0".join(bytes([c]) for c in b"DOE^JANE 1961"))
    assert not looks_like_text(bytes(range(256)))
    assert not looks_like_text(bytes(v for v in range(256) for _ in (0, 1)))


def test_the_lists_name_attributes_once_and_of_the_standard():
    assert 150 <= len(allowed()) <= 320
    assert pydicom().datadict.tag_for_keyword("SOPClassUID") in allowed()


@pytest.mark.parametrize("kind", ["1.2.3.4", "1.2.840.10008.19610412", None])
def test_an_unknown_kind_of_object_stays_behind(kind):
    source = ct()
    source.SOPClassUID = kind or ""
    with pytest.raises(Quarantined, match="kind of object"):
        clean(source)


def test_patient_characteristics_only_on_request_and_high_ages_capped():
    source = ct(PatientAge="097Y", PatientSex="F", PatientWeight="61.23456")
    assert not clean(source).PatientSex
    assert "PatientAge" not in clean(source)
    kept = clean(source, retain_patient_characteristics=True)
    assert (kept.PatientAge, kept.PatientSex, float(kept.PatientWeight)) == ("090Y", "F", 61.23)


def _with_meta(target):
    target.file_meta = ct().file_meta
    target.SOPClassUID = CT
    return target


def test_the_page_of_kept_attributes_is_the_list():
    script = Path(__file__).parents[4] / "scripts" / "deid_kept.py"
    made = runpy.run_path(str(script))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"]()
