"""Whether a start of the job may go on in its folder: rows that do not go together are refused."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from jobs.errors import Refusal
from jobs.folder import Start, is_compacted, is_part
from jobs.plan import ArchiveRecord, archive_prefix, part_prefix

_CHANGED_TOLD = 10
"""Changed sources that a refusal names; it counts them all."""


def decide(
    out: str,
    names: Collection[str],
    job: Mapping[str, Any] | None,
    decides: Mapping[str, Any],
    records: Iterable[ArchiveRecord],
    *,
    overwrite: bool,
    replace_changed: bool = False,
) -> Start:
    """Decide what a start does, from what is in the folder and what is asked for.

    Parameters
    ----------
    out
        The folder, for the messages.
    names
        What is in it, hidden names and the parts of replaced sources left out.
    job
        What its job file tells; None where there is none.
    decides
        As `folder.deciding` lists it, of the job that is asked for.
    records
        The sources asked for.
    overwrite
        Whether rows that are there may go.
    replace_changed
        Whether those of sources with another content may.

    Raises
    ------
    Refusal
        Where the folder is no job's, or holds rows that do not go with those asked for.
    """
    if job is None:
        if names:
            raise Refusal(f"{out}: not empty and not a job folder: name another folder with --out")
        return Start.NEW
    if is_compacted(job):
        raise Refusal(f"{out}: holds a compacted job, which is read-only: name another folder with --out")
    if overwrite:
        return Start.AFRESH
    changes = [
        f"{name} was {job['decides'].get(name)}, is {value}"
        for name, value in decides.items()
        if job["decides"].get(name) != value
    ]
    if changes:
        raise Refusal(
            f"{out}: holds rows made otherwise ({'; '.join(changes)}): "
            "name another folder with --out, or start afresh with --overwrite"
        )
    committed = {f"{name.rpartition('-')[0]}-" for name in names if is_part(name)}
    _check_names(out, committed, records)
    if not replace_changed:
        _check_identities(out, committed, records)
    return Start.RESUME


def _check_names(out: str, committed: Collection[str], records: Iterable[ArchiveRecord]) -> None:
    """Refuse to give an archive another name than its rows have: it would be scored once more under it."""
    for record in records:
        under_path = replace(record, archive=record.path)
        if record.path != record.archive and part_prefix(under_path) in committed:
            raise Refusal(
                f"{record.path}: has rows in {out} under that name, so it cannot be {record.archive}: "
                "leave out --source-root, or start afresh with --overwrite"
            )


def _check_identities(out: str, committed: Collection[str], records: Iterable[ArchiveRecord]) -> None:
    asked = {archive_prefix(record.archive): record for record in records}
    length = len(archive_prefix(""))
    found = ((asked.get(prefix[:length]), prefix) for prefix in committed)
    changed = sorted(
        {record.archive for record, prefix in found if record is not None and prefix != part_prefix(record)}
    )
    if changed:
        more = len(changed) - _CHANGED_TOLD
        raise Refusal(
            f"{', '.join(changed[:_CHANGED_TOLD])}{f' and {more:,} more' if more > 0 else ''}: "
            f"changed since the rows in {out} were written: --replace-changed scores what changed anew and "
            "nothing else; or name another folder with --out, or start afresh with --overwrite"
        )
