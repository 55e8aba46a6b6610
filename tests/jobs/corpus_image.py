"""Images of the corpus, each a member of one tar."""

import io
import struct
import zlib

import numpy as np
import samples
from corpus import GOOD, case
from corpus_tar import END, file
from fake_scorer import SIZE
from PIL import Image

from dice_core.rows import Reason

RNG = np.random.default_rng(7)
GREY = np.asarray(Image.fromarray(RNG.integers(60, 200, (4, 4), np.uint8)).resize((SIZE, SIZE)))
RGB = np.dstack([GREY, 255 - GREY, GREY.T])
PICTURE = Image.fromarray(RGB)
DEEP = Image.fromarray(GREY.astype(np.uint16) * 257)
ORIENTATION = 0x0112
EOI, SCAN = b"\xff\xd9", b"\xff\xda\0\x08\1\1\0\0\x3f\0"
CORRUPT, TRUNCATED, UNSUPPORTED = Reason.CORRUPT, Reason.TRUNCATED, Reason.UNSUPPORTED
TOO_LARGE, WRONG_SIZE, NOT_AN_IMAGE = Reason.TOO_LARGE, Reason.WRONG_SIZE, Reason.NOT_AN_IMAGE


def encode(picture, kind, **options):
    buffer = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(buffer, kind, **options)
    return buffer.getvalue()


def mode(name, kind="PNG", **options):
    return encode(PICTURE.convert(name), kind, **options)


def turned(orientation, kind="JPEG"):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encode(GREY, kind, exif=exif)


def frame(precision=8, height=SIZE, width=SIZE, components=1, marker=0xC0):
    body = struct.pack(">BHHB", precision, height, width, components) + b"\1\x11\0" * components
    return b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width=SIZE, height=SIZE, pixels=None, *before, depth=8, colour=0):
    """A PNG of chunks: what its header claims need not be what it holds."""
    lines = bytes((SIZE + 1) * SIZE) if pixels is None else pixels
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header), *before, chunk(b"IDAT", zlib.compress(lines, 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def bmp(width, height, bits=24):
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 999, 0, 0, 54) + header + bytes(99)


def tiff(*entries, after=0):
    """A little-endian TIFF of one directory: entries of tag, type, count and value."""
    listed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + listed + struct.pack("<I", after)


PLAIN = [(256, 4, 1, SIZE), (257, 4, 1, SIZE), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
STRIP = [(273, 4, 1, 8), (278, 4, 1, 60000), (279, 4, 1, 99)]
JPEG, PNG, BMP, TIFF, WEBP = (encode(GREY, kind) for kind in ("JPEG", "PNG", "BMP", "TIFF", "WEBP"))
IDAT, CHUNK_CRC = PNG.index(b"IDAT"), PNG.index(b"IEND") - 8
WIDE = Image.fromarray(np.zeros((SIZE, SIZE * 2), np.uint8))

OK = {
    "JPEG: grey": JPEG,
    "JPEG: colour": encode(RGB, "JPEG", subsampling=2),
    "JPEG: progressive": encode(RGB, "JPEG", progressive=True),
    "JPEG: CMYK": mode("CMYK", "JPEG"),
    "JPEG: restart markers": encode(RGB, "JPEG", restart_marker_rows=1),
    "JPEG: something behind its end": JPEG + b"behind" * 9,
    "JPEG: senseless Exif": JPEG[:2] + b"\xff\xe1\0\x0cExif\0\0II*\0" + JPEG[2:],
    **{f"JPEG: orientation {turn}": turned(turn) for turn in range(1, 9)},
    "JPEG: several pictures": encode(GREY, "MPO", save_all=True, append_images=[Image.fromarray(255 - GREY)]),
    **{f"PNG: {name}": mode(name) for name in ("1", "L", "LA", "P", "RGB", "RGBA")},
    "PNG: 16 bit": encode(DEEP, "PNG"),
    "PNG: 16 bit colour": png(SIZE, SIZE, bytes((6 * SIZE + 1) * SIZE), depth=16, colour=2),
    "PNG: palette with alpha": mode("P", transparency=bytes(range(200))),
    "PNG: orientation 6": turned(6, "PNG"),
    "PNG: animated": encode(GREY, "PNG", save_all=True, append_images=[Image.fromarray(255 - GREY)]),
    "PNG: more lines than it claims": png(SIZE, SIZE, bytes(1 << 20)),
    "BMP: grey": BMP,
    "BMP: colour": encode(RGB, "BMP"),
    "TIFF: grey": TIFF,
    "TIFF: 16 bit": encode(DEEP, "TIFF"),
    "TIFF: LZW": encode(RGB, "TIFF", compression="tiff_lzw"),
    "TIFF: CMYK": mode("CMYK", "TIFF"),
    "TIFF: several pages": encode(GREY, "TIFF", save_all=True, append_images=[Image.fromarray(255 - GREY)]),
    "TIFF: orientation 5": turned(5, "TIFF"),
    "WebP: lossy": WEBP,
    "WebP: lossless": encode(RGB, "WEBP", lossless=True),
    "WebP: animated": encode(RGB, "WEBP", save_all=True, append_images=[Image.fromarray(255 - GREY)]),
}
REJECTED = {
    "JPEG: two bytes": (JPEG[:3], TRUNCATED),
    "JPEG: cut in its header": (JPEG[:100], TRUNCATED),
    "JPEG: cut before its scan": (JPEG[: JPEG.index(b"\xff\xda")], TRUNCATED),
    "JPEG: cut in its scan": (JPEG[:-20], TRUNCATED),
    "JPEG: cut before its end": (JPEG[:-2], TRUNCATED),
    "JPEG: a hole in its scan": (GOOD[:-60] + GOOD[-20:], CORRUPT),
    "JPEG: no tables": (frame() + SCAN + EOI, CORRUPT),
    "JPEG: no frame": (b"\xff\xd8" + SCAN + EOI, CORRUPT),
    "JPEG: no height": (frame(height=0) + SCAN + EOI, CORRUPT),
    "JPEG: no marker": (frame() + b"x" * 20, CORRUPT),
    "JPEG: 12 bit": (frame(precision=12) + SCAN + EOI, UNSUPPORTED),
    "JPEG: lossless": (frame(marker=0xC3) + SCAN + EOI, UNSUPPORTED),
    "JPEG: arithmetic coding": (frame(marker=0xC9) + SCAN + EOI, UNSUPPORTED),
    "JPEG: two components": (frame(components=2) + SCAN + EOI, UNSUPPORTED),
    "JPEG: a thousand scans": (frame(marker=0xC2) + SCAN * 1000 + EOI, UNSUPPORTED),
    "JPEG: 65,535 pixels a side": (frame(height=65535, width=65535) + SCAN + EOI, TOO_LARGE),
    "JPEG: larger": (samples.jpeg(1, SIZE * 2), WRONG_SIZE),
    "PNG: signature alone": (PNG[:8], TRUNCATED),
    "PNG: cut in its header": (PNG[:20], TRUNCATED),
    "PNG: cut before its pixels": (PNG[: IDAT - 4], TRUNCATED),
    "PNG: cut in its pixels": (PNG[: IDAT + 20], TRUNCATED),
    "PNG: cut before its end": (PNG[:-12], TRUNCATED),
    "PNG: bad checksum of its header": (PNG[:29] + b"crc!" + PNG[33:], CORRUPT),
    "PNG: bad checksum of its pixels": (PNG[:CHUNK_CRC] + b"crc!" + PNG[CHUNK_CRC + 4 :], CORRUPT),
    "PNG: damaged pixels": (png(SIZE, SIZE, None)[:50] + b"\xff" * 8 + png(SIZE, SIZE, None)[58:], CORRUPT),
    "PNG: fewer lines than it claims": (png(SIZE, SIZE, bytes(100)), TRUNCATED),
    "PNG: no width": (png(0, SIZE), CORRUPT),
    "PNG: 60,000 pixels a side": (png(60000, 60000), TOO_LARGE),
    "PNG: 2,147,483,647 pixels a side": (png(2**31 - 1, 2**31 - 1), TOO_LARGE),
    "PNG: 7,000 pixels a side, blank": (lambda: png(7000, 7000, bytes(7001 * 7000)), WRONG_SIZE),
    "PNG: bomb of text": (
        lambda: png(SIZE, SIZE, None, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(64 << 20)))),
        CORRUPT,
    ),
    "PNG: 1 x 1": (encode(np.zeros((1, 1), np.uint8), "PNG"), WRONG_SIZE),
    "PNG: of another aspect": (encode(WIDE, "PNG"), WRONG_SIZE),
    "BMP: cut in its header": (BMP[:30], TRUNCATED),
    "BMP: cut in its pixels": (BMP[:-20], TRUNCATED),
    "BMP: 50,000 pixels a side": (bmp(50000, 50000), TOO_LARGE),
    "TIFF: cut in its header": (TIFF[:6], CORRUPT),
    "TIFF: cut in its pixels": (TIFF[:-20], TRUNCATED),
    "TIFF: directory in a circle": (tiff(*PLAIN, after=8), CORRUPT),
    "TIFF: directory beyond the file": (b"II*\0\xff\xff\xff\x7f", CORRUPT),
    "TIFF: a tag of 4 billion values": (tiff(*PLAIN, (273, 4, 0xFFFFFFFF, 0)), CORRUPT),
    "TIFF: 60,000 pixels a side": (
        tiff((256, 4, 1, 60000), (257, 4, 1, 60000), *PLAIN[2:], *STRIP),
        TOO_LARGE,
    ),
    "TIFF: floating point": (encode(GREY.astype(np.float32), "TIFF"), UNSUPPORTED),
    "WebP: cut in its header": (WEBP[:20], TRUNCATED),
    "WebP: cut in its pixels": (WEBP[:-20], TRUNCATED),
    "WebP: 16,384 pixels a side": (
        b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0",
        TOO_LARGE,
    ),
    "other: nothing": (b"", Reason.EMPTY),
    "other: one NUL": (b"\0", NOT_AN_IMAGE),
    "other: zeros": (bytes(4096), NOT_AN_IMAGE),
    "other: noise": (RNG.bytes(5000), NOT_AN_IMAGE),
    "other: text": (b"no image at all\n" * 50, NOT_AN_IMAGE),
    "other: text that begins as bitmaps do": (b"BMW is no bitmap, whatever it begins with", NOT_AN_IMAGE),
    "other: sound": (b"RIFF\x24\0\0\0WAVEfmt ", NOT_AN_IMAGE),
    "other: program": (b"\x7fELF\2\1\1" + bytes(200), NOT_AN_IMAGE),
    **{f"other: {kind}": (mode("RGB", kind), UNSUPPORTED) for kind in ("GIF", "PPM", "EPS", "PDF", "ICO")},
    "other: AVIF": (b"\0\0\0\x1cftypavif" + bytes(40), UNSUPPORTED),
    "other: Photoshop": (b"8BPS\0\1" + bytes(40), UNSUPPORTED),
    "other: JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", UNSUPPORTED),
}


def everything():
    """All images in one tar, each under its own name."""
    rejected = {name: data for name, (data, _) in REJECTED.items()}
    made = ((name, data() if callable(data) else data) for name, data in (OK | rejected).items())
    return b"".join(file(name.encode(), data) for name, data in made) + END


IMAGES = case(".tar", everything, *OK, *((name, reason) for name, (_, reason) in REJECTED.items()))
