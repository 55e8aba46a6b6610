"""A pose that was given is found again, and nothing that is no pose is taken for one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_core import register
from dice_core.affine import inverse, warp
from dice_core.register import Registration

SIDE = 64


def scene(side=SIDE, width=None):
    """A rounded bright square with dark pips off its middle, float32: no turn of it is like another."""
    width = width or side
    y, x = np.mgrid[:side, :width]
    v, u = (y - (side - 1) / 2) / side, (x - (width - 1) / 2) / width
    drawn = 40 + 140 / (1 + np.exp((np.maximum(np.abs(v), np.abs(u)) - 0.33) * 90))
    for at in ((-0.15, -0.15), (0.12, 0.18), (0.17, -0.05)):
        drawn -= 100 / (1 + np.exp((np.hypot(v - at[0], u - at[1]) - 0.05) * 120))
    return drawn.astype(np.float32)


def inside(shape, share=0.8):
    y, x = np.indices(shape)
    v, u = (y - (shape[0] - 1) / 2) / shape[0], (x - (shape[1] - 1) / 2) / shape[1]
    return np.maximum(np.abs(v), np.abs(u)) < share / 2


def pose(turn=0.0, scale=1.0, shear=0.0, x=0.0, y=0.0):
    """One transform from target to image."""
    angle = np.deg2rad(turn)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[[cosine, shear - sine, x], [sine, cosine, y]]], np.float32)


def pictured(target, transform):
    """The image in which `transform` finds the target."""
    return warp(target[None], inverse(transform))


def miss(found, true, shape):
    """Farthest that a pixel of the part's corners is sent beside its place, pixels."""
    y, x = np.array(shape) * 0.33
    corners = np.array([[x, y, 1], [x, -y, 1], [-x, y, 1], [-x, -y, 1]]).T
    return np.hypot(*(found[0].astype(float) @ corners - true[0].astype(float) @ corners)).max()


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-6, 6),
    st.floats(0.95, 1.05),
    st.floats(-0.03, 0.03),
    st.floats(-3, 3),
    st.floats(-3, 3),
    st.floats(0.7, 1.3),
    st.floats(-30, 30),
)
def test_half_of_a_pose_or_more_is_found_whatever_the_light(turn, scale, shear, x, y, gain, offset):
    target = scene()
    true = pose(turn, scale, shear, x, y)
    image = (pictured(target, true) * gain + offset).astype(np.float32)
    found = Registration.to(target, inside(target.shape)).transforms(image)
    # The prior keeps back a part of it, of a turn or a size most.
    assert miss(found, true, target.shape) < 0.3 + 0.5 * miss(pose(), true, target.shape)


@pytest.mark.parametrize("shape", [(32, 32), (64, 64), (48, 80), (129, 129), (256, 256), (200, 120)])
def test_of_whatever_size_and_shape(shape):
    target = scene(*shape)
    longer = max(shape)
    true = pose(3, 1.02, 0, 0.02 * longer, -0.03 * longer)
    image = pictured(target, true)
    registration = Registration.to(target, inside(shape))
    found = registration.transforms(image)
    assert miss(found, true, shape) < 0.45 * miss(pose(), true, shape)
    away = np.abs(warp(image, found)[0] - target)[inside(shape, 0.6)]
    assert away.mean() < np.abs(image[0] - target)[inside(shape, 0.6)].mean() / 2


@pytest.mark.parametrize("grey", [0, 110, 255])
def test_no_scribble_pulls_at_it(grey):
    target = scene()
    true = pose(2, 1, 0, 1.5, -1)
    image = pictured(target, true)
    scribbled = image.copy()
    scribbled[0, 20:44, 28:33] = grey
    scribbled[0, 40:44, 20:40] = grey
    registration = Registration.to(target, inside(target.shape))
    assert miss(registration.transforms(scribbled), true, target.shape) < 0.5


def test_noise_moves_it_by_little(rng):
    target = scene()
    registration = Registration.to(target, inside(target.shape))
    images = target + rng.normal(0, 8, (50, *target.shape)).astype(np.float32)
    missed = [miss(found[None], pose(), target.shape) for found in registration.transforms(images)]
    assert np.quantile(missed, 0.9) < 0.3


def test_the_turn_of_a_disc_is_that_of_its_target(rng):
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    disc = (30 + 150 / (1 + np.exp((np.hypot(y, x) - 20) * 1.5))).astype(np.float32)
    images = disc + rng.normal(0, 5, (20, SIDE, SIDE)).astype(np.float32)
    found = Registration.to(disc, inside(disc.shape)).transforms(images)
    turns = np.rad2deg((found[:, 1, 0] - found[:, 0, 1]) / 2)
    assert np.abs(turns).max() < 1.5


@pytest.mark.parametrize("grey", [0, 128])
def test_a_target_without_an_edge_moves_nothing(grey, rng):
    registration = Registration.to(np.full((SIDE, SIDE), grey, np.float32), inside((SIDE, SIDE)))
    assert registration.edges is None
    images = rng.uniform(0, 255, (3, SIDE, SIDE)).astype(np.float32)
    np.testing.assert_array_equal(registration.transforms(images), np.repeat(pose(), 3, axis=0))


def test_what_follows_no_pose_stays_as_it_is_or_within_the_limits(rng):
    target = scene()
    registration = Registration.to(target, inside(target.shape))
    images = np.stack(
        [
            np.zeros((SIDE, SIDE)),
            np.full((SIDE, SIDE), 255),
            rng.uniform(0, 255, (SIDE, SIDE)),
            np.roll(target, 20, axis=1),
            np.rot90(target, 2),
            255 - target,
        ]
    ).astype(np.float32)
    found = registration.transforms(images)
    assert np.isfinite(found).all()
    assert np.abs(found[:, :, 2]).max() <= register.FARTHEST * SIDE
    assert np.abs(found[:, :, :2] - np.eye(2)).max() <= register.MOST_LINEAR


def test_an_image_is_found_alone_as_among_others(rng):
    target = scene()
    registration = Registration.to(target, inside(target.shape))
    images = np.concatenate([pictured(target, pose(turn, 1, 0, turn / 3)) for turn in (-4, 0, 1, 5)])
    images += rng.normal(0, 3, images.shape).astype(np.float32)
    whole = registration.transforms(images)
    for at in range(len(images)):
        np.testing.assert_allclose(registration.transforms(images[at : at + 1])[0], whole[at], atol=1e-4)
    assert registration.transforms(images[:0]).shape == (0, 2, 3)
