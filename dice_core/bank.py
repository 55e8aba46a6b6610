"""The template bank: what fitting leaves behind and scoring needs, as one file of plain arrays."""

import io
import json
import math
import tokenize
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from dice_core.expectation import Expectation
from dice_core.exposure import Exposure
from dice_core.face import Face
from dice_core.grid import Grid
from dice_core.policy import Policy
from dice_core.reference import Reference
from dice_core.rows import SCORE_DIRECTIONS

FORMAT = "dice-inspect template bank"
VERSION = 3
LARGEST = 1 << 36
"""Bytes of arrays beyond which a file is not taken for a bank."""
LONGEST_HEADER = 256
"""Characters of a plain array's npy header; it is a Python literal, and deep ones exhaust the parser."""


_FACE_ARRAYS = ("mean", "part", "target", "centre", "components", "spread_dark", "spread_bright")


@dataclass(frozen=True)
class Bank:
    """All that scoring needs.

    Attributes
    ----------
    image_size
        Height and width of the photographs, pixels.
    size
        Height and width they are worked on in, pixels.
    faces
        The classes of good parts, at least one.
    anomaly_labels
        Names of folders that hold defective parts.
    ncc_floor
        Best-face NCC under which an image shows no part the bank knows.
    thresholds
        Per score column, the value at or beyond which an image is an anomaly.
    taught
        Content hashes of every image, good or bad, that had a part in bank or thresholds.
    face_thresholds
        Per face that has its own, its thresholds per score column; the others go by `thresholds`.
    expected
        Per score column, what the thresholds will do to images like those that taught.
    policy
        What the thresholds were chosen for.
    prevalence
        Share of defective parts they were chosen for; None where none was told.
    reference
        Where the scores of good parts lie, for lots to be compared with; None where nobody knows.
    """

    image_size: tuple[int, int]
    size: tuple[int, int]
    faces: tuple[Face, ...]
    anomaly_labels: tuple[str, ...]
    ncc_floor: float
    thresholds: Mapping[str, float]
    taught: frozenset[str]
    face_thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    expected: Mapping[str, Expectation] = field(default_factory=dict)
    policy: str = "f1"
    prevalence: float | None = None
    reference: Reference | None = None

    def limits(self, column: str) -> npt.NDArray[np.float64]:
        """Give the threshold of a score column for each face, (F,), in their order."""
        own = (self.face_thresholds.get(face.name, {}) for face in self.faces)
        return np.array([thresholds.get(column, self.thresholds[column]) for thresholds in own])

    def write(self, stream: IO[bytes]) -> None:
        """Write the bank as an npz archive; equal banks give equal bytes."""
        head = {
            "format": FORMAT,
            "version": VERSION,
            "image_size": self.image_size,
            "size": self.size,
            "anomaly_labels": self.anomaly_labels,
            "ncc_floor": self.ncc_floor,
            "thresholds": dict(sorted(self.thresholds.items())),
            "face_thresholds": {
                face: dict(sorted(own.items())) for face, own in sorted(self.face_thresholds.items())
            },
            "expected": {column: found.told() for column, found in sorted(self.expected.items())},
            "policy": self.policy,
            "prevalence": self.prevalence,
            "reference": self.reference.told() if self.reference else None,
            "faces": [
                {
                    "name": face.name,
                    "images": face.images,
                    "level": face.exposure.level,
                    "ceiling": face.exposure.ceiling,
                }
                for face in self.faces
            ],
        }
        arrays: dict[str, npt.NDArray[Any]] = {
            "head": np.frombuffer(json.dumps(head).encode(), np.uint8),
            "taught": np.frombuffer(bytes.fromhex("".join(sorted(self.taught))), np.uint8),
        }
        for number, face in enumerate(self.faces):
            arrays |= {f"{name}_{number}": np.ascontiguousarray(getattr(face, name)) for name in _FACE_ARRAYS}
        np.savez(stream, allow_pickle=False, **arrays)

    @classmethod
    def read(cls, stream: IO[bytes]) -> "Bank":
        """Read what `write` wrote.

        Raises
        ------
        ValueError
            Where the stream holds no bank, or one of another version.
        """
        try:
            arrays = _read_arrays(stream)
            head = json.loads(arrays["head"].tobytes())
            _check_head(head)
            taught = arrays["taught"].tobytes().hex()
            return cls(
                image_size=tuple(head["image_size"]),
                size=tuple(head["size"]),
                faces=tuple(
                    _face(number, facts, arrays, tuple(head["size"]))
                    for number, facts in enumerate(head["faces"])
                ),
                anomaly_labels=tuple(head["anomaly_labels"]),
                ncc_floor=float(head["ncc_floor"]),
                thresholds={str(column): float(value) for column, value in head["thresholds"].items()},
                taught=frozenset(taught[at : at + 32] for at in range(0, len(taught), 32)),
                **_optional(head),
            )
        except KeyError as error:
            raise ValueError(f"no template bank: it has no {error}") from error
        except _NO_BANK as error:
            raise ValueError(f"no template bank: {error}") from error
        except ValueError as error:
            raise ValueError(f"no template bank this program reads: {error}") from error


_NO_BANK = (
    zipfile.BadZipFile,
    json.JSONDecodeError,
    tokenize.TokenError,  # as SyntaxError: of an npy header
    SyntaxError,
    AttributeError,
    IndexError,
    TypeError,
    EOFError,
    OverflowError,
    RuntimeError,  # of an encrypted member, a method zipfile lacks, a head nested too deeply
)
"""What the readers beneath raise, besides ValueError and KeyError, on bytes that are no bank."""


def _check_head(head: Mapping[str, Any]) -> None:
    if head["format"] != FORMAT:
        raise ValueError(f"its format is {head['format']!r}")
    if head["version"] != VERSION:
        raise ValueError(
            f"it is of version {head['version']}, this program reads version {VERSION}: fit again"
        )
    for name in ("image_size", "size"):
        if len(head[name]) != 2 or not all(isinstance(side, int) and side > 0 for side in head[name]):  # noqa: PLR2004
            raise ValueError(f"its {name} is {head[name]}")
    if not head["faces"]:
        raise ValueError("it has no face")
    if not set(SCORE_DIRECTIONS) <= set(head["thresholds"]):
        raise ValueError("it lacks a threshold")
    if any(math.isnan(number) for number in (head["ncc_floor"], *head["thresholds"].values())):
        raise ValueError("a threshold is not a number")
    names = [face["name"] for face in head["faces"]]
    labels = head["anomaly_labels"]
    if not isinstance(labels, list) or not all(isinstance(name, str) for name in (*names, *labels)):
        raise ValueError("a label is no text")
    if len({*names, *labels}) < len(names) + len(labels):
        raise ValueError("a label stands for two things")


def _optional(head: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a bank may do without."""
    names = {face["name"]: None for face in head["faces"]}
    face_thresholds = {
        face: {column: float(value) for column, value in own.items()}
        for face, own in head["face_thresholds"].items()
    }
    expected, prevalence, reference = head["expected"], head["prevalence"], head["reference"]
    columns = {column for own in (*face_thresholds.values(), expected) for column in own}
    if not (face_thresholds.keys() <= names.keys() and columns <= set(SCORE_DIRECTIONS)):
        raise ValueError("a threshold or an expectation is of no face or column")
    if any(math.isnan(value) for own in face_thresholds.values() for value in own.values()):
        raise ValueError("a threshold of a face is not a number")
    if prevalence is not None and not 0 < prevalence < 1:
        raise ValueError(f"its prevalence is {prevalence}")
    return {
        "face_thresholds": face_thresholds,
        "expected": {column: Expectation.read(told) for column, told in expected.items()},
        "policy": str(Policy.parse(head["policy"])),
        "prevalence": prevalence,
        "reference": None if reference is None else Reference.read(reference, tuple(names)),
    }


def _face(
    number: int, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], size: tuple[int, int]
) -> Face:
    own = {name: arrays[f"{name}_{number}"] for name in _FACE_ARRAYS}
    grid = Grid.of(size).shape
    expected: dict[str, tuple[int, int]] = {
        **dict.fromkeys(_FACE_ARRAYS, grid),
        "mean": size,
        "components": (len(own["components"]), grid[0] * grid[1]),
    }
    for name, array in own.items():
        if array.shape != expected[name]:
            raise ValueError(f"{name}_{number} has the shape {array.shape}, not {expected[name]}")
        if array.dtype != (np.bool_ if name == "part" else np.float32):
            raise ValueError(f"{name}_{number} is of {array.dtype}")
        if not np.isfinite(array).all() or (name.startswith("spread") and array.min() <= 0):
            raise ValueError(f"{name}_{number} holds a value that cannot be")
    if np.abs(own["components"]).max(initial=0) > 1 + 1e-3:
        raise ValueError(f"components_{number} are not of unit length")
    if not (math.isfinite(facts["level"]) and 0 < facts["ceiling"] < math.inf):
        raise ValueError(f"the exposure of face {number} is {facts['level']}, {facts['ceiling']}")
    return Face(
        name=str(facts["name"]),
        images=int(facts["images"]),
        exposure=Exposure(level=float(facts["level"]), ceiling=float(facts["ceiling"])),
        **own,
    )


def _read_arrays(stream: IO[bytes]) -> dict[str, npt.NDArray[Any]]:
    """Read an npz whose arrays are as large as they claim; numpy would allocate first and look later."""
    arrays = {}
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        limit = min(LARGEST, stream.seek(0, io.SEEK_END))
        if sum(entry.file_size for entry in entries) > limit:
            raise ValueError(f"it claims more than {limit} bytes")
        if any(entry.header_offset < 0 for entry in entries):
            raise ValueError("a member begins before the file does")
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{entry.filename} is compressed")
            with archive.open(entry) as member:
                version = npy.read_magic(member)
                if version != (1, 0):
                    raise ValueError(f"{entry.filename} is of npy version {version}")
                shape, fortran, dtype = npy.read_array_header_1_0(member, LONGEST_HEADER)
                wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
                if fortran or dtype.hasobject or not 0 <= wanted <= entry.file_size:
                    raise ValueError(f"{entry.filename} is not a plain array")
                arrays[entry.filename.removesuffix(".npy")] = np.frombuffer(
                    member.read(wanted), dtype
                ).reshape(shape)
    return arrays
