import io
import os
import tarfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.feature import match_template

from dice_core.match import ShiftTemplates, Templates, ncc, ncc_shift

SIZES = [(128, 128), (11, 11), (20, 131), (37, 16)]


def crops(size, count, seed=0):
    """Pieces of two photographs, as different as pieces of photographs are."""
    rng = np.random.default_rng(seed)
    pieces = []
    for number in range(count):
        picture = (data.camera, data.coins)[number % 2]()
        y, x = (rng.integers(0, whole - part + 1) for whole, part in zip(picture.shape, size, strict=True))
        pieces.append(picture[y : y + size[0], x : x + size[1]])
    return np.stack(pieces)


def noise(size, count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size), dtype=np.uint8)


def faint(size, count, seed=0):
    """Bright images that differ from flat by single grey values."""
    return (noise(size, count, seed) % 17 == 0).astype(np.uint8) + np.uint8(240)


def photographs(count):
    folder = os.environ.get("DICE_PHOTOGRAPHS")
    if not folder:
        pytest.skip(
            "DICE_PHOTOGRAPHS does not name the folder of dice_known.tar: no real photograph was compared"
        )
    with tarfile.open(Path(folder) / "dice_known.tar") as archive:
        names = [name for name in archive.getnames() if name.endswith((".png", ".jpg"))]
        chosen = names[:: len(names) // count][:count]
        return np.stack(
            [iio.imread(io.BytesIO(archive.extractfile(name).read()), mode="L") for name in chosen]
        )


def plainly(images, templates, shift=0):
    """What scikit-image says: the best place of each template, cropped by the shift, in each image."""
    crop = slice(shift, -shift or None)
    return np.array(
        [
            [
                match_template(image.astype(np.float64), template[crop, crop].astype(np.float64)).max()
                for template in templates
            ]
            for image in images
        ]
    )


def assert_as_scikit_image(images, templates):
    scores = ncc(images, templates)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, plainly(images, templates), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [crops, noise, faint])
def test_equals_scikit_image(kind, size):
    images, templates = kind(size, 5), kind(size, 4, seed=1)
    assert_as_scikit_image(images, templates)
    assert_as_scikit_image(images, templates.astype(np.float32) * np.float32(0.37) + np.float32(0.1))
    assert_as_scikit_image(images.astype(np.float32) / 3, templates)
    assert_as_scikit_image(255 - images, np.concatenate([images, templates]))


def test_equals_scikit_image_on_real_photographs():
    images = photographs(12)
    assert_as_scikit_image(images, images[::3])
    assert_as_scikit_image(255 - images, images[::3].astype(np.float32) * 0.9)


@pytest.mark.parametrize("value", [0, 1, 100, 255])
@pytest.mark.parametrize("size", [(128, 128), (13, 17)])
def test_flat_is_zero(value, size):
    flat = np.full((1, *size), value, np.uint8)
    both = np.concatenate([flat, noise(size, 1)])
    for kind in (np.uint8, np.float32):
        scores = ncc(both.astype(kind), both)
        assert scores[0, 0] == scores[0, 1] == scores[1, 0] == 0
        assert scores[1, 1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("value", [0.1, 77.7, 254.99])
def test_flat_float_is_zero(value):
    flat = np.full((3, 21, 23), value, np.float32)
    assert not ncc(flat, noise((21, 23), 2)).any()
    assert not ncc(noise((21, 23), 2), flat).any()


pictures = arrays(np.uint8, (13, 12)).filter(lambda image: np.ptp(image) > 0)


@settings(max_examples=40, deadline=None)
@given(image=pictures, template=pictures)
def test_bounded_and_symmetric(image, template):
    score = ncc(image[None], template[None])[0, 0]
    assert -1 <= score <= 1
    assert ncc(template[None], image[None])[0, 0] == pytest.approx(score, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(image=pictures, template=pictures, gain=st.floats(0.125, 8), offset=st.floats(-200, 200))
def test_blind_to_gain_and_offset(image, template, gain, offset):
    brighter = (image[None] * gain + offset).astype(np.float32)
    assert ncc(brighter, template[None])[0, 0] == pytest.approx(
        ncc(image[None], template[None])[0, 0], abs=2e-4
    )


@settings(max_examples=40, deadline=None)
@given(image=pictures)
def test_itself_is_one_and_its_negative_minus_one(image):
    assert ncc(image[None], image[None])[0, 0] == pytest.approx(1, abs=1e-6)
    assert ncc(255 - image[None], image[None])[0, 0] == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize("size", [(20, 22), (128, 128)])
def test_bright_float_images_that_vary_by_their_last_bits(size):
    steps = noise(size, 3) % 4
    bright, templates = (
        np.float32(240) + steps.astype(np.float32) * np.float32(2**-16),
        noise(size, 2, seed=1),
    )
    templates[0] = steps[1] * 60
    np.testing.assert_allclose(ncc(bright, templates), plainly(steps, templates), rtol=0, atol=1e-5)
    shifted, _, _ = ncc_shift(bright, templates, 3)
    np.testing.assert_allclose(shifted, plainly(steps, templates, 3), rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 11])
def test_a_score_does_not_depend_on_its_batch(count):
    images, templates = crops((64, 48), 70), Templates.of(crops((64, 48), count, seed=1))
    together = ncc(images, templates)
    for part in (slice(0, 1), slice(3, 9), slice(30, 67)):
        np.testing.assert_array_equal(together[part], ncc(images[part], templates))


def test_prepared_templates_score_the_same():
    images, templates = crops((32, 40), 3), crops((32, 40), 4, seed=1)
    np.testing.assert_array_equal(ncc(images, Templates.of(templates)), ncc(images, templates))
    raw = ncc_shift(images, templates, 3)
    for prepared in (
        Templates.of(templates),
        ShiftTemplates.of(templates, 3),
        ShiftTemplates.of(Templates.of(templates), 3),
    ):
        for one, other in zip(ncc_shift(images, prepared, 3), raw, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shift", [0, 1, 4])
@pytest.mark.parametrize("size", [(64, 64), (11, 13), (29, 40)])
@pytest.mark.parametrize("kind", [crops, noise])
def test_shift_equals_scikit_image(kind, size, shift):
    images, templates = kind(size, 3), kind(size, 3, seed=1)
    for one in (images, images.astype(np.float32) / 3):
        scores, _, _ = ncc_shift(one, templates, shift)
        np.testing.assert_allclose(scores, plainly(one, templates, shift), rtol=0, atol=1e-5)


def test_shift_equals_scikit_image_on_real_photographs():
    images = photographs(3)
    scores, _, _ = ncc_shift(images, images[:2], 4)
    np.testing.assert_allclose(scores, plainly(images, images[:2], 4), rtol=0, atol=1e-5)


@st.composite
def cases(draw):
    """Images and templates of any size and shift, from flat through nearly flat to noise."""
    size = draw(st.tuples(st.integers(1, 40), st.integers(1, 70)))
    shift = draw(st.integers(0, (min(size) - 1) // 2))
    kind = draw(st.sampled_from([np.uint8, np.float32]))
    levels = st.sampled_from([1, 2, 5, 256])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    images, templates = (
        np.stack([draw(st.integers(0, 255)) // level + rng.integers(0, level, size) for level in drawn])
        for drawn in (draw(st.lists(levels, min_size=1, max_size=3)), draw(st.lists(levels, min_size=1)))
    )
    return images.clip(0, 255).astype(kind), templates.clip(0, 255).astype(np.uint8), shift


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_shift_equals_scikit_image_at_any_size(case):
    images, templates, shift = case
    scores, dy, dx = ncc_shift(images, templates, shift)
    np.testing.assert_allclose(scores, plainly(images, templates, shift), rtol=0, atol=1e-5)
    assert max(np.abs(dy).max(), np.abs(dx).max()) <= shift
    np.testing.assert_allclose(ncc(images, templates), plainly(images, templates), rtol=0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(image=arrays(np.uint8, (13, 12)), template=pictures, shift=st.integers(0, 5))
def test_shift_equals_scikit_image_where_few_pixels_vary(image, template, shift):
    scores, _, _ = ncc_shift(image[None], template[None], shift)
    np.testing.assert_allclose(scores, plainly(image[None], template[None], shift), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_faint_windows_inside_a_bright_frame_equal_scikit_image(kind):
    # The frame is outside of most windows but has nearly all of the image's energy.
    images = np.pad(noise((90, 90), 3) // 128, 3, constant_values=255).astype(kind)
    templates = noise((96, 96), 3, seed=1)
    templates[0] = images[1]
    scores, dy, dx = ncc_shift(images, templates, 4)
    np.testing.assert_allclose(scores, plainly(images, templates, 4), rtol=0, atol=1e-5)
    assert (dy[1, 0], dx[1, 0]) == (0, 0)


def places(images, templates, shift):
    crop = slice(shift, -shift or None)
    side = 2 * shift + 1
    found = [
        [match_template(image, template[crop, crop]).argmax() for template in templates] for image in images
    ]
    return np.stack(np.unravel_index(found, (side, side))) - shift


def test_the_translation_is_where_scikit_image_finds_the_best_place():
    images, templates = crops((60, 71), 4), crops((60, 71), 5, seed=1)
    _, dy, dx = ncc_shift(images, templates, 6)
    np.testing.assert_array_equal((dy, dx), places(images, templates, 6))


def test_a_shifted_score_does_not_depend_on_its_batch():
    images, templates = crops((64, 48), 70), crops((64, 48), 5, seed=1)
    images[4, 3:-3, 3:-3] //= 200
    together = ncc_shift(images, templates, 3)
    for part in (slice(0, 1), slice(3, 9), slice(30, 67)):
        for chosen in (slice(0, 5), slice(1, 2), slice(2, 5)):
            alone = ncc_shift(images[part], ShiftTemplates.of(templates[chosen], 3), 3)
            for one, other in zip(together, alone, strict=True):
                np.testing.assert_array_equal(one[part, chosen], other)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_scores_nan_alone(bad):
    images, templates = noise((20, 22), 3).astype(np.float32), noise((20, 22), 2, seed=1)
    expected = ncc_shift(images, templates, 2)[0]
    images[1, 0, 0] = bad
    scores, dy, dx = ncc_shift(images, templates, 2)
    assert np.isnan(scores[1]).all()
    assert not dy[1].any()
    assert not dx[1].any()
    np.testing.assert_array_equal(scores[[0, 2]], expected[[0, 2]])
    assert np.isnan(ncc(images, templates)[1]).all()


def test_views_of_any_order_score_as_their_copies():
    wide, templates = noise((30, 64), 6), noise((30, 32), 2, seed=1)
    wide.flags.writeable = False
    for images in (wide[::2, :, ::2], wide[:, ::-1, :32], np.asfortranarray(wide[..., :32])):
        np.testing.assert_array_equal(ncc(images, templates), ncc(images.copy(), templates))
        np.testing.assert_array_equal(
            ncc_shift(images, templates, 2)[0], ncc_shift(images.copy(), templates, 2)[0]
        )


@settings(max_examples=25, deadline=None)
@given(dy=st.integers(-4, 4), dx=st.integers(-4, 4), seed=st.integers(0, 9))
def test_shift_is_recovered(dy, dx, seed):
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(48, 56)), 2)
    field = (255 * (field - field.min()) / np.ptp(field)).astype(np.uint8)
    template, image = field[8:-8, 8:-8], field[8 - dy : 40 - dy, 8 - dx : 48 - dx]
    scores, down, right = ncc_shift(image[None], template[None], 4)
    assert (down[0, 0], right[0, 0]) == (dy, dx)
    assert scores[0, 0] == pytest.approx(1, abs=1e-6)


def test_no_shift_is_ncc():
    images, templates = crops((24, 31), 4), crops((24, 31), 3, seed=1)
    scores, dy, dx = ncc_shift(images, templates, 0)
    np.testing.assert_allclose(scores, ncc(images, templates), rtol=0, atol=1e-6)
    assert not dy.any()
    assert not dx.any()


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_flat_windows_are_zero_and_unshifted(kind):
    flat = np.full((1, 20, 20), 77.7).astype(kind)
    framed = flat.copy()
    framed[0, [0, -1]] += 9
    varied = noise((20, 20), 1).astype(kind)
    scores, dy, dx = ncc_shift(np.concatenate([flat, varied]), np.concatenate([flat, framed, varied]), 3)
    assert not scores[0].any()
    assert not scores[1, :2].any()
    assert not dy[0].any()
    assert not dx[0].any()
    assert scores[1, 2] == pytest.approx(1, abs=1e-6)


def test_a_flat_window_inside_a_varied_image_is_zero():
    image = np.full((1, 20, 20), 93, np.uint8)
    image[0, 0] = 200
    template = noise((20, 20), 1)
    scores, dy, _ = ncc_shift(image, template, 1)
    centre = match_template(image[0, :19].astype(np.float64), template[0, 1:-1, 1:-1].astype(np.float64))[
        0
    ].max()
    assert scores[0, 0] == pytest.approx(max(centre, 0), abs=1e-5)
    assert dy[0, 0] == (-1 if centre > 0 else 0)


@pytest.mark.parametrize("grey", [0.1, 77.7, 123.456])
def test_a_flat_float_window_below_a_bright_row_is_zero(grey):
    # Running sums round beside a varied row, so the energy of flat windows comes out as not quite nothing.
    image = np.full((1, 40, 41), grey, np.float32)
    image[0, 0] = 200 + np.random.default_rng(3).random(41) * 50
    templates = noise((40, 41), 20)
    templates[:, :4] = 0  # against the bright row, where the one window that varies has it
    scores, dy, _ = ncc_shift(image, templates, 3)
    assert not scores.any()
    assert (dy > -3).all()


def test_shifted_scores_stay_within_one():
    images = noise((12, 12), 200)
    scores, _, _ = ncc_shift(images, images, 1)
    assert scores.min() >= -1
    assert scores.max() <= 1
    np.testing.assert_allclose(scores.diagonal(), 1, atol=1e-6)


def test_the_smallest_of_equal_shifts_counts():
    stripes = np.tile(np.array([0, 255], np.uint8), 10)[None, None].repeat(20, axis=1)
    scores, dy, dx = ncc_shift(stripes, stripes, 4)
    assert (scores[0, 0], dy[0, 0], dx[0, 0]) == (pytest.approx(1), 0, 0)


def test_no_images_no_scores():
    none = np.zeros((0, 12, 14), np.uint8)
    assert ncc(none, noise((12, 14), 3)).shape == (0, 3)
    assert [result.shape for result in ncc_shift(none, noise((12, 14), 3), 2)] == [(0, 3)] * 3
    assert ncc(noise((12, 14), 3), none).shape == (3, 0)
    assert [result.shape for result in ncc_shift(noise((12, 14), 3), none, 2)] == [(3, 0)] * 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ncc(noise((12, 14), 2), noise((14, 12), 2)),
            "images of 12x14 do not match templates of 14x12",
        ),
        (lambda: ncc(noise((12, 14), 2)[0], noise((12, 14), 2)), r"images have shape \(12, 14\)"),
        (lambda: ncc(noise((12, 0), 2), noise((12, 14), 2)), r"images have shape \(2, 12, 0\)"),
        (lambda: ncc(noise((12, 14), 2) / 255, noise((12, 14), 2)), "images are float64"),
        (lambda: Templates.of(noise((12, 14), 2).astype(np.int16)), "templates are int16"),
        (lambda: Templates.of(np.full((1, 3, 3), np.nan, np.float32)), "not finite"),
        (lambda: ncc_shift(noise((12, 14), 2), noise((12, 14), 2), 6), "shift 6 .* half of 12x14"),
        (lambda: ncc_shift(noise((12, 14), 2), noise((12, 14), 2), -1), "shift -1"),
        (
            lambda: ncc_shift(noise((12, 14), 2), ShiftTemplates.of(noise((12, 14), 2), 3), 2),
            "made for a shift of 3, not 2",
        ),
        (
            lambda: ncc_shift(noise((12, 14), 2), ShiftTemplates.of(noise((14, 12), 2), 2), 2),
            "images of 12x14 do not match templates of 14x12",
        ),
    ],
)
def test_refuses_what_it_cannot_match(call, message):
    with pytest.raises(ValueError, match=message):
        call()
