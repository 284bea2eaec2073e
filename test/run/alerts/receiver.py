# SPDX-License-Identifier: Apache-2.0
# Receivers of alerts: receiver.py PORT_FILE LOG [CERT KEY]. Each post to /ok is written to LOG as one line of JSON; /slow
# never answers, /fail answers 500, /lie says 200 and sends without end, /moved sends elsewhere, /drip gives its answer a
# byte at a time, /door answers 503 until LOG.open exists.
import http.server, json, os, ssl, sys, threading, time

lock = threading.Lock()

class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def note(self, body):
        with lock, open(sys.argv[2], "a") as f:
            f.write(json.dumps({"path": self.path, "authorization": self.headers.get("Authorization"),
                                "type": self.headers.get("Content-Type"), "body": json.loads(body)}) + "\n")

    def answer(self, status, body=b""):
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/ok")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        what = self.path.split("/")[1]
        if what == "ok":
            self.note(body)
            self.answer(200)
        elif what == "door":
            opened = os.path.exists(sys.argv[2] + ".open")
            if opened:
                self.note(body)
            self.answer(200 if opened else 503)
        elif what == "slow":
            self.note(body)
            time.sleep(300)
        elif what == "lie":
            self.note(body)
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                self.close_connection = True
        elif what == "drip":
            self.note(body)
            try:
                for c in b"HTTP/1.1 200 OK\r\n":
                    self.wfile.write(bytes([c]))
                    self.wfile.flush()
                    time.sleep(1)
            except OSError:
                self.close_connection = True
        else:
            self.note(body)
            self.answer({"fail": 500, "moved": 302}.get(what, 404))

    def log_message(self, *a):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
server.daemon_threads = True
if len(sys.argv) > 3:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
with open(sys.argv[1] + ".new", "w") as f:
    f.write(str(server.server_address[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
