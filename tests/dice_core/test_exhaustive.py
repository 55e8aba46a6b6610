import numpy as np
import pytest
from skimage.feature import match_template
from skimage.metrics import structural_similarity

from dice_core.exhaustive import Exhaustive


@pytest.fixture(scope="module")
def means(draw_faces):
    return np.stack([draw_faces(face, 20, side=64).mean(axis=0) for face in range(3)]).astype(np.float32)


def test_every_image_is_compared_with_every_template_as_the_classic_method_does(means, draw_faces):
    images = np.concatenate([draw_faces(face, 2, seed=5, side=64) for face in range(3)])
    images[1] = np.roll(images[1], (1, -2), axis=(0, 1))
    found = Exhaustive(means).compare(images)
    for n, image in enumerate(images.astype(np.float64)):
        for face, mean in enumerate(means.astype(np.float64)):
            similarity = match_template(image, mean[2:-2, 2:-2])
            y, x = np.unravel_index(similarity.argmax(), similarity.shape)
            assert found["ncc_shifted"][n, face] == pytest.approx(similarity.max(), abs=1e-5)
            assert (found["shift_y"][n, face], found["shift_x"][n, face]) == (y - 2, x - 2)
            expected = structural_similarity(
                image,
                mean,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=255,
            )
            assert found["ssim_faces"][n, face] == pytest.approx(expected, abs=1e-5)
    assert found["ncc_shifted"].argmax(axis=1).tolist() == [0, 0, 1, 1, 2, 2]


def test_no_image_is_compared_with_none(means):
    found = Exhaustive(means).compare(np.empty((0, 64, 64), np.uint8))
    assert {values.shape for values in found.values()} == {(0, 3)}
