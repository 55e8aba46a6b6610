"""What happens to a photograph on its way: moved, turned, lit otherwise, noisy, compressed, blurred."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from simplejpeg import decode_jpeg

from dice_core.synth import encode_jpeg
from dice_core.threshold import Confusion
from tests.bench.quality.carried import Carried
from tests.bench.quality.material import Grey
from tests.bench.quality.outcome import Row, row

MOST_ALARMS, LEAST_RECALL = 0.01, 0.97
_BEST_QUALITY = 95

Share = float
"""How much of the stated size, 0..1."""
Disturb = Callable[[Grey, Share, np.random.Generator], npt.NDArray[np.floating] | Grey]


def _sign(rng: np.random.Generator) -> int:
    return int(rng.choice((-1, 1)))


def _shift(image: Grey, share: Share, rng: np.random.Generator) -> npt.NDArray[np.floating]:
    angle = rng.uniform(0, 2 * np.pi)
    by = [4 * share * np.sin(angle), 4 * share * np.cos(angle)]
    return np.asarray(ndimage.shift(image.astype(np.float32), by, order=1, mode="nearest"))


def _shift_both(image: Grey, share: Share, rng: np.random.Generator) -> npt.NDArray[np.floating]:
    by = [4 * share * _sign(rng), 4 * share * _sign(rng)]
    return np.asarray(ndimage.shift(image.astype(np.float32), by, order=1, mode="nearest"))


def _turn(image: Grey, share: Share, rng: np.random.Generator) -> npt.NDArray[np.floating]:
    angle = 5 * share * _sign(rng)
    return np.asarray(ndimage.rotate(image.astype(np.float32), angle, reshape=False, order=1, mode="nearest"))


def _brightness(image: Grey, share: Share, rng: np.random.Generator) -> npt.NDArray[np.floating]:
    return np.asarray(image * np.float32(1 + 0.2 * share * _sign(rng)))


def _noise(image: Grey, share: Share, rng: np.random.Generator) -> npt.NDArray[np.floating]:
    return np.asarray(image + 5 * share * rng.standard_normal(image.shape, dtype=np.float32))


def _jpeg(image: Grey, share: Share, _: np.random.Generator) -> Grey:
    quality = round(_BEST_QUALITY - (_BEST_QUALITY - 30) * share)
    decoded: Grey = decode_jpeg(encode_jpeg(image, quality), colorspace="GRAY")[..., 0]
    return decoded


def _blur(image: Grey, share: Share, _: np.random.Generator) -> npt.NDArray[np.floating]:
    return np.asarray(ndimage.gaussian_filter(image.astype(np.float32), share, mode="nearest"))


BEYOND = "shift ±4 px along both axes"
"""More than is asked for."""
DISTURBANCES: Mapping[str, Disturb] = {
    "shift ±4 px": _shift,
    BEYOND: _shift_both,
    "turn ±5°": _turn,
    "brightness ±20 %": _brightness,
    "noise sigma 5": _noise,
    "JPEG quality 30": _jpeg,
    "blur sigma 1": _blur,
}


def disturb(name: str, images: Grey, *, extreme: bool, seed: int) -> Grey:
    """Change images, (N, H, W): by the stated size either way, or by a random share of it."""
    change = DISTURBANCES[name]
    changed = np.empty_like(images)
    for number, image in enumerate(images):
        rng = np.random.default_rng([seed, number])
        share = 1.0 if extreme else float(rng.random())
        changed[number] = np.clip(np.rint(change(image, share, rng)), 0, 255)
    return changed


def disturbances(ways: list[Carried]) -> tuple[list[Row], list[Row]]:
    """Verdicts under each change, by the bank of the other session: the worse session of either kind."""
    rows, cases = [], []
    for seed, name in enumerate(DISTURBANCES):
        for extreme in (True, False):
            found = []
            for way in ways:
                images = disturb(name, way.scored.images, extreme=extreme, seed=seed)
                columns = way.taught.score(images)
                confusion = Confusion.of(way.scored.is_bad, way.taught.called(columns))
                found.append(confusion)
                rows.append(
                    {
                        "change": name,
                        "size": "as stated" if extreme else "random up to it",
                        "way": way.name,
                        "false alarms": confusion.fp,
                        "false-alarm rate": confusion.fp / (confusion.fp + confusion.tn),
                        "misses": confusion.fn,
                        "recall": confusion.recall,
                        "unknown parts": int((columns["ncc"] < way.taught.bank.ncc_floor).sum()),
                    }
                )
            alarms = max(one.fp / (one.fp + one.tn) for one in found)
            recall = min(one.recall or 0.0 for one in found)
            asked = extreme and name != BEYOND
            met = (alarms <= MOST_ALARMS and recall >= LEAST_RECALL) if asked else None
            cases.append(
                row(
                    f"{name}{'' if extreme else ', random up to it'}",
                    f"alarms {MOST_ALARMS:.0%}, recall {LEAST_RECALL}" if asked else "",
                    f"alarms {alarms:.2%}, recall {recall:.3f}",
                    met=met,
                    confusion=sum(found, Confusion()),
                )
            )
    return cases, rows
