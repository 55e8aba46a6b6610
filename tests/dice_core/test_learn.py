import tracemalloc
from dataclasses import fields, replace

import numpy as np
import pytest

from dice_core.bank import Bank
from dice_core.learn import Learning, learn
from dice_core.score import Scorer
from dice_core.spread import FLOOR_BRIGHT, FLOOR_DARK
from dice_core.teach import teach


def scores(bank, images):
    return Scorer(bank).score(images)


def assert_equal_faces(one, other):
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), field.name)


def test_a_lesson_is_of_the_shapes_that_scoring_needs(lessons, samples, learning):
    for lesson, (name, sample) in zip(lessons, samples.items(), strict=True):
        assert lesson.held_out
        assert (lesson.face.name, lesson.face.images) == (name, 24)
        assert len(lesson.without) == learning.folds
        np.testing.assert_array_equal(lesson.fold_of, sample.folds(learning.folds))
        np.testing.assert_allclose(lesson.face.mean, sample.images.mean(axis=0), atol=1e-3)
        for face in (lesson.face, *lesson.without):
            assert face.components.shape == (4, 32 * 32)
            np.testing.assert_allclose(face.components @ face.components.T, np.eye(4), atol=1e-5)
            assert face.spread_dark.min() >= np.float32(FLOOR_DARK)
            assert face.spread_bright.min() >= np.float32(FLOOR_BRIGHT)


def test_a_fold_is_learnt_without_its_images(samples, lessons, learning, sample_of):
    one = samples["one"]
    fold = lessons[0].fold_of == 1
    others = one.images[~fold].mean(axis=0)
    np.testing.assert_allclose(lessons[0].without[1].mean, others, atol=1e-3)
    changed = one.images.copy()
    changed[fold] = changed[fold][:, ::-1]
    again = learn({"one": sample_of(changed)}, learning)[0]
    np.testing.assert_array_equal(again.without[1].mean, lessons[0].without[1].mean)
    assert np.abs(again.face.mean - lessons[0].face.mean).max() > 1


def test_a_blob_on_a_good_part_scores_far_above_all_good_ones_and_is_boxed(learnt, draw_faces):
    for face in (0, 1):
        good = draw_faces(face, 12, seed=9)
        highest = scores(learnt, good)["defect_score"].max()
        for grey, y, x in ((10, 18, 9), (60, 8, 17)):
            bad = good[:1].copy()
            bad[0, y : y + 4, x : x + 5] = grey
            found = scores(learnt, bad)
            assert found["defect_score"][0] > 2 * highest
            assert found["verdict"][0] == "anomaly"
            left, top = found["defect_x"][0], found["defect_y"][0]
            assert left <= x + 1
            assert top <= y + 1
            assert left + found["defect_width"][0] >= x + 4
            assert top + found["defect_height"][0] >= y + 3
            assert found["defect_area"][0] < 80


def test_unseen_good_parts_are_good_and_of_their_face(learnt, draw_faces):
    for face, name in enumerate(("one", "two")):
        found = scores(learnt, draw_faces(face, 30, seed=5))
        assert set(found["face"]) == {name}
        assert (found["verdict"] == "good").mean() > 0.9


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("copies", [1, 3])
def test_a_face_of_few_images_is_learnt(draw_faces, sample_of, samples, learning, count, copies):
    few = sample_of(draw_faces(2, count))
    lessons = learn({"one": samples["one"], "few": few}, replace(learning, copies=copies))
    assert [lesson.held_out for lesson in lessons] == [True, False]
    for face in (lessons[1].face, *lessons[1].without):
        for name in ("mean", "target", "centre", "components", "spread_dark", "spread_bright"):
            assert np.isfinite(getattr(face, name)).all(), name
    bank = Bank((32, 32), (32, 32), (lessons[1].face,), (), 0.3, {"defect_score": 5.0}, frozenset())
    bad = few.images[:1].copy()
    bad[0, 18:22, 9:14] = 10
    assert scores(bank, bad)["defect_score"][0] > 2 * scores(bank, few.images)["defect_score"].max()


def test_what_few_images_show_of_their_spread_is_not_believed_where_other_faces_know_better(
    draw_faces, sample_of, learning, rng
):
    noisy = np.clip(draw_faces(0, 24) + rng.normal(0, 20, (24, 32, 32)), 0, 255).astype(np.uint8)
    drawn = {"noisy": sample_of(noisy), "few": sample_of(draw_faces(2, 2))}
    known, few = learn(drawn, learning)
    alone = learn({"few": drawn["few"]}, learning)[0].face
    for face in (few.face, *few.without):
        assert (face.spread_dark >= known.face.spread_dark).all()
        assert (face.spread_bright >= known.face.spread_bright).all()
    assert np.median(alone.spread_dark) < 0.7 * np.median(few.face.spread_dark)


@pytest.mark.parametrize("grey", [0, 130, 255])
def test_a_face_without_a_pattern_is_learnt(grey, sample_of, learning):
    images = np.full((24, 32, 32), grey, np.uint8)
    face = learn({"flat": sample_of(images)}, learning)[0].face
    assert np.isfinite(face.components).all()
    bank = Bank((32, 32), (32, 32), (face,), (), 0.0, {"defect_score": 1.0}, frozenset())
    assert scores(bank, images)["defect_score"].max() < 0.5
    images[:, 10:20, 10:20] //= 2
    assert not grey or scores(bank, images)["defect_score"].min() > 5


@pytest.mark.parametrize("threads", [1, 2])
def test_equal_seeds_learn_the_same_on_any_number_of_threads(samples, lessons, learning, threads):
    told = []
    again = learn(samples, learning, threads=threads, progress=told.append)
    assert sorted(told) == ["one", "two"]
    for one, other in zip(lessons, again, strict=True):
        assert_equal_faces(one.face, other.face)
        for without, same in zip(one.without, other.without, strict=True):
            assert_equal_faces(without, same)


def test_another_seed_draws_other_copies(samples, lessons, learning):
    other = learn(samples, replace(learning, seed=1))
    assert (other[0].face.components != lessons[0].face.components).any()


def test_a_smaller_working_size_learns_smaller_faces(draw_faces, sample_of, learning):
    lesson = learn({"one": sample_of(draw_faces(0, 24, side=64))}, learning)[0]
    assert lesson.face.mean.shape == (32, 32)


def test_nothing_to_learn_from_is_refused(nothing, samples, learning):
    for wrong in ({}, {"none": nothing}, {**samples, "none": nothing}):
        with pytest.raises(ValueError, match="face"):
            learn(wrong, learning)


@pytest.fixture
def memory_of(draw_faces, sample_of, nothing):
    """Bytes that teaching takes, and those stated before."""

    def memory_of(learning, side, count, faces, threads):
        drawn = {str(face): sample_of(draw_faces(face % 2, count, face, side)) for face in range(faces)}
        # What is compiled once is no one's.
        teach({"0": sample_of(draw_faces(0, 24, side=side))}, nothing, replace(learning, components=4))
        tracemalloc.start()
        try:
            teach(drawn, nothing, learning, threads=threads)
            taken = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        images = sum(sample.images.nbytes for sample in drawn.values())
        return taken + images, learning.memory((side, side), [count] * faces, threads)

    return memory_of


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize(
    ("side", "size", "count", "faces", "components"),
    [
        (64, 64, 60, 1, 8),
        (64, 64, 30, 3, 20),
        (128, 128, 20, 3, 20),
        (150, 150, 12, 2, 60),
        (256, 128, 24, 1, 8),
    ],
)
def test_no_more_memory_is_taken_than_is_stated_and_about_as_much(
    memory_of, folds, side, size, count, faces, components
):
    taken, stated = memory_of(Learning((size, size), components, folds=folds), side, count, faces, 1)
    assert 0.5 * stated < taken < stated


@pytest.mark.parametrize(
    ("side", "count", "faces", "threads"), [(128, 60, 1, 27), (64, 60, 3, 16), (512, 16, 1, 1)]
)
def test_nor_by_many_threads_or_of_large_images(memory_of, side, count, faces, threads):
    taken, stated = memory_of(Learning((side, side), 20), side, count, faces, threads)
    assert taken < stated


def test_stated_memory_grows_with_all_that_takes_it():
    least = Learning((64, 64)).memory((64, 64), [50, 40], 1)
    assert Learning((96, 96)).memory((64, 64), [50, 40], 1) > least
    assert Learning((64, 64), components=120).memory((64, 64), [50, 40], 1) > least
    assert Learning((64, 64), copies=4).memory((64, 64), [50, 40], 1) > least
    assert Learning((64, 64)).memory((640, 640), [50, 40], 1) > least
    assert Learning((64, 64)).memory((64, 64), [51, 40], 1) > least
    assert Learning((64, 64)).memory((64, 64), [50, 40], 1, defective=9) > least
    two, eight, many, more = (
        Learning((64, 64)).memory((64, 64), [50, 40], threads) for threads in (2, 8, 27, 99)
    )
    # There are two faces, three folds and nine draws.
    assert least < two < eight < many == more
