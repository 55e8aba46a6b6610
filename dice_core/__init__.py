"""The science of dice-inspect: bytes, arrays and streams in, arrays and values out.

Nothing here knows a path, a URL, a clock or a cluster.
"""
