import uuid

import pytest
from deid_files import SECRET

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.pseudonyms import Pseudonyms

OURS, THEIRS = Pseudonyms(SECRET), Pseudonyms(b"b" * 32)


def test_a_uid_is_a_valid_version_4_uuid_below_2_25():
    for number in range(50):
        new = OURS.uid(f"1.2.{number}")
        assert pydicom().uid.UID(new).is_valid
        assert len(new) <= 64
        number = uuid.UUID(int=int(new.removeprefix("2.25.")))
        assert (number.version, number.variant) == (4, uuid.RFC_4122)


def test_the_same_value_has_the_same_pseudonym_and_another_secret_another():
    assert OURS.uid("1.2.3") == Pseudonyms(SECRET).uid("1.2.3 \0") != THEIRS.uid("1.2.3")
    assert OURS.patient("a") == Pseudonyms(SECRET).patient("a") != THEIRS.patient("a")
    assert OURS.accession("a", "7") != OURS.accession("b", "7")
    assert len(OURS.accession("a", "7")) <= 16


def test_the_uids_of_the_standard_stay_and_numbers_below_its_root_do_not():
    assert OURS.uid("1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1"
    assert OURS.uid("1.2.840.10008.19610412").startswith("2.25.")
    assert OURS.uid("Doe^Jane").startswith("2.25.")


def test_no_patient_keeps_his_dates():
    days = {OURS.days(f"patient {number}").days for number in range(500)}
    assert min(days) >= 1
    assert max(days) <= 3650
    assert len(days) > 400


def test_a_secret_is_long_and_never_shown():
    assert SECRET.decode() not in repr(OURS)
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(b"short")
