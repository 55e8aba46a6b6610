"""Bytes of a photograph to a grey image, or the reason why not; formats are told by content alone.

Sources: ITU-T T.81 (JPEG), ITU-R BT.601 (luminance).
"""

import io
import math
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import imageio.v3 as iio
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from dice_core import png
from dice_core.archive import sniff
from dice_core.orientation import orientation_of, turned, upright
from dice_core.rows import Reason

Grey = npt.NDArray[np.uint8]

_JPEG = b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0\x08\0", b"MM\0+\0\x08")
_BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)
_UNREAD = (
    *(b"GIF87a", b"GIF89a", b"%!PS", b"\xc5\xd0\xd3\xc6", b"%PDF-", b"8BPS", b"DDS ", b"\xff\x4f\xff\x51"),
    *(b"\0\0\1\0", b"icns", b"\x76\x2f\x31\x01", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  "),
    *(b"P%d%c" % (kind, blank) for kind in range(1, 8) for blank in b" \t\r\n"),
)
"""Images for certain, but of formats not read here: GIF, EPS, PDF, Netpbm, JPEG 2000 and the like."""
_ISO_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"crx ")

# The last three are Pillow's, of senseless tags and of sizes past its own limit.
_DECODING_ERRORS = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error),
    *(LookupError, TypeError, Image.DecompressionBombError),
)
_WITH_PALETTE = ("P", "PA")
_VIA_RGB, _SIXTEEN_BIT = (*_WITH_PALETTE, "YCbCr"), ("I;16", "I;16B", "I;16L", "I;16N")
_EIGHT_BIT = (*_VIA_RGB, "1", "L", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK")
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE_TO_PROGRESSIVE = (0xC0, 0xC1, 0xC2)
_PROGRESSIVE = 0xC2
_PASSED_OVER = frozenset((0xC4, 0xDB, 0xDD, 0xE0, 0xFE))  # tables, restarts, JFIF and comments
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))
_FILL, _END, _SCAN, _APP1 = 0xFF, 0xD9, 0xDA, 0xE1
_BITS, _GREY, _RGB, _CMYK = 8, 1, 3, 4
_SEGMENT = struct.Struct(">BBH")
_FRAME_HEADER = struct.Struct(">BHHB")
# Encoders write about ten; thousands are an attack, as each one costs a pass over the image.
_MAX_SCANS, _MAX_SCANNED = 500, 1_000_000_000
_STRIP = 1 << 20

Fits = Callable[[tuple[int, int]], bool]
"""Tells of a height and width, upright, whether an image of that size is wanted."""


def any_size(_shape: tuple[int, int]) -> bool:
    """Want images of whatever size."""
    return True


def decode(data: bytes, max_pixels: int, fits: Fits = any_size) -> Grey | Reason:
    """Decode an image to grey, upright by its Exif orientation.

    JPEG, PNG, BMP, TIFF and WebP are read; of several frames or pages, the first. Colour becomes luminance by
    ITU-R BT.601, ``0.299 R + 0.587 G + 0.114 B``, rounded, on 8-bit values; alpha is ignored. 16-bit grey is
    divided by 257 and rounded; of 16-bit colour, the high bytes count.

    Parameters
    ----------
    data
        The whole file.
    max_pixels
        The largest width times height, compared before any pixel is decoded. Outside plain JPEG, Pillow's own
        ``MAX_IMAGE_PIXELS`` holds as well.
    fits
        Asked before any pixel is decoded. An image that does not fit is not: zeros of its size stand for it,
        which take no memory.

    Returns
    -------
    ndarray of uint8, shape (height, width), C-contiguous where it fits, or Reason
        EMPTY, NOT_AN_IMAGE, NESTED_ARCHIVE, UNSUPPORTED, TOO_LARGE, TRUNCATED where the file ends before its
        image does, and CORRUPT where decoding fails otherwise, recoverable errors of a JPEG included.
    """
    if data.startswith(_JPEG):
        return _decode_jpeg(data, max_pixels, fits)
    if data.startswith(png.SIGNATURE):
        return png.check_chunks(data) or _decode_other(PngImageFile, data, max_pixels, fits)
    if data.startswith(_TIFF):
        return _decode_other(TiffImageFile, data, max_pixels, fits)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        whole = len(data) >= 8 + int.from_bytes(data[4:8], "little")
        return _decode_other(WebPImageFile, data, max_pixels, fits) if whole else Reason.TRUNCATED
    # Two letters alone begin many a text.
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return _decode_other(BmpImageFile, data, max_pixels, fits)
    return _not_decoded(data)


def _not_decoded(data: bytes) -> Reason:
    if not data:
        return Reason.EMPTY
    head = data[:512]
    # Zeros are an empty tar to `sniff`, but as a file among images they are what a failed disk left.
    if sniff(head) is not None and any(head):
        return Reason.NESTED_ARCHIVE
    if head.startswith(_UNREAD) or (head[4:8] == b"ftyp" and head[8:12] in _ISO_BRANDS):
        return Reason.UNSUPPORTED
    return Reason.NOT_AN_IMAGE


class _Jpeg(NamedTuple):
    frame: int
    precision: int
    height: int
    width: int
    components: int
    orientation: int
    scan: int  # the byte at which the first one begins


def _decode_jpeg(data: bytes, max_pixels: int, fits: Fits) -> Grey | Reason:
    header = _read_jpeg_header(data)
    if isinstance(header, Reason):
        return header
    reason = _refuse_jpeg(header, data, max_pixels)
    if reason is not None:
        return reason
    if not fits(turned((header.height, header.width), header.orientation)):
        return _unread(turned((header.height, header.width), header.orientation))
    pixels = _read_jpeg(data, header)
    return pixels if isinstance(pixels, Reason) else upright(pixels, header.orientation)


def _read_jpeg(data: bytes, header: _Jpeg) -> Grey | Reason:
    shape = header.height, header.width
    if header.components == _CMYK:
        return _read_pixels(data, shape)
    try:
        if header.components == _GREY:
            pixels: Grey = simplejpeg.decode_jpeg(data, "GRAY")[:, :, 0]
        else:
            # libjpeg's own grey is Y before RGB is clipped, in saturated colours levels away from BT.601.
            pixels = _luminance(simplejpeg.decode_jpeg(data, "RGB"))
    except ValueError:
        return Reason.CORRUPT if _is_sampling_known(data) else _read_pixels(data, shape)
    return pixels if pixels.shape == shape else Reason.CORRUPT


def _is_sampling_known(data: bytes) -> bool:
    """Tell whether the quick reader takes a header whose markers are in order; if not, the slower one may."""
    try:
        simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return False
    return True


def _refuse_jpeg(header: _Jpeg, data: bytes, max_pixels: int) -> Reason | None:
    known = header.frame in _BASELINE_TO_PROGRESSIVE and header.precision == _BITS
    if not known or header.components not in (_GREY, _RGB, _CMYK):
        return Reason.UNSUPPORTED
    # Sequential grey has a single scan, and a second one is an error.
    several = header.components != _GREY or header.frame == _PROGRESSIVE
    scans = data.count(b"\xff\xda", header.scan) if several else 1
    if scans > _MAX_SCANS:
        return Reason.UNSUPPORTED
    if header.height * header.width > min(max_pixels, _MAX_SCANNED // max(scans, 1)):
        return Reason.TOO_LARGE
    if header.height * header.width == 0:
        return Reason.CORRUPT
    # Within a scan the encoder never writes this pair, so its absence is the missing end.
    return Reason.TRUNCATED if data.rfind(b"\xff\xd9", header.scan) < 0 else None


def _read_jpeg_header(data: bytes) -> _Jpeg | Reason:
    """Read the marker segments up to the first scan."""
    frame: tuple[int, int, int, int, int] | None = None
    orientation, at, last = 1, 2, len(data) - _SEGMENT.size
    while at <= last:
        lead, marker, length = _SEGMENT.unpack_from(data, at)
        body, after = at + _SEGMENT.size, at + 2 + length
        if lead != _FILL or marker == _END:
            return Reason.CORRUPT
        if marker in _PASSED_OVER:
            at = after
        elif marker == _SCAN:
            return _Jpeg(*frame, orientation, at) if frame else Reason.CORRUPT
        elif marker == _FILL or marker in _WITHOUT_LENGTH:
            at += 1 if marker == _FILL else 2
        else:
            if marker in _FRAMES and min(after, len(data)) - body >= _FRAME_HEADER.size:
                precision, height, width, components = _FRAME_HEADER.unpack_from(data, body)
                frame = (marker, precision, height, width, components)
            elif marker == _APP1 and data.startswith(b"Exif\0\0", body, after):
                orientation = orientation_of(data[body:after])
            at = after
    return Reason.TRUNCATED


def _decode_other(
    reader: Callable[[io.BytesIO], ImageFile], data: bytes, max_pixels: int, fits: Fits
) -> Grey | Reason:
    try:
        # Not Image.open, which asks the readers of all formats, and warns of sizes that are ours to judge.
        header = reader(io.BytesIO(data))
    except _DECODING_ERRORS as error:
        return _failure(error)
    width, height = header.size
    if width * height > max_pixels:
        return Reason.TOO_LARGE
    if width * height == 0 or (header.mode in _WITH_PALETTE and header.palette is None):
        return Reason.CORRUPT
    if isinstance(header, TiffImageFile):
        # Pillow passes on 12 bits, and white as zero, as they are.
        plain = header.tag_v2.get(_PHOTOMETRIC) == 1 and header.tag_v2.get(_BITS_PER_SAMPLE) == (16,)
        if header.mode in _SIXTEEN_BIT and not plain:
            return Reason.UNSUPPORTED
        orientation = 1  # as reading its pixels turns a TIFF, and its header tells the size it has then
    else:
        # Pillow's header of a PNG ends with the first pixels.
        late = png.exif_of(data) if isinstance(header, PngImageFile) else b""
        orientation = orientation_of(header.info.get("exif", late))
    if not fits(turned((height, width), orientation)):
        return _unread(turned((height, width), orientation))
    pixels = _read_pixels(data, (height, width), header.mode)
    return pixels if isinstance(pixels, Reason) else upright(pixels, orientation)


def _read_pixels(data: bytes, shape: tuple[int, int], mode: str = "CMYK") -> Grey | Reason:
    if mode not in _EIGHT_BIT + _SIXTEEN_BIT:
        return Reason.UNSUPPORTED
    # Above its own limit Pillow would warn, or raise the DecompressionBombError.
    if shape[0] * shape[1] > (Image.MAX_IMAGE_PIXELS or math.inf):
        return Reason.TOO_LARGE
    # To L, Pillow would take the Y as it is, and warn of a palette with alpha.
    wanted = None if mode in _SIXTEEN_BIT else "RGBA" if mode in _VIA_RGB else "L"
    try:
        pixels = iio.imread(data, plugin="pillow", index=0, mode=wanted)
    except _DECODING_ERRORS as error:
        return _failure(error)
    if wanted is None:
        pixels = _in_strips(_high_byte, pixels)
    elif wanted == "RGBA":
        pixels = _luminance(pixels[:, :, :3])
    return pixels if pixels.shape == shape else Reason.CORRUPT


def _failure(error: Exception) -> Reason:
    if isinstance(error, Image.DecompressionBombError):
        return Reason.TOO_LARGE
    # Pillow has no exception of its own for a file that ends early, only words.
    early = isinstance(error, EOFError) or "truncated" in str(error).lower()
    return Reason.TRUNCATED if early else Reason.CORRUPT


def _luminance(rgb: npt.NDArray[np.uint8]) -> Grey:
    """Weigh by BT.601 in 16-bit fixed point, rounded: ``(19595 R + 38470 G + 7471 B + 2**15) >> 16``."""
    return _in_strips(lambda strip: np.array(Image.fromarray(np.ascontiguousarray(strip)).convert("L")), rgb)


def _high_byte(deep: npt.NDArray[np.uint16]) -> Grey:
    return ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _in_strips(make_grey: Callable[[npt.NDArray[Any]], Grey], pixels: npt.NDArray[Any]) -> Grey:
    """Make an image grey some rows at a time where it is large: on the way it takes many times as much."""
    rows = _STRIP // max(pixels.shape[1], 1) + 1
    if len(pixels) <= rows:
        return make_grey(pixels)
    grey = np.empty(pixels.shape[:2], np.uint8)
    for top in range(0, len(pixels), rows):
        grey[top : top + rows] = make_grey(pixels[top : top + rows])
    return grey


def _unread(shape: tuple[int, int]) -> Grey:
    return np.broadcast_to(np.uint8(0), shape)
