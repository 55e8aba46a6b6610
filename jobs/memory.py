"""What a task needs of a worker's memory, computed from the settings before anything is submitted."""

from jobs.partfile import ROW_GROUP_BYTES
from jobs.ranges import BLOCK, HELD
from jobs.reader import Limits
from jobs.rows import NAMES, batch_of

PROCESS = 320 << 20
"""Bytes of a worker process with all that it imports and compiles, as measured on Linux."""

BYTES_PER_PIXEL = 8
"""Of a batch that is scored: its pixels, and the most that is computed of them at once."""

BYTES_PER_ROW = 2048
"""Of a shard's rows while they are collected and written."""

ROWS_HELD = 3 * ROW_GROUP_BYTES + 16 * NAMES
"""Of a row group while it is written, and of long names, which are there as text, as columns and encoded."""

_MIB = 1 << 20


READ_AHEAD = (HELD + 1) * BLOCK
"""Of what a task reads from a store."""


def needed(
    size: tuple[int, int],
    model_bytes: int,
    limits: Limits,
    shard_size: int,
    threads: int = 1,
    *,
    remote: bool = False,
) -> int:
    """Compute the bytes that a worker needs to score.

    An image that is much larger than the model's may need more for itself than this leaves; it is that
    image that is lost then, to a row.

    Parameters
    ----------
    size
        Height and width of the model's images, in pixels.
    model_bytes
        Bytes of the model, which a process holds once, and twice while it reads it.
    threads
        Tasks that a worker runs at once.
    remote
        Whether they read from a store.
    """
    batch = batch_of(size) * size[0] * size[1] * BYTES_PER_PIXEL
    task = batch + limits.max_bytes + shard_size * BYTES_PER_ROW + ROWS_HELD + remote * READ_AHEAD
    return PROCESS + 2 * model_bytes + threads * task


def told(size: int) -> str:
    """Write a number of bytes for people."""
    return f"{size / _MIB:,.0f} MiB"
