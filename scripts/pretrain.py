"""Pre-train under the guide's flags: `python scripts/pretrain.py --data_dir DIR --epochs 50`."""

from medjepa.cli.pretrain_script import main

if __name__ == "__main__":
    raise SystemExit(main())
