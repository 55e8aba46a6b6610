import pytest

from dice_core.drift import Alarm
from jobs.show_lots import ALARMS_SHOWN, alarm_lines, corrected_line, lot_lines

ALARM = {"lot": "/a.tar", "reason": "many_anomalies", "shift": 3.456, "images": 1200, "share_called": 0.512}
LOTS = {"count": 1500, "alarmed": 0, "too_few": 0, "corrected": 0, "reference": True, "listed": []}


def test_an_alarm_is_a_line():
    (line,) = alarm_lines(1, [ALARM])
    assert line == (
        "LOT ALARM /a.tar: more of its parts are called than can be expected "
        "(1,200 images, 51.2% called, lot_shift +3.46)"
    )


@pytest.mark.parametrize("reason", Alarm)
def test_every_reason_has_words(reason):
    (line,) = alarm_lines(1, [{**ALARM, "reason": reason.value, "shift": None}])
    assert line.startswith("LOT ALARM /a.tar: ")
    assert line.endswith("(1,200 images, 51.2% called)")


def test_more_alarms_than_are_shown_are_counted():
    lines = alarm_lines(2345, [ALARM] * 100)
    assert len(lines) == ALARMS_SHOWN + 1
    assert lines[-1] == "LOT ALARM in 2,335 more lots: _lots.parquet has them all"


def test_no_alarm_is_no_line():
    assert alarm_lines(0, []) == []
    assert lot_lines(LOTS) == ["lots: 1,500, of which 0 with an alarm"]


def test_what_cannot_be_told_is_told():
    few, reference = lot_lines({**LOTS, "too_few": 3, "reference": False})
    assert few.endswith(", 3 with too few images to tell")
    assert "fit it anew" in reference


def test_lots_without_an_alarm_have_no_line_of_their_own():
    line = {"lot": "/a.tar", "alarm": None, "shift": 0.1, "images": 5, "share_called": 0.0}
    listed = [{**line, "lot": "/b.tar", "alarm": "wider"}, line]
    lines = lot_lines({**LOTS, "alarmed": 1, "listed": listed})
    assert len(lines) == 2
    assert lines[1].startswith("LOT ALARM /b.tar: ")


def test_a_correction_is_told_beside_what_is():
    told = {"lots": LOTS, "fp": 12, "fn": 3, "corrected": {"lots": 2, "fp": 1, "fn": 4, "f1": 0.97654}}
    assert corrected_line(told) == (
        "with thresholds corrected in 2 of 1,500 lots: F1 0.9765, "
        "1 false alarms and 4 misses instead of 12 and 3"
    )
    assert "F1 -," in corrected_line({**told, "corrected": {**told["corrected"], "f1": None}})
