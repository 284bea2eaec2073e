# SPDX-License-Identifier: Apache-2.0
# Called by alerts.sh: WEFT NAME CHECKS-SO-FAR FOLDER.
import base64, glob, json, os, shutil, signal, socket, subprocess, sys, urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from pod_calls import weft_run, finish, folder, make_socket, name, ok, programs, wait_for  # noqa: E402

run_dir = "/run/weft/" + name
here = os.path.dirname(os.path.abspath(__file__))
children = []


def api(path, data=None, method=None):
    cmd = ["curl", "-s", "-m", "20", "--unix-socket", run_dir + "/hub.sock", "http://x" + path]
    if data is not None:
        cmd += ["-X", method or "POST", "-H", "Content-Type: application/json", "--data-binary", json.dumps(data)]
    elif method:
        cmd += ["-X", method]
    out = subprocess.run(cmd, capture_output=True, text=True).stdout
    try:
        return json.loads(out)
    except ValueError:
        return out


def status(alert):
    o = api("/apis/weft.network/v1alpha1/alerts/" + alert)
    return o.get("status", {}) if isinstance(o, dict) else {}


def state(alert, want):
    return lambda: status(alert).get("state") == want


def start(*cmd):
    p = subprocess.Popen(cmd, stdout=subprocess.DEVNULL, stderr=open(folder + "/children", "a"))
    children.append(p)
    return p


def receiver(word, *more):
    """A receiver and its address; what it got is in FOLDER/word."""
    start(sys.executable, here + "/receiver.py", "%s/%s.port" % (folder, word), "%s/%s" % (folder, word), *more)
    if not wait_for(lambda: os.path.exists("%s/%s.port" % (folder, word))):
        sys.exit("no receiver")
    return "127.0.0.1:" + open("%s/%s.port" % (folder, word)).read()


def got(word, alert=None, what=None, path=None):
    """The single alerts of all posts."""
    try:
        posts = [json.loads(l) for l in open("%s/%s" % (folder, word))]
    except FileNotFoundError:
        return []
    return [(p, a) for p in posts for a in p["body"]["alerts"]
            if (not alert or a["labels"]["alertname"] == alert) and (not what or a["status"] == what) and (not path or p["path"].startswith(path))]


def alert(alert_name, receivers=(), **spec):
    return {"apiVersion": "weft.network/v1alpha1", "kind": "Alert", "metadata": {"name": alert_name}, "spec": {**spec, "receivers": list(receivers)}}


def put(o):
    a = api("/apis/weft.network/v1alpha1/alerts", o)
    return a.get("kind") == "Alert" or a


def secret(secret_name, **data):
    return api("/api/v1/namespaces/default/secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret_name}, "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}}).get("kind") == "Secret"


def key(secret_name, k):
    return {"namespace": "default", "name": secret_name, "key": k}


def logs():
    return "".join(open(os.path.join(d, f), errors="replace").read() for d, _, fs in os.walk(run_dir) for f in fs if f.endswith(".log"))


out = make_socket("caller", socket.AF_INET, socket.SOCK_DGRAM)
ip = {p: json.loads(weft_run("get", "pod", p, "-o", "json").stdout)["status"]["podIP"] for p in ("web", "shut")}
ip["service"] = json.loads(weft_run("get", "service", "web", "-o", "json").stdout)["spec"]["clusterIP"]


def refused(n):
    for _ in range(n):
        out.sendto(b"x", (ip["shut"], 9))


def call(n):
    for _ in range(n):
        c = make_socket("caller", socket.AF_INET, socket.SOCK_STREAM)
        c.settimeout(5)
        c.connect((ip["service"], 80))
        c.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
        while c.recv(65536):
            pass
        c.close()


def counter_number(wanted):
    with open("tables/counters.def", encoding="ascii") as f:
        names = [line.split("(")[1].split(",")[0] for line in f if line.startswith("COUNTER(")]
    return list(names.index(wanted).to_bytes(4, "little"))


def counter(node, number, values=None):
    """The values of a kernel counter of a node, by CPU; with values: they are set."""
    pin = glob.glob("%s/bpf/%s/*/counter" % (run_dir, node))[0]
    words = ["bpftool", "-j", "map", "lookup", "pinned", pin, "key", *map(str, number)]
    if values is not None:
        # bpftool gives each CPU the same value
        words[3:4] = ["update"]
        words += ["value", *map(str, values.to_bytes(8, "little"))]
        subprocess.run(words, check=True, capture_output=True)
        return None
    out = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return [int.from_bytes(bytes(int(x, 16) for x in cpu["value"]), "little") for cpu in out["values"]]


def watches(to):
    """SumsDiffer and RecordsLost: what the nodes say of themselves."""
    if not shutil.which("bpftool"):
        print("# no bpftool here: no counter can be falsified")
        return
    # --- an observer that stands still while more is dropped than its ring holds
    made = put(alert("lost", [to], watch="RecordsLost", above="0", window="8s"))
    ok("an Alert of lost records", made is True, made)
    ok("BR24 it is inactive: nothing was lost", wait_for(state("lost", "inactive")) and not got("plain", "lost"))
    pid = programs()["weft-observer", "node-1"]
    number = counter_number("EVENTS_LOST")
    before = sum(counter("node-1", number))
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: refused(20000) or sum(counter("node-1", number)) > before, 60)
    finally:
        os.kill(pid, signal.SIGCONT)
    lost = sum(counter("node-1", number)) - before
    ok("drops found no room in the ring: %d" % lost, lost > 0)
    ok("BR24 records that were lost fire, by node", wait_for(lambda: got("plain", "lost", "firing"), 60) and
       got("plain", "lost")[0][1]["labels"] == {"alertname": "lost", "node": "node-1"}, status("lost"))
    told = got("plain", "lost", "firing")[0][1]["annotations"]["value"] if got("plain", "lost", "firing") else "0"
    ok("with a number: %s" % told, told != "0")
    ok("and are over when none was lost for a window", wait_for(lambda: got("plain", "lost", "resolved"), 60), status("lost"))
    ok("the other node lost none", all(a["labels"]["node"] == "node-1" for _, a in got("plain", "lost")), got("plain", "lost"))

    # --- a counter that says what was not
    made = put(alert("sums", [to], watch="SumsDiffer"))
    ok("an Alert of sums", made is True, made)
    ok("BR16 it is inactive: they match", wait_for(state("sums", "inactive")) and not got("plain", "sums"))
    number = counter_number("TUNNEL_TO_UPLINK")
    ok("a counter of what does not happen here is 0", not any(counter("node-2", number)))
    counter("node-2", number, 1000)
    ok("BR16 a sum that does not match fires, by node", wait_for(lambda: got("plain", "sums", "firing"), 60) and
       got("plain", "sums")[0][1]["labels"] == {"alertname": "sums", "node": "node-2"}, (status("sums"), weft_run("account").stdout))
    ok("weft account says the same", weft_run("account", "--node", "node-2").returncode == 1)
    counter("node-2", number, 0)
    ok("and it is over when the counter is true again", wait_for(lambda: got("plain", "sums", "resolved"), 60), status("sums"))


def play():
    plain = receiver("plain")
    bad = receiver("bad")
    # https by an authority of its own
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True, check=True)
    tls = receiver("tls", folder + "/cert.pem", folder + "/key.pem")
    ok("a Secret with address, token and authority", secret("pager", url="https://%s/ok/hidden-path-5417\n" % tls, token="hidden-token-9182", ca=open(folder + "/cert.pem").read()))

    # --- drops of a reason
    to = {"name": "plain", "url": "http://%s/ok" % plain}
    hidden = {"name": "hidden", "urlFrom": key("pager", "url"), "tokenFrom": key("pager", "token"), "caFrom": key("pager", "ca")}
    made = put(alert("drops", [to, hidden], filter="reason == policy-ingress", measure="packets", above="20", window="15s", by=["src.pod", "reason"],
                     labels={"severity": "page"}, annotations={"summary": "somebody knocks"}))
    ok("an Alert is made", made is True, made)
    ok("it is inactive at first", wait_for(state("drops", "inactive")))
    refused(15)
    ok("drops below the threshold are seen", wait_for(lambda: int(status("drops").get("value", 0)) >= 15), status("drops"))
    ok("and do not fire", status("drops").get("state") == "inactive" and not got("plain"))
    refused(60)
    ok("drops of a reason fire", wait_for(state("drops", "firing")), status("drops"))
    ok("the receiver is told", wait_for(lambda: got("plain", "drops", "firing")), status("drops"))
    post, one = got("plain", "drops", "firing")[0]
    body = post["body"]
    ok("in Alertmanager's shape", body["version"] == "4" and body["status"] == "firing" and body["receiver"] == "plain" and body["truncatedAlerts"] == 0 and body["groupLabels"] == {"alertname": "drops"}
       and body["commonLabels"] == {"alertname": "drops", "severity": "page"} and body["commonAnnotations"] == {"summary": "somebody knocks"} and body["groupKey"] and post["type"] == "application/json", post)
    ok("with the group's labels", one["labels"] == {"alertname": "drops", "src_pod": "default/caller", "reason": "policy-ingress", "severity": "page"} and one["annotations"]["summary"] == "somebody knocks"
       and int(one["annotations"]["value"]) > 20 and one["startsAt"] and one["endsAt"].startswith("0001-") and len(one["fingerprint"]) == 16, one)
    ok("over https with the Secret's authority and token", wait_for(lambda: got("tls", "drops", "firing")) and got("tls")[0][0]["authorization"] == "Bearer hidden-token-9182" and got("tls")[0][0]["path"] == "/ok/hidden-path-5417",
       status("drops"))
    shown = weft_run("get", "alerts").stdout
    ok("weft get alerts shows it", "drops" in shown and "firing" in shown, shown)
    events = subprocess.run(["kubectl", "--kubeconfig", run_dir + "/kubeconfig", "get", "events"], capture_output=True, text=True).stdout
    ok("kubectl get events has it", "AlertFiring" in events and "alert/drops" in events, events)
    told = subprocess.run(["kubectl", "--kubeconfig", run_dir + "/kubeconfig", "describe", "alert", "drops"], capture_output=True, text=True).stdout
    ok("kubectl describe too", "AlertFiring" in told and "Starts At" in told, told)
    metrics = api("/metrics")
    ok("/metrics has it", 'weft_alerts{alertname="drops",alertstate="firing",src_pod="default/caller",reason="policy-ingress",severity="page"} 1' in metrics, [l for l in metrics.split("\n") if "alert" in l])
    ok("promtool finds nothing", not shutil.which("promtool") or subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True).stdout == "")
    ok("the log has it", 'alert {alertname="drops",src_pod="default/caller",reason="policy-ingress",severity="page"} fires' in logs())

    # --- kill -9 while it fires: it goes on, and nobody is told twice
    refused(200)
    ok("both receivers' words are kept", wait_for(lambda: all(g.get("told") == {"plain": "firing", "hidden": "firing"} for g in status("drops").get("groups", [{}]))))
    since = status("drops")["since"]
    pid = int(subprocess.run(["pgrep", "-f", "weft-hub --name %s " % name], capture_output=True, text=True).stdout.split()[0])
    os.kill(pid, signal.SIGKILL)
    ok("after kill -9 of the hub it still fires, since then", wait_for(lambda: status("drops").get("state") == "firing") and status("drops")["since"] == since, status("drops"))
    ok("and is over when its window has been heard", wait_for(lambda: got("plain", "drops", "resolved"), 60), status("drops"))
    starts = [a["startsAt"] for _, a in got("plain", "drops", "firing")]
    ok("told once that it fired", starts == [one["startsAt"]], starts)
    last = got("plain", "drops", "resolved")[0][1]
    ok("and when it was over", last["startsAt"] == one["startsAt"] and last["endsAt"] > last["startsAt"] and last["fingerprint"] == one["fingerprint"], last)
    ok("its state says so", wait_for(state("drops", "inactive")) and status("drops")["groups"][0]["state"] == "resolved", status("drops"))
    events = subprocess.run(["kubectl", "--kubeconfig", run_dir + "/kubeconfig", "get", "events"], capture_output=True, text=True).stdout
    ok("the event too", "AlertResolved" in events, events)
    ok("a Secret that only the API knew is gone with the hub, and that is said", wait_for(lambda: "Secret default/pager is not there" in str(status("drops").get("receivers"))), status("drops").get("receivers"))
    ok("it is made again", secret("pager", url="https://%s/ok/hidden-path-5417\n" % tls, token="hidden-token-9182", ca=open(folder + "/cert.pem").read()))
    ok("what waited comes", wait_for(lambda: got("tls", "drops", "resolved"), 60), status("drops"))

    # --- a slow Service: what is quick here need not be below 20 ms on a machine that is busy, but is below 400 ms
    for word, above in (("slow", "20ms"), ("crawls", "400ms")):
        made = put(alert(word, [to], filter="service == web && dst.port == 80", measure="duration", statistic="p95", above=above, window="8s", by=["service"], minRecords=3))
        ok("an Alert of a time, " + above, made is True, made)
    call(8)
    ok("a quick Service is measured", wait_for(lambda: status("crawls").get("value", "0s") != "0s" or call(3)), status("crawls"))
    quick = status("crawls")
    ok("and is inactive", quick.get("state") == "inactive", quick)
    weft_run("fault", "default/web", "--slow", "800ms")
    for word in ("slow", "crawls"):
        ok("a slow one fires: " + word, wait_for(lambda: call(4) or status(word).get("state") == "firing", 60), status(word))
        ok("and is told by Service", wait_for(lambda: got("plain", word, "firing")) and got("plain", word)[0][1]["labels"].get("service") == "default/web", got("plain", word))
    ok("with the time", got("plain", "slow") and got("plain", "slow")[0][1]["annotations"]["value"].endswith("s") and got("plain", "slow")[0][1]["annotations"]["threshold"] == "20ms", got("plain", "slow"))
    weft_run("fault", "default/web", "--clear")
    ok("quick again is over", wait_for(lambda: call(4) or got("plain", "crawls", "resolved"), 60), status("crawls"))

    # --- a node that is away
    made = put(alert("away", [to], **{"watch": "NodeUnknown"}))
    ok("an Alert of a state", made is True, made)
    weft_run("fault", "node/node-2", "--down")
    ok("a node that is cut off fires", wait_for(lambda: got("plain", "away", "firing"), 60) and got("plain", "away")[0][1]["labels"] == {"alertname": "away", "node": "node-2"}, status("away"))
    weft_run("fault", "node/node-2", "--clear")
    ok("and is over when it is back", wait_for(lambda: got("plain", "away", "resolved"), 60), status("away"))

    watches(to)

    # --- receivers that are dead, slow, or lie
    free = socket.create_server(("127.0.0.1", 0))
    dead = "127.0.0.1:%d" % free.getsockname()[1]
    free.close()
    words = {"dead": "http://%s/" % dead, "slow": "http://%s/slow" % bad, "drip": "http://%s/drip" % bad, "fail": "http://%s/fail" % bad, "moved": "http://%s/moved" % bad, "lie": "http://%s/lie" % bad,
             "door": "http://%s/door" % bad}
    made = put(alert("hard", [{"name": w, "url": u, "timeoutSeconds": 2} for w, u in words.items()] + [to], filter="reason == policy-ingress", above="0", window="5s"))
    ok("an Alert with eight receivers", made is True, made)
    refused(5)
    ok("the good one is told beside the bad ones", wait_for(lambda: got("plain", "hard", "firing")), status("hard"))

    def failures():
        return {r["name"]: r for r in status("hard").get("receivers", [])}

    ok("each failure is counted and said", wait_for(lambda: all(failures().get(w, {}).get("failed") and failures()[w].get("message") for w in ("dead", "slow", "drip", "fail", "moved", "door"))), failures())
    f = failures()
    ok("in words", "HTTP 500" in f["fail"]["message"] and "redirects are not followed" in f["moved"]["message"] and "imeout" in f["slow"]["message"], f)
    ok("a redirect was not followed", not got("bad", path="/ok"))
    ok("an answer without end is none of our business", wait_for(lambda: failures()["lie"].get("sent")) and not failures()["lie"]["failed"], failures()["lie"])
    ok("the hub answers meanwhile", api("/readyz") == "ok" and weft_run("get", "pods").returncode == 0)
    open(folder + "/bad.open", "w").close()
    ok("what a receiver could not take comes when it can", wait_for(lambda: got("bad", "hard", path="/door"), 60), failures())
    ok("and its failure is gone", wait_for(lambda: not failures()["door"].get("message") and failures()["door"]["failed"]), failures()["door"])
    ok("/metrics counts them", wait_for(lambda: 'weft_alert_notices_total{alertname="hard",receiver="fail",result="failed"} ' in api("/metrics")))

    # --- secrets
    text = logs() + json.dumps(api("/apis/weft.network/v1alpha1/alerts")) + api("/metrics") + json.dumps(api("/api/v1/events"))
    ok("no secret in a log, a status, a metric or an event", "hidden-token" not in text and "hidden-path" not in text and dead not in logs())

    # --- bad input
    bad_one = api("/apis/weft.network/v1alpha1/alerts", alert("bad", filter="tcp && reson == policy-ingress"))
    ok("a bad filter is refused at its column, with a proposal", bad_one.get("code") == 422 and "column 8" in bad_one["message"] and "reason" in bad_one["message"], bad_one)

    # --- Alertmanager itself
    if not shutil.which("prometheus-alertmanager"):
        print("# no prometheus-alertmanager here: not asked")
        return
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with open(folder + "/am.yml", "w") as f:
        f.write("route: {receiver: none}\nreceivers: [{name: none}]\n")
    os.mkdir(folder + "/am")
    start("prometheus-alertmanager", "--config.file=" + folder + "/am.yml", "--storage.path=" + folder + "/am", "--web.listen-address=127.0.0.1:%d" % port, "--cluster.listen-address=")

    def alerts_there(query=""):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/api/v2/alerts?%s" % (port, query), timeout=5) as r:
                return json.load(r)
        except OSError:
            return None

    ok("Alertmanager runs", wait_for(lambda: alerts_there() is not None))
    am = {"name": "am", "url": "http://127.0.0.1:%d/api/v2/alerts" % port, "form": "alertmanager"}
    made = put(alert("managed", [am], filter="reason == policy-ingress", above="0", window="5s", by=["reason"], labels={"severity": "page"}, annotations={"summary": "knocks"}))
    ok("an Alert for it", made is True, made)
    refused(5)
    ok("it has the alert", wait_for(lambda: [a for a in alerts_there() if a["labels"] == {"alertname": "managed", "reason": "policy-ingress", "severity": "page"} and a["status"]["state"] == "active" and a["annotations"]["summary"] == "knocks"]), alerts_there())
    ok("and that it is over", wait_for(lambda: alerts_there() == [], 60), alerts_there())


os.environ["no_proxy"] = "127.0.0.1"
try:
    play()
finally:
    for child in children:
        child.kill()
        child.wait()
finish()
