"""What `dice_core.decode` takes for a plain JPEG, against what a user would pick to read it to grey."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import imageio.v3 as iio
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from dice_core.decode import decode
from dice_core.die import FACES
from dice_core.lot import draw_lot
from dice_core.synth import encode_jpeg, render
from tests.bench.report import Report
from tests.bench.timing import ROUNDS, Timing, measure, ratio

Pixels = NDArray[np.uint8]

SIZES = (128, 256, 512)
IMAGES_OF_128 = 256
_MAX_PIXELS = 1 << 24

OURS, FLOOR = "decode", "simplejpeg alone"
OTHERS: Mapping[str, Callable[[bytes], Pixels]] = {
    "imageio": iio.imread,
    "imageio, mode L": lambda data: iio.imread(data, mode="L"),
    "Pillow": lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("L")),
    "OpenCV": lambda data: np.asarray(
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8
    ),
}


def run(*, tiny: bool) -> Report:
    """Decode synthetic dice to grey, one thread, every candidate the same images."""
    cv2.setNumThreads(1)
    ratios: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for size in SIZES[:1] if tiny else SIZES:
        files = _files(16 if tiny else IMAGES_OF_128 * 128**2 // size**2, size)
        _assert_equal(files)
        timings = _time(files, rounds=1 if tiny else 3 * ROUNDS)
        for name in OTHERS:
            ratios[f"{size} px: {name} / {OURS}"] = ratio(timings[name], timings[OURS])
        ratios[f"{size} px: {OURS} / {FLOOR}"] = ratio(timings[OURS], timings[FLOOR])
        kilobytes = round(sum(map(len, files)) / len(files) / 1000, 1)
        rows += [{"px": size, "kB": kilobytes, **timing.row(name)} for name, timing in timings.items()]
    about = (
        "Grey JPEGs of synthetic dice, quality 95, from memory to an array, one after another, one thread; "
        "pixels asserted equal before."
    )
    return Report("decode", about, {"decode": rows}, ratios)


def _files(images: int, size: int) -> list[bytes]:
    lot = draw_lot(np.random.default_rng(0))
    return [
        encode_jpeg(
            render(FACES[number % len(FACES)], lot, np.random.default_rng([1, number]), size=size).pixels
        )
        for number in range(images)
    ]


def _assert_equal(files: list[bytes]) -> None:
    for data in files:
        pixels = decode(data, _MAX_PIXELS)
        for read in OTHERS.values():
            np.testing.assert_array_equal(pixels, read(data))


def _time(files: list[bytes], rounds: int) -> dict[str, Timing]:
    def each(read: Callable[[bytes], object]) -> tuple[Callable[[], object], int]:
        def run_all() -> None:
            for data in files:
                read(data)

        return run_all, len(files)

    readers: dict[str, Callable[[bytes], object]] = {
        OURS: lambda data: decode(data, _MAX_PIXELS),
        FLOOR: lambda data: simplejpeg.decode_jpeg(data, colorspace="GRAY"),
        **OTHERS,
    }
    return measure({name: each(read) for name, read in readers.items()}, rounds)
