"""What it costs that archives are in a store of objects: against a real S3 server on loopback."""

import importlib
import io
import os
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
import pyarrow as pa

from jobs import storage
from jobs.config import ScoreSettings
from jobs.evaluate import open_rows
from jobs.fit import FitSettings, fit
from jobs.score import score
from jobs.teaching import Sources
from tests.bench.photographs import synthetic_day, write_tar
from tests.bench.report import MissingError, Report

IMAGES = 100_000
RENDERED = 2000
"""Different images; the archive repeats them."""
COUNTED = 10_000
WORKERS = 2
ROUNDS = 2

_TESTS = Path(__file__).parents[1] / "jobs"


def run(*, tiny: bool) -> Report:
    """Score one tar from disk and from S3, count requests, and let the server fail."""
    images, counted, rendered = (480, 240, 240) if tiny else (IMAGES, COUNTED, RENDERED)
    with TemporaryDirectory() as name, _servers(Path(name)) as (seaweed, proxy):
        place = Path(name)
        given = _Given(place, f"s3://{seaweed.bucket}", rendered, "serial" if tiny else "local")
        large, small = given.archive("large.tar", images), given.archive("small.tar", counted)
        _reach(seaweed.url, seaweed)
        given.upload(large, small)
        speed, ratios = _compare(given, large, 1 if tiny else ROUNDS)
        requests = []
        for out in ("here", "there"):
            _reach(proxy.urls["counted"], seaweed)
            before = len(proxy.requests("counted"))
            given.run(f"{given.bucket}/{small}", out, counted)
            done = proxy.requests("counted")[before:]
            requests.append({"job folder": out, "images": counted, **_by_method(done)})
        faults = [_faulty(given, small, counted, proxy, "here" if tiny else "there")]
        if not tiny:
            faults.append({"answered 503": "all", "rows": 0, **_down(given, small, proxy.urls["down"])})
    about = (
        f"{images:,} synthetic dice of 128x128 px in one tar, by {WORKERS} local workers, from disk and from "
        f"an S3 server on loopback, rounds: {len(speed) // 2}, rows equal; then {counted:,} through a proxy."
    )
    return Report("s3", about, {"speed": speed, "requests": requests, "faults": faults}, ratios)


class _Given:
    """Archives and a model, on disk and in a bucket."""

    def __init__(self, place: Path, bucket: str, rendered: int, cluster: str) -> None:
        self.place, self.bucket, self._cluster = place, bucket, cluster
        self._rendered = synthetic_day(2, rendered)
        taught = write_tar(place / "taught.tar", synthetic_day(1, 90, faces=("00", "04", "07")))
        fit(FitSettings(Sources(labelled=(str(taught),)), str(place / "model.npz"), threads=1))

    def archive(self, name: str, images: int) -> str:
        """Write one tar that repeats what was rendered."""
        with tarfile.open(self.place / name, "w") as archive:
            for number in range(images):
                photograph = self._rendered[number % len(self._rendered)]
                entry = tarfile.TarInfo(f"{photograph.label}/{number:07d}.jpg")
                entry.size = len(photograph.content)
                archive.addfile(entry, io.BytesIO(photograph.content))
        return name

    def upload(self, *names: str) -> None:
        """Copy archives and the model to the bucket."""
        for name in (*names, "model.npz"):
            storage.write(f"{self.bucket}/{name}", (self.place / name).read_bytes())

    def settings(self, source: str, out: str) -> ScoreSettings:
        folder = str(self.place / "out") if out == "here" else f"{self.bucket}/out"
        near = str(self.place) if source.startswith("/") else self.bucket
        return ScoreSettings(
            (source,),
            f"{near}/model.npz",
            folder,
            cluster=self._cluster,
            workers=WORKERS,
            overwrite=True,
            max_rejects="100%",
        )

    def run(self, source: str, out: str, images: int, told: dict[str, Any] | None = None) -> pa.Table:
        """Score anew, and give the rows without the name of their archive."""
        settings = self.settings(source, out)
        result = score(settings, evaluate=lambda _: {})
        if result.exit_code not in (0, 5) or result.summary["rows"] != images:
            raise RuntimeError(f"the job ended with {result.exit_code!r}: {result.summary.get('failures')}")
        if told is not None:
            told.update(result.summary)
        return open_rows(settings.out).to_table().sort_by("index").drop_columns(["archive", "lot"])


def _compare(given: _Given, name: str, rounds: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Score an archive from disk and from the server in turn."""
    rows: dict[str, pa.Table] = {}
    speed: list[dict[str, Any]] = []
    rates: dict[str, list[float]] = {"disk": [], "S3": []}
    for _ in range(rounds):
        for where, source in (("disk", str(given.place / name)), ("S3", f"{given.bucket}/{name}")):
            told: dict[str, Any] = {}
            began = time.monotonic()
            found = given.run(source, "here", _members(given.place / name), told)
            rates[where].append(told["images_per_second"])
            speed.append(
                {
                    "from": where,
                    "images/s": round(told["images_per_second"], 1),
                    "seconds, start to end": round(time.monotonic() - began, 1),
                }
            )
            if not rows.setdefault("first", found).equals(found):
                raise RuntimeError("the rows from the server are not those from the disk")
    best = {where: max(of) for where, of in rates.items()}
    return speed, {"rate from S3 over rate from disk (at least 0.8)": best["S3"] / best["disk"]}


def _members(archive_path: Path) -> int:
    with tarfile.open(archive_path) as archive:
        return sum(1 for _ in archive)


def _by_method(requests: list[str]) -> Mapping[str, int]:
    methods = [line.split()[1] for line in requests]
    return {"requests": len(methods), **{method: methods.count(method) for method in ("GET", "HEAD", "PUT")}}


def _faulty(given: _Given, name: str, images: int, proxy: Any, out: str) -> dict[str, Any]:
    """Score by a server that answers 503 to a third of the requests."""
    os.environ["AWS_ENDPOINT_URL"] = proxy.urls["faulty"]
    _forget()
    before = len(proxy.requests("faulty"))
    began = time.monotonic()
    rows = given.run(f"{given.bucket}/{name}", out, images)
    seconds = round(time.monotonic() - began, 1)
    answers = [line[:3] for line in proxy.requests("faulty")[before:]]
    refused = f"{answers.count('503')} of {len(answers)}"
    return {"answered 503": refused, "rows": rows.num_rows, "exit code": 0, "seconds": seconds}


def _down(given: _Given, name: str, endpoint: str) -> dict[str, Any]:
    """Run the command line against a server that answers nothing but 503."""
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    arguments = ["score", f"{given.bucket}/{name}", "--model", f"{given.bucket}/model.npz"]
    began = time.monotonic()
    command = [sys.executable, "-m", "jobs", *arguments, "--out", f"{given.bucket}/down"]
    code = Popen(command, stdout=DEVNULL, stderr=DEVNULL).wait()
    return {"exit code": code, "seconds": round(time.monotonic() - began, 1)}


@contextmanager
def _servers(place: Path) -> Iterator[Any]:
    sys.path.append(str(_TESTS))  # the helpers of the tests are no package
    servers: Any = importlib.import_module("servers")
    if not servers.has_nginx():
        raise MissingError("there is no nginx to stand before the server")
    before = dict(os.environ)
    for name in ("seaweed", "proxy"):
        (place / name).mkdir()
    try:
        with servers.running(servers.Seaweed(place / "seaweed")) as seaweed:
            seaweed.make_bucket()
            with servers.running(servers.Proxy(place / "proxy", seaweed.port)) as proxy:
                yield seaweed, proxy
    finally:
        os.environ.clear()
        os.environ.update(before)


def _reach(endpoint: str, seaweed: Any) -> None:
    os.environ |= {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": seaweed.key,
        "AWS_SECRET_ACCESS_KEY": seaweed.secret,
    }
    _forget()


def _forget() -> None:
    """Forget what was connected to, as a new process would."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
