"""What both profiles promise: relations hold, markers tell, the source is not touched."""

import datetime

import pytest
from deid_files import SECRET, clean, ct, plant, reread, written

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.identity import Quarantined
from medjepa.data.deid.options import Options
from medjepa.data.deid.table import action_of, row_of

BOTH = pytest.mark.parametrize("profile", ["strict", "basic"])


@BOTH
def test_references_follow_and_patients_stay_apart(profile):
    item = pydicom().Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3.4.5"
    first, second = (
        clean(ct(AccessionNumber="77"), profile=profile),
        clean(ct(SOPInstanceUID="1.2.3.9", ReferencedImageSequence=[item]), profile=profile),
    )
    assert second.ReferencedImageSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert first.StudyInstanceUID == second.StudyInstanceUID != ct().StudyInstanceUID
    assert first.PatientID == second.PatientID == second.PatientName
    other = clean(ct(PatientID="MRN-4712", AccessionNumber="77"), profile=profile)
    assert other.PatientID != first.PatientID
    assert other.AccessionNumber != first.AccessionNumber != "77"
    assert clean(ct(PatientID=" MRN-4711 "), profile=profile).PatientID == first.PatientID
    assert clean(ct(IssuerOfPatientID="B"), profile=profile).PatientID != first.PatientID


@BOTH
def test_days_between_two_studies_of_a_patient_stay(profile):
    days = [
        datetime.datetime.strptime(clean(ct(StudyDate=d), profile=profile).StudyDate, "%Y%m%d")
        for d in ("20010203", "20010312")
    ]
    assert (days[1] - days[0]).days == 37
    assert days[0] != datetime.datetime(2001, 2, 3)


@BOTH
def test_without_a_patient_each_study_is_one(profile):
    one, same, other = (
        clean(ct(PatientID=None, StudyInstanceUID=uid), profile=profile)
        for uid in ("1.2.1", "1.2.1", "1.2.2")
    )
    assert one.PatientID == same.PatientID != other.PatientID


@BOTH
def test_it_is_the_same_each_time_and_another_with_another_secret(profile):
    source = reread(ct(ImageType=["ORIGINAL", "PRIMARY"]))
    before = written(source)
    first, again = clean(source, profile=profile), clean(source, profile=profile)
    assert first == again
    assert written(source) == before
    assert clean(source, b"c" * 32, profile=profile).SOPInstanceUID != first.SOPInstanceUID
    # What is clean can be cleaned again, and loses nothing but its names.
    twice = clean(first, profile=profile)
    assert set(twice.dir()) == set(first.dir())


@BOTH
def test_the_result_says_what_was_done(profile):
    result = clean(ct(), profile=profile)
    assert result.PatientIdentityRemoved == "YES"
    assert result.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [item.CodeValue for item in result.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107"]
    assert clean(ct(), dates="remove").LongitudinalTemporalInformationModified == "REMOVED"


@BOTH
def test_an_identity_that_is_not_text_keeps_the_file_back(profile):
    source = ct(PatientID=None)
    source.add_new(0x00100020, "OB", b"MRN-4711")
    with pytest.raises(Quarantined, match="PatientID"):
        clean(source, profile=profile)


def test_every_listed_attribute_goes_at_every_depth_in_the_basic_profile():
    source = ct()
    deep = inner = pydicom().Dataset()
    for _ in range(12):
        outer = pydicom().Dataset()
        outer.SourceImageSequence = [inner]
        inner = outer
    source.SourceImageSequence = [inner]
    for place in (source, deep):
        for name in ("InstitutionName", "OperatorsName", "PatientBirthName", "StationName"):
            setattr(place, name, f"QZ{name[:9]}")
    assert b"QZ" in written(source)
    result = clean(reread(source), profile="basic")
    assert b"QZ" not in written(_with_meta(result))


@BOTH
def test_tables_of_where_frames_begin_go(profile):
    """Frames are put together anew, and places of the old ones would be wrong."""
    source = ct(ExtendedOffsetTable=b"MUELLER1", ExtendedOffsetTableLengths=b"MUELLER2")
    result = clean(source, profile=profile)
    assert "ExtendedOffsetTable" not in result
    assert "ExtendedOffsetTableLengths" not in result


def test_values_that_are_not_of_their_type_go_in_the_basic_profile():
    source = ct()
    for name in ("KVP", "AcquisitionNumber", "ScanOptions"):
        plant(source, pydicom().datadict.tag_for_keyword(name), "LO", "doe^jane")
    assert b"doe^jane" not in written(_with_meta(clean(reread(source), profile="basic")))
    assert clean(ct(KVP="120", ScanOptions="FS"), profile="basic").ScanOptions == "FS"


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        ("retain_uids", "SOPInstanceUID", "1.2.3.4.5"),
        ("retain_device", "DeviceSerialNumber", "SN 1"),
        ("retain_institution", "InstitutionName", "Clinic"),
        ("retain_patient_characteristics", "PatientSex", "F"),
        ("clean_descriptors", "StudyDescription", "CHEST CT WITH CONTRAST"),
    ],
)
def test_an_option_keeps_its_column_of_the_table_and_only_that(option, name, value):
    source = ct(**{name: value})
    assert clean(source, profile="basic").get(name) != value
    assert clean(source, profile="basic", **{option: True})[name].value == value
    assert row_of(source[name].tag)[option] in "KC"


def test_a_cleaned_description_keeps_known_words_only():
    source = ct(StudyDescription="Chest CT of Jane Doe, born 1961-04-12")
    result = clean(source, profile="basic", clean_descriptors=True)
    assert result.StudyDescription == "Chest CT"


def test_choices_of_the_standard_are_made_so_that_the_object_stays_valid():
    options = Options(profile="basic", dates="remove")
    assert action_of(0x00080080, options) in ("X", "Z", "D")
    assert action_of(0x00081140, options) == "U"
    assert action_of(0x60004000, options) == action_of(0x601E4000, options) == "X"
    assert action_of(0x00280010, options) is None


def test_private_attributes_stay_only_if_listed_and_asked_for():
    source = ct()
    block = source.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0E, "LO", "Jane Doe")
    block.add_new(0x99, "LO", "Jane")
    other = source.private_block(0x0021, "DOE JANE", create=True)
    other.add_new(0x0C, "IS", "1000")
    assert not any(e.tag.is_private for e in clean(source, profile="basic"))
    kept = clean(source, profile="basic", retain_safe_private=True)
    private = {e.tag: e.value for e in kept if e.tag.is_private}
    assert private == {0x00190010: "SIEMENS MR HEADER", 0x0019100C: 1000}
    assert not any(e.tag.is_private for e in clean(source, retain_safe_private=True))


def test_documents_stay_behind():
    pdf = ct(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1")
    with pytest.raises(Quarantined, match="document"):
        clean(pdf)


def _with_meta(target):
    target.file_meta = ct().file_meta
    assert SECRET not in written(target)
    return target
