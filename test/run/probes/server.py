# SPDX-License-Identifier: Apache-2.0
"""What probes.sh has its probes ask on the outside host. GET /f/NAME does what the first line of the file NAME says:
   a status, "302 URL", "hang", "close", or "flap" (each third answer is 503). Logs every request, and how many bytes came
   to port 8002, which speaks no protocol. Usage: server.py FOLDER (run inside the outside host's namespace)."""
import http.server
import os
import socket
import socketserver
import ssl
import sys
import threading
import time

folder = sys.argv[1]
count = {}
lock = threading.Lock()


def log(text):
    with lock, open(os.path.join(folder, "log"), "a") as f:
        f.write(text + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.split("/")[-1]
        log("%.3f GET %s host=%s agent=%s" % (time.time(), self.path, self.headers.get("Host"),
                                              self.headers.get("User-Agent")))
        try:
            word = open(os.path.join(folder, "f", name)).readline().split()
        except OSError:
            word = ["404"]
        if word[0] == "hang":
            time.sleep(4)
            return
        if word[0] == "close":
            return
        if word[0] == "flap":
            count[name] = count.get(name, 0) + 1
            word = ["503"] if count[name] % 3 == 0 else ["200"]
        self.send_response(int(word[0]))
        if len(word) > 1:
            self.send_header("Location", word[1])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256
    address_family = socket.AF_INET


def count_bytes():
    s = socket.create_server(("0.0.0.0", 8002))
    while True:
        c, _ = s.accept()
        c.settimeout(1)
        try:
            got = len(c.recv(100))
        except OSError:
            got = 0
        log("TCP bytes=%d" % got)
        c.close()


tls = Server(("0.0.0.0", 8001), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
tls.socket = context.wrap_socket(tls.socket, server_side=True)
threading.Thread(target=tls.serve_forever, daemon=True).start()
threading.Thread(target=count_bytes, daemon=True).start()
plain = Server(("0.0.0.0", 8000), Handler)
open(os.path.join(folder, "up"), "w").close()
plain.serve_forever()
