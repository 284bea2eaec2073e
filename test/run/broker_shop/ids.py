# SPDX-License-Identifier: Apache-2.0
"""Reads as an intrusion detection system does: a capture on standard input, each TCP connection followed byte by byte in both
directions. At its end (of the input) one JSON line: packets, bytes, connections that began, bytes that were missing or came
twice, and checksums of IPv4 headers that are wrong."""
import json
import struct
import sys


def follow(f, port):
    head = f.read(24)
    order = "<" if head[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    seen = {"packets": 0, "bytes": 0, "others": 0, "began": 0, "gaps": 0, "again": 0, "badSums": 0}
    following = {}
    while len(record := f.read(16)) == 16:
        caplen, length = struct.unpack(order + "8xII", record)
        p = f.read(caplen)
        kind = p[12:14]
        if kind == b"\x08\x00":
            at, size = 14 + (p[14] & 15) * 4, struct.unpack_from(">H", p, 16)[0] + 14
            proto, ends = p[23], (p[26:30], p[30:34])
            total = sum(struct.unpack_from(">%dH" % ((at - 14) // 2), p, 14))
            while total >> 16:
                total = (total & 0xffff) + (total >> 16)
            seen["badSums"] += total != 0xffff
        elif kind == b"\x86\xdd":
            at, size = 54, struct.unpack_from(">H", p, 18)[0] + 54
            proto, ends = p[20], (p[22:38], p[38:54])
        else:
            proto = 0
        if proto != 6 or port not in (ports := struct.unpack_from(">HH", p, at)):
            seen["others"] += 1
            continue
        seen["packets"] += 1
        seen["bytes"] += length
        sequence, flags = struct.unpack_from(">I", p, at + 4)[0], p[at + 13]
        data = size - at - (p[at + 12] >> 4) * 4
        key = ends + ports
        if flags & 2:
            seen["began"] += not flags & 16
            following[key] = (sequence + 1) & 0xffffffff
            continue
        late = (sequence - following.get(key, sequence)) & 0xffffffff
        if data or flags & 1:
            seen["gaps"] += 0 < late < 1 << 31
            seen["again"] += late >= 1 << 31
        if late < 1 << 31:
            following[key] = (sequence + data + (flags & 1)) & 0xffffffff
        if flags & 5:
            following.pop(key, None) if flags & 4 else None
    return seen


print(json.dumps(follow(sys.stdin.buffer, int(sys.argv[1]))))
