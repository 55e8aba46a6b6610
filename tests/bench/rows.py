"""Job folders of very many rows: those of one scored archive, with other scores, under many names."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa

from dice_core.bank import Bank
from dice_core.rows import Verdict
from jobs import folder, plan, shard
from jobs.errors import ExitCode
from jobs.evaluate import evaluate
from jobs.folder import Start
from jobs.parquet import digest
from jobs.partfile import PartFile
from jobs.reader import Limits
from jobs.score import score
from jobs.shard import ShardSettings
from tests.bench.job import Material
from tests.bench.photographs import ANOMALIES

SPREAD = 0.15
"""Standard deviation of the logarithm that scores are changed by."""
_KEPT = 0.5
"""Share of the threshold from which on a row keeps its hash, as defective ones do: its image is found."""


def many_rows(given: Material, out: str) -> int:
    """Make a complete job of all archives of some material; tell how many rows it has.

    The first archive is scored. The rows of the others are its rows with other scores, and with hashes of
    their own where they score so little that nobody will look at their images.
    """
    settings = given.settings(out, len(given.sources), 1)
    model = Path(given.model).read_bytes()
    decides = folder.deciding(digest(model), given.each, Limits())
    records = [plan.survey(source, given.each) for source in given.sources]
    folder.begin(out, Start.NEW, decides, settings.sources, model, records)
    fingerprint = folder.fingerprint(decides)
    own = ShardSettings(out, given.model, digest(model), fingerprint, shard_size=given.each)
    first, *others = plan.shards(records)
    shard.score_shard(first, own)
    table = pa.parquet.read_table(Path(out) / first.part)
    for other in others:
        url = str(Path(out) / other.part)
        with PartFile(url) as part:
            part.add(changed(table, other.archive, limit_of(given)))
            shard._commit(url, other, own, part)
    settings = type(settings)(**{**vars(settings), "overwrite": False, "cluster": "serial"})
    ended = score(settings, evaluate=evaluate)
    if ended.exit_code is not ExitCode.DONE:
        raise RuntimeError(f"the job ended with {ended.exit_code!r}")
    return int(ended.summary["rows"])


def limit_of(given: Material) -> float:
    """Tell the threshold of the model of some material."""
    return Bank.read(io.BytesIO(Path(given.model).read_bytes())).thresholds["defect_score"]


def changed(table: pa.Table, archive: str, limit: float) -> pa.Table:
    """Make the rows of another archive from those of one."""
    rng = np.random.default_rng(list(archive.encode()))
    count = table.num_rows
    scores = table["defect_score"].to_numpy() * np.exp(rng.normal(0, SPREAD, count)).astype(np.float32)
    verdicts = np.where(scores >= np.float32(limit), Verdict.ANOMALY.value, Verdict.GOOD.value)
    known = np.array(table["verdict"].to_pylist()) == Verdict.UNKNOWN_PART.value
    hashes = rng.bytes(16 * count).hex()
    fresh = [hashes[32 * at : 32 * at + 32] for at in range(count)]
    kept = (scores >= _KEPT * limit) | (np.array(table["label"].to_pylist()) == ANOMALIES)
    contents = np.where(kept, np.array(table["content_hash"].to_pylist()), np.array(fresh))
    columns = {
        "archive": pa.repeat(archive, count),
        "lot": pa.repeat(archive, count),
        "defect_score": pa.array(scores),
        "verdict": pa.array(np.where(known, Verdict.UNKNOWN_PART.value, verdicts)),
        "content_hash": pa.array(contents),
    }
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
    return table
