"""The mathematics of the objectives: tensors in, tensors out, no files and no modules' state."""
