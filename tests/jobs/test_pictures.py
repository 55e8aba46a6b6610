from io import BytesIO

import dice
import imageio.v3 as imageio
import numpy as np
import pytest

from dice_core.bank import Bank
from dice_core.decode import decode
from dice_core.score import Scorer
from jobs import pictures
from jobs.maps import BRIGHT, DARK
from jobs.originals import Gone


@pytest.fixture(scope="module")
def bank(dice_model):
    with open(dice_model, "rb") as stream:  # noqa: PTH123 - a path of text
        return Bank.read(stream)


def rows(bank, contents):
    images = np.stack([decode(content, 10**6) for content in contents])
    columns = Scorer(bank).score(images)
    return [{name: int(columns[name][at]) for name in pictures.BOX} for at in range(len(images))]


def test_each_image_has_its_panels_and_what_is_gone_its_reason(bank):
    contents = [data for _, data in dice.bad(3, seed=7)]
    told = rows(bank, contents)
    given = [
        contents[0],
        Gone("away"),
        contents[1],
        b"no image",
        dice.photograph("00", 7, 1, None, 96),
        contents[2],
    ]
    drawn = list(pictures.draw(bank, given, [told[0], {}, told[1], {}, {}, told[2]], 160))
    assert [panel.why for panel in drawn if isinstance(panel, Gone)] == ["away", "not_an_image", "wrong_size"]
    for at, content in ((0, contents[0]), (2, contents[1]), (5, contents[2])):
        assert [panel.shape for panel in drawn[at]] == [(dice.SIZE, dice.SIZE, 3)] * 4
        assert (drawn[at][0][..., 0] == decode(content, 10**6)).all()


def test_what_is_beyond_the_threshold_is_coloured_inside_the_box(bank):
    contents = [data for _, data in dice.bad(1, seed=7)]
    (box,) = rows(bank, contents)
    ((_, _, _, beyond),) = pictures.draw(bank, contents, [box], 160)
    coloured = (beyond == DARK).all(axis=2) | (beyond == BRIGHT).all(axis=2)
    assert coloured.any()
    y, x = np.nonzero(coloured)
    # The evidence is a little wider than the outline of what it points at.
    assert box["defect_x"] - 6 <= x.min() <= x.max() < box["defect_x"] + box["defect_width"] + 6
    assert box["defect_y"] - 6 <= y.min() <= y.max() < box["defect_y"] + box["defect_height"] + 6


def test_larger_pictures_are_reduced(bank):
    contents = [data for _, data in dice.good(1)[:1]]
    ((*panels,),) = pictures.draw(bank, contents, rows(bank, contents), 40)
    assert {panel.shape for panel in panels} == {(40, 40, 3)}
    assert pictures.beside(panels).shape == (40, 4 * 40 + 3 * 4, 3)


@pytest.mark.parametrize(("extension", "kind"), [(".jpeg", b"\xff\xd8\xff"), (".png", b"\x89PNG")])
def test_pictures_are_written_as_what_they_are_asked_for(extension, kind):
    written = pictures.encode(np.full((8, 8, 3), 200, np.uint8), extension)
    assert written.startswith(kind)
    assert imageio.imread(BytesIO(written)).shape == (8, 8, 3)
