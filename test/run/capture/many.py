#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes Captures until the hub refuses: many.py SOCKET. Says how many it took, what a dry run and one more then get, and what
one gets when another was deleted; then the words of the refusal."""
import http.client
import json
import socket
import sys

PATH = "/apis/weft.network/v1alpha1/captures"


class Hub(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])


hub = Hub("hub", timeout=20)


def ask(method, path, body=None):
    hub.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
    answer = hub.getresponse()
    return answer.status, json.loads(answer.read())


def make(i, dry=""):
    return ask("POST", PATH + dry, {"apiVersion": "weft.network/v1alpha1", "kind": "Capture", "metadata": {"name": f"many-{i}"}, "spec": {"filter": "udp"}})


made = 0
while made < 1000:
    code, said = make(made)
    if code != 201:
        break
    made += 1
dry, _ = make("dry", "?dryRun=All")
ask("DELETE", PATH + "/many-0")
again, _ = make("again")
print(f"{made} made, then {code} {dry} {again}")
print(said.get("reason"), said.get("message"))
