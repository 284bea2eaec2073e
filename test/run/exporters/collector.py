# SPDX-License-Identifier: Apache-2.0
"""A collector of IPFIX that reads RFC 7011 for itself: templates, records, and the loss that sequence numbers tell."""
import socket
import struct
import threading

NAMES = {8: "from", 12: "to", 27: "from", 28: "to", 7: "sport", 11: "dport", 4: "proto", 1: "bytes", 2: "packets", 89: "status", 166: "not_sent",
         42: "sent", 149: "domain", 300: "name", 239: "direction", (29305, 1): "bytes_back", (29305, 2): "packets_back"}
TEXT = {8, 12, 27, 28}


class Reading:
    """What messages said."""

    def __init__(self):
        self.templates = {}  # (domain, id): [(element, length)]
        self.next = {}  # domain: sequence number that comes
        self.lost = {}  # domain: records
        self.records, self.options, self.bad, self.sizes = [], [], [], []
        self.templates_seen = 0

    def fields(self, p, at, n):
        out = []
        for _ in range(n):
            element, length = struct.unpack_from(">HH", p, at)
            at += 4
            if element & 0x8000:
                element = (struct.unpack_from(">I", p, at)[0], element & 0x7FFF)
                at += 4
            out.append((element, length))
        return out, at

    def template_set(self, domain, p, options):
        at = 0
        while at + 4 <= len(p):
            ident, n = struct.unpack_from(">HH", p, at)
            at += 6 if options else 4
            self.templates[domain, ident], at = self.fields(p, at, n)
        self.templates_seen += 1

    def data_set(self, domain, ident, p):
        template = self.templates.get((domain, ident))
        if not template:
            self.bad.append("no template %d of domain %d" % (ident, domain))
            return 0
        at = n = 0
        while at < len(p):
            r = {"observed": domain}
            for element, length in template:
                if length == 0xFFFF:
                    length = p[at]
                    at += 1
                raw = p[at:at + length]
                if len(raw) != length:
                    self.bad.append("a record is cut")
                    return n
                at += length
                if element in TEXT:
                    r[NAMES[element]] = socket.inet_ntop(socket.AF_INET if length == 4 else socket.AF_INET6, raw)
                elif element in NAMES and NAMES[element] != "name":
                    r[NAMES[element]] = int.from_bytes(raw, "big")
                else:
                    r[NAMES.get(element, element)] = raw.decode("utf-8", "replace")
            (self.records if "from" in r else self.options).append(r)
            n += 1
        return n

    def message(self, p):
        version, length, _, sequence, domain = struct.unpack_from(">HHIII", p)
        if version != 10 or length != len(p):
            self.bad.append("no message")
            return
        self.sizes.append(length)
        expected = self.next.get(domain, sequence)
        self.lost[domain] = self.lost.get(domain, 0) + (sequence - expected) % (1 << 32)
        at, n = 16, 0
        while at + 4 <= length:
            ident, size = struct.unpack_from(">HH", p, at)
            body = p[at + 4:at + size]
            at += size
            if ident in (2, 3):
                self.template_set(domain, body, ident == 3)
            else:
                n += self.data_set(domain, ident, body)
        self.next[domain] = (sequence + n) % (1 << 32)


class Udp:
    """Listens until it is closed. `drop` says of each message with records whether it is thrown away on the way."""

    def __init__(self, port=0, drop=lambda i: False):
        self.reading, self.drop, self.dropped, self.i = Reading(), drop, 0, 0
        self.port = port
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", self.port))
        self.port = self.socket.getsockname()[1]
        self.socket.settimeout(0.1)
        self.closing = False
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while True:
            try:
                p = self.socket.recv(65536)
            except TimeoutError:
                if self.closing:
                    return
                continue
            if struct.unpack_from(">H", p, 16)[0] > 3:
                self.i += 1
                if self.drop(self.i):
                    scratch = Reading()
                    scratch.templates = self.reading.templates
                    scratch.message(p)
                    self.dropped += len(scratch.records)
                    continue
            self.reading.message(p)

    def close(self):
        """What has come is read first: what comes later is sent back."""
        self.closing = True
        self.thread.join()
        self.socket.close()


class Tcp:
    """One connection after the other. After so many bytes, once for each number in `stops`, it says goodbye and reads on to the end."""

    def __init__(self, port=0, stops=()):
        self.reading, self.stops, self.connections = Reading(), list(stops), 0
        self.server = socket.create_server(("127.0.0.1", port))
        self.port = self.server.getsockname()[1]
        self.server.settimeout(0.1)
        self.closing = False
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def take(self, c):
        buf, got, stop = b"", 0, self.stops.pop(0) if self.stops else None
        c.settimeout(0.1)
        self.reading.templates = {}  # of this connection
        while not self.closing:
            try:
                p = c.recv(4096)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not p:
                break
            got += len(p)
            buf += p
            while len(buf) >= 16 and len(buf) >= struct.unpack_from(">H", buf, 2)[0]:
                n = struct.unpack_from(">H", buf, 2)[0]
                self.reading.message(buf[:n])
                buf = buf[n:]
            if stop and got >= stop:
                c.shutdown(socket.SHUT_WR)
                stop = None
        c.close()

    def work(self):
        while not self.closing:
            try:
                c, _ = self.server.accept()
            except TimeoutError:
                continue
            self.connections += 1
            self.take(c)

    def close(self):
        self.closing = True
        self.thread.join()
        self.server.close()
