"""Miniatures of public data sets: folders, names, columns and encodings as their owners publish.

Written from the owners' descriptions, and not from the catalogue's entries, which they test. Each
maker returns what is true of its images: path (or place) to (label, group, part of the split).
"""

# ruff: noqa: E501 - tables and lines as published

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import h5py
import nibabel
import numpy as np
from image_files import write_dicom
from PIL import Image

from medjepa.data.phantoms import phantom_batch

Truth = dict[str, tuple[str, str | None, str | None]]
Maker = Callable[[Path], Truth]
_SIZE = 24


@cache
def _phantoms():
    return phantom_batch(64, _SIZE, seed=3)


def grey(number: int) -> np.ndarray:
    """A phantom, (24, 24) uint8; the same number gives the same picture."""
    return np.round(_phantoms().images[number % 64] * 255).astype(np.uint8)


def colour(number: int) -> np.ndarray:
    return np.stack([grey(number), grey(number + 1), grey(number + 2)], axis=-1)


def mask(number: int) -> np.ndarray:
    return np.where(_phantoms().masks[number % 64], 255, 0).astype(np.uint8)


def picture(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def table(path: Path, header: str, *rows: Sequence[object] | str) -> None:
    """A CSV with its header as published; rows as text keep their odd endings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(header + "\n")
        for row in rows:
            if isinstance(row, str):
                file.write(row + "\n")
            else:
                csv.writer(file, lineterminator="\n").writerow(row)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def volume(path: Path, number: int, *, frames: int = 0, labels: Sequence[int] = ()) -> None:
    """A NIfTI volume of phantoms, 4-D with frames, or a label map of these labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.stack([grey(number + z) for z in range(4)], axis=-1).astype(np.int16)
    if labels:
        array = np.asarray(labels, np.uint8)[(array // 86) % len(labels)]
    if frames:
        array = np.stack([array] * frames, axis=-1)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([1.0, 1.0, 5.0, 1.0])), path)


def clip(path: Path, number: int, suffix_codec: str) -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(suffix_codec, rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p" if suffix_codec == "mjpeg" else "yuv420p"
        for index in range(4):
            frame = np.zeros((32, 32, 3), np.uint8)
            frame[:_SIZE, :_SIZE] = colour(number + index)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())


def ham10000(folder: Path) -> Truth:
    rows = [
        ("HAM_0000118", "ISIC_0027419", "bkl"), ("HAM_0000118", "ISIC_0025030", "bkl"),
        ("HAM_0002730", "ISIC_0026769", "nv"), ("HAM_0001466", "ISIC_0031633", "mel"),
        ("HAM_0005132", "ISIC_0034320", "akiec"), ("HAM_0003301", "ISIC_0033990", "vasc"),
    ]  # fmt: skip
    truth = {}
    for number, (lesion, image, dx) in enumerate(rows):
        part = "HAM10000_images_part_1" if number % 2 else "HAM10000_images_part_2"
        picture(folder / part / f"{image}.jpg", colour(number))
        # The copy on Kaggle holds each folder twice.
        picture(folder / part.lower() / f"{image}.jpg", colour(number))
        truth[f"{part}/{image}.jpg"] = (dx, lesion, None)
    table(
        folder / "HAM10000_metadata.csv",
        "lesion_id,image_id,dx,dx_type,age,sex,localization",
        *((lesion, image, dx, "histo", "80.0", "male", "scalp") for lesion, image, dx in rows),
    )
    table(folder / "hmnist_8_8_L.csv", "pixel0000,label", (192, 2))
    return truth


def pcam(folder: Path) -> Truth:
    truth = {}
    for part, ours, count in (("train", "train", 4), ("valid", "val", 2), ("test", "test", 2)):
        stem = folder / f"camelyonpatch_level_2_split_{part}"
        folder.mkdir(parents=True, exist_ok=True)
        labels = np.arange(count) % 2
        with h5py.File(f"{stem}_x.h5", "w") as file:
            file["x"] = np.stack([colour(i + count) for i in range(count)])
        with h5py.File(f"{stem}_y.h5", "w") as file:
            file["y"] = labels.reshape(-1, 1, 1, 1).astype(np.uint8)
        slides = [f"camelyon16_{part}_tumor_{i:03d}" for i in range(count)]
        table(
            Path(f"{stem}_meta.csv"),
            ",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi",
            *((i, 3072, 44032, "True", bool(n), s) for i, (n, s) in enumerate(zip(labels, slides, strict=True))),
        )  # fmt: skip
        name = f"{stem.name}_x.h5"
        for i, slide in enumerate(slides):
            truth[f"{name} x[{i}]"] = (str(labels[i]), slide, ours)
    return truth


def pcam_kaggle(folder: Path) -> Truth:
    truth = {}
    rows = []
    for number in range(4):
        name = f"{number:040x}"
        picture(folder / "train" / f"{name}.tif", colour(number))
        rows.append((name, number % 2))
        truth[f"train/{name}.tif"] = (str(number % 2), None, "train")
    picture(folder / "test" / f"{9:040x}.tif", colour(9))
    truth[f"test/{9:040x}.tif"] = ("", None, "test")
    table(folder / "train_labels.csv", "id,label", *rows)
    table(folder / "sample_submission.csv", "id,label", (f"{9:040x}", 0))
    return truth


def aptos2019(folder: Path) -> Truth:
    truth = {}
    names = ["000c1434d8d7", "001639a390f0", "0024cdab0c1e", "002c21358ce6", "005b95c28852"]
    for grade, name in enumerate(names):
        picture(folder / "train_images" / f"{name}.png", colour(grade))
        truth[f"train_images/{name}.png"] = (str(grade), None, "train")
    picture(folder / "test_images" / "0005cfc8afb6.png", colour(8))
    truth["test_images/0005cfc8afb6.png"] = ("", None, "test")
    table(folder / "train.csv", "id_code,diagnosis", *((n, g) for g, n in enumerate(names)))
    table(folder / "test.csv", "id_code", ("0005cfc8afb6",))
    return truth


def chestxray14(folder: Path) -> Truth:
    rows = [
        ("00000001_000.png", "Cardiomegaly", 1, "images_001", "train"),
        ("00000001_001.png", "Cardiomegaly|Emphysema", 1, "images_001", "train"),
        ("00000013_005.png", "Infiltration|Effusion|Pleural_Thickening", 13, "images_002", "test"),
        ("00030805_000.png", "No Finding", 30805, "images_012", "train"),
    ]
    truth, lines = {}, []
    for number, (name, findings, patient, part, split) in enumerate(rows):
        picture(folder / part / "images" / name, grey(number))
        # As in 2017: ages with a Y, and a comma at the end of every line.
        lines.append(f"{name},{findings},0,{patient},058Y,M,PA,2682,2749,0.143,0.143,")
        truth[f"{part}/images/{name}"] = (findings, str(patient), split)
    table(
        folder / "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],",
        *lines,
    )
    for split, name in (("train", "train_val_list.txt"), ("test", "test_list.txt")):
        text(folder / name, *(row[0] for row in rows if row[4] == split))
    table(
        folder / "BBox_List_2017.csv",
        "Image Index,Finding Label,Bbox [x,y,w,h],,,",
        "a.png,Mass,1,2,3,4,,,",
    )
    order = {"Infiltration|Effusion|Pleural_Thickening": "Effusion|Infiltration|Pleural_Thickening",
             "No Finding": ""}  # fmt: skip
    return {path: (order.get(label, label), g, s) for path, (label, g, s) in truth.items()}


def brats2021(folder: Path) -> Truth:
    truth = {}
    for case in ("00000", "01666"):
        for number, contrast in enumerate(("flair", "t1", "t1ce", "t2")):
            name = f"BraTS2021_{case}/BraTS2021_{case}_{contrast}.nii.gz"
            volume(folder / name, number)
            truth[name] = ("", case, None)
        volume(folder / f"BraTS2021_{case}/BraTS2021_{case}_seg.nii.gz", 5, labels=(0, 1, 2, 4))
    return truth


def decathlon(task: str, stem: str, labels: Sequence[str], channels: int = 0) -> Maker:
    def make(folder: Path) -> Truth:
        root = folder / task
        for number in (1, 3):
            volume(root / "imagesTr" / f"{stem}_{number:03d}.nii.gz", number, frames=channels)
            numbers = range(len(labels))
            volume(root / "labelsTr" / f"{stem}_{number:03d}.nii.gz", number, labels=numbers)
        volume(root / "imagesTs" / f"{stem}_002.nii.gz", 2, frames=channels)
        # What macOS left in the archives.
        text(root / "imagesTr" / f"._{stem}_001.nii.gz", "Mac OS X")
        text(root / "._dataset.json", "Mac OS X")
        content = {
            "name": task[7:], "licence": "CC-BY-SA 4.0", "tensorImageSize": "3D",
            "labels": {str(n): label for n, label in enumerate(labels)},
            "numTraining": 2, "numTest": 1,
            "training": [
                {"image": f"./imagesTr/{stem}_{n:03d}.nii.gz", "label": f"./labelsTr/{stem}_{n:03d}.nii.gz"}
                for n in (1, 3)
            ],
            "test": [f"./imagesTs/{stem}_002.nii.gz"],
        }  # fmt: skip
        (root / "dataset.json").write_text(json.dumps(content))
        train = {f"{task}/imagesTr/{stem}_{n:03d}.nii.gz": ("", None, "train") for n in (1, 3)}
        return train | {f"{task}/imagesTs/{stem}_002.nii.gz": ("", None, "test")}

    return make


def medmnist(name: str, classes: Sequence[str], kind: str) -> Maker:
    """`kind` is grey, colour, volume or several (labels an image)."""

    def make(folder: Path) -> Truth:
        folder.mkdir(parents=True, exist_ok=True)
        arrays, truth = {}, {}
        for part, count in (("train", max(len(classes), 3)), ("val", 2), ("test", 2)):
            if kind == "volume":
                images = np.stack(
                    [np.stack([grey(i + z) for z in range(_SIZE)]) for i in range(count)]
                )
            else:
                images = np.stack(
                    [colour(i) if kind == "colour" else grey(i) for i in range(count)]
                )
            if kind == "several":
                labels = np.eye(len(classes), dtype=np.uint8)[np.arange(count) % len(classes)]
                labels[0] = 0
            else:
                labels = (np.arange(count) % len(classes)).astype(np.uint8).reshape(-1, 1)
            arrays |= {f"{part}_images": images, f"{part}_labels": labels}
            for i in range(count):
                label = classes[i % len(classes)] if kind != "several" or i else ""
                truth[f"{name}.npz {part}_images[{i}]"] = (label, None, part)
        np.savez_compressed(folder / f"{name}.npz", **arrays)
        return truth

    return make


def packed(source: Path, target: Path) -> None:
    """Gzip a file, as PatchCamelyon is published."""
    target.write_bytes(gzip.compress(source.read_bytes()))


def dicom(path: Path, number: int, **tags) -> None:
    write_dicom(path, grey(number).astype(np.uint16) << 4, **{"Modality": "DX", **tags})
