"""Where a member lies in a kernel structure, read from the kernel's own BTF.

bpftrace knows the members of structures but not how to step from a timer back
to the structure around it; that needs the offset of the timer in it.
"""

import struct

BTF_PATH = "/sys/kernel/btf/vmlinux"
KIND_STRUCT = 4
# Bytes that follow the 12-byte header of a type, by kind: (fixed, per entry).
TRAILING = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8),
            14: (4, 0), 15: (0, 12), 17: (4, 0), 19: (0, 12)}


def member_offset(structure, member, path=BTF_PATH):
    """Offset in bytes of `member` in `struct structure`."""
    with open(path, "rb") as file:
        data = file.read()
    _, _, _, header, types, types_len, strings, _ = struct.unpack_from("<HBBIIIII", data)

    def name(offset):
        start = header + strings + offset
        return data[start:data.index(b"\0", start)].decode()

    at, end = header + types, header + types + types_len
    while at < end:
        name_offset, info, _ = struct.unpack_from("<III", data, at)
        kind, entries = (info >> 24) & 31, info & 0xFFFF
        at += 12
        if kind == KIND_STRUCT and name(name_offset) == structure:
            for index in range(entries):
                member_name, _, bits = struct.unpack_from("<III", data, at + 12 * index)
                if name(member_name) == member:
                    return (bits & 0xFFFFFF) // 8
        fixed, each = TRAILING.get(kind, (0, 0))
        at += fixed + each * entries
    raise LookupError(f"no {structure}.{member} in {path}")
