# SPDX-License-Identifier: Apache-2.0
"""What weft-copiers say: account.py SOCKET get PATH | account.py sums SOCKET…

PATH: tool/TOOL/PORT/MEMBER… or arrivals/MEMBER; one that is not there is 0. "sums": of every tool port due + added +
arrived = sent + relayed + losses, on every node; of arrivals received = all its kinds, whole + joined = arrived at tool ports. Prints
what does not hold within 10 s, and fails.
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
        came = t["due"] + t["added"] + t.get("arrived", 0)
        went = t["sent"] + t.get("relayed", 0) + sum(t["losses"].values()) + t["inFlight"]
        if came != went or t["inFlight"]:
            yield f"{a['node']}: {t['tool']}/{t['port']}: {came} is not {went}: {t}"
    n = a.get("arrivals")
    if not n:
        return
    kinds = ("whole", "parts", "asks", "answers", "stranger", "unknown", "malformed")
    if n["received"] != sum(n[k] for k in kinds):
        yield f"{a['node']}: received {n['received']}: {n}"
    arrived = sum(t.get("arrived", 0) for t in a["tools"])
    if n["whole"] + n["joined"] != arrived or n["waiting"]:
        yield f"{a['node']}: arrived {arrived}: {n}"


def main():
    if sys.argv[1] == "sums":
        end = time.monotonic() + 10
        while True:
            bad = [w for path in sys.argv[2:] for w in wrong(account(path))]
            if not bad or time.monotonic() > end:
                break
            time.sleep(0.05)
        print("\n".join(bad))
        sys.exit(bool(bad))
    at = account(sys.argv[1])
    way = sys.argv[3].split("/")
    if way[0] == "tool":
        at = ([t for t in at["tools"] if [t["tool"], t["port"]] == way[1:3]] or [{}])[0]
        way = way[3:]
    for w in way:
        at = at.get(w, 0) if at else 0
    print(json.dumps(at).strip('"'))


main()
