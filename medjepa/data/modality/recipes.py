"""The recipes by name, and which one a kind of image gets when nobody asks."""

from medjepa.data.modality.colour import LocalAverage, Macenko, ShadesOfGrey
from medjepa.data.modality.crops import CropBorder, CropDisc, CropRegion
from medjepa.data.modality.scales import FromFile, Percentiles, Window, WindowChannels, ZScore
from medjepa.data.modality.step import Step

CT_WINDOWS = {
    "wide": (-1000.0, 1000.0),
    "lung": (-1350.0, 150.0),
    "mediastinum": (-125.0, 225.0),
    "soft": (-160.0, 240.0),
    "brain": (0.0, 80.0),
    "stroke": (20.0, 60.0),
    "bone": (-500.0, 1300.0),
}
"""(low, high) in HU; the widths and levels of common viewers, "wide" as in Models Genesis."""

RECIPES: dict[str, tuple[Step, ...]] = {
    "as_stored": (FromFile(),),
    "percentiles": (Percentiles(),),
    "radiograph": (FromFile(),),
    **{f"ct_{name}": (Window(low, high),) for name, (low, high) in CT_WINDOWS.items()},
    "ct_channels": (
        WindowChannels((CT_WINDOWS["lung"], CT_WINDOWS["mediastinum"], CT_WINDOWS["bone"])),
    ),
    "mr_z_score": (ZScore(),),
    "mr_percentiles": (Percentiles(),),
    "ultrasound": (CropRegion(), FromFile()),
    "dermoscopy": (CropBorder(), FromFile()),
    "dermoscopy_constancy": (CropBorder(), ShadesOfGrey(), FromFile()),
    "fundus": (CropDisc(), FromFile()),
    "fundus_local_average": (CropDisc(), LocalAverage(), FromFile()),
    "histology": (FromFile(),),
    "histology_macenko": (Macenko(), FromFile()),
}
"""What `data.intensity` may name."""

DEFAULTS = {
    "generic": "as_stored",
    "xray": "radiograph",
    "ct": "ct_wide",
    "mri": "mr_z_score",
    "ultrasound": "ultrasound",
    "skin": "dermoscopy",
    "retina": "fundus",
    "histology": "histology",
}
"""The recipe of each kind of image for `data.intensity=auto`."""
