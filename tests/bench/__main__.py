"""Run one benchmark: ``python -m tests.bench NAME [--json] [--tiny] [--seeds N] [--cases N]``."""

import argparse
import json
import os
from collections.abc import Callable, Mapping

from tests.bench import (
    ablation,
    chaos,
    cluster,
    decode,
    estimate,
    fuzz,
    html,
    memory,
    ncc,
    pipeline,
    plan,
    quality,
    read,
    resume,
    s3,
    split,
    sql,
    ssim,
    transfer,
)
from tests.bench.report import MissingError, Report

BENCHMARKS: Mapping[str, Callable[..., Report]] = {
    "ablation": ablation.run,
    "chaos": chaos.run,
    "cluster": cluster.run,
    "decode": decode.run,
    "estimate": estimate.run,
    "fuzz": fuzz.run,
    "memory": memory.run,
    "ncc": ncc.run,
    "pipeline": pipeline.run,
    "plan": plan.run,
    "quality": quality.run,
    "query": sql.run,
    "read": read.run,
    "report": html.run,
    "resume": resume.run,
    "s3": s3.run,
    "split": split.run,
    "ssim": ssim.run,
    "transfer": transfer.run,
}


def main() -> None:
    """Run the benchmark that is asked for and print what it found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--tiny", action="store_true", help="run once, small, on synthetic dice: does it still work?"
    )
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="repeat what is left to chance; of chaos alone"
    )
    parser.add_argument("--cases", type=int, metavar="N", help="so many archives; of fuzz alone")
    asked = parser.parse_args()
    if asked.seeds is not None and asked.name != "chaos":
        parser.error(f"{asked.name} leaves nothing to chance: --seeds goes with chaos")
    if asked.cases is not None and (asked.name != "fuzz" or asked.cases < 1):
        parser.error("--cases N, from 1 up, goes with fuzz")
    told = {"seeds": asked.seeds, "cases": asked.cases}
    chance = {name: number for name, number in told.items() if number is not None}
    try:
        report = BENCHMARKS[asked.name](tiny=asked.tiny, **chance)
    except MissingError as missing:
        parser.exit(os.EX_UNAVAILABLE, f"{asked.name}: {missing}\n")
    print(json.dumps(report.as_object()) if asked.json else report.as_text())


if __name__ == "__main__":
    main()
