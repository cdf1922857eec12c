"""The losses under the names users know; the mathematics is in `medjepa.objectives`."""

from medjepa.objectives.jepa_loss import SIGRegLoss
from medjepa.objectives.sigreg import epps_pulley, sigreg

__all__ = ["SIGRegLoss", "epps_pulley", "sigreg"]
