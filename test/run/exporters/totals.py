# SPDX-License-Identifier: Apache-2.0
# Called by exporters.sh: WEFT NAME CHECKS-SO-FAR FOLDER NFCAPD'S-PID ITS-PORT.
import json, os, signal, socket, subprocess, sys, threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import Exporter, Refused, exporter, ip, metrics, run_dir  # noqa: E402
from pod_calls import finish, folder, make_socket, ok, wait_for, weft_run  # noqa: E402
from prometheus import Prometheus  # noqa: E402

CONNECTIONS, SIZE, DROPS = 600, 20000, 3000
nfcapd_pid, port = int(sys.argv[5]), sys.argv[6]
to = "udp://127.0.0.1:" + port
web = ip("web")
both = subprocess.Popen(["nfcapd", "-b", "127.0.0.1", "-p", str(int(port) + 1), "-w", folder + "/both", "-t", "3600"],
                        stdout=open(folder + "/both.log", "w"), stderr=subprocess.STDOUT) if not os.mkdir(folder + "/both") else None
wait_for(lambda: ":%04X " % (int(port) + 1) in open("/proc/net/udp").read())
biflow = Exporter("--to", "udp://127.0.0.1:%d" % (int(port) + 1), "--biflow", "--names", "32473")


def serve():
    listener = make_socket("web", socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((web, 7000))
    listener.listen(64)
    for _ in range(CONNECTIONS):
        c, _ = listener.accept()
        while True:
            got = c.recv(65536)
            if not got:
                break
            c.sendall(got)
        c.close()


server = threading.Thread(target=serve, daemon=True)
server.start()
refused, payload, done = Refused(), 0, 0
for i in range(CONNECTIONS):
    with make_socket("caller", socket.AF_INET, socket.SOCK_STREAM) as c:
        wait_for(lambda: c.connect_ex((web, 7000)) in (0, 106), 10)
        c.sendall(b"x" * (SIZE + i))
        c.shutdown(socket.SHUT_WR)
        while c.recv(65536):
            pass
    payload += SIZE + i
    done += 1
    if i % 6 == 0:
        refused.send(DROPS * 6 // CONNECTIONS, 9)
ok("the generator made %d connections with %d bytes each way, and %d datagrams that are refused" % (done, payload, len(refused.sent)), done == CONNECTIONS)


def add(list):
    return (sum(x[0] for x in list), sum(x[1] for x in list), sum(x[2] for x in list))


def flows(text):
    list = [json.loads(x) for x in weft_run("flows", text, "-o", "json", "--limit", "99999").stdout.splitlines()]
    return add([(1, sum(f["packets"].values()), sum(f["bytes"].values())) for f in list])


CALLS, ALL = "record == flow && ended && tcp && dst.port == 7000", "ended"
ok("weft flows: as many connections as the generator made", wait_for(lambda: flows(CALLS)[0] == CONNECTIONS, 60), (flows(CALLS), CONNECTIONS))
calls, drops = flows(CALLS), flows("record == drop && !(reason == kernel)")
ok("and their bytes hold the payload", 2 * payload <= calls[2] <= 2 * payload * 1.2 + CONNECTIONS * 2000, (payload, calls))
ok("drops are the generator's datagrams, to the byte", drops == (DROPS, DROPS, sum(b for _, b in refused.sent)), (drops, DROPS))


def history():
    p = json.loads(weft_run("history", "verdict == forwarded && proto == tcp && dst.port == 7000", "--by", "none", "-o", "json").stdout)["rows"][0]
    return p["begun"], p["packetsThere"] + p["packetsBack"], p["bytesThere"] + p["bytesBack"]


ok("weft history: the same flows, packets and bytes", wait_for(lambda: history() == calls), (history(), calls))
total, stack = flows(ALL), flows("record == drop && reason == kernel")  # of a busy machine's own stack, such as a segment twice
own = stack[0]
ok("nothing else was on the network", total == add([calls, drops, stack]), (total, calls, drops, stack))

prometheus = Prometheus(run_dir, folder)
try:
    def sums(again="0"):
        return tuple(prometheus.value('sum(weft_flow_%s_total{again="%s"})' % (what, again)) for what in ("ended", "packets", "bytes"))

    ok("Prometheus: the same flows, packets and bytes", wait_for(lambda: sums() == total), (sums(), total))
    ok("Prometheus: the exporter handed all on, lost none, and nothing waits",
       wait_for(lambda: prometheus.value('weft_exporter_records_total{exporter="%s"}' % to) == 2 * CONNECTIONS + DROPS + own
                and prometheus.value('sum(weft_exporter_lost_records_total{exporter="%s"})' % to) == 0
                and prometheus.value('weft_exporter_waiting_records{exporter="%s"}' % to) == 0),
       {k: v for k, v in metrics().items() if k.startswith("weft_exporter")})
finally:
    prometheus.end()


def stop(pid, log):
    wait_for(lambda: not [x for x in open("/proc/net/udp") if x.split()[1].endswith((":%04X" % int(port), ":%04X" % (int(port) + 1))) and not x.split()[4].endswith(":00000000")])
    os.kill(pid, signal.SIGTERM)
    return wait_for(lambda: "Terminating" in open(log).read() and open(log).read())


def nfdump(where, *more):
    p = subprocess.run(["nfdump", "-R", where, "-q", "-N", "-6", "-o", "fmt:%pkt %byt %opkt %obyt %pr %dp %sp", *more], capture_output=True, text=True)
    return [[int(v) for v in x.split()] for x in p.stdout.splitlines() if len(x.split()) == 7]


wait_for(lambda: exporter(biflow.to, "records_total") == CONNECTIONS + DROPS + own)
biflow.end()
said, said_both = stop(nfcapd_pid, folder + "/nfcapd.log"), stop(both.pid, folder + "/both.log")
both.wait()
rows = nfdump(folder + "/nf")
ways = [r for r in rows if r[4] == 6]
ok("nfdump: each way of each connection, and the same packets and bytes in all", len(ways) == 2 * CONNECTIONS + own and len(rows) == 2 * CONNECTIONS + DROPS + own and
   (sum(r[0] for r in rows), sum(r[1] for r in rows)) == total[1:], (len(ways), len(rows), sum(r[0] for r in rows), sum(r[1] for r in rows), total, said))
rows = nfdump(folder + "/both")
ok("nfdump, with both ways in one record (RFC 5103) and names: the same flows, packets and bytes",
   (len(rows), sum(r[0] + r[2] for r in rows), sum(r[1] + r[3] for r in rows)) == total, (len(rows), rows[:3], total, said_both))
ok("the collectors miss no sequence number", all("Sequence Errors: 0" in s or "sequence failures: 0" in s.lower() for s in (said, said_both)), (said, said_both))
finish()
