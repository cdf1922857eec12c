"""Fetch a known data set: `python scripts/download_data.py --dataset ham10000 --data_dir DIR`."""

from medjepa.cli.data_script import main

if __name__ == "__main__":
    raise SystemExit(main())
