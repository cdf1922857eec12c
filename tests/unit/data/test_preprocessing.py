import numpy as np
import pytest
from image_files import grey, write_dicom, write_nifti, write_png

from medjepa.data import MedicalImageDataset, MedicalImagePreprocessor, Pipeline
from medjepa.errors import ConfigError, DataError, InputError


def test_preprocess_gives_height_width_3_in_the_unit_interval(tmp_path):
    path = write_png(tmp_path / "a.png", grey(0, (30, 40), np.uint16))
    image = MedicalImagePreprocessor(target_size=(10, 12)).preprocess(path)
    assert image.shape == (10, 12, 3)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert len(np.unique(image)) > 100  # no detour through 8 bits


def test_the_steps_of_the_preprocessor(tmp_path):
    steps = MedicalImagePreprocessor(target_size=(4, 4))
    path = write_dicom(tmp_path / "a.dcm", np.arange(64, dtype=np.uint16).reshape(8, 8))
    loaded = steps.load_image(path)
    assert (loaded.dtype, loaded.shape) == (np.float32, (8, 8))
    assert steps.resize_image(loaded).shape == (4, 4)
    np.testing.assert_allclose(steps.resize_image(loaded).mean(), loaded.mean())
    assert steps.ensure_3_channels(loaded).shape == (8, 8, 3)
    assert steps.ensure_3_channels(np.zeros((8, 8, 4))).shape == (8, 8, 3)
    assert steps.normalize_intensity(loaded).max() == 1.0
    assert not steps.normalize_intensity(np.full((3, 3), 7.0)).any()
    with pytest.raises(InputError, match="NaN"):
        steps.normalize_intensity(np.array([[1.0, np.nan]]))
    with pytest.raises(InputError, match="channels"):
        steps.ensure_3_channels(np.zeros((8, 8, 2)))


def test_an_unreadable_file_or_a_volume_is_an_error_and_no_blank_image(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(InputError, match=r"a\.png"):
        MedicalImagePreprocessor().preprocess(tmp_path / "a.png")
    write_nifti(tmp_path / "b.nii", np.zeros((3, 3, 3), np.uint8), np.eye(4))
    with pytest.raises(InputError, match="zyx"):
        MedicalImagePreprocessor().preprocess(tmp_path / "b.nii")


def test_a_pipeline_comes_back_from_plain_values_and_refuses_nonsense():
    pipeline = Pipeline(size=(8, 9), channels=3, fit="pad", image_size=(4, 4))
    assert Pipeline.from_dict(pipeline.to_dict()) == pipeline
    for wrong in ({"channels": 2}, {"channels": 0}):
        with pytest.raises(ConfigError):
            Pipeline(**{"size": (8, 8), **wrong})


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        write_png(tmp_path / f"part_{number % 2}" / f"im{number}.png", grey(number))
    rows = ["image_id,dx", "im2,nevus", "im0,melanoma", "im3.png,nevus"]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    return tmp_path


def test_rows_choose_the_images_and_labels_become_indices(folder):
    dataset = MedicalImageDataset(
        folder, folder / "table.csv", label_column="dx", file_extension=".png", target_size=(6, 5)
    )
    assert len(dataset) == 3
    assert dataset.class_names == ["melanoma", "nevus"]
    image, label = dataset[1]
    assert (image.shape, label) == ((3, 6, 5), 0)
    assert [dataset[i][1] for i in range(3)] == [1, 0, 1]


def test_without_a_table_every_image_and_no_label(folder):
    dataset = MedicalImageDataset(folder, file_extension=".png", transform=lambda x: x * 0)
    assert len(dataset) == 4
    assert dataset[0].shape == (3, 224, 224)
    assert not dataset[0].any()


def test_missing_files_and_columns_are_named_at_construction(folder):
    with (folder / "table.csv").open("a") as file:
        file.write("\nim99,nevus\n")
    with pytest.raises(DataError, match="im99"):
        MedicalImageDataset(folder, folder / "table.csv", file_extension=".png")
    with pytest.raises(DataError, match="image_id, dx"):
        MedicalImageDataset(folder, folder / "table.csv", image_column="nothing")
    with pytest.raises(DataError, match=r"\.tif"):
        MedicalImageDataset(folder, file_extension=".tif")
