"""Do the readers withstand damaged and hostile files? An image or an InputError, nothing else.

    python benchmarks/fuzz_readers.py [--count 20000] [--seed 0] [--real FOLDER ...] [--out OUT]

A third of the files have well-formed headers that say anything (DICOM elements, NIfTI fields, PNG
chunks, TIFF directories, AVI lists, GIF, .npy), the rest are whole files with damaged bytes: made
in code, and the small ones below each `--real` folder. Each is read in a process with limits.
What else happens (another exception, a death, a hang, memory, a blank image without a warning) is
counted, and the file kept in OUT/findings. Run again, it goes on where it was stopped.
Exit status 1: something was found.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzz.campaign import BLOCK, run_block, save_finding, showing_something
from fuzz.corpus import made_in_code, real_files


def main() -> int:
    """Run all blocks that have not been run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=Path("fuzz-out"))
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    record = arguments.out / f"seed-{arguments.seed}.jsonl"
    done = _done(record)
    sources = [*made_in_code(), *real_files(arguments.real)]
    plain = showing_something(sources, arguments.workers)
    print(f"{len(sources)} whole files, {len(plain)} of them read without a warning")
    counts: dict[str, int] = {}
    for block in range(-(-arguments.count // BLOCK)):
        begin = time.perf_counter()
        if block not in done:
            size = min(BLOCK, arguments.count - block * BLOCK)
            tally = run_block(
                block,
                sources,
                campaign_seed=arguments.seed,
                size=size,
                num_workers=arguments.workers,
                plain=plain,
            )
            kept = [
                {
                    "kind": finding.kind,
                    "origin": finding.origin,
                    "detail": finding.detail,
                    "file": save_finding(arguments.out / "findings", finding).name,
                }
                for finding in tally.findings
            ]
            done[block] = {"block": block, "counts": tally.counts, "findings": kept}
            with record.open("a") as file:
                file.write(json.dumps(done[block]) + "\n")
        for status, count in done[block]["counts"].items():
            counts[status] = counts.get(status, 0) + count
        seconds = time.perf_counter() - begin
        print(
            f"block {block}: {seconds:.0f} s, together {sum(counts.values()):,}: {counts}",
            flush=True,
        )
    return int(bool(set(counts) - {"image", "refused"}))


def _done(record: Path) -> dict[int, dict]:
    lines = record.read_text().splitlines() if record.is_file() else []
    return {entry["block"]: entry for entry in map(json.loads, lines)}


if __name__ == "__main__":
    sys.exit(main())
