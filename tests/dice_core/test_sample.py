import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_core.sample import RUN_LENGTH, Sampler

streams = st.lists(st.integers(0, 40), max_size=120)


def content_hash(number):
    return f"{(number * 2654435761 + 12345) % 2**32:032x}"


def sampled(numbers, capacity=1000):
    sampler = Sampler(capacity)
    for at, number in enumerate(numbers):
        sampler.add(np.full((2, 3), number, np.uint8), content_hash(number), f"{at}.png")
    assert sampler.seen == len(numbers)
    return sampler.sample()


def run_of(sample):
    return {int(image[0, 0]): int(run) for image, run in zip(sample.images, sample.runs, strict=True)}


@settings(max_examples=60)
@given(streams, st.integers(1, 50))
def test_the_images_of_lowest_hash_are_kept_once_each_and_their_repeats_counted(numbers, capacity):
    sample = sampled(numbers, capacity)
    kept = sorted(set(numbers), key=content_hash)[:capacity]
    assert len(sample) == len(kept) <= capacity
    assert set(sample.hashes) == {content_hash(number) for number in kept}
    for image, name, content, repeats in zip(
        sample.images, sample.names, sample.hashes, sample.repeats, strict=True
    ):
        number = int(image[0, 0])
        assert content == content_hash(number)
        assert repeats == numbers.count(number)
        assert name == f"{numbers.index(number)}.png"


@settings(max_examples=40)
@given(st.data(), streams, st.integers(1, 50))
def test_what_is_kept_does_not_depend_on_the_order(data, numbers, capacity):
    other = data.draw(st.permutations(numbers))
    one, two = sampled(numbers, capacity), sampled(other, capacity)
    assert dict(zip(one.hashes, one.repeats.tolist(), strict=True)) == dict(
        zip(two.hashes, two.repeats.tolist(), strict=True)
    )


def test_the_sample_is_in_the_order_of_the_stream():
    sample = sampled([7, 3, 9, 3, 1])
    assert sample.images[:, 0, 0].tolist() == [7, 3, 9, 1]
    assert sample.names == ("0.png", "1.png", "2.png", "4.png")


def test_frames_that_follow_each_other_are_a_run():
    sample = sampled(range(2 * RUN_LENGTH + 1))
    assert sample.runs.tolist() == [0] * RUN_LENGTH + [1] * RUN_LENGTH + [2]


@pytest.mark.parametrize("at", [RUN_LENGTH, RUN_LENGTH + 4, 2 * RUN_LENGTH - 1])
def test_a_run_that_repeats_a_photograph_joins_its_run_whole(at):
    numbers = list(range(3 * RUN_LENGTH))
    numbers[at] = 2
    runs = run_of(sampled(numbers))
    assert {runs[number] for number in numbers[: 2 * RUN_LENGTH]} == {0}
    assert {runs[number] for number in numbers[2 * RUN_LENGTH :]} == {2}


def test_a_repeat_within_a_run_changes_nothing():
    runs = run_of(sampled([*range(RUN_LENGTH), RUN_LENGTH, RUN_LENGTH, RUN_LENGTH + 1]))
    assert runs[0] == 0
    assert runs[RUN_LENGTH] == runs[RUN_LENGTH + 1] == 1


def test_a_run_that_joined_a_joined_run_is_of_the_first():
    numbers = list(range(3 * RUN_LENGTH))
    numbers[RUN_LENGTH + 3] = 0
    numbers[2 * RUN_LENGTH + 5] = RUN_LENGTH + 7
    assert set(run_of(sampled(numbers)).values()) == {0}


@settings(max_examples=60)
@given(streams, st.integers(1, 50), st.integers(2, 5))
def test_folds_never_divide_a_run_and_are_as_many_as_the_runs_allow(numbers, capacity, count):
    sample = sampled(numbers, capacity)
    folds = sample.folds(count)
    assert folds.shape == (len(sample),)
    for run in set(sample.runs.tolist()):
        assert len(set(folds[sample.runs == run].tolist())) == 1
    assert set(folds.tolist()) == set(range(min(count, len(set(sample.runs.tolist())))))
    assert len(set(sample.hashes)) == len(sample)


def test_folds_hold_about_as_many_runs_each():
    sample = sampled(range(9 * RUN_LENGTH))
    assert np.bincount(sample.folds(3)).tolist() == [3 * RUN_LENGTH] * 3


def test_a_stream_without_images_gives_an_empty_sample():
    sample = sampled([])
    assert len(sample) == 0
    assert sample.folds(3).tolist() == []


def test_a_sample_for_no_image_is_refused():
    with pytest.raises(ValueError, match="not 0"):
        Sampler(0)


def test_only_some_of_a_sample_keep_what_belongs_to_them():
    sample = sampled([4, 4, 7, 9, 1])
    some = sample.only(np.array([True, False, False, True]))
    assert some.images[:, 0, 0].tolist() == [4, 1]
    assert some.repeats.tolist() == [2, 1]
    assert some.names == ("0.png", "4.png")
    assert some.hashes == (sample.hashes[0], sample.hashes[3])
    assert some.runs.tolist() == sample.runs[[0, 3]].tolist()
    assert len(sample.only(np.zeros(4, bool))) == 0
