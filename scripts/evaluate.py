"""Evaluate under the guide's flags: `python scripts/evaluate.py --checkpoint C --data_dir DIR`."""

from medjepa.cli.evaluate_script import main

if __name__ == "__main__":
    raise SystemExit(main())
