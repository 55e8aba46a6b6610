import fake_scorer
import pytest
import samples

from jobs import storage
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.labelling import UNMATCHED_TOLD, Labelling
from jobs.parquet import digest
from jobs.plan import survey
from jobs.score import score
from jobs.verify import verify

SCORER = fake_scorer.BrightnessScorer()
LISTED = [(f"{number:02d}.jpg", samples.jpeg(number)) for number in range(8)]


def write(path, *lines):
    path.write_text("\n".join(["archive,member,content_hash,label", *lines]))
    return str(path)


def run(tmp_path, model, *sources, **options):
    settings = ScoreSettings(
        tuple(map(str, sources)), model, str(tmp_path / "out"), "serial", shard_size=3, **options
    )
    return score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load)


def test_lines_find_their_images_by_path_by_name_and_by_content(tmp_path, model):
    (tmp_path / "in").mkdir()
    lot = samples.write_tar(tmp_path / "in" / "lot.tar", LISTED)
    table = write(
        tmp_path / "labels",
        f"{lot},00.jpg,,bright",
        "line3/lot.tar,01.jpg,,dark",
        "lot.tar,./02.jpg,,ano",
        f",,{digest(LISTED[3][1])},bright",
        "lot.tar,04.jpg,,nonsense",
        "lot.tar,99.jpg,,dark",
    )
    root = f"{tmp_path}/in=line3"
    result = run(tmp_path, model, lot, labels=table, source_roots=(root,))
    rows = samples.rows(tmp_path / "out")
    assert rows["label"].to_pylist() == ["bright", "dark", "ano", "bright", None, None, None, None]
    assert result.summary["labels"] == {
        "lines": 6,
        "matched": 5,
        "unmatched": 1,
        "first_unmatched": ["line 7: lot.tar 99.jpg"],
        "unknown": {"nonsense": 1},
    }
    assert verify(str(tmp_path / "out")) == []
    assert storage.exists(str(tmp_path / "out" / "_labels.parquet"))
    with pytest.raises(Refusal, match=r"labels was .*, is None"):
        run(tmp_path, model, lot, source_roots=(root,))
    run(tmp_path, model, lot, overwrite=True)
    assert not storage.exists(str(tmp_path / "out" / "_labels.parquet"))


def test_a_line_goes_before_the_folder_and_sources_may_come_later(tmp_path, model):
    first, second = (
        samples.write_tar(tmp_path / f"{name}.tar", [("dark/1.jpg", samples.jpeg(1)), ("dark/2.jpg", b"")])
        for name in "ab"
    )
    table = write(tmp_path / "labels", "a.tar,dark/1.jpg,,bright", "b.tar,dark/2.jpg,,bright")
    told = run(tmp_path, model, first, labels=table, max_rejects="9").summary["labels"]
    assert (told["matched"], told["first_unmatched"]) == (1, ["line 3: b.tar dark/2.jpg"])
    told = run(tmp_path, model, first, second, labels=table, max_rejects="9").summary["labels"]
    assert told["unmatched"] == 0
    assert samples.rows(tmp_path / "out")["label"].to_pylist() == ["bright", "dark", "dark", "bright"]


def test_a_table_that_may_mean_either_source_is_refused_before_anything_is_written(tmp_path, model):
    sources = []
    for name in "ab":
        (tmp_path / name).mkdir()
        sources.append(samples.write_tar(tmp_path / name / "lot.tar", LISTED))
    table = write(tmp_path / "labels", "lot.tar,00.jpg,,bright")
    with pytest.raises(Refusal, match=r"lot\.tar may be"):
        run(tmp_path, model, *sources, labels=table)
    assert not (tmp_path / "out").exists()


def test_a_table_that_may_mean_a_source_of_an_earlier_start_is_refused(tmp_path, model):
    sources = []
    for name in "ab":
        (tmp_path / name).mkdir()
        sources.append(samples.write_tar(tmp_path / name / "lot.tar", LISTED))
    table = write(tmp_path / "labels", "lot.tar,00.jpg,,bright")
    run(tmp_path, model, sources[0], labels=table)
    with pytest.raises(Refusal, match=r"lot\.tar may be .*/a/lot\.tar or .*/b/lot\.tar: write more"):
        run(tmp_path, model, sources[1], labels=table)
    assert set(samples.rows(tmp_path / "out")["archive"].to_pylist()) == {sources[0]}
    # What goes with the rows of the other can be meant no more.
    run(tmp_path, model, sources[1], labels=table, overwrite=True)
    assert run(tmp_path, model, sources[1], labels=table).summary["labels"]["matched"] == 1


def test_a_source_whose_name_is_no_text_is_one_source_however_often_it_is_named(tmp_path, model):
    lot = samples.write_tar(tmp_path / "lot\udcff.tar", LISTED)
    table = write(tmp_path / "labels", r"lot\xff.tar,00.jpg,,bright")
    for _ in range(2):
        assert run(tmp_path, model, lot, labels=table).summary["labels"]["matched"] == 1


def test_labels_that_the_model_does_not_know_are_counted_and_refused_where_it_knows_none(tmp_path):
    table = write(tmp_path / "some", "a,1,,bright", "a,2,,nok", "a,3,,nok", "a,4,,fine")
    assert Labelling.read(table, SCORER).unknown == {"fine": 1, "nok": 2}
    table = write(tmp_path / "none", *(f"a,{number},,label{number:02d}" for number in range(12)))
    with pytest.raises(Refusal, match=r"none of its labels, label00, .*, label09 and 2 more: it knows"):
        Labelling.read(table, SCORER)


def test_without_a_table_there_is_nothing_to_tell(tmp_path):
    labelling = Labelling.read(None, SCORER)
    record = survey(samples.write_tar(tmp_path / "lot.tar", LISTED), 10)
    labelling.check([record])
    assert (labelling.hash, labelling.write("nowhere"), labelling.told("nowhere")) == (
        None,
        None,
        None,
    )


def test_of_many_lines_without_an_image_the_first_are_named(tmp_path, model):
    lot = samples.write_tar(tmp_path / "lot.tar", LISTED)
    table = write(tmp_path / "labels", *(f"lot.tar,x{number},,bright" for number in range(30)))
    told = run(tmp_path, model, lot, labels=table).summary["labels"]
    assert told["unmatched"] == 30
    assert told["first_unmatched"][0] == "line 2: lot.tar x0"
    assert len(told["first_unmatched"]) == UNMATCHED_TOLD
