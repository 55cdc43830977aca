"""The parts of a WebAssembly module that the other scripts read: sections, numbers, names."""

CUSTOM, IMPORTS, EXPORTS, CODE, DATA = 0, 2, 7, 10, 11
HEADER = 8


def number(data, at):
    """An unsigned LEB128 number and where it ends."""
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return result, at


def encode(value):
    """A number as unsigned LEB128."""
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def text(data, at):
    length, at = number(data, at)
    return data[at:at + length].decode(), at + length


def sections(data):
    """(id, begin, end) of the content of every section."""
    at = HEADER
    while at < len(data):
        kind = data[at]
        length, begin = number(data, at + 1)
        yield kind, begin, begin + length
        at = begin + length


def without_exports(data, names):
    """The module without these exports. Raises KeyError for a name that it does not export."""
    result, missing = bytearray(data[:HEADER]), set(names)
    for kind, begin, end in sections(data):
        content = data[begin:end]
        if kind == EXPORTS:
            kept = []
            count, at = number(data, begin)
            for _ in range(count):
                entry = at
                name, at = text(data, at)
                _, at = number(data, at + 1)
                if name in names:
                    missing.discard(name)
                else:
                    kept.append(data[entry:at])
            content = encode(len(kept)) + b"".join(kept)
        result += bytes([kind]) + encode(len(content)) + content
    if missing:
        raise KeyError(*sorted(missing))
    return bytes(result)
