"""Bytes read one value at a time. What is missing or absurd is one error that says where."""

from __future__ import annotations

import struct


class BytecodeError(ValueError):
    """Compiled Lua that cannot be what it says. `offset` is where that shows."""

    def __init__(self, what: str, offset: int) -> None:
        self.offset = offset
        super().__init__(f"{what} at byte {offset:,}")


class Stream:
    """A place in some bytes. Counts are checked against what is left, so that no size can make it slow."""

    def __init__(self, data: bytes, at: int = 0, *, little: bool = True) -> None:
        self.data = data
        self.at = at
        self.little = little

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def wrong(self, what: str) -> BytecodeError:
        return BytecodeError(what, self.at)

    def take(self, size: int) -> bytes:
        if size < 0 or size > self.left:
            raise self.wrong(f"{size:,} bytes wanted, {self.left:,} left")
        self.at += size
        return self.data[self.at - size : self.at]

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise self.wrong("one more byte wanted")
        self.at += 1
        return self.data[self.at - 1]

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little" if self.little else "big")

    def sint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little" if self.little else "big", signed=True)

    def floating(self, size: int) -> float:
        if size not in (4, 8):
            raise self.wrong(f"numbers of {size} bytes are not known")
        kind = ("<" if self.little else ">") + ("f" if size == 4 else "d")
        return float(struct.unpack(kind, self.take(size))[0])

    def uleb(self) -> int:
        """LuaJIT's and Luau's integers: low groups first."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise self.wrong("an integer of more than 64 bits")

    def groups(self, last: int) -> int:
        """5.4's and 5.5's integers: high groups first. `last`: the high bit of the last byte."""
        value = 0
        for _ in range(10):
            byte = self.byte()
            value = value << 7 | byte & 0x7F
            if byte & 0x80 == last:
                return value
        raise self.wrong("an integer of more than 64 bits")

    def counted(self, count: int, least: int, what: str) -> int:
        """A count that fits into what is left when each takes at least so many bytes."""
        if count < 0 or count * least > self.left:
            raise self.wrong(f"{count:,} {what} wanted, only {self.left:,} bytes left")
        return count

    def words(self, count: int, size: int) -> list[int]:
        """`count` unsigned numbers of `size` bytes."""
        raw = self.take(self.counted(count, size, "numbers") * size)
        if size in (4, 8):
            return list(struct.unpack(f"{'<' if self.little else '>'}{count}{'I' if size == 4 else 'Q'}", raw))
        order = "little" if self.little else "big"
        return [int.from_bytes(raw[at : at + size], order) for at in range(0, len(raw), size)]  # type: ignore[arg-type]
