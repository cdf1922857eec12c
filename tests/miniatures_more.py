"""Miniatures of the other public sets; see miniatures.py, which they complete."""

# ruff: noqa: E501 - tables and lines as published

import shutil
from pathlib import Path

import miniatures as base
from miniatures import Maker, Truth, clip, colour, dicom, grey, mask, picture, table, text, volume


def isic2019(folder: Path) -> Truth:
    classes = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    rows = [
        ("ISIC_0000000", "NV", ""), ("ISIC_0000001_downsampled", "NV", "MSK4_0011169"),
        ("ISIC_0024306", "MEL", "HAM_0000550"), ("ISIC_0024307", "MEL", "HAM_0000550"),
        ("ISIC_0053462", "SCC", "BCN_0003577"),
    ]  # fmt: skip
    truth = {}
    for number, (image, dx, lesion) in enumerate(rows):
        picture(folder / "ISIC_2019_Training_Input" / f"{image}.jpg", colour(number))
        truth[f"ISIC_2019_Training_Input/{image}.jpg"] = (dx, lesion or None, None)
    text(folder / "ISIC_2019_Training_Input" / "LICENSE.txt", "CC-BY-NC")
    table(
        folder / "ISIC_2019_Training_GroundTruth.csv",
        "image," + ",".join(classes),
        *((image, *(f"{float(dx == c):.1f}" for c in classes)) for image, dx, _ in rows),
    )
    table(
        folder / "ISIC_2019_Training_Metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex",
        *((image, "55", "anterior torso", lesion, "female") for image, _, lesion in rows),
    )
    return truth


def chexpert(folder: Path) -> Truth:
    root = folder / "CheXpert-v1.0-small"
    columns = (
        "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,"
        "Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,"
        "Support Devices"
    )
    header = "Path,Sex,Age,Frontal/Lateral,AP/PA," + columns
    head = "CheXpert-v1.0-small"
    rows = {
        "train": [
            f"{head}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0",
            f"{head}/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,AP,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,",
            f"{head}/train/patient00002/study1/view2_lateral.jpg,Female,83,Lateral,,,,,1.0,,,-1.0,,,,,,1.0,",
        ],
        "valid": [
            f"{head}/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        ],
    }
    for part, lines in rows.items():
        table(root / f"{part}.csv", header, *lines)
        for number, line in enumerate(lines):
            picture(folder / line.split(",")[0], grey(number))
    return {
        f"{head}/train/patient00001/study1/view1_frontal.jpg": ("No Finding|Support Devices", "00001", "train"),
        f"{head}/train/patient00002/study2/view1_frontal.jpg": ("Lung Opacity|Fracture", "00002", "train"),
        f"{head}/train/patient00002/study1/view2_lateral.jpg": ("Lung Opacity|Fracture", "00002", "train"),
        f"{head}/valid/patient64541/study1/view1_frontal.jpg": ("Enlarged Cardiomediastinum", "64541", "val"),
    }  # fmt: skip


def chexpert_full(folder: Path) -> Truth:
    """As the archives of the full size unpack: the training patients have no folder train."""
    small = folder / "small"
    truth = {}
    for path, what in chexpert(small).items():
        inner = path.removeprefix("CheXpert-v1.0-small/")
        first, train = "CheXpert-v1.0 batch 1 (validate & csv)", inner.removeprefix("train/")
        batch = 2 if "patient00001" in inner else 3
        place = (
            f"{first}/{inner}"
            if train == inner
            else f"CheXpert-v1.0 batch {batch} (train {batch - 1})/{train}"
        )
        target = folder / "chexpertchestxrays-u20210408" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        (small / path).rename(target)
        truth[f"chexpertchestxrays-u20210408/{place}"] = what
    for name in ("train.csv", "valid.csv"):
        lines = (small / "CheXpert-v1.0-small" / name).read_text().splitlines()
        text(
            folder / "chexpertchestxrays-u20210408" / first / name,
            *(line.replace("CheXpert-v1.0-small/", "CheXpert-v1.0/") for line in lines),
        )
    shutil.rmtree(small)
    return truth


def vindr_cxr(folder: Path) -> Truth:
    local = (
        "Aortic enlargement,Atelectasis,Calcification,Cardiomegaly,Clavicle fracture,Consolidation,"
        "Edema,Emphysema,Enlarged PA,ILD,Infiltration,Lung Opacity,Lung cavity,Lung cyst,"
        "Mediastinal shift,Nodule/Mass,Pleural effusion,Pleural thickening,Pneumothorax,"
        "Pulmonary fibrosis,Rib fracture,Other lesion,COPD,Lung tumor,Pneumonia,Tuberculosis"
    )
    count = len(local.split(","))

    def marks(*positive: int) -> tuple[int, ...]:
        return tuple(int(i in positive) for i in range(count + 2))

    sick, well = "000434271f63a053c4128a0ba6352c7f", "00053190460d56c53cc3e57321387478"
    tested = "002a34c58c5b758217ed1f584ccbcfe9"
    for number, name in enumerate((sick, well)):
        dicom(folder / "train" / f"{name}.dicom", number, PatientID=None, PatientName=None)
    dicom(folder / "test" / f"{tested}.dicom", 7, PatientID=None, PatientName=None)
    table(
        folder / "annotations" / "image_labels_train.csv",
        f"image_id,rad_ID,{local},Other diseases,No finding",
        (sick, "R2", *marks(3, 15)), (sick, "R3", *marks(3)), (sick, "R6", *marks(count + 1)),
        *((well, reader, *marks(count + 1)) for reader in ("R2", "R6", "R10")),
    )  # fmt: skip
    table(
        folder / "annotations" / "image_labels_test.csv",
        f"image_id,{local},Other disease,No finding",
        (tested, *marks(0, count)),
    )
    header = "image_id,rad_id,class_name,x_min,y_min,x_max,y_max"
    table(
        folder / "annotations" / "annotations_train.csv",
        header,
        (sick, "R2", "Cardiomegaly", 1, 2, 9, 9),
        (well, "R2", "No finding", "", "", "", ""),
    )
    table(folder / "annotations" / "annotations_test.csv", header.replace("rad_id,", ""))
    return {
        f"train/{sick}.dicom": ("Cardiomegaly", None, "train"),
        f"train/{well}.dicom": ("No finding", None, "train"),
        f"test/{tested}.dicom": ("Aortic enlargement|Other diseases", None, "test"),
    }


def vinbigdata(folder: Path) -> Truth:
    sick, well = "50a418190bc3fb1ef1633bf9678929b3", "9a5094b2563a1ef3ff50dc5c7ff71345"
    for number, name in enumerate((sick, well)):
        dicom(folder / "train" / f"{name}.dicom", number, PatientID=None, PatientName=None)
    dicom(folder / "test" / "002a34c58c5b758217ed1f584ccbcfe9.dicom", 9)
    table(
        folder / "train.csv",
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max",
        (sick, "Cardiomegaly", 3, "R10", 691, 1375, 1653, 1831),
        (sick, "Aortic enlargement", 0, "R9", 1264, 743, 1611, 1019),
        f"{sick},No finding,14,R8,,,,",
        f"{well},No finding,14,R11,,,,",
    )
    return {
        f"train/{sick}.dicom": ("Aortic enlargement|Cardiomegaly", None, "train"),
        f"train/{well}.dicom": ("", None, "train"),
        "test/002a34c58c5b758217ed1f584ccbcfe9.dicom": ("", None, "test"),
    }


def rsna_pneumonia(folder: Path) -> Truth:
    well, sick = "0004cfab-14fd-4e49-80ba-63a80b6bddd6", "00436515-870c-4b36-a041-de91049b9ab4"
    tested = "0000a175-0e68-4ca4-b1af-167204a7e0bc"
    for number, name in enumerate((well, sick)):
        dicom(folder / "stage_2_train_images" / f"{name}.dcm", number, PatientID=name)
    dicom(folder / "stage_2_test_images" / f"{tested}.dcm", 5, PatientID=tested)
    table(
        folder / "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target",
        f"{well},,,,,0",
        f"{sick},264.0,152.0,213.0,379.0,1",
        f"{sick},562.0,152.0,256.0,453.0,1",
    )
    table(
        folder / "stage_2_detailed_class_info.csv",
        "patientId,class",
        (well, "No Lung Opacity / Not Normal"),
        (sick, "Lung Opacity"),
        (sick, "Lung Opacity"),
    )
    table(
        folder / "stage_2_sample_submission.csv",
        "patientId,PredictionString",
        (tested, "0.5 0 0 100 100"),
    )
    return {
        f"stage_2_train_images/{well}.dcm": ("0", None, "train"),
        f"stage_2_train_images/{sick}.dcm": ("1", None, "train"),
        f"stage_2_test_images/{tested}.dcm": ("", None, "test"),
    }


def cbis_ddsm(folder: Path) -> Truth:
    full = "{}/07-20-2016-DDSM-NA-30104/1.000000-full mammogram images-93328/1-1.dcm"
    # Converted from TIFF by the publisher: secondary captures without a view.
    captured = {
        "Modality": "MG",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "ConversionType": "WSD",
    }
    cases = [
        ("Mass-Training_P_00001_LEFT_CC", "mass", "train", ["MALIGNANT"]),
        ("Mass-Training_P_00004_RIGHT_MLO", "mass", "train", ["BENIGN", "MALIGNANT"]),
        ("Calc-Training_P_00005_RIGHT_CC", "calc", "train", ["BENIGN_WITHOUT_CALLBACK"]),
        ("Mass-Test_P_00016_LEFT_CC", "mass", "test", ["BENIGN"]),
        ("Calc-Test_P_00038_LEFT_MLO", "calc", "test", ["MALIGNANT"]),
    ]
    truth: Truth = {}
    rows: dict[tuple[str, str], list[list[str]]] = {}
    for number, (case, kind, part, pathologies) in enumerate(cases):
        path = "CBIS-DDSM/" + full.format(case)
        dicom(folder / path, number, PatientID=case, **captured)
        patient = case.split("_")[2]
        worst = "malignant" if "MALIGNANT" in pathologies else "benign"
        truth[path] = (worst, patient, part)
        for finding, pathology in enumerate(pathologies, start=1):
            crop = f"{case}_{finding}/07-21-2016-DDSM-NA-92950/1.000000-cropped images-01446"
            for name in ("1-1.dcm", "1-2.dcm"):
                dicom(
                    folder / "CBIS-DDSM" / crop / name, 40 + number, PatientID=f"{case}_{finding}"
                )
            rows.setdefault((kind, part), []).append([
                f"P_{patient}", "3", *case.split("_")[3:], str(finding), kind, "IRREGULAR",
                "SPICULATED", "4", pathology, "4", f"{case}/1.3.6.1.4.1.9590.1/1.3.6.1.4.1.9590.2/000000.dcm",
                f"{case}_{finding}/1.3.6.1/1.3.6.1/000001.dcm\n", f"{case}_{finding}/1.3.6.1/1.3.6.1/000000.dcm\n",
            ])  # fmt: skip
    for (kind, part), lines in rows.items():
        density = "breast_density" if kind == "mass" else "breast density"
        described = "mass shape,mass margins" if kind == "mass" else "calc type,calc distribution"
        table(
            folder / f"{kind}_case_description_{part}_set.csv",
            f"patient_id,{density},left or right breast,image view,abnormality id,abnormality type,"
            f"{described},assessment,pathology,subtlety,image file path,cropped image file path,"
            "ROI mask file path",
            *lines,
        )
    return truth


def oct2017(folder: Path) -> Truth:
    names = [
        ("train/CNV/CNV-1016042-1.jpeg", "train"), ("train/CNV/CNV-1016042-2.jpeg", "train"),
        ("train/DME/DME-1072015-1.jpeg", "train"), ("train/DRUSEN/DRUSEN-1001666-1.jpeg", "train"),
        ("train/NORMAL/NORMAL-1001666-1.jpeg", "train"), ("val/CNV/CNV-6294785-1.jpeg", "val"),
        # Patients lie in train and test of the version on Kaggle.
        ("test/CNV/CNV-1016042-3.jpeg", "test"), ("test/NORMAL/NORMAL-4872585-1.jpeg", "test"),
    ]  # fmt: skip
    truth = {}
    for number, (name, part) in enumerate(names):
        picture(folder / "OCT2017" / name, grey(number))
        _, label, rest = name.split("/")
        truth[f"OCT2017/{name}"] = (label, rest.split("-")[1], part)
    text(folder / "OCT2017" / ".DS_Store", "")
    return truth


def kvasir_seg(folder: Path) -> Truth:
    root = folder / "Kvasir-SEG"
    names = ["cju0qkwl35piu0993l0dewei2", "cju0qoxqj9q6s0835b43399p4"]
    for number, name in enumerate(names):
        picture(root / "images" / f"{name}.jpg", colour(number))
        picture(root / "masks" / f"{name}.jpg", mask(number))
    text(root / "kavsir_bboxes.json", "{}")
    return {f"Kvasir-SEG/images/{name}.jpg": ("", None, None) for name in names}


def chase_db1(folder: Path) -> Truth:
    truth = {}
    for number, stem in enumerate(("Image_01L", "Image_01R", "Image_14L", "Image_14R")):
        picture(folder / f"{stem}.jpg", colour(number))
        picture(folder / f"{stem}_1stHO.png", mask(number))
        picture(folder / f"{stem}_2ndHO.png", mask(number))
        truth[f"{stem}.jpg"] = ("", stem[6:8], None)
    return truth


def drive(folder: Path) -> Truth:
    truth = {}
    for name, part, ours in (
        ("21", "training", "train"),
        ("40", "training", "train"),
        ("01", "test", "test"),
    ):
        picture(folder / part / "images" / f"{name}_{part}.tif", colour(int(name)))
        picture(folder / part / "mask" / f"{name}_{part}_mask.gif", mask(int(name)))
        if part == "training":
            picture(folder / part / "1st_manual" / f"{name}_manual1.gif", mask(int(name)))
        truth[f"{part}/images/{name}_{part}.tif"] = ("", name, ours)
    return truth


def acdc(folder: Path) -> Truth:
    truth = {}
    cases = [
        ("training", "patient001", "DCM"),
        ("training", "patient021", "HCM"),
        ("testing", "patient101", "RV"),
    ]
    for part, name, group in cases:
        root = folder / "database" / part / name
        text(
            root / "Info.cfg",
            "ED: 1",
            "ES: 12",
            f"Group: {group}",
            "Height: 184.0",
            "NbFrame: 30",
            "Weight: 95.0",
        )
        for frame in ("01", "12"):
            volume(root / f"{name}_frame{frame}.nii.gz", len(truth) + int(frame))
            volume(root / f"{name}_frame{frame}_gt.nii.gz", 3, labels=(0, 1, 2, 3))
        volume(root / f"{name}_4d.nii.gz", len(truth) + 30, frames=3)
        text(root / "MANDATORY_CITATION.md", "Bernard")
        for file in ("frame01", "frame12", "4d"):
            truth[f"database/{part}/{name}/{name}_{file}.nii.gz"] = (
                group, name[7:], {"training": "train", "testing": "test"}[part],
            )  # fmt: skip
    return truth


def echonet_dynamic(folder: Path) -> Truth:
    root = folder / "EchoNet-Dynamic"
    rows = [
        ("0X100009310A3BD7FC", "78.49840597", "VAL"), ("0X1002E8FBACD08477", "59.10198811", "TRAIN"),
        ("0X100CF05D141FF143", "55.95179045", "TEST"),
    ]  # fmt: skip
    for number, (name, _, _) in enumerate(rows):
        clip(root / "Videos" / f"{name}.avi", number, "mjpeg")
    table(
        root / "FileList.csv",
        "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split",
        *((name, ef, "14.88", "69.21", 112, 112, 50, 174, part) for name, ef, part in rows),
    )
    table(
        root / "VolumeTracings.csv",
        "FileName,X1,Y1,X2,Y2,Frame",
        (rows[0][0] + ".avi", 51.2, 19.1, 53.9, 54.4, 46),
    )
    return {f"EchoNet-Dynamic/Videos/{n}.avi": (ef, n, part.lower()) for n, ef, part in rows}


def cholec80(folder: Path) -> Truth:
    root = folder / "cholec80"
    truth = {}
    for number, part in ((1, "train"), (40, "train"), (41, "test")):
        name = f"video{number:02d}"
        clip(root / "videos" / f"{name}.mp4", number, "mpeg4")
        phases = ["Preparation"] * 26 + ["CalotTriangleDissection"] * 26
        text(
            root / "phase_annotations" / f"{name}-phase.txt",
            "Frame\tPhase",
            *(f"{frame}\t{phase}" for frame, phase in enumerate(phases)),
        )
        tools = "Grasper\tBipolar\tHook\tScissors\tClipper\tIrrigator\tSpecimenBag"
        text(
            root / "tool_annotations" / f"{name}-tool.txt",
            f"Frame\t{tools}",
            *(f"{frame}\t1\t0\t0\t0\t0\t0\t0" for frame in (0, 25, 50)),
        )
        text(root / "videos" / f"{name}-timestamp.txt", "Frame\tTime", "0\t00:00:00.00")
        truth[f"cholec80/videos/{name}.mp4"] = (
            "Preparation|CalotTriangleDissection",
            f"{number:02d}",
            part,
        )
    return truth


def busi(folder: Path) -> Truth:
    root = folder / "Dataset_BUSI_with_GT"
    truth = {}
    for label, numbers in (("benign", (1, 4)), ("malignant", (1, 2)), ("normal", (1,))):
        for number in numbers:
            picture(root / label / f"{label} ({number}).png", grey(len(truth)))
            picture(root / label / f"{label} ({number})_mask.png", mask(number))
            truth[f"Dataset_BUSI_with_GT/{label}/{label} ({number}).png"] = (label, None, None)
    picture(root / "benign" / "benign (4)_mask_1.png", mask(9))
    return truth


def bccd(folder: Path) -> Truth:
    root = folder / "BCCD"
    truth = {}
    parts = {"00000": "train", "00001": "val", "00410": "test"}
    for number, part in parts.items():
        name = f"BloodImage_{number}"
        picture(root / "JPEGImages" / f"{name}.jpg", colour(int(number)))
        boxes = "".join(
            f"\t<object>\n\t\t<name>{cell}</name>\n\t\t<bndbox><xmin>1</xmin><ymin>2</ymin>"
            "<xmax>8</xmax><ymax>9</ymax></bndbox>\n\t</object>\n"
            for cell in ("WBC", "RBC", "RBC")
        )
        text(
            root / "Annotations" / f"{name}.xml",
            f"<annotation>\n\t<folder>JPEGImages</folder>\n\t<filename>{name}.jpg</filename>\n"
            f"\t<size><width>640</width><height>480</height><depth>3</depth></size>\n{boxes}</annotation>",
        )
        text(root / "ImageSets" / "Main" / f"{part}.txt", name)
        truth[f"BCCD/JPEGImages/{name}.jpg"] = ("RBC|WBC", None, part)
    text(root / "ImageSets" / "Main" / "trainval.txt", "BloodImage_00000", "BloodImage_00001")
    return truth


ORGANS = [
    "bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver",
    "lung-left", "lung-right", "pancreas", "spleen",
]  # fmt: skip
_M, _D = base.medmnist, base.decathlon
MINIATURES: dict[str, Maker] = {
    "ham10000": base.ham10000, "pcam": base.pcam, "pcam-kaggle": base.pcam_kaggle,
    "aptos2019": base.aptos2019, "chestxray14": base.chestxray14, "brats2021": base.brats2021,
    "isic2019": isic2019, "chexpert": chexpert, "chexpert-full": chexpert_full, "vindr-cxr": vindr_cxr,
    "vinbigdata": vinbigdata, "rsna-pneumonia": rsna_pneumonia, "cbis-ddsm": cbis_ddsm, "oct2017": oct2017,
    "kvasir-seg": kvasir_seg, "chase_db1": chase_db1, "drive": drive, "acdc": acdc,
    "echonet-dynamic": echonet_dynamic, "cholec80": cholec80, "busi": busi, "bccd": bccd,
    "msd_task01_braintumour": _D("Task01_BrainTumour", "BRATS", ["background", "edema", "non-enhancing tumor", "enhancing tumour"], 4),
    "msd_task02_heart": _D("Task02_Heart", "la", ["background", "left atrium"]),
    "msd_task03_liver": _D("Task03_Liver", "liver", ["background", "liver", "cancer"]),
    "msd_task04_hippocampus": _D("Task04_Hippocampus", "hippocampus", ["background", "Anterior", "Posterior"]),
    "msd_task05_prostate": _D("Task05_Prostate", "prostate", ["background", "PZ", "TZ"], 2),
    "msd_task06_lung": _D("Task06_Lung", "lung", ["background", "cancer"]),
    "msd_task07_pancreas": _D("Task07_Pancreas", "pancreas", ["background", "pancreas", "cancer"]),
    "msd_task08_hepaticvessel": _D("Task08_HepaticVessel", "hepaticvessel", ["background", "Vessel", "Tumour"]),
    "msd_task09_spleen": _D("Task09_Spleen", "spleen", ["background", "spleen"]),
    "msd_task10_colon": _D("Task10_Colon", "colon", ["background", "colon cancer primaries"]),
    "pathmnist": _M("pathmnist", ["adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa", "cancer-associated stroma", "colorectal adenocarcinoma epithelium"], "colour"),
    "chestmnist": _M("chestmnist", ["atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia", "pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia"], "several"),
    "dermamnist": _M("dermamnist", ["actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma", "benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions"], "colour"),
    "octmnist": _M("octmnist", ["choroidal neovascularization", "diabetic macular edema", "drusen", "normal"], "grey"),
    "pneumoniamnist": _M("pneumoniamnist", ["normal", "pneumonia"], "grey"),
    "retinamnist": _M("retinamnist", ["0", "1", "2", "3", "4"], "colour"),
    "breastmnist": _M("breastmnist", ["malignant", "normal, benign"], "grey"),
    "bloodmnist": _M("bloodmnist", ["basophil", "eosinophil", "erythroblast", "immature granulocytes (myelocytes, metamyelocytes and promyelocytes)", "lymphocyte", "monocyte", "neutrophil", "platelet"], "colour"),
    "tissuemnist": _M("tissuemnist", ["Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule", "Glomerular endothelial cells", "Interstitial endothelial cells", "Leukocytes", "Podocytes", "Proximal Tubule Segments", "Thick Ascending Limb"], "grey"),
    "organamnist": _M("organamnist", ORGANS, "grey"), "organcmnist": _M("organcmnist", ORGANS, "grey"),
    "organsmnist": _M("organsmnist", ORGANS, "grey"),
    "organmnist3d": _M("organmnist3d", ["liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder", "heart", "lung-right", "lung-left", "spleen", "pancreas"], "volume"),
    "nodulemnist3d": _M("nodulemnist3d", ["benign", "malignant"], "volume"),
    "adrenalmnist3d": _M("adrenalmnist3d", ["normal", "hyperplasia"], "volume"),
    "fracturemnist3d": _M("fracturemnist3d", ["buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture"], "volume"),
    "vesselmnist3d": _M("vesselmnist3d", ["vessel", "aneurysm"], "volume"),
    "synapsemnist3d": _M("synapsemnist3d", ["inhibitory synapse", "excitatory synapse"], "volume"),
}  # fmt: skip
