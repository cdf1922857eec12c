"""What `prepare` refuses, leaves out and applies: privacy, selection, intensity."""

import numpy as np
import pytest
from image_files import grey, write_dicom, write_nifti, write_png
from PIL import Image
from scipy import ndimage

from medjepa.cli.main import main
from medjepa.config import load_config
from medjepa.data import StoreDataset, open_store, open_volumes, prepare, read
from medjepa.data.cache import ensure_store
from medjepa.data.preprocessing import Pipeline
from medjepa.data.selection import Selection
from medjepa.errors import ConfigError, DataError


def write_ct(path, seed=0, **tags):
    values = (grey(seed, (24, 24)).astype(np.int16) * 10).astype(np.int16)
    tags = {"Modality": "CT", "RescaleIntercept": -1024, "RescaleSlope": 1, **tags}
    return write_dicom(path, values, **tags)


def test_a_header_that_names_its_patient_is_refused_with_the_remedy(tmp_path):
    write_ct(tmp_path / "in" / "ward" / "a.dcm")
    write_ct(tmp_path / "in" / "b.dcm", 1, PatientIdentityRemoved="NO", PatientName="Doe^Jane")
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"(?s)b\.dcm.*PatientName.*medjepa anonymize .*allow") as e:
        prepare(tmp_path / "in", out, size=8, num_workers=0)
    assert "Jane" not in str(e.value)
    assert not (out / "index.json").exists(), "nothing is stored of a refused folder"
    assert prepare(tmp_path / "in", out, size=8, num_workers=0, privacy="allow").good == 2
    # What came in by permission is looked at again as soon as it is asked for.
    with pytest.raises(DataError, match="identifies"):
        prepare(tmp_path / "in", out, size=8, num_workers=0)
    with pytest.raises(DataError, match="identifies"):
        ensure_store(tmp_path / "in", size=8, cache_dir=tmp_path / "cache", num_workers=0)
    with pytest.raises(ConfigError, match="privacy"):
        load_config(None, ["privacy=maybe"])


def test_scouts_and_derived_images_are_left_out_and_counted(tmp_path, capsys):
    write_ct(tmp_path / "in" / "a.dcm", 0, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    write_ct(tmp_path / "in" / "b.dcm", 1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_ct(tmp_path / "in" / "c.dcm", 2, ImageType=["DERIVED", "SECONDARY", "MPR"])
    arguments = [f"data={tmp_path / 'in'}", "data.target_size=8", "data.num_workers=0"]
    assert main(["prepare", *arguments, f"out={tmp_path / 'out'}"]) == 0
    told = capsys.readouterr().out
    assert "1 good" in told
    assert "skipped 1: localizer" in told
    assert "data.kinds=[original,localizer]" in told
    assert "intensity of ct: window -1000 to 1000" in told
    everything = [f"out={tmp_path / 'all'}", "data.kinds=[]"]
    assert main(["prepare", *arguments, *everything]) == 0
    assert len(open_store(tmp_path / "all")) == 3
    with pytest.raises(DataError, match="another selection"):
        prepare(tmp_path / "in", tmp_path / "all", size=8, num_workers=0)
    nothing = Selection(modality=("MR",))
    with pytest.raises(DataError, match="no readable image"):
        prepare(tmp_path / "in", tmp_path / "mr", size=8, num_workers=0, selection=nothing)


def test_the_pipeline_of_a_store_replays_what_was_stored(tmp_path):
    path = write_ct(tmp_path / "in" / "a.dcm")
    for name, low, high in (("ct_lung", -1350, 150), ("ct_bone", -500, 1300)):
        out = tmp_path / name
        report = prepare(tmp_path / "in", out, size=12, num_workers=0, intensity=name)
        assert report.intensity == [f"ct: window {low} to {high}"]
        dataset = StoreDataset(open_store(out))
        replayed = Pipeline.from_dict(dataset.pipeline.to_dict())(read(path))
        np.testing.assert_allclose(replayed, dataset[0].image.numpy(), atol=1e-6)
    with pytest.raises(DataError, match="another intensity"):
        prepare(tmp_path / "in", tmp_path / "ct_lung", size=12, num_workers=0)
    with pytest.raises(DataError, match="another intensity for ct"):
        StoreDataset([open_store(tmp_path / name) for name in ("ct_lung", "ct_bone")])


def test_a_kind_that_was_asked_for_is_replayed_on_files_that_do_not_say_theirs(tmp_path):
    border = np.zeros((40, 40), np.uint8)
    border[8:32, 8:32] = grey(3, (24, 24)) // 2 + 100
    path = write_png(tmp_path / "in" / "a.png", border)
    stores = {}
    for kind in (None, "retina"):
        out = tmp_path / str(kind)
        prepare(tmp_path / "in", out, size=16, num_workers=0, modality=kind)
        stores[kind] = StoreDataset(open_store(out))
        pipeline = stores[kind].pipeline
        assert pipeline.intensity.modality == kind
        np.testing.assert_allclose(pipeline(read(path)), stores[kind][0].image.numpy(), atol=1e-6)
    plain, fundus = (stores[kind][0].image.numpy() for kind in (None, "retina"))
    assert (plain[:, 0, 0] == 0).all()
    assert (fundus > 0.2).mean() > (plain > 0.2).mean(), "the black border stays without a kind"
    with pytest.raises(DataError, match=r"data\.modality=retina"):
        prepare(tmp_path / "in", tmp_path / "retina", size=16, num_workers=0)


def test_a_large_jpeg_is_scaled_while_it_is_decoded_and_replayed_alike(tmp_path):
    coarse = grey(5, (10, 14)).astype(np.float32) * 0.6 + 40
    picture = np.clip(ndimage.zoom(coarse, 64, order=3), 0, 255).astype(np.uint8)
    path = tmp_path / "in" / "a.jpg"
    path.parent.mkdir()
    Image.fromarray(picture).save(path, quality=95)
    out = prepare(tmp_path / "in", tmp_path / "out", size=32, num_workers=0).out
    dataset = StoreDataset(open_store(out))
    assert (dataset.stores[0].items[0].height, dataset.stores[0].items[0].width) == (640, 896)
    replayed = dataset.pipeline(dataset.pipeline.read(path))
    np.testing.assert_allclose(replayed, dataset[0].image.numpy(), atol=1e-6)
    assert dataset.pipeline.read(path).array.shape[1:] == (80, 112)
    whole = dataset.pipeline(read(path))
    assert np.abs(whole - replayed).mean() < 0.01


def test_frames_of_clips_take_the_size_that_was_asked_for_and_volumes_keep_theirs(tmp_path):
    (tmp_path / "in").mkdir()
    frames = [Image.fromarray(grey(number, (24, 30))) for number in range(4)]
    frames[0].save(tmp_path / "in" / "a.gif", save_all=True, append_images=frames[1:], duration=40)
    write_nifti(tmp_path / "in" / "b.nii.gz", np.stack(frames).astype(np.int16), np.eye(4))
    asked = ["data.dimensions=3", "data.num_workers=0", f"data={tmp_path / 'in'}"]
    for more, size in (([], (24, 30)), (["data.target_size=16"], (16, 16))):
        out = tmp_path / str(len(more))
        assert main(["prepare", *asked, *more, f"out={out}"]) == 0
        shapes = {item.shape for item in open_volumes(out).items}
        assert shapes == {(1, 4, *size), (1, 30, 24, 4)}
