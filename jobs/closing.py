"""The end of a job: what its rows come to, written last, from the parts that are there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from jobs import folder, lotlist, storage
from jobs.coverage import cover
from jobs.errors import Refusal
from jobs.labelling import UNLABELLED, Labelling
from jobs.summary import Outcome

Evaluate = Callable[[str], Mapping[str, Any]]


def close(
    out: str,
    outcome: Outcome,
    evaluate: Evaluate,
    decided: Mapping[str, str],
    settings: Mapping[str, Any],
    labelling: Labelling = UNLABELLED,
    unsettled: Sequence[str] = (),
) -> dict[str, Any]:
    """Write lots and summary, and give the summary; the list of parts is there.

    Parameters
    ----------
    outcome
        What all parts add up to.
    evaluate
        Gives what the rows tell.
    decided
        Fingerprint of what decides the rows, and hash of the model.
    settings
        What was asked for, as JSON has it.
    labelling
        The table of labels.
    unsettled
        Sources that were left alone, as they are printed.
    """
    evaluation = dict(evaluate(out)) if outcome.total.tally.rows else {}
    # The evaluation was asked before there was a summary to say that the job has ended.
    covered = replace(cover(out), ended=outcome.failed == 0)
    state = {"complete": covered.complete, "missing": covered.told()}
    told = {
        **outcome.told(),
        **state,
        "unsettled": [*unsettled],
        **lotlist.write(out).alarms,
        "hashes": folder.hashes(out),
        **decided,
        "settings": dict(settings),
        "labels": labelling.told(out),
        "evaluation": evaluation and {**evaluation, **state},
    }
    folder.write_json(storage.join(out, folder.SUMMARY), told)
    storage.remove(storage.join(out, folder.PROGRESS))
    return told


@contextmanager
def hold(out: str, *, shared: bool = False) -> Iterator[None]:
    """Keep other starts away from the folder: each would list its own parts alone.

    Shares of a job, which list nothing, keep away all but each other.

    Raises
    ------
    Refusal
        Where another is at work there, or it cannot be a job folder.
    """
    if storage.exists(out) and not storage.is_folder(out):
        raise Refusal(f"{out}: is a file: name a folder to write to with --out")
    try:
        storage.make_folder(out)
        holding = ExitStack()
        holding.enter_context(storage.held(out, shared=shared))
    except BlockingIOError as error:
        raise Refusal(f"{out}: another score is at work in it: wait, or name another folder") from error
    except OSError as error:
        raise Refusal(f"{out}: {error.strerror or error}: name a folder to write to with --out") from error
    with holding:
        yield
