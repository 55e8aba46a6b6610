"""The files that prove who is at the other end of a connection: one pair for every role of a cluster."""

import os
import stat
from pathlib import Path
from typing import NamedTuple


class Certificates(NamedTuple):
    """PEM files: who signs, who one is, and the key to prove it, on both ends of every connection."""

    ca: str
    certificate: str
    key: str

    def problem(self) -> str | None:
        """Tell what keeps them from being used, beginning with the name of the field; None where nothing."""
        for name, path in zip(self._fields, self, strict=True):
            if not os.access(path, os.R_OK) or not Path(path).is_file():
                return f"{name} {path}: no file that can be read"
        mode = stat.S_IMODE(Path(self.key).stat().st_mode)
        if mode & 0o077:
            return f"key {self.key}: has mode {mode:04o}, so others may read it: chmod 600 it"
        return None

    def options(self) -> dict[str, str | bool]:
        """Give Dask's security options: the same pair for each role, and nothing in the clear."""
        pairs = {
            f"tls_{role}_{what}": path
            for role in ("client", "scheduler", "worker")
            for what, path in (("cert", self.certificate), ("key", self.key))
        }
        return {"tls_ca_file": self.ca, **pairs, "require_encryption": True}
