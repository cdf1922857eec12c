"""What of an archive's export is used: judged by the header, told with the setting that decides."""

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medjepa.data.selection import Selection, header_facts
from medjepa.errors import ConfigError

CR = "1.2.840.10008.5.1.4.1.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture
def facts_of(tmp_path):
    def facts(**elements):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPInstanceUID = generate_uid()
        dataset.SOPClassUID = CT
        for name, value in elements.items():
            setattr(dataset, name, value)
        path = tmp_path / "image.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return header_facts(str(path))

    return facts


@pytest.mark.parametrize(
    ("elements", "kind"),
    [
        ({"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}, "original"),
        ({"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "derived"),
        ({"Modality": "CT", "ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MIP"]}, "derived"),
        # Lossy compression makes an image DERIVED; it is still the slice that was acquired.
        ({"Modality": "CT", "ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}, "original"),
        ({"Modality": "MR", "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}, "derived"),
        # A radiograph "for presentation".
        ({"Modality": "DX", "ImageType": ["DERIVED", "PRIMARY"], "SOPClassUID": CR}, "original"),
        ({"Modality": "OT", "SOPClassUID": CAPTURE}, "secondary"),
        ({"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "secondary"),
        ({"Modality": "CT", "SeriesDescription": "Dose Report"}, "secondary"),
        # A radiograph that a tool has wrapped as a capture keeps its view.
        ({"Modality": "CR", "SOPClassUID": CAPTURE, "ViewPosition": "PA"}, "original"),
        ({"Modality": "SEG", "ImageType": ["DERIVED", "PRIMARY"]}, "derived"),
        ({}, "original"),
    ],
)
def test_the_kind_of_an_image(facts_of, elements, kind):
    facts = facts_of(**elements)
    assert facts["kind"] == kind
    assert (Selection().why_not(facts) == "") == (kind == "original")
    assert Selection(kinds=()).why_not(facts) == ""


def test_free_text_never_comes_out(facts_of):
    facts = facts_of(
        Modality="SMITH",
        BodyPartExamined="JOHN SMITH",
        ViewPosition="SMITH",
        Laterality="SMITH",
        SeriesDescription="T1 of John Smith",
        ProtocolName="SMITH",
        ContrastBolusAgent="for Mr Smith",
        ImageType=["ORIGINAL", "PRIMARY", "SMITH"],
    )
    assert "SMITH" not in str(facts).upper()
    assert facts["series_kind"] == "t1" and facts["contrast"] == "yes"


@pytest.mark.parametrize("code", ["R-10226", "399368009"])
def test_a_view_may_be_coded(facts_of, code):
    item = Dataset()
    item.CodeValue = code
    assert facts_of(Modality="MG", ViewCodeSequence=[item])["view"] == "MLO"


@pytest.mark.parametrize(
    ("orientation", "plane"),
    [
        ([1, 0, 0, 0, 1, 0], "axial"),
        ([1, 0, 0, 0, 0, -1], "coronal"),
        ([0, 1, 0, 0, 0, -1], "sagittal"),
        ([1, 0, 0, 0, 0.70711, 0.70711], "oblique"),
    ],
)
def test_the_plane_follows_from_the_normal(facts_of, orientation, plane):
    assert facts_of(Modality="MR", ImageOrientationPatient=orientation)["plane"] == plane


def test_what_is_asked_for_is_compared_without_case_and_blanks(facts_of):
    facts = facts_of(Modality="CR", ViewPosition="LL", BodyPartExamined="CHEST")
    assert Selection(view=("lat",), body_part=("chest",)).why_not(facts) == ""
    assert "data.view" in Selection(view=("PA",)).why_not(facts)
    assert "data.body_part" in Selection(body_part=("HAND",)).why_not(facts)
    assert "data.select_modality" in Selection(modality=("CT",)).why_not(facts)
    assert "data.series_kind" in Selection(series_kind=("t1",)).why_not(facts)


def test_other_formats_are_always_used(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert header_facts(str(path)) == {}
    assert Selection(modality=("CT",), view=("PA",)).why_not({}) == ""


def test_an_unknown_kind_lists_the_known():
    with pytest.raises(ConfigError, match=r"data\.kinds.*localizer"):
        Selection(kinds=("scouts",))
