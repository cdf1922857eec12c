"""Well formed headers that say anything: a finite image of the right shape, or a refusal."""

import math
import warnings

import numpy as np
import pytest
from fuzz.dicom_headers import structured_dicom
from fuzz.nifti_headers import structured_nifti
from hypothesis import HealthCheck, event, given, settings

from medjepa.data import read
from medjepa.data.decode.dicom_header import read_dataset
from medjepa.errors import InputError

drawn = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("drawn")


def image_of(path):
    """Read; None if it is refused, with its path first."""
    refusal = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = read(path)
    except InputError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith(str(path))
        event("refused")
        return None
    assert np.isfinite(image.array).all()
    assert image.array.ndim == 1 + len(image.axes) == 1 + len(image.spacing)
    event("image")
    return image


@settings(drawn, max_examples=150)
@given(structured_dicom())
def test_dicom_of_any_header(folder, file):
    path = folder / "a.dcm"
    path.write_bytes(file.content)
    image = image_of(path)
    if image is None:
        return
    header = read_dataset(str(path), header_only=True)
    assert image.array.shape[-2:] == (header.Rows, header.Columns)
    if file.num_odd == 0:
        frames, rows, columns, samples = file.shape
        channels = 3 if header.PhotometricInterpretation == "PALETTE COLOR" else samples
        assert image.array.shape[0] == channels
        assert math.prod(image.array.shape) == channels * frames * rows * columns
        assert ("z" in image.axes or "t" in image.axes) == (frames > 1)


@settings(drawn, max_examples=150)
@given(structured_nifti())
def test_nifti_of_any_header(folder, file):
    path = folder / file.name
    path.write_bytes(file.content)
    image = image_of(path)
    if file.num_odd == 0:
        assert image is not None, "a whole file was refused"
        assert sorted(n for n in image.array.shape if n > 1) == sorted(
            n for n in file.shape if n > 1
        )
