"""What every part may use: the device, the log, progress, figures."""
