# SPDX-License-Identifier: Apache-2.0
# Called by metrics.sh: WEFT NAME CHECKS-SO-FAR FOLDER. A Prometheus of its own scrapes the hub over TLS.
import json, os, re, signal, socket, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from pod_calls import weft_run, finish, folder, make_socket, name, ok, wait_for, weft  # noqa: E402
from prometheus import Prometheus  # noqa: E402

run_dir = "/run/weft/" + name


def run(*args):
    return weft_run(*args).stdout


def scrape(sock):
    return subprocess.run(["curl", "-s", "--unix-socket", run_dir + "/" + sock, "http://x/metrics"], capture_output=True, text=True).stdout


def lint(text):
    p = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    return p.returncode == 0 and not p.stdout and not p.stderr, p.stdout + p.stderr


def drops():
    return sum(d["packets"] for d in json.loads(run("drops", "-o", "json")))


# something to count
ip = {p: json.loads(run("get", "pod", p, "-o", "json"))["status"]["podIP"] for p in ("web", "shut")}
out = make_socket("caller", socket.AF_INET, socket.SOCK_DGRAM)
for i in range(300):
    out.sendto(b"x", (ip["shut"], 9))
call = make_socket("caller", socket.AF_INET, socket.SOCK_STREAM)
call.connect((ip["web"], 80))
ok("traffic: 300 datagrams were refused", wait_for(lambda: drops() >= 300), drops())

text = wait_for(lambda: (lambda t: t if 'weft_drop_packets_total{node="node-1",reason="policy-ingress",direction="to-pod",namespace="default",pod="shut"} 300\n' in t else "")(scrape("hub.sock")))
ok("the hub's /metrics has the drops by node, reason and pod", text, scrape("hub.sock"))
good, said = lint(text)
ok("promtool finds nothing in the hub's", good, said)
good, said = lint(scrape("node-1/observer.sock"))
ok("promtool finds nothing in a node's", good, said)
# each node tells in its own time
text = wait_for(lambda: (lambda t: t if t.count("weft_node_kernel_readable{node=") == 2 else "")(scrape("hub.sock"))) or scrape("hub.sock")
ok("each family stands once, with both nodes", all(text.count("# TYPE %s " % f) == 1 for f in set(re.findall(r"# TYPE (\S+)", text))) and text.count("weft_node_kernel_readable{node=") == 2, text)
p = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", run_dir + "/hub.sock", "-X", "POST", "--data-binary", '# TYPE weft_pods gauge\nweft_pods{node="node-2"} 9\n', "http://x/apis/weft.network/internal/metrics/node-1"], capture_output=True, text=True)
ok("a node cannot speak of another one", p.stdout == "400", p.stdout)

# Prometheus itself
prometheus = Prometheus(run_dir, folder)
query, value = prometheus.query, prometheus.value

try:
    ok("Prometheus scrapes the hub over TLS, with the client certificate of kubeconfig", wait_for(lambda: value('up{job="weft"}') == 1), open(prometheus.log).read())
    panels = json.load(open("deploy/grafana/weft.json"))["panels"]
    exprs = [t["expr"].replace("$__rate_interval", "1m").replace("$node", ".*") for p in panels for t in p["targets"]]

    def unanswered():
        return [e for e in exprs if not query(e) or "error" in query(e)[0]]

    ok("all %d queries of deploy/grafana/weft.json have an answer" % len(exprs), len(exprs) > 12 and wait_for(lambda: not unanswered()), unanswered())
    ok("the total of drops is that of weft drops", wait_for(lambda: value("sum(weft_drop_packets_total)") == drops()), (value("sum(weft_drop_packets_total)"), drops()))
    ok("and of what the hooks dropped", wait_for(lambda: value("sum(weft_drop_packets_total)") == value("sum(weft_hook_dropped_packets_total)")))
    ok("the open connection is there", wait_for(lambda: (value('sum(weft_connections{state="answered"})') or 0) >= 1))

    # a node that is away
    pid = next(int(p) for p in os.listdir("/proc") if p.isdigit() and os.path.exists("/proc/%s/comm" % p) and open("/proc/%s/comm" % p).read() == "weft-observer\n" and {name, "node-2"} <= set(open("/proc/%s/cmdline" % p).read().split("\0")))
    os.kill(pid, signal.SIGSTOP)
    away = wait_for(lambda: value('weft_node_up{node="node-2"}') == 0 and query('weft_pods{node="node-2"}') == [] and value('weft_node_up{node="node-1"}') == 1, 40)
    os.kill(pid, signal.SIGCONT)
    ok("BR20 a node that says nothing is down, and has no numbers: none is shown as 0", away)
    ok("and is back", wait_for(lambda: value('weft_node_up{node="node-2"}') == 1 and value('weft_pods{node="node-2"}') >= 1))
finally:
    prometheus.end()
finish()
