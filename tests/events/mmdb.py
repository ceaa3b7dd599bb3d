"""The smallest file of a place database: one IPv4 network and its entry.

Written by the format's description, https://maxmind.github.io/MaxMind-DB/ (version 2.0).
"""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

_TEXT, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 5, 6, 7, 9, 11
# Numbers that readers expect to be wider than the others.
_WIDE = {"node_count": _UINT32, "build_epoch": _UINT64}


def write(path: Path, network: str, entry: dict[str, Any]) -> None:
    """Write a database in which addresses of `network` have `entry`, and no other has one."""
    net = IPv4Network(network)
    nodes = net.prefixlen
    # A record is the number of a node; the count of nodes: nothing; above it: a place in the data.
    found = nodes + 16
    bits = f"{int(net.network_address):032b}"[:nodes]
    tree = b"".join(
        record.to_bytes(3)
        for at, bit in enumerate(bits, 1)
        for record in (nodes, found if at == nodes else at)[:: 1 if bit == "1" else -1]
    )
    about = {
        "node_count": nodes,
        "record_size": 24,
        "ip_version": 4,
        "database_type": "Test",
        "languages": ["en"],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1,
        "description": {"en": "one network"},
    }
    separator = bytes(16)
    marker = b"\xab\xcd\xefMaxMind.com"
    path.write_bytes(tree + separator + _data(entry) + marker + _data(about))


def _data(value: Any, number: int = _UINT16) -> bytes:
    """Return a field of the data section; texts are short, numbers have two bytes at most."""
    if isinstance(value, str):
        text = value.encode()
        return _control(_TEXT, len(text)) + text
    if isinstance(value, int):
        return _control(number, 2) + value.to_bytes(2)
    if isinstance(value, list):
        return _control(_ARRAY, len(value)) + b"".join(map(_data, value))
    pairs = (_data(key) + _data(one, _WIDE.get(key, _UINT16)) for key, one in value.items())
    return _control(_MAP, len(value)) + b"".join(pairs)


def _control(kind: int, size: int) -> bytes:
    assert size < 29
    return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
