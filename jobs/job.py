"""One job: what a start of ``score`` asks for, and what is then to be done in its folder."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobs import folder, parts, plan, planlist, storage
from jobs.config import ScoreSettings
from jobs.deadline import Deadline
from jobs.errors import Refusal
from jobs.events import Listener
from jobs.labelling import Labelling
from jobs.lotrule import LotRule
from jobs.maps import make_folder
from jobs.parquet import digest
from jobs.plan import ArchiveRecord, Shard
from jobs.resume import decide
from jobs.rows import ScorerLike
from jobs.shard import LoadScorer, ShardSettings
from jobs.share import Share
from jobs.sources import Surveyed, survey
from jobs.spec import Kind, parse


@dataclass(frozen=True)
class Asked:
    """What a start asks for, read and found in order; its folder is still as it was.

    Attributes
    ----------
    load
        Loads the scorer, on the workers as well.
    model
        Bytes of the model.
    labelling
        Where labels come from.
    decides
        What decides the rows, as the folder keeps it.
    surveyed
        The sources as they are now.
    """

    settings: ScoreSettings
    load: LoadScorer
    model: bytes
    labelling: Labelling
    decides: Mapping[str, Any]
    surveyed: Surveyed

    @classmethod
    def read(cls, settings: ScoreSettings, load: LoadScorer, listener: Listener) -> "Asked":
        """Read the model and the table of labels, and survey the sources.

        Raises
        ------
        Refusal
            Where the model, the labels or the sources are not taken.
        """
        model = _read_model(settings.model)
        labelling = Labelling.read(settings.labels, _check_model(settings.model, model, load))
        decides = folder.deciding(
            digest(model),
            settings.shard_size,
            settings.limits,
            exhaustive=settings.exhaustive,
            on_size=settings.on_size.value,
            lot=settings.lot,
            labels=labelling.hash,
        )
        surveyed = survey(settings, decides, time.time(), listener)
        labelling.check(surveyed.records, () if settings.overwrite else planlist.archives(settings.out))
        return cls(settings, load, model, labelling, decides, surveyed)

    @property
    def apart(self) -> tuple[str, ...]:
        """What no log may be written over or into."""
        paths = (record.path for record in self.surveyed.records)
        return self.settings.out, self.settings.model, *paths


@dataclass(frozen=True)
class Job:
    """What is to be done, once everything asked for is taken and the folder is ready."""

    settings: ScoreSettings
    shard: ShardSettings
    """What a worker needs to know."""
    records: list[ArchiveRecord]
    """Of the sources, in the order their shards are scored in."""
    names: frozenset[str]
    """Of the files in the job folder as it starts."""
    labelling: Labelling
    unsettled: list[str]
    """Sources that are left alone, as they are printed."""
    others: frozenset[str]
    """Names of the parts that are for other shares of the job to write."""
    deadline: Deadline

    @classmethod
    def open(cls, asked: Asked, deadline: Deadline) -> "Job":
        """Decide what this start does with its folder, and do it.

        Raises
        ------
        Refusal
            Where the folder holds another job, or cannot be written to.
        """
        settings, surveyed, decides = asked.settings, asked.surveyed, asked.decides
        out = storage.absolute(settings.out)
        try:
            start = decide(
                out,
                folder.list_live(out),
                folder.read_job(out),
                decides,
                surveyed.records,
                overwrite=settings.overwrite,
                replace_changed=settings.replace_changed,
            )
            share = Share.parse(settings.part) if settings.part else None
            of = share.of if share else None
            sources, records, roots = settings.sources, surveyed.records, surveyed.roots
            folder.begin(out, start, decides, sources, asked.model, records, roots, of)
            names = frozenset(storage.list_names(out))
            others = share.others(planlist.read(out)) if share else frozenset()
        except OSError as error:
            raise Refusal(
                f"{out}: {error.strerror or error}: name a folder to write to with --out"
            ) from error
        shard = ShardSettings(
            out=out,
            model=storage.join(out, folder.MODEL),
            model_hash=digest(asked.model),
            fingerprint=folder.fingerprint(decides),
            limits=settings.limits,
            shard_size=settings.shard_size,
            maps=make_folder(settings.maps),
            exhaustive=settings.exhaustive,
            on_size=settings.on_size,
            labels=asked.labelling.write(out),
            lots=LotRule.parse(settings.lot),
            # Serially there is no worker to end but this very process.
            task_timeout=None if parse(settings.cluster).kind is Kind.SERIAL else settings.task_timeout,
            load_scorer=asked.load,
        )
        unsettled = [*map(storage.printable, surveyed.unsettled)]
        return cls(settings, shard, surveyed.records, names, asked.labelling, unsettled, others, deadline)

    @property
    def out(self) -> str:
        """The job folder."""
        return self.shard.out

    def pending(self) -> Iterator[Shard]:
        """Generate the shards that have no part yet, in their order."""
        return plan.shards(self.records, self.names | self.others if self.others else self.names)

    def is_whole(self) -> bool:
        """Tell whether every row is there and the summary tells of all of them."""
        if not {folder.SUMMARY, folder.LOTS} <= self.names or next(self.pending(), None) is not None:
            return False
        try:
            folder.read_summary(self.out)
            return parts.agrees(self.out)
        except ValueError:
            return False  # both can be written anew from the parts


def _read_model(url: str) -> bytes:
    try:
        return storage.read(url)
    except OSError as error:
        raise Refusal(
            f"{url}: {error.strerror or error}: name the model that fit wrote with --model"
        ) from error


def _check_model(url: str, model: bytes, load: LoadScorer) -> ScorerLike:
    try:
        return load(storage.absolute(url), digest(model))
    except ValueError as error:
        raise Refusal(f"{url}: {error}: name the model that fit wrote with --model") from error
