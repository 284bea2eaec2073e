# SPDX-License-Identifier: Apache-2.0
# Called by export.sh: WEFT NAME CHECKS-SO-FAR FOLDER. Sends datagrams, exports their records, asks nfdump.
import json, os, socket, subprocess, sys, time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from pod_calls import weft_run, finish, folder, make_socket, name as weft_name, ok, wait_for, weft  # noqa: E402

run = weft_run


def ips(pod):
    status = json.loads(run("get", "pod", pod, "-o", "json").stdout)["status"]
    return [i["ip"] for i in status["podIPs"]]


FILTER = "udp && dst.port in {9, 4000}"


def flows():
    return [json.loads(x) for x in run("flows", FILTER, "-o", "json", "--limit", "99999").stdout.splitlines()]


def totals(list):
    """Records, packets and bytes by (address, port) of who received them."""
    out = {}
    for to, port, packets, size in list:
        r, p, b = out.get((to, port), (0, 0, 0))
        out[to, port] = (r + 1, p + packets, b + size)
    return out


def told():
    list = []
    for f in flows():
        list.append((f["to"]["address"], f["to"]["port"], f["packets"]["there"], f["bytes"]["there"]))
        if f["packets"]["back"]:
            list.append((f["from"]["address"], f["from"]["port"], f["packets"]["back"], f["bytes"]["back"]))
    return totals(list)


web, shut = ips("web"), ips("shut")
for ip in web + shut:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    into = make_socket("web", family, socket.SOCK_DGRAM)
    if ip in web:
        into.bind((ip, 4000))
    for i in range(40):
        out = make_socket("caller", family, socket.SOCK_DGRAM)
        for k in range(i + 1):
            out.sendto(b"x" * (i + k), (ip, 4000 if ip in web else 9))
        if ip in web:
            data, peer = into.recvfrom(100)
            into.sendto(b"answer", peer)
            for k in range(i):
                into.recvfrom(100)
want = 2 * sum(range(1, 41))
ok("all is recorded: %d datagrams each way of both families, and as many drops that their sender's node let through" % want,
   wait_for(lambda: sum(f["packets"]["there"] for f in flows()) == 3 * want and sum(f["packets"]["back"] for f in flows()) == 80), len(flows()))

free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
free.bind(("127.0.0.1", 0))
port = free.getsockname()[1]
p = run("export", "--to", "127.0.0.1:no port")
ok("a port that is none is an error", p.returncode == 2, p.stderr)
free.close()
p = run("export", "--to", "127.0.0.1:%d" % port, FILTER)
ok("without a collector what is lost is told", p.returncode == 1 and "records were lost" in p.stderr, p.stdout + p.stderr)

os.mkdir(folder + "/nf")
log = open(folder + "/nfcapd.log", "w")
nfcapd = subprocess.Popen(["nfcapd", "-b", "127.0.0.1", "-p", str(port), "-w", folder + "/nf", "-t", "3600"], stdout=log, stderr=log)


def listens():
    return ":%04X " % port in open("/proc/net/udp").read()


ok("nfcapd listens", wait_for(listens))
before = told()
p = run("export", "--to", "127.0.0.1:%d" % port, FILTER)
ok("weft export", p.returncode == 0 and "%d records" % sum(r for r, _, _ in before.values()) in p.stdout, p.stdout + p.stderr)
# what lies in the socket's buffer is taken before the end: the queue of /proc/net/udp is empty then
wait_for(lambda: any(":%04X " % port in x and x.split()[4].endswith(":00000000") for x in open("/proc/net/udp")))
nfcapd.terminate()
nfcapd.wait(30)
log.close()
said = open(folder + "/nfcapd.log").read()
files = [folder + "/nf/" + f for f in os.listdir(folder + "/nf") if f.startswith("nfcapd")]
lines = []
for f in files:
    r = subprocess.run(["nfdump", "-r", f, "-q", "-N", "-6", "-o", "fmt:%da %dp %pkt %byt %pr"], capture_output=True, text=True)
    lines += [x.split() for x in r.stdout.splitlines() if len(x.split()) == 5]
got = totals((x[0], int(x[1]), int(x[2]), int(x[3])) for x in lines)
ok("nfdump has the same records, packets and bytes for each receiver and port", len(before) > 80 and got == before,
   (said, len(lines), [(k, got.get(k), before.get(k)) for k in set(got) | set(before) if got.get(k) != before.get(k)][:8]))
ok("all of them UDP", {x[4] for x in lines} == {"17"}, {x[4] for x in lines})
ok("the collector misses no sequence number", "Sequence Errors: 0" in said or "sequence failures: 0" in said.lower(), said)

# --- a connection that goes on is told while it does ----------------------------------------------------
for words in (["--to", "file:%s/x" % folder, "--follow"], ["--to", "127.0.0.1:9"], ["--to", "127.0.0.1:9", "--follow", "--state", folder + "/s"]):
    p = run("export", "--active-timeout", "2", *words)
    ok("--active-timeout is refused with " + " ".join(w for w in words if w.startswith("--")), p.returncode == 2 and "--active-timeout" in p.stderr, p.stderr)
ONGOING = "record == flow && tcp && dst.port == 4001"
os.mkdir(folder + "/active")
free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
free.bind(("127.0.0.1", 0))
port = free.getsockname()[1]
free.close()
log = open(folder + "/active.log", "w")
nfcapd = subprocess.Popen(["nfcapd", "-b", "127.0.0.1", "-p", str(port), "-w", folder + "/active", "-t", "3600"], stdout=log, stderr=log)
wait_for(listens)
said = open(folder + "/exporter.log", "w")
exporter = subprocess.Popen([weft, "export", "--follow", "--active-timeout", "2", "--to", "127.0.0.1:%d" % port, ONGOING, "--name", weft_name], stdout=said, stderr=said)
address = [a for a in web if ":" not in a][0]
listener = make_socket("web", socket.AF_INET, socket.SOCK_STREAM)
listener.bind((address, 4001))
listener.listen()
brief = make_socket("caller", socket.AF_INET, socket.SOCK_STREAM)
brief.connect((address, 4001))
listener.accept()[0].close()
brief.close()
out = make_socket("caller", socket.AF_INET, socket.SOCK_STREAM)
out.connect((address, 4001))
into = listener.accept()[0]


def sent():
    text = subprocess.run(["curl", "-s", "--unix-socket", "/run/weft/%s/hub.sock" % weft_name, "http://x/metrics"], capture_output=True, text=True).stdout
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("weft_exporter_records_total{") and ":%d" % port in line)


begun = time.monotonic()
turns = 0
while time.monotonic() - begun < 9 or sent() < 6:
    out.sendall(b"x" * 1000)
    into.recv(65536)
    into.sendall(b"y" * 300)
    out.recv(65536)
    turns += 1
    time.sleep(0.05)
    if time.monotonic() - begun > 40:
        break
early = sent()
ok("while it goes on it is told: %d records in %d s" % (early, time.monotonic() - begun), early >= 6)
for c in (out, into):
    c.close()


def over():
    found = [json.loads(x) for x in run("flows", ONGOING + " && ended", "-o", "json").stdout.splitlines()]
    return found if len(found) == 2 else None


ended = wait_for(over, 90)
ok("both connections end", ended)
# Their last records are handed on behind those of the active timeout, so no number says that they were: nothing more comes.
before, quiet_since = sent(), time.monotonic()


def quiet():
    global before, quiet_since
    if sent() != before:
        before, quiet_since = sent(), time.monotonic()
    return time.monotonic() - quiet_since > 6


ok("the exporter has nothing more to tell", wait_for(quiet, 60), (early, before))
exporter.terminate()
exporter.wait(30)
said.close()
wait_for(lambda: any(":%04X " % port in x and x.split()[4].endswith(":00000000") for x in open("/proc/net/udp")))
nfcapd.terminate()
nfcapd.wait(30)
log.close()
lines = []
for f in os.listdir(folder + "/active"):
    if f.startswith("nfcapd"):
        r = subprocess.run(["nfdump", "-r", folder + "/active/" + f, "-q", "-N", "-6", "-o", "fmt:%sp %dp %pkt %byt"], capture_output=True, text=True)
        lines += [[int(w) for w in x.split()] for x in r.stdout.splitlines() if len(x.split()) == 4]
for f in ended or []:
    there = [x for x in lines if x[0] == f["from"]["port"]]
    back = [x for x in lines if x[1] == f["from"]["port"]]
    ok("nfdump's sums over %d records are those of weft flows, each way: %d and %d packets" % (len(there) + len(back), f["packets"]["there"], f["packets"]["back"]),
       [sum(x[2] for x in w) for w in (there, back)] == [f["packets"]["there"], f["packets"]["back"]] and
       [sum(x[3] for x in w) for w in (there, back)] == [f["bytes"]["there"], f["bytes"]["back"]], (f, there, back, open(folder + "/exporter.log").read()))
    long = f["packets"]["there"] > turns
    ok("the one that went on has many records, none with everything" if long else "the short one has one record each way, as ever",
       len(there) >= 4 and max(x[2] for x in there) < f["packets"]["there"] / 2 if long else len(there) == len(back) == 1, (there, back))
said = open(folder + "/active.log").read()
ok("the collector misses no sequence number of these either", "Sequence Errors: 0" in said or "sequence failures: 0" in said.lower(), said)
finish()
