# SPDX-License-Identifier: Apache-2.0
# Called by account.sh: WEFT NAME CHECKS-SO-FAR FOLDER. Traffic between pods, and what `weft account` says of it.
import glob, json, os, random, signal, socket, subprocess, sys, threading, time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from pod_calls import weft_run, finish, make_socket, name, ok, wait_for, weft  # noqa: E402


def run(*args):
    p = weft_run(*args)
    return p.returncode, p.stdout, p.stderr


def account(*more):
    code, out, err = run("account", "-o", "json", *more)
    return code, {x["node"]: x for x in json.loads(out)} if out else {}


def exact():
    code, nodes = account()
    good = code == 0 and all(s["says"] == "exact" for x in nodes.values() for s in x["sums"])
    return nodes if good else None


def term(node, counter):
    for s in node["sums"]:
        for t in s["terms"]:
            if t["name"] == counter:
                return t["low"]


def drops(pod, reason):
    code, out, err = run("drops", "-o", "json")
    return sum(d["packets"] for d in json.loads(out) if d.get("pod") == "default/" + pod and d["reason"] == reason)


def metrics(path):
    out = subprocess.run(["curl", "-s", "--unix-socket", path, "http://x/metrics"], capture_output=True, text=True)
    return dict(line.rsplit(" ", 1) for line in out.stdout.splitlines() if line and line[0] != "#")


def ip_of(pod):
    return json.loads(run("get", "pod", pod, "-o", "json")[1])["status"]["podIP"]


def observer(node):
    for p in glob.glob("/proc/[0-9]*"):
        try:
            words = open(p + "/cmdline").read().split("\0")
            if open(p + "/comm").read().strip() == "weft-observer" and name in words and node in words:
                return int(os.path.basename(p))
        except OSError:
            pass


def flows(text):
    code, out, err = run("flows", text, "-o", "json", "--limit", "99999")
    return [json.loads(line) for line in out.splitlines()]


before = wait_for(exact)
ok("BR18 without traffic all sums match exactly, on both nodes", bool(before) and len(before) == 2, account())
assert before

# a source whose packets cannot all be parsed
raw = make_socket("caller", socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("eth0", 0x0800))
for i in range(50):
    raw.send(b"\x02WEFT\x01" + b"\x02\x00\x00\x00\x00\x01" + b"\x08\x00" + b"\x4f\x00\x00\x18" + b"\0" * 16)
after = wait_for(lambda: drops("caller", "malformed") == 50 and exact())
ok("BR16 packets from a pod = classified + unparsable: 50 that cannot be parsed are 50 drops with that name", bool(after),
   (drops("caller", "malformed"), account()))
ok("BR16 and they were seen", term(after["node-1"], "POD_IN") - term(before["node-1"], "POD_IN") >= 50)

# bytes that mean nothing, behind EtherTypes that are looked into: packets of a pod, to this node's addresses too
seen = term(after["node-1"], "POD_IN")
had = term(after["node-1"], "POD_DROP")
dice = random.Random(75)
for i in range(3000):
    # The kernel itself throws a frame away that ends within or right behind its VLAN tag: it meets no hook.
    body = dice.randbytes(dice.randrange(6 if i % 5 == 3 else 0, 90))
    head = (b"\x08\x00\x45", b"\x86\xdd\x60", b"\x08\x06", b"\x81\x00", dice.randbytes(2))[i % 5]
    raw.send(b"\x02WEFT\x01" + b"\x02\x00\x00\x00\x00\x01" + head + body)
after = wait_for(lambda: (lambda x: x and term(x["node-1"], "POD_IN") - seen >= 3000 and x)(exact()))
ok("BR75 random bytes as packets are seen, and each one went on or is a drop with a name", bool(after), account())
assert after
lost = term(after["node-1"], "POD_DROP") - had
ok("BR75 those that mean nothing are drops: %d of 3000" % lost, 1000 < lost <= 3000, lost)

# in flight
stop = threading.Event()
web = ip_of("web")
udp_in = make_socket("web", socket.AF_INET, socket.SOCK_DGRAM)
udp_in.bind((web, 4000))
udp_out = make_socket("caller", socket.AF_INET, socket.SOCK_DGRAM)
udp_out.connect((web, 4000))


def flood():
    while not stop.is_set():
        for i in range(20):
            udp_out.send(b"x" * 100)
        time.sleep(0.001)


thread = threading.Thread(target=flood)
thread.start()
codes = {account()[0] for i in range(10)}
stop.set()
thread.join()
ok("while packets flow no sum is called wrong", codes == {0}, codes)
ok("BR18 once they have stopped all sums match exactly", bool(wait_for(exact)), account())

# the observer is away, and the ring overflows
shut = ip_of("shut")
refused = make_socket("caller", socket.AF_INET, socket.SOCK_DGRAM)
refused.bind(("", 0))
port = refused.getsockname()[1]
before = wait_for(exact)
had = drops("shut", "policy-ingress")
pid = observer("node-1")
os.kill(pid, signal.SIGSTOP)
sent = 20000
for i in range(sent):
    refused.sendto(b"y" * 20, (shut, 9))
    if i % 200 == 0:
        time.sleep(0.002)
code, out, err = run("account")
said = [line for line in out.splitlines() if line.startswith("node-1")]
ok("BR20 a node whose observer does not answer is unknown, not 0", code == 2 and len(said) == 1 and "unknown" in said[0], out + err)
os.kill(pid, signal.SIGCONT)
after = wait_for(exact)
ok("BR18 all sums match exactly when it is back", bool(after), account())
lost = term(after["node-1"], "EVENTS_LOST") - term(before["node-1"], "EVENTS_LOST")
told = term(after["node-1"], "EVENTS_TOLD") - term(before["node-1"], "EVENTS_TOLD")
ok("BR19 each event that found no room in the ring raised one counter: %d told + %d lost" % (told, lost),
   lost > 0 and told + lost == sent)
ok("no drop is missing: %d" % sent, drops("shut", "policy-ingress") - had == sent, drops("shut", "policy-ingress"))
found = wait_for(lambda: (lambda r: r if len(r) >= told else None)(flows("udp && src.port == %d" % port)))
ok("BR24 what was lost is no record: there are as many as were told", found and len(found) == told, found and len(found))

# epochs
old = after["node-1"]
os.kill(observer("node-1"), signal.SIGKILL)
after = wait_for(lambda: (lambda x: x and x["node-1"]["reporter"]["epoch"] != old["reporter"]["epoch"] and x)(exact()))
ok("BR21 an observer that starts anew is a new epoch of its records, and the sums match", bool(after), account())
ok("BR21 the kernel's numbers go on in their epoch",
   after and after["node-1"]["epoch"] == old["epoch"] and term(after["node-1"], "POD_IN") >= term(old, "POD_IN"))


# one source of numbers
def same_numbers():
    x = exact()
    m = metrics("/run/weft/%s/node-1/observer.sock" % name)
    h = metrics("/run/weft/%s/hub.sock" % name)
    key = 'weft_hook_received_packets_total{node="node-1",hook="pod"}'
    epoch = 'weft_counters_epoch{node="node-1"}'
    return x and str(term(x["node-1"], "POD_IN")) == m.get(key) == h.get(key) and str(x["node-1"]["epoch"]) == m.get(epoch) == h.get(epoch)


ok("BR25 sums, the agent's metrics and the hub's are the same counter of the same epoch", wait_for(same_numbers))

# witnesses from outside
server = make_socket("far", socket.AF_INET, socket.SOCK_STREAM)
server.bind((ip_of("far"), 4100))
server.listen()
client = make_socket("web", socket.AF_INET, socket.SOCK_STREAM)
client.connect(server.getsockname())
other = server.accept()[0]
feed = threading.Thread(target=lambda: client.sendall(b"z" * 3000000))
feed.start()
got = 0
while got < 3000000:
    got += len(other.recv(65536))
feed.join()
code, out, err = run("account", "--canary", "-o", "json")
outside = json.loads(out)
ok("canaries: sent = received + dropped = recorded", code == 0 and outside["canaries"] and all(c["says"] == "matches" for c in outside["canaries"]), out + err)
ok("canaries passed within a node, across nodes and from outside, and some were refused",
   {(c["from"], c["received"] > 0) for c in outside["canaries"]} >= {("outside", True), ("default/caller", True)} and any(c["dropped"] == c["sent"] for c in outside["canaries"]), out)
big = [s for s in outside["sockets"] if s["acked"] >= 3000000]
ok("the socket's sequence numbers and its record agree on 3 MB", len(big) == 1 and big[0]["says"] == "matches" and big[0]["recorded"] >= 3000000, outside["sockets"])

# it can say no
pins = glob.glob("/run/weft/%s/bpf/node-1/*/counter" % name)
if not subprocess.run(["sh", "-c", "command -v bpftool"], capture_output=True).returncode and pins:
    cpus = json.loads(subprocess.run(["bpftool", "-j", "map", "lookup", "pinned", pins[0], "key", "0", "0", "0", "0"], capture_output=True, text=True).stdout)["values"]
    all_cpus = [int.from_bytes(bytes(int(x, 16) for x in c["value"]), "little") for c in cpus]
    value = max(all_cpus) + 7  # bpftool gives it to each CPU
    words = [str(b) for b in value.to_bytes(8, "little")]
    subprocess.run(["bpftool", "map", "update", "pinned", pins[0], "key", "0", "0", "0", "0", "value", *words])
    more = value * len(all_cpus) - sum(all_cpus)
    code, out, err = run("account", "--node", "node-1")
    ok("a falsified counter is told, with what is missing, and the status is 1", code == 1 and "WRONG: %d missing" % more in out, out)
else:
    n += 1
    print("ok %d - a falsified counter is told # SKIP no bpftool here" % n)
code, out, err = run("account", "--node", "nowhere")
ok("a node that is not there is an error", code == 2 and "no node nowhere" in err, err)
finish()
