"""Tars and compressed tars of the corpus, header by header."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile

import corpus_zip
from corpus import BROKEN, GOOD, MAX_MEMBERS, OTHER, case

from dice_core.rows import Reason

END = bytes(1024)
NOT_A_FILE, NESTED = Reason.NOT_A_FILE, Reason.NESTED_ARCHIVE


def padded(payload):
    return payload + bytes(-len(payload) % 512)


def header(name=b"a", size=b"0", kind=b"0", magic=b"ustar\00000", link=b"", *, signed=False, **fields):
    """One block; `fields` are bytes to put where their names, of the form at123, say."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[156:157] = kind
    block[157 : 157 + len(link)] = link
    block[257 : 257 + len(magic)] = magic
    for where, value in fields.items():
        at = int(where.removeprefix("at"))
        block[at : at + len(value)] = value
    return sealed(block, signed=signed)


def sealed(block, *, signed=False):
    """Write the checksum of a header."""
    block = bytearray(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % (sum(struct.unpack("512b" if signed else "512B", block)) & 0o777777)
    return bytes(block)


def file(name, data, **fields):
    return header(name, b"%o" % len(data), **fields) + padded(data)


def extension(kind, payload, name=b"././@Extension"):
    return header(name, b"%o" % len(payload), kind) + padded(payload)


def pax(**records):
    lines = b""
    for key, value in records.items():
        body = b" " + key.replace("__", ".").encode() + b"=" + value + b"\n"
        length = len(body) + 1
        while len(b"%d" % length) + len(body) != length:
            length += 1
        lines += b"%d" % length + body
    return extension(b"x", lines)


def by_tarfile(form, *listed):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in listed:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


A, B = file(b"a", GOOD), file(b"b", OTHER)
SECOND = len(A)
LONG, ENDLESS = b"n" * 10_000, b"n" * 100_000
WHOLE = A + B + END
BEYOND = b"%o" % (1 << 30)
BOMB = header(b"zeros", b"%o" % (100 << 20)) + bytes(100 << 20) + B + END


def special(kind, *more, **fields):
    return header(kind=kind, **fields) + b"".join(more) + B + END


def odd(name):
    """A tar of one good image under this name, as a pax record has it."""
    return pax(path=name) + file(b"short", GOOD) + END


TARS = {
    "tar: ustar": case(".tar", by_tarfile(tarfile.USTAR_FORMAT, ("a", GOOD), ("b", OTHER)), "a", "b"),
    "tar: GNU": case(".tar", by_tarfile(tarfile.GNU_FORMAT, ("ü" * 99, GOOD)), "ü" * 99),
    "tar: pax": case(".tar", by_tarfile(tarfile.PAX_FORMAT, ("ü" * 99, GOOD)), "ü" * 99),
    "tar: before ustar": case(".tar", file(b"a", GOOD, kind=b"\0", magic=b"") + B + END, "a", "b"),
    "tar: zero bytes": case(".tar", b"", BROKEN),
    "tar: text": case(".tar", b"no archive at all\n" * 99, BROKEN),
    "tar: bzip2 inside": case(".tar", bz2.compress(WHOLE), BROKEN),
    "tar: xz inside": case(".tar", lzma.compress(WHOLE), BROKEN),
    "tar: nothing but its end": case(".tar", END),
    "tar: zeros": case(".tar", bytes(10240)),
    "tar: cut in the first header": case(".tar", A[:300], BROKEN),
    "tar: cut in a header": case(".tar", WHOLE[: SECOND + 200], "a", BROKEN),
    "tar: cut before a payload": case(".tar", WHOLE[: SECOND + 512], "a", ("b", Reason.BROKEN_ARCHIVE)),
    "tar: cut in a payload": case(".tar", WHOLE[: SECOND + 600], "a", ("b", Reason.BROKEN_ARCHIVE)),
    "tar: cut in the padding": case(".tar", WHOLE[: SECOND + 512 + len(OTHER) + 1], "a", "b", BROKEN),
    "tar: cut before its end": case(".tar", A + B, "a", "b", BROKEN),
    "tar: cut in its end": case(".tar", A + B + bytes(100), "a", "b"),
    "tar: cut between its end blocks": case(".tar", A + B + bytes(512), "a", "b"),
    "tar: a hole of zeros": case(".tar", A + bytes(512) + B + END, "a", BROKEN),
    "tar: cut in a GNU name": case(".tar", A + extension(b"L", LONG)[:2000], "a", BROKEN),
    "tar: cut in a pax record": case(".tar", A + pax(path=LONG)[:2000], "a", BROKEN),
    "tar: cut after a pax record": case(".tar", A + pax(path=b"c"), "a", BROKEN),
    "tar: end after a pax record": case(".tar", A + pax(path=b"c") + END, "a", BROKEN),
    "tar: bad checksum": case(".tar", A + B[:148] + b"000001\0 " + B[156:] + END, "a", BROKEN),
    "tar: signed checksum": case(".tar", file(b"caf\xe9", GOOD, signed=True) + END, "caf\\xe9"),
    "tar: size in no digits": case(".tar", A + header(b"b", b"12z") + END, "a", BROKEN),
    "tar: negative size": case(".tar", A + header(b"b", b"\xff" * 12) + END, "a", BROKEN),
    "tar: size beyond 64 bits": case(".tar", A + header(b"b", b"\x80" + b"\xff" * 11) + END, "a", BROKEN),
    "tar: size beyond the end": case(
        ".tar", A + header(b"b", BEYOND) + END, "a", ("b", Reason.BROKEN_ARCHIVE)
    ),
    "tar: size some bytes short": case(
        ".tar", header(b"a", b"%o" % (len(GOOD) - 3)) + padded(GOOD) + B + END, Reason.TRUNCATED, "b"
    ),
    "tar: size some blocks short": case(
        ".tar", header(b"a", b"0") + padded(GOOD) + B + END, Reason.EMPTY, BROKEN
    ),
    "tar: size some blocks long": case(
        ".tar", header(b"a", b"%o" % (len(padded(GOOD)) + 512)) + padded(GOOD) + B + END, "a", BROKEN
    ),
    "tar: larger than may be": case(
        ".tar", lambda: header(b"a", b"%o" % (5 << 20)) + bytes(5 << 20) + B + END, Reason.TOO_LARGE, "b"
    ),
    "tar: symbolic link": case(".tar", special(b"2", link=b"/etc/passwd"), NOT_A_FILE, "b"),
    "tar: hard link": case(".tar", special(b"1", link=b"b", size=b"7777"), NOT_A_FILE, "b"),
    "tar: character device": case(".tar", special(b"3"), NOT_A_FILE, "b"),
    "tar: block device": case(".tar", special(b"4"), NOT_A_FILE, "b"),
    "tar: pipe": case(".tar", special(b"6"), NOT_A_FILE, "b"),
    "tar: folder": case(".tar", special(b"5"), "b"),
    "tar: unknown kind": case(".tar", special(b"Z", padded(b"?"), size=b"1"), NOT_A_FILE, "b"),
    "tar: label of a volume": case(".tar", special(b"V"), NOT_A_FILE, "b"),
    "tar: rest of another volume": case(".tar", special(b"M", padded(b"1"), size=b"1"), NOT_A_FILE, "b"),
    "tar: contiguous file": case(".tar", file(b"a", GOOD, kind=b"7") + END, "a"),
    "tar: old GNU sparse": case(
        ".tar",
        special(b"S", bytes(504) + b"\1" + bytes(7), bytes(512), padded(b"1"), size=b"1", at482=b"\1"),
        NOT_A_FILE,
        "b",
    ),
    "tar: old GNU sparse, cut in its map": case(".tar", A + header(kind=b"S", at482=b"\1"), "a", BROKEN),
    "tar: pax sparse 0.1": case(
        ".tar", pax(GNU__sparse__map=b"0,1", GNU__sparse__size=b"9") + A + END, NOT_A_FILE
    ),
    "tar: pax sparse 1.0": case(
        ".tar", pax(GNU__sparse__major=b"1", GNU__sparse__name=b"real") + A + END, ("real", NOT_A_FILE)
    ),
    "tar: absolute name": case(".tar", file(b"/outside/a.jpg", GOOD) + END, "/outside/a.jpg"),
    "tar: name that climbs": case(".tar", file(b"../../../a.jpg", GOOD) + END, "../../../a.jpg"),
    "tar: no name": case(".tar", file(b"", GOOD) + END, ""),
    "tar: name that is no UTF-8": case(".tar", file(b"caf\xe9.jpg", GOOD) + END, "caf\\xe9.jpg"),
    "tar: surrogate in a name": case(".tar", odd(b"\xed\xa0\x80"), "\\xed\\xa0\\x80"),
    "tar: NUL in a name": case(".tar", odd(b"a\0b"), "a\0b"),
    "tar: control characters in a name": case(".tar", odd(b"a\n\x1b[2J\r"), "a\n\x1b[2J\r"),
    "tar: backslashes in a name": case(".tar", odd(b"..\\c\\a.jpg"), "..\\c\\a.jpg"),
    "tar: 10,000 characters by GNU": case(
        ".tar", extension(b"L", LONG + b"\0") + file(b"n", GOOD) + END, LONG.decode()
    ),
    "tar: 10,000 characters by pax": case(".tar", odd(LONG), LONG.decode()),
    "tar: name past any use": case(".tar", A + odd(ENDLESS), "a", BROKEN),
    "tar: long target of a link": case(
        ".tar", extension(b"K", LONG) + special(b"2", link=b"n"), NOT_A_FILE, "b"
    ),
    "tar: duplicates": case(".tar", A + A + file(b"A", GOOD) + END, "a", "a", "A"),
    "tar: pax size": case(".tar", pax(size=b"%d" % len(GOOD)) + header(b"a", b"7") + padded(GOOD) + END, "a"),
    "tar: negative pax size": case(".tar", A + pax(size=b"-1") + B + END, "a", BROKEN),
    "tar: pax record of a false length": case(
        ".tar", A + extension(b"x", b"99 path=c\n") + B + END, "a", BROKEN
    ),
    "tar: pax record of no length": case(".tar", A + extension(b"x", b"0 path=c\n") + B + END, "a", BROKEN),
    "tar: pax record without its end": case(
        ".tar", A + extension(b"x", b"10 path=c!") + B + END, "a", BROKEN
    ),
    "tar: extension larger than may be": case(
        ".tar", A + header(kind=b"x", size=b"4000001") + END, "a", BROKEN
    ),
    "tar: global pax header": case(".tar", extension(b"g", b"10 path=c\n") + A + END, "a"),
    "tar: a thousand extensions": case(".tar", pax(path=b"c", comment=b"x") * 1000 + A + END, "c"),
    "tar: nested tar": case(".tar", file(b"a", WHOLE) + B + END, NESTED, "b"),
    "tar: nested zip": case(".tar", file(b"a", corpus_zip.WHOLE) + END, NESTED),
    "tar: nested gzip": case(".tar", file(b"a", gzip.compress(WHOLE)) + END, NESTED),
    "tar: what systems leave": case(
        ".tar",
        file(b".DS_Store", b"1") + file(b"__MACOSX/._a.jpg", b"2") + file(b"x/Thumbs.db", b"3") + A + END,
        *((name, Reason.ARCHIVE_JUNK) for name in (".DS_Store", "__MACOSX/._a.jpg", "x/Thumbs.db")),
        "a",
    ),
    "tar: more members than may be": case(
        ".tar", A * (MAX_MEMBERS + 3) + END, *("a" * MAX_MEMBERS), ("", Reason.TOO_LARGE)
    ),
    "tar: as many members as may be": case(".tar", A * MAX_MEMBERS + END, *("a" * MAX_MEMBERS)),
    "tar: something behind its end": case(".tar", WHOLE + A, "a", "b"),
}

STORED = gzip.compress(WHOLE, 0)
FLAT = STORED.index(OTHER)
"""Where the second payload is: level 0 stores."""

GZIPS = {
    "gzip: whole": case(".tar.gz", gzip.compress(WHOLE), "a", "b"),
    "gzip: in two members": case(".tgz", gzip.compress(A) + gzip.compress(B + END), "a", "b"),
    "gzip: zeros behind it": case(".tar.gz", gzip.compress(WHOLE) + bytes(99), "a", "b"),
    "gzip: name, comment and extra field": case(
        ".tar.gz",
        b"\x1f\x8b\x08\x1c" + bytes(6) + b"\3\0xyzname\0comment\0" + gzip.compress(WHOLE)[10:],
        "a",
        "b",
    ),
    "gzip: cut in its header": case(".tar.gz", STORED[:5], BROKEN),
    "gzip: cut before its stream": case(".tar.gz", STORED[:10], BROKEN),
    "gzip: cut in the first header": case(".tar.gz", STORED[:200], BROKEN),
    "gzip: cut in a payload": case(".tar.gz", STORED[: FLAT + 50], "a", ("b", Reason.BROKEN_ARCHIVE)),
    "gzip: cut before its trailer": case(".tar.gz", STORED[:-8], "a", "b", BROKEN),
    "gzip: cut in its trailer": case(".tar.gz", STORED[:-3], "a", "b", BROKEN),
    "gzip: bad checksum": case(".tar.gz", STORED[:-8] + b"crc!" + STORED[-4:], "a", "b", BROKEN),
    "gzip: bad length": case(".tar.gz", STORED[:-4] + b"len!", "a", "b", BROKEN),
    "gzip: unknown method": case(".tar.gz", b"\x1f\x8b\x07" + STORED[3:], BROKEN),
    "gzip: block of no type": case(".tar.gz", STORED[:10] + b"\xff" * 600, BROKEN),
    "gzip: garbage behind it": case(".tar.gz", gzip.compress(WHOLE) + b"garbage", "a", "b", BROKEN),
    "gzip: of nothing": case(".tar.gz", gzip.compress(b""), BROKEN),
    "gzip: of text": case(".tar.gz", gzip.compress(b"text\n" * 999), BROKEN),
    "gzip: of a tar without end": case(".tar.gz", gzip.compress(A + B), "a", "b", BROKEN),
    "gzip: bomb of one member": case(
        ".tar.gz", lambda: gzip.compress(A + BOMB), "a", ("zeros", Reason.TOO_LARGE)
    ),
    "gzip: bomb behind the end": case(
        ".tar.gz", lambda: gzip.compress(WHOLE + bytes(100 << 20)), "a", "b", ("", Reason.TOO_LARGE)
    ),
    "gzip: bomb of extensions": case(
        ".tar.gz",
        lambda: gzip.compress(A + extension(b"x", b"1000000 comment=" + b"x" * 999_983 + b"\n") * 99),
        "a",
        ("", Reason.TOO_LARGE),
    ),
    "gzip: more members than may be": case(
        ".tar.gz", gzip.compress(A * 999 + END), *("a" * MAX_MEMBERS), ("", Reason.TOO_LARGE)
    ),
}
