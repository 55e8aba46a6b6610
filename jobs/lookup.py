"""Looks images up in a table of labels, and remembers which of its lines were met."""

from collections.abc import Iterable
from typing import Self

import numpy as np

from jobs.labels import Labels, first_lines


class Lookup:
    """A table of labels as a pass over images goes by.

    Attributes
    ----------
    labels
        What it says.
    unlabelled
        Images so far that it has no line for.
    """

    def __init__(self, url: str | None, labels: Labels) -> None:
        self._url = url
        self._met = np.zeros(len(labels.label), bool)
        self._places: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.labels = labels
        self.unlabelled = 0

    @classmethod
    def of(cls, url: str, archives: Iterable[str]) -> Self:
        """Read a table for some archives; Refusal where it is none, or may mean either of two."""
        labels = Labels.read(url)
        labels.check([*archives])
        return cls(url, labels)

    def name(self, archive: tuple[str, ...], member: str, content_hash: str | None) -> str | None:
        """Give the label of an image, its archive by all names it has; None where no line is of it."""
        if archive not in self._places:
            self._places[archive] = self.labels.places(*archive)
        lines = [*self.labels.find(self._places[archive], member, content_hash)]
        self._met[lines] = True
        self.unlabelled += not lines
        return self.labels.names[self.labels.label[lines[0]]] if lines else None

    @property
    def matched(self) -> int:
        """Lines of which an image was met."""
        return int(self._met.sum())

    @property
    def unmatched(self) -> int:
        """Lines of which none was."""
        return len(self._met) - self.matched

    def first_unmatched(self, most: int) -> list[str]:
        """Name the first of these, by line and image; by line alone where the table is not at hand."""
        numbers = self.labels.number[~self._met]
        if self._url is None:
            return [f"line {number}" for number in sorted(numbers.tolist())[:most]]
        return first_lines(self._url, numbers, most)
