"""Other methods on the same encoder and views, so that "JEPA helps" is a comparison.

A further method is a file here with a subclass of `Method`, its settings in
`medjepa.config.methods`, and one entry below.
"""

from medjepa.models.methods.dino import DINO
from medjepa.models.methods.ijepa import IJEPA
from medjepa.models.methods.mae import MAE
from medjepa.models.methods.method import Method
from medjepa.models.methods.simclr import SimCLR
from medjepa.models.methods.supervised import Supervised
from medjepa.models.methods.vicreg import VICReg

__all__ = ["DINO", "IJEPA", "MAE", "METHODS", "Method", "SimCLR", "Supervised", "VICReg"]

METHODS: dict[str, type[Method]] = {
    "supervised": Supervised,
    "mae": MAE,
    "simclr": SimCLR,
    "vicreg": VICReg,
    "dino": DINO,
    "ijepa": IJEPA,
}
"""By the name in `method=`; "lejepa" is `LeJEPA` itself."""
