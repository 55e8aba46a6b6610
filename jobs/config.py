"""The job's settings: checked once, where they enter, and frozen from then on."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from dice_core.scale import OnSize
from jobs import plan, storage
from jobs.errors import Refusal
from jobs.lotrule import ARCHIVE, LotRule
from jobs.reader import Limits
from jobs.roots import Roots
from jobs.settle import parse_duration
from jobs.share import Share
from jobs.spec import check_number, parse
from jobs.summary import RejectLimit

TASK_TIMEOUT = 300.0


@dataclass(frozen=True)
class ScoreSettings:
    """All that a start of the job is asked for; checked here and nowhere else.

    Raises
    ------
    Refusal
        Naming the first value that is not taken.
    """

    sources: tuple[str, ...]
    model: str
    out: str
    cluster: str | None = None
    workers: int | None = None
    insecure: bool = False
    """Whether a cluster that is started beyond this machine may send everything in the clear."""
    max_rejects: str = "1%"
    overwrite: bool = False
    replace_changed: bool = False
    """Whether the rows of a source whose content is another may go, for those of its content now."""
    settle: str | None = None
    """How long a source must not have been written to; any is taken unless told."""
    source_roots: tuple[str, ...] = ()
    """``PREFIX=NAME`` each: what lies below a folder has names that do not depend on where that is."""
    part: str | None = None
    """``i/n``: the share of the shards that this start scores; `merge` ends the job."""
    deadline: str | None = None
    """How long after its start it submits no more; decides no row."""
    maps: str | None = None
    """Folder for the heat maps of images that are not found good; decides no row."""
    log_json: str | None = None
    """File to append every event to; decides no row."""
    exhaustive: bool = False
    """Whether every image is compared with every face's template, each at every small translation."""
    labels: str | None = None
    """Table of labels that go before those of folders, as `Labels` reads it."""
    lot: str = ARCHIVE
    """Which lot an image is of, as `LotRule` reads it."""
    on_size: OnSize = OnSize.REJECT
    """What becomes of images whose size is not the model's."""
    shard_size: int = plan.SHARD_SIZE
    task_images: int = plan.SHARD_SIZE
    """At least so many images make one task; decides no row."""
    task_timeout: float = TASK_TIMEOUT
    """Seconds without progress after which a worker is taken to hang; decides no other row."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.sources:
            raise Refusal("no source: name archives or folders of images")
        check_number(parse(self.cluster), self.workers)
        RejectLimit.parse(self.max_rejects)
        Roots.parse(self.source_roots)
        LotRule.parse(self.lot)
        for option, text in (("--settle", self.settle), ("--deadline", self.deadline)):
            if text is not None:
                parse_duration(text, option)
        self._check_part()
        for name in ("workers", "shard_size", "task_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise Refusal(f"--{name.replace('_', '-')} {value}: give a number from 1 up")
        if not 0 < self.task_timeout < math.inf:
            raise Refusal(f"--task-timeout {self.task_timeout:g}: give a number of seconds above 0")
        self._check_places()

    def _check_places(self) -> None:
        for url in (*self.sources, self.model, self.out):
            storage.absolute(url)
        if self.log_json is not None:
            storage.absolute(self.log_json)
            if storage.is_remote(self.log_json):
                raise Refusal(f"--log-json {self.log_json}: a store appends to nothing: name a local file")
        if self.maps is not None and f"{storage.absolute(self.maps)}/".startswith(
            f"{storage.absolute(self.out)}/"
        ):
            raise Refusal(f"--maps {self.maps}: lies in the job folder: name one outside it")
        if storage.printable(self.out) != self.out:
            raise Refusal(f"--out {storage.printable(self.out)}: its name is not UTF-8: name another folder")

    def _check_part(self) -> None:
        if self.part is not None and Share.parse(self.part) and self.overwrite:
            raise Refusal("--overwrite: would clear the other parts' rows: give --part a new folder")

    def told(self) -> dict[str, Any]:
        """List the settings; names that are not valid UTF-8, which no JSON holds, as they are printed."""
        fields = asdict(self)
        texts = {name: value for name, value in fields.items() if isinstance(value, str)}
        lists = {name: value for name, value in fields.items() if isinstance(value, tuple)}
        return {
            **fields,
            **{name: storage.printable(text) for name, text in texts.items()},
            **{name: [storage.printable(text) for text in value] for name, value in lists.items()},
        }
