import pytest

from jobs.errors import Refusal
from jobs.roots import NO_ROOTS, Roots


@pytest.mark.parametrize(
    ("options", "path", "name"),
    [
        ([], "/mnt/a/x.tar", "/mnt/a/x.tar"),
        (["/mnt/a=line3"], "/mnt/a/x.tar", "line3/x.tar"),
        (["/mnt/a/=line3/"], "/mnt/a/day/x.tar", "line3/day/x.tar"),
        (["/mnt/a=line3"], "/mnt/a", "line3"),
        (["/mnt/a=line3"], "/mnt/ab/x.tar", "/mnt/ab/x.tar"),
        (["/mnt=all", "/mnt/a=line3"], "/mnt/a/x.tar", "line3/x.tar"),
        (["/mnt/a=line3", "/mnt=all"], "/mnt/b/x.tar", "all/b/x.tar"),
        (["/=disk"], "/mnt/x.tar", "disk/mnt/x.tar"),
        (["/data/day=3=line3"], "/data/day=3/x.tar", "line3/x.tar"),
        (["file:///mnt/a=s3://bucket/in"], "/mnt/a/x.tar", "s3://bucket/in/x.tar"),
        (["/mnt/new=/mnt/old"], "/mnt/new/x.tar", "/mnt/old/x.tar"),
    ],
)
def test_an_archive_is_named_by_the_longest_root_above_it(options, path, name):
    roots = Roots.parse(options)
    assert roots.name(path) == name
    assert path in list(roots.paths(name))


@pytest.mark.parametrize(
    "options",
    [["/mnt"], ["=line3"], ["/mnt="], ["/mnt=/"], ["/mnt=a\nb"], ["/mnt=a", "/mnt/=b"], ["ftp://a=b"]],
)
def test_refuses_what_names_nothing(options):
    with pytest.raises(Refusal) as refused:
        Roots.parse(options)
    assert "\n" not in str(refused.value)


def test_of_a_mount_that_is_used_again_the_root_given_last_counts():
    roots = Roots.parse(["/mnt/usb=disk2"]).over({"/mnt/usb": "disk1", "/mnt/a": "line3"})
    assert roots.names == {"/mnt/usb": "disk2", "/mnt/a": "line3"}
    assert list(roots.paths("disk1/x.tar")) == ["disk1/x.tar"]
    assert NO_ROOTS.names == {}


def test_an_archive_may_be_at_each_mount_of_its_root():
    roots = Roots.parse(["/mnt/a=line3", "/mnt/b=line3"])
    assert list(roots.paths("line3/x.tar")) == ["/mnt/a/x.tar", "/mnt/b/x.tar", "line3/x.tar"]
