"""The job ``report``: what a job found, as one HTML file that needs nothing else and reaches for nothing."""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from typing import Any

import numpy as np
import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dice_core.threshold import Sweep
from jobs import (
    caveats,
    corrections,
    decisions,
    gallery,
    pictures,
    plots,
    report_figures,
    report_tables,
    storage,
)
from jobs.errors import Refusal
from jobs.evaluate import evaluate, open_rows, read_model
from jobs.gallery import Why
from jobs.originals import PLACE, Gone, Originals
from jobs.report_made import InForce, made
from jobs.scanned import BAD, UNLABELLED, Scanned, fetch, scan
from jobs.text import minute, plain, utc

GALLERY = 24
"""Images of each kind."""
MOST_GALLERY = 500

SIDE = 192
"""Pixels of the longer side of a thumbnail, at most."""

_ROW = (*PLACE, "label", "lot", "face", "verdict", "defect_score", "ncc", "ssim_rebuilt", *pictures.BOX)
_PIECES = re.compile(r"[^/\\_.-]*[/\\_.-]*")
_MARK = b"<!doctype html>\n<!-- dice-inspect report -->\n"


@dataclass(frozen=True)
class ReportSettings:
    """What a report is asked for.

    Raises
    ------
    Refusal
        Naming the first value that is not taken.
    """

    job: str
    out: str
    gallery: int = GALLERY
    source_roots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.gallery <= MOST_GALLERY:
            raise Refusal(f"--gallery {self.gallery}: give a number of images from 0 to {MOST_GALLERY}")
        job, out = storage.absolute(self.job), storage.absolute(self.out)
        if f"{out}/".startswith(f"{job}/"):
            raise Refusal(f"--out {self.out}: is or lies in the job folder: name a file outside it")
        if storage.is_folder(out):
            raise Refusal(f"--out {self.out}: is a folder: name a file in it")
        if storage.exists(out):
            with storage.open_read(out) as file:
                if file.read(len(_MARK)) != _MARK:
                    raise Refusal(f"--out {self.out}: exists and is no report: name another file")


@dataclass(frozen=True)
class Reported:
    """What a report came to: its bytes, the images it shows, and how many of these are not to be had."""

    size: int
    images: int
    gone: int


def report(settings: ReportSettings, now: float) -> Reported:
    """Write a report.

    Parameters
    ----------
    now
        Seconds since 1970, for the report to say when it was made.

    Raises
    ------
    Refusal
        Where there is no job in the folder, a part of it is damaged, or the file cannot be written.
    """
    storage.check_parent(settings.out, f"--out {settings.out}")
    bank = read_model(settings.job)
    evaluation = evaluate(settings.job, decided=True)
    rows = open_rows(settings.job)
    decision, corrected = decisions.read(settings.job), corrections.read(settings.job, bank)
    limits = decisions.limits_of(decision, bank)
    in_force = InForce(decision, limits, corrected)
    try:
        scanned = scan(rows, bank, corrected)
        called, ratio = gallery.called(scanned, limits.faces), gallery.ratios(scanned, limits.faces)
        chosen = gallery.choose(scanned, called, ratio, settings.gallery)
        found = fetch(rows, scanned, np.array(list(chosen), np.int64), _ROW)
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{settings.job}: {error}: verify names the parts that are damaged") from error
    contents = Originals(settings.job, settings.source_roots).read(found)
    shown = pictures.draw(bank, contents, found, SIDE)
    entries = list(_entries(scanned, called, ratio, chosen, zip(found, shown, strict=True)))
    lots, lots_in_all = report_tables.lot_lines(scanned, called, ratio, evaluation)
    content = _render(
        evaluation=evaluation,
        incomplete=caveats.incomplete(evaluation["missing"]),
        title=storage.absolute(settings.job).rstrip("/").rpartition("/")[2] or settings.job,
        written=minute(utc(now)),
        in_force=in_force.lines(bank),
        headline=report_figures.headline(evaluation),
        counts=report_figures.counts(scanned, called, evaluation),
        limit=limits.threshold,
        histogram=plots.histogram(report_tables.classes(scanned, slice(None)), limits.threshold)
        if len(scanned.score)
        else None,
        curve=_curve(scanned, ratio),
        faces=report_tables.face_lines(scanned, called, ratio, bank, limits.faces, evaluation),
        lots=lots,
        lots_in_all=lots_in_all,
        entries=entries,
        kinds=_kinds(scanned, called, chosen),
        images=len(scanned.score),
        reasons=report_figures.reasons(scanned),
        rejects=scanned.rejects,
        made=made(settings.job, bank, in_force, now),
    )
    try:
        storage.write(settings.out, content)
    except OSError as error:
        raise Refusal(f"--out {settings.out}: {error.strerror or error}: name a file to write") from error
    return Reported(len(content), len(entries), sum(entry["gone"] is not None for entry in entries))


def _entries(
    scanned: Scanned, called: Any, ratio: Any, chosen: Mapping[int, list[Why]], shown: Any
) -> Iterator[dict[str, Any]]:
    """Tell of each image of the gallery."""
    verdicts = {False: "good", True: "anomaly"}
    for (at, reasons), (row, panels) in zip(chosen.items(), shown, strict=True):
        truth = int(scanned.truth[at])
        unknown = bool(scanned.unknown[at])
        yield {
            **row,
            "why": reasons,
            "verdict": "unknown_part" if unknown else verdicts[bool(called[at])],
            "truth": None if truth == UNLABELLED else "defective" if truth == BAD else "good",
            "ratio": float(ratio[at]),
            "distance": abs(float(np.log(ratio[at]))),
            "gone": panels.why if isinstance(panels, Gone) else None,
            "images": []
            if isinstance(panels, Gone)
            else [b64encode(pictures.encode(panel)).decode() for panel in panels],
        }


def _kinds(scanned: Scanned, called: Any, chosen: Mapping[int, list[Why]]) -> list[tuple[Why, str, int, int]]:
    """Tell of each reason that chose any: what it means, how many it chose, and among how many."""
    taken = Counter(why for reasons in chosen.values() for why in reasons)
    among = gallery.candidates(scanned, called)
    return [
        (why, gallery.MEANINGS[why], taken[why], int(np.count_nonzero(among[why])))
        for why in Why
        if taken[why]
    ]


def _curve(scanned: Scanned, ratio: Any) -> plots.Curve | None:
    labelled = scanned.truth != UNLABELLED
    if not labelled.any():
        return None
    turned = np.where(scanned.unknown, np.float32(np.inf), ratio)[labelled]
    return plots.precision_recall(Sweep.of(turned, scanned.truth[labelled] == BAD), 1.0)


def _breakable(text: str) -> Markup:
    """Let a path break into lines behind what parts its words, and there first."""
    return Markup("<wbr>").join(piece for piece in _PIECES.findall(text) if piece)


def _render(**told: Any) -> bytes:
    """Fill the template; all that it is told is text to it, whatever it looks like."""
    files = resources.files("jobs") / "templates"
    style, script = ((files / f"report.{kind}").read_text() for kind in ("css", "js"))
    environment = Environment(
        loader=PackageLoader("jobs", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = lambda value: plain(str(value))
    environment.filters["breakable"] = _breakable
    template = environment.get_template("report.html")
    inline = {"style": style, "script": script}
    hashes = {name: b64encode(sha256(text.encode()).digest()).decode() for name, text in inline.items()}
    text = template.render(
        **told,
        **inline,
        hashes=hashes,
        panels=pictures.PANELS,
        sizes={
            "pieces": plots.BINS,
            "plot": (plots.WIDTH, plots.HEIGHT),
            "line": (plots.LINE_WIDTH, plots.LINE_HEIGHT),
            "small": (report_tables.SMALL_WIDTH, report_tables.SMALL_HEIGHT),
        },
    )
    return _MARK + text.encode()
