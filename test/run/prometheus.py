# SPDX-License-Identifier: Apache-2.0
"""A Prometheus of a test's own, which scrapes the hub over TLS with the certificate of kubeconfig."""
import base64
import json
import re
import socket
import subprocess
import urllib.parse
import urllib.request

CONFIG = """global: {scrape_interval: 1s}
scrape_configs:
- job_name: weft
  scheme: https
  tls_config: {ca_file: %s/ca.pem, cert_file: %s/cert.pem, key_file: %s/key.pem}
  static_configs: [{targets: ["%s"]}]
"""


class Prometheus:
    def __init__(self, run_dir, folder):
        config = open(run_dir + "/kubeconfig").read()
        for key, file in (("certificate-authority-data", "ca"), ("client-certificate-data", "cert"), ("client-key-data", "key")):
            data = re.search(key + r":\s*(\S+)", config).group(1).strip('"')
            open("%s/%s.pem" % (folder, file), "wb").write(base64.b64decode(data))
        server = re.search(r"server:\s*\"?https://([^\s\"]+)", config).group(1)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        open(folder + "/prometheus.yml", "w").write(CONFIG % (folder, folder, folder, server))
        self.log = folder + "/prometheus.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["prometheus", "--config.file=%s/prometheus.yml" % folder, "--storage.tsdb.path=%s/tsdb" % folder,
                                             "--web.listen-address=127.0.0.1:%d" % self.port], stdout=log, stderr=log)

    def query(self, expr):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/api/v1/query?" % self.port + urllib.parse.urlencode({"query": expr}), timeout=5) as r:
                return json.load(r)["data"]["result"]
        except (OSError, ValueError, KeyError) as e:
            return [] if not hasattr(e, "read") else [{"error": e.read()}]

    def value(self, expr):
        r = self.query(expr)
        return float(r[0]["value"][1]) if r and "value" in r[0] else None

    def end(self):
        self.process.terminate()
        self.process.wait()
