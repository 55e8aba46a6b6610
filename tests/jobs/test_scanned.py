import dice
import numpy as np
import pytest
import samples

from jobs.config import ScoreSettings
from jobs.evaluate import evaluate, open_rows, read_model
from jobs.scanned import BAD, GOOD, UNLABELLED, Reject, fetch, scan
from jobs.score import score


@pytest.fixture(scope="module")
def out(dice_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scanned")
    first = [*dice.bad(2, seed=7), *dice.good(2, seed=7), ("x/other.jpg", dice.photograph("00", 9, 1))]
    second = [*dice.good(1, seed=8), ("00/none.jpg", b""), ("00/.DS_Store", b"junk")]
    sources = (samples.write_tar(folder / "b.tar", first), samples.write_tar(folder / "a.tar", second))
    score(ScoreSettings(sources, dice_model, str(folder / "out"), "serial", shard_size=3), evaluate=evaluate)
    return str(folder / "out")


@pytest.fixture(scope="module")
def scanned(out):
    return scan(open_rows(out), read_model(out))


def test_rows_come_in_the_order_of_archives_and_members(scanned):
    places = [
        (scanned.archives[archive].rsplit("/")[-1], index)
        for archive, index in zip(scanned.archive, scanned.index.tolist(), strict=True)
    ]
    assert places == [*(("a.tar", at) for at in range(3)), *(("b.tar", at) for at in range(9))]


def test_labels_say_good_bad_or_nothing(scanned):
    assert scanned.truth.tolist() == [GOOD] * 3 + [BAD] * 2 + [GOOD] * 6 + [UNLABELLED]


def test_rejects_are_counted_and_named_and_junk_is_not(scanned):
    (((lot, reason), count),) = scanned.rejected.items()
    assert (lot.rsplit("/")[-1], reason, count) == ("a.tar", "empty", 1)
    assert scanned.rejects == (Reject(lot, "00/none.jpg", "empty"),)


def test_rows_are_fetched_in_the_order_they_are_asked_for(out, scanned):
    wanted = np.array([7, 0, 11])
    found = fetch(open_rows(out), scanned, wanted, ("archive", "index", "member", "defect_score"))
    assert [row["index"] for row in found] == scanned.index[wanted].tolist()
    assert [row["defect_score"] for row in found] == scanned.score[wanted].tolist()
    assert fetch(open_rows(out), scanned, np.array([], np.int64), ("archive", "index")) == []
