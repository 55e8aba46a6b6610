"""Makes the kernels ready before the first shard: compiled, or loaded from where they are kept."""

import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from threading import Lock

import numpy as np
from numba.core.event import Event, Listener, install_listener, install_timer
from threadpoolctl import threadpool_limits

from dice_core.tar import read_tar
from jobs.plan import Bundle
from jobs.rows import Images
from jobs.shard import PartReport, ShardSettings, score_bundle

_ready: set[tuple[str, bool, bool]] = set()
_readying = Lock()


@dataclass(frozen=True, slots=True)
class Ready:
    """A task of shards that have been made ready for in this process: once, and by no shard's clock.

    A worker that is started in place of one that died has to compile as well, and that is no hanging.
    """

    settings: ShardSettings

    def __call__(self, bundle: Bundle) -> tuple[PartReport, ...]:
        """Score the shards of a bundle, in order."""
        with _readying:
            if _made(self.settings) not in _ready:
                make_ready(self.settings)
        return score_bundle(self.settings, bundle)


class _First(Listener):
    """Tells of the first kernel that is compiled, and of no other."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._told = False

    def on_start(self, _event: Event) -> None:
        """Tell, if nobody has."""
        told, self._told = self._told, True
        if not told:
            self._tell()

    def on_end(self, _event: Event) -> None:
        """Pass over."""


@contextmanager
def announced(tell: Callable[[], None]) -> Iterator[None]:
    """Tell when the first kernel is about to be compiled within the block: a silent minute is to come."""
    with install_listener("numba:compile", _First(tell)):
        yield


def make_ready(settings: ShardSettings) -> float:
    """Load the model of a job and run all that scoring runs, once, in this process.

    What was compiled before is loaded from its cache. Otherwise it is compiled and, where this user may write
    beside the package or to a cache folder, kept for the processes that follow.

    Returns
    -------
    float
        Seconds of compiling; 0 where everything was found.
    """
    scorer = settings.load_scorer(settings.model, settings.model_hash)
    images = examples(scorer.image_size)
    compiling: list[float] = []
    with threadpool_limits(1, user_api="blas"), install_timer("numba:compile", compiling.append):
        for _ in read_tar(BytesIO(_archive()), settings.limits.max_bytes):
            pass
        scorer.score(images)
        if settings.exhaustive:
            scorer.compare(images)
        if settings.maps is not None:
            scorer.maps(images)
    _ready.add(_made(settings))
    return sum(compiling)


def _made(settings: ShardSettings) -> tuple[str, bool, bool]:
    """Tell apart what is made ready."""
    return settings.model_hash, settings.exhaustive, settings.maps is not None


def _archive() -> bytes:
    """Make a tar of two small members: a header that follows another is read by a kernel."""
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("a", "b"):
            archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


def examples(size: tuple[int, int]) -> Images:
    """Make a few images of a size, uint8 (N, height, width), that no branch of the kernels is spared by.

    The first is black; the others are noise, and noise with a blot.
    """
    noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    blot = noise.copy()
    blot[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 0
    return np.stack([np.zeros(size, np.uint8), noise, blot])
