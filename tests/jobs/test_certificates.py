import pytest

from jobs.certificates import Certificates


@pytest.fixture
def certificates(tmp_path):
    for name in Certificates._fields:
        (tmp_path / name).touch(0o600)
    return Certificates(*(str(tmp_path / name) for name in Certificates._fields))


def test_a_key_that_others_may_read_is_a_problem(certificates, tmp_path):
    assert certificates.problem() is None
    (tmp_path / "key").chmod(0o640)
    assert certificates.problem() == f"key {tmp_path}/key: has mode 0640, so others may read it: chmod 600 it"


@pytest.mark.parametrize("name", Certificates._fields)
def test_a_file_that_is_not_there_is_a_problem(certificates, tmp_path, name):
    (tmp_path / name).unlink()
    assert certificates.problem() == f"{name} {tmp_path}/{name}: no file that can be read"


def test_every_role_has_the_same_pair_and_nothing_goes_in_the_clear(certificates):
    options = certificates.options()
    assert options.pop("require_encryption") is True
    assert options.pop("tls_ca_file") == certificates.ca
    assert {name.removeprefix("tls_") for name in options} == {
        f"{role}_{what}" for role in ("client", "scheduler", "worker") for what in ("cert", "key")
    }
    assert set(options.values()) == {certificates.certificate, certificates.key}
