"""A bank taught as `fit` teaches, kept with the scores it was chosen by, and what it says of images."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from dice_core.bank import Bank
from dice_core.crossfit import CrossFit
from dice_core.learn import Learning
from dice_core.score import Columns, Scorer
from dice_core.teach import set_thresholds, teach
from tests.bench.quality.material import Flags, Grey, Material

THREADS = 2
_BATCH = 250


@dataclass(frozen=True)
class Taught:
    """A bank with its thresholds, the material that taught it and the scores of that, cross-fitted."""

    material: Material
    bank: Bank
    crossfit: CrossFit
    suspects: int
    """Images labelled good that look mislabelled: they taught nothing, and are not of the material."""

    @classmethod
    def by(cls, material: Material, **settings: int) -> "Taught":
        """Teach as `fit` does where nothing is asked for, or with other settings of `Learning`."""
        some = next(iter(material.good.values())).images
        learning = Learning((some.shape[1], some.shape[2]), **settings)
        taught = teach(material.good, material.bad, learning, threads=THREADS)
        bank = set_thresholds(taught.bank, taught.crossfit)
        return cls(replace(material, good=taught.good), bank, taught.crossfit, len(taught.suspects))

    def knowing(self, known: Flags) -> "Taught":
        """Choose the thresholds anew, of the known defects only by those that are flagged, (M,)."""
        crossfit = replace(
            self.crossfit, bad={name: values[known] for name, values in self.crossfit.bad.items()}
        )
        return replace(self, bank=set_thresholds(self.bank, crossfit), crossfit=crossfit)

    def without_defects(self) -> "Taught":
        """Choose the thresholds anew as if no defect were known."""
        return self.knowing(np.zeros(len(self.crossfit.bad["face"]), bool))

    @property
    def cross_fitted(self) -> Columns:
        """Cross-fitted columns in the material's order; their verdicts mean nothing."""
        good, bad = self.crossfit.good, self.crossfit.bad
        return {name: np.concatenate([good[name], bad[name]]) for name in good}

    def score(self, images: Grey) -> Columns:
        """Score images, (N, H, W)."""
        scorer = Scorer(self.bank)
        pieces = np.array_split(images, max(1, -(-len(images) // _BATCH)))
        with threadpool_limits(1), ThreadPoolExecutor(THREADS) as pool:
            scored = list(pool.map(scorer.score, pieces))
        return {name: np.concatenate([columns[name] for columns in scored]) for name in scored[0]}

    def called(self, columns: Columns) -> Flags:
        """Which images the bank's thresholds call an anomaly, a part of unknown kind among them."""
        number = {face.name: at for at, face in enumerate(self.bank.faces)}
        limits = self.bank.limits("defect_score").astype(np.float32)
        own = limits[[number[name] for name in columns["face"].tolist()]]
        return np.asarray((columns["defect_score"] >= own) | (columns["ncc"] < self.bank.ncc_floor))
