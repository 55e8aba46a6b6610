"""Mutated archives and images without end, each told by its number alone.

A mutation that breaks a checksum goes no further than that; so most are sealed again: in the header of a tar,
the member of a zip, the chunk of a PNG, the gzip around it all.
"""

import gzip
import random
import struct
import zlib
from contextlib import suppress

import corpus_image
import corpus_tar
import corpus_zip
from corpus import GOOD, OTHER

BLOCK = 512
EDGES = (0, 1, 2, 0x20, 0x2F, 0x7F, 0x80, 0xFE, 0xFF)
LARGE = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 1 << 63, (1 << 64) - 1)

IMAGES = [GOOD, *corpus_image.OK.values(), *(corpus_image.mode("RGB", kind) for kind in ("GIF", "ICO"))]
PNGS = [data for data in IMAGES if data.startswith(b"\x89PNG")]
TARS = [
    made.make()
    for name, made in corpus_tar.TARS.items()
    if not {"members", "larger", "past", "thousand"} & set(name.split())
]
ZIPS = [
    made.make()
    for name, made in corpus_zip.ZIPS.items()
    if not {"bomb", "blank", "members"} & set(name.split())
]
MOST = {"crc": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "made_by": 0xFF}
KINDS = ("tar", "tar sealed", "gzip", "gzip around", "zip", "zip sealed", "image", "png sealed")


def mutated(seed, number):
    """Make one case: its kind, how its file's name ends, its bytes."""
    rng = random.Random(f"{seed} {number}")  # noqa: S311 - the same cases again is the point
    kind = KINDS[number % len(KINDS)]
    match kind:
        case "tar":
            suffix, data = ".tar", anyhow(rng, rng.choice(TARS), TARS)
        case "tar sealed":
            suffix, data = ".tar", sealed_tar(rng, rng.choice(TARS))
        case "gzip":
            packed = gzip.compress(rng.choice(TARS), rng.choice((0, 1, 9)), mtime=0)
            suffix, data = ".tar.gz", anyhow(rng, packed, TARS)
        case "gzip around":
            suffix, data = ".tar.gz", gzip.compress(sealed_tar(rng, rng.choice(TARS)), 1, mtime=0)
        case "zip":
            suffix, data = ".zip", anyhow(rng, rng.choice(ZIPS), ZIPS)
        case "zip sealed":
            suffix, data = ".zip", sealed_zip(rng)
        case "image":
            suffix, data = ".tar", holding([anyhow(rng, rng.choice(IMAGES), IMAGES) for _ in range(4)])
        case _:
            suffix, data = ".tar", holding([sealed_png(rng, rng.choice(PNGS)) for _ in range(4)])
    return kind, suffix, data


def holding(images):
    return b"".join(corpus_tar.file(b"%d" % at, data) for at, data in enumerate(images)) + corpus_tar.END


def anyhow(rng, data, others):
    """Change bytes wherever they are, a few times."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(data) + 1)
        length = rng.choice((1, 2, 4, 8, 64, 512))
        match rng.randrange(9):
            case 0 | 1:
                data[at : at + 1] = bytes([(data[at : at + 1] or b"\0")[0] ^ 1 << rng.randrange(8)])
            case 2:
                data[at : at + 1] = bytes([rng.choice(EDGES)])
            case 3:
                data[at : at + length] = rng.randbytes(length)
            case 4:
                data = data[:at]
            case 5:
                del data[at : at + length]
            case 6:
                data[at:at] = data[at : at + length] * rng.choice((1, 2, 50))
            case 7:
                other = rng.choice(others)
                begin = rng.randrange(len(other) + 1)
                data[at:] = other[begin:]
            case _:
                data[at : at + 8] = rng.choice(LARGE).to_bytes(8, rng.choice(("little", "big")))
    return bytes(data)


def sealed_tar(rng, data):
    """Change fields of headers, and write their checksums anew."""
    data = bytearray(data)
    headers = [at for at in range(0, len(data) - BLOCK + 1, BLOCK) if data[at + 257 : at + 262] == b"ustar"]
    for at in rng.sample(headers, min(len(headers), rng.choice((1, 1, 2, 3)))):
        match rng.randrange(5):
            case 0:
                data[at + 156] = rng.choice(b"0123456789LKxgXSVMD\0")
            case 1:
                size = rng.choice((b"%011o", b"%o", b" %o", b"%d")) % rng.choice((0, 1, 511, 512, 513, 99999))
                data[at + 124 : at + 136] = size.ljust(12, b"\0")[:12]
            case 2:
                data[at + 124 : at + 136] = b"\x80" + rng.choice(LARGE).to_bytes(11, "big")
            case 3:
                where = at + rng.randrange(BLOCK)
                data[where] = rng.randrange(256)
            case _:
                # What follows an extension header is its payload: records of pax, or a name.
                follows = at + BLOCK + rng.randrange(64)
                data[follows : follows + 1] = bytes([rng.choice(b"0123456789 =\n\0\xff")])
        data[at : at + BLOCK] = corpus_tar.sealed(data[at : at + BLOCK])
    return bytes(data[: rng.choice((len(data), len(data), rng.randrange(len(data) + 1)))])


def sealed_zip(rng):
    """Members whose checksums hold or whose records lie about something."""
    entries = []
    for _ in range(rng.randrange(1, 5)):
        data = rng.choice((GOOD, OTHER, b"", anyhow(rng, rng.choice(IMAGES), IMAGES)))
        lies = {}
        for field in rng.sample(("flags", "method", "crc", "packed", "size", "mode", "disk", "made_by"), 2):
            if rng.random() < 0.3:
                most = MOST.get(field, 0xFFFF)
                lies[field] = rng.choice((0, 1, 8, 9, 12, 99, len(data), 0xFFFF, most)) & most
        if rng.random() < 0.2:
            wide = struct.pack("<2H3Q", 1, rng.choice((0, 8, 16, 24, 99)), *rng.choices(LARGE, k=3))
            lies |= {"extra": wide, "size": 0xFFFFFFFF}
        name = rng.choice((b"a", b"f/", b"w\\", b"", b"../a", b"\xff\xfe", b".DS_Store", b"n" * 300))
        raw = anyhow(rng, corpus_zip.deflate(data), IMAGES) if rng.random() < 0.2 else None
        entries.append(corpus_zip.Entry(name, data, rng.choice((0, 8)), raw, **lies))
    end = {}
    if rng.random() < 0.2:
        end[rng.choice(("records", "disk"))] = rng.randrange(0x10000)
    if rng.random() < 0.2:
        end[rng.choice(("length", "offset"))] = rng.choice((0, 1, 46, 100, 0x7FFFFFFF, 0xFFFFFFFF))
    return corpus_zip.archive(*entries, **end)


def sealed_png(rng, data):
    """Change the insides of chunks, and write their checksums anew."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(chunks))
        kind, body = chunks[at]
        match rng.randrange(5):
            case 0 if kind == b"IDAT":
                with suppress(zlib.error):  # changed before
                    body = zlib.decompress(body)
                chunks[at] = kind, zlib.compress(anyhow(rng, body, IMAGES), 1)
            case 1:
                del chunks[at]
                chunks = chunks or [(b"IEND", b"")]
            case 2:
                chunks.insert(rng.randrange(len(chunks)), chunks[at])
            case 3:
                chunks[at] = rng.choice((b"tRNS", b"PLTE", b"eXIf", b"acTL", b"iCCP", b"zTXt")), body
            case _:
                chunks[at] = kind, anyhow(rng, body, IMAGES)
    return data[:8] + b"".join(corpus_image.chunk(kind, body) for kind, body in chunks)
