# SPDX-License-Identifier: Apache-2.0
"""
Connections of known size from one pod, and what went over its interface, counted there by a packet socket: the other
account that `weft flows` is held against. Usage: talk.py CASES OUT FROM-NS TO-NS… ; a case is KIND:COUNT:TO:ADDRESS, TO the
number of the namespace that answers. Writes {"flows":N,"tuples":{"PROTO A PORT B PORT":[bytes out, packets out, bytes in,
packets in]}} to OUT: the names of the tuples begin with the caller.
"""
import ctypes, json, os, select, socket, struct, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, 0):
        raise OSError(ctypes.get_errno(), path)
    os.close(fd)


class Account(threading.Thread):
    """Counts IP packets of an interface until stop(): by tuple, each way."""

    def __init__(self, device):
        super().__init__(daemon=True)
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUFFORCE if hasattr(socket, "SO_RCVBUFFORCE") else 33, 64 << 20)
        self.s.bind((device, 0))
        self.s.settimeout(0.1)
        self.tuples, self.stopping = {}, False

    def run(self):
        data = bytearray(65536 + 64)
        while True:
            try:
                n, _, flags, where = self.s.recvmsg_into([data], 0, socket.MSG_TRUNC)
            except TimeoutError:
                if self.stopping:
                    return
                continue
            self.take(data, n, where[2] == 4)

    def take(self, d, n, out):
        kind = d[12] << 8 | d[13]
        if kind == 0x0800:
            proto, at, size = d[23], 14 + (d[14] & 15) * 4, 4
            a, b = d[26:30], d[30:34]
        elif kind == 0x86DD:
            proto, at = d[20], 54
            a, b = d[22:38], d[38:54]
        else:
            return
        if proto not in (6, 17):
            return
        text = lambda x: socket.inet_ntop(socket.AF_INET if len(x) == 4 else socket.AF_INET6, bytes(x))
        sport, dport = struct.unpack_from("!HH", d, at)
        key = f"{proto} {text(a)} {sport} {text(b)} {dport}" if out else f"{proto} {text(b)} {dport} {text(a)} {sport}"
        sums = self.tuples.setdefault(key, [0, 0, 0, 0])
        sums[0 if out else 2] += n
        sums[1 if out else 3] += 1

    def lost(self):
        return struct.unpack("II", self.s.getsockopt(263, 6, 8))[1]  # SOL_PACKET, PACKET_STATISTICS

    def stop(self):
        self.stopping = True
        self.join()
        if self.lost():
            raise SystemExit("the packet socket lost packets: no account")


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Talk:
    def __init__(self, caller, others):
        self.caller, self.others, self.flows, self.held, self.own = caller, others, 0, [], set()

    def at(self, path, make):
        """A socket made in another namespace stays there."""
        enter(path)
        try:
            return make()
        finally:
            enter(self.caller)

    def connect(self, c, where, source=0):
        """Connects, and knows the ports as ours from before the first packet."""
        c.settimeout(20)
        c.bind(("", source))
        # datagrams of the same ends are one flow, whichever socket sent them
        before = len(self.own)
        self.own.add((str(6 if c.type == socket.SOCK_STREAM else 17), str(c.getsockname()[1]), where[0], str(where[1])))
        self.flows += c.type == socket.SOCK_STREAM or len(self.own) > before
        c.connect(where)

    def is_own(self, key):
        proto, _, sport, address, dport = key.split()
        return (proto, sport, address, dport) in self.own

    def listener(self, to, address):
        return self.at(self.others[to], lambda: socket.create_server((address, 0), family=family(address), backlog=128))

    def pair(self, listener, address, source=0):
        c = socket.socket(family(address), socket.SOCK_STREAM)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.connect(c, (address, listener.getsockname()[1]), source)
        s = listener.accept()[0]
        s.settimeout(20)
        return c, s

    @staticmethod
    def move(a, b, n):
        a.sendall(b"x" * n)
        while n:
            n -= len(b.recv(n))

    @staticmethod
    def end(first, second):
        first.shutdown(socket.SHUT_WR)
        assert second.recv(1) == b""
        second.close()
        assert first.recv(1) == b""
        first.close()

    def fin(self, n, to, address):
        with self.listener(to, address) as l:
            for i in range(n):
                c, s = self.pair(l, address)
                self.move(c, s, 1 + i * 37)
                self.move(s, c, 1 + i * 211)
                self.end(c, s)

    def rst(self, n, to, address):
        with self.listener(to, address) as l:
            for i in range(n):
                c, s = self.pair(l, address)
                self.move(c, s, 100 + i)
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.close()
                try:
                    assert s.recv(1) == b"", "a reset"
                except ConnectionResetError:
                    pass
                s.close()

    def reuse(self, n, to, address):
        """The same ports again and again; the other end waits, so that ours may begin anew."""
        with self.listener(to, address) as l:
            for i in range(n):
                c, s = self.pair(l, address, 50123)
                self.move(c, s, 10 + i)
                self.end(s, c)

    def refused(self, n, to, address):
        with self.listener(to, address) as l:
            port = l.getsockname()[1]
        for _ in range(n):
            with socket.socket(family(address), socket.SOCK_STREAM) as c:
                try:
                    self.connect(c, (address, port))
                    raise SystemExit("nobody listens, and yet")
                except ConnectionRefusedError:
                    pass

    def udp(self, n, to, address):
        s = self.at(self.others[to], lambda: socket.socket(family(address), socket.SOCK_DGRAM))
        s.bind((address, 0))
        s.settimeout(20)
        for i in range(n):
            with socket.socket(family(address), socket.SOCK_DGRAM) as c:
                self.connect(c, (address, s.getsockname()[1]))
                for _ in range(3):
                    c.send(b"q" * (10 + i))
                    s.sendto(b"a" * (20 + i), s.recvfrom(2000)[1])
                    c.recv(2000)
        s.close()

    def unanswered(self, n, to, address):
        s = self.at(self.others[to], lambda: socket.socket(family(address), socket.SOCK_DGRAM))
        s.bind((address, 0))
        for i in range(n):
            with socket.socket(family(address), socket.SOCK_DGRAM) as c:
                self.connect(c, (address, s.getsockname()[1]))
                c.send(b"q" * (30 + i))
        s.close()

    def held_open(self, n, to, address):
        """Open until our standard input ends."""
        l = self.listener(to, address)
        for i in range(n):
            c, s = self.pair(l, address)
            self.move(c, s, 1000 + i)
            self.held.append((c, s))


def main():
    cases, out, caller, *others = sys.argv[1:]
    enter(caller)
    account = Account("eth0")
    account.start()
    talk = Talk(caller, others)
    for case in cases.split(","):
        kind, n, to, address = case.split("=", 3)
        getattr(talk, kind)(int(n), int(to), address)
    if talk.held:
        print("holding", flush=True)
        sys.stdin.read()
        if sys.argv[1].startswith("held_open"):
            for c, s in talk.held:
                c.settimeout(0.5)
                s.settimeout(0.5)
                try:
                    talk.end(c, s)
                except OSError:
                    pass
    account.stop()
    with open(out, "w") as f:
        json.dump({"flows": talk.flows, "tuples": {k: v for k, v in account.tuples.items() if talk.is_own(k)}}, f)


main()
