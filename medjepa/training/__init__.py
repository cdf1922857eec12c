"""Training: the loop, its schedule, and the losses under the names users know."""
