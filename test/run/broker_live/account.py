# SPDX-License-Identifier: Apache-2.0
"""What weft-copier says of itself: account.py SOCKET sums | account.py SOCKET TOOL[/PORT] NUMBER…

"sums": due + added = sent + losses + in flight of every tool port, nothing in flight, received = classified +
unparsable of every place; prints what does not hold, and fails. Else: prints the numbers of that tool port, and waits at
most 10 s until `due` is at least the number given.
"""
import http.client
import json
import socket
import sys
import time


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=5)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self.path)


def account(path):
    c = Unix(path)
    c.request("GET", "/account")
    return json.load(c.getresponse())


def wrong(a):
    for t in a["tools"]:
        out = t["sent"] + sum(t["losses"].values()) + t["inFlight"]
        if t["due"] + t["added"] != out:
            yield f"{t['tool']}/{t['port']}: due {t['due']} + added {t['added']} is not {out}: {t}"
        if t["inFlight"]:
            yield f"{t['tool']}/{t['port']}: {t['inFlight']} in flight"
    for p in a["places"]:
        if p["received"] != p["classified"] + p["unparsable"]:
            yield f"place {p['name']}: {p}"
    r = a["ring"]
    if r["received"] != r["judged"] + r["unknown"] or r["lost"]:
        yield f"ring: {r}"


def until(path, good):
    end = time.monotonic() + 10
    while True:
        try:
            a = account(path)
        except OSError as e:
            a = {"tools": [], "places": [], "ring": {"error": str(e)}}
        if good(a) or time.monotonic() > end:
            return a
        time.sleep(0.05)


def main():
    path, what = sys.argv[1:3]
    if what == "sums":
        bad = list(wrong(until(path, lambda a: a["tools"] and not list(wrong(a)))))
        print("\n".join(bad))
        sys.exit(bool(bad))
    tool, _, port = what.partition("/")
    least = int(sys.argv[3])

    def mine(a):
        return [t for t in a["tools"] if t["tool"] == tool and t["port"] == (port or "default")]

    a = until(path, lambda a: mine(a) and mine(a)[0]["due"] >= least and not mine(a)[0]["inFlight"])
    t = mine(a)[0] if mine(a) else {"due": -1, "sent": -1, "losses": {}}
    print(t["due"], t["sent"], sum(t["losses"].values()))


main()
