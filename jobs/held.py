"""What a file of rows holds: the part of one shard, or in a compacted job those of many shards."""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

HELD = "parts"
"""Key of a compacted file's metadata under which it lists the parts it holds."""


class Held(NamedTuple):
    """The part of one shard, wherever its rows are now."""

    name: str
    archive: str
    identity: str
    first: int
    """Index of its first row; the others follow."""
    rows: int
    members: int
    """Of the whole archive."""


def of_part(name: str, rows: int, about: Mapping[str, str]) -> Held:
    """Tell what a part as `score` wrote it holds, from its metadata; KeyError or ValueError where none."""
    return Held(name, about["archive"], about["identity"], int(about["first"]), rows, int(about["members"]))


def to_json(held: Iterable[Held]) -> str:
    """Write a list of what a compacted file holds, in order."""
    return json.dumps([part._asdict() for part in held], ensure_ascii=False, separators=(",", ":"))


def of_compacted(about: Mapping[str, str]) -> list[Held]:
    """Tell what a compacted file holds, from its metadata; KeyError, TypeError or ValueError where none."""
    return [Held(**part) for part in json.loads(about[HELD])]
