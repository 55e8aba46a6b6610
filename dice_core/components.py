"""Variation templates: the leading principal components of images that are laid on each other."""

import numpy as np
import numpy.typing as npt


def gram_matrix(flat: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Inner products of all rows about their common mean, (M, M): once, for every fold."""
    centred = flat - flat.mean(axis=0)
    return np.asarray(centred @ centred.T)


def principal_components(
    flat: npt.NDArray[np.float32],
    gram: npt.NDArray[np.float32],
    inside: npt.NDArray[np.bool_],
    count: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean, (P,), and leading principal components, (K, P), of the rows that are `inside`.

    By subspace iteration on the rows' Gram matrix, which the folds share (Halko, Martinsson and Tropp,
    "Finding structure with randomness", SIAM Review 53, 2011).
    """
    rows = flat[inside]
    centre = rows.mean(axis=0)
    count = min(count, len(rows) - 1)
    own = gram[np.ix_(inside, inside)]
    own = own - own.mean(axis=0) - own.mean(axis=1, keepdims=True) + own.mean()
    basis = rng.standard_normal((len(rows), min(count + 10, len(rows)))).astype(np.float32)
    for _ in range(6):
        basis, _ = np.linalg.qr(own @ basis)
    values, vectors = np.linalg.eigh((basis.T @ own @ basis).astype(np.float64))
    leading = np.argsort(values)[::-1][:count]
    leading = leading[values[leading] > 1e-6 * max(float(values.max()), 1e-6)]
    weights = (basis @ vectors[:, leading]).astype(np.float32)
    components, _ = np.linalg.qr((rows - centre).T @ weights)
    return centre, np.ascontiguousarray(components.T)
