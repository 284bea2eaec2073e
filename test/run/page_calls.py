# SPDX-License-Identifier: Apache-2.0
"""A browser's part, for tests of what the page asks the hub: logs in by a link, asks with its cookie and token, and reads the
stream event by event. Nothing of it knows a test."""
import http.client
import json
import socket
import threading
import time
import urllib.parse


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("hub")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


def login_link(cluster):
    c = UnixConnection("/run/weft/%s/hub.sock" % cluster)
    c.request("POST", "/apis/weft.network/internal/login", "{}", {"Content-Type": "application/json"})
    r = c.getresponse()
    body = r.read()
    assert r.status == 200, body
    return json.loads(body)["url"]


class Browser:
    """A session of the cluster's own user, or of who has the link."""

    def __init__(self, cluster, link=None):
        url = urllib.parse.urlsplit(link or login_link(cluster))
        self.host, self.port = url.hostname, url.port
        status, headers, _ = self.ask("GET", url.path, cookie=None)
        assert status == 303, status
        self.cookie = headers["Set-Cookie"].split(";")[0]
        self.me = json.loads(self.ask("GET", "/page/me")[2])

    def ask(self, method, path, body=None, cookie=True, **headers):
        """(status, headers, body) of one request."""
        c = http.client.HTTPConnection(self.host, self.port, timeout=60)
        if cookie:
            headers["Cookie"] = self.cookie
        if method not in ("GET", "HEAD"):
            headers.setdefault("Weft-Csrf", self.me["csrf"])
            headers.setdefault("Origin", "http://%s:%d" % (self.host, self.port))
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        c.request(method, path, data, {"Content-Type": "application/json", **headers})
        r = c.getresponse()
        got = r.read()
        c.close()
        return r.status, r.headers, got

    def post(self, path, body):
        status, _, got = self.ask("POST", path, body)
        return status, json.loads(got) if got else None

    def stream(self, query, **how):
        return Stream(self, "/page/live?" + query, **how)


class Stream(threading.Thread):
    """Reads events as they come and keeps what they say: objects by kind, the graph, the newest broker and state. It can be told
    to stop reading, as a browser that hangs does."""

    def __init__(self, browser, path, buffer=None):
        super().__init__(daemon=True)
        self.sock = socket.socket()
        if buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.sock.connect((browser.host, browser.port))
        self.sock.sendall(("GET %s HTTP/1.1\r\nHost: %s:%d\r\nCookie: %s\r\nAccept: text/event-stream\r\n\r\n" % (
            path, browser.host, browser.port, browser.cookie)).encode())
        self.lock = threading.Condition()
        self.going = threading.Event()
        self.going.set()
        self.events, self.objects, self.ends, self.edges = [], {}, {}, {}
        self.kinds, self.state, self.broker, self.frames = [], None, None, []
        self.synced, self.over, self.bytes = False, False, 0
        self.status, self.trouble = None, None
        self.start()

    def hold(self):
        self.going.clear()

    def go_on(self):
        self.going.set()

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.join(5)
        self.sock.close()

    def until(self, fn, seconds=10):
        """What fn(self) says, as soon as it is true after an event; None: it never was."""
        end = time.monotonic() + seconds
        with self.lock:
            while True:
                v = fn(self)
                if v:
                    return v
                left = end - time.monotonic()
                if left <= 0 or self.over:
                    return None
                self.lock.wait(left)

    def run(self):
        try:
            r = http.client.HTTPResponse(self.sock)
            r.begin()
            self.status = r.status
            if r.status != 200:
                self.trouble = r.read()
                return
            assert r.headers["Content-Type"] == "text/event-stream", r.headers
            self.read_all(r)
        except (OSError, http.client.HTTPException, ValueError) as e:
            self.trouble = self.trouble or e
        finally:
            with self.lock:
                self.over = True
                self.lock.notify_all()

    def read_all(self, r):
        text = b""
        while True:
            self.going.wait()
            some = r.read1(65536)
            if not some:
                return
            self.bytes += len(some)
            text += some
            *whole, text = text.split(b"\n\n")
            for one in whole:
                self.take(one)

    def take(self, text):
        lines = text.decode().split("\n")
        assert len(lines) == 2 and lines[0].startswith("event: ") and lines[1].startswith("data: "), text[:200]
        name, data = lines[0][7:], json.loads(lines[1][6:])
        with self.lock:
            self.events.append((time.monotonic(), name))
            getattr(self, "on_" + name)(data)
            self.lock.notify_all()

    def on_objects(self, d):
        if d.get("snapshot"):
            self.objects[d["kind"]] = {}
            self.kinds.append(d["kind"])
        all_of = self.objects[d["kind"]]
        for c in d["changes"]:
            meta = c["object"]["metadata"]
            key = (meta.get("namespace", "") + "/" + meta["name"]).lstrip("/")
            if c["type"] == "DELETED":
                all_of.pop(key, None)
            else:
                all_of[key] = c["object"]

    def on_synced(self, _):
        self.synced = True

    def on_graph(self, d):
        if d["full"]:
            self.ends, self.edges = {}, {}
        self.ends.update((e["id"], e) for e in d["ends"])
        self.edges.update((e["id"], e) for e in d["edges"])
        for i in d["gone"]:
            self.edges.pop(i, None)
        self.frames.append((time.monotonic(), d["full"], len(d["edges"]), d["seconds"]))

    def on_broker(self, d):
        self.broker = d

    def on_state(self, d):
        self.state = d

    def between(self, start, stop, port=None):
        """The edges between ends whose ids end so."""
        return [e for e in self.edges.values() if e["from"].endswith(start) and e["to"].endswith(stop) and
                port in (None, e["port"])]
