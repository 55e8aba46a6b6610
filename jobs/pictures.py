"""Pictures of what an image was judged by: itself, its template, their difference, what of it is beyond."""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

import imageio.v3 as imageio
import numpy as np
import numpy.typing as npt
from skimage.transform import resize

from dice_core.bank import Bank
from dice_core.decode import decode
from dice_core.rows import Reason
from dice_core.score import Scorer
from dice_core.stages import Stages
from jobs.maps import BRIGHT, DARK, paint
from jobs.originals import Gone
from jobs.reader import Limits

PANELS = ("photograph", "rebuilt template", "difference", "beyond the threshold")
"""In this order."""

BOX = ("defect_x", "defect_y", "defect_width", "defect_height")

_PAPER = 235
"""Grey that a difference is painted on."""
_FULL_DIFFERENCE = 32.0
"""Grey levels of difference that are painted as evidence at the threshold is."""
_FRAME = (255, 200, 0)
_AT_ONCE = 1 << 21
"""Pixels that are gone through at once."""

Picture = npt.NDArray[np.uint8]


def draw(
    bank: Bank, contents: Sequence[bytes | Gone], rows: Sequence[Mapping[str, Any]], side: int
) -> Iterator[tuple[Picture, ...] | Gone]:
    """Draw the panels of each image whose bytes are there, as `PANELS` has them, or tell why there are none.

    Parameters
    ----------
    bank
        What judged them.
    contents
        The bytes of each.
    rows
        The row of each, with the columns of `BOX`.
    side
        Pixels of the longer side that larger pictures are reduced to.
    """
    scorer = Scorer(bank)
    at_once = max(1, _AT_ONCE // (bank.image_size[0] * bank.image_size[1]))
    for start in range(0, len(rows), at_once):
        decoded = [_decoded(content, bank) for content in contents[start : start + at_once]]
        there = [image for image in decoded if not isinstance(image, Gone)]
        stages = scorer.stages(np.stack(there)) if there else None
        at = 0
        for image, row in zip(decoded, rows[start : start + at_once], strict=True):
            if isinstance(image, Gone) or stages is None:
                yield image if isinstance(image, Gone) else Gone("")
                continue
            yield panels(image, stages, at, row, side)
            at += 1


def _decoded(content: bytes | Gone, bank: Bank) -> Picture | Gone:
    if isinstance(content, Gone):
        return content
    image = decode(content, Limits().max_pixels)
    if isinstance(image, Reason):
        return Gone(image.value)
    return image if image.shape == bank.image_size else Gone(Reason.WRONG_SIZE.value)


def panels(image: Picture, stages: Stages, at: int, row: Mapping[str, Any], side: int) -> tuple[Picture, ...]:
    """Draw one image, (H, W), from the stages numbered `at`: RGB, uint8 (h, w, 3), the longer side `side`."""
    share = min(1.0, side / max(image.shape))
    size = max(1, round(image.shape[0] * share)), max(1, round(image.shape[1] * share))

    def scaled(shown: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        as_float = shown.astype(np.float32)
        if size == image.shape:
            return as_float
        return np.asarray(resize(as_float, size, anti_aliasing=True, preserve_range=True), np.float32)

    photograph = np.rint(np.clip(scaled(image), 0, 255)).astype(np.uint8)
    rebuilt = np.rint(np.clip(scaled(stages.rebuilt[at]), 0, 255)).astype(np.uint8)
    difference = scaled(stages.difference[at]) / _FULL_DIFFERENCE
    beyond = _colour(photograph // 2 + 64, scaled(stages.evidence[at]))
    _frame(beyond, [round(row[name] * share) for name in BOX])
    return _grey(photograph), _grey(rebuilt), paint(np.full(size, _PAPER, np.uint8), difference), beyond


def _grey(image: Picture) -> Picture:
    return np.repeat(image[..., None], 3, axis=2)


def _colour(image: Picture, evidence: npt.NDArray[np.float32]) -> Picture:
    """Fill what is beyond the threshold: blue where too dark, red where too bright."""
    coloured = _grey(image)
    coloured[evidence <= -1] = DARK
    coloured[evidence >= 1] = BRIGHT
    return coloured


def _frame(picture: Picture, box: Sequence[int]) -> None:
    """Draw a box, x, y, width and height, one pixel around what it holds where there is room."""
    height, width = picture.shape[:2]
    left, top = max(box[0] - 1, 0), max(box[1] - 1, 0)
    right, bottom = min(box[0] + box[2], width - 1), min(box[1] + box[3], height - 1)
    picture[top : bottom + 1, [left, right]] = _FRAME
    picture[[top, bottom], left : right + 1] = _FRAME


def beside(pictures: Sequence[Picture], gap: int = 4) -> Picture:
    """Lay pictures of one size side by side."""
    white = np.full((pictures[0].shape[0], gap, 3), 255, np.uint8)
    laid = [piece for picture in pictures for piece in (white, picture)]
    return np.concatenate(laid[1:], axis=1)


def encode(picture: Picture, extension: str = ".jpeg") -> bytes:
    """Write a picture as JPEG or PNG, by its extension."""
    stream = BytesIO()
    options: dict[str, Any] = {"quality": 80} if extension == ".jpeg" else {}
    imageio.imwrite(stream, picture, extension=extension, **options)
    return stream.getvalue()
