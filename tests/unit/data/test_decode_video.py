"""Video: every frame at its time, parts without the whole, and files that lie."""

import struct
import sys
import tracemalloc

import av
import numpy as np
import pytest
from clip_files import frame, number_of, write_clip, write_raw_avi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medjepa.data import read, read_clip
from medjepa.data.decode import frames as frames_module
from medjepa.data.decode import video_file
from medjepa.errors import InputError, InputWarning

FORMATS = [
    ("a.mp4", "libx264", "yuv420p"), ("b.mp4", "libx265", "yuv420p"), ("a.mov", "mpeg4", "yuv420p"),
    ("a.avi", "mjpeg", "yuvj420p"), ("raw.avi", "rawvideo", "bgr24"), ("x.avi", "mpeg4", "yuv420p"),
    ("a.mkv", "ffv1", "bgr0"), ("a.mpg", "mpeg2video", "yuv420p"),
    ("b.mpg", "mpeg1video", "yuv420p"), ("a.ts", "libx264", "yuv420p"),
    ("a.webm", "libvpx", "yuv420p"), ("a.wmv", "wmv2", "yuv420p"),
]  # fmt: skip


def numbers(image):
    return [number_of(image.array[:, t]) for t in range(image.array.shape[1])]


@pytest.mark.parametrize(("name", "codec", "pixels"), FORMATS)
def test_every_frame_comes_at_its_time(tmp_path, name, codec, pixels):
    image = read(write_clip(tmp_path / name, 12, codec=codec, pixels=pixels))
    assert (image.axes, image.array.shape[1:]) == ("tyx", (12, 48, 64))
    assert numbers(image) == list(range(12))
    np.testing.assert_allclose(image.times, np.arange(12) / 25, atol=2e-3)
    assert image.spacing[0] == pytest.approx(0.04, abs=1e-3)
    assert image.history[0].startswith("video ")


def test_a_variable_rate_is_kept(tmp_path):
    times = [0, 0.04, 0.5, 0.52, 1.75, 3.0]
    path = write_clip(tmp_path / "a.mp4", 6, rate=1000, times=times)
    image = read(path)
    np.testing.assert_allclose(image.times, times, atol=1.1e-3)
    assert image.spacing[0] == pytest.approx(0.6, abs=1e-3)
    part = read_clip(path, start=0.51, duration=2)
    assert numbers(part) == [3, 4]
    np.testing.assert_allclose(part.times, [0, 1.23], atol=2.1e-3)


def test_colour_keeps_three_channels_and_deep_grey_its_bits(tmp_path):
    image = read(write_clip(tmp_path / "a.avi", 3, codec="rawvideo", pixels="bgr24", colour=True))
    expected = np.stack([frame(n, colour=True) for n in range(3)]).transpose(3, 0, 1, 2)
    np.testing.assert_array_equal(image.array, expected)
    deep = read(write_clip(tmp_path / "a.mkv", 3, codec="ffv1", pixels="gray16le"))
    assert deep.array.dtype == np.uint16
    assert deep.array.shape == (1, 3, 48, 64)
    assert deep.array.max() > 60_000


def test_a_telephone_held_upright_is_shown_upright(tmp_path):
    path = write_clip(tmp_path / "a.mp4", 2)
    plain = read(path).array
    raw = bytearray(path.read_bytes())
    one = 0x10000
    straight = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 0x40000000)
    # As telephones write it: x' = height - y, y' = x, a quarter turn clockwise.
    turned = struct.pack(">9i", 0, one, 0, -one, 0, 0, 48 * one, 0, 0x40000000)
    place = raw.index(straight, raw.index(b"tkhd"))
    raw[place : place + 36] = turned
    path.write_bytes(raw)
    np.testing.assert_array_equal(read(path).array, np.rot90(plain, -1, axes=(2, 3)))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    many = {"g": "12", "bf": "2"}
    return [
        write_clip(folder / "a.mp4", 120, options=many),
        write_clip(folder / "open.mp4", 120, options={**many, "x264-params": "open-gop=1"}),
        write_clip(folder / "a.mkv", 120, codec="mpeg4", options={"g": "10"}),
        write_clip(folder / "a.avi", 120, codec="mjpeg", pixels="yuvj420p"),
        write_clip(folder / "a.mpg", 120, codec="mpeg2video", options={"g": "12", "bf": "2"}),
        write_clip(folder / "a.ts", 120, options=many),
        write_clip(folder / "long.mp4", 120, options={"g": "500"}),
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    which=st.integers(0, 6),
    start=st.floats(0, 4.5),
    duration=st.none() | st.floats(0.1, 5),
    rate=st.none() | st.floats(0.3, 40),
    most=st.none() | st.integers(1, 9),
)
def test_a_part_is_what_choosing_from_the_whole_gives(clips, which, start, duration, rate, most):
    image = read_clip(
        clips[which], start=start, duration=duration, frames_per_second=rate, max_frames=most
    )
    found = numbers(image)
    at = np.arange(120) / 25
    end = np.inf if duration is None else start + duration
    inside = np.flatnonzero((at >= start - 2e-3) & (at < end + 2e-3))
    assert set(found) <= set(inside.tolist())
    assert found == sorted(set(found))
    if rate is None and most is None:
        assert len(inside) - 2 <= len(found)
    elif rate is not None:
        goals = [start + n / rate for n in range(most or 1000)]
        goals = [goal for goal in goals if goal < min(end, 4.8)]
        safe = inside[(at[inside] < end - 2e-3) & (at[inside] >= start + 2e-3)]
        for goal in goals if len(safe) else []:
            assert np.abs(at[found] - goal).min() <= np.abs(at[safe] - goal).min() + 5e-3
    else:
        assert 1 <= len(found) <= most
    np.testing.assert_allclose(np.diff(image.times), np.diff(at[found]), atol=3e-3)


def test_few_frames_of_a_clip_are_spread_over_it(clips):
    for path in clips:
        assert numbers(read_clip(path, max_frames=4)) == pytest.approx([15, 45, 75, 105], abs=1)


def test_a_part_of_a_long_clip_stays_small(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mp4", 4000, shape=(96, 128), options={"g": "50"})
    decoded = []
    original = video_file._time_of
    monkeypatch.setattr(video_file, "_time_of", lambda frame: decoded.append(1) or original(frame))
    tracemalloc.start()
    image = read_clip(path, start=100, duration=1)
    _, peak = tracemalloc.get_traced_memory()
    assert numbers(image) == list(range(2500, 2525))
    assert peak < 8 << 20, "the whole clip is 49 MB"
    assert len(decoded) < 120
    decoded.clear()
    spread = read_clip(path, max_frames=8)
    tracemalloc.stop()
    assert len(numbers(spread)) == 8
    assert len(decoded) < 8 * 60


def test_a_clip_over_the_limit_is_refused_before_and_while_decoding(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mp4", 30, colour=True)
    monkeypatch.setattr(frames_module, "MAX_DECODED_BYTES", 29 * 48 * 64)

    def never(*_):
        raise AssertionError("decoded")

    with monkeypatch.context() as patch:
        patch.setattr(video_file, "pixels_of", never)
        with pytest.raises(InputError, match=r"too large: 30 frames.*read_clip"):
            read(path)
    # In colour the same limit is reached by a third as many.
    monkeypatch.setattr(frames_module, "MAX_DECODED_BYTES", 31 * 48 * 64)
    with pytest.raises(InputError, match=r"too large: 11 frames.*read_clip"):
        read(path)
    assert read_clip(path, max_frames=5).array.shape[1] == 5


def test_what_the_header_says_of_frames_is_not_believed(tmp_path):
    path = write_clip(tmp_path / "a.avi", 3, codec="rawvideo", pixels="bgr24")
    raw = bytearray(path.read_bytes())
    for tag, offset in ((b"avih", 24), (b"strh", 40)):
        place = raw.index(tag) + offset
        raw[place : place + 4] = struct.pack("<I", 1_000_000)
    path.write_bytes(raw)
    with pytest.warns(InputWarning, match="1,000,000 frames, 3 are there"):
        assert read(path).array.shape[1] == 3


def test_frames_that_are_not_coded_again_are_not_missing(tmp_path):
    frames = [frame(0), frame(1), None, None, frame(4), frame(5)]
    image = read(write_raw_avi(tmp_path / "a.avi", frames))
    assert numbers(image) == [0, 1, 4, 5]
    assert image.times == pytest.approx((0, 0.04, 0.16, 0.2))
    with pytest.warns(InputWarning, match="9 frames, 4 are there"):
        read(write_raw_avi(tmp_path / "b.avi", frames, stated=9))


def test_an_index_that_points_outside_does_no_harm(tmp_path):
    path = write_clip(tmp_path / "a.avi", 30, codec="mjpeg", pixels="yuvj420p")
    raw = bytearray(path.read_bytes())
    place = raw.index(b"idx1") + 8
    for entry in range(place, place + 30 * 16, 16):
        raw[entry + 8 : entry + 12] = struct.pack("<I", 0x7FFFFF00)
    path.write_bytes(raw)
    assert numbers(read(path)) == list(range(30))
    assert numbers(read_clip(path, start=0.5, duration=0.1)) == pytest.approx([13, 14], abs=1)


def test_a_cut_clip_is_refused_or_keeps_whole_frames_with_a_warning(tmp_path):
    content = write_clip(tmp_path / "a.mp4", 30).read_bytes()
    (tmp_path / "b.mp4").write_bytes(content[: len(content) // 2])  # its index was at the end
    with pytest.raises(InputError, match=r"truncated|no frames"):
        read(tmp_path / "b.mp4")
    fast = write_clip(
        tmp_path / "c.mp4", 30, mux={"movflags": "faststart"}, options={"g": "5", "crf": "0"}
    ).read_bytes()
    avi = write_clip(tmp_path / "c.avi", 30, codec="mjpeg", pixels="yuvj420p").read_bytes()
    for name, whole, keep in (("d.mp4", fast, 0.8), ("d.avi", avi, 0.5)):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * keep)])
        with pytest.warns(InputWarning, match="truncated"):
            image = read(tmp_path / name)
        assert numbers(image) == list(range(image.array.shape[1]))
        assert 0 < image.array.shape[1] < 30


def test_damaged_frames_are_left_out_and_the_others_keep_their_times(tmp_path):
    path = write_clip(
        tmp_path / "a.mp4", 30, options={"g": "5", "crf": "0", "bf": "0"}, shape=(96, 128)
    )
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    raw = bytearray(path.read_bytes())
    at, size = packets[12]
    raw[at + 4 : at + size] = bytes(255 - b for b in raw[at + 4 : at + size])
    path.write_bytes(raw)
    with pytest.warns(InputWarning, match="left out"):
        image = read(path)
    found = numbers(image)
    assert set(range(12)) | set(range(15, 30)) <= set(found)
    assert not {12, 13, 14} & set(found), "shown although what they are built on is damaged"
    np.testing.assert_allclose(image.times, np.array(found) / 25, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mp4", b"#EXTM3U\n#EXTINF:1,\nsecret.mp4\n"),
        ("a.avi", b"ffconcat version 1.0\nfile secret.mp4\n"),
        ("b.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isom"),
        ("c.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isom" + b"\xff" * 5000),
        ("c.avi", b"RIFF\xff\xff\xff\xffAVI " + bytes(range(256)) * 9),
        ("c.mkv", b"\x1a\x45\xdf\xa3" + b"\x01" * 3000),
        ("c.mpg", b"\0\0\x01\xba" + b"\x21" * 3000),
        ("d.mpg", b"\0\0\x01\xb3" + b"\x21" * 3000),
        ("empty.avi", b""),
    ],
)
def test_what_is_no_video_is_refused_and_leads_nowhere(tmp_path, name, content):
    write_clip(tmp_path / "secret.mp4", 3)
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    with pytest.raises(InputError):
        read_clip(path)


def test_frames_of_a_size_that_cannot_be_are_refused(tmp_path):
    path = write_clip(tmp_path / "a.avi", 2, codec="rawvideo", pixels="bgr24")
    raw = bytearray(path.read_bytes())
    place = raw.index(b"strf") + 12
    raw[place : place + 8] = struct.pack("<ii", 60_000, 60_000)
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"large|size"):
        read(path)


def test_sound_alone_is_no_clip(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        stream = output.add_stream("aac", rate=44100, layout="mono")
        silence = np.zeros((1, 1024), np.float32)
        sound = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        sound.rate = 44100
        output.mux(stream.encode(sound))
        output.mux(stream.encode())
    with pytest.raises(InputError, match="no video"):
        read(tmp_path / "a.mp4")


def test_wrong_questions_are_named(clips):
    for wrong in ({"start": -1}, {"duration": 0}, {"frames_per_second": 0}, {"max_frames": 0},
                  {"start": float("nan")}):  # fmt: skip
        with pytest.raises(InputError, match="must be"):
            read_clip(clips[0], **wrong)
    with pytest.raises(InputError, match="no frame lies"):
        read_clip(clips[0], start=50)
    np.save(clips[0].parent / "a.npy", np.eye(5))
    with pytest.raises(InputError, match="no clip"):
        read_clip(clips[0].parent / "a.npy")


def test_without_pyav_the_text_says_what_to_install(clips, monkeypatch):
    monkeypatch.delitem(sys.modules, "medjepa.data.decode.video_file")
    for name in [name for name in sys.modules if name == "av" or name.startswith("av.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"medjepa\[video\]"):
        read(clips[0])


def test_real_clips(real_data):
    folder = real_data("lung_ultrasound_pocus")
    files = [f for f in sorted(folder.glob("*/*")) if f.suffix in (".mp4", ".mov", ".mpeg", ".avi")]
    for path in files[::17]:
        image = read(path)
        assert image.axes == "tyx"
        assert image.times is not None
        part = read_clip(path, start=image.times[20], duration=image.spacing[0] * 3.5)
        assert part.array.shape[1] in (3, 4, 5)
        same = np.flatnonzero(
            [np.array_equal(part.array[:, 1], image.array[:, t]) for t in range(18, 25)]
        )
        assert len(same)
