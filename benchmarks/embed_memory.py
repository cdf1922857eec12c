"""Peak memory and time of preparing and of embedding one large volume, each in its own process.

python benchmarks/embed_memory.py                       # 600 x 512 x 512 int16, vit3d_ti8
python benchmarks/embed_memory.py --shape 100 256 256 --model vit3d_s16
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = ("write", "prepare", "embed store", "embed file")


def main() -> None:
    """Run every step in a process of its own, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(600, 512, 512), metavar="N")
    parser.add_argument("--model", default="vit3d_ti8")
    parser.add_argument("--overlap", type=float, default=0.0)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in STEPS:
            command = [sys.executable, __file__, "--step", name, "--folder", folder]
            command += ["--model", arguments.model, "--overlap", str(arguments.overlap)]
            command += ["--shape", *map(str, arguments.shape)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
            found = json.loads(answer.stdout.splitlines()[-1])
            print(
                f"{name:12} {found['gigabytes']:.2f} GB peak, {found['seconds']:.0f} s", flush=True
            )


def step(arguments: argparse.Namespace) -> None:
    """One step; its last line is its peak memory, with that of its children, and its time."""
    import resource

    start = time.perf_counter()
    folder = arguments.folder
    if arguments.step == "write":
        write(folder, arguments.shape, arguments.model)
    elif arguments.step == "prepare":
        from medjepa.data.preparation import prepare

        prepare(folder / "volumes", folder / "store", dimensions=3, num_workers=1)
    elif arguments.step == "embed store":
        from medjepa.cli.main import main as medjepa

        asked = [
            f"checkpoint={folder / 'run'}",
            f"data={folder / 'store'}",
            f"out={folder / 'out'}",
        ]
        asked += [f"overlap={arguments.overlap}", "hardware.device=cpu"]
        assert medjepa(["embed", *asked]) == 0
    else:
        from medjepa.checkpoint import load_encoder

        encoder = load_encoder(folder / "run", device="cpu")
        encoder.embed(folder / "volumes" / "volume.nii", overlap=arguments.overlap)  # type: ignore[call-arg]
    used = [
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    seconds = time.perf_counter() - start
    print(json.dumps({"gigabytes": max(used) / 2**20, "seconds": seconds}))


def write(folder: Path, shape: tuple[int, int, int], model: str) -> None:
    """A volume of noise in HU, slab by slab, and a checkpoint."""
    import nibabel
    import numpy as np

    from medjepa.checkpoint import save_checkpoint
    from medjepa.data.volume_pipeline import VolumePipeline
    from medjepa.models.registry import ENCODERS
    from medjepa.models.vjepa import VJEPA

    sizes = dict(ENCODERS[model])
    size = tuple(sizes["image_size"])  # type: ignore[arg-type]
    network = VJEPA(
        size,
        tuple(sizes["patch_size"]),  # type: ignore[arg-type]
        embed_dim=int(sizes["embed_dim"]),  # type: ignore[call-overload]
        depth=int(sizes["encoder_depth"]),  # type: ignore[call-overload]
        num_heads=int(sizes["encoder_heads"]),  # type: ignore[call-overload]
    )
    payload = {
        "model_state_dict": network.state_dict(),
        "model_config": network.config,
        "model_type": "VJEPA",
        "pipeline": VolumePipeline(crop=size).to_dict(),
    }
    save_checkpoint(folder / "run" / "checkpoints" / "best_model.pt", payload)
    (folder / "volumes").mkdir()
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape[::-1])
    header.set_zooms((0.7, 0.7, 1.0))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    rng = np.random.default_rng(0)
    with (folder / "volumes" / "volume.nii").open("wb") as file:
        file.write(header.binaryblock + bytes(4))
        for _ in range(shape[0]):
            file.write(rng.normal(40, 300, shape[1:]).clip(-1024, 3000).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
