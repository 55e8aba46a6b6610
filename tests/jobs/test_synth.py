import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import simplejpeg

from dice_core.defects import defects_of
from dice_core.die import FACES
from jobs import synth as module
from jobs.errors import Refusal
from jobs.synth import ANOMALY_FOLDER, LOT_SIZE, TRUTH_SCHEMA, SynthSettings, synth


def rendered(folder, **options):
    settings = SynthSettings(str(folder / "dice.tar"), **options)
    synth(settings)
    with tarfile.open(settings.out) as archive:
        listed = [(member.name, archive.extractfile(member).read()) for member in archive]
    return listed, pq.read_table(settings.truth)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    return rendered(tmp_path_factory.mktemp("half"), images=60, seed=3, defects=0.5)


def test_the_truth_is_of_the_archive(half):
    listed, truth = half
    assert truth.schema.remove_metadata() == TRUTH_SCHEMA
    assert truth["member"].to_pylist() == [name for name, _ in listed]
    for (name, data), told in zip(listed, truth.to_pylist(), strict=True):
        height, width = simplejpeg.decode_jpeg_header(data)[:2]
        assert (width, height) == (128, 128)
        assert name.split("/")[0] == (told["face"] if told["defect"] is None else ANOMALY_FOLDER)
        assert told["lot"] == 0
        box = [told[key] for key in ("x", "y", "width", "height", "area")]
        if told["defect"] is None:
            assert [*box, told["size"], told["contrast"]] == [None] * 7
        else:
            assert told["defect"] in defects_of(told["face"])
            x, y, wide, high, area = box
            assert min(x, y) >= 0
            assert min(wide, high) >= 1
            assert max(x + wide, y + high) <= 128
            assert 1 <= area <= wide * high


def test_every_face_is_there_and_about_as_many_defects_as_asked_for(half):
    faces = half[1]["face"].to_pylist()
    assert set(faces) == set(FACES)
    assert 18 <= 60 - half[1]["defect"].null_count <= 42


def test_equal_settings_give_equal_bytes(tmp_path, half):
    again = SynthSettings(str(tmp_path / "again.tar"), 60, 3, 0.5)
    synth(again)
    other = SynthSettings(str(tmp_path / "other.tar"), 60, 3, 0.5)
    synth(other)
    for suffix in (".tar", ".truth.parquet"):
        same = [(tmp_path / name).with_suffix(suffix).read_bytes() for name in ("again", "other")]
        assert same[0] == same[1]
    with tarfile.open(again.out) as archive:
        assert [(member.name, archive.extractfile(member).read()) for member in archive] == half[0]


def test_another_seed_gives_other_photographs(tmp_path, half):
    listed, _ = rendered(tmp_path, images=11, seed=4, defects=0.5)
    assert not {data for _, data in listed} & {data for _, data in half[0]}


def test_more_images_leave_the_earlier_ones_as_they_are(tmp_path, half):
    listed, _ = rendered(tmp_path, images=11, seed=3, defects=0.5)
    assert listed == half[0][:11]


@pytest.mark.parametrize(("share", "defective"), [(0, 0), (1, 11)])
def test_none_or_all_are_defective(tmp_path, share, defective):
    listed, truth = rendered(tmp_path, images=11, defects=share)
    assert sum(name.startswith(f"{ANOMALY_FOLDER}/") for name, _ in listed) == defective
    assert truth["defect"].null_count == 11 - defective


def test_a_lot_ends_after_so_many(tmp_path, monkeypatch):
    assert LOT_SIZE > 1
    monkeypatch.setattr(module, "LOT_SIZE", 4)
    _, truth = rendered(tmp_path, images=10)
    assert truth["lot"].to_pylist() == [0] * 4 + [1] * 4 + [2] * 2


def test_tells_of_every_photograph(tmp_path):
    told = []
    synth(SynthSettings(str(tmp_path / "dice.tar"), 5), told.append)
    assert sum(told) == 5


def test_an_interrupted_archive_leaves_nothing(tmp_path):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synth(SynthSettings(str(tmp_path / "dice.tar"), 5), stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"out": "dice.zip"}, "dice.zip: synth writes a tar"),
        ({"images": 0}, "--images 0"),
        ({"seed": -1}, "--seed -1"),
        ({"defects": -0.1}, "--defects -0.1"),
        ({"defects": 1.1}, "--defects 1.1"),
        ({"defects": float("nan")}, "--defects nan"),
    ],
)
def test_refuses_what_it_cannot_render(options, told):
    with pytest.raises(Refusal, match=told):
        SynthSettings(**{"out": "dice.tar"} | options)


def test_refuses_where_it_cannot_write(tmp_path):
    with pytest.raises(Refusal, match="its folder does not exist"):
        synth(SynthSettings(str(tmp_path / "none" / "dice.tar"), 1))
    Path(tmp_path / "dice.tar").mkdir()
    with pytest.raises(Refusal, match="is a folder"):
        SynthSettings(str(tmp_path / "dice.tar"), 1)


def test_a_url_with_a_secret_is_refused_and_not_repeated():
    with pytest.raises(Refusal, match=r"^s3://\.\.\.: synth writes a tar"):
        SynthSettings("s3://KEY:5ecret@bucket/lot")
