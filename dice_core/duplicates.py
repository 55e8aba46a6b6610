"""Exact duplicates: photographs that are there more than once, byte for byte."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

Contents = npt.NDArray[np.uint64]
"""Which photograph each image is: the first 64 bits of its content hash.

Among a million photographs the chance that two share them is 3e-8, among a hundred million 3e-4.
"""


@dataclass(frozen=True)
class Duplicates:
    """How many images repeat others.

    Attributes
    ----------
    within
        Images whose photograph another one of the same source already has: copies beyond the first.
    between
        Images whose photograph some other source has too.
    """

    within: int
    between: int

    def __add__(self, other: "Duplicates") -> "Duplicates":
        """Add what was counted among images that share no photograph with these."""
        return Duplicates(self.within + other.within, self.between + other.between)

    @classmethod
    def of(cls, source: npt.NDArray[np.integer], content: Contents) -> "Duplicates":
        """Count among images by the number of their source and their content, each (N,)."""
        order = np.lexsort((source, content))
        source, content = source[order], content[order]
        other = content[1:] != content[:-1]
        starts = np.flatnonzero(np.append(True, other | (source[1:] != source[:-1]))[: len(content)])
        # One entry for each photograph of each source, and how many images that is.
        copies = np.diff(starts, append=len(content))
        _, which, sources = np.unique(content[starts], return_inverse=True, return_counts=True)
        return cls(
            within=len(content) - len(starts),
            between=int(copies[sources[which] > 1].sum()),
        )


def join_shared(groups: npt.NDArray[np.integer], content: Contents) -> npt.NDArray[np.int64]:
    """Let groups of images that share a photograph be one, and what these share others with.

    Parameters
    ----------
    groups
        Number of each image's group, (N,).
    content
        Which photograph each image is, (N,).

    Returns
    -------
    array
        Number of each image's joined group, (N,).
    """
    if not len(groups):
        return groups.astype(np.int64)
    names, dense = np.unique(groups, return_inverse=True)
    order = np.argsort(content, kind="stable")
    ordered = content[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    links = sparse.coo_array(
        (np.ones(len(same), bool), (dense[order[same]], dense[order[same + 1]])), (len(names), len(names))
    )
    _, joined = sparse.csgraph.connected_components(links, directed=False)
    return np.asarray(joined, np.int64)[dense]
