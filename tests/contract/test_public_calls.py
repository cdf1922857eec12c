"""Every documented name is called once, as it is documented, and gives back what is documented."""

import csv
import zipfile

import numpy as np
import pytest
import torch
from image_files import grey, write_dicom, write_nifti, write_png

from medjepa import load_encoder
from medjepa.data import (
    MedicalImageDataset,
    MedicalImagePreprocessor,
    extract_archive,
    read,
    read_table,
)
from medjepa.data.dicom_utils import anonymize_dicom, extract_pixel_data, get_dicom_info
from medjepa.data.masking import PatchMasker2D, PatchMasker3D, TemporalMasker
from medjepa.data.preprocessing import VolumetricPreprocessor
from medjepa.errors import InputError
from medjepa.evaluation.few_shot import FewShotEvaluator
from medjepa.evaluation.linear_probe import LinearProbe, LinearProbeEvaluator
from medjepa.evaluation.segmentation import SimpleSegmentationHead, dice_score
from medjepa.models.encoder import PatchEmbedding, TransformerBlock, ViTEncoder
from medjepa.models.lejepa import LeJEPA
from medjepa.models.predictor import JEPAPredictor
from medjepa.models.vjepa import VJEPA, PatchEmbedding3D
from medjepa.training.losses import SIGRegLoss, epps_pulley, sigreg
from medjepa.training.trainer import MedJEPATrainer
from medjepa.utils.device import get_device, get_device_info
from medjepa.utils.visualization import (
    plot_attention_map,
    plot_data_efficiency,
    plot_embedding_space,
    plot_training_history,
)

SMALL = {"embed_dim": 12, "predictor_dim": 12, "predictor_depth": 1}
LOSSES = {"total_loss", "prediction_loss", "regularization_loss"}


def model():
    torch.manual_seed(0)
    return LeJEPA(
        image_size=16, patch_size=8, in_channels=3, encoder_depth=1, encoder_heads=2,
        predictor_heads=2, **SMALL,
    )  # fmt: skip


@pytest.fixture
def images(tmp_path):
    """Six PNG and their table."""
    with (tmp_path / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image_id", "dx"])
        for number in range(6):
            write_png(tmp_path / f"i{number}.png", grey(number))
            rows.writerow([f"i{number}", "ab"[number % 2]])
    return tmp_path


def test_device(capsys):
    assert isinstance(get_device(), torch.device)
    assert isinstance(get_device_info(), dict)
    assert capsys.readouterr().out


def test_image_preprocessor(images):
    preprocessor = MedicalImagePreprocessor(target_size=(12, 16))
    found = preprocessor.preprocess(images / "i0.png")
    assert found.shape == (12, 16, 3) and found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    loaded = preprocessor.load_image(images / "i0.png")
    one = preprocessor.normalize_intensity(loaded)
    assert preprocessor.ensure_3_channels(preprocessor.resize_image(one)).shape == (12, 16, 3)
    assert not preprocessor.normalize_intensity(np.full((4, 4), 7.0, np.float32)).any()


def test_volume_preprocessor(tmp_path):
    values = np.random.default_rng(0).normal(size=(9, 11, 7)).astype(np.float32)
    path = write_nifti(tmp_path / "v.nii.gz", values, np.eye(4))
    preprocessor = VolumetricPreprocessor(target_size=(8, 10, 6))
    found = preprocessor.preprocess(path)
    assert found.shape == (8, 10, 6) and found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    loaded = preprocessor.load_nifti_volume(path)
    assert preprocessor.resize_volume(preprocessor.normalize_volume(loaded)).shape == (8, 10, 6)


def test_dataset(images):
    plain = MedicalImageDataset(images, file_extension=".png", target_size=(16, 16))
    assert len(plain) == 6 and plain[0].shape == (3, 16, 16)
    labelled = MedicalImageDataset(
        images, images / "table.csv", image_column="image_id", label_column="dx",
        file_extension=".png", target_size=(16, 16), transform=None,
    )  # fmt: skip
    image, label = labelled[1]
    assert image.shape == (3, 16, 16) and labelled.class_names[label] == "b"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_dicom(tmp_path):
    numbers = {"StudyInstanceUID": "1.2.3.1", "SeriesInstanceUID": "1.2.3.2"}
    path = write_dicom(tmp_path / "a.dcm", grey(0, dtype=np.uint16), **numbers)
    assert extract_pixel_data(path).dtype == np.float32
    wanted = {"rows", "columns", "modality", "bits_stored", "pixel_spacing", "slice_thickness"}
    assert wanted <= get_dicom_info(path).keys()
    anonymize_dicom(path, tmp_path / "b.dcm", secret=b"x" * 32)
    assert b"Doe" not in (tmp_path / "b.dcm").read_bytes()


@pytest.mark.parametrize(
    "masker",
    [
        PatchMasker2D(image_size=32, patch_size=8, mask_ratio=0.75, num_target_blocks=2),
        PatchMasker3D(volume_size=(32, 32, 16), patch_size=(8, 8, 8), mask_ratio=0.75),
    ],
    ids=["2D", "3D"],
)
def test_maskers(masker):
    for context, target in (masker.generate_mask(), masker.generate_block_mask()):
        assert len(context) and len(target)
        both = torch.cat([context, target])
        assert sorted(both.tolist()) == list(range(masker.num_patches))
        assert context.tolist() == sorted(context.tolist())
        assert set(np.unique(masker.visualize_mask(context, target))) == {0, 1}
    assert masker.grid_size is not None


def test_temporal_masker():
    masker = TemporalMasker(
        num_frames=8, patch_size_spatial=8, image_size=32, mask_ratio_temporal=0.5,
        mask_ratio_spatial=0.75,
    )  # fmt: skip
    assert masker.generate_mask().keys() == {"visible_frames", "hidden_frames", "visible_patches"}


def test_parts_of_models():
    encoder = ViTEncoder(
        image_size=16, patch_size=8, in_channels=3, embed_dim=12, depth=1, num_heads=2,
        mlp_ratio=4.0, dropout=0.0,
    )  # fmt: skip
    x = torch.rand(2, 3, 16, 16)
    assert encoder(x).shape == (2, 4, 12)
    assert encoder(x, patch_indices=torch.tensor([[0, 3], [1, 2]])).shape == (2, 2, 12)
    for part in (PatchEmbedding, TransformerBlock):
        assert any(isinstance(module, part) for module in encoder.modules())
    patches = PatchEmbedding3D(volume_size=(16, 16, 8), patch_size=(8, 8, 4), embed_dim=12)
    assert patches(torch.rand(2, 1, 16, 16, 8)).shape == (2, 8, 12)
    predictor = JEPAPredictor(embed_dim=12, predictor_dim=8, depth=1, num_heads=2, num_patches=4)
    places = torch.tensor([[0, 3], [1, 2]])
    assert predictor(torch.rand(2, 2, 12), places, 3 - places).shape == (2, 2, 12)


def volume_model():
    return VJEPA(
        volume_size=(16, 16, 8), patch_size=(8, 8, 4), in_channels=1, depth=1, num_heads=2, **SMALL
    )


def test_losses():
    loss = SIGRegLoss(lambda_reg=0.5)
    parts = loss(torch.rand(4, 3, 6), torch.rand(4, 3, 6), torch.rand(4, 3, 6))
    assert parts.keys() >= LOSSES
    total = parts["prediction_loss"] + 0.5 * parts["regularization_loss"]
    torch.testing.assert_close(parts["total_loss"], total)
    assert loss.prediction_loss is not None and loss.regularization_loss is not None
    x = torch.randn(9, 5, dtype=torch.float64)
    assert epps_pulley(x, num_knots=17, t_max=3.0).shape == (5,)
    assert sigreg(x, torch.nn.functional.normalize(torch.randn(5, 7), dim=0).double()).ndim == 0


@pytest.mark.parametrize(
    ("kind", "x"), [(model, (2, 3, 16, 16)), (volume_model, (2, 1, 16, 16, 8))]
)
def test_models(kind, x):
    made, batch = kind(), torch.rand(x)
    assert made(batch).keys() >= LOSSES
    assert made.encode(batch).shape == (2, 12)
    type(made)(**made.config).load_state_dict(made.state_dict(), strict=True)


def test_trainer(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = MedicalImageDataset(images, file_extension=".png", target_size=(16, 16))
    config = {
        "batch_size": 3, "num_epochs": 2, "learning_rate": 1e-3, "weight_decay": 0.05,
        "warmup_epochs": 0, "num_workers": 0, "log_every": 1, "save_every": 1,
        "checkpoint_dir": "kept", "mixed_precision": False,
    }  # fmt: skip
    history = MedJEPATrainer(model(), data, config, val_dataset=data).train()
    assert history.keys() >= {"train_loss", "val_loss", "epochs"}
    assert len(history["train_loss"]) == len(history["val_loss"]) == 2
    assert {"best_model.pt", "checkpoint_epoch_1.pt"} <= {
        p.name for p in (tmp_path / "kept").iterdir()
    }
    content = torch.load(tmp_path / "kept" / "best_model.pt", weights_only=True)
    assert content.keys() >= {
        "epoch", "model_state_dict", "optimizer_state_dict", "scheduler_state_dict", "loss",
        "config",
    }  # fmt: skip
    again = MedJEPATrainer(model(), data, config)
    again.load_checkpoint(tmp_path / "kept" / "checkpoint_epoch_1.pt")
    again.save_checkpoint(tmp_path / "kept" / "mine.pt")
    assert (tmp_path / "kept" / "mine.pt").is_file()
    encoder = load_encoder(tmp_path / "kept" / "best_model.pt")
    assert encoder.embed([images / "i0.png"]).shape == (1, 12)


def test_probes():
    x, y = torch.rand(12, 3, 16, 16), torch.arange(12) % 2
    evaluator = LinearProbeEvaluator(model(), num_classes=2, embed_dim=12)
    features, labels = evaluator.extract_features([(x, y)])
    assert features.shape == (12, 12) and labels.tolist() == y.tolist()
    evaluator.train_probe(features, labels, num_epochs=1, lr=0.01, batch_size=8)
    assert evaluator.evaluate(features, labels).keys() >= {"accuracy", "report", "auc"}
    assert LinearProbe(12, 2)(features).shape == (12, 2)
    few = FewShotEvaluator(model(), k=3)
    found = few.evaluate_n_shot(x, y, x, y, n_shot=2)
    assert found.keys() >= {"n_shot", "accuracy", "num_support", "num_query"}
    rows = few.evaluate_data_efficiency(features, labels, features, labels, fractions=[0.5, 1.0])
    assert [row["fraction"] for row in rows] == [0.5, 1.0]
    assert all(row.keys() >= {"num_labeled", "accuracy"} for row in rows)


def test_segmentation():
    head = SimpleSegmentationHead(embed_dim=12, num_classes=2, image_size=16, patch_size=8)
    assert head(torch.rand(2, 4, 12)).shape == (2, 2, 16, 16)
    mask = torch.tensor([[0, 1], [1, 1]])
    assert dice_score(mask, mask, smooth=1e-5) == pytest.approx(1)


def test_plots(tmp_path):
    history = {"train_loss": [2.0, 1.0], "val_loss": [2.0, 1.5], "epochs": [1, 2]}
    features, labels = np.random.default_rng(0).normal(size=(8, 5)), np.arange(8) % 2
    rows = [{"fraction": f, "num_labeled": 4, "accuracy": f} for f in (0.5, 1.0)]
    for number, figure in enumerate(
        (
            plot_training_history(history, save_path=tmp_path / "0.png"),
            plot_embedding_space(
                features, labels, class_names=["a", "b"], title="t", save_path=tmp_path / "1.png"
            ),
            plot_attention_map(
                np.zeros((16, 16)), np.ones((2, 2)), title="t", save_path=tmp_path / "2.png"
            ),
            plot_data_efficiency(
                rows, baseline_accuracy=0.5, title="t", save_path=tmp_path / "3.png"
            ),
        )
    ):
        assert figure.axes and (tmp_path / f"{number}.png").is_file()


def test_reading(images, tmp_path):
    assert read(images / "i0.png").array.ndim == 3
    with pytest.raises(InputError) as caught:
        read(images / "table.csv")
    error = caught.value
    assert error.path == str(images / "table.csv") and error.reason and error.format is not None
    assert str(error).startswith(str(images / "table.csv"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/y.txt", "hello")
    (written,) = extract_archive(tmp_path / "a.zip", tmp_path / "into")
    assert written.read_text() == "hello"
    (tmp_path / "t.csv").write_text("file,label\ni0.png,a\n")
    assert len(read_table(tmp_path / "t.csv").rows) == 1
