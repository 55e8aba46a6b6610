"""Zips of the corpus, record by record."""

import bz2
import io
import struct
import zipfile
import zlib

from corpus import BROKEN, GOOD, MAX_MEMBERS, OTHER, Row, case

from dice_core.rows import Reason

CORRUPT, TRUNCATED, TOO_LARGE = Reason.CORRUPT, Reason.TRUNCATED, Reason.TOO_LARGE
STORED, DEFLATED = 0, 8


def deflate(data):
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(data) + packer.flush()


class Entry:
    """One member: its local header and payload, and its record in the directory; each field may lie."""

    def __init__(self, name, data, packing=STORED, raw=None, **lies):
        self.packed = raw or (deflate(data) if packing == DEFLATED else data)
        self.told = {
            "flags": 0,
            "method": packing,
            "crc": zlib.crc32(data),
            "packed": len(self.packed),
            "size": len(data),
            "mode": 0o100644,
            "extra": b"",
            "made_by": 3,
            "name": name,
            "disk": 0,
            "shift": 0,
            "local_name": name,
            "local_size": len(data),
            "local_extra": b"",
            "signature": b"PK\3\4",
        } | lies

    @property
    def local(self):
        told, lengths = self.told, (len(self.packed), self.told["local_size"])
        fields = (told["flags"], told["method"], 0, 0, told["crc"], *lengths)
        names = told["local_name"], told["local_extra"]
        fixed = struct.pack("<4s5H3I2H", told["signature"], 20, *fields, *map(len, names))
        return fixed + b"".join(names) + self.packed

    def record(self, offset):
        told = self.told
        fixed = struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", told["made_by"] << 8 | 20, 20, told["flags"], told["method"], 0, 0,
            told["crc"], told["packed"], told["size"], len(told["name"]), len(told["extra"]), 0, told["disk"],
            0, told["mode"] << 16, offset + told["shift"],
        )  # fmt: skip
        return fixed + told["name"] + told["extra"]


def end_record(records, length, offset, disk=0):
    return struct.pack("<4s4H2IH", b"PK\5\6", disk, disk, records, records, length, offset, 0)


def archive(*entries, **end):
    """Lay out a zip; `end` changes what its end record tells."""
    body, directory = b"", b""
    for entry in entries:
        directory += entry.record(len(body))
        body += entry.local
    told = {"records": len(entries), "length": len(directory), "offset": len(body), "disk": 0} | end
    return body + directory + end_record(**told)


def lying(packing=DEFLATED, data=GOOD, name=b"a", **lies):
    """A zip of a member that lies, and of one that does not."""
    return archive(Entry(name, data, packing, **lies), Entry(b"b", OTHER))


def named(*names, flags=0):
    return archive(*(Entry(name, GOOD, flags=flags) for name in names))


def by_zipfile(method, comment=b"", **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as written:
        for name, data in (("a", GOOD), ("b", OTHER)):
            with written.open(name, "w", **options) as file:
                file.write(data)
        written.comment = comment
    return buffer.getvalue()


class Unseekable(io.RawIOBase):
    def __init__(self):
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        self.data += bytes(data)
        return len(data)


def streamed():
    """Sizes and checksums follow the payloads, as where the writer cannot go back."""
    sink = Unseekable()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("a", GOOD)
        written.writestr("b", OTHER)
    return sink.data


def widened(*, locator_at=None, record=True):
    """A zip whose end is told by zip64 records."""
    narrow = archive(Entry(b"a", GOOD), Entry(b"b", OTHER))
    at, end = narrow.index(b"PK\1\2"), narrow.index(b"PK\5\6")
    wide = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, end - at, at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end if locator_at is None else locator_at, 1)
    return narrow[:end] + (wide if record else b"") + locator + end_record(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def quoted(count):
    """Entries that all lie in the same bytes."""
    kernel = Entry(b"a", GOOD * 5)
    return (
        kernel.local
        + kernel.record(0) * count
        + end_record(count, len(kernel.record(0)) * count, len(kernel.local))
    )


WHOLE = archive(Entry(b"a", GOOD, DEFLATED), Entry(b"b", OTHER, DEFLATED))
DIRECTORY, END = WHOLE.index(b"PK\1\2"), WHOLE.index(b"PK\5\6")
LONG = b"n" * 10_000
PACKED = deflate(GOOD)
ZEROS = bytes(5 << 20)

ZIPS = {
    "zip: stored": case(".zip", by_zipfile(zipfile.ZIP_STORED), "a", "b"),
    "zip: deflated": case(".zip", by_zipfile(zipfile.ZIP_DEFLATED), "a", "b"),
    "zip: zip64 members": case(".zip", by_zipfile(zipfile.ZIP_DEFLATED, force_zip64=True), "a", "b"),
    "zip: zip64 end": case(".zip", widened(), "a", "b"),
    "zip: written as a stream": case(".zip", streamed, "a", "b"),
    "zip: behind a program": case(".zip", b"#!/bin/sh\n" * 99 + WHOLE, "a", "b"),
    "zip: comment like an end": case(".zip", by_zipfile(8, comment=b"PK\5\6" + bytes(40)), "a", "b"),
    "zip: garbage behind it": case(".zip", WHOLE + b"garbage", "a", "b"),
    "zip: no members": case(".zip", archive()),
    "zip: zero bytes": case(".zip", b"", BROKEN),
    "zip: text": case(".zip", b"no archive at all\n" * 99, BROKEN),
    "zip: cut in a local header": case(".zip", WHOLE[:20], BROKEN),
    "zip: cut in a payload": case(".zip", WHOLE[:90], BROKEN),
    "zip: cut before its directory": case(".zip", WHOLE[:DIRECTORY], BROKEN),
    "zip: cut in its directory": case(".zip", WHOLE[: DIRECTORY + 60], BROKEN),
    "zip: cut before its end": case(".zip", WHOLE[:END], BROKEN),
    "zip: cut in its end": case(".zip", WHOLE[: END + 15], BROKEN),
    "zip: cut in front": case(".zip", WHOLE[10:], BROKEN),
    "zip: without its zip64 record": case(".zip", widened(record=False), BROKEN),
    "zip: locator that points nowhere": case(".zip", widened(locator_at=1 << 62), "a", "b"),
    "zip: one of several disks": case(".zip", archive(Entry(b"a", GOOD), disk=1), BROKEN),
    "zip: directory longer than the file": case(".zip", archive(Entry(b"a", GOOD), length=9999), BROKEN),
    "zip: directory shorter than told": case(".zip", archive(Entry(b"a", GOOD), length=30), BROKEN),
    "zip: directory elsewhere": case(".zip", archive(Entry(b"a", GOOD), offset=9999), BROKEN),
    "zip: false number of records": case(".zip", archive(Entry(b"a", GOOD), records=77), "a"),
    "zip: broken record": case(".zip", WHOLE[:DIRECTORY] + b"XX" + WHOLE[DIRECTORY + 2 :], BROKEN),
    "zip: record with an endless name": case(
        ".zip", WHOLE[: DIRECTORY + 28] + b"\xff\xff" + WHOLE[DIRECTORY + 30 :], BROKEN
    ),
    "zip: encrypted": case(".zip", lying(flags=1), Reason.ENCRYPTED, "b"),
    "zip: strongly encrypted": case(".zip", lying(flags=0x41), Reason.ENCRYPTED, "b"),
    "zip: AES": case(".zip", lying(flags=1, method=99), Reason.ENCRYPTED, "b"),
    "zip: encrypted directory": case(".zip", lying(flags=0x2000), Reason.ENCRYPTED, "b"),
    "zip: patches": case(".zip", lying(flags=0x20), Reason.UNSUPPORTED, "b"),
    "zip: bzip2": case(
        ".zip", archive(Entry(b"a", bz2.compress(GOOD), 12), Entry(b"b", OTHER)), Reason.UNSUPPORTED, "b"
    ),
    "zip: every other method": case(
        ".zip",
        archive(*(Entry(b"a", GOOD, method) for method in (1, 2, 5, 6, 9, 10, 14, 93, 95, 97, 98, 0xFFFF))),
        *[Reason.UNSUPPORTED] * 12,
    ),
    "zip: bad checksum": case(".zip", lying(crc=1), CORRUPT, "b"),
    "zip: bad checksum, stored": case(".zip", lying(STORED, crc=1), CORRUPT, "b"),
    "zip: no local header": case(".zip", lying(signature=b"XXXX"), CORRUPT, "b"),
    "zip: offset beyond the file": case(".zip", lying(shift=1 << 30), CORRUPT, "b"),
    "zip: offset into a payload": case(".zip", lying(shift=20), CORRUPT, "b"),
    "zip: size too small": case(".zip", lying(size=10), CORRUPT, "b"),
    "zip: size too large": case(".zip", lying(size=len(GOOD) + 10), CORRUPT, "b"),
    "zip: size of nothing": case(".zip", lying(size=0), CORRUPT, "b"),
    "zip: packed size too small": case(".zip", lying(packed=10), CORRUPT, "b"),
    "zip: packed size too large": case(".zip", lying(packed=len(PACKED) + 9), "a", "b"),
    "zip: packed size beyond the file": case(".zip", lying(packed=1 << 30), CORRUPT, "b"),
    "zip: stored in two sizes": case(".zip", lying(STORED, packed=10), CORRUPT, "b"),
    "zip: stored size too large": case(
        ".zip", lying(STORED, size=len(GOOD) + 9, packed=len(GOOD) + 9), CORRUPT, "b"
    ),
    "zip: local size lies": case(".zip", lying(local_size=1), "a", "b"),
    "zip: local name differs": case(".zip", lying(local_name=b"elsewhere"), "a", "b"),
    "zip: local extra field": case(".zip", lying(local_extra=bytes(60)), "a", "b"),
    "zip: zip64 without its field": case(".zip", lying(size=0xFFFFFFFF), TOO_LARGE, "b"),
    "zip: zip64 field that lies": case(
        ".zip",
        lying(size=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 8, 1 << 63)),
        CORRUPT,
        "b",
    ),
    "zip: extra field of a false length": case(
        ".zip", lying(size=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 999, 5)), CORRUPT, "b"
    ),
    "zip: deflate without end": case(".zip", lying(data=b"hello", raw=b"\0\5\0\xfa\xffhello"), CORRUPT, "b"),
    "zip: bomb": case(".zip", lambda: lying(data=ZEROS), TOO_LARGE, "b"),
    "zip: bomb under the limit of bytes": case(".zip", lambda: lying(data=ZEROS[: 3 << 20]), TOO_LARGE, "b"),
    "zip: bomb that lies": case(".zip", lambda: lying(data=ZEROS, size=100), CORRUPT, "b"),
    "zip: blank but small": case(".zip", lambda: lying(data=ZEROS[: 1 << 20]), Reason.NOT_AN_IMAGE, "b"),
    "zip: members in each other": case(".zip", quoted(40), BROKEN),
    "zip: two records of one member": case(
        ".zip",
        archive(
            Entry(b"a", GOOD),
            Entry(b"b", OTHER),
            Entry(b"c", GOOD, shift=-len(Entry(b"a", GOOD).local + Entry(b"b", OTHER).local)),
        ),
        "a",
        "b",
        "c",
    ),
    "zip: symbolic link": case(".zip", lying(mode=0o120777), Reason.NOT_A_FILE, "b"),
    "zip: pipe": case(".zip", lying(mode=0o010644), Reason.NOT_A_FILE, "b"),
    "zip: device": case(".zip", lying(mode=0o020644), Reason.NOT_A_FILE, "b"),
    "zip: folders": case(".zip", archive(Entry(b"f/", b""), Entry(b"w\\", b""), Entry(b"f/a", GOOD)), "f/a"),
    "zip: absolute names": case(
        ".zip", named(b"/outside/a", b"C:\\a", b"//host/a"), "/outside/a", "C:\\a", "//host/a"
    ),
    "zip: names that climb": case(".zip", named(b"../../a", b"x/..\\..\\a"), "../../a", "x/..\\..\\a"),
    "zip: NUL in a name": case(".zip", named(b"a.jpg\0.exe"), "a.jpg\0.exe"),
    "zip: no name": case(".zip", named(b""), ""),
    "zip: old names": case(".zip", named(b"gr\x81n"), "grün"),
    "zip: names that are no UTF-8 and say they are": case(".zip", named(b"caf\xe9", flags=0x800), "caf\\xe9"),
    "zip: 10,000 characters": case(".zip", named(LONG), LONG.decode()),
    "zip: duplicates": case(".zip", named(b"a", b"a", b"A"), "a", "a", "A"),
    "zip: nested zip": case(".zip", lying(data=WHOLE), Reason.NESTED_ARCHIVE, "b"),
    "zip: junk": case(".zip", named(b"__MACOSX/a"), Row("__MACOSX/a", Reason.ARCHIVE_JUNK)),
    "zip: more members than may be": case(
        ".zip", lambda: named(*[b"a"] * (MAX_MEMBERS + 3)), *("a" * MAX_MEMBERS), ("", TOO_LARGE)
    ),
}
