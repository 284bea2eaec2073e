# SPDX-License-Identifier: Apache-2.0
"""A broker host with a page, in the namespace of the interfaces: what it tells, what it refuses, and how it ends."""
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, "test/run/broker_plain")
from host import *

name = sys.argv[2]
run = f"/run/weft/{name}"


def children(pid, comm):
    out = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(l.split()[0]) for l in out.splitlines() if l.split()[1] == comm]


def hub_of(live):
    found = children(live.p.pid, "weft-hub")
    return found[0] if found else 0


def status(pid, key):
    try:
        with open(f"/proc/{pid}/status") as f:
            return re.search(rf"^{key}:\s*(.*)$", f.read(), re.M).group(1)
    except OSError:
        return ""


def curl(*args):
    r = subprocess.run(["curl", "-sS", "-m", "10", "-w", "\n%{http_code}", *args], capture_output=True, text=True)
    body, _, code = r.stdout.rpartition("\n")
    return int(code or 0), body


class Page:
    """A browser's session, by a link."""

    def __init__(self, link):
        self.root, self.jar = re.match(r"https?://[^/]+", link).group(0), f"{tmp}/jar"
        self.code, _ = curl("-k", "-c", self.jar, link)
        _, me = self.get("/page/me")
        self.me = json.loads(me)

    def get(self, path):
        return curl("-k", "-b", self.jar, self.root + path)

    def post(self, path, body):
        return curl("-k", "-b", self.jar, "-H", f"Weft-Csrf: {self.me['csrf']}", "-H", f"Origin: {self.root}", "-d", json.dumps(body), self.root + path)


def link_of(live):
    wait(lambda: "page: " in live.said() or live.p.poll() is not None)
    found = re.search(r"page: (\S+)", live.said())
    return found.group(1) if found else ""


def port(account, link):
    return next((p for p in account.get("ports", []) if p["name"] == link), {})


objects = [tool("web", interface={"name": "tool0"}), tool("gone", interface={"name": "nic9"}), tap("one", ["src0"], [{"tool": "web"}], filter="udp")]
edit = {"name": "more", "reason": "a test", "edits": [{"verb": "put", "kind": "TrafficMap", "name": "two",
        "yaml": json.dumps(tap("two", ["src0"], [{"tool": "web"}], filter="tcp"))}]}

# --- ports and accounts ---
live = Live("ports", objects, "--page", "--name", name)
link = link_of(live)
ok(link.startswith("http://127.0.0.1:"), f"a link to the page on loopback is printed: {link[:22]}…")
wait(lambda: port((live.accounts() or [{}])[-1], "src0").get("role") == "in")
first = live.accounts()[-1]
ok({p["name"]: p["role"] for p in first["ports"]} == {"end0": "none", "gen0": "none", "lo": "none", "nic9": "tool", "src0": "in", "tool0": "tool"},
   "every interface is a port with its role, Weft's own are none")
ok(port(first, "nic9")["link"] == "absent" and port(first, "src0")["link"] == "up" and port(first, "gen0")["address"] and not port(first, "src0")["address"],
   "links, addresses, and an interface that is not there")
before = port(first, "src0")["in"]["packets"], port(first, "tool0")["out"]["packets"]
send([udp(53, i) for i in range(300)])
wait(lambda: port(live.accounts()[-1], "tool0")["out"]["packets"] - before[1] >= 300)
last = live.accounts()[-1]
ok(port(last, "src0")["in"]["packets"] - before[0] == 300 and port(last, "tool0")["out"]["packets"] - before[1] == 300, "300 frames came in, 300 copies went out")
ok(last["maps"] == [{"name": "one", "packets": 300, "bytes": 18000}], f"what went straight to its tool is counted for the map: {last['maps']}")

# --- the hub ---
hub = hub_of(live)
ok(hub and status(hub, "Uid").split() == ["65534"] * 4 and int(status(hub, "CapEff"), 16) == 0 and status(hub, "NoNewPrivs") == "1", "the hub is nobody, without capabilities")
page = Page(link)
ok(page.me["host"] and page.me["writable"] is False, f"the session knows the host: {page.me['host']}")
code, body = page.post("/page/changes", edit)
ok(code != 200 and "--writable" in body, f"without --writable a change is refused, with what to do ({code})")
code, body = curl("--unix-socket", f"{run}/hub.sock", "-H", "Content-Type: application/json", "-d", json.dumps(tap("three", ["src0"], [{"tool": "web"}])),
                  "http://hub/apis/weft.network/v1alpha1/trafficmaps")
ok(code == 403 and "in its files" in body, "nor does the API take what would be in no file")
r = subprocess.run([WEFT, "get", "trafficmaps,tools", "--name", name], capture_output=True, text=True)
ok(r.returncode == 0 and "one" in r.stdout and "web" in r.stdout, "weft get asks the host's hub by its name")
r = subprocess.run(["unshare", "-n", WEFT, "broker", live.maps, "--page", "--name", name], capture_output=True, text=True, timeout=20)
ok(r.returncode == 1 and f'"{name}" is there already' in r.stderr, "a name that is taken: said in words")

# --- a hub that hangs takes nothing with it ---
time.sleep(2)  # sessions are kept within a second
os.kill(hub, signal.SIGSTOP)
told = len(live.accounts())
wait(lambda: len(live.accounts()) >= told + 4)
ok(len(live.accounts()) >= told + 4, "a hub that hangs does not hold up the accounts")
os.kill(hub, signal.SIGKILL)
ok(wait(lambda: hub_of(live) and hub_of(live) != hub), "one that is killed is started anew")
wait(lambda: curl("--unix-socket", f"{run}/hub.sock", "http://hub/version")[0] == 200)
code, body = page.get("/page/me")
ok(code == 200, f"its page is at the same address, and the session goes on ({code} {body[:300]})")

# --- kill -9, and the next run ---
hub = hub_of(live)
live.p.kill()
live.p.wait()
ok(wait(lambda: not os.path.exists(f"/proc/{hub}") or status(hub, "State").startswith("Z")), "the hub ends with weft broker, also when that is killed")
live = Live("again", objects, "--page", "--name", name, "--writable")
link = link_of(live)
ok(link.startswith(page.root + "/"), "the next run takes over, at the same port")
wait(lambda: live.accounts())
page = Page(link)
code, body = page.post("/page/changes", edit)
ok(code == 200 and wait(lambda: "two" in [m["name"] for m in live.accounts()[-1]["maps"]]), f"with --writable a new map goes into the file, and into force ({code})")
ok("two" in open(live.maps).read(), "and stands there")
status_, end = live.end()
ok(status_ == 0 and end["complete"] and not os.path.exists(run), "at the end all sums match, and nothing is left")

# --- other addresses ---
live = Live("tls", objects, "--page=192.0.2.1:8443", "--name", name)
link = link_of(live)
ok(link.startswith("https://192.0.2.1:8443/"), "another address than loopback is served with TLS")
ok(curl("-k", "https://192.0.2.1:8443/login")[0] == 200 and curl("http://192.0.2.1:8443/login")[0] != 200, "and only so")
live.end()
os.makedirs(run)
open(f"{run}/state.json", "w").close()
r = subprocess.run([WEFT, "broker", live.maps, "--page", "--name", name], capture_output=True, text=True, timeout=20)
ok(r.returncode == 1 and "was left in" in r.stderr, "what a cluster left is not taken for a host's")
for words, args in (("between interfaces", ["--page", "--dry-run"]), ("about the page", ["--writable"])):
    r = subprocess.run([WEFT, "broker", live.maps, *args], capture_output=True, text=True, timeout=20)
    ok(r.returncode == 2 and words in r.stderr, f"{' '.join(args)}: refused in words")
done()
