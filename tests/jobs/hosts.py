"""Network namespaces as hosts, each with a link of its own to this one; and certificates for all."""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import samples
import trustme

HERE = "10.213.77.1"
"""Address of this host, as every other knows it."""


def missing():
    """Why there can be no other hosts; None where there can."""
    if shutil.which("ip") is None:
        return "NOT TESTED between hosts: no ip (Debian: iproute2)"
    if not sys.platform.startswith("linux") or os.geteuid():
        return "NOT TESTED between hosts: network namespaces need Linux and root"
    return None


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Host:
    """One other host."""

    def __init__(self, number):
        self.name = f"dice-{os.getpid()}-{number}"
        self.link = f"dice{os.getpid() % 100_000}{number}"
        self.near = f"10.213.77.{4 * number + 1}"
        self.address = f"10.213.77.{4 * number + 2}"

    def begin(self):
        _ip("netns", "add", self.name)
        _ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("addr", "add", f"{self.near}/30", "dev", self.link)
        _ip("link", "set", self.link, "up")
        inside = ("-n", self.name)
        _ip(*inside, "addr", "add", f"{self.address}/30", "dev", "eth0")
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "route", "add", "default", "via", self.near)

    def end(self):
        _ip("netns", "delete", self.name)  # and with it both ends of the link

    def cut(self):
        """Cut its link: what is sent there gets lost, and nobody is told."""
        _ip("link", "set", self.link, "down")


@contextmanager
def hosts(count):
    """Other hosts, and none of their links left afterwards."""
    if why := missing():
        pytest.skip(why)
    with ExitStack() as stack:
        made = [Host(number) for number in range(count)]
        for host in made:
            stack.callback(host.end)
            host.begin()
        yield made


@contextmanager
def worker(host, address, options, **environ):
    """A worker process on another host."""
    command = ["-m", "dask", "worker", address, "--host", host.address, *options]
    command += ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    process = subprocess.Popen(
        ["ip", "netns", "exec", host.name, sys.executable, *command],
        env=samples.environment(**environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Issued:
    """Certificates of one authority, as files."""

    def __init__(self, folder):
        folder.mkdir()
        authority = trustme.CA()
        issued = authority.issue_cert("dice-inspect")
        self.ca, self.certificate, self.key = (
            str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem")
        )
        authority.cert_pem.write_to_path(self.ca)
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        Path(self.key).touch(0o600)
        issued.private_key_pem.write_to_path(self.key)

    @property
    def options(self):
        """As Dask's commands take them."""
        return ["--tls-ca-file", self.ca, "--tls-cert", self.certificate, "--tls-key", self.key]

    def spec(self, path, address):
        """A file for --cluster that names an address and these certificates."""
        security = f"{{ca: {self.ca}, certificate: {self.certificate}, key: {self.key}}}"
        path.write_text(f"address: {address}\nsecurity: {security}\nwait: 30\n")
        return str(path)
