# SPDX-License-Identifier: Apache-2.0
# Called by copies.sh: WEFT NAME CHECKS-SO-FAR FOLDER.
import glob, json, os, shutil, signal, socket, subprocess, sys, threading, time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from pod_calls import weft_run, finish, make_socket, name, ok, wait_for, weft  # noqa: E402

folder = sys.argv[4]


def account():
    p = weft_run("account", "-o", "json")
    return p.returncode, {x["node"]: x for x in json.loads(p.stdout)} if p.stdout else {}


def wrong():
    code, nodes = account()
    return code, [(n, s) for n, x in nodes.items() for s in x["sums"] if s["says"] in ("wrong", "unknown")]


COPIES = ("packets at taps", "copies to weft-copier", "copies judged", "tool ids/default", "tool memory/default", "tool flows/default")


def exact():
    code, nodes = account()
    good = code == 0 and all({s["sum"]: s["says"] for s in x["sums"]}.get(c) == "exact" for x in nodes.values() for c in COPIES)
    return nodes if good else None


def terms(node, sum):
    return {t["name"]: t["low"] for s in node["sums"] if s["sum"] == sum for t in s["terms"]}


def ip_of(pod):
    return json.loads(weft_run("get", "pod", pod, "-o", "json").stdout)["status"]["podIP"]


def copier(node, path="/account"):
    p = subprocess.run(["curl", "-s", "--max-time", "5", "--unix-socket", f"/run/weft/{name}/{node}/copier.sock", "http://x" + path], capture_output=True)
    return json.loads(p.stdout) if p.stdout else None


def pid_of(program, node):
    for p in glob.glob("/proc/[0-9]*"):
        try:
            words = open(p + "/cmdline").read().split("\0")
            if open(p + "/comm").read().strip() == program and name in words and node in words:
                return int(os.path.basename(p))
        except OSError:
            pass


def tool(node, which):
    return next((t for t in (copier(node) or {"tools": []})["tools"] if t["tool"] == which), {})


# accounts
ok("weft-copier takes copies on both nodes", bool(wait_for(lambda: copier("node-1") and copier("node-2"))))
ok("BR16 BR17 BR18 the sums of taps, of weft-copier and of each tool match to the packet", bool(wait_for(exact)), wrong())
web, caller = ip_of("web"), ip_of("caller")
there = make_socket("web", socket.AF_INET, socket.SOCK_DGRAM)
there.bind((web, 4000))
here = make_socket("caller", socket.AF_INET, socket.SOCK_DGRAM)
here.bind((caller, 40000))
had = tool("node-1", "ids")["due"]
for i in range(500):
    here.sendto(b"x" * 100, (web, 4000))
    if i % 20 == 0:
        time.sleep(0.001)
ok("each of 500 packets that a map takes is due to its tool once, on the pod's node alone", wait_for(lambda: tool("node-1", "ids")["due"] - had == 500)
   and tool("node-2", "ids")["due"] == 0, (tool("node-1", "ids"), tool("node-2", "ids")))
after = wait_for(exact)
ok("BR18 and when they have come nothing is in flight, and all sums match", bool(after) and terms(after["node-1"], "tool ids/default")["inFlight"] == 0, wrong())
stop, codes = threading.Event(), set()


def flow(rate, size, until):
    began, n = time.monotonic(), 0
    while not until.is_set():
        while n < (time.monotonic() - began) * rate:
            here.sendto(b"x" * size, (web, 4000))
            n += 1
        time.sleep(0.002)


thread = threading.Thread(target=flow, args=(3000, 200, stop))
thread.start()
for i in range(6):
    codes.add(account()[0])
stop.set()
thread.join()
ok("while copies flow no sum is called wrong", codes == {0}, (codes, wrong()))

# why
p = weft_run("why", "--copy", "-o", "json", "--proto", "udp", "--family", "4", "--source-port", "40000", "caller", "web:4000")
doc = json.loads(p.stdout) if p.stdout else {"places": []}
seen = {(x["place"], x["direction"]): {t["tool"]: (t["maps"], t.get("taking"), t.get("does")) for t in x["tools"]} for x in doc["places"]}
ok("why --copy asks the cluster: which pods see it, which map and tool, and whether the tool takes", p.returncode == 0 and
   seen.get(("default/web", "in")) == {"ids": (["web"], True, None)} and
   seen.get(("default/caller", "out")) == {"memory": (["left"], True, "slice L2+64")}, (p.stderr, seen))
place = next((x for x in doc["places"] if x["place"] == "default/web"), {"maps": []})
ok("and where each map stands", any("maps.yaml" in m.get("at", "") for m in place["maps"]), place)

# IPFIX: what a policy drops, as another program reads it
if shutil.which("nfcapd") and shutil.which("nfdump"):
    os.mkdir(folder + "/nf")
    log = open(folder + "/nfcapd.log", "w")
    nfcapd = subprocess.Popen(["ip", "netns", "exec", f"weft-{name}-node-1", "nfcapd", "-b", "127.0.0.1", "-p", "14739", "-w", folder + "/nf", "-t", "3600"],
                              stdout=log, stderr=log)
    shut = ip_of("shut")
    had, before = tool("node-1", "flows"), tool("node-1", "flows").get("sent", 0)
    lost = sum(had["losses"].values())
    for i in range(300):
        here.sendto(b"y" * 60, (shut, 5000 + i % 30))
        if i % 10 == 0:
            time.sleep(0.002)
    ok("300 packets that a policy drops are due to the collector's tool", wait_for(lambda: tool("node-1", "flows")["due"] - had["due"] >= 300), tool("node-1", "flows"))
    ok("and are sent once their flows are over", wait_for(lambda: tool("node-1", "flows")["inFlight"] == 0), tool("node-1", "flows"))
    sent, gone = tool("node-1", "flows")["sent"] - before, sum(tool("node-1", "flows")["losses"].values()) - lost
    drops = sum(d["packets"] for d in json.loads(weft_run("drops", "-o", "json").stdout) if d.get("pod") == "default/shut" and d["reason"] == "policy-ingress")
    time.sleep(1)
    nfcapd.terminate()
    nfcapd.wait(30)
    rows = []
    for f in os.listdir(folder + "/nf"):
        if f.startswith("nfcapd"):
            r = subprocess.run(["nfdump", "-r", f"{folder}/nf/{f}", "-q", "-N", "-6", "-o", "fmt:%sa %da %dp %pkt %byt %in"], capture_output=True, text=True)
            rows += [line.split() for line in r.stdout.splitlines() if shut in line]
    got = sum(int(r[3]) for r in rows)
    ok("BR84 nfdump has as many packets of them as were sent, and weft drops counted: %d in %d flows" % (got, len(rows)), got == 300 == drops and len(rows) == 30 and
       gone == 0, (got, len(rows), sent, gone, drops, rows[:2], open(folder + "/nfcapd.log").read()[-400:]))
    at = next(p["ifindex"] for p in copier("node-1")["places"] if p["name"] == "default/shut")
    ok("with the octets of their IP packets, and the interface of the pod that they did not reach", all(int(r[4]) == 88 * int(r[3]) and int(r[5]) == at for r in rows),
       rows[:3])
else:
    print("# nfdump is not here: drops as IPFIX records are not read by another program")

# a weft-copier that is away, and one that began anew
ok("before that all sums match", bool(wait_for(exact)), wrong())
pid = pid_of("weft-copier", "node-1")
agent = pid_of("weft-agent", "node-1")
os.kill(pid, signal.SIGSTOP)
code, nodes = account()
says = {s["sum"]: s for s in nodes["node-1"]["sums"]}
ok("BR20 what a weft-copier that does not answer could tell is unknown, not 0", code == 2 and says["copies to weft-copier"]["says"] == "unknown" and
   "tool ids/default" not in says, (code, says.get("copies to weft-copier")))
os.kill(pid, signal.SIGCONT)
began = copier("node-1")["began"]
os.kill(pid, signal.SIGKILL)
anew = wait_for(lambda: (copier("node-1") or {"began": began})["began"] != began)
ok("BR21 one that was killed is back, and says that it began anew", bool(anew) and copier("node-1").get("again") is True, copier("node-1"))
wait_for(lambda: here.sendto(b"x", (web, 4000)) and tool("node-1", "ids").get("due", 0) > 0)
code, nodes = account()
says = {s["sum"]: s for s in nodes["node-1"]["sums"]}
ok("BR21 what was copied before it is unknown; its own sums match", code == 2 and says["copies to weft-copier"]["says"] == "unknown" and
   "began anew" in says["copies to weft-copier"]["because"] and says["tool ids/default"]["says"] in ("exact", "within") and nodes["node-1"]["copier"]["again"], wrong())

# what a map would do, before it is applied; the records have a connection of its own
stop = threading.Event()
here = make_socket("caller", socket.AF_INET, socket.SOCK_DGRAM)
thread = threading.Thread(target=flow, args=(400, 500, stop))
thread.start()
time.sleep(17)
for t in ("", "capacity: 2M, "):
    with open(folder + "/new.yml", "w") as f:
        f.write("apiVersion: weft.network/v1alpha1\nkind: Tool\nmetadata: {name: far}\nspec: {%sdiscard: true}\n---\n"
                "apiVersion: weft.network/v1alpha1\nkind: TrafficMap\nmetadata: {name: far}\nspec: {from: [{pods: {podSelector: {matchLabels: {app: caller}}}}], "
                "filter: udp, to: [{tool: far}]}\n" % t)
    p = weft_run("plan", "--traffic", "-o", "json", "--since", "14s", folder + "/new.yml")
    doc = json.loads(p.stdout) if p.stdout else {"tools": []}
    planned = next((x for x in doc["tools"] if x["tool"] == "far"), {})
    if not t:
        free = p.returncode == 0 and not planned.get("full")
ok("BR95 a tool that would exceed 80 % of its capacity is flagged before apply, one without a bound is not", free and p.returncode == 1 and planned.get("full") is True,
   (p.returncode, planned, p.stderr))
with open(folder + "/tunnel.yml", "w") as f:
    f.write(open(folder + "/new.yml").read().replace("discard: true", "vxlan: {remote: 192.0.2.1, vni: 7}, mtu: 1400"))
p = weft_run("plan", "--traffic", "-o", "json", "--since", "14s", folder + "/tunnel.yml")
remarks = [r for r in (json.loads(p.stdout) if p.stdout else {}).get("remarks", []) if r["tool"] == "far"]
ok("BR59 packets that a tunnel's tool could not take are in the answer before apply", p.returncode == 1 and len(remarks) == 1 and "50 of tunnel headers" in remarks[0]["text"] and
   remarks[0]["level"] == "warning" and remarks[0]["text"] in p.stderr, (p.returncode, remarks, p.stderr))
os.unlink(folder + "/tunnel.yml")
os.rename(folder + "/new.yml", folder + "/new.yaml")
ok("the maps are applied", bool(wait_for(lambda: tool("node-2", "far").get("due", 0) > 0)), tool("node-2", "far"))
a, at = tool("node-2", "far"), time.monotonic()
time.sleep(8)
b, seconds = tool("node-2", "far"), time.monotonic() - at
stop.set()
thread.join()
packets, bits = (b["due"] - a["due"]) / seconds, (b["dueBytes"] - a["dueBytes"]) * 8 / seconds
ok("BR95 what was foretold is within 20 %% of what happens: %.0f of %.0f packets/s, %.0f of %.0f bit/s" % (planned["packets"], packets, planned["bits"], bits),
   abs(planned["packets"] - packets) < 0.2 * packets and abs(planned["bits"] - bits) < 0.2 * bits)
p = weft_run("plan", "--traffic", "-o", "json", "--without", "trafficmap/far")
gone = next((x for x in (json.loads(p.stdout) if p.stdout else {"tools": []})["tools"] if x["tool"] == "far"), {})
ok("without a map its tool would get nothing, and what it gets now is told", p.returncode == 0 and gone.get("bitsNow", 0) > 0 and gone.get("bits") == 0, (p.returncode, gone, p.stderr))
p = weft_run("plan", "--traffic", "--without", "trafficmap/nosuch")
ok("to be without what is not there is an error that names it", p.returncode == 2 and "nosuch" in p.stderr, (p.returncode, p.stderr))
finish()
