from io import BytesIO

import dice
import imageio.v3 as imageio
import numpy as np
import pytest
import samples

from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.maps import BRIGHT, DARK, FULL, LEAST, MOST_COVERED, paint
from jobs.score import score


def test_nothing_held_against_an_image_leaves_its_photograph():
    image = np.arange(0, 240, 2, np.uint8).reshape(10, 12)
    for evidence in (0.0, LEAST, -LEAST):
        painted = paint(image, np.full(image.shape, evidence, np.float32))
        assert painted.dtype == np.uint8
        np.testing.assert_array_equal(painted, np.repeat(image[..., None], 3, axis=2))


@pytest.mark.parametrize(("sign", "colour"), [(-1, DARK), (1, BRIGHT)])
def test_too_dark_and_too_bright_have_colours_of_their_own_which_never_hide_the_photograph(sign, colour):
    image = np.array([[0, 100, 200]], np.uint8)
    painted = paint(image, np.full(image.shape, sign * 10 * FULL, np.float32)).astype(float)
    expected = image[..., None] * (1 - MOST_COVERED) + np.array(colour) * MOST_COVERED
    np.testing.assert_allclose(painted, expected, atol=0.51)
    assert (np.diff(painted[0], axis=0) > 0).all()


def scored(tmp_path, model, maps, **options):
    source = samples.write_tar(tmp_path / "some.tar", [*dice.good(6, seed=3), *dice.bad(3, seed=3)])
    settings = ScoreSettings((source,), model, str(tmp_path / "rows"), cluster="serial", maps=maps, **options)
    result = score(settings, evaluate=lambda out: {})
    return result, samples.rows(settings.out).to_pylist()


def test_a_map_is_written_for_every_image_that_is_not_good_and_for_no_other(tmp_path, dice_model):
    maps = tmp_path / "deep" / "maps"
    _, rows = scored(tmp_path, dice_model, str(maps))
    called = [row for row in rows if row["verdict"] not in ("good", None)]
    assert called
    names = sorted(path.name for path in maps.iterdir())
    assert [int(name.split("-")[-1].removesuffix(".png")) for name in names] == [
        row["index"] for row in called
    ]
    for row, name in zip(called, names, strict=True):
        picture = imageio.imread(BytesIO((maps / name).read_bytes()))
        assert picture.shape == (row["height"], row["width"], 3)
        # What is painted most strongly is where the row has its peak.
        colourful = picture.max(axis=2).astype(int) - picture.min(axis=2)
        y, x = row["defect_peak_y"], row["defect_peak_x"]
        assert colourful[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max() > 30


def test_maps_decide_no_row(tmp_path, dice_model):
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    _, with_maps = scored(tmp_path / "with", dice_model, str(tmp_path / "maps"))
    _, without = scored(tmp_path / "without", dice_model, None)
    for one, other in zip(with_maps, without, strict=True):
        assert {**one, "archive": "", "lot": ""} == {**other, "archive": "", "lot": ""}


def test_maps_in_the_job_folder_or_over_a_file_are_refused(tmp_path, dice_model):
    with pytest.raises(Refusal, match=r"--maps .*job folder"):
        scored(tmp_path, dice_model, str(tmp_path / "rows" / "maps"))
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match=r"--maps .*name a folder"):
        scored(tmp_path, dice_model, str(tmp_path / "file"))
