import numpy as np
import pytest

from dice_core.affine import identity
from dice_core.bank import Bank
from dice_core.learn import Learning, learn
from dice_core.score import Scorer
from dice_core.stages import as_photographed


@pytest.fixture(scope="module")
def images(draw_faces):
    stack = np.concatenate([draw_faces(0, 4, seed=7), draw_faces(1, 4, seed=7)])
    stack[2, 17:21, 9:13] = 5
    return stack


@pytest.fixture(scope="module")
def stages(learnt, images):
    return Scorer(learnt).stages(images)


def test_the_stages_are_those_the_scores_come_from(learnt, images, stages):
    columns = Scorer(learnt).score(images)
    assert [learnt.faces[at].name for at in stages.face] == columns["face"].tolist()
    np.testing.assert_array_equal(stages.similarity.max(axis=1), columns["ncc"])
    # On the way back to the photograph peaks are interpolated.
    highest = np.abs(stages.evidence).max(axis=(1, 2)) * learnt.limits("defect_score")[stages.face]
    np.testing.assert_allclose(highest, columns["defect_score"], rtol=0.4)
    assert np.abs(stages.evidence[2]).max() == np.abs(stages.evidence).max()


def test_the_rebuilt_template_is_in_the_light_of_the_photograph(learnt, images, stages):
    # A good part is its own template but for noise.
    inside = learnt.faces[stages.face[0]].part
    error = np.abs(stages.rebuilt[0] - images[0])[inside].mean()
    assert error < 0.1 * images[0][inside].std() + 8
    dim = Scorer(learnt).stages((images[:1] * 0.8).astype(np.uint8))
    assert dim.gain[0] == pytest.approx(stages.gain[0] / 0.8, rel=0.05)
    assert dim.rebuilt[0][inside].mean() == pytest.approx(0.8 * stages.rebuilt[0][inside].mean(), rel=0.05)


def test_a_pose_is_told_in_pixels_of_the_image_it_was_worked_on_in(draw_faces, sample_of):
    photographs = draw_faces(1, 13, side=128)
    face = learn({"one": sample_of(photographs)}, Learning((128, 128), 4, 1, 0))[0].face
    scorer = Scorer(Bank((128, 128), (128, 128), (face,), (), 0.0, {"defect_score": 8.0}, frozenset()))
    moved = np.roll(photographs, (3, -2), axis=(1, 2))
    before, after = (scorer.stages(images).transforms[:, :, 2] for images in (photographs, moved))
    np.testing.assert_allclose(np.median(after - before, axis=0), (-2, 3), atol=0.3)


def test_no_image_has_no_stages(learnt):
    found = Scorer(learnt).stages(np.empty((0, 32, 32), np.uint8))
    assert {len(stage) for stage in found} == {0}


def test_an_aligned_image_is_laid_back_in_the_size_of_its_photograph():
    image = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(as_photographed(image, identity(1), (8, 8)), image, atol=1e-6)
    assert as_photographed(image, identity(1), (16, 24)).shape == (1, 16, 24)
