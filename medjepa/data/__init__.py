"""From files to tensors: readers, the prepared store, splits by patient, batches.

Everything is imported on first use, so that decoding workers start without torch.
"""

from importlib import import_module

_HOMES = {
    "Batch": "batching",
    "BatchPlan": "sampling",
    "LabelMaps": "label_maps",
    "LabelledSet": "labels",
    "MedicalImageDataset": "datasets",
    "MedicalImagePreprocessor": "preprocessing",
    "Pipeline": "preprocessing",
    "PrepareReport": "preparation",
    "Sample": "batching",
    "Store": "store",
    "VolumeDataset": "volume_dataset",
    "VolumePipeline": "volume_pipeline",
    "VolumeStore": "volume_store",
    "StoreDataset": "store_dataset",
    "check_no_group_crosses": "splits",
    "collate": "batching",
    "ensure_store": "cache",
    "extract_archive": "archive",
    "grouped_stratified_split": "splits",
    "labelled": "labels",
    "open_label_maps": "label_maps",
    "open_store": "store",
    "open_volumes": "volume_store",
    "prepare": "preparation",
    "read": "decode",
    "read_all_series": "decode.series",
    "read_clip": "decode.clip_part",
    "read_region": "decode.slide",
    "read_series": "decode.series",
    "read_table": "tables",
    "read_tiles": "decode.slide",
    "slide_info": "decode.slide",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"medjepa.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
