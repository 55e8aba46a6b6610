"""Archives and folders of small images, made for the tests."""

import io
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
from fake_scorer import SIZE

import jobs
from jobs import arrowfiles, storage

FOLDERS = ("ano", "bright", "dark", "else")


def jpeg(seed, size=SIZE):
    generator = np.random.default_rng(seed)
    level = generator.integers(40, 215)
    pixels = np.clip(generator.normal(level, 20, (size, size, 1)), 0, 255).astype(np.uint8)
    return simplejpeg.encode_jpeg(pixels, quality=95, colorspace="GRAY")


def members(count, seed=0):
    """Members of all kinds, sorted by name as a folder's are: about one in ten is no good image."""
    made = []
    for index in range(count):
        name, data = f"{FOLDERS[index * 4 // count]}/{index:05d}.jpg", jpeg(seed * 100_000 + index)
        match index % 40:
            case 7:
                name, data = name.replace(".jpg", "/.DS_Store"), b"junk"
            case 13:
                data = b""
            case 23:
                data = b"no image at all, but some text"
            case 33:
                data = jpeg(index, SIZE * 2)
        made.append((name, data))
    return sorted(made)


def images(count, seed=0):
    """Members that are all good images."""
    return [
        (f"{FOLDERS[index * 4 // count]}/{index:05d}.jpg", jpeg(seed * 100_000 + index))
        for index in range(count)
    ]


def write_tar(path, listed, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in listed:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(path)


def read_tar(path):
    with tarfile.open(path) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]


def write_targz(path, listed):
    return write_tar(path, listed, "w:gz")


def write_zip(path, listed):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in listed:
            archive.writestr(name, data)
    return str(path)


def write_folder(path, listed):
    for name, data in listed:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return str(path)


def rows(out):
    """All rows of a job folder, in the order of their archives."""
    parts = sorted(Path(out).glob("part-*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in parts]).sort_by(
        [("archive", "ascending"), ("index", "ascending")]
    )


def written(folder, pattern="*"):
    """Every file with what tells one write of it from another, and no reading of it."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in Path(folder).glob(pattern)}


def parts(out):
    """Every committed part, as `written` tells it."""
    return written(out, "part-*")


def note_opened(monkeypatch, noted):
    """Has the name of each file that is opened noted in a list, whether Python reads it or Arrow does."""
    for module, name in ((storage, "open_read"), (arrowfiles, "files_of")):
        opens = getattr(module, name)
        monkeypatch.setattr(module, name, lambda url, opens=opens: noted.append(Path(url).name) or opens(url))


def names(folder):
    """The names in a folder, hidden ones and all."""
    return sorted(path.name for path in Path(folder).iterdir())


def environment(**more):
    """The environment of a process that imports the same packages as this one, and these helpers."""
    roots = [str(Path(jobs.__file__).parents[1]), str(Path(__file__).parent)]
    path = os.pathsep.join(filter(None, [*roots, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", **more}


def start(command, *, group=False, **environ):
    """Start a Python program, in a process group of its own where it is to be killed with all it starts."""
    return subprocess.Popen(
        [sys.executable, *command],
        env=environment(**environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=group,
    )


@contextmanager
def scheduler(folder, **environ):
    """A scheduler process on loopback, as its address."""
    with scheduler_process(folder, **environ) as (address, _):
        yield address


@contextmanager
def scheduler_process(folder, address=None, **environ):
    """A scheduler on loopback, where another one was if told so, as its address and its process."""
    file = folder / "scheduler.json"
    port = address.rsplit(":", 1)[1] if address else "0"
    options = ["--host", "127.0.0.1", "--port", port, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    with running(["-m", "dask", "scheduler", *options, "--scheduler-file", str(file)], **environ) as process:
        # The file is there a moment before its one write.
        yield json.loads(wait_for(file, process, size=1).read_text())["address"], process


@contextmanager
def worker(address, **environ):
    """A worker process of a scheduler."""
    options = ["--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    with running(["-m", "dask", "worker", address, *options], **environ) as process:
        yield process


@contextmanager
def running(command, **environ):
    """A Python program that is ended with the block."""
    process = start(command, **environ)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(path, process, seconds=60, size=0):
    """Wait until a running program has written a file, and fail loudly where it ends or hangs instead."""
    deadline = time.monotonic() + seconds
    while not path.exists() or path.stat().st_size < size:
        if process.poll() is not None:
            raise AssertionError(process.communicate()[1])
        assert time.monotonic() < deadline, f"no {path} after {seconds} s"
        time.sleep(0.01)
    return path
