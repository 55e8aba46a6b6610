from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from dice_core.duplicates import Duplicates
from dice_core.rows import SCHEMA, SCORE_DIRECTIONS
from jobs import labelled
from jobs.labelled import count_duplicates, read_labelled

TAUGHT = 7


@pytest.fixture
def read(make_named_bank):
    bank = replace(
        make_named_bank("a", "b"), anomaly_labels=("ano", "nok"), taught=frozenset({f"{TAUGHT:032x}"})
    )
    return lambda rows: read_labelled(dataset(rows), bank)


def row(content, *, archive="x.tar", index=0, label="a", **changes):
    """A row of an image that was taken for the face it is labelled as; `content` stands for its bytes."""
    known = {
        **dict.fromkeys(SCHEMA.names),
        "archive": archive,
        "index": index,
        "member": "m",
        "folder": "f",
        "label": label,
        "lot": archive,
        "offset": 0,
        "size": 1,
        "status": "ok",
        "content_hash": f"{content:032x}",
        "verdict": "good",
        "face": "b" if label == "b" else "a",
        **dict.fromkeys(SCORE_DIRECTIONS, 0.5),
    }
    return {**known, **changes}


def dataset(rows):
    """The rows in tables of three, as parts are."""
    tables = [pa.Table.from_pylist(rows[at : at + 3], SCHEMA) for at in range(0, len(rows), 3)]
    return ds.dataset(tables or SCHEMA.empty_table())


def high(number):
    """A content whose hash differs in its first digits."""
    return number << 100


def test_only_rows_with_scores_and_a_known_label_count(read):
    rejected = {**dict.fromkeys(("face", "verdict", *SCORE_DIRECTIONS)), "status": "rejected"}
    found = read(
        [
            row(high(1)),
            row(high(2), label="nok", verdict="unknown_part"),
            row(high(3), label=None),
            row(high(4), label="else"),
            row(high(5), **rejected),
            row(TAUGHT, label="b", face="a", defect_score=3.0),
        ]
    )
    assert found.bad.tolist() == [False, True, False]
    assert found.unknown.tolist() == [False, True, False]
    assert found.seen.tolist() == [False, False, True]
    assert found.label.tolist() == [0, 3, 1]
    assert found.face.tolist() == [0, 0, 0]
    assert found.scores["defect_score"].tolist() == [0.5, 0.5, 3.0]
    assert found.scores["ssim"].tolist() == [-0.5] * 3


def test_no_row_gives_arrays_without_any(read):
    found = read([])
    assert len(found.bad) == len(found.group) == len(found.content) == 0
    assert found.scores.keys() == SCORE_DIRECTIONS.keys()
    assert count_duplicates(dataset([]), 0) == Duplicates(0, 0)


def same(numbers):
    """Which of some numbers are equal, whatever they are."""
    return [list(numbers).index(number) for number in numbers]


def test_a_run_is_twelve_frames_of_one_label_and_archive(read):
    rows = [
        row(high(1), index=0),
        row(high(2), index=11),
        row(high(3), index=12),
        row(high(4), index=1, label="ano"),
        row(high(5), index=1, archive="y.tar"),
        row(high(6), index=2, archive="y.tar"),
    ]
    found = read(rows)
    assert same(found.run.tolist()) == same(found.group.tolist()) == [0, 0, 2, 3, 4, 4]
    assert same(found.lot.tolist()) == [0, 0, 0, 0, 4, 4]


def test_runs_of_very_many_labels_are_told_apart(make_named_bank):
    names = [f"face{number:04d}" for number in range(1026)]
    rows = [
        row(high(1), label=names[1024]),
        row(high(2), label=names[0], archive="y.tar"),
        row(high(3), label=names[1025]),
        row(high(4), label=names[1], archive="y.tar"),
    ]
    found = read_labelled(dataset([each | {"face": names[0]} for each in rows]), make_named_bank(*names))
    assert same(found.run.tolist()) == same(found.group.tolist()) == [0, 1, 2, 3]


def test_runs_of_very_many_archives_are_told_apart(read, monkeypatch):
    number = labelled._number

    def as_of_many(names, known):
        """Number archives as if a million others lay between them."""
        return number(names, known) << (20 if pa.types.is_string(names.type) else 0)

    monkeypatch.setattr(labelled, "_number", as_of_many)
    found = read([row(high(each), archive=f"{each}.tar", index=each) for each in range(5)])
    assert same(found.run.tolist()) == same(found.group.tolist()) == [0, 1, 2, 3, 4]


def test_runs_are_numbered_by_archive_and_label_in_whichever_order_they_come(read):
    rows = [
        row(high(1), label="ano"),
        row(high(2), label="ano", index=13),
        row(high(3), label="b", archive="y.tar"),
        row(high(4), label="a"),
        row(high(5), label="a", archive="y.tar"),
    ]
    found = read(rows)
    assert np.argsort(found.run).tolist() == [3, 0, 1, 4, 2]


def test_runs_that_share_a_photograph_are_one_part(read):
    rows = [
        row(high(1), index=0),
        row(high(2), index=100),
        row(high(3), index=200),
        row(high(2), index=0, archive="y.tar"),
        row(high(9), index=1, archive="y.tar"),
        row(high(9), index=100, archive="y.tar"),
        # Nothing links what no photograph is shared with.
        row(high(5), index=200, archive="y.tar"),
    ]
    found = read(rows)
    assert same(found.run.tolist()) == [0, 1, 2, 3, 3, 5, 6]
    assert same(found.group.tolist()) == [0, 1, 2, 1, 1, 1, 6]


@pytest.mark.parametrize("held", [2, 3, 100])
def test_duplicates_are_counted_labelled_or_not_however_few_are_held(held, monkeypatch):
    monkeypatch.setattr(labelled, "DUPLICATES_HELD", held)
    rows = [
        row(high(1)),
        row(high(1), label=None),
        row(high(1), label=None),
        row(high(2)),
        row(high(2), archive="y.tar"),
        row(high(3), archive="y.tar", status="rejected"),
        row(high(3)),
    ]
    assert count_duplicates(dataset(rows), 6) == Duplicates(within=2, between=2)


@pytest.mark.parametrize("count", [1, 4, 7])
def test_every_row_keeps_its_place_over_parts(count, read):
    found = read([row(high(number), defect_score=float(number)) for number in range(count)])
    assert found.scores["defect_score"].tolist() == list(range(count))
    assert len(np.unique(found.content)) == count


def test_unknown_parts_rank_above_all(read):
    found = read(
        [row(high(1), label="ano", verdict="unknown_part", defect_score=0.1), row(high(2), defect_score=9.0)]
    )
    assert found.sweep("defect_score").auroc == 1.0


def test_numbers_are_joined_on_the_way_in_their_order(read, monkeypatch):
    monkeypatch.setattr(labelled, "_LOOSE", 2)
    found = read([row(high(number), defect_score=float(number)) for number in range(17)])
    assert found.scores["defect_score"].tolist() == list(range(17))
    assert found.lots == ("x.tar",)
