"""The row: one per member of an archive, as an Arrow schema with a version, and the words it may hold."""

from enum import StrEnum

import pyarrow as pa

SCHEMA_VERSION = 2


class Status(StrEnum):
    """What became of a member."""

    OK = "ok"
    REJECTED = "rejected"
    IGNORED = "ignored"


class Reason(StrEnum):
    """Why a member has no scores: the whole vocabulary of the column ``reason``."""

    ARCHIVE_JUNK = "archive_junk"
    """What operating systems leave in archives; the only reason of ignored rows."""
    NOT_AN_IMAGE = "not_an_image"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    """An image or a compressed member whose content contradicts itself."""
    UNSUPPORTED = "unsupported"
    """An image, or a member's compression, that this program does not read."""
    TOO_LARGE = "too_large"
    """More bytes or pixels than the limits allow, by its header."""
    WRONG_SIZE = "wrong_size"
    """An image whose width and height are not those the model was taught with."""
    NOT_A_FILE = "not_a_file"
    """A link, a device or a sparse file."""
    ENCRYPTED = "encrypted"
    NESTED_ARCHIVE = "nested_archive"
    BROKEN_ARCHIVE = "broken_archive"
    """Where the container itself ends or contradicts itself: the last row of its archive."""
    KILLED_WORKER = "killed_worker"
    """An image that ended the process that scored it, alone, three times: by a crash, for lack of memory, or
    because it hung."""


class Verdict(StrEnum):
    """What an image was taken for."""

    GOOD = "good"
    ANOMALY = "anomaly"
    UNKNOWN_PART = "unknown_part"


SCORE_DIRECTIONS = {
    "defect_score": 1,
    "ssim_rebuilt": -1,
    "ssim_low": -1,
    "ssim": -1,
    "ncc": -1,
    "ncc_margin": -1,
}
"""Every column that can separate good from defective; +1 where the higher value is the worse part."""

SCHEMA = pa.schema(
    [
        pa.field("archive", pa.string(), nullable=False),
        pa.field("index", pa.int64(), nullable=False),
        pa.field("member", pa.string(), nullable=False),
        pa.field("folder", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("lot", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("content_hash", pa.string()),
        pa.field("face", pa.string()),
        pa.field("ncc", pa.float32()),
        pa.field("ncc_margin", pa.float32()),
        pa.field("ssim", pa.float32()),
        pa.field("ssim_rebuilt", pa.float32()),
        pa.field("ssim_low", pa.float32()),
        pa.field("defect_score", pa.float32()),
        pa.field("defect_peak_x", pa.int32()),
        pa.field("defect_peak_y", pa.int32()),
        pa.field("defect_x", pa.int32()),
        pa.field("defect_y", pa.int32()),
        pa.field("defect_width", pa.int32()),
        pa.field("defect_height", pa.int32()),
        pa.field("defect_area", pa.int32()),
        pa.field("defect_regions", pa.int32()),
        pa.field("defect_dark", pa.int32()),
        pa.field("defect_bright", pa.int32()),
        pa.field("verdict", pa.string()),
        pa.field("ncc_shifted", pa.list_(pa.float32())),
        pa.field("shift_x", pa.list_(pa.int32())),
        pa.field("shift_y", pa.list_(pa.int32())),
        pa.field("ssim_faces", pa.list_(pa.float32())),
    ]
)
"""The columns of a row. Sizes and offsets in bytes, boxes and areas in pixels of the stored photograph.

Lists have one value for each face, in the order of the model; they are null unless everything is compared.
"""
