"""Scores a sound archive and then the corpus, serially, and tells the most memory that each took."""

import json
import re
import sys
from pathlib import Path

import fake_scorer
from corpus import MAX_BYTES, MAX_EXPANSION, MAX_MEMBERS

from jobs.config import ScoreSettings
from jobs.reader import Limits
from jobs.score import score


def run(place, source, out):
    limits = Limits(max_bytes=MAX_BYTES, max_members=MAX_MEMBERS, max_expansion=MAX_EXPANSION)
    settings = ScoreSettings((str(place / source),), str(place / "m.npz"), str(out), "serial", limits=limits)
    return score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load).exit_code


def peak():
    """The most that this program has held, MiB; what the system tells of a process counts its parent in."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) >> 10


def main():
    place = Path(sys.argv[1])
    run(place, "sound.tar", place / "sound")
    sound = peak()
    code = run(place, "in/*", place / "out")
    most = peak()
    told = {"exit_code": code, "peak_mib": most, "peak_of_a_sound_archive_mib": sound}
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
