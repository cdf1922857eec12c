"""Code that users wrote against the documented names keeps running: names, order, defaults."""

import ast
import importlib
import inspect

import pytest

# "module:callable(parameters)" as documented: `...` stands for any default, one letter for any name
# (given by position). Further parameters need a default.
CALLS = """
medjepa:load_encoder(path)
medjepa.data:read(path)
medjepa.data:read_clip(path)
medjepa.data:read_region(path, top, left, height, width)
medjepa.data:read_tiles(path, size)
medjepa.data:slide_info(path)
medjepa.data.catalog:check_entry(entry, folder)
medjepa.data.catalog:download(entry, folder)
medjepa.data.catalog:entry_named(name)
medjepa.data.catalog:load_entries(path)
medjepa.data.catalog:read_items(entry, folder)
medjepa.data.catalog:write_table(entry, items, path)
medjepa.data.datasets:MedicalImageDataset(image_dir, metadata_csv=None, image_column="image_id", \
label_column=None, file_extension=".jpg", target_size=(224, 224), transform=None)
medjepa.data.masking:PatchMasker2D(image_size=224, patch_size=16, mask_ratio=0.75, \
num_target_blocks=4)
medjepa.data.masking:PatchMasker2D.generate_mask()
medjepa.data.masking:PatchMasker2D.generate_block_mask()
medjepa.data.masking:PatchMasker2D.visualize_mask(c, t)
medjepa.data.preprocessing:MedicalImagePreprocessor(target_size=(224, 224))
medjepa.data.preprocessing:MedicalImagePreprocessor.preprocess(path)
medjepa.data.preprocessing:MedicalImagePreprocessor.load_image(path)
medjepa.data.preprocessing:MedicalImagePreprocessor.normalize_intensity(a)
medjepa.data.preprocessing:MedicalImagePreprocessor.resize_image(a)
medjepa.data.preprocessing:MedicalImagePreprocessor.ensure_3_channels(a)
medjepa.data.preprocessing:VolumetricPreprocessor(target_size=(128, 128, 64))
medjepa.data.preprocessing:VolumetricPreprocessor.preprocess(path)
medjepa.data.preprocessing:VolumetricPreprocessor.load_nifti_volume(a)
medjepa.data.preprocessing:VolumetricPreprocessor.normalize_volume(a)
medjepa.data.preprocessing:VolumetricPreprocessor.resize_volume(a)
medjepa.data:read_series(folder)
medjepa.data:read_all_series(folder)
medjepa.data:read_table(path)
medjepa.data:extract_archive(path, into)
medjepa.data.dicom_utils:anonymize_dicom(input_path, output_path, *, secret=None)
medjepa.data.dicom_utils:extract_pixel_data(path)
medjepa.data.dicom_utils:get_dicom_info(path)
medjepa.data.masking:PatchMasker3D(volume_size=(128, 128, 64), patch_size=(16, 16, 8), \
mask_ratio=0.75)
medjepa.data.masking:PatchMasker3D.generate_mask()
medjepa.data.masking:TemporalMasker(num_frames=16, patch_size_spatial=16, image_size=224, \
mask_ratio_temporal=0.5, mask_ratio_spatial=0.75)
medjepa.data.masking:TemporalMasker.generate_mask()
medjepa.encoders:Encoder.embed(images)
medjepa.evaluation.few_shot:FewShotEvaluator(pretrained_model, k=5)
medjepa.evaluation.few_shot:FewShotEvaluator.evaluate_n_shot(support_images, support_labels, \
query_images, query_labels, n_shot=5)
medjepa.evaluation.few_shot:FewShotEvaluator.evaluate_data_efficiency(train_f, train_y, \
test_f, test_y, fractions=...)
medjepa.evaluation.linear_probe:LinearProbe(embed_dim, num_classes)
medjepa.evaluation.linear_probe:LinearProbeEvaluator(pretrained_model, num_classes, embed_dim=768)
medjepa.evaluation.linear_probe:LinearProbeEvaluator.extract_features(loader)
medjepa.evaluation.linear_probe:LinearProbeEvaluator.train_probe(f, y, num_epochs=100, lr=0.01, \
batch_size=256)
medjepa.evaluation.linear_probe:LinearProbeEvaluator.evaluate(f, y)
medjepa.evaluation.segmentation:SimpleSegmentationHead(embed_dim=768, num_classes=2, \
image_size=224, patch_size=16)
medjepa.evaluation.segmentation:dice_score(pred, target, smooth=1e-5)
medjepa.models.encoder:ViTEncoder(image_size=224, patch_size=16, in_channels=3, embed_dim=768, \
depth=12, num_heads=12, mlp_ratio=4.0, dropout=0.0)
medjepa.models.encoder:ViTEncoder.forward(x, patch_indices=None)
medjepa.models.lejepa:LeJEPA(image_size=224, patch_size=16, in_channels=3, embed_dim=768, \
encoder_depth=12, encoder_heads=12, predictor_dim=384, predictor_depth=6, predictor_heads=6, \
mask_ratio=0.75, lambda_reg=1.0)
medjepa.models.lejepa:LeJEPA.forward(images)
medjepa.models.lejepa:LeJEPA.encode(images)
medjepa.models.predictor:JEPAPredictor(embed_dim=768, predictor_dim=384, depth=6, num_heads=6, \
num_patches=196)
medjepa.models.predictor:JEPAPredictor.forward(context_embeddings, context_indices, target_indices)
medjepa.models.vjepa:VJEPA(volume_size=(128, 128, 64), patch_size=(16, 16, 8), in_channels=1, \
embed_dim=768, depth=12, num_heads=12, predictor_dim=384, predictor_depth=6, mask_ratio=0.75, \
lambda_reg=1.0)
medjepa.models.vjepa:VJEPA.forward(volumes)
medjepa.models.vjepa:VJEPA.encode(volumes)
medjepa.training.losses:SIGRegLoss(lambda_reg=1.0)
medjepa.training.losses:SIGRegLoss.forward(predicted_target, actual_target, all_embeddings)
medjepa.training.losses:epps_pulley(x, *, num_knots=17, t_max=3.0)
medjepa.training.losses:sigreg(z, directions)
medjepa.training.trainer:MedJEPATrainer(model, train_dataset, config, val_dataset=None)
medjepa.training.trainer:MedJEPATrainer.train()
medjepa.training.trainer:MedJEPATrainer.train_one_epoch(epoch)
medjepa.training.trainer:MedJEPATrainer.load_checkpoint(path)
medjepa.utils.device:get_device()
medjepa.utils.device:get_device_info()
medjepa.utils.visualization:plot_training_history(history, save_path=None)
medjepa.utils.visualization:plot_embedding_space(embeddings, labels, class_names=None, title=..., \
save_path=None)
medjepa.utils.visualization:plot_attention_map(image, attention_weights, title=..., save_path=None)
medjepa.utils.visualization:plot_data_efficiency(results, baseline_accuracy=None, title=..., \
save_path=None)
""".strip().splitlines()
NAMES = (
    "medjepa.errors:InputError",
    "medjepa.errors:InputWarning",
    "medjepa.models.encoder:PatchEmbedding",
    "medjepa.models.encoder:TransformerBlock",
    "medjepa.models.vjepa:PatchEmbedding3D",
    "medjepa.training.scheduler",
    "medjepa.training.trainer:MedJEPATrainer.save_checkpoint",
    "medjepa.evaluation.metrics",
    "medjepa.utils.logging",
)


def find(address):
    module, _, attributes = address.partition(":")
    found = importlib.import_module(module)
    for attribute in attributes.split(".") if attributes else ():
        found = getattr(found, attribute)
    return found


def documented(call):
    """Return (address, [(name, default or no default)], keyword-only names)."""
    address, _, parameters = call.partition("(")
    arguments = ast.parse(f"lambda {parameters[:-1]}: 0", mode="eval").body.args
    defaults = [ast.literal_eval(value) for value in arguments.defaults]
    names = [argument.arg for argument in arguments.args]
    required = [inspect.Parameter.empty] * (len(names) - len(defaults))
    keywords = {
        argument.arg: ast.literal_eval(value)
        for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }
    return address, list(zip(names, required + defaults, strict=True)), keywords


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.partition("(")[0])
def test_calls_as_documented_work(call):
    address, positional, keywords = documented(call)
    parameters = list(inspect.signature(find(address)).parameters.values())
    if "." in address.partition(":")[2]:
        parameters = parameters[1:]  # self
    for index, (name, default) in enumerate(positional):
        assert len(name) == 1 or parameters[index].name == name
        assert parameters[index].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        if default is not ...:
            assert parameters[index].default == default
    for parameter in parameters[len(positional) :]:
        assert parameter.default is not inspect.Parameter.empty or parameter.kind in (
            inspect.Parameter.VAR_KEYWORD,
            inspect.Parameter.VAR_POSITIONAL,
        )
    rest = {parameter.name: parameter.default for parameter in parameters[len(positional) :]}
    assert keywords.items() <= rest.items()


@pytest.mark.parametrize("address", NAMES)
def test_names_are_there(address):
    assert find(address) is not None
