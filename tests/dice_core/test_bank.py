import io
import json
import pickle
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from dice_core.bank import Bank
from dice_core.expectation import Estimate, Expectation
from dice_core.reference import FaceReference, Reference
from dice_core.rows import SCORE_DIRECTIONS

EXPECTED = Expectation(500, 40, Estimate(0.001, 0.0, 0.08), 30, 5, Estimate(0.9, 0.55, 1.0))
TOLD = EXPECTED.told()
OPTIONAL = ("face_thresholds", "expected", "policy", "prevalence")
ARRAYS = ("mean", "part", "target", "centre", "components", "spread_dark", "spread_bright")


def written(bank):
    stream = io.BytesIO()
    bank.write(stream)
    return stream.getvalue()


def read(content):
    return Bank.read(io.BytesIO(content))


def archive(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return stream.getvalue()


def member(header, body=b""):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def bytes_header(shape, descr="'|u1'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


def arrays_of(content):
    with np.load(io.BytesIO(content)) as loaded:
        return dict(loaded)


def saved(arrays, save=np.savez):
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def with_head(content, **changes):
    arrays = arrays_of(content)
    head = {**json.loads(arrays["head"].tobytes()), **changes}
    known = {name: value for name, value in head.items() if value is not KeyError}
    return saved(arrays | {"head": np.frombuffer(json.dumps(known).encode(), np.uint8)})


def with_array(content, name, change):
    arrays = arrays_of(content)
    return saved(arrays | {name: change(arrays[name])})


def lying_directory(content, name, size):
    """The zip with its directory claiming another size of one member."""
    entry = content.index(name.encode(), content.index(b"PK\x01\x02")) - 46
    assert content[entry : entry + 4] == b"PK\x01\x02"
    claim = size.to_bytes(4, "little")
    return content[: entry + 20] + claim + claim + content[entry + 28 :]


@pytest.fixture(scope="module")
def content(make_bank):
    return written(make_bank())


def test_a_bank_reads_back_to_the_last_bit(make_bank):
    bank = make_bank()
    again = read(written(bank))
    for name in ("image_size", "size", "anomaly_labels", "ncc_floor", "thresholds", "taught"):
        assert getattr(again, name) == getattr(bank, name), name
    assert [face.name for face in again.faces] == ["a", "ß"]
    for face, same in zip(bank.faces, again.faces, strict=True):
        assert (same.images, same.exposure) == (face.images, face.exposure)
        for name in ARRAYS:
            array, back = getattr(face, name), getattr(same, name)
            assert (back.dtype, back.shape) == (array.dtype, array.shape)
            assert back.tobytes() == array.tobytes()
    assert written(again) == written(bank)


def full(make_bank, **changes):
    """A bank with all that it may do without."""
    known = {
        "face_thresholds": {"ß": {"ssim": 0.5, "defect_score": 3.25}},
        "expected": {"ssim": EXPECTED, "defect_score": replace(EXPECTED, bad=0, bad_groups=0, recall=None)},
        "policy": "cost=miss:50,alarm:1",
        "prevalence": 0.0005,
    }
    return make_bank(**{**known, **changes})


def test_what_it_may_do_without_reads_back_too(make_bank):
    bank = full(make_bank)
    again = read(written(bank))
    for name in OPTIONAL:
        assert getattr(again, name) == getattr(bank, name), name
    assert written(again) == written(bank)
    turned = {name: dict(reversed(getattr(bank, name).items())) for name in ("expected", "face_thresholds")}
    assert written(full(make_bank, **turned)) == written(bank)


def test_the_limit_of_a_face_is_its_own_or_that_of_all(make_bank):
    bank = full(make_bank)
    assert bank.limits("defect_score").tolist() == [4.1, 3.25]
    assert bank.limits("ncc").tolist() == [0.75, 0.75]


def test_equal_banks_give_equal_bytes(make_bank, make_face):
    bank = make_bank()
    turned = make_bank(
        thresholds=dict(reversed(bank.thresholds.items())),
        taught=frozenset(sorted(bank.taught, reverse=True)),
    )
    assert written(bank) == written(turned)
    laid = make_face("a", centre=np.asfortranarray(bank.faces[0].centre))
    assert written(make_bank(faces=(laid, bank.faces[1]))) == written(bank)
    assert written(make_bank(ncc_floor=0.31)) != written(bank)


def test_a_bank_that_remembers_no_image_and_knows_no_limit_reads_back(make_bank):
    unlimited = dict.fromkeys(SCORE_DIRECTIONS, np.inf)
    again = read(written(make_bank(taught=frozenset(), anomaly_labels=(), thresholds=unlimited)))
    assert (again.taught, again.anomaly_labels) == (frozenset(), ())
    assert again.thresholds == unlimited


def test_a_bank_reads_from_the_disk_too(tmp_path, content):
    path = tmp_path / "bank.npz"
    path.write_bytes(content)
    with path.open("rb") as stream:
        assert len(Bank.read(stream).faces) == 2


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (b"", "zip"),
        (b"PK\x05\x06", "zip"),
        (np.random.default_rng(0).bytes(5000), "zip"),
        (pickle.dumps({"head": 1}), "zip"),
        (archive(), "head"),
        (archive(readme=b"hello"), "magic"),
        (saved({"x": np.arange(3)}), "head"),
        (saved({"head": np.arange(300, dtype=np.uint8)}), "no template bank"),
        (saved({"head": np.frombuffer(b"[]", np.uint8)}), "no template bank"),
        (saved({"head": np.frombuffer(b"[" * 100_000, np.uint8)}), "recursion"),
        (saved({"head": np.array([{"a": 1}], object)}), "plain array"),
        (saved({"head": np.asfortranarray(np.zeros((3, 3)))}), "plain array"),
        (saved({"head": np.random.default_rng(0).random(50)}, np.savez_compressed), "compressed"),
        (archive(head=b"\x93NUMPY\x02\x00" + bytes(100)), "npy version"),
        (archive(head=member("'" * 3)), "no template bank"),
        (archive(head=member("{'descr': (")), "no template bank"),
        (archive(head=member("  x\n y\n")), "no template bank"),
        (archive(head=member("-" * 9000 + "1")), "header"),
        (archive(head=member(bytes_header((-1,)), b"xx")), "plain array"),
        (archive(head=member(bytes_header((2**62, 2**62)), b"xx")), "plain array"),
        (archive(head=member(bytes_header((2**40,)), b"xx")), "plain array"),
        (archive(head=member(bytes_header((2**70, 0)))), "dimension"),
        (archive(head=member(bytes_header((3,), "'|V0'"))), "itemsize"),
        (archive(head=member(bytes_header((1,), "[('a', '|O')]"), bytes(8))), "plain array"),
    ],
)
def test_what_is_no_bank_is_refused_with_a_reason(hostile, message):
    with pytest.raises(ValueError, match=f"(?i){message}") as refused:
        read(hostile)
    assert str(refused.value).startswith("no template bank")


def test_a_pickle_in_a_member_is_never_run(tmp_path):
    trace = tmp_path / "trace"

    class Bomb:
        def __reduce__(self):
            return (open, (str(trace), "w"))

    for hostile in (
        saved({"head": np.array([Bomb()], object)}),
        archive(head=pickle.dumps(Bomb())),
    ):
        with pytest.raises(ValueError, match="no template bank"):
            read(hostile)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "something"}, "something"),
        ({"version": 2}, "version 2, this program reads version 3: fit again"),
        ({"version": 4}, "version 4"),
        ({"version": "3"}, "version 3"),
        ({"version": KeyError}, "version"),
        ({"size": [12]}, "size"),
        ({"size": []}, "size"),
        ({"size": 12}, "no template bank"),
        ({"size": [2**40, 2**40]}, "shape"),
        ({"size": [0, 12]}, "size"),
        ({"size": [12, 13]}, "shape"),
        ({"image_size": [24]}, "image_size"),
        ({"image_size": ["a", "b"]}, "image_size"),
        ({"image_size": KeyError}, "image_size"),
        ({"faces": []}, "face"),
        ({"faces": {"name": "a"}}, "no template bank"),
        ({"faces": [{"name": "a"}]}, "level"),
        ({"faces": [{"name": "a", "images": float("inf"), "level": 1, "ceiling": 1}]}, "infinity"),
        ({"faces": [{"name": name, "images": 1, "level": 1, "ceiling": 1} for name in "abc"]}, "mean_2"),
        ({"faces": [{"name": "a", "images": 1, "level": 1, "ceiling": 1}] * 2}, "stands for two things"),
        ({"faces": [{"name": "a", "images": 1, "level": float("nan"), "ceiling": 1}]}, "exposure"),
        ({"thresholds": []}, "no template bank"),
        ({"thresholds": {"ssim": 1.0}}, "lacks a threshold"),
        ({"thresholds": dict.fromkeys(SCORE_DIRECTIONS)}, "NoneType"),
        ({"thresholds": dict.fromkeys(SCORE_DIRECTIONS, float("nan"))}, "not a number"),
        ({"ncc_floor": float("nan")}, "not a number"),
        ({"ncc_floor": "high"}, "str"),
        ({"anomaly_labels": 3}, "no text"),
        ({"anomaly_labels": ["ano", 3]}, "no text"),
        ({"anomaly_labels": ["a"]}, "stands for two things"),
        ({"face_thresholds": {"c": {"ssim": 0.5}}}, "no face"),
        ({"face_thresholds": {"a": {"size": 0.5}}}, "no face or column"),
        ({"face_thresholds": {"a": {"ssim": float("nan")}}}, "not a number"),
        ({"face_thresholds": 3}, "no template bank"),
        ({"expected": {"size": TOLD}}, "no face or column"),
        ({"expected": {"ssim": {}}}, "no template bank"),
        ({"expected": {"ssim": {**TOLD, "alarms": [0.1, 0.0]}}}, "no template bank"),
        ({"expected": {"ssim": {**TOLD, "alarms": [0.1, 0.0, 1.5]}}}, "cannot be"),
        ({"expected": {"ssim": {**TOLD, "recall": [float("nan"), 0.0, 1.0]}}}, "cannot be"),
        ({"expected": {"ssim": {**TOLD, "good_groups": 0}}}, "cannot be"),
        ({"prevalence": 0}, "prevalence is 0"),
        ({"prevalence": float("nan")}, "prevalence is nan"),
        ({"prevalence": "rare"}, "no template bank"),
        ({"policy": "best"}, "no threshold policy"),
        ({"policy": None}, "no template bank"),
    ],
)
def test_a_head_that_cannot_be_is_refused_with_a_reason(content, changes, message):
    assert read(with_head(content))
    with pytest.raises(ValueError, match=message):
        read(with_head(content, **changes))


@pytest.mark.parametrize("name", ["head", "taught", *(f"{name}_1" for name in ARRAYS)])
def test_a_missing_array_is_named(content, name):
    arrays = arrays_of(content)
    del arrays[name]
    with pytest.raises(ValueError, match=name):
        read(saved(arrays))


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize(
    "change", [lambda a: a[:, 1:], lambda a: a[None], np.ravel, lambda a: a.astype(np.float64)]
)
def test_an_array_of_another_shape_or_type_is_named(content, name, change):
    with pytest.raises(ValueError, match=f"{name}_0"):
        read(with_array(content, f"{name}_0", change))


@pytest.mark.parametrize("name", ["mean", "centre", "components", "spread_dark", "spread_bright"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_none_is_refused(content, name, value):
    with pytest.raises(ValueError, match=f"{name}_0"):
        read(
            with_array(
                content,
                f"{name}_0",
                lambda array: np.where(
                    np.arange(array.size).reshape(array.shape) == 5, np.float32(value), array
                ),
            )
        )


@pytest.mark.parametrize("name", ["spread_dark", "spread_bright"])
def test_a_spread_of_zero_is_refused(content, name):
    with pytest.raises(ValueError, match=f"{name}_1"):
        read(with_array(content, f"{name}_1", np.zeros_like))


def test_a_bank_cut_anywhere_is_refused(content):
    for length in {*range(0, len(content), 97), *range(len(content) - 60, len(content))}:
        with pytest.raises(ValueError, match="no template bank"):
            read(content[:length])


def test_a_changed_byte_is_refused_or_harmless(content):
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(content), 400):
        changed = bytearray(content)
        changed[at] ^= 1 << rng.integers(8)
        try:
            read(bytes(changed))
        except ValueError as error:
            assert "no template bank" in str(error)  # noqa: PT017


@pytest.mark.parametrize("offset", [1, 1000])
def test_a_directory_that_points_before_the_file_is_refused_from_the_disk_too(tmp_path, content, offset):
    end = content.rindex(b"PK\x05\x06")
    begins = int.from_bytes(content[end + 16 : end + 20], "little") + offset
    path = tmp_path / "bank.npz"
    path.write_bytes(content[: end + 16] + begins.to_bytes(4, "little") + content[end + 20 :])
    with path.open("rb") as stream, pytest.raises(ValueError, match="no template bank"):
        Bank.read(stream)


def test_neither_a_header_nor_a_directory_that_lies_takes_memory(tmp_path):
    size = 1 << 31
    honest = archive(head=member(bytes_header((size,)), b"x" * 100))
    path = tmp_path / "bank.npz"
    path.write_bytes(lying_directory(honest, "head.npy", size + 200))
    tracemalloc.start()
    try:
        with path.open("rb") as stream, pytest.raises(ValueError, match="claims"):
            Bank.read(stream)
        with pytest.raises(ValueError, match="plain array"):
            read(honest)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


# The reference that lots are compared with

REFERENCE = Reference(
    {"a": FaceReference(0.5, 0.25, 30.0), "ß": FaceReference(0.75, 0.5, 0.0)},
    (-0.5, 0.0, 0.75, 1.5),
    1.0,
    2.5,
)


def test_a_reference_reads_back_and_a_bank_may_do_without(make_bank):
    content = written(make_bank(reference=REFERENCE))
    assert read(content).reference == REFERENCE
    assert written(read(content)) == content
    assert read(written(make_bank())).reference is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faces": {"a": [0.5, 0.25, 30.0]}}, "ß"),
        ({"faces": {"a": [0.5, 0.25, 30.0], "ß": [0.5, -0.25, 30.0]}}, "cannot be"),
        ({"faces": {"a": [0.5, 0.25, 30.0], "ß": [0.5, 0.25]}}, "no template bank"),
        ({"quantiles": None}, "no template bank"),
        ({"repeats": float("nan")}, "cannot be"),
    ],
)
def test_a_reference_that_cannot_be_is_refused_with_a_reason(make_bank, change, message):
    content = written(make_bank(reference=REFERENCE))
    with pytest.raises(ValueError, match=message) as refused:
        read(with_head(content, reference={**REFERENCE.told(), **change}))
    assert str(refused.value).startswith("no template bank")
