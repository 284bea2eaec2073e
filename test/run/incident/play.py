# SPDX-License-Identifier: Apache-2.0
# Called by incident.sh: WEFT NAME CHECKS-SO-FAR FOLDER. Plays the incident step by step, notes when each began and was over, and asks.
import datetime
import json
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from pod_calls import finish, folder, make_socket, make_socket_in, name, ok, wait_for, weft_run  # noqa: E402

manifests = folder + "/m/"


def now():
    return datetime.datetime.utcnow().isoformat(timespec="milliseconds") + "Z"


def ask(*words):
    """What a person sees: the answer, and what is said beside it."""
    p = weft_run(*words)
    return p.stdout, p.stderr


def flows(text, *more):
    out, err = ask("flows", text, "-o", "json", "--limit", "99999", *more)
    return [json.loads(line) for line in out.splitlines()]


def drops(text, *more):
    return json.loads(ask("drops", text, "-o", "json", *more)[0] or "[]")


def history(text, *more):
    out, err = ask("history", text, "-o", "json", *more)
    return json.loads(out)["rows"] if out else []


def edit(file, old, new):
    with open(manifests + file, encoding="utf-8") as f:
        text = f.read()
    assert old in text, old
    with open(manifests + file, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new, 1))


def settled(*texts):
    """Flows of each of these since now: the shop runs as it should."""
    begin = now()
    return wait_for(lambda: all(flows(t, "--since", begin) for t in texts), 60)


good = "dst.workload == shop/store && state == closed"
ok("the shop runs", settled(good, "dst.workload == shop/catalogue && state == closed", "service == shop/page && state == closed"))
calm = now()

# --- a policy that refuses -----------------------------------------------------------------------------
edit("policies.yaml", "app: cart}\n    ports:\n    - {port: store}", "app: kart}\n    ports:\n    - {port: store}")
refused = now()
ok("while it lasts: weft drops says who is kept from whom",
   wait_for(lambda: any(d["from"].get("workload") == "cart" and d["to"].get("name") == "store-0" and d["to"]["port"] == 6379
                        for d in drops("reason == policy-ingress", "--since", "1m")), 60))
out, err = ask("drops", "src.workload == cart && dst.workload == store", "--since", "1m")
ok("and which policy does it, with file and line", "NetworkPolicy shop/store" in out and "policies.yaml:" in out and "no longer" not in out, out)
edit("policies.yaml", "app: kart", "app: cart")
ok("the policy is put right", settled(good))
allowed = now()
out, err = ask("drops", "dst.workload == store", "--since", refused, "--until", allowed)
ok("after it: the policy that did it is still named, and that it is over",
   "NetworkPolicy shop/store" in out and "policies.yaml:" in out and "(no longer in force)" in out, out)
found = flows("verdict == dropped && service == shop/store", "--since", refused, "--until", allowed)
ok("by verdict and Service", found and all(f["reason"] == "policy-ingress" and f["from"]["workload"] == "cart" for f in found), found[:2])
counted = sum(d["packets"] for d in drops("service == shop/store", "--since", refused, "--until", allowed))
ok("weft drops adds up the same records: %d" % counted, counted == len(found), len(found))
kernel = sum(d["packets"] for d in json.loads(ask("drops", "-o", "json")[0]) if d.get("pod") == "shop/store-0")
ok("and so does the kernel", kernel == counted, kernel)
out, err = ask("flows", "verdict == dropped && dst.workload == store", "--until", calm)
ok("the time before it: nothing was dropped, and why nothing is shown is said",
   "No flow matches" in out and "the filter matches none of" in err and "of that time" in err, out + err)
ok("and calls that went well are there", flows(good, "--until", calm))
rows = history("dst.workload == store && verdict == dropped", "--since", calm, "--step", "1s", "--by", "from,to,reason,rule")
ok("history has them, second by second, within that time",
   sum(r["events"] for r in rows) == counted and all(refused[:19] <= r["at"][:19] <= allowed[:19] for r in rows), rows)
out, err = ask("history", "verdict == dropped && dst.workload == store", "--since", calm, "--by", "from,to,reason,rule")
ok("history's table names the policy", "policy-ingress" in out and "NetworkPolicy shop/store" in out and not out.startswith("AT"), out)
minute = flows("reason == policy-ingress", "--at", found[0]["last"][:16] + "Z")
ok("--at the minute finds them", found[0]["id"] in [f["id"] for f in minute] if "id" in found[0] else len(minute) >= 1, minute[:1])
second = flows("reason == policy-ingress", "--at", found[0]["last"])
ok("--at what an answer shows finds just that", len(second) >= 1 and all(f["last"] == found[0]["last"] for f in second), second)

# --- a service that answers late -----------------------------------------------------------------------
quick = now()
ask("fault", "shop/catalogue", "--slow", "400ms")
late = "dst.workload == shop/catalogue && duration > 300ms"
ok("while it lasts: the slow calls are found by duration", wait_for(lambda: len(flows(late, "--since", quick)) >= 3, 60))
top = json.loads(ask("top", "ns == shop && !udp", "--sort", "longest", "--since", quick, "-o", "json")[0])["list"]
ok("weft top has the slow one first", top and top[0]["name"] == "shop/catalogue" and top[0]["lastedMilliseconds"] > 100, top[:3])
ask("fault", "shop/catalogue", "--clear")
ok("it is quick again", settled("dst.workload == shop/catalogue && duration < 200ms"))
mended = now()
found = flows(late, "--since", quick, "--until", mended)
ok("after it: by time and duration; the kernel answered at once",
   len(found) >= 3 and all(f["handshakeMicroseconds"] < 300000 for f in found) and
   {f["id"] for f in found} <= {f["id"] for f in flows(late + " && handshake < 300ms", "--since", quick, "--until", mended)}, found[:1])
out, err = ask("flows", late, "--until", quick)
ok("the time before it: none was slow", "No flow matches" in out and "of that time" in err, out + err)
out, err = ask("flows", late, "--since", quick, "--until", mended, "-o", "wide")
ok("the table tells how long, by which Service and which node saw it",
   out.splitlines()[0].split() == ["LAST", "FOR", "PROTOCOL", "FROM", "TO", "BYTES", "BACK", "SERVICE", "SEEN", "BY", "STATE", "RULES"] and
   " ms " in out and "shop/catalogue:8000" in out and " node-" in out, out)

# --- a link that gets slow ----------------------------------------------------------------------------
supplier = "203.0.113.98"
relay = subprocess.Popen([sys.executable, "test/run/tcp/relay.py", "/run/netns/weft-%s-outside" % name, "eth0", supplier, "2"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
ok("a supplier outside", relay.stdout.readline() == "ready\n")
desk = make_socket_in("/proc/%d/ns/net" % relay.pid, socket.AF_INET, socket.SOCK_STREAM)
desk.bind((supplier, 8080))
desk.listen()


def answer():
    while True:
        try:
            c = desk.accept()[0]
        except OSError:
            return
        while c.recv(64):
            c.sendall(b"yes")
        c.close()


threading.Thread(target=answer, daemon=True).start()


def order(count):
    """Connections of 8 questions and answers; returns their ports."""
    ports = []
    for _ in range(count):
        c = make_socket("buyer", socket.AF_INET, socket.SOCK_STREAM)
        c.settimeout(20)
        c.connect((supplier, 8080))
        ports.append(c.getsockname()[1])
        for _ in range(8):
            c.sendall(b"have you?")
            c.recv(64)
        c.close()
    return sorted(ports)


def link(milliseconds):
    relay.stdin.write("%d\n" % milliseconds)
    relay.stdin.flush()


def ports_of(text, *more):
    return sorted(f["from"]["port"] for f in flows("%s && %s && state == closed" % (text, theirs), *more))


quiet = now()
warm = order(1)[0]  # the first one finds its way
theirs = "dst.ip == %s && src.port != %d" % (supplier, warm)
before = order(3)
ok("quick ones are there", wait_for(lambda: ports_of("src.pod == buyer", "--since", quiet) == before, 60), ports_of("src.pod == buyer"))
slowed = now()
link(150)
slow = order(3)
far_away = "tcp.rtt > 250ms"
ok("while it lasts: the slow ones are found by tcp.rtt", wait_for(lambda: ports_of(far_away, "--since", slowed) == slow, 60), (slow, ports_of("src.pod == buyer")))
link(2)
healed = now()
after = order(3)
ok("it is quick again", wait_for(lambda: ports_of("tcp.rtt < 250ms", "--since", healed) == after, 60))
ok("after it: by round-trip time and time, just those", ports_of(far_away, "--since", quiet) == slow == ports_of(far_away, "--since", slowed, "--until", healed))
ok("it is the link beyond the node, not the pod's", ports_of("tcp.rtt.there > 250ms && tcp.rtt.back < 200ms", "--since", quiet) == slow)
out, err = ask("flows", far_away + " && " + theirs, "--since", quiet, "--until", slowed)
ok("the time before it: none was slow", "No flow matches" in out and "of that time" in err, out + err)
ok("and calls that were quick are there", ports_of("src.pod == buyer && tcp.rtt < 250ms", "--since", quiet, "--until", slowed) == before)
out, err = ask("flows", far_away + " && " + theirs, "-o", "wide", "--since", quiet)
ok("the table tells the round trip", out.count("round trip 3") == 3 and "default/buyer" in out, out)
relay.stdin.close()
relay.kill()
relay.wait()
desk.close()

# --- names, labels, what nobody has --------------------------------------------------------------------
pages = {f["from"]["name"] for f in flows('src.pod.label["app"] == "page" && dst.port == 8000')}
ok("by label: both pods of the page", len(pages) == 2, pages)
one = sorted(pages)[0]
found = flows("src.pod == shop/%s && bytes > 100 && packets < 1k" % one)
ok("by pod, bytes and packets", found and {f["from"]["name"] for f in found} == {one})
ok("by node and namespace", flows("src.node == node-1 && ns == reports && proto == tcp"))
out, err = ask("flows", "pod == shop/page")
ok("a workload taken for a pod: the answer says what it is", "nothing has that name now" in err and "workload == shop/page" in err, err)
out, err = ask("drops", "workload == shop/catalog && verdict == dropped")
ok("a name that nobody has: the nearest one is told, by weft drops too", "did you mean shop/catalogue?" in err, out + err)
out, err = ask("flows", "--at", "2020-01-01 10:00")
ok("a time outside of what is kept is told", "none is of that time" in err and "keeps flows since" in err, out + err)
out, err = ask("top", "service == shop/cart && verdict == dropped", "--until", calm)
ok("weft top says it as well", "Nothing was active" in out and "the filter matches none of" in err, out + err)

# --- a Deployment that is rolled -----------------------------------------------------------------------
old = pages
edit("shop.yaml", "image: example/page", "image: example/page:2")
rolled = now()


def replaced():
    new = {f["from"]["name"] for f in flows('src.workload == shop/page && dst.port == 8000 && state == closed', "--since", rolled)}
    return new - old


ok("the page is rolled", wait_for(lambda: len(replaced()) == 2, 60), replaced())
fresh = replaced()
ok("old pods are found by their names, with what they did then", all(flows("src.pod == shop/%s" % p) for p in old))
ok("the workload has all of them", {f["from"]["name"] for f in flows("src.workload == page && dst.port == 8000")} >= old | fresh)
page_calls, rows = len(flows("src.workload == page && dst.workload == catalogue", "--since", calm)), []


def summed():
    rows[:] = history("src.workload == page && dst.workload == catalogue", "--since", calm, "--by", "from,to,port")
    return len(rows) == 1 and rows[0]["begun"] >= page_calls


ok("history sums them as one", wait_for(summed), (page_calls, rows))

# --- an address that goes to another pod ---------------------------------------------------------------
reader = manifests + "reader.yaml"
with open(reader, encoding="utf-8") as f:
    pod = f.read()
address = json.loads(ask("get", "pod", "reader", "-n", "reports", "-o", "json")[0])["status"]["podIP"]
gone = now()
os.remove(reader)
ok("a pod is deleted", wait_for(lambda: "not found" in ask("get", "pod", "reader", "-n", "reports")[1], 60))
heir = None
for i in range(40):
    with open(manifests + "heir.yaml", "w", encoding="utf-8") as f:
        f.write(pod.replace("name: reader", "name: heir-%d" % i, 1))
    got = wait_for(lambda: json.loads(ask("get", "pod", "heir-%d" % i, "-n", "reports", "-o", "json")[0] or "{}").get("status", {}).get("podIP"))
    if got == address:
        heir = "heir-%d" % i
        break
ok("its address goes to another one", heir)
ok("which calls", heir and wait_for(lambda: flows("src.pod == reports/%s && src.ip == %s && tcp" % (heir, address)), 60))
before = flows("src.ip == %s && record == flow" % address, "--until", gone)
after = flows("src.ip == %s && src.pod == reports/%s" % (address, heir))
ok("BR15 flows of before the deletion are the old pod's", before and {f["from"].get("name") for f in before} == {"reader"},
   {f["from"].get("name") for f in before})
ok("BR15 none of the new pod's began before it was there", after and min(f["first"] for f in after) > gone, after[:1])
ok("BR15 none under the old name begins later", not [f for f in flows("src.pod == reports/reader") if f["first"] > min(g["first"] for g in after)])

# --- a node without power ------------------------------------------------------------------------------
lit = now()
ask("fault", "node/node-2", "--down")


def says_unknown(*words):
    return "node-2" in ask(*words)[1] and "unknown" in ask(*words)[1]


ok("BR20 weft flows says that the node's flows are unknown, not none", wait_for(lambda: "node-2 told its flows" in ask("flows")[1], 60))
ok("BR20 so do weft top and weft drops", says_unknown("top", "-o", "json") and says_unknown("drops", "tcp", "--since", "1m"))
ok("BR20 so does weft history", wait_for(lambda: "node-2 is unknown, not zero" in ask("history", "--since", "1m")[1]))
ok("what it told before is there", flows("seen.node == node-2", "--until", lit))
out, err = ask("flows", "seen.node == node-2 && dst.workload == nobody")
ok("an empty answer says both: that none matches, and who is unknown", "the filter matches none of" in err and "node-2" in err, err)
ask("fault", "node/node-2", "--clear")
ok("it is back, and tells again", wait_for(lambda: "node-2 told its flows" not in ask("flows")[1], 60))
ok("BR20 its gap stays unknown in history", wait_for(lambda: "node-2 is unknown, not zero" in ask("history", "--since", "2m")[1]))

# --- a node whose cable is out: the hub hears it, its peers do not --------------------------------------
distant = json.loads(ask("get", "pod", "distant", "-o", "json")[0])["status"]["podIP"]


def reaches():
    c = make_socket("buyer", socket.AF_INET, socket.SOCK_STREAM)
    c.settimeout(1.5)
    try:
        c.connect((distant, 8080))
        return True
    except OSError:
        return False
    finally:
        c.close()


across = "src.pod == default/buyer && dst.pod == default/distant"
ok("a call across the cable", wait_for(reaches, 60) and wait_for(lambda: flows(across + " && handshake < 10s"), 60))
ask("fault", "node/node-2", "--cut")
ok("the cable is out", wait_for(lambda: not reaches(), 60))
cut = now()
ok("calls to its pods have no answer", not reaches() and not reaches())
ok("while it lasts: they are found by node and state", wait_for(lambda: len(flows(across + " && dst.node == node-2 && state == unanswered", "--since", cut)) >= 2, 60),
   flows(across, "--since", cut))
ok("the other node saw none of them, and is not unknown: it still tells", not flows(across + " && seen.node == node-2", "--since", cut, "--every-node") and
   not says_unknown("flows", "tcp"))
ask("fault", "node/node-2", "--clear")
ok("the cable is in again", wait_for(reaches, 60))
joined = now()
ok("after it: calls are answered", wait_for(lambda: reaches() and flows(across + " && handshake < 10s", "--since", joined), 60))
ok("and those that were not are still found", len(flows(across + " && state == unanswered", "--since", cut, "--until", joined)) >= 2)
finish()
