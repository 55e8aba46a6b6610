"""The thresholds that labelled rows are judged by: the model's own, or chosen from the rows as a what-if."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dice_core.bank import Bank
from dice_core.crossfit import FEWEST_PER_FACE
from dice_core.policy import Policy
from dice_core.rows import SCORE_DIRECTIONS
from jobs.errors import Refusal
from jobs.labelled import Labelled


@dataclass(frozen=True)
class Limits:
    """The thresholds of one score column.

    Attributes
    ----------
    column
        The score column.
    threshold
        The one that holds in general.
    faces
        That of each face, (F,), in the order of the bank's.
    """

    column: str
    threshold: float
    faces: npt.NDArray[np.float64]

    @classmethod
    def of_model(cls, bank: Bank, column: str) -> "Limits":
        """Take those of the model, in the precision that scores have."""
        faces = bank.limits(column).astype(np.float32).astype(np.float64)
        return cls(column, float(np.float32(bank.thresholds[column])), faces)

    @classmethod
    def chosen(
        cls,
        labelled: Labelled,
        column: str,
        policy: Policy,
        prevalence: float | None,
        faces: int,
        *,
        per_face: bool,
    ) -> "Limits":
        """Choose them from labelled rows.

        Raises
        ------
        Refusal
            Where the policy cannot be kept.
        """
        if policy.name == "value":
            value = policy.value or 0.0
            return cls(column, value, np.full(faces, value))
        scores, direction = labelled.scores[column], SCORE_DIRECTIONS[column]
        good, bad = ~labelled.bad, labelled.bad
        try:
            chosen = policy.choose(scores[good], scores[bad], prevalence)
            own = np.full(faces, chosen)
            for face in range(faces) if per_face else ():
                mine = labelled.face == face
                if np.count_nonzero(good & mine) >= FEWEST_PER_FACE:
                    # As fit does: a face without a known defect borrows those of all.
                    known = scores[bad & mine] if (bad & mine).any() else scores[bad]
                    own[face] = policy.choose(scores[good & mine], known, prevalence)
        except ValueError as error:
            raise Refusal(f"--threshold {policy}: {error}: label some images, or give value=X") from error
        return cls(column, direction * chosen, direction * own)

    def beyond(self, labelled: Labelled) -> npt.NDArray[np.float32]:
        """Tell how far each score is beyond its face's threshold, (N,): from 0 up it is called."""
        own = (SCORE_DIRECTIONS[self.column] * self.faces).astype(np.float32)
        return np.asarray(labelled.scores[self.column] - own[labelled.face])

    def called(self, labelled: Labelled) -> npt.NDArray[np.bool_]:
        """Tell which rows are called: beyond the threshold, or of unknown kind, (N,)."""
        return np.asarray((self.beyond(labelled) >= 0) | labelled.unknown)
