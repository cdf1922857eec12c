"""Frames at uneven times: what is seen at a given time apart are the frames nearest to it."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medjepa.data import prepare, read
from medjepa.data.crop_places import FrameClock, frame_numbers
from medjepa.data.decode.frames import uneven
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.data.volume_store import open_volumes
from medjepa.encoders import VolumeEncoder, clip_clock, clip_frames
from medjepa.evaluation.material_volumes import Volumes
from medjepa.models.vjepa import VJEPA

STEPS = st.lists(st.integers(1, 500), min_size=1, max_size=40)


@given(STEPS, st.integers(1, 8), st.integers(5, 400), st.none() | st.integers(0, 3))
def test_every_frame_is_the_nearest_to_its_time(steps_ms, count, apart_ms, seed):
    times = np.cumsum([0, *steps_ms]) / 1000
    clock = FrameClock(len(times), count, apart_ms / 1000, tuple(times.tolist()))
    rng = None if seed is None else np.random.default_rng(seed)
    frames = clock.draw(rng)
    assert len(frames) == count
    for place, frame in enumerate(frames):
        goal = times[frames[0]] + place * apart_ms / 1000
        assert abs(times[frame] - goal) == pytest.approx(np.abs(times - goal).min(), abs=1e-8)
    # A later first frame would run over the end, where the last frame is held.
    reach = (count - 1) * apart_ms / 1000
    assert clock.last_first == max(int((times + reach <= times[-1] + 1e-9).sum()) - 1, 0)
    assert frames[0] <= clock.last_first


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 90), st.none() | st.integers(0, 3))
def test_even_times_give_what_numbers_give(length, count, apart, seed):
    """40 ms a frame, `apart` ms between those that are seen."""
    times = tuple(n * 0.04 for n in range(length))
    draws = [None if seed is None else np.random.default_rng(seed) for _ in range(2)]
    by_number = frame_numbers(length, count, apart / 40, draws[0])
    assert FrameClock(length, count, apart / 1000, times).draw(draws[1]) == by_number


@pytest.mark.parametrize(
    ("times", "is_uneven"),
    [
        ((0.0, 0.033, 0.067, 0.1), False),  # rounding to milliseconds
        ((0.0, 0.04, 0.08, 0.5), True),
        ((0.0, 0.5, 0.54, 0.58), True),
        ((0.0, 0.5, 0.4, 2.0), False),  # backwards: the stamps tell nothing
        ((0.0, 0.0, 0.0), False),
        ((0.0,), False),
        (None, False),
    ],
)
def test_uneven_is_what_names_other_frames(times, is_uneven):
    assert uneven(times) == (times if is_uneven else None)


def test_a_held_frame_of_an_animation_is_seen_more_often(tmp_path):
    """Grey 0, 10, 20, ...: three frames of 0.1 s, one of 0.8 s, four of 0.1 s."""
    durations = [100, 100, 100, 800, 100, 100, 100, 100]
    frames = [Image.fromarray(np.full((16, 16), 10 * n, np.uint8)) for n in range(8)]
    for frame in frames:
        frame.putpixel((0, 0), 255)
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "clip.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations)
    image = read(path)
    assert image.times == pytest.approx((0, 0.1, 0.2, 0.3, 1.1, 1.2, 1.3, 1.4))
    prepare(tmp_path / "in", tmp_path / "store", dimensions=3, num_workers=0)
    store = open_volumes(tmp_path / "store")
    dataset = VolumeDataset(store, crop=(8, 16, 16), kind="clip", frame_seconds=0.2)
    # Between 0.3 and 1.1 s the nearer of the two; by the mean rate it would be every frame once.
    seen = dataset.place(0).frames
    assert seen == (0, 2, 3, 3, 4, 4, 5, 7)
    # By the store and by the file, the evaluation and the encoder take the same.
    pipeline = VolumePipeline(crop=(8, 16, 16), kind="clip", frame_seconds=0.2)
    volumes = Volumes([store], pipeline, clips=4, overlap=0.0)
    assert [crop.frames for crop in volumes.crops(0)] == [seen]
    assert clip_frames(clip_clock(pipeline, 8, 0.2, uneven(image.times)), 4) == [seen]
    torch.manual_seed(0)
    model = VJEPA((8, 16, 16), (4, 8, 8), embed_dim=24, depth=1, num_heads=2, kind="clip").eval()
    encoder = VolumeEncoder(model, pipeline, device="cpu")
    row = encoder.embed(path)
    values = dataset.read_crop(dataset.place(0))[None]
    with torch.inference_mode():
        spacing = torch.tensor([[0.2, torch.nan, torch.nan]])
        wanted = model.encode(torch.from_numpy(values), spacing=spacing)
    assert row == pytest.approx(wanted.numpy(), abs=1e-5)
    # A store from before times were kept goes by the mean rate.
    index = tmp_path / "store" / "index.json"
    content = json.loads(index.read_text())
    del content["items"]["times"]
    index.write_text(json.dumps(content))
    old = VolumeDataset(
        open_volumes(tmp_path / "store"), crop=(8, 16, 16), kind="clip", frame_seconds=0.2
    )
    assert old.place(0).frames == tuple(range(8))
