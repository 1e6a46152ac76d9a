"""A compound file as Windows Installer has it, written for the tests: 512-byte sectors, no small streams."""

from __future__ import annotations

import struct

_SECTOR = 512
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def compound(streams: dict[str, bytes]) -> bytes:
    """Streams of at least 4,096 bytes, which the format keeps in ordinary sectors."""
    bodies = [data.ljust(4096, b"\0") for data in streams.values()]
    chains: list[list[int]] = []
    at = 2  # sector 0 is the table of sectors, sector 1 the directory
    for body in bodies:
        count = -(-len(body) // _SECTOR)
        chains.append(list(range(at, at + count)))
        at += count
    table = [_FAT, _END, *[_FREE] * (at - 2)]
    for chain in chains:
        for here, after in zip(chain, [*chain[1:], _END], strict=True):
            table[here] = after
    assert len(table) <= 128 and len(streams) <= 3
    table += [_FREE] * (128 - len(table))
    entries = [_entry("Root Entry", 5, _END, 0, child=1)]
    for number, (name, body, chain) in enumerate(zip(streams, bodies, chains, strict=True), 1):
        right = number + 1 if number < len(streams) else _FREE
        entries.append(_entry(name, 2, chain[0], len(body), right=right))
    directory = b"".join(entries).ljust(_SECTOR, b"\0")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, _END, 0, _END, 0) + struct.pack("<I", 0)
    header += struct.pack("<108I", *[_FREE] * 108)
    sectors = struct.pack("<128I", *table) + directory
    sectors += b"".join(body.ljust(-(-len(body) // _SECTOR) * _SECTOR, b"\0") for body in bodies)
    return header[:_SECTOR] + sectors


def _entry(name: str, kind: int, start: int, size: int, *, right: int = _FREE, child: int = _FREE) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    head = encoded.ljust(64, b"\0") + struct.pack("<HBBIII", len(encoded), kind, 1, _FREE, right, child)
    return head + bytes(16 + 4 + 16) + struct.pack("<IQ", start, size)
