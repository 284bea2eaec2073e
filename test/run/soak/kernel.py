# SPDX-License-Identifier: Apache-2.0
"""Reads Weft's pinned BPF maps, for soak: whole maps in one system call, keys and values as bytes. Layouts are those of
seam/. Writes nothing."""
import ctypes
import glob
import ipaddress
import struct

SYS_BPF, OBJ_GET, LOOKUP_ELEM, LOOKUP_BATCH, RDONLY = 321, 7, 1, 24, 1 << 3
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    attr = ctypes.create_string_buffer(attr + bytes(128 - len(attr)), 128)
    got = libc.syscall(SYS_BPF, command, attr, 128)
    return got, ctypes.get_errno(), attr.raw


def mapped(ip):
    """An address as the programs hold it: IPv4 within IPv6."""
    a = ipaddress.ip_address(ip)
    return bytes(10) + b"\xff\xff" + a.packed if a.version == 4 else a.packed


def text(b):
    return str(ipaddress.ip_address(b[12:] if b[:12] == bytes(10) + b"\xff\xff" else b))


class Map:
    def __init__(self, run, node, name, key, value):
        self.where, self.key, self.value, self.fd = "%s/bpf/%s/*/%s" % (run, node, name), key, value, -1
        self.open()

    def open(self):
        paths = glob.glob(self.where)
        if not paths:
            raise OSError(2, "no BPF map " + self.where)
        path = ctypes.create_string_buffer(paths[0].encode() + b"\0")
        self.fd, why, _ = bpf(OBJ_GET, struct.pack("QII", ctypes.addressof(path), 0, RDONLY))
        if self.fd < 0:
            raise OSError(why, "BPF map " + paths[0])

    def get(self, key):
        k, v = ctypes.create_string_buffer(key, self.key), ctypes.create_string_buffer(self.value)
        got = bpf(LOOKUP_ELEM, struct.pack("IIQQQ", self.fd, 0, ctypes.addressof(k), ctypes.addressof(v), 0))[0]
        return v.raw if got == 0 else None

    def items(self, most=65536):
        k, v = ctypes.create_string_buffer(self.key * most), ctypes.create_string_buffer(self.value * most)
        token = ctypes.create_string_buffer(64)
        head = struct.pack("QQQQIIQQ", 0, ctypes.addressof(token), ctypes.addressof(k), ctypes.addressof(v), most, self.fd, 0, 0)
        got, why, attr = bpf(LOOKUP_BATCH, head)
        if got < 0 and why != 2:  # ENOENT: all of it was read
            raise OSError(why, "BPF map %s" % self.where)
        n = struct.unpack_from("I", attr, 32)[0]
        keys, values = memoryview(k)[:n * self.key].tobytes(), memoryview(v)[:n * self.value].tobytes()
        return [(keys[i * self.key:(i + 1) * self.key], values[i * self.value:(i + 1) * self.value]) for i in range(n)]


class Origin:
    """Where a socket of a pod of that node was led (BPF map socket_origin)."""

    def __init__(self, run, node):
        self.map = Map(run, node, "socket_origin", 32, 20)

    def backend(self, s):
        cookie = s.getsockopt(1, 57, 8)  # SO_COOKIE
        for key, _ in self.map.items():
            if key.startswith(cookie):
                return text(key[8:24])
        return None


class Nat:
    """Where a connection from outside to an address of that node was led (BPF map nat)."""

    def __init__(self, run, node):
        self.map = Map(run, node, "nat", 40, 48)

    def backend(self, mine, theirs):
        key = mapped(mine[0]) + mapped(theirs[0]) + struct.pack(">HHBxxx", mine[1], theirs[1], 6)
        value = self.map.get(key)
        return text(value[16:32]) if value else None


class Connections:
    """How many there are, and how many were made and removed, all read within a moment."""

    def __init__(self, run, node, names):
        with open("/sys/devices/system/cpu/possible", encoding="ascii") as f:
            self.cpus = int(f.read().strip().split("-")[-1]) + 1
        self.counter = Map(run, node, "counter", 4, 8 * self.cpus)
        self.tables = (Map(run, node, "conn4", 16, 88), Map(run, node, "conn6", 40, 88))
        self.made, self.removed = names.index("CONN_INSERTED"), names.index("CONN_REMOVED")

    def count(self, which):
        return sum(struct.unpack("%dQ" % self.cpus, self.counter.get(struct.pack("I", which))))

    def read(self):
        """(made, removed, there), or None while they change."""
        before = self.count(self.made), self.count(self.removed)
        there = sum(len(t.items()) for t in self.tables)
        return (*before, there) if before == (self.count(self.made), self.count(self.removed)) else None


class Backends:
    """Addresses to which new calls are led on that node (BPF map backend)."""

    def __init__(self, run, node):
        self.map = Map(run, node, "backend", 8, 20)

    def addresses(self):
        return {text(value[:16]) for _, value in self.map.items(4096)}
