import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dice_core.png import check_chunks, exif_of
from dice_core.rows import Reason


@pytest.fixture(scope="module")
def png():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", dpi=(300, 300))
    return stream.getvalue()


def test_a_whole_file_is_well_whatever_follows_it(png):
    assert check_chunks(png) is None
    assert check_chunks(png + b"more") is None


def test_a_file_cut_anywhere_is_truncated(png):
    assert {check_chunks(png[:length]) for length in range(8, len(png))} == {Reason.TRUNCATED}


def test_any_flipped_byte_of_the_pixels_is_noticed(png):
    start = png.index(b"IDAT") + 4
    for at in range(start, png.index(b"IEND") - 4):
        assert check_chunks(png[:at] + bytes([png[at] ^ 1]) + png[at + 1 :]) is Reason.CORRUPT


def test_damage_of_what_the_image_does_not_need_is_passed_over(png):
    at = png.index(b"pHYs") + 6
    assert check_chunks(png[:at] + b"!" + png[at + 1 :]) is None


def test_an_exif_block_is_found_before_and_behind_the_pixels_where_it_is_whole(png):
    assert exif_of(png) == b""
    body = b"eXIfII*\0"
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    for before in (b"IDAT", b"IEND"):
        at = png.index(before) - 4
        assert exif_of(png[:at] + chunk + png[at:]) == b"II*\0"
        assert exif_of(png[:at] + chunk[:-1] + b"!" + png[at:]) == b""
