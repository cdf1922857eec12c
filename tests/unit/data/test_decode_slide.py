"""Whole slides: regions and tiles without the slide, and never its label."""

import tracemalloc

import numpy as np
import pytest
import tifffile

from medjepa.data import read, read_region, read_tiles, slide_info
from medjepa.errors import InputError

SIDE = 512


def tissue():
    """White glass with one stained block of 200 x 160 pixels at (96, 64)."""
    array = np.full((SIDE, SIDE, 3), 245, np.uint8)
    rng = np.random.default_rng(0)
    array[96:296, 64:224] = rng.integers((120, 40, 110), (220, 140, 200), (200, 160, 3))
    return array


def write_slide(path, base, *, describe="Aperio Fake|AppMag = 20|MPP = 0.5", levels=(2, 4)):
    with tifffile.TiffWriter(path) as tiff:
        options = {"photometric": "rgb", "tile": (128, 128), "metadata": None}
        tiff.write(base, description=describe, compression="zlib", **options)
        tiff.write(base[::4, ::4], description="Aperio thumbnail", photometric="rgb", metadata=None)
        for level in levels:
            tiff.write(base[::level, ::level], description="Aperio level", **options)
        name = np.zeros((90, 60, 3), np.uint8)
        name[40:50] = 255
        for text, kind in (("Aperio\nlabel 60x90", 1), ("Aperio\nmacro 60x90", 9)):
            tiff.write(name, description=text, subfiletype=kind, photometric="rgb", metadata=None)
    return path


def test_levels_and_resolution_come_from_the_header(tmp_path):
    info = slide_info(write_slide(tmp_path / "a.svs", tissue()))
    assert [(level.height, level.width, level.downsample) for level in info.levels] == [
        (512, 512, 1.0), (256, 256, 2.0), (128, 128, 4.0)
    ]  # fmt: skip
    assert (info.mpp, info.objective, info.size) == (0.5, 20.0, (512, 512))
    assert info.levels[2].mpp == 2.0


@pytest.mark.parametrize("box", [(0, 0, 512, 512), (100, 37, 60, 300), (511, 511, 1, 1)])
def test_a_region_is_that_part_of_the_level(tmp_path, box):
    path = write_slide(tmp_path / "a.svs", tissue())
    top, left, height, width = box
    image = read_region(path, *box)
    expected = tissue()[top : top + height, left : left + width]
    np.testing.assert_array_equal(image.array, np.moveaxis(expected, 2, 0))
    assert (image.spacing, image.modality) == ((0.0005, 0.0005), "histology")


def test_regions_of_coarse_levels_count_in_their_own_pixels(tmp_path):
    path = write_slide(tmp_path / "a.svs", tissue())
    image = read_region(path, 20, 30, 100, 90, level=2)
    np.testing.assert_array_equal(
        image.array, np.moveaxis(tissue()[::4, ::4][20:120, 30:120], 2, 0)
    )
    assert image.spacing == (0.002, 0.002)


@pytest.mark.parametrize(
    "box", [(-1, 0, 5, 5), (0, 0, 513, 5), (500, 0, 20, 5), (0, 0, 0, 5), (0, 600, 5, 5)]
)
def test_a_region_outside_is_refused(tmp_path, box):
    with pytest.raises(InputError, match=r"not inside.*512 x 512"):
        read_region(write_slide(tmp_path / "a.svs", tissue()), *box)


def test_the_label_never_comes_back(tmp_path):
    path = write_slide(tmp_path / "a.svs", tissue())
    assert read(path).array.shape == (3, SIDE, SIDE)
    for page in range(6):
        with pytest.raises(InputError, match="slide"):
            read(path, page=page)
    for level in (3, 4, -1):
        with pytest.raises(InputError, match="no level"):
            read_region(path, 0, 0, 10, 10, level=level)


def test_tiles_are_those_with_tissue(tmp_path):
    for levels in ((2, 4), ()):
        path = write_slide(tmp_path / "a.svs", tissue(), levels=levels)
        tiles = list(read_tiles(path, 64, min_tissue=0.4))
        places = [(tile.top, tile.left) for tile in tiles]
        rows, columns = (128, 192), (64, 128)
        assert set(places) >= {(top, left) for top in rows for left in columns}
        assert len(places) == len(set(places)) < 20
        for tile in tiles:
            expected = tissue()[tile.top : tile.top + 64, tile.left : tile.left + 64]
            np.testing.assert_array_equal(tile.image.array, np.moveaxis(expected, 2, 0))
            assert 0.4 <= tile.tissue <= 1


def test_tiles_of_a_physical_size_are_read_from_the_level_that_suffices(tmp_path):
    path = write_slide(tmp_path / "a.svs", tissue())
    tiles = list(read_tiles(path, 32, mpp=1.0))
    assert {tile.image.history for tile in tiles} == {("slide level 1",)}
    tiles = list(read_tiles(path, 32, mpp=1.5))
    assert {tile.image.history for tile in tiles} == {("slide level 1",)}
    assert {tile.image.array.shape for tile in tiles} == {(3, 32, 32)}
    assert {tile.image.spacing for tile in tiles} == {(0.0015, 0.0015)}
    assert all(tile.top % 96 == 0 for tile in tiles)
    with pytest.raises(InputError, match="asked"):
        next(read_tiles(path, 32, mpp=0.2))
    plain = write_slide(tmp_path / "b.svs", tissue(), describe="Aperio Fake")
    with pytest.raises(InputError, match="does not say"):
        next(read_tiles(plain, 32, mpp=1.0))


def test_a_slide_over_the_limit_names_read_region_and_is_read_by_tile(tmp_path):
    path = tmp_path / "a.tif"
    side = 40_000  # 4.8 GB; all but the first tile are left out by the scanner
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:

        def tiles():
            yield np.full((512, 512, 3), (200, 60, 150), np.uint8)
            while True:
                yield None

        options = {"photometric": "rgb", "tile": (512, 512), "compression": "zlib"}
        tiff.write(
            tiles(), shape=(side, side, 3), dtype=np.uint8, metadata=None,
            description="Aperio Fake|MPP = 0.25", **options,
        )  # fmt: skip
    with pytest.raises(InputError, match=r"40000 x 40000.*read_region"):
        read(path)
    tracemalloc.start()
    image = read_region(path, 200, 200, 400, 400)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image.array[0, 0, 0] == 200
    assert image.array[0, -1, -1] == 255
    assert peak < 30 << 20


def test_a_cut_slide_is_refused_where_it_is_cut(tmp_path):
    path = write_slide(tmp_path / "a.svs", tissue(), levels=())
    with tifffile.TiffFile(path) as tiff:
        entry = tiff.pages[0].tags["TileOffsets"]
        place, last = entry.valueoffset + 4 * (entry.count - 1), entry.value[-1]
    raw = bytearray(path.read_bytes())
    raw[place : place + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(raw)
    assert last < 2**31
    assert read_region(path, 0, 0, 100, 100).array.shape == (3, 100, 100)
    with pytest.raises(InputError, match="truncated"):
        read_region(path, 400, 400, 100, 100)


def test_what_is_no_slide_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint16))
    with pytest.raises(InputError, match="slide"):
        slide_info(tmp_path / "a.tif")
    np.save(tmp_path / "a.npy", np.zeros((9, 9)))
    with pytest.raises(InputError, match="slide"):
        slide_info(tmp_path / "a.npy")


def test_a_real_slide(real_data):
    path = real_data("histology_cmu_svs") / "cmu_small_region.svs"
    info = slide_info(path)
    assert (info.size, info.mpp, info.objective) == ((2967, 2220), 0.499, 20.0)
    with tifffile.TiffFile(path) as tiff:
        whole = tiff.pages[0].asarray()
    region = read_region(path, 1234, 567, 400, 300)
    np.testing.assert_array_equal(region.array, np.moveaxis(whole[1234:1634, 567:867], 2, 0))
    assert 40 < sum(1 for _ in read_tiles(path, 224)) < 117
