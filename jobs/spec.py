"""What ``--cluster`` may name, read and checked once; nothing is started and nobody is called."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import yaml

from jobs import storage
from jobs.certificates import Certificates
from jobs.errors import Refusal
from jobs.managers import MANAGERS, Manager

SERIAL = "serial"
LOCAL = "local"
FORMS = "local[:N], tcp://host:port, tls://host:port, a scheduler.json or a YAML file"

ADDRESS_WAIT = 30.0
"""Seconds that a scheduler has to answer, and again its first worker to be there."""

MANAGED_WAIT = 300.0
"""Seconds that a manager has to start the first worker, unless its file says otherwise: queues take time."""

_SCHEMES = ("tcp://", "tls://")
_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:.]+\]|[^\s/:@\[\]]+):[0-9]{1,5}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYS = (
    "cluster",
    "address",
    "arguments",
    "scale",
    "adapt",
    "security",
    "environment",
    "wait",
    "dashboard",
)
_PORT = 65535
_LONGEST_WAIT = 10**9
_BITS = 64
_VALUE_TOLD, _MOST_TOLD = 80, 2000
"""Letters of a value, and of all that is said of it."""


class Kind(Enum):
    """How a job comes by its workers."""

    SERIAL = "serial"
    """It has none, and scores in its own process."""
    LOCAL = "local"
    """It starts them on this machine."""
    ADDRESS = "address"
    """A scheduler has them."""
    MANAGED = "managed"
    """It asks a cluster manager for them."""


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A cluster that is asked for.

    Attributes
    ----------
    text
        As it was given, for messages.
    workers
        How many local workers; None for one per core.
    address
        Of a scheduler that is there.
    manager
        Who starts the workers.
    arguments
        For the manager's class.
    least, most
        Workers to ask the manager for; equal where their number is fixed.
    certificates
        For both ends of every connection; None where there are none, or the manager makes its own.
    environment
        Of every worker that the manager starts.
    wait
        Seconds until the first worker has to be there.
    dashboard
        Port of Dask's dashboard on loopback; None for no dashboard.
    """

    kind: Kind
    text: str
    workers: int | None = None
    address: str | None = None
    manager: Manager | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    least: int = 1
    most: int = 1
    certificates: Certificates | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    wait: float = ADDRESS_WAIT
    dashboard: int | None = None

    @property
    def is_here(self) -> bool:
        """Whether everything runs on this machine, so that what is compiled here is found."""
        return self.kind in (Kind.SERIAL, Kind.LOCAL)


def parse(text: str | None) -> ClusterSpec:
    """Read what ``--cluster`` was given.

    Raises
    ------
    Refusal
        Where it is none of what is known, or its file cannot be read or holds what is not taken.
    """
    text = text or LOCAL
    if text == SERIAL:
        return ClusterSpec(Kind.SERIAL, text)
    name, _, number = text.partition(":")
    if name == LOCAL and (number.isdecimal() or text == LOCAL):
        if number and not int(number):
            raise Refusal(f"--cluster {text}: give a number of workers from 1 up")
        return ClusterSpec(Kind.LOCAL, text, int(number) if number else None)
    if text.startswith(_SCHEMES):
        return _at(text, text, None)
    if text.endswith(".json"):
        return _at(text, _scheduler_file(text), None)
    if text.endswith((".yaml", ".yml")):
        return _described(text, _mapping(text))
    raise Refusal(f"--cluster {storage.told(text)}: not known: give {FORMS}")


def check_number(spec: ClusterSpec, workers: int | None) -> None:
    """Refuse two numbers of local workers that do not agree."""
    if workers and spec.workers and workers != spec.workers:
        raise Refusal(f"--workers {workers}: --cluster {spec.text} says otherwise: leave out one of them")


def _read(text: str) -> bytes:
    try:
        return storage.read(text)
    except OSError as error:
        raise Refusal(f"--cluster {text}: {error.strerror or error}: name a file that is there") from error


def _scheduler_file(text: str) -> str:
    try:
        return str(json.loads(_read(text))["address"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal(f"--cluster {text}: not a file that dask scheduler --scheduler-file wrote") from error


def _at(text: str, address: str, certificates: Certificates | None) -> ClusterSpec:
    if not _ADDRESS.fullmatch(address):
        raise Refusal(
            f"--cluster {storage.told(text)}: not an address: give tcp://host:port or tls://host:port"
        )
    if certificates and not address.startswith("tls://"):
        raise Refusal(f"--cluster {text}: security is for tls://, not {address}: give a tls:// address")
    return ClusterSpec(Kind.ADDRESS, text, address=address, certificates=certificates)


def _mapping(text: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(_read(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise Refusal(f"--cluster {text}: not YAML{where}: {getattr(error, 'problem', error)}") from error
    if not isinstance(content, dict):
        raise Refusal(f"--cluster {text}: not a mapping: begin with cluster: and the name of its class")
    return content


def _described(text: str, content: Mapping[str, Any]) -> ClusterSpec:
    """Read a file that describes a cluster."""
    given = _Given(text, content)
    given.check_keys("", content, _KEYS)
    certificates = given.certificates()
    if "address" in content:
        given.check_keys("", content, ("address", "security", "wait"))
        if not isinstance(content["address"], str):
            raise given.refusal("address has to be a text: give tcp://host:port or tls://host:port")
        at = _at(text, content["address"], certificates)
        return ClusterSpec(
            at.kind, text, address=at.address, certificates=certificates, wait=given.wait(at.wait)
        )
    name = content.get("cluster")
    manager = MANAGERS.get(name) if isinstance(name, str) else None
    if manager is None:
        raise given.refusal(f"cluster {_shown(name)} is not one of {', '.join(MANAGERS)}")
    arguments = given.section("arguments")
    manager.check(arguments, given.refusal)
    if certificates and not manager.takes_certificates:
        raise given.refusal(f"{manager.name} takes no security: it {manager.security}")
    least, most = given.size()
    return ClusterSpec(
        Kind.MANAGED,
        text,
        manager=manager,
        arguments=arguments,
        least=least,
        most=most,
        certificates=certificates,
        environment=given.environment(),
        wait=given.wait(MANAGED_WAIT),
        dashboard=given.dashboard(),
    )


def _shown(value: Any) -> str:
    """Write a value for a message; what holds others is named alone, as aliases make it very large."""
    if isinstance(value, dict | list | tuple | set):
        return "that is no text"
    # Python writes no number of very many digits in decimal.
    return _cut(f"{value:#x}" if isinstance(value, int) and value >> _BITS > 0 else str(value), _VALUE_TOLD)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


@dataclass(frozen=True, slots=True)
class _Given:
    """What a file says, read a key at a time; each reader raises a `Refusal` that names file and key."""

    text: str
    content: Mapping[str, Any]

    def refusal(self, why: str) -> Refusal:
        return Refusal(f"--cluster {self.text}: {_cut(why, _MOST_TOLD)}")

    def check_keys(self, where: str, content: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in content:
            if key not in known:
                raise self.refusal(f"{where}{_shown(key)} is not known: known are {', '.join(known)}")

    def section(self, key: str) -> dict[str, Any]:
        section = self.content.get(key, {})
        if not isinstance(section, dict) or not all(isinstance(name, str) for name in section):
            raise self.refusal(f"{key} has to be a mapping of names to values")
        return section

    def number(self, key: str, value: Any, least: int = 1, most: float = float("inf")) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refusal(f"{key} {_shown(value)}: give a whole number from {least} up")
        return value

    def size(self) -> tuple[int, int]:
        if ("scale" in self.content) == ("adapt" in self.content):
            raise self.refusal("say either scale: N, or adapt: {minimum: N, maximum: M}")
        if "scale" in self.content:
            scale = self.number("scale", self.content["scale"])
            return scale, scale
        adapt = self.section("adapt")
        self.check_keys("adapt.", adapt, ("minimum", "maximum"))
        least = self.number("adapt.minimum", adapt.get("minimum", 1))
        return least, self.number("adapt.maximum", adapt.get("maximum"), least)

    def certificates(self) -> Certificates | None:
        if "security" not in self.content:
            return None
        section = self.section("security")
        self.check_keys("security.", section, Certificates._fields)
        if missing := [name for name in Certificates._fields if not isinstance(section.get(name), str)]:
            raise self.refusal(f"security.{missing[0]} is missing: name a PEM file")
        certificates = Certificates(**section)
        if problem := certificates.problem():
            raise self.refusal(f"security.{problem}")
        return certificates

    def environment(self) -> dict[str, str]:
        section = self.section("environment")
        for name, value in section.items():
            if (
                not _VARIABLE.fullmatch(name)
                or isinstance(value, bool)
                or not isinstance(value, str | int | float)
            ):
                raise self.refusal(
                    f"environment.{_shown(name)}: give a variable's name, and a text or number (in quotes)"
                )
            if "\n" in str(value) or "\0" in str(value):
                raise self.refusal(f"environment.{_shown(name)}: give one line")
        return {name: str(value) for name, value in section.items()}

    def wait(self, default: float) -> float:
        return (
            float(self.number("wait", self.content["wait"], 1, _LONGEST_WAIT))
            if "wait" in self.content
            else default
        )

    def dashboard(self) -> int | None:
        return (
            self.number("dashboard", self.content["dashboard"], 1, _PORT)
            if "dashboard" in self.content
            else None
        )
