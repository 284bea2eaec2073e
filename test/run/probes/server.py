# SPDX-License-Identifier: Apache-2.0
"""What probes.sh has its probes ask on the outside host. GET /f/NAME does what the first line of the file NAME says:
   a status, "302 URL", "hang", "close", "flap" (each third answer is 503), or a name of RAW. Logs every request, and how many bytes came
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
OK = b"HTTP/1.1 200 OK\r\n"
RAW = {  # answers byte by byte; those of KEPT leave the connection open
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n4;x=y\r\nbody\r\n1a\r\n" + b"." * 26 + b"\r\n0\r\nTrailer: t\r\n\r\n",
    "early": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
    "endless": OK + b"\r\n" + b"x" * 20000,
    "fat": OK + b"X-Fat: " + b"y" * 9000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "bare": b"HTTP/1.0 200\n\nuntil it ends",
    "empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    "noise": b"220 mail.example.com ESMTP\r\n",
    "mute": b"220 mail",
    "short": OK + b"Content-Length: 100\r\n\r\nnot a hundred",
    "cut": OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbo",
    "badchunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "stall": OK + b"Content-Length: 100\r\n\r\nand then nothing",
}
KEPT = {"chunked", "early", "endless", "fat", "empty", "noise", "badchunk", "stall"}
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
        if word[0] in RAW:
            for i in range(0, len(RAW[word[0]]), 700):
                self.wfile.write(RAW[word[0]][i:i + 700])
            if word[0] in KEPT:
                time.sleep(4)
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
