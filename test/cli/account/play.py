# SPDX-License-Identifier: Apache-2.0
"""A cluster of one node that says what it is told to: play.py FOLDER COMMAND… makes FOLDER/{lock,hub.sock,node-1/…},
answers with FOLDER/../taps.json and FOLDER/../copier.json (not there: weft-copier does not answer), runs the command,
and ends with its status."""
import fcntl, http.server, os, socketserver, subprocess, sys, threading

folder = sys.argv[1]
node = folder + '/node-1'
os.makedirs(node)
lock = open(folder + '/lock', 'w')
fcntl.flock(lock, fcntl.LOCK_EX)
says = {
    '/account': '{"node":"node-1","epoch":1,"sums":[],"reporter":{"epoch":1,"told":0,"waiting":0}}',
    '/taps': open(folder + '/../taps.json').read(),
}
hub = '{"nodes":[{"name":"node-1","epoch":1,"next":0,"missing":0,"lost":0}]}'


def serve(path, answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            n = int(self.headers.get('Content-Length', 0))
            self.rfile.read(n)
            text = answer(self.path)
            self.send_response(200 if text else 404)
            self.send_header('Content-Length', str(len(text or '')))
            self.end_headers()
            self.wfile.write((text or '').encode())

        do_POST = do_GET

        def address_string(self):
            return ''

        def log_message(self, *args):
            pass

    server = socketserver.ThreadingUnixStreamServer(path, Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


serve(folder + '/hub.sock', lambda path: hub)
serve(node + '/observer.sock', says.get)
serve(node + '/agent.sock', says.get)
if os.path.exists(folder + '/../copier.json'):
    copier = open(folder + '/../copier.json').read()
    serve(node + '/copier.sock', lambda path: copier if path == '/account' else None)
sys.exit(subprocess.run(sys.argv[2:]).returncode)
