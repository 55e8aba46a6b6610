"""What planning takes: very many members in one archive, and very many archives."""

import os
import struct
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from jobs import plan, plancache
from jobs.config import ScoreSettings
from jobs.sources import survey
from tests.bench.job import peak
from tests.bench.report import Report

MEMBERS, ARCHIVES = 1_000_000, 10_000
PAYLOAD = 300
"""Bytes of a member: few, so that the archives are small; headers are what is read."""

_IN_SMALL = 10
_AT_ONCE = 10_000
_NAME = b"lot/00000000.jpg"
_DIGITS = slice(4, 12)
_MIB = 1 << 20
_TARGETS = {"tar": (15, 400), "tar, pax": (15, 400), "zip": (30, 1536), "small tars": (60, None)}

Make = Callable[[Path, int], None]
Bytes = npt.NDArray[np.uint8]


def run(*, tiny: bool) -> Report:
    """Make archives of each kind, plan them in a process of its own on one core, and remove them."""
    members, archives = (200, 10) if tiny else (MEMBERS, ARCHIVES)
    makes: dict[str, tuple[Make, int]] = {
        "tar": (write_tar, members),
        "tar, pax": (write_pax, members),
        "zip": (write_zip, members),
        "small tars": (_write_small, archives),
    }
    rows = [_measure(kind, make, count) for kind, (make, count) in makes.items()]
    about = (
        f"Planning as score does it, on one core, kernels compiled: archives of {members:,} members of "
        f"{PAYLOAD} bytes, in 'tar, pax' each with an extension header for its time of change, and "
        f"{archives:,} tars of {_IN_SMALL} members. Peak is all that the process ever held; 'again' "
        "is the planning of another job, which finds what is large in the cache."
    )
    return Report("plan", about, {"plan": rows})


def _measure(kind: str, make: Make, count: int) -> dict[str, Any]:
    with TemporaryDirectory() as name:
        make(Path(name) / "lots", count)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            records, members, (seconds, again), held = pool.submit(_plan, name).result()
    if members != (count * _IN_SMALL if kind == "small tars" else count):
        raise RuntimeError(f"{kind}: {members:,} members were planned")
    most_seconds, most_memory = _TARGETS[kind]
    return {
        "what": kind,
        "archives": records,
        "members": members,
        "seconds": round(seconds, 2),
        "at most": most_seconds,
        "again, s": round(again, 2),
        "peak, MiB": round(held / _MIB),
        "at most, MiB": most_memory,
    }


def _plan(folder: str) -> tuple[int, int, tuple[float, float], int]:
    """Tell how many archives and members were planned, in how many seconds, and the bytes held at most.

    The second time what was worth it is in the cache.
    """
    os.environ[plancache.FOLDER] = f"{folder}/cache"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with TemporaryDirectory() as name:
        write_tar(Path(name) / "warm", 2)
        plan.survey(f"{name}/warm", plan.SHARD_SIZE)
    lots = f"{folder}/lots"
    settings = ScoreSettings((lots if Path(lots).is_file() else f"{lots}/*",), "model", f"{folder}/out")
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        records = survey(settings, {}, time.time()).records
        seconds.append(time.perf_counter() - began)
    members = sum(record.members or 0 for record in records)
    return len(records), members, (seconds[0], seconds[1]), peak(0)


def write_tar(path: Path, members: int) -> None:
    """Write a tar of equal members, each of plain headers."""
    _write_tar(path, members, tarfile.TarInfo(_NAME.decode()))


def write_pax(path: Path, members: int) -> None:
    """Write a tar as Python's library does of files: an extension header tells each one's fractional time."""
    info = tarfile.TarInfo(_NAME.decode())
    info.mtime = 1_700_000_000.25
    _write_tar(path, members, info)


def _write_tar(path: Path, members: int, info: tarfile.TarInfo) -> None:
    info.size = PAYLOAD
    headers = info.tobuf(tarfile.PAX_FORMAT)
    last = len(headers) - tarfile.BLOCKSIZE
    sum_at = last + 148
    zero_sum = int(headers[sum_at : sum_at + 6], 8)
    unit = headers + bytes(PAYLOAD + -PAYLOAD % tarfile.BLOCKSIZE)
    with path.open("wb") as file:
        for digits, units in _numbered(unit, members):
            units[:, last + _DIGITS.start : last + _DIGITS.stop] += digits
            total = zero_sum + digits.sum(axis=1, dtype=np.int64)
            units[:, sum_at : sum_at + 6] = total[:, None] // 8 ** np.arange(5, -1, -1) % 8 + ord("0")
            file.write(units.tobytes())
        file.write(bytes(2 * tarfile.BLOCKSIZE))


def write_zip(path: Path, members: int) -> None:
    """Write a zip64 of equal members, stored."""
    payload = bytes(PAYLOAD)
    common = (0, 0, 0, 0, zlib.crc32(payload), PAYLOAD, PAYLOAD, len(_NAME), 0)
    local = struct.pack("<4sH4H3I2H", b"PK\x03\x04", 20, *common) + _NAME + payload
    record = (
        struct.pack("<4sHH4H3I5H2I", b"PK\x01\x02", 0x314, 20, *common, 0, 0, 0, 0o100644 << 16, 0) + _NAME
    )
    with path.open("wb") as file:
        for digits, units in _numbered(local, members):
            units[:, 30 + _DIGITS.start : 30 + _DIGITS.stop] += digits
            file.write(units.tobytes())
        begin = file.tell()
        first = 0
        for digits, units in _numbered(record, members):
            units[:, 46 + _DIGITS.start : 46 + _DIGITS.stop] += digits
            offsets = (first + np.arange(len(units))) * len(local)
            units[:, 42:46] = offsets.astype("<u4").view(np.uint8).reshape(-1, 4)
            first += len(units)
            file.write(units.tobytes())
        _end_zip(file, members, begin)


def _end_zip(file: BinaryIO, members: int, begin: int) -> None:
    end = file.tell()
    file.write(
        struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, members, members, end - begin, begin)
    )
    file.write(struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1))
    file.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


def _numbered(unit: bytes, count: int) -> Iterator[tuple[Bytes, Bytes]]:
    """Repeat bytes, many at a time, with the digits that are to be added to each."""
    for first in range(0, count, _AT_ONCE):
        numbers = np.arange(first, min(count, first + _AT_ONCE))
        digits = (numbers[:, None] // 10 ** np.arange(7, -1, -1) % 10).astype(np.uint8)
        yield digits, np.tile(np.frombuffer(unit, np.uint8), (len(numbers), 1))


def _write_small(folder: Path, archives: int) -> None:
    folder.mkdir()
    for number in range(archives):
        write_tar(folder / f"{number:06d}.tar", _IN_SMALL)
