"""Sets lie on disks in more than one way: other copies, other releases, parts left away."""

import shutil

import miniatures
import pytest
from miniatures_more import MINIATURES

from medjepa.data.catalog import check_entry, entries, entry_named, recognise


def moved(folder, source, target):
    target = folder / target
    target.parent.mkdir(parents=True, exist_ok=True)
    (folder / source).rename(target)


def flat_images(folder):
    """ChestX-ray14 as its archives unpack by themselves, with the table of 2020."""
    for part in sorted(folder.glob("images_*")):
        for path in (part / "images").iterdir():
            moved(folder, path.relative_to(folder), f"images/{path.name}")
        shutil.rmtree(part)
    (folder / "Data_Entry_2017.csv").unlink()
    miniatures.table(
        folder / "Data_Entry_2017_v2020.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]",
        "00000001_000.png,Cardiomegaly,0,1,57,M,PA,2682,2749,0.143,0.143",
        "00000001_001.png,Cardiomegaly|Emphysema,1,1,58,M,PA,2894,2729,0.143,0.143",
        "00000013_005.png,Infiltration|Effusion|Pleural_Thickening,5,13,60,F,AP,2500,2048,0.168,0.168",
        "00030805_000.png,No Finding,0,30805,27,M,PA,2048,2500,0.171,0.171",
    )


def without_lists(folder):
    flat_images(folder)
    for path in folder.glob("*_list.txt"):
        path.unlink()


def dataverse(folder):
    """HAM10000 from the Dataverse: the archives hold no folder, the table has no ending."""
    for path in sorted(folder.glob("HAM10000_images_part_*/*.jpg")):
        moved(folder, path.relative_to(folder), path.name)
    for part in folder.glob("?[!A]*_images_part_*"):
        shutil.rmtree(part)
    moved(folder, "HAM10000_metadata.csv", "HAM10000_metadata")


def tabs(folder):
    path = folder / "HAM10000_metadata.csv"
    rows = path.read_text().splitlines()
    lines = ["\t".join(f'"{c}"' for c in row.split(",")) for row in rows]
    (folder / "HAM10000_metadata.tab").write_text("\n".join(lines) + "\n")
    path.unlink()


def lower_case_only(folder):
    """HAM10000 by Kaggle's client on a disk that does not tell upper case from lower."""
    for part in folder.glob("HAM10000_images_part_*"):
        shutil.rmtree(part)


def unpacked_twice(folder):
    lower_case_only(folder)
    for part in sorted(folder.glob("ham10000_images_part_*")):
        name = part.name.upper().replace("IMAGES_PART", "images_part")
        moved(folder, part.name, f"{name}/{name}")


def below_its_own_name(folder):
    """ChestX-ray14 as the download site names its folder."""
    flat_images(folder)
    for path in sorted(folder.iterdir()):
        inner = "images/images" if path.name == "images" else path.name
        moved(folder, path.name, f"CXR8/{inner}")


def by_wget(folder):
    """VinDr-CXR as `wget -r` lays it down, four folders below."""
    for name in ("annotations", "train", "test"):
        moved(folder, name, f"physionet.org/files/vindr-cxr/1.0.0/{name}")


def with_validation(folder):
    """BraTS with the cases of the validation, which have no label map, in a folder beside."""
    for path in sorted(folder.glob("BraTS2021_*")):
        moved(folder, path.name, f"BraTS2021_Training_Data/{path.name}")
    case = folder / "BraTS2021_ValidationData" / "BraTS2021_00001"
    for number, contrast in enumerate(("flair", "t1", "t1ce", "t2")):
        miniatures.volume(case / f"BraTS2021_00001_{contrast}.nii.gz", number)


def third_version(folder):
    (folder / "OCT2017" / "val").rename(folder / "away")
    moved(folder, "OCT2017", "CellData/OCT")
    shutil.rmtree(folder / "away")


def trailing_space(folder):
    moved(folder, "OCT2017", "OCT2017 ")


def patients_only(folder):
    for path in sorted((folder / "database").glob("*/patient*")):
        moved(folder, path.relative_to(folder), path.name)
    shutil.rmtree(folder / "database")


def full_size(folder):
    root = folder / "CheXpert-v1.0-small"
    for name in ("train.csv", "valid.csv"):
        path = root / name
        path.write_text(path.read_text().replace("CheXpert-v1.0-small/", "CheXpert-v1.0/"))
    root.rename(folder / "chexpert")


def with_endings(folder):
    path = folder / "EchoNet-Dynamic" / "FileList.csv"
    path.write_text(path.read_text().replace(",78.4", ".avi,78.4").replace(",59.1", ".avi,59.1"))


def without_slides(folder):
    for path in folder.glob("*_meta.csv"):
        path.unlink()


def larger_too(folder):
    shutil.copy(folder / "bloodmnist.npz", folder / "bloodmnist_64.npz")


def doubly_nested(folder):
    moved(folder, "ISIC_2019_Training_Input", "ISIC_2019_Training_Input_/ISIC_2019_Training_Input")
    moved(folder, "ISIC_2019_Training_Input_", "ISIC_2019_Training_Input")


def training_only(folder):
    shutil.rmtree(folder / "test_images")


def labelled_only(folder):
    shutil.rmtree(folder / "stage_2_test_images")


def old_paths(folder):
    """CBIS-DDSM as packed at first, the tables inside the folder of the images."""
    root = folder / "CBIS-DDSM"
    for path in sorted(root.glob("*/*/*/*.dcm")):
        series = path.relative_to(root).parts[0]
        moved(root, path.relative_to(root), f"{series}/1.3.6.1/1.3.6.2/00000{path.stem[-1]}.dcm")
    for path in sorted(folder.glob("*.csv")):
        path.rename(root / path.name)


def old_copy(folder):
    moved(folder, "training", "DRIVE/training")
    moved(folder, "test", "DRIVE/test")
    miniatures.picture(
        folder / "DRIVE" / "test" / "1st_manual" / "01_manual1.gif", miniatures.mask(1)
    )


VARIANTS = {
    "chestxray14": (flat_images, without_lists, below_its_own_name),
    "ham10000": (dataverse, tabs, lower_case_only, unpacked_twice),
    "vindr-cxr": (by_wget,),
    "brats2021": (with_validation,),
    "oct2017": (third_version, trailing_space),
    "acdc": (patients_only,),
    "chexpert": (full_size,),
    "echonet-dynamic": (with_endings,),
    "pcam": (without_slides,),
    "bloodmnist": (larger_too,),
    "isic2019": (doubly_nested,),
    "aptos2019": (training_only,),
    "rsna-pneumonia": (labelled_only,),
    "cbis-ddsm": (old_paths,),
    "drive": (old_copy,),
}
CASES = [pytest.param(n, v, id=f"{n}-{v.__name__}") for n, vs in VARIANTS.items() for v in vs]


@pytest.mark.parametrize(("name", "vary"), CASES)
def test_other_copies_are_recognised_and_hold(name, vary, tmp_path):
    truth = MINIATURES[name](tmp_path)
    before = {label for label, _, _ in truth.values() if label}
    vary(tmp_path)
    assert [e.name for e in recognise(tmp_path, entries().values())] == [name]
    report = check_entry(entry_named(name), tmp_path, complete=False, checksums=False)
    assert report.problems == []
    assert report.items
    assert {item.label for item in report.items if item.label} <= before


def test_images_that_lie_there_twice_are_read_once_and_told(tmp_path):
    MINIATURES["ham10000"](tmp_path)
    report = check_entry(entry_named("ham10000"), tmp_path, complete=False)
    assert len(report.items) == 6 and report.ok
    assert "6 files repeat another image's name and are left out" in report.notes
    # None is lost, whichever of the two folders holds it.
    (tmp_path / "HAM10000_images_part_1" / "ISIC_0025030.jpg").unlink()
    again = check_entry(entry_named("ham10000"), tmp_path, complete=False)
    assert len(again.items) == 6 and again.ok


def test_cases_beside_the_training_are_read_and_have_no_label_map(tmp_path):
    MINIATURES["brats2021"](tmp_path)
    with_validation(tmp_path)
    items = check_entry(entry_named("brats2021"), tmp_path, complete=False).items
    assert {item.group: bool(item.masks) for item in items} == {
        "00000": True, "01666": True, "00001": False,
    }  # fmt: skip


def test_without_its_lists_a_set_has_no_split_and_says_so(tmp_path):
    MINIATURES["chestxray14"](tmp_path)
    without_lists(tmp_path)
    report = check_entry(entry_named("chestxray14"), tmp_path, complete=False)
    assert {item.split for item in report.items} == {None}
    assert any("test_list.txt" in note for note in report.notes)


def test_with_its_name_said_a_set_without_its_table_lacks_just_that(tmp_path):
    MINIATURES["aptos2019"](tmp_path)
    (tmp_path / "train.csv").unlink()
    report = check_entry(entry_named("aptos2019"), tmp_path, complete=False)
    assert [(p.kind, p.examples) for p in report.problems] == [
        ("missing", ("the table train.csv",))
    ]


def test_of_several_sizes_the_largest_is_read(tmp_path):
    MINIATURES["bloodmnist"](tmp_path)
    larger_too(tmp_path)
    report = check_entry(entry_named("bloodmnist"), tmp_path, complete=False, checksums=False)
    assert {item.path for item in report.items} == {"bloodmnist_64.npz"}
