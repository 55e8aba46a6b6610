"""The job ``explain``: goes through the judgement of one row once more, from its image, stage by stage."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds
from skimage.transform import resize

from dice_core.bank import Bank
from dice_core.decode import decode
from dice_core.rows import SCHEMA, Reason, Status
from dice_core.score import Scorer
from dice_core.stages import Stages
from jobs import corrections, decisions, parquet, pictures, storage
from jobs.errors import Refusal
from jobs.evaluate import open_rows, read_model
from jobs.originals import Gone, Originals
from jobs.reader import Limits
from jobs.rows import SCORES

SIDE = 256
"""Pixels of the longer side of each panel: smaller ones are enlarged."""
CLOSE = 1e-4
"""Relative difference that another processor may make."""

_FACES_TOLD = 3
_MATCHES_TOLD = 10


@dataclass(frozen=True)
class Explained:
    """What was found.

    Attributes
    ----------
    lines
        The stages, a line each.
    picture
        The panels side by side as PNG; None where the image has no scores.
    agrees
        Whether the row is what its image gives.
    """

    lines: tuple[str, ...]
    picture: bytes | None
    agrees: bool


def explain(out: str, archive: str, member: str, source_roots: tuple[str, ...] = ()) -> Explained:
    """Make one row anew from its image.

    Parameters
    ----------
    out
        The job folder.
    archive
        The archive as the rows name it, or the end of that, such as ``lot1.tar``.
    member
        The member's name, or its index.
    source_roots
        ``PREFIX=NAME`` each: where archives are now that are not where they were scored.

    Raises
    ------
    Refusal
        Where there is no such row, there are several, or its image is not to be had.
    """
    bank = read_model(out)
    row = _find(out, archive, member)
    content = Originals(out, source_roots).read([row])[0] if row["content_hash"] else Gone("it has no bytes")
    place = [f"row: {row['archive']} [{row['index']}] {row['member']}"]
    if isinstance(content, Gone):
        if row["status"] == Status.OK.value:
            raise Refusal(f"{content.why}: name where its archive is now with --source-root PREFIX=NAME")
        return Explained(
            (*place, f"status: {row['status']}, {row['reason']}: {content.why}"), None, agrees=True
        )
    place.append(f"bytes: {len(content):,}, and their hash is that of the row")
    image = decode(content, Limits().max_pixels)
    if not isinstance(image, Reason) and image.shape != bank.image_size:
        image = Reason.WRONG_SIZE
    if isinstance(image, Reason):
        return Explained(
            (*place, f"decoded: no: {image.value}; the row says {row['reason']}"),
            None,
            agrees=row["reason"] == image.value,
        )
    scorer = Scorer(bank)
    stages = scorer.stages(image[None])
    columns = scorer.score(image[None])
    made = {name: columns[name][0] for name in SCORES}
    compared = [_compare(name, row[name], made[name]) for name in SCORES]
    lines = [
        *place,
        f"decoded: {image.shape[1]} x {image.shape[0]} px",
        *_stages(stages, bank),
        *(line for line, _ in compared),
        *_verdict(out, row, bank),
    ]
    agrees = all(equal for _, equal in compared)
    lines.append(f"the row is {'' if agrees else 'NOT '}what its image gives")
    return Explained(tuple(lines), _picture(image, stages, row), agrees)


def _find(out: str, archive: str, member: str) -> dict[str, Any]:
    """Find the one row that is meant."""
    rows = open_rows(out)
    columns = [name for name in SCHEMA.names if not pa.types.is_nested(SCHEMA.field(name).type)]
    where = ds.field("member") == member
    if member.isdecimal():
        where |= ds.field("index") == int(member)
    try:
        batches = parquet.scan(rows, columns, where)
        named = [row for batch in batches for row in batch.to_pylist() if _ends(row["archive"], archive)]
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{out}: {error}: verify names the parts that are damaged") from error
    # A name counts before a number.
    found = [row for row in named if row["member"] == member] or named
    shown = f"{storage.told(archive)} {member}"
    if not found:
        raise Refusal(f"{shown}: no such row in {out}: query lists archive, index and member")
    if len(found) > 1:
        places = ", ".join(f"{row['archive']} {row['index']}" for row in found[:_MATCHES_TOLD])
        raise Refusal(f"{shown}: {len(found):,} rows: name one by archive and index: {places}")
    return dict(found[0])


def _ends(name: str, wanted: str) -> bool:
    return f"/{name}".endswith(f"/{wanted.lstrip('/')}")


def _stages(stages: Stages, bank: Bank) -> Iterator[str]:
    similarity = stages.similarity[0]
    best = np.argsort(-similarity, kind="stable")[:_FACES_TOLD]
    told = ", ".join(f"{bank.faces[at].name} {similarity[at]:.4f}" for at in best)
    yield f"faces by NCC: {told}; the floor is {bank.ncc_floor:.4f}"
    yield f"light: multiplied by {stages.gain[0]:.4f}"
    yield f"pose: {_pose(stages.transforms[0])}"
    beyond = np.abs(stages.evidence[0]) >= 1
    yield f"beyond the model's threshold: {np.count_nonzero(beyond):,} px"


def _pose(transform: npt.NDArray[np.float32]) -> str:
    """Tell where a part lies: its shift, turn and size against the target's."""
    linear, shift = transform[:, :2].astype(float), transform[:, 2]
    turn = math.degrees(math.atan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
    scale = math.sqrt(abs(float(np.linalg.det(linear))))
    moved = f"{shift[0]:+.2f} px across, {shift[1]:+.2f} px down"
    return f"{moved}, turned {turn:+.2f} degrees, {scale:.4f} as large"


def _compare(name: str, was: Any, made: Any) -> tuple[str, bool]:
    """Hold a column of the row against what its image gives now."""
    value = made.item() if isinstance(made, np.generic) else made
    if isinstance(value, float) and isinstance(was, float):
        equal = math.isclose(was, value, rel_tol=CLOSE, abs_tol=CLOSE)
        return f"{name}: {was:.6g}" + ("" if equal else f", NOW {value:.6g}"), equal
    equal = was == value
    return f"{name}: {was}" + ("" if equal else f", NOW {value}"), equal


def _verdict(out: str, row: Mapping[str, Any], bank: Bank) -> Iterator[str]:
    """Tell of the thresholds in force, and of what people said."""
    at = [face.name for face in bank.faces].index(row["face"])
    decision = decisions.read(out)
    limits = decisions.limits_of(decision, bank)
    by = "the model" if decision is None else f"decision {decision.number} ({decision.policy})"
    ratio = row["defect_score"] / limits.faces[at] if limits.faces[at] else math.inf
    yield f"threshold: {limits.faces[at]:.4g} by {by}; the score is {ratio:.3f} times that"
    label = corrections.read(out).labels.get(row["content_hash"])
    yield f"label: {row['label']}" + ("" if label is None else f", corrected to {label}")


def _picture(image: npt.NDArray[np.uint8], stages: Stages, row: Mapping[str, Any]) -> bytes:
    panels = pictures.panels(image, stages, 0, row, SIDE)
    times = max(1, SIDE // max(panels[0].shape[:2]))
    shape = (panels[0].shape[0] * times, panels[0].shape[1] * times)
    large = [
        resize(panel, shape, order=0, preserve_range=True, anti_aliasing=False).astype(np.uint8)
        for panel in panels
    ]
    return pictures.encode(pictures.beside(large), ".png")
