#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small runtime of the hub's tests, a mock of the sandbox: it speaks the frames of src/serve/stream.h on a Unix
socket. exec and attach run real programs on this machine (with a real terminal where one is asked for), logs come
from files DIR/POD.CONTAINER[.previous], forward connects to this machine's loopback. With one file name DIR/say each
request is appended to it."""
import fcntl, json, os, pty, select, signal, socket, struct, subprocess, sys, termios, threading, time

IN, OUT, ERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
path, folder = sys.argv[1], sys.argv[2]


class Peer:
    def __init__(self, s):
        self.s, self.lock = s, threading.Lock()
        self.f = s.makefile("rb")

    def line(self, o):
        self.s.sendall(json.dumps(o).encode() + b"\n")

    def send(self, channel, data):
        with self.lock:
            for i in range(0, len(data), 32768):
                part = data[i : i + 32768]
                self.s.sendall(struct.pack(">BBH", channel, 0, len(part)) + part)

    def recv(self):
        head = self.f.read(4)
        if len(head) < 4:
            return None, b""
        channel, _, n = struct.unpack(">BBH", head)
        return channel, self.f.read(n)


def status(code):
    if not code:
        return {"metadata": {}, "status": "Success"}
    return {"metadata": {}, "status": "Failure", "message": "command terminated with non-zero exit code: exit status %d" % code,
            "reason": "NonZeroExitCode", "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}


def pump(p, fd, channel):
    while True:
        try:
            data = os.read(fd, 32768)
        except OSError:
            data = b""
        if not data:
            return
        try:
            p.send(channel, data)
        except OSError:
            return


def run(p, rq):
    command = rq.get("command") or ["cat"]
    try:
        if rq["tty"]:
            master, slave = pty.openpty()
            child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                     preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            os.close(slave)
            ins, outs = master, [(master, OUT)]
        else:
            child = subprocess.Popen(command, stdin=subprocess.PIPE if rq["stdin"] else subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
            ins = child.stdin.fileno() if rq["stdin"] else -1
            outs = [(child.stdout.fileno(), OUT), (child.stderr.fileno(), ERR)]
    except OSError as e:
        p.line({"code": 500, "reason": "InternalError", "message": "%s: %s" % (command[0], e.strerror)})
        return
    p.line({})
    threads = [threading.Thread(target=pump, args=(p, fd, c)) for fd, c in outs]
    for t in threads:
        t.start()

    def take():
        while True:
            channel, data = p.recv()
            try:
                if channel == IN and ins >= 0:
                    while data:
                        data = data[os.write(ins, data) :]
                elif channel == CLOSE and child.stdin:
                    child.stdin.close()
                elif channel == RESIZE and rq["tty"]:
                    size = json.loads(data)
                    fcntl.ioctl(ins, termios.TIOCSWINSZ, struct.pack("HHHH", size["Height"], size["Width"], 0, 0))
                    os.killpg(child.pid, signal.SIGWINCH)
                elif channel is None:
                    os.killpg(child.pid, signal.SIGHUP)
                    return
            except (OSError, ValueError):
                if channel is None:
                    return

    threading.Thread(target=take, daemon=True).start()
    code = child.wait()
    for t in threads:
        t.join()
    p.send(STATUS, json.dumps(status(code if code >= 0 else 128 - code)).encode())
    p.s.shutdown(socket.SHUT_RDWR)


def logs(p, rq):
    name = os.path.join(folder, "%s.%s" % (rq["pod"], rq["container"]) + (".previous" if rq["previous"] else ""))
    if not os.path.exists(name):
        p.line({"code": 400, "reason": "BadRequest", "message": "previous terminated container \"%s\" in pod \"%s\" not found"
                % (rq["container"], rq["pod"])})
        return
    p.line({})
    with open(name, "rb") as f:
        lines = f.readlines()
        if rq["tail"] >= 0:
            lines = lines[len(lines) - rq["tail"] :] if rq["tail"] else []
        text = b"".join(lines)
        p.send(OUT, text if rq["limit"] < 0 else text[: rq["limit"]])
        while rq["follow"] and os.path.exists(name):
            text = f.read()
            if text:
                p.send(OUT, text)
            if select.select([p.s], [], [], 0.05)[0]:
                return


def forward(p, rq):
    s = socket.socket()
    try:
        s.connect(("127.0.0.1", rq["port"]))
    except OSError as e:
        p.line({"code": 500, "reason": "InternalError", "message": "connect to port %d: %s" % (rq["port"], e.strerror.lower())})
        return
    p.line({})

    def back():
        pump(p, s.fileno(), OUT)
        try:
            p.send(CLOSE, bytes([OUT]))
        except OSError:
            pass

    t = threading.Thread(target=back)
    t.start()
    ended = False
    while not ended:
        channel, data = p.recv()
        try:
            if channel == IN:
                s.sendall(data)
            elif channel == CLOSE:
                s.shutdown(socket.SHUT_WR)
                ended = True
            else:
                s.shutdown(socket.SHUT_RDWR)
                ended = True
        except OSError:
            ended = True
    t.join()
    s.close()


def serve(s):
    p = Peer(s)
    try:
        rq = json.loads(p.f.readline())
        with open(os.path.join(folder, "say"), "a") as f:
            f.write(json.dumps(rq) + "\n")
        if rq["pod"] == "mute":
            time.sleep(60)
        if rq["pod"] == "garbage":
            s.sendall(b"{}\n\x01\x01\xff\xff" + b"x" * 100)
        elif rq["pod"] == "words":
            s.sendall(b"hello, who is there?\n")
        elif rq["pod"] == "endless":
            for _ in range(64):
                s.sendall(b"x" * 65536)
        elif rq["pod"] == "gone":
            pass
        elif rq["pod"] == "silent":
            p.line({})
        else:
            {"exec": run, "attach": run, "logs": logs, "forward": forward}[rq["do"]](p, rq)
    except (OSError, ValueError, KeyError):
        pass
    finally:
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()


signal.signal(signal.SIGCHLD, signal.SIG_DFL)
listener = socket.socket(socket.AF_UNIX)
if os.path.exists(path):
    os.unlink(path)
listener.bind(path)
os.chmod(path, 0o666)
listener.listen(512)
while True:
    s, _ = listener.accept()
    threading.Thread(target=serve, args=(s,), daemon=True).start()
