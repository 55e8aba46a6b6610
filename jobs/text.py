"""Text that others wrote, such as names in an archive, as it may be shown on a terminal."""


def plain(text: str) -> str:
    r"""Write what does not print, such as the escapes that steer a terminal, as ``\xNN``."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
