"""Source roots: names for where archives are mounted, so that they are the same ones wherever that is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from jobs import storage
from jobs.errors import Refusal


@dataclass(frozen=True)
class Roots:
    """Gives archives names that hold whichever path they are mounted at.

    Attributes
    ----------
    names
        By the absolute path of a folder, the name it stands for; the longest path that fits decides.
    """

    names: Mapping[str, str]

    @classmethod
    def parse(cls, options: Iterable[str]) -> Self:
        """Read ``PREFIX=NAME`` each.

        Raises
        ------
        Refusal
            Where one is not of that form, or one path is to have two names.
        """
        names: dict[str, str] = {}
        for option in options:
            # A path may hold the sign, as in day=3; a name had better not.
            prefix, _, name = option.rpartition("=")
            name = name.rstrip("/")
            if not prefix or not name or not name.isprintable() or not prefix.isprintable():
                told = storage.printable(" ".join(option.split()))
                raise Refusal(f"--source-root {told}: give PREFIX=NAME: a folder, and a name for it")
            if names.setdefault(storage.absolute(prefix), name) != name:
                raise Refusal(f"--source-root {option}: {prefix} has another name already: give one")
        return cls(names)

    def over(self, remembered: Mapping[str, str]) -> Self:
        """Add the roots a job remembers; of one path the name that is given now counts."""
        return type(self)({**remembered, **self.names})

    def name(self, path: str) -> str:
        """Name what lies at an absolute path: the path itself where no root is above it."""
        fitting = [prefix for prefix in self.names if f"{path}/".startswith(f"{prefix.rstrip('/')}/")]
        if not fitting:
            return path
        prefix = max(fitting, key=len)
        return f"{self.names[prefix]}{path[len(prefix.rstrip('/')) :]}"

    def paths(self, name: str) -> Iterator[str]:
        """Give the paths at which an archive of that name may be mounted; its name is the last of them."""
        for prefix, root in self.names.items():
            if f"{name}/".startswith(f"{root}/"):
                yield f"{prefix.rstrip('/')}{name[len(root) :]}"
        yield name


NO_ROOTS = Roots({})
"""Every archive has its path for a name."""
