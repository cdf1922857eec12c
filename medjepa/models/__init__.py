"""Encoders, predictors and the models that compose them with the objectives."""
