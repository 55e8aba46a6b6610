"""Mutated archives and images: no crash, no hang, and as many rows out as members went in."""

import faulthandler
import time

import pytest
from fuzzing import examine
from mutations import KINDS, mutated

from dice_core.scale import OnSize
from jobs.errors import Refusal

CASES, SECONDS = 2400, 5


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=[kind.replace(" ", "-") for kind in KINDS])
def test_every_member_of_a_mutated_archive_is_a_row(kind, tmp_path):
    reasons = set()
    for number in range(kind, CASES, len(KINDS)):
        _, suffix, data = mutated(0, number)
        path = tmp_path / f"lot{suffix}"
        path.write_bytes(data)
        began = time.monotonic()
        faulthandler.dump_traceback_later(60, exit=True)
        try:
            reasons |= set(examine(path, OnSize.RESIZE if number % 2 else OnSize.REJECT))
        except Refusal as error:
            assert "one image is not taken" in str(error)  # noqa: PT017 - most are none
        except Exception as error:
            raise AssertionError(f"case {number}") from error
        finally:
            faulthandler.cancel_dump_traceback_later()
        assert time.monotonic() - began < SECONDS
    assert len(reasons) > 3


def test_a_case_is_told_by_its_number():
    assert mutated(1, 77) == mutated(1, 77)
    assert mutated(1, 77) != mutated(2, 77)
