"""Damaged and hostile files for the readers, and what came of them; see `fuzz_readers.py`."""
