from dataclasses import replace

import numpy as np
import pytest

from dice_core.augment import augment
from dice_core.bank import Bank
from dice_core.crossfit import (
    FEWEST_PER_FACE,
    HIGHEST_FLOOR,
    HIGHEST_PREVALENCE,
    OTHER_DAY_RATE,
    CrossFit,
    choose_face_thresholds,
    choose_thresholds,
    cross_fit,
    expect,
    ncc_floor,
)
from dice_core.expectation import Expectation
from dice_core.learn import learn
from dice_core.policy import Policy, highest_f1
from dice_core.rows import SCORE_DIRECTIONS
from dice_core.score import Scorer
from dice_core.tail import Tail


def columns(values, direction=1):
    """Every score column with the same values, the worse the farther along its direction."""
    values = np.asarray(values, np.float32)
    return {name: values * (own * direction) for name, own in SCORE_DIRECTIONS.items()}


def crossfit_of(good, bad=(), shifted=None):
    return CrossFit(columns(good), (columns(good if shifted is None else shifted),), columns(bad))


def correlating(good, shifted):
    return CrossFit({"ncc": np.array(good)}, ({"ncc": np.array(shifted)},), {"ncc": np.empty(0)})


def without_fold(lessons, fold):
    faces = tuple(lesson.without[fold] for lesson in lessons)
    return Bank((32, 32), (32, 32), faces, (), -1.0, {"defect_score": np.inf}, frozenset())


def test_every_image_is_judged_without_its_fold_and_in_order(samples, lessons, crossfit, learning):
    images = np.concatenate([sample.images for sample in samples.values()])
    folds = np.concatenate([lesson.fold_of for lesson in lessons])
    assert set(folds.tolist()) == {0, 1, 2}
    assert len(crossfit.shifted) == learning.draws > 1
    for fold in range(3):
        bank, own = without_fold(lessons, fold), folds == fold
        expected = [Scorer(bank).score(images[own])]
        for draw in range(learning.draws):
            rng = np.random.default_rng([learning.seed, 2, fold, draw])
            copies = augment(images[own], 1, rng)
            expected.append(Scorer(bank, rng).score(copies))
        for found, wanted in zip((crossfit.good, *crossfit.shifted), expected, strict=True):
            assert len(found["ncc"]) == len(images)
            for name in SCORE_DIRECTIONS:
                np.testing.assert_allclose(found[name][own], wanted[name], rtol=1e-4, atol=1e-6)
    assert crossfit.good["face"].tolist() == ["one"] * 24 + ["two"] * 24


def test_an_image_unlike_the_others_is_not_excused_by_having_taught(draw_faces, sample_of, nothing, learning):
    images = draw_faces(0, 24)
    images[13, 17:22, 8:14] = 10
    sample = {"one": sample_of(images)}
    learning = replace(learning, components=12, copies=0, least=0)
    lessons = learn(sample, learning)
    own = cross_fit(sample, lessons, nothing, learning).good["defect_score"]
    bank = Bank((32, 32), (32, 32), (lessons[0].face,), (), 0.0, {"defect_score": 1.0}, frozenset())
    whole = Scorer(bank).score(images)["defect_score"]
    assert own.argmax() == 13
    assert own[13] > 3 * whole[13]
    assert own[13] > 2 * np.delete(own, 13).max()


def test_bad_images_are_judged_in_their_order_by_one_fold_each(
    samples, lessons, learning, draw_faces, sample_of, crossfit
):
    bad = np.concatenate([draw_faces(0, 5, seed=3), draw_faces(1, 6, seed=3)])
    for number, image in enumerate(bad):
        image[18:22, 9 : 10 + number % 5] = 5
    sample = sample_of(bad, runs=[5, 5, 2, 2, 9, 9, 9, 0, 0, 4, 4])
    found = cross_fit(samples, lessons, sample, learning).bad
    folds = sample.folds(3)
    assert found["face"].tolist() == ["one"] * 5 + ["two"] * 6
    for at, fold in enumerate(folds):
        expected = Scorer(without_fold(lessons, fold)).score(bad[at : at + 1])["defect_score"]
        assert found["defect_score"][at] == pytest.approx(expected[0], rel=1e-4)
    assert np.median(found["defect_score"]) > crossfit.good["defect_score"].max()


def test_no_bad_image_gives_columns_without_rows(crossfit):
    assert crossfit.bad.keys() == crossfit.good.keys()
    assert {len(column) for column in crossfit.bad.values()} == {0}


def test_more_threads_find_the_same(samples, lessons, nothing, learning, crossfit):
    again = cross_fit(samples, lessons, nothing, learning, threads=2)
    for found, wanted in zip((again.good, *again.shifted), (crossfit.good, *crossfit.shifted), strict=True):
        for name, column in wanted.items():
            np.testing.assert_array_equal(found[name], column)


def test_each_draw_is_of_other_copies(crossfit):
    scores = [tuple(draw["defect_score"].tolist()) for draw in (crossfit.good, *crossfit.shifted)]
    assert len(set(scores)) == len(scores)
    every = crossfit.every_copy["defect_score"].tolist()
    assert every == [score for draw in scores[1:] for score in draw]


def test_faces_of_too_few_runs_are_judged_too(draw_faces, sample_of, nothing, learning):
    few = {"one": sample_of(draw_faces(0, 2)), "two": sample_of(draw_faces(1, 1))}
    found = cross_fit(few, learn(few, learning), nothing, learning).good
    assert found["face"].tolist() == ["one", "one", "two"]
    assert np.isfinite(found["defect_score"]).all()


@pytest.mark.parametrize(
    ("good", "shifted", "floor"),
    [
        ([1.0] * 9, [1.0] * 9, HIGHEST_FLOOR),
        ([0.99] * 9, [0.95] * 9, HIGHEST_FLOOR),
        ([0.99] * 9, [0.8] * 9, 0.5),
        ([0.8] * 9, [0.99] * 9, 0.5),
        ([0.0] * 9, [0.0] * 9, 0.0),
        ([-1.0], [0.9], 0.0),
    ],
)
def test_the_floor_is_well_under_what_good_parts_reach(good, shifted, floor):
    found = ncc_floor(correlating(good, shifted))
    assert found == pytest.approx(floor)
    assert 0 <= found <= HIGHEST_FLOOR


@pytest.mark.parametrize("column", SCORE_DIRECTIONS)
def test_a_threshold_lies_between_good_and_bad_where_they_separate(column):
    direction = SCORE_DIRECTIONS[column]
    good = np.linspace(1, 2, 50)
    # As far as other light and pose are concerned, the whole gap would do.
    found = direction * choose_thresholds(crossfit_of(good, [8, 9], good * 4), Policy())[column]
    assert 2 < found <= 8
    near = direction * choose_thresholds(crossfit_of(good, [800, 900]), Policy())[column]
    assert near == pytest.approx(Tail.fit(good.astype(np.float32).astype(float)).threshold(OTHER_DAY_RATE))
    assert 2 < near < 3


@pytest.mark.parametrize("policy", [Policy(), Policy("recall", 1.0), Policy("cost", 50, 1)], ids=str)
@pytest.mark.parametrize("column", SCORE_DIRECTIONS)
def test_without_bad_images_the_tail_of_other_light_and_pose_decides(column, policy):
    good = np.linspace(1, 2, 50).astype(np.float32)
    chosen = choose_thresholds(crossfit_of(good, [], good * 2), policy, 0.0005)
    found = SCORE_DIRECTIONS[column] * chosen[column]
    assert found == pytest.approx(Tail.fit(good.astype(float) * 2).threshold(OTHER_DAY_RATE))
    assert found > 4


@pytest.mark.parametrize("bad", [[], [8, 9]], ids=["no defect", "defects"])
@pytest.mark.parametrize("column", SCORE_DIRECTIONS)
def test_a_threshold_is_the_median_of_those_by_each_draw(column, bad):
    good = np.linspace(1, 2, 50)
    draws = [good * times for times in (1.3, 1.1, 1000.0, 1.2, 1.4)]
    alone = [choose_thresholds(crossfit_of(good, bad, shifted), Policy())[column] for shifted in draws]
    every = CrossFit(columns(good), tuple(columns(shifted) for shifted in draws), columns(bad))
    assert choose_thresholds(every, Policy())[column] == sorted(alone)[2]
    # Between two it is one of them, for their mean may be a score.
    even = CrossFit(columns(good), every.shifted[:2], columns(bad))
    assert choose_thresholds(even, Policy())[column] in alone[:2]


def test_a_floor_is_the_median_of_those_by_each_draw():
    good, draws = [0.99] * 9, ([0.85] * 9, [0.3] * 9, [0.8] * 9)
    floors = [ncc_floor(correlating(good, shifted)) for shifted in draws]
    every = CrossFit(
        {"ncc": np.array(good)},
        tuple({"ncc": np.array(shifted)} for shifted in draws),
        {"ncc": np.empty(0)},
    )
    assert ncc_floor(every) == sorted(floors)[1] == pytest.approx(0.5)


@pytest.mark.parametrize("column", SCORE_DIRECTIONS)
def test_the_highest_f1_is_of_good_ones_and_copies_and_of_the_share_that_is_told(column):
    rng = np.random.default_rng(0)
    good, shifted, bad = rng.exponential(size=300), 1 + rng.exponential(size=300), rng.normal(12, 2, 9)
    fit = crossfit_of(good, bad, shifted)
    everywhere = np.concatenate([good, shifted]).astype(np.float32).astype(float)
    known = bad.astype(np.float32).astype(float)
    for told, share in ((None, 9 / 309), (0.0001, 0.0001), (0.3, 0.3)):
        chosen = SCORE_DIRECTIONS[column] * choose_thresholds(fit, Policy(), told)[column]
        assert chosen == min(
            highest_f1(everywhere, known, share), Tail.fit(everywhere[300:]).threshold(OTHER_DAY_RATE)
        )
    many = crossfit_of(good, np.tile(bad, 10), shifted)
    assert choose_thresholds(many, Policy()) == choose_thresholds(many, Policy(), HIGHEST_PREVALENCE)


def test_a_face_without_a_known_defect_is_not_taken_for_the_worst():
    fit = two_faces(100, bad=[("b", 90.0 + n) for n in range(8)])
    share = 8 / 208
    assert choose_face_thresholds(fit, Policy()) == choose_face_thresholds(fit, Policy(), share)


def test_every_draw_has_a_say_in_the_thresholds_of_a_face():
    fit = two_faces(100, bad=[])
    draws = tuple(
        {name: values if name == "face" else values * times for name, values in fit.good.items()}
        for times in (1.0, 3.0, 2.0)
    )
    every = choose_face_thresholds(replace(fit, shifted=draws), Policy())
    assert every == choose_face_thresholds(replace(fit, shifted=draws[2:]), Policy())


def test_a_threshold_hangs_less_on_chance_than_one_draw():
    rng = np.random.default_rng(0)
    good = rng.exponential(size=300)

    def spread(draws):
        chosen = [
            choose_thresholds(
                CrossFit(
                    columns(good),
                    tuple(columns(2 * rng.exponential(size=300)) for _ in range(draws)),
                    columns([]),
                ),
                Policy(),
            )["defect_score"]
            for _ in range(40)
        ]
        return np.std(chosen) / np.mean(chosen)

    assert spread(9) < spread(1) / 1.6


def test_a_value_is_the_defect_scores_and_the_other_columns_choose_for_themselves():
    fit = crossfit_of(np.linspace(1, 2, 50), [8, 9])
    found, best = (choose_thresholds(fit, policy) for policy in (Policy("value", 42.0), Policy()))
    assert found.pop("defect_score") == 42
    assert all(best[name] == value for name, value in found.items())


def test_recall_and_fpr_follow_the_direction_of_their_column():
    fit = crossfit_of(np.linspace(0, 2, 201), [1.5, 3.0, 4.0])
    for column, value in choose_thresholds(fit, Policy("recall", 1.0)).items():
        direction = SCORE_DIRECTIONS[column]
        assert (direction * fit.bad[column] >= direction * value).all()
    for column, value in choose_thresholds(fit, Policy("fpr", 0.1)).items():
        direction = SCORE_DIRECTIONS[column]
        assert (direction * fit.good[column] >= direction * value).mean() == pytest.approx(0.1, abs=0.01)


def test_all_columns_have_a_threshold(crossfit):
    assert choose_thresholds(crossfit, Policy()).keys() == SCORE_DIRECTIONS.keys()


# Faces


def of_faces(values, faces):
    return {**columns(values), "face": np.array(faces, object)}


def two_faces(few=FEWEST_PER_FACE, bad=(("b", 90.0),)):
    """A face whose good images score ten times as high as another's."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.exponential(size=100), 10 * rng.exponential(size=few)])
    good = of_faces(values, ["a"] * 100 + ["b"] * few)
    return CrossFit(good, (good,), of_faces([value for _, value in bad], [face for face, _ in bad]))


@pytest.mark.parametrize("text", ["f1", "recall=1", "fpr=0.05", "quantile=0.9", "budget=5/100"])
def test_each_face_chooses_from_its_own_images(text):
    fit, policy = two_faces(bad=[("a", 30.0), ("b", 200.0)]), Policy.parse(text)
    own = choose_face_thresholds(fit, policy)
    assert own.keys() == {"a", "b"}
    for face, thresholds in own.items():
        good, shifted, bad = (
            {column: values[stack["face"] == face] for column, values in stack.items()}
            for stack in (fit.good, *fit.shifted, fit.bad)
        )
        assert thresholds == choose_thresholds(CrossFit(good, (shifted,), bad), policy)
    assert 3 * own["a"]["defect_score"] < own["b"]["defect_score"]


def test_a_face_without_a_known_defect_borrows_those_of_all():
    fit = two_faces(bad=[("b", 9.0)])
    policy = Policy("recall", 1.0)
    own = choose_face_thresholds(fit, policy)
    assert own["a"]["defect_score"] <= 9
    none = choose_face_thresholds(two_faces(bad=[]), Policy())
    assert none["a"]["defect_score"] > fit.good["defect_score"][:100].max()


def test_a_face_with_few_good_images_goes_by_the_thresholds_of_all():
    assert choose_face_thresholds(two_faces(FEWEST_PER_FACE - 1), Policy()).keys() == {"a"}


# What is expected


def test_what_is_expected_is_what_the_thresholds_of_the_faces_do(make_bank, make_face):
    fit = two_faces(100, bad=[("a", 5.0), ("b", 5.0), ("b", 200.0)])
    fit.good["ncc"][:] = fit.bad["ncc"][:] = 0.9
    fit.good["ncc"][:4] = 0.1
    bank = make_bank(
        faces=(make_face("a"), make_face("b")),
        thresholds={name: direction * 50.0 for name, direction in SCORE_DIRECTIONS.items()},
        face_thresholds={"a": {"defect_score": 3.0}},
        ncc_floor=0.5,
    )
    found = expect(fit, bank, np.arange(200) // 4, np.arange(3))
    assert found.keys() == SCORE_DIRECTIONS.keys()
    limits = np.repeat([3.0, 50.0], 100)
    told = found["defect_score"]
    assert told == Expectation.of(
        fit.good["defect_score"].astype(float) - limits,
        np.arange(200) < 4,
        np.arange(200) // 4,
        np.array([True, False, True]),
        np.arange(3),
    )
    assert (told.good, told.good_groups, told.bad, told.recall.value) == (200, 50, 3, 2 / 3)
    # Without thresholds of its own the face goes by that of all, in the column's direction.
    assert found["ssim"].recall.value == 1 / 3


def test_an_unknown_part_is_called_whatever_it_scores(make_bank, make_face):
    fit = two_faces(bad=[("a", 0.0)] * 4)
    fit.good["ncc"][:], fit.bad["ncc"][:] = 0.9, [0.1, 0.9, 0.9, 0.9]
    bank = make_bank(faces=(make_face("a"), make_face("b")), thresholds=dict.fromkeys(SCORE_DIRECTIONS, 50.0))
    assert expect(fit, bank, np.arange(150), np.arange(4))["defect_score"].recall.value == 0.25
