"""What reading the members of an archive takes, all in order or some at random, by us and by the library."""

import io
import tarfile
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np

from dice_core.archive import read_member
from dice_core.member import Cut, Member
from dice_core.rows import Reason
from dice_core.tar import read_tar, walk_tar
from dice_core.zip import read_zip, walk_zip
from jobs import storage
from tests.bench.photographs import synthetic_day
from tests.bench.report import Report
from tests.bench.timing import ROUNDS, Timing, measure, ratio

MEMBERS, PICKED, RENDERED = 20_000, 1_000, 200
_MAX_BYTES = 1 << 24

Candidate = tuple[Callable[[], object], int]
Walk = Callable[[BinaryIO], Iterator[tuple[Cut, Member]]]
Read = Callable[[BinaryIO, int], Iterator[tuple[Member, bytes | Reason]]]


def run(*, tiny: bool) -> Report:
    """Write one tar and one zip of the same photographs, both then in the page cache, and read them."""
    members, picked, rendered = (200, 20, 10) if tiny else (MEMBERS, PICKED, RENDERED)
    photographs = [photograph.content for photograph in synthetic_day(0, rendered)]
    files = {f"lot/{number:06d}.jpg": photographs[number % rendered] for number in range(members)}
    names = np.random.default_rng(0).choice(list(files), picked, replace=False).tolist()
    rounds = 1 if tiny else ROUNDS
    with TemporaryDirectory() as folder:
        tar, zipped = str(Path(folder) / "lot.tar"), str(Path(folder) / "lot.zip")
        _write_tar(tar, files)
        _write_zip(zipped, files)
        _assert_equal(tar, zipped, files, names)
        whole = measure(_whole(tar, zipped, members), rounds)
        opened = measure(_open_and_pick(tar, zipped, names), rounds)
        with (
            storage.open_read(tar) as tar_stream,
            storage.open_read(zipped) as zip_stream,
            tarfile.open(tar) as by_tarfile,
            zipfile.ZipFile(zipped) as by_zipfile,
        ):
            steady = measure(_pick(tar_stream, zip_stream, by_tarfile, by_zipfile, names), rounds)
    size = sum(map(len, files.values())) / members
    about = (
        f"{members:,} members of {size / 1000:.1f} kB on average, stored, in the page cache, one thread; "
        f"{picked:,} of them picked by name, at random. Bytes asserted equal before."
    )
    figures = {
        title: [timing.row(name) for name, timing in timings.items()]
        for title, timings in (
            ("all members", whole),
            ("open and pick", opened),
            ("pick, opened before", steady),
        )
    }
    return Report("read", about, figures, _ratios(whole, opened, steady))


def _ratios(
    whole: dict[str, Timing], opened: dict[str, Timing], steady: dict[str, Timing]
) -> dict[str, float]:
    return {
        "all members of a tar, index included: tarfile / read_tar": ratio(
            whole["tarfile"], whole["read_tar"]
        ),
        "all members of a zip: zipfile / read_zip": ratio(whole["zipfile"], whole["read_zip"]),
        "index of a tar alone: tarfile / walk_tar": ratio(whole["tarfile, index"], whole["walk_tar"]),
        "all members of a tar: read_tar / bytes alone": ratio(whole["read_tar"], whole["bytes of the tar"]),
        "open a tar and pick, offsets known as from rows: tarfile / read_member": ratio(
            opened["tarfile"], opened["tar, read_member"]
        ),
        "open a tar and pick, walked before: tarfile / walk_tar and read_member": ratio(
            opened["tarfile"], opened["tar, walk_tar and read_member"]
        ),
        "open a zip and pick, offsets known as from rows: zipfile / read_member": ratio(
            opened["zipfile"], opened["zip, read_member"]
        ),
        "pick from an opened tar: tarfile by name / read_member": ratio(
            steady["tarfile, by name"], steady["tar, read_member"]
        ),
        "pick from an opened tar: tarfile with a dictionary of one's own / read_member": ratio(
            steady["tarfile, own dictionary"], steady["tar, read_member"]
        ),
        "pick from an opened zip: zipfile / read_member": ratio(
            steady["zipfile"], steady["zip, read_member"]
        ),
    }


def _write_tar(path: str, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _write_zip(path: str, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _assert_equal(tar: str, zipped: str, files: dict[str, bytes], names: list[str]) -> None:
    expected = list(files.items())
    with tarfile.open(tar) as archive:
        assert [(info.name, _extract(archive, info)) for info in archive] == expected
    with zipfile.ZipFile(zipped) as archive:
        assert [(info.filename, archive.read(info)) for info in archive.infolist()] == expected
    for path, read, walk in ((tar, read_tar, walk_tar), (zipped, read_zip, walk_zip)):
        with storage.open_read(path) as stream:
            assert [(member.name, content) for member, content in read(stream, _MAX_BYTES)] == expected
            found = _index(stream, walk)
            assert all(read_member(stream, found[name], _MAX_BYTES) == files[name] for name in names)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo | str) -> bytes:
    content = archive.extractfile(member)
    assert content is not None
    return content.read()


def _index(stream: BinaryIO, walk: Walk) -> dict[str, Member]:
    return {member.name: member for _, member in walk(stream)}


def _exhaust(made: Iterable[object]) -> None:
    deque(made, maxlen=0)


def _whole(tar: str, zipped: str, members: int) -> dict[str, Candidate]:
    def ours(path: str, read: Read) -> None:
        with storage.open_read(path) as stream:
            _exhaust(read(stream, _MAX_BYTES))

    def walked() -> None:
        with storage.open_read(tar) as stream:
            _exhaust(walk_tar(stream))

    def by_tarfile() -> None:
        with tarfile.open(tar) as archive:
            _exhaust(_extract(archive, info) for info in archive)

    def indexed_by_tarfile() -> None:
        with tarfile.open(tar) as archive:
            archive.getmembers()

    def by_zipfile() -> None:
        with zipfile.ZipFile(zipped) as archive:
            _exhaust(archive.read(info) for info in archive.infolist())

    def bytes_alone() -> None:
        with storage.open_read(tar) as stream:
            while stream.read(1 << 18):
                pass

    candidates: dict[str, Callable[[], object]] = {
        "read_tar": lambda: ours(tar, read_tar),
        "tarfile": by_tarfile,
        "walk_tar": walked,
        "tarfile, index": indexed_by_tarfile,
        "bytes of the tar": bytes_alone,
        "read_zip": lambda: ours(zipped, read_zip),
        "zipfile": by_zipfile,
    }
    return {name: (candidate, members) for name, candidate in candidates.items()}


def _open_and_pick(tar: str, zipped: str, names: list[str]) -> dict[str, Candidate]:
    def known(path: str, walk: Walk) -> Callable[[], object]:
        with storage.open_read(path) as stream:
            found = _index(stream, walk)

        def pick() -> None:
            with storage.open_read(path) as stream:
                _exhaust(read_member(stream, found[name], _MAX_BYTES) for name in names)

        return pick

    def walked() -> None:
        with storage.open_read(tar) as stream:
            found = _index(stream, walk_tar)
            _exhaust(read_member(stream, found[name], _MAX_BYTES) for name in names)

    def by_tarfile() -> None:
        with tarfile.open(tar) as archive:
            _exhaust(_extract(archive, name) for name in names)

    def by_zipfile() -> None:
        with zipfile.ZipFile(zipped) as archive:
            _exhaust(archive.read(name) for name in names)

    candidates = {
        "tar, read_member": known(tar, walk_tar),
        "tar, walk_tar and read_member": walked,
        "tarfile": by_tarfile,
        "zip, read_member": known(zipped, walk_zip),
        "zipfile": by_zipfile,
    }
    return {name: (candidate, len(names)) for name, candidate in candidates.items()}


def _pick(
    tar: BinaryIO,
    zipped: BinaryIO,
    by_tarfile: tarfile.TarFile,
    by_zipfile: zipfile.ZipFile,
    names: list[str],
) -> dict[str, Candidate]:
    found = {stream: _index(stream, walk) for stream, walk in ((tar, walk_tar), (zipped, walk_zip))}
    infos = {info.name: info for info in by_tarfile.getmembers()}
    few = names[: len(names) // 10]

    def ours(stream: BinaryIO) -> None:
        _exhaust(read_member(stream, found[stream][name], _MAX_BYTES) for name in names)

    return {
        "tar, read_member": (lambda: ours(tar), len(names)),
        "tarfile, by name": (lambda: _exhaust(_extract(by_tarfile, name) for name in few), len(few)),
        "tarfile, own dictionary": (
            lambda: _exhaust(_extract(by_tarfile, infos[name]) for name in names),
            len(names),
        ),
        "zip, read_member": (lambda: ours(zipped), len(names)),
        "zipfile": (lambda: _exhaust(by_zipfile.read(name) for name in names), len(names)),
    }
