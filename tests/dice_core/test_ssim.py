import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage import data
from skimage.filters import gaussian
from skimage.metrics import structural_similarity

from dice_core.ssim import Reference, ssim, ssim_all, ssim_map, ssim_mean, ssim_pair_scores

WINDOWS = {
    "gaussian": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
    "uniform": {"win_size": 7, "use_sample_covariance": True},
}
BORDER = {"gaussian": 5, "uniform": 3}
SIZES = [(128, 128), (11, 11), (11, 150), (140, 17), (33, 129), (20, 263)]


@pytest.fixture(params=WINDOWS)
def window(request):
    return request.param


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


def plain(size, *values):
    return np.stack([np.full(size, value, np.uint8) for value in values])


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


def plainly(image, reference, window):
    """What scikit-image says: mean and map."""
    return structural_similarity(
        image.astype(np.float64), reference.astype(np.float64), data_range=255, full=True, **WINDOWS[window]
    )


def assert_as_scikit_image(images, references, window):
    """Compare every public way to the map, the mean and the low rank with scikit-image."""
    expected = [plainly(*pair, window) for pair in zip(images, references, strict=True)]
    means, maps = (np.stack(results) for results in zip(*expected, strict=True))
    border = BORDER[window]
    inside = np.sort(maps[:, border:-border, border:-border].reshape(len(maps), -1))
    low = inside[:, int(0.01 * (inside.shape[1] - 1))]

    reference, which = Reference.of(references[::-1].copy(), window), np.arange(len(images))[::-1]
    for mean, result in (ssim(images, references, window), ssim_map(images, reference, which)):
        np.testing.assert_allclose(result, maps, rtol=0, atol=1e-5)
        np.testing.assert_allclose(mean, means, rtol=0, atol=1e-5)
        assert result.dtype == mean.dtype == np.float32
    mean, lowest = ssim_pair_scores(images, references, window)
    np.testing.assert_allclose(mean, means, rtol=0, atol=1e-5)
    np.testing.assert_allclose(lowest, low, rtol=0, atol=5e-5)
    own = ssim_mean(images, reference, which)
    np.testing.assert_allclose(own, means, rtol=0, atol=1e-5)
    every = ssim_all(images, reference)
    assert every.dtype == own.dtype == np.float32
    np.testing.assert_array_equal(every[np.arange(len(images)), which], own)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [crops, noise])
def test_equals_scikit_image(kind, size, window):
    images = kind(size, 6)
    assert_as_scikit_image(images, kind(size, 6, seed=1), window)
    assert_as_scikit_image(images, 255 - images, window)


def test_equals_scikit_image_on_real_photographs(window):
    images = photographs(12)
    assert_as_scikit_image(images, np.roll(images, 1, axis=0), window)
    assert_as_scikit_image(images, 255 - images, window)
    assert_as_scikit_image(images, np.roll(images, 1, axis=2).astype(np.float32) * 0.9, window)


def test_equals_scikit_image_on_flat_images(window):
    size = (24, 31)
    flat = plain(size, 0, 255, 0, 128, 255, 0)
    assert_as_scikit_image(flat, plain(size, 0, 255, 255, 127, 254, 3), window)
    assert_as_scikit_image(flat, crops(size, 6), window)
    assert_as_scikit_image(noise(size, 6), flat, window)


def test_equals_scikit_image_on_black_and_white(window):
    # Plain areas far from the image's mean are where single precision fails.
    halves = np.zeros((4, 64, 64), np.uint8)
    halves[0, :, 32:] = halves[1, 32:] = halves[2, :20, :20] = halves[3, ::2] = 255
    assert_as_scikit_image(halves, np.roll(halves, 1, axis=0), window)
    assert_as_scikit_image(halves, 255 - halves, window)


@pytest.mark.parametrize("size", [(60, 70), (20, 30)])
def test_bytes_and_single_precision_are_compared_alike(size, window):
    images, references = crops(size, 4), noise(size, 3)
    found = [
        ssim_all(images.astype(kind), Reference.of(references.astype(other), window))
        for kind in (np.uint8, np.float32)
        for other in (np.uint8, np.float32)
    ]
    for each in found:
        np.testing.assert_array_equal(each, found[0])


def test_rounding_that_is_alike_in_every_window_stays_small(window):
    # Of a pattern that repeats as the windows do, the same mean everywhere: errors that nothing evens out.
    for seed in range(30):
        rng = np.random.default_rng(seed)
        pattern = np.tile(rng.integers(0, 3, (7, 7)), (19, 19))[:128, :128].astype(np.uint8)
        pattern[-1, -1] = 255
        images = plain((128, 128), *rng.integers(0, 5, 2))
        expected = [[plainly(image, pattern, window)[0]] for image in images]
        found = ssim_all(images, Reference.of(pattern[None], window))
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_smallest_images(window):
    size = (2 * BORDER[window] + 1,) * 2
    assert_as_scikit_image(crops(size, 4), noise(size, 4), window)


def test_equals_scikit_image_for_more_images_than_a_chunk():
    assert_as_scikit_image(noise((13, 15), 37), noise((13, 15), 37, seed=1), "gaussian")


@pytest.mark.parametrize("low", [0.0, 0.2, 1.0])
def test_low_is_the_rank_asked_for(low, window):
    images, references = crops((30, 41), 3), crops((30, 41), 3, seed=1)
    border = BORDER[window]
    inside = ssim(images, references, window)[1][:, border:-border, border:-border].reshape(3, -1)
    expected = np.sort(inside)[:, int(low * (inside.shape[1] - 1))]
    found = ssim_pair_scores(images, references, window, low)[1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_pair_scores_of_images_that_resemble_each_other_are_those_of_their_maps(window):
    images = photographs(12)
    others = np.stack([gaussian(image, 1.5, preserve_range=True) for image in images]).astype(np.float32)
    mean, maps = ssim(images, others, window)
    border = BORDER[window]
    inside = np.sort(maps[:, border:-border, border:-border].reshape(12, -1))
    found = ssim_pair_scores(images, others, window)
    np.testing.assert_allclose(found[0], mean, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], inside[:, int(0.01 * (inside.shape[1] - 1))], rtol=0, atol=5e-5)


pictures = arrays(np.uint8, st.tuples(st.integers(11, 20), st.integers(11, 20)))


@settings(max_examples=40, deadline=None)
@given(image=pictures, gain=st.floats(-1, 1), name=st.sampled_from(list(WINDOWS)))
def test_bounded_symmetric_and_one_for_itself(image, gain, name):
    images = image[None].astype(np.float32)
    other = np.rint(np.clip(128 + gain * (images - 100), 0, 255)).astype(np.float32)
    mean, maps = ssim(images, other, name)
    assert -1 <= maps.min() <= maps.max() <= 1
    assert -1 <= mean[0] <= 1
    np.testing.assert_allclose(ssim(other, images, name)[1], maps, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ssim(images, images, name)[1], 1, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        ssim_map(images, Reference.of(images, name), np.zeros(1, int))[0], 1, atol=1e-6
    )


stacks = st.tuples(st.integers(11, 20), st.integers(11, 20)).flatmap(
    lambda size: st.tuples(*(arrays(np.uint8, (2, *size)),) * 2)
)


@settings(max_examples=40, deadline=None)
@given(
    both=stacks, gain=st.floats(0.2, 1), times=st.sampled_from([1, 5]), name=st.sampled_from(list(WINDOWS))
)
def test_every_image_with_every_reference_equals_scikit_image(both, gain, times, name):
    # A few windows are compared in double precision, many in single.
    images, references = (np.tile(stack, (1, times, times)) for stack in both)
    references = (references * gain).astype(np.float32)
    expected = [[plainly(image, other, name)[0] for other in references] for image in images]
    found = ssim_all(images, Reference.of(references, name))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_lower_for_a_worse_image(window):
    images = crops((64, 64), 2)
    grain = np.random.default_rng(5).normal(0, 1, images.shape)
    noisy = [np.clip(images + amount * grain, 0, 255).astype(np.float32) for amount in (0, 5, 20, 80)]
    means = np.stack([ssim(worse, images, window)[0] for worse in noisy])
    assert (np.diff(means, axis=0) < 0).all()


def test_a_spot_lowers_the_map_where_it_is(window):
    images = crops((64, 64), 1)
    spotted = images.copy()
    spotted[0, 40:44, 20:24] ^= 0x80
    reach = BORDER[window]
    touched = ssim(spotted, images, window)[1][0] < 1 - 1e-6
    assert touched[41, 21]
    touched[40 - reach : 44 + reach, 20 - reach : 24 + reach] = False
    assert not touched.any()


def test_a_result_does_not_depend_on_its_batch(window):
    images, references = crops((40, 50), 40), crops((40, 50), 40, seed=1)
    reference = Reference.of(references, window)
    every = np.arange(40)
    together = [
        *ssim(images, references, window),
        *ssim_map(images, reference, every),
        ssim_mean(images, reference, every),
        ssim_all(images, reference),
        *ssim_pair_scores(images, references, window),
    ]
    for part in (slice(0, 1), slice(7, 9), slice(5, 38)):
        apart = [
            *ssim(images[part], references[part], window),
            *ssim_map(images[part], reference, every[part]),
            ssim_mean(images[part], reference, every[part]),
            ssim_all(images[part], reference),
            *ssim_pair_scores(images[part], references[part], window),
        ]
        for whole, alone in zip(together, apart, strict=True):
            np.testing.assert_array_equal(whole[part], alone)


@pytest.mark.parametrize("size", [(20, 21), (40, 150)])
def test_a_result_does_not_depend_on_the_other_references(size, window):
    images, references = crops(size, 5), crops(size, 9, seed=1)
    together = ssim_all(images, Reference.of(references, window))
    for part in (slice(0, 1), slice(3, 8)):
        np.testing.assert_array_equal(
            ssim_all(images, Reference.of(references[part], window)), together[:, part]
        )


def test_takes_float_read_only_and_strided_images():
    images, references = crops((20, 30), 6), crops((20, 30), 6, seed=1)
    mean, maps = ssim(images, references)
    np.testing.assert_array_equal(ssim(images.astype(np.float32), references.astype(np.float32))[1], maps)
    frozen = np.frombuffer(images.tobytes(), np.uint8).reshape(images.shape)
    np.testing.assert_array_equal(ssim(frozen, references)[1], maps)
    np.testing.assert_array_equal(ssim(images[::2], references[::2])[0], mean[::2])


def test_no_images_no_results():
    none = np.zeros((0, 16, 16), np.uint8)
    reference, which = Reference.of(noise((16, 16), 2)), np.zeros(0, int)
    assert [result.shape for result in ssim(none, none)] == [(0,), (0, 16, 16)]
    assert [result.shape for result in ssim_map(none, reference, which)] == [(0,), (0, 16, 16)]
    assert ssim_mean(none, reference, which).shape == (0,)
    assert ssim_all(none, reference).shape == (0, 2)
    assert ssim_all(noise((16, 16), 3), Reference.of(none)).shape == (3, 0)
    assert [result.shape for result in ssim_pair_scores(none, none)] == [(0,), (0,)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ssim(noise((20, 20), 2), noise((20, 20), 3)), r"\(2, 20, 20\) do not pair .*\(3, 20, 20\)"),
        (lambda: ssim(noise((20, 20), 2), noise((20, 21), 2)), r"\(2, 20, 20\) do not pair .*\(2, 20, 21\)"),
        (lambda: ssim(noise((10, 30), 2), noise((10, 30), 2)), "images of 10x30 .* gaussian window of 11x11"),
        (
            lambda: ssim(noise((9, 6), 1), noise((9, 6), 1), "uniform"),
            "images of 9x6 .* uniform window of 7x7",
        ),
        (lambda: Reference.of(noise((30, 8), 2)), "templates of 30x8 .* 11x11"),
        (lambda: ssim(noise((20, 20), 1)[0], noise((20, 20), 1)), r"images have shape \(20, 20\)"),
        (lambda: ssim(noise((20, 20), 1) / 255, noise((20, 20), 1)), "images are float64"),
        (lambda: ssim(noise((20, 20), 1), noise((20, 20), 1), "square"), "window is 'square'"),
        (lambda: against((20, 21), [0]), "images of 20x21 do not match references of 20x20"),
        (lambda: against((20, 20), [0, 1]), r"which is int64 of shape \(2,\), .* 1 images"),
        (lambda: against((20, 20), [0.0]), r"which is float64 of shape \(1,\)"),
        (lambda: against((20, 20), [3]), "which holds 3, and there are 3 references"),
        (lambda: against((20, 20), [-1]), "which holds -1"),
        (lambda: ssim_all(noise((20, 21), 1), Reference.of(noise((20, 20), 3))), "20x21 do not match"),
        (lambda: ssim_all(noise((20, 20), 1) / 2, Reference.of(noise((20, 20), 3))), "images are float64"),
        (lambda: pair_scores(low=1.5), r"low is 1.5, not in \[0, 1\]"),
        (lambda: pair_scores(low=float("nan")), "low is nan"),
    ],
)
def test_refuses_what_it_cannot_compare(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def against(size, which):
    return ssim_mean(noise(size, 1), Reference.of(noise((20, 20), 3)), np.array(which))


def pair_scores(low):
    return ssim_pair_scores(noise((20, 20), 1), noise((20, 20), 1), low=low)


def test_works_where_nothing_can_be_written(tmp_path):
    # A file where a folder would have to be made stops even root, as permissions would not.
    package = tmp_path / "site" / "dice_core"
    package.mkdir(parents=True)
    sources = Path(sys.modules["dice_core.ssim"].__file__).parent
    for source in (sources / "__init__.py", sources / "compiled.py", *sources.glob("ssim*.py")):
        (package / source.name).write_bytes(source.read_bytes())
    (package / "__pycache__").touch()
    nowhere = str(package / "__pycache__" / "cache")
    program = (
        "import numpy as np; from dice_core.ssim import Reference, __file__ as file; print(file);"
        "print(Reference.of(np.full((1, 11, 11), 7, np.uint8)).moments.middles[0])"
    )
    environment = dict(os.environ, PYTHONPATH=str(package.parent), HOME=nowhere, XDG_CACHE_HOME=nowhere)
    environment |= {"NUMBA_CACHE_DIR": nowhere, "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    file, value = result.stdout.split()
    assert Path(file).is_relative_to(package)
    assert float(value) == pytest.approx(7)
