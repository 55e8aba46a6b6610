import io
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest

from dice_core.defects import DEFECTS, Defect, defects_of, draw_defect
from dice_core.die import FACES
from dice_core.lot import draw_lot
from dice_core.synth import Photograph, encode_jpeg, render

PAIRS = [(face, kind) for face in FACES for kind in defects_of(face)]
PIPS_AND_LOGO = [pair for pair in PAIRS if pair[0] in {"05", "08"}]
ONE_FACE_EACH = [next(pair for pair in PAIRS if pair[1] == kind) for kind in DEFECTS]


def rng(seed=0):
    return np.random.default_rng(seed)


def lot(seed=0, **changes):
    return replace(draw_lot(rng(seed)), **changes)


def twins(face, defect, seed=1, **changes):
    """The same part of the same lot, good and with the defect."""
    return render(face, lot(**changes), rng(seed)), render(face, lot(**changes), rng(seed), defect)


def difference(good, bad):
    return np.abs(bad.pixels.astype(int) - good.pixels)


def normalised(image):
    centred = image - image.mean()
    return centred / np.linalg.norm(centred)


@pytest.mark.parametrize("defect", [None, Defect("scribble", 0.7, 0.8)])
def test_equal_generators_give_equal_bytes_and_others_do_not(defect):
    first, again, other = (render("06", draw_lot(rng(3)), rng(seed), defect) for seed in (4, 4, 5))
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert first.mask.tobytes() == again.mask.tobytes()
    assert first.pixels.tobytes() != other.pixels.tobytes()
    assert encode_jpeg(first.pixels, 90) == encode_jpeg(again.pixels, 90)


def test_one_generator_gives_another_part_each_time():
    source = rng()
    assert (render("00", lot(), source).pixels != render("00", lot(), source).pixels).any()


@pytest.mark.parametrize("face", FACES)
def test_a_good_part_is_a_light_die_on_dark_ground_with_an_empty_mask(face):
    photograph = render(face, lot(), rng())
    assert photograph.pixels.shape == photograph.mask.shape == (128, 128)
    assert (photograph.pixels.dtype, photograph.mask.dtype) == (np.uint8, np.bool_)
    assert (photograph.face, photograph.defect, photograph.box) == (face, None, None)
    assert not photograph.mask.any()
    assert photograph.pixels[[0, 0, -1, -1], [0, -1, 0, -1]].max() < 80
    assert np.percentile(photograph.pixels, 75) > 190
    assert np.percentile(photograph.pixels, 2) < 60


@pytest.mark.parametrize(("face", "kind"), PAIRS)
def test_every_defect_shows_inside_the_die_and_inside_its_box(face, kind):
    defect = Defect(kind, 0.5, 0.8)
    photograph = render(face, lot(), rng(2), defect)
    rows, columns = np.nonzero(photograph.mask)
    assert (photograph.face, photograph.defect) == (face, defect)
    assert 10 < len(rows) < 0.4 * photograph.mask.size
    outline = np.hypot((columns - 63.5) ** 2, (rows - 63.5) ** 2) ** 0.5 / 64
    assert outline.max() < 1.04
    x, y, width, height = photograph.box
    assert (x, y, x + width - 1, y + height - 1) == (columns.min(), rows.min(), columns.max(), rows.max())


@pytest.mark.parametrize(("face", "kind"), ONE_FACE_EACH)
def test_outside_the_mask_a_defective_part_is_its_good_twin(face, kind):
    # The noise of the twins is the same, so only the mask's own tolerance and rounding are left.
    for seed in range(3):
        good, bad = twins(face, Defect(kind, 0.6, 0.9), seed, noise=1.0)
        change = difference(good, bad)
        assert change[~bad.mask].max() <= 4
        assert change[bad.mask].mean() > 20


@pytest.mark.parametrize(("face", "kind"), PIPS_AND_LOGO)
def test_no_contrast_changes_nothing_and_more_contrast_changes_more(face, kind):
    changes = []
    for contrast in (0.0, 0.3, 0.6, 1.0):
        good, bad = twins(face, Defect(kind, 0.5, contrast))
        changes.append(difference(good, bad).sum())
    assert changes[0] == 0
    assert not twins(face, Defect(kind, 0.5, 0))[1].mask.any()
    assert changes == sorted(set(changes))


@pytest.mark.parametrize(("face", "kind"), PIPS_AND_LOGO)
def test_a_tiny_defect_changes_almost_nothing_and_the_mask_grows_with_size(face, kind):
    areas = np.array(
        [
            [
                render(face, lot(), rng(seed), Defect(kind, size, 1)).mask.sum()
                for size in (0.0, 0.2, 0.5, 1.0)
            ]
            for seed in range(4)
        ]
    ).mean(axis=0)
    assert areas[0] < 60
    assert (np.diff(areas) > 0).all()


def test_drawn_defects_are_all_kinds_from_gross_to_subtle_and_all_show():
    source = rng(11)
    kinds, changes = set(), []
    for i in range(330):
        face, session = FACES[i % 11], draw_lot(source)
        defect = draw_defect(source, face)
        kinds.add((face, defect.kind))
        bad = render(face, session, rng(i), defect)
        assert bad.mask.any(), (face, defect)
        changes.append(difference(render(face, session, rng(i)), bad).sum())
    assert {kind for _, kind in kinds} == set(DEFECTS)
    assert kinds <= set(PAIRS)
    assert np.percentile(changes, 95) > 20 * np.percentile(changes, 5)


def test_lots_differ_more_than_the_parts_within_a_lot():
    shots = np.array(
        [
            [render("05", session, source, size=64).pixels for _ in range(8)]
            for session, source in ((draw_lot(rng(s)), rng(100 + s)) for s in range(10))
        ],
        np.float64,
    )
    within = shots.var(axis=1, ddof=1).mean()
    between = shots.mean(axis=1).var(axis=0, ddof=1).mean() - within / 8
    assert between > 1.5 * within


def test_parts_within_a_lot_keep_their_place_to_about_a_pixel():
    def middle(session, seed):
        rows, columns = np.nonzero(render("00", session, rng(seed)).pixels[40:88, 40:88] < 100)
        return np.array([columns.mean(), rows.mean()]) - 23.5

    parts = np.array([middle(lot(shift_x=1.5, shift_y=-1.0), seed) for seed in range(20)])
    assert parts.mean(axis=0) == pytest.approx([1.5, -1.0], abs=0.35)
    assert 0.1 < parts.std(axis=0).max() < 1
    assert np.abs(parts - [1.5, -1.0]).max() < 1.4


def test_every_good_part_is_nearest_the_mean_template_of_its_face_from_other_lots():
    templates = np.array(
        [
            normalised(
                np.mean([render(face, draw_lot(rng(s)), rng(50 + s)).pixels for s in range(8)], axis=0)
            )
            for face in FACES
        ]
    )
    for i in range(220):
        face = i % 11
        image = normalised(render(FACES[face], draw_lot(rng(1000 + i // 11)), rng(2000 + i)).pixels)
        assert np.tensordot(templates, image, 2).argmax() == face


@pytest.mark.parametrize("size", [64, 200, 512])
def test_other_sizes_show_the_same_faces(size):
    steady = lot(noise=0, glare=0, sheen=0)
    for face in ("00", "06", "09"):
        small = render(face, steady, rng(), size=64).pixels
        photograph = render(face, steady, rng(), Defect("scratch", 1, 1), size)
        assert photograph.pixels.shape == photograph.mask.shape == (size, size)
        assert photograph.mask.any()
        good = render(face, steady, rng(), size=size).pixels
        places = ((np.arange(64) + 0.5) * size / 64).astype(int)
        assert (normalised(good[np.ix_(places, places)]) * normalised(small)).sum() > 0.95


def test_the_noise_is_the_lots():
    quiet, noisy = (
        render("00", lot(noise=noise, glare=0), rng()).pixels[40:50, 70:100] for noise in (0, 1.4)
    )
    assert (noisy.astype(float) - quiet).std() == pytest.approx(1.4, rel=0.15)


def test_jpeg_is_grey_and_close_to_the_image_and_smaller_when_coarser():
    pixels = render("08", lot(), rng()).pixels
    fine, coarse = encode_jpeg(pixels, 95), encode_jpeg(pixels, 30)
    decoded = iio.imread(io.BytesIO(fine))
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - pixels).mean() < 2
    assert len(coarse) < len(fine)
    assert encode_jpeg(pixels.T, 95) == encode_jpeg(np.ascontiguousarray(pixels.T), 95)


def test_the_box_of_a_single_pixel_is_one_wide():
    mask = np.zeros((6, 9), bool)
    mask[2, 7] = True
    assert Photograph(np.zeros((6, 9), np.uint8), mask, "00", None).box == (7, 2, 1, 1)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: render("11", lot(), rng()), "'11'"),
        (lambda: render("00", lot(), rng(), size=63), "63"),
        (lambda: render("00", lot(), rng(), size=513), "513"),
        (lambda: render("00", lot(), rng(), Defect("filled_logo", 1, 1)), "'filled_logo'"),
        (lambda: render("10", lot(), rng(), Defect("erased_pip", 1, 1)), "'erased_pip'"),
        (lambda: encode_jpeg(np.zeros((8, 8), np.uint8), 0), "0"),
        (lambda: encode_jpeg(np.zeros((8, 8), np.uint8), 101), "101"),
        (lambda: encode_jpeg(np.zeros((8, 8), np.float32), 90), "float32"),
        (lambda: encode_jpeg(np.zeros((8, 8, 3), np.uint8), 90), r"\(8, 8, 3\)"),
    ],
)
def test_a_bad_argument_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
