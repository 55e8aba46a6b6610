"""Every format decodes to what imageio and Pillow give, and anything else to a reason."""

import gzip
import io
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib

import imageio.v3 as iio
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dice_core.decode import decode
from dice_core.rows import Reason

LIMIT = 1 << 20
HEIGHT, WIDTH = 30, 40


def smooth(channels, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, channels), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(small[..., c]).resize((WIDTH, HEIGHT))) for c in range(channels)]
    return np.stack(large, axis=-1)


GREY = smooth(1)[..., 0]
RGB = smooth(3)
DEEP = GREY.astype(np.uint16) * 251 + np.arange(WIDTH, dtype=np.uint16)
ORIENTATION = 0x0112


def encode(image, kind, **options):
    buffer = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def bt601(rgb):
    return np.floor(rgb.astype(np.float64) @ [0.299, 0.587, 0.114] + 0.5)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# JPEG.


@pytest.mark.parametrize("quality", [30, 95])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_grey_jpeg_is_bit_equal_to_imageio(quality, progressive):
    data = encode(GREY, "JPEG", quality=quality, progressive=progressive)
    image = decode(data, LIMIT)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, iio.imread(data))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_colour_jpeg_is_its_bt601_luminance(subsampling, progressive):
    data = encode(RGB, "JPEG", subsampling=subsampling, progressive=progressive)
    image = decode(data, LIMIT)
    np.testing.assert_array_equal(image, iio.imread(data, mode="L"))
    assert np.abs(image - bt601(iio.imread(data))).max() <= 1
    assert image.flags.writeable
    assert image.flags.c_contiguous


def test_a_cmyk_jpeg_goes_by_rgb():
    data = encode(Image.fromarray(RGB).convert("CMYK"), "JPEG")
    np.testing.assert_array_equal(decode(data, LIMIT), iio.imread(data, mode="L"))


def test_a_sampling_that_only_pillow_knows():
    data = encode(np.full((HEIGHT, WIDTH, 3), (10, 90, 200), np.uint8), "JPEG", subsampling="4:4:4")
    frame = data.index(b"\xff\xc0")
    odd = data[: frame + 11] + b"\x31" + data[frame + 12 :]  # 3x1 blocks of Y to one of Cb and Cr
    with pytest.raises(ValueError, match="subsampling"):
        simplejpeg.decode_jpeg_header(odd)
    image = decode(odd, LIMIT)
    np.testing.assert_array_equal(image, iio.imread(odd, mode="L"))
    assert image[0, 0] == decode(data, LIMIT)[0, 0]


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_the_exif_orientation_is_honoured(orientation, order, kind):
    exif = Image.Exif()
    exif.endian = order
    exif[ORIENTATION] = orientation
    data = encode(GREY, kind, exif=exif)
    with Image.open(io.BytesIO(data)) as picture:
        upright = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_270,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_90,
        }.get(orientation)
        stored = Image.fromarray(GREY) if kind != "JPEG" else picture
        expected = np.asarray(stored if upright is None else stored.transpose(upright))
    image = decode(data, LIMIT)
    np.testing.assert_array_equal(image, expected)
    assert image.flags.c_contiguous


def test_the_exif_orientation_of_a_png_may_stand_behind_its_pixels():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    early = encode(GREY, "PNG", exif=exif)
    start = early.index(b"eXIf") - 4
    stop = start + 12 + int.from_bytes(early[start : start + 4], "big")
    end = early.index(b"IEND") - 4
    late = early[:start] + early[stop:end] + early[start:stop] + early[end:]
    np.testing.assert_array_equal(decode(late, LIMIT), decode(early, LIMIT))
    asked = []
    decode(late, LIMIT, lambda shape: not asked.append(shape))
    assert asked == [GREY.T.shape]


def test_a_senseless_exif_block_turns_nothing():
    plain = encode(GREY, "JPEG")
    for block in (b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0\xff\xff\xff\xff", b"\xff" * 60):
        segment = b"Exif\0\0" + block
        data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]
        np.testing.assert_array_equal(decode(data, LIMIT), decode(plain, LIMIT))


def frame_of(precision=8, height=HEIGHT, width=WIDTH, components=1, marker=0xC0):
    frame = struct.pack(">BHHB", precision, height, width, components) + b"\1\x11\0" * components
    return b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", len(frame) + 2) + frame


SCAN = b"\xff\xda\0\x08\1\1\0\0\x3f\0"
EOI = b"\xff\xd9"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame_of(precision=12) + SCAN + EOI, Reason.UNSUPPORTED),
        (frame_of(marker=0xC3) + SCAN + EOI, Reason.UNSUPPORTED),  # lossless
        (frame_of(marker=0xC9) + SCAN + EOI, Reason.UNSUPPORTED),  # arithmetic coding
        (frame_of(components=2) + SCAN + EOI, Reason.UNSUPPORTED),
        (frame_of(marker=0xC2) + SCAN * 501 + EOI, Reason.UNSUPPORTED),  # a pass over the image for each
        (frame_of(height=0) + SCAN + EOI, Reason.CORRUPT),
        (frame_of() + EOI + EOI, Reason.CORRUPT),
        (frame_of() + b"x" * 20, Reason.CORRUPT),
        (b"\xff\xd8" + SCAN + EOI, Reason.CORRUPT),
        (frame_of() + SCAN + EOI, Reason.CORRUPT),  # no tables
        (frame_of() + SCAN, Reason.TRUNCATED),
        (b"\xff\xd8\xff", Reason.TRUNCATED),
        (b"\xff\xd8" + b"\xff" * 5000, Reason.TRUNCATED),
        (frame_of(height=65535, width=65535) + SCAN + EOI, Reason.TOO_LARGE),
        (frame_of(marker=0xC2, height=1500, width=1500) + SCAN * 450 + EOI, Reason.TOO_LARGE),
    ],
)
def test_a_jpeg_that_is_refused_says_why(data, reason):
    assert decode(data, 3 * LIMIT) is reason


def test_a_jpeg_with_a_recoverable_error_is_corrupt():
    data = encode(smooth(1, seed=3)[..., 0], "JPEG", quality=95)
    assert iio.imread(data[:-60] + data[-20:]).shape == GREY.shape
    assert decode(data[:-60] + data[-20:], LIMIT) is Reason.CORRUPT


def test_a_second_scan_of_sequential_grey_is_corrupt_however_many_follow():
    data = encode(smooth(1, seed=3)[..., 0], "JPEG", quality=95)
    assert data.endswith(EOI)
    for scans in (1, 501):
        assert decode(data.removesuffix(EOI) + SCAN * scans + EOI, LIMIT) is Reason.CORRUPT


# Everything else.


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
        *(("TIFF", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")),
        *(("BMP", mode) for mode in ("1", "L", "P", "RGB", "RGBA")),
    ],
)
def test_lossless_formats_give_the_luminance_of_what_was_stored(kind, mode):
    picture = Image.fromarray(RGB).convert(mode)
    data = encode(picture, kind)
    expected = picture.convert("RGB").convert("L")
    image = decode(data, LIMIT)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.asarray(expected))


def test_colour_is_weighed_by_bt601():
    image = decode(encode(RGB, "PNG"), LIMIT)
    assert np.abs(image - bt601(RGB)).max() <= 1
    assert (image == bt601(RGB)).mean() > 0.999
    same = np.repeat(GREY[..., None], 3, axis=-1)
    np.testing.assert_array_equal(decode(encode(same, "PNG"), LIMIT), GREY)


def test_alpha_is_ignored():
    clear = np.dstack([RGB, np.zeros_like(GREY)])
    np.testing.assert_array_equal(decode(encode(clear, "PNG"), LIMIT), decode(encode(RGB, "PNG"), LIMIT))
    palette = Image.fromarray(RGB).convert("P")
    for transparency in (3, bytes(range(200))):
        data = encode(palette, "PNG", transparency=transparency)
        np.testing.assert_array_equal(decode(data, LIMIT), decode(encode(palette, "PNG"), LIMIT))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_and_rounded(kind):
    image = decode(encode(DEEP, kind), LIMIT)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.round(DEEP / 257))
    extremes = np.array([[0, 128, 129, 65535]], np.uint16)
    np.testing.assert_array_equal(decode(encode(extremes, kind), LIMIT), [[0, 0, 1, 255]])


def test_webp():
    np.testing.assert_array_equal(
        decode(encode(RGB, "WEBP", lossless=True), LIMIT), np.asarray(Image.fromarray(RGB).convert("L"))
    )
    lossy = encode(RGB, "WEBP", quality=50)
    np.testing.assert_array_equal(decode(lossy, LIMIT), iio.imread(lossy, mode="L"))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_of_several_frames_the_first_counts(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    others = [Image.fromarray(255 - GREY)]
    data = encode(GREY, kind, save_all=True, append_images=others, **options)
    assert len(data) > len(encode(GREY, kind, **options))
    np.testing.assert_array_equal(decode(data, LIMIT), GREY)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "group4"])
def test_compressed_tiffs(compression):
    picture = Image.fromarray(GREY).convert("1" if compression == "group4" else "L")
    data = encode(picture, "TIFF", compression=compression)
    np.testing.assert_array_equal(decode(data, LIMIT), np.asarray(picture.convert("L")))


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(GREY.astype(np.float32)),
        Image.fromarray(GREY.astype(np.int32)),
        Image.new("LAB", (4, 4)),
    ],
    ids=["float", "int32", "Lab"],
)
def test_samples_without_a_stated_range_are_unsupported(picture):
    assert decode(encode(picture, "TIFF"), LIMIT) is Reason.UNSUPPORTED


def test_16_bit_tiffs_that_pillow_passes_on_unscaled_are_unsupported():
    """White as zero (photometric 0) comes back inverted, so a good part would not look like one."""
    data = encode(DEEP, "TIFF")
    entry = data.index(struct.pack("<HHI", 262, 3, 1))
    assert data[entry + 8] == 1
    inverted = data[: entry + 8] + b"\0" + data[entry + 9 :]
    assert iio.imread(inverted).shape == DEEP.shape
    assert decode(inverted, LIMIT) is Reason.UNSUPPORTED


# Limits.


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_the_limit_of_pixels_is_inclusive(kind):
    data = encode(GREY, kind)
    assert decode(data, GREY.size).shape == GREY.shape
    assert decode(data, GREY.size - 1) is Reason.TOO_LARGE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_an_image_that_does_not_fit_is_asked_for_upright_and_not_decoded(kind, monkeypatch):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = encode(GREY, kind) if kind == "BMP" else encode(GREY, kind, exif=exif)
    shape = (HEIGHT, WIDTH) if kind == "BMP" else (WIDTH, HEIGHT)
    asked = []
    assert decode(data, LIMIT, lambda size: not asked.append(size)).shape == shape
    monkeypatch.setattr(iio, "imread", None)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", None)
    unread = decode(data, LIMIT, lambda size: bool(asked.append(size)))
    assert unread.shape == shape
    assert set(asked) == {shape}


def test_large_images_turn_grey_in_strips_of_the_same_values(monkeypatch):
    samples = [encode(RGB, "JPEG"), encode(DEEP, "PNG"), encode(Image.fromarray(RGB).convert("P"), "PNG")]
    whole = [decode(data, LIMIT) for data in samples]
    monkeypatch.setattr("dice_core.decode._STRIP", 3 * WIDTH)
    for data, expected in zip(samples, whole, strict=True):
        np.testing.assert_array_equal(decode(data, LIMIT), expected)


def png_claiming(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(12_000, 12_000),  # where Pillow would warn
        png_claiming(60_000, 60_000),  # and where it would raise
        png_claiming(2**31 - 1, 2**31 - 1),
        b"BM"
        + bytes(12)
        + struct.pack("<IiiHHIIiiII", 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0)
        + bytes(99),
        b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0",
    ],
    ids=["png-warn", "png-raise", "png-max", "bmp", "webp"],
)
def test_a_decompression_bomb_is_refused_by_its_header(data):
    tracemalloc.start()
    assert decode(data, LIMIT) is Reason.TOO_LARGE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LIMIT


def test_pillows_limit_holds_however_high_the_other_is():
    assert decode(png_claiming(12_000, 12_000), 10**12) is Reason.TOO_LARGE


# What is no image.


def archive_of(kind):
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a.png", b"x")
    else:
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("a.png"))
    return gzip.compress(buffer.getvalue(), mtime=0) if kind == "gzip" else buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"\0", Reason.NOT_AN_IMAGE),
        (bytes(4096), Reason.NOT_AN_IMAGE),
        (b"hello", Reason.NOT_AN_IMAGE),
        (b"BMW is no bitmap, whatever its first two letters say", Reason.NOT_AN_IMAGE),
        (b"RIFF\x24\0\0\0WAVEfmt ", Reason.NOT_AN_IMAGE),
        (archive_of("tar"), Reason.NESTED_ARCHIVE),
        (archive_of("zip"), Reason.NESTED_ARCHIVE),
        (archive_of("gzip"), Reason.NESTED_ARCHIVE),
        (encode(GREY, "GIF"), Reason.UNSUPPORTED),
        (encode(GREY, "PPM"), Reason.UNSUPPORTED),
        (encode(GREY, "EPS"), Reason.UNSUPPORTED),
        (encode(GREY, "PDF"), Reason.UNSUPPORTED),
        (encode(GREY, "ICO"), Reason.UNSUPPORTED),
        (encode(GREY, "DDS"), Reason.UNSUPPORTED),
        (b"\0\0\0\x1cftypavif", Reason.UNSUPPORTED),
    ],
)
def test_what_is_no_image_of_ours_says_why(data, reason):
    assert decode(data, LIMIT) is reason


# Damage.

SAMPLES = {
    "grey JPEG": encode(GREY, "JPEG"),
    "colour JPEG": encode(RGB, "JPEG", progressive=True),
    "CMYK JPEG": encode(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    "PNG": encode(RGB, "PNG"),
    "palette PNG": encode(Image.fromarray(RGB).convert("P"), "PNG"),
    "16-bit PNG": encode(DEEP, "PNG"),
    "BMP": encode(GREY, "BMP"),
    "TIFF": encode(GREY, "TIFF"),
    "WebP": encode(RGB, "WEBP"),
}


@pytest.mark.parametrize("name", ["grey JPEG", "colour JPEG", "CMYK JPEG", "PNG", "16-bit PNG", "WebP"])
def test_a_file_cut_at_any_byte_is_truncated(name):
    data = SAMPLES[name]
    signature = 12 if name == "WebP" else 8 if "PNG" in name else 3
    step = 1 if "JPEG" in name else 7
    for length in range(signature, len(data), step):
        assert decode(data[:length], LIMIT) is Reason.TRUNCATED, length
    assert decode(data[:2], LIMIT) is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize("name", ["BMP", "TIFF"])
def test_a_bmp_or_tiff_cut_at_any_byte_is_rejected(name):
    data = SAMPLES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow's, of tags that are cut off
        reasons = {decode(data[:length], LIMIT) for length in range(20, len(data) - 4, 13)}
    assert reasons <= {Reason.TRUNCATED, Reason.CORRUPT}
    assert Reason.TRUNCATED in reasons


flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=5)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), flips, st.booleans())
def test_flipped_bytes_give_an_image_or_a_reason(name, flipped, in_header):
    damaged = bytearray(SAMPLES[name])
    reach = min(len(damaged), 120) if in_header else len(damaged)
    for where, mask in flipped:
        damaged[int(where * reach)] ^= mask
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        image = decode(bytes(damaged), LIMIT)
    if not isinstance(image, Reason):
        assert image.dtype == np.uint8
        assert image.ndim == 2
        assert image.size <= LIMIT


def test_running_out_of_memory_is_not_a_rejection(monkeypatch):
    def exhausted(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr(iio, "imread", exhausted)
    with pytest.raises(MemoryError):
        decode(SAMPLES["PNG"], LIMIT)
