# SPDX-License-Identifier: Apache-2.0
"""The checks of test/run/page_ask.sh, from the moment that the cluster is there."""
import glob
import json
import os
import threading
import time
import urllib.parse

from page_calls import Browser
from pod_calls import finish, name, ok, programs, wait_for, weft_run

browser = Browser(name)
CLOSE = {"verb": "put", "kind": "NetworkPolicy", "namespace": "shop", "name": "close", "yaml": """# nobody calls the cart
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: close, namespace: shop}
spec: {podSelector: {matchLabels: {app: cart}}, ingress: []}
"""}
OPEN = {"verb": "delete", "kind": "NetworkPolicy", "namespace": "shop", "name": "nobody"}


def ask(what, question=None, who=None):
    return (who or browser).post("/page/ask/" + what, question or {})


def shell(*args):
    return json.loads(weft_run(*args, "-o", "json").stdout)


def answers_are_those_of_the_shell():
    status, got = ask("why", {"from": "shop/web", "to": "shop/cart", "port": 8080})
    ok("why: allowed, as at a shell", status == 200 and got == shell("why", "--model", "shop/web", "shop/cart:8080") and
       got["allowed"], got)
    status, got = ask("why", {"from": "shop/web", "to": "shop/shut:8080"})
    ok("... refused is an answer, too, with the policy's place", status == 200 and got["allowed"] is False and
       "all.yaml" in json.dumps(got), got)
    status, got = ask("why", {"from": "shop/web", "to": "shop/cart:8080", "copy": True})
    ok("... of copies: which map takes them", status == 200 and got["copied"] and "disk" in json.dumps(got), got)
    status, got = ask("reach")
    ok("reach: the matrix by the model", status == 200 and got == shell("reach", "--model"), got)
    status, got = ask("policies")
    ok("policies", status == 200 and [p["name"] for p in got] == ["nobody"], got)
    status, got = ask("suggest")
    ok("suggest: policies as a list", status == 200 and got["items"] and got["items"][0]["kind"] == "NetworkPolicy", got)
    for what, question in (("account", {}), ("doctor", {}), ("maps", {}), ("probes", {}), ("probes", {"pod": "web", "namespace": "shop"}),
                           ("history", {"since": "5m", "by": "from,to"}), ("top", {"by": "pod"}),
                           ("top", {"filter": "dst.port == 8080 && ns == shop"})):
        status, got = ask(what, question)
        ok("%s %s" % (what, question or ""), status == 200 and isinstance(got, (dict, list)), got)


def changes_are_laid_over():
    status, got = ask("diff", {"changes": [CLOSE]})
    ok("diff: what a policy would refuse, by the line of its text", status == 200 and '"line": 5' in json.dumps(got) and got["pairsChanged"] > 0, got)
    status, two = ask("diff", {"changes": [CLOSE, OPEN]})
    ok("... and what one that goes would allow", status == 200 and two["pairsChanged"] > got["pairsChanged"], two)
    status, got = ask("why", {"from": "shop/web", "to": "shop/cart:8080", "changes": [CLOSE]})
    ok("why with changes: refused by what is not there yet", status == 200 and got["allowed"] is False and "close" in json.dumps(got), got)
    status, got = ask("reach", {"changes": [OPEN]})
    ok("reach with changes", status == 200 and got != shell("reach", "--model"), None)
    status, got = ask("forecast", {"changes": [{"verb": "delete", "kind": "TrafficMap", "name": "all"}]})
    ok("forecast: a map that goes", status == 200 and "tools" in got, got)
    status, got = ask("check", {"changes": [CLOSE]})
    ok("check: remarks about the text", status == 200, got)
    status, got = ask("check", {})
    ok("check: without changes, of the cluster's own files", status == 200 and "unreachable" not in got, got)
    broken = dict(CLOSE, yaml=CLOSE["yaml"].replace("podSelector", "podSelektor"))
    status, got = ask("diff", {"changes": [broken]})
    ok("a text that is none is refused with its line", status == 422 and "podSelektor" in got["message"] and "input:5" in got["message"],
       got)
    ok("... and nothing of it was made", shell("get", "netpol", "-n", "shop")["items"][0]["metadata"]["name"] == "nobody", None)


def refused():
    ok("a question that is none", ask("rm")[0] == 404 and ask("why", {"from": "shop/web"})[0] == 400 and ask("diff")[0] == 400, None)
    status, got = ask("why", {"from": "--help", "to": "shop/web"})
    ok("no word becomes an option", status == 422 and "Options" not in json.dumps(got), got)
    status, got = ask("top", {"by": "pod --name other"})
    ok("... nor two of them", status == 422, got)
    ok("a word with a NUL, or a thing in place of a word", ask("why", {"from": "shop/web\0x", "to": "shop/cart"})[0] == 400 and
       ask("why", {"from": {"a": 1}, "to": "shop/cart"})[0] == 400, None)
    status, got = ask("why", {"from": "shop/nothing", "to": "shop/cart:8080"})
    ok("a name that nobody has is told", status == 422 and "nothing" in got["message"], got)


def who_sees_a_namespace_hears_of_it_alone():
    clerk = Browser(name, json.loads(weft_run("ui", "--user", "clerk", "-o", "json").stdout)["url"])
    status, got = ask("why", {"from": "shop/web", "to": "shop/cart:8080"}, clerk)
    ok("who sees a namespace may ask why in it (BR86)", status == 200 and got["allowed"], got)
    hidden = [ask("why", {"from": "office/ledger", "to": "shop/cart:8080"}, clerk), ask("reach", {}, clerk), ask("suggest", {}, clerk),
              ask("diff", {"changes": [CLOSE]}, clerk), ask("why", {"from": "shop/web", "to": "shop/cart:8080", "changes": [CLOSE]}, clerk)]
    ok("... and nothing whose answer names another (BR86)", all(s == 403 and "ledger" not in json.dumps(g) for s, g in hidden), hidden)
    stream = clerk.stream("kinds=pods,namespaces,nodes&graph=1")
    ok("... nor hears of another on the stream (BR86)", stream.until(lambda s: s.synced) and "shop/web" in stream.objects["pods"] and
       set(stream.objects["namespaces"]) == {"shop"} and not any("office" in k or "ledger" in k for k in stream.objects["pods"]) and
       stream.objects["nodes"], stream.objects)
    stream.close()


def words_are_completed():
    def items(text, who=None, more=""):
        status, _, got = (who or browser).ask("GET", "/page/complete?what=filter&text=" + urllib.parse.quote(text) + more)
        return [i["text"] for i in json.loads(got)["items"]] if status == 200 else status
    ok("a filter is completed: fields", "dst.workload" in items("dst.wor") and "tcp && verdict" in items("tcp && verd"), items("dst.wor"))
    ok("... the words of a value", "verdict == dropped" in items("verdict == dr"), items("verdict == dr"))
    ok("... names of the cluster, by path and by name", items("src.pod == shop/w") == ["src.pod == shop/web"] and
       items("src.pod == led") == ["src.pod == office/ledger"], items("src.pod == shop/w"))
    ok("... values of labels", 'pod.label["app"] == cart' in items('pod.label["app"] == c'), items('pod.label["app"] == c'))
    ok("... in the middle of a text", items("pod == shop/w && tcp", more="&at=13") == ["pod == shop/web && tcp"],
       items("pod == shop/w && tcp", more="&at=13"))
    clerk = Browser(name, json.loads(weft_run("ui", "--user", "clerk", "-o", "json").stdout)["url"])
    ok("... and never with a name that the user may not see (BR86)", items("pod == led", clerk) == [] and items("ns == ", clerk) == [
        "ns == shop"] and "office" not in json.dumps(items("pod == ", clerk)), (items("ns == ", clerk), items("pod == ", clerk)))
    ok("... nor of a text that is too long", items("x" * 5000) == 400, None)


def many_at_once():
    got = []

    def one():
        got.append(ask("reach")[0])
    threads = [threading.Thread(target=one) for _ in range(30)]
    for t in threads:
        t.start()
    most = 0
    while any(t.is_alive() for t in threads):
        most = max(most, children())
        time.sleep(0.01)
    ok("of thirty at once two run, the rest wait or are told to come again",
       most <= 2 and got.count(200) >= 18 and set(got) <= {200, 503}, (most, sorted(got)))
    ok("no child is left", wait_for(lambda: children() == 0, 5), children())


def children():
    """Programs that the hub started and that are not gone."""
    hub = str(programs()["weft-hub", ""])
    n = 0
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="ascii", errors="replace") as f:
                rest = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        n += rest[1] == hub
    return n


def who_leaves_stops_the_question():
    import http.client
    before = children()
    for _ in range(4):
        c = http.client.HTTPConnection(browser.host, browser.port)
        c.request("POST", "/page/ask/account", "{}", {"Cookie": browser.cookie, "Weft-Csrf": browser.me["csrf"],
                                                     "Origin": "http://%s:%d" % (browser.host, browser.port)})
        c.close()
    ok("who does not wait for an answer leaves nothing", wait_for(lambda: children() == 0, 10) and before == 0, children())
    ok("... and others are answered", ask("policies")[0] == 200, None)


answers_are_those_of_the_shell()
changes_are_laid_over()
refused()
who_sees_a_namespace_hears_of_it_alone()
words_are_completed()
many_at_once()
who_leaves_stops_the_question()
finish()
