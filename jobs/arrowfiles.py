"""The files of a store as Arrow opens them: by their URLs, in the ranges that everything else is read in."""

from typing import Any

import pyarrow as pa
import pyarrow.fs

from jobs import storage


class Handler(pyarrow.fs.FSSpecHandler):  # type: ignore[misc] # ships no types
    """Opens what is named by a URL; Arrow asks it for nothing else, as it is told which files there are."""

    def __init__(self) -> None:
        super().__init__(None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handler)

    def __hash__(self) -> int:
        return hash(Handler)

    def get_type_name(self) -> str:
        """Give the name of the kind of file system."""
        return "store"

    def normalize_path(self, path: str) -> str:
        """Leave a URL as it is."""
        return path

    def open_input_file(self, path: str) -> Any:
        """Open a file to read any part of it."""
        return pa.PythonFile(storage.open_read(path), mode="r")


def files_of(folder: str) -> pyarrow.fs.FileSystem:
    """Give the file system of what lies in a folder; its paths are those that `storage.absolute` gives."""
    return pyarrow.fs.PyFileSystem(Handler()) if storage.is_remote(folder) else pyarrow.fs.LocalFileSystem()


def opened(url: str) -> pa.NativeFile:
    """Open a file for Arrow to read, to be closed by the caller.

    A local one is Arrow's own throughout: if one of its threads lets go of a file of Python's while the
    interpreter ends, the process is aborted.

    Raises
    ------
    OSError
        Where it cannot be opened.
    """
    return files_of(url).open_input_file(storage.absolute(url))
