"""What an object file defines."""

from __future__ import annotations

import struct
from pathlib import Path

_SECTION = struct.Struct("<IIQQQQIIQQ")  # name, type, flags, address, offset, size, link, info, alignment, entry size
_SYMBOL = struct.Struct("<IBBHQQ")  # name, info, other, section, value, size
_SYMBOL_TABLE = 2
_LOCAL = 0


def defined_symbols(path: Path) -> set[str]:
    """The names that an object file (ELF, 64 bits, little-endian) gives to the linker, whichever way it defines them.

    Raises:
        ValueError: It is no such file.
    """
    data = path.read_bytes()
    try:
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path.name} is no object file")
        (table,) = struct.unpack_from("<Q", data, 0x28)
        (count,) = struct.unpack_from("<H", data, 0x3C)
        if count == 0:  # Too many for this field: the first section's size is their number.
            count = _SECTION.unpack_from(data, table)[5]
        found: set[str] = set()
        for number in range(count):
            _, kind, _, _, offset, size, link, _, _, _ = _SECTION.unpack_from(data, table + number * _SECTION.size)
            if kind != _SYMBOL_TABLE:
                continue
            names = _SECTION.unpack_from(data, table + link * _SECTION.size)[4]
            for name, info, _, section, _, _ in _SYMBOL.iter_unpack(data[offset : offset + size]):
                if section and info >> 4 != _LOCAL:
                    begin = names + name
                    found.add(data[begin : data.index(b"\0", begin)].decode("utf-8", "replace"))
        return found
    except (struct.error, IndexError) as error:
        raise ValueError(f"{path.name} is no object file: {error}") from error
