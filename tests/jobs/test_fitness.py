import pytest

from jobs.fitness import make_probe, misfit

EXPECTED = {"dice-inspect": "1.0", "numpy": "2.0"}


def found(core="/site/dice_core/__init__.py", jobs="/site/jobs/__init__.py", versions=None, unseen=()):
    return {
        "origins": {"dice_core": core, "jobs": jobs},
        "versions": EXPECTED | (versions or {}),
        "unseen": list(unseen),
    }


@pytest.mark.parametrize(
    ("probed", "told"),
    [
        (found(), None),
        (found(core=None, jobs=None), "lacks the package dice-inspect"),
        (
            found(jobs="/home/me/jobs/__init__.py"),
            "another package called jobs from /home/me/jobs, not /site/jobs",
        ),
        (found(jobs=None), "another package called jobs from None"),
        (found(versions={"numpy": "1.0"}), "has numpy 1.0; this has numpy 2.0"),
        (found(versions={"dice-inspect": None}), "has dice-inspect not at all; this has dice-inspect 1.0"),
        (
            found(versions={"dice-inspect": "2.0", "numpy": "1.0"}),
            "has dice-inspect 2.0, numpy 1.0; this has dice-inspect 1.0, numpy 2.0",
        ),
        (found(unseen=["/out/_job.json"]), "does not find /out/_job.json"),
    ],
)
def test_tells_what_makes_a_worker_unfit(probed, told):
    problem = misfit(probed, EXPECTED)
    assert problem is None if told is None else told in problem


def test_the_probe_tells_of_this_process(tmp_path):
    here, gone = str(tmp_path), str(tmp_path / "gone")
    probed = make_probe(("numpy", "no-such-package"), (here, gone))()
    assert probed["versions"]["no-such-package"] is None
    assert probed["versions"]["numpy"].count(".") == 2
    assert probed["unseen"] == [gone]
    assert misfit(probed | {"unseen": []}, probed["versions"]) is None
