import numpy as np
import pytest
from PIL import Image, ImageOps

from dice_core.orientation import orientation_of, turned, upright

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)
TAG = 0x0112


def exif_of(orientation, order="<"):
    exif = Image.Exif()
    exif.endian = order
    exif[TAG] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_image_is_turned_as_pillow_turns_it(orientation, order):
    exif = exif_of(orientation, order)
    picture = Image.fromarray(IMAGE)
    picture.getexif()[TAG] = orientation
    expected = np.asarray(ImageOps.exif_transpose(picture))
    assert orientation_of(exif.tobytes()) == orientation
    found = upright(IMAGE, orientation)
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous
    assert turned(IMAGE.shape, orientation) == found.shape


@pytest.mark.parametrize("exif", [b"", b"II*\0", b"\xff" * 60, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_without_sense_it_is_upright(exif):
    assert orientation_of(exif) == 1
