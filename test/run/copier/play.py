# SPDX-License-Identifier: Apache-2.0
"""A scripted weft-agent and planner for a real weft-copier: weft-copy0 and weft-copy1 in the namespace of the caller, a small
program that makes a copy's hash of its mark, frames with any mark, CONFIG, and the questions of copier.sock."""
import array, ctypes, http.client, json, os, socket, struct, subprocess, sys, time

PEER, LISTEN, OBSERVE, PACKETS, FILES = 1, 2, 3, 10, 11
SOL_PACKET, SO_MARK, ETH_P_ALL = 263, 36, 3
OUT, DROPPED = 0x4000, 0x8000
NOBODY = 65534
libc = ctypes.CDLL(None, use_errno=True)
number = failed = 0


def check(what, good, more=""):
    global number, failed
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {what}", flush=True)
    if not good and more != "":
        print("# " + str(more).replace("\n", "\n# "), flush=True)


def same(what, got, want):
    check(what, got == want, f"got  {str(got)[:600]}\nwant {str(want)[:600]}")


def finish():
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


def run(*cmd):
    subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL)


def until(good, seconds=10):
    end = time.monotonic() + seconds
    while True:
        v = good()
        if v or time.monotonic() > end:
            return v
        time.sleep(0.02)


def bpf(cmd, attr):
    fd = libc.syscall(321, cmd, ctypes.create_string_buffer(attr, len(attr)), len(attr))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return fd


def hash_program():
    """r2 = skb->mark; bpf_set_hash(skb, r2); return TC_ACT_OK"""
    insns = struct.pack("<BBhi", 0x61, 0x12, 8, 0) + struct.pack("<BBhi", 0x85, 0, 0, 48) + \
        struct.pack("<BBhi", 0xb7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0)
    code, licence = ctypes.create_string_buffer(insns, len(insns)), ctypes.create_string_buffer(b"GPL")
    return bpf(5, struct.pack("<IIQQ", 3, len(insns) // 8, ctypes.addressof(code), ctypes.addressof(licence)) + bytes(96))


def links(folder):
    run("ip", "link", "add", "weft-copy0", "mtu", "65535", "type", "veth", "peer", "name", "weft-copy1", "mtu", "65535")
    for link in ("weft-copy0", "weft-copy1"):
        run("ip", "link", "set", link, "up")
    pin = ctypes.create_string_buffer((folder + "/pins/hash").encode())
    bpf(6, struct.pack("<QI", ctypes.addressof(pin), hash_program()) + bytes(100))
    run("tc", "qdisc", "add", "dev", "weft-copy0", "clsact")
    run("tc", "filter", "add", "dev", "weft-copy0", "egress", "bpf", "da", "object-pinned", folder + "/pins/hash")


class Outlets:
    """The applier's count of outlets, as the kernel keeps it."""

    def __init__(self, entries=16):
        with open("/sys/devices/system/cpu/possible", encoding="ascii") as f:
            self.cpus = int(f.read().split("-")[-1]) + 1
        self.map = bpf(0, struct.pack("<7I16s", 6, 4, 136, entries, 0, 0, 0, b"outlet_count") + bytes(72))
        self.other = bpf(0, struct.pack("<7I16s", 2, 4, 8, 4, 0, 0, 0, b"other") + bytes(72))
        self.sums = {}

    def add(self, number, sent=0, failed=0, unreachable=0, answers=0, cookie=None):
        s = self.sums.setdefault(number, [0] * 17)
        for i, v in ((3, sent), (5, failed), (6, unreachable), (8, answers)):
            s[i] += v
        if cookie is not None:
            s[9] = cookie
        key, value = ctypes.create_string_buffer(struct.pack("<I", number)), ctypes.create_string_buffer(
            struct.pack("<17Q", *s) + bytes(136 * (self.cpus - 1)))
        bpf(2, struct.pack("<IIQQQ", self.map, 0, ctypes.addressof(key), ctypes.addressof(value), 0) + bytes(90))

    def give(self, copier):
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        copier.give(OBSERVE, its)
        socket.send_fds(mine, [struct.pack("<I", 2)], [self.other, self.map])


def packet_socket(link, vnet=False):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    if vnet:
        s.setsockopt(SOL_PACKET, 15, 1)
    s.bind((link, ETH_P_ALL))
    return s


class Feed:
    """Frames into weft-copy0, as the taps clone them."""

    def __init__(self):
        self.s = packet_socket("weft-copy0", True)
        self.mark = None

    def __call__(self, frame, mark, vnet=bytes(10)):
        if mark != self.mark:
            self.s.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
            self.mark = mark
        self.s.send(vnet + frame)


class Back:
    """What the copier sends: [(outlet, frame)]."""

    def __init__(self):
        self.s = packet_socket("weft-copy0")
        self.s.setsockopt(SOL_PACKET, 8, 1)  # PACKET_AUXDATA
        self.s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
        self.s.setblocking(False)

    def take(self):
        got = []
        while True:
            try:
                frame, extra, _, addr = self.s.recvmsg(70000, 256)
            except BlockingIOError:
                return got
            if addr[2] == socket.PACKET_OUTGOING:
                continue
            for _, kind, data in extra:
                if kind == 8:
                    status, _, _, _, _, tci, tpid = struct.unpack("<IIIHHHH", data)
                    if status & 16 and tpid == 0x88A8:
                        got.append((tci, frame))

    def wait(self, n, seconds=10):
        got = []
        until(lambda: got.extend(self.take()) or len(got) >= n, seconds)
        return got


def udp(sport, dport, payload=b"x" * 18, src="10.0.0.1", dst="10.0.0.2"):
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 1, 0, 64, 17, 0, socket.inet_aton(src),
                     socket.inet_aton(dst))
    total = sum(struct.unpack(">10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack(">H", ~total & 0xFFFF) + ip[12:]
    return bytes.fromhex("020000000002020000000001") + b"\x08\x00" + ip + \
        struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


class Copier:
    def __init__(self, program, folder, files=None, packets=True):
        self.folder, self.path = folder, folder + "/copier.sock"
        self.program, self.epoch = program, 0
        self.start(files, packets)

    def start(self, files=None, packets=True):
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = its.fileno()
        self.process = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
                                         "sh", "-c", f"exec {self.program} 3<&{fd} {fd}<&-"], pass_fds=[fd])
        its.close()
        self.control = mine
        self.peer, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.peer.settimeout(10)
        self.give(PEER, other)
        if os.path.exists(self.path):
            os.unlink(self.path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(64)
        self.give(LISTEN, listener)
        if files:
            self.give(FILES, os.open(files, os.O_DIRECTORY))
        if packets:
            self.give_packets()

    def give(self, kind, what):
        fd = what if isinstance(what, int) else what.fileno()
        socket.send_fds(self.control, [struct.pack("<Ii", kind, 0)], [fd])
        os.close(fd) if isinstance(what, int) else what.close()

    def give_packets(self):
        self.give(PACKETS, packet_socket("weft-copy1"))

    def send_config(self, objects, places, **more):
        self.epoch += 1
        config = {"epoch": self.epoch, "node": "node-1", "objects": objects, "places": places, "outlets": [], "tunnels": [],
                  "names": [["10.0.0.1", "shop/web"], ["10.0.0.2", "shop/db"]], "files": "files"} | more
        fd = os.memfd_create("config")
        os.write(fd, json.dumps(config).encode())
        socket.send_fds(self.peer, [json.dumps({"epoch": self.epoch}).encode()], [fd])
        os.close(fd)

    def config(self, objects, places, **more):
        self.send_config(objects, places, **more)
        return json.loads(self.peer.recv(4096))

    def mark(self, point, flags=0, reason=0, epoch=None):
        return point | flags | ((self.epoch if epoch is None else epoch) % 64) << 16 | reason << 22

    def open(self, path):
        c = http.client.HTTPConnection("localhost")
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.settimeout(20)
        c.sock.connect(self.path)
        c.request("GET", path)
        return c.getresponse()

    def get(self, path):
        r = self.open(path)
        body = r.read()
        if r.status != 200:
            raise LookupError(f"{path}: {r.status} {body}")
        return body

    def account(self):
        return json.loads(self.get("/account"))

    def tool(self, name, port="default"):
        for t in self.account()["tools"]:
            if (t["tool"], t["port"]) == (name, port):
                return t
        return None

    def drained(self, name, due, port="default", seconds=10):
        """The tool port's numbers once `due` packets came and none is in flight."""
        until(lambda: (t := self.tool(name, port)) and t["due"] >= due and not t["inFlight"], seconds)
        return self.tool(name, port)

    def end(self, wait=True):
        self.control.close()
        self.peer.close()
        return self.process.wait(15) if wait else None


def adds_up(t):
    return t["due"] + t["added"] == t["sent"] + sum(t["losses"].values()) + t["inFlight"]


def thing(kind, name, spec):
    return {"apiVersion": "weft.network/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def tool(name, **spec):
    return thing("Tool", name, spec)


def map_to(name, to, filter=None, **spec):
    more = {"filter": filter} if filter else {}
    return thing("TrafficMap", name, {"from": [{"interface": {"name": "eth1"}}],
                                      "to": [t if isinstance(t, dict) else {"tool": t} for t in to]} | more | spec)


ETH1 = {"point": 1, "ifindex": 7, "name": "eth1", "kind": "interface", "sources": ["interface eth1"]}
