import hashlib
from io import BytesIO
from pathlib import Path

import dice
import numpy as np
import pytest
import samples

from dice_core.bank import Bank
from dice_core.decode import decode
from dice_core.policy import Policy
from dice_core.rows import SCORE_DIRECTIONS, Reason
from dice_core.score import Scorer
from jobs.errors import Refusal
from jobs.events import COMPILING
from jobs.fit import FitSettings, fit
from jobs.teaching import Sources

WHOLE = 128
"""Pixels of a photograph in which dust is as small as on real ones."""
MAX_PIXELS = 1 << 20


def read(model):
    return Bank.read(BytesIO(Path(model).read_bytes()))


def scores(model, listed):
    images = np.stack([decode(data, MAX_PIXELS) for _, data in listed])
    return Scorer(read(model)).score(images)


def called(model, listed):
    return (scores(model, listed)["verdict"] != "good").mean()


def learn(folder, listed, say=lambda line: None, **options):
    source = samples.write_tar(folder / "teaching.tar", listed)
    return fit(FitSettings(Sources((source,)), str(folder / "model.npz"), threads=2, **options), say)


def unseen(each=30, **options):
    """Twenty good dice of each face, of the lots that taught, which come after those that taught."""
    known = {name for name, _ in dice.good(each, size=WHOLE, **options)}
    return [entry for entry in dice.good(each + 20, size=WHOLE, **options) if entry[0] not in known]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A fit with known defects: its result, what it said, its model, what it was taught with."""
    folder = tmp_path_factory.mktemp("learnt")
    listed = [*dice.bad(10, size=WHOLE), *dice.good(30, size=WHOLE), ("00/notes.txt", b"no image at all")]
    said = []
    result = learn(folder, listed, said.append)
    return result, said, folder / "model.npz", listed


def test_the_model_knows_where_good_scores_lie(learnt):
    _, _, model, _ = learnt
    bank = read(model)
    good = scores(model, unseen())
    z = bank.reference.standardise(
        good["defect_score"],
        np.array([[face.name for face in bank.faces].index(name) for name in good["face"]]),
    )
    assert list(bank.reference.faces) == [face.name for face in bank.faces]
    assert abs(np.median(z)) < 1
    assert all(0 < face.independent <= 30 for face in bank.reference.faces.values())


def test_it_learns_every_face(learnt):
    result, _, model, _ = learnt
    bank = read(model)
    assert [face.name for face in bank.faces] == list(dice.THREE)
    assert [face.images for face in bank.faces] == [30] * 3
    assert bank.image_size == bank.size == (WHOLE, WHOLE)
    assert bank.anomaly_labels == ("ano",)
    assert bank.thresholds.keys() == SCORE_DIRECTIONS.keys()
    assert bank.thresholds == result.bank.thresholds


def test_it_says_what_it_takes_before_it_learns(learnt):
    said = learnt[1]
    assert said[:3] == [
        "taken as good: 00 (30), 04 (30), 07 (30)",
        "taken as defective: ano (10)",
        "left out: 1 not_an_image",
    ]
    # Whether kernels are there depends on what ran before.
    assert sorted({*said[3:]} - {COMPILING}) == [f"learnt {face}" for face in dice.THREE]


def test_it_remembers_what_taught_it(learnt):
    _, _, model, listed = learnt
    hashes = {hashlib.blake2b(data, digest_size=16).hexdigest() for _, data in listed[:-1]}
    assert read(model).taught == hashes


def test_it_tells_what_it_is_worth_per_face_and_on_the_whole(learnt):
    result = learnt[0]
    assert [report.face for report in result.faces] == list(dice.THREE)
    assert sum(report.images for report in result.faces) == result.total.images == 100
    total = result.total.confusion
    assert total.tp + total.fn == 10
    assert total.fp + total.tn == 90
    assert total.errors <= 2
    assert total == sum((report.confusion for report in result.faces[1:]), result.faces[0].confusion)


def test_it_tells_good_from_bad_in_images_it_never_saw(learnt):
    model = learnt[2]
    assert called(model, unseen()) <= 0.02
    assert called(model, dice.bad(30, size=WHOLE)[10:]) >= 0.95


def test_without_any_defect_the_threshold_is_sane(tmp_path):
    result = learn(tmp_path, dice.good(30, size=WHOLE))
    assert result.total.confusion.tp + result.total.confusion.fn == 0
    assert result.total.confusion.f1 in (None, 0.0)
    model = tmp_path / "model.npz"
    assert called(model, unseen()) <= 0.02
    assert called(model, dice.bad(30, size=WHOLE)) >= 0.9


def test_good_and_bad_folders(tmp_path):
    good = samples.write_folder(tmp_path / "good", dice.good(20))
    defective = [(name.replace("ano", face), data) for face in dice.THREE for name, data in dice.bad(3)]
    bad = samples.write_folder(tmp_path / "bad", defective)
    said = []
    sources = Sources(good=(good,), bad=(bad,))
    fit(FitSettings(sources, str(tmp_path / "model.npz"), threads=2), said.append)
    assert said[:2] == [
        "taken as good: 00 (20), 04 (20), 07 (20)",
        "taken as defective: 00 (3), 04 (3), 07 (3)",
    ]
    bank = read(tmp_path / "model.npz")
    assert [face.name for face in bank.faces] == list(dice.THREE)
    # A folder that is a face when it is scored is none of defective parts.
    assert not set(bank.anomaly_labels) & set(dice.THREE)
    assert "bad" in bank.anomaly_labels


def test_one_class_without_folders(tmp_path):
    good = [(Path(name).name, data) for name, data in dice.good(20, faces=("04",))]
    bad = [(Path(name).name, data) for name, data in dice.bad(4, faces=("04",))]
    sources = Sources(
        good=(samples.write_zip(tmp_path / "good.zip", good),),
        bad=(samples.write_targz(tmp_path / "bad.tar.gz", bad),),
    )
    result = fit(FitSettings(sources, str(tmp_path / "model.npz"), threads=2))
    assert [report.face for report in result.faces] == ["good"]
    assert "bad" in result.bank.anomaly_labels
    assert called(tmp_path / "model.npz", bad) == 1


@pytest.mark.parametrize("few", [1, 4])
def test_a_face_with_few_images_costs_the_others_nothing(tmp_path, few):
    many, one = {"faces": ("00", "04"), "size": WHOLE}, {"faces": ("07",), "size": WHOLE}
    learn(tmp_path, [*dice.good(30, **many), *dice.good(few, **one)])
    model = tmp_path / "model.npz"
    assert [face.images for face in read(model).faces] == [30, 30, few]
    assert called(model, unseen(faces=("00", "04"))) <= 0.02
    found = scores(model, dice.good(20, **one))
    assert set(found["face"]) == {"07"}
    assert np.isfinite(found["defect_score"]).all()
    # Too little to know how a good one may look is no reason to call most of them.
    assert (found["verdict"] == "good").mean() >= 0.5


@pytest.mark.parametrize("each", [6, 20])
def test_few_images_of_every_face_do_not_make_every_part_an_anomaly(tmp_path, each):
    learn(tmp_path, dice.good(each, size=WHOLE))
    model = tmp_path / "model.npz"
    assert called(model, unseen(each)) <= 0.5
    assert called(model, dice.bad(10, size=WHOLE)) == 1


def test_a_single_image_makes_a_model(tmp_path):
    learn(tmp_path, dice.good(1, faces=("07",)))
    found = scores(tmp_path / "model.npz", dice.good(1, faces=("07",)))
    assert np.isfinite(found["defect_score"]).all()
    assert found["verdict"].tolist() == ["good"]


def test_equal_sources_give_equal_models(tmp_path):
    models = []
    for threads in (1, 2):
        folder = tmp_path / str(threads)
        folder.mkdir()
        source = samples.write_tar(folder / "dice.tar", [*dice.bad(4), *dice.good(12)])
        fit(FitSettings(Sources((source,)), str(folder / "m.npz"), threads=threads))
        models.append((folder / "m.npz").read_bytes())
    assert models[0] == models[1]


# Sizes


def test_images_of_another_size_are_worked_on_in_their_own(tmp_path):
    result = learn(tmp_path, dice.good(8, size=96))
    assert result.bank.image_size == result.bank.size == (96, 96)


def test_large_images_are_worked_on_in_at_most_256_pixels(tmp_path):
    result = learn(tmp_path, dice.good(2, faces=("00",), size=320))
    assert (result.bank.image_size, result.bank.size) == ((320, 320), (256, 256))


def test_a_size_that_is_asked_for_is_worked_in(tmp_path):
    learn(tmp_path, [*dice.bad(6), *dice.good(16)], size=48)
    model = tmp_path / "model.npz"
    assert (read(model).image_size, read(model).size) == ((64, 64), (48, 48))
    assert called(model, dice.bad(6)) == 1


def test_of_mixed_sizes_the_commonest_is_taken_and_the_rest_told(tmp_path):
    said = []
    other = [(name.replace("/", "/large_"), data) for name, data in dice.good(2, size=96)]
    result = learn(tmp_path, [*dice.good(8), *other], said.append)
    assert result.bank.image_size == (64, 64)
    assert result.left_out == {Reason.WRONG_SIZE: 6}
    assert "left out: 6 wrong_size" in said


def test_refuses_a_face_that_is_there_in_another_size_only(tmp_path):
    large = [(name, data) for name, data in dice.good(8, size=96) if name.startswith("00/")]
    small = [(name, data) for name, data in dice.good(8) if not name.startswith("00/")]
    with pytest.raises(
        Refusal, match=r"^00: none of its images is 64x64 pixels, as most are: bring them to one"
    ):
        learn(tmp_path, [*large, *small])
    assert not (tmp_path / "model.npz").exists()


@pytest.mark.parametrize("size", [0, -1, 31, 2049])
def test_refuses_a_size_out_of_range(size):
    with pytest.raises(Refusal, match=rf"--size {size}: give a number of pixels"):
        FitSettings(Sources(("a.tar",)), "m.npz", size=size)


def test_refuses_a_size_beyond_the_images(tmp_path):
    with pytest.raises(Refusal, match="--size 128: the images have only 64 pixels"):
        learn(tmp_path, dice.good(2), size=128)


def test_refuses_what_does_not_fit_in_memory_with_the_size_that_would(tmp_path):
    memory = 16 << 20
    with pytest.raises(Refusal, match=r"--size \d+ would fit") as refused:
        learn(tmp_path, dice.good(10), memory=memory)
    assert not (tmp_path / "model.npz").exists()
    size = int(str(refused.value).rsplit("--size ", 1)[1].split()[0])
    assert size < dice.SIZE
    with pytest.raises(Refusal, match="would fit"):
        learn(tmp_path, dice.good(10), memory=memory, size=size + 8)
    assert learn(tmp_path, dice.good(10), memory=memory, size=size).bank.size == (size, size)


def test_refuses_what_no_size_makes_fit(tmp_path):
    with pytest.raises(Refusal, match="give fewer images"):
        learn(tmp_path, dice.good(3), memory=1 << 20)


# Policies


@pytest.mark.parametrize("text", ["value=7.5", "recall=0.5", "fpr=0.1", "quantile=0.9"])
def test_a_policy_chooses_the_threshold(tmp_path, text):
    result = learn(tmp_path, [*dice.bad(10), *dice.good(20)], threshold=Policy.parse(text))
    total = result.total.confusion
    match text.partition("=")[0]:
        case "value":
            assert result.bank.thresholds["defect_score"] == 7.5
        case "recall":
            assert total.recall >= 0.5
        case _:
            # A tenth of sixty good ones, for better or worse.
            assert 3 <= total.fp <= 9


# The target


def test_a_fit_that_fails_leaves_the_model_that_was_there(tmp_path, monkeypatch):
    learn(tmp_path, dice.good(3))
    model = tmp_path / "model.npz"
    before = model.read_bytes()
    write = Bank.write

    def half(self, stream):
        content = BytesIO()
        write(self, content)
        stream.write(content.getvalue()[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Bank, "write", half)
    with pytest.raises(OSError, match="No space left"):
        learn(tmp_path, dice.good(4))
    assert model.read_bytes() == before
    assert samples.names(tmp_path) == ["model.npz", "teaching.tar"]
    monkeypatch.undo()
    learn(tmp_path, dice.good(4))
    assert [face.images for face in read(model).faces] == [4] * 3


@pytest.mark.parametrize("content", [b"", b"my notes", b"PK\x03\x04 and no more"])
def test_a_file_that_is_no_model_is_never_written_over(tmp_path, content):
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(Refusal, match="exists and is no model"):
        learn(tmp_path, dice.good(2))
    assert (tmp_path / "model.npz").read_bytes() == content


def test_an_archive_that_teaches_is_never_written_over(tmp_path):
    source = samples.write_zip(tmp_path / "dice.zip", dice.good(2))
    with pytest.raises(Refusal, match="exists and is no model"):
        fit(FitSettings(Sources((source,)), source))


@pytest.mark.parametrize(
    ("model", "told"),
    [("", "is a folder"), ("none/m.npz", "does not exist"), ("dice.tar/m.npz", "does not exist")],
)
def test_refuses_a_target_that_is_no_file(tmp_path, model, told):
    source = samples.write_tar(tmp_path / "dice.tar", dice.good(2))
    with pytest.raises(Refusal, match=told):
        fit(FitSettings(Sources((source,)), f"{tmp_path}/{model}"))


def test_refuses_to_learn_from_nothing():
    with pytest.raises(Refusal, match="no source"):
        FitSettings(Sources(bad=("bad.tar",)), "m.npz")


def test_images_that_look_mislabelled_are_named_and_teach_nothing(tmp_path):
    listed = dice.good(30, size=WHOLE)
    mistaken = [("00/other.jpg", dice.good(1, ["07"], seed=4, size=WHOLE)[0][1])]
    mistaken += [("04/bad.jpg", dice.bad(2, ["04"], size=WHOLE)[1][1])]
    result = learn(tmp_path, [*listed, *mistaken])
    assert {(suspect.face, suspect.name) for suspect in result.suspects} == {
        ("00", "00/other.jpg"),
        ("04", "04/bad.jpg"),
    }
    assert [face.images for face in read(tmp_path / "model.npz").faces] == [30, 30, 30]
    assert result.total.images == 90
