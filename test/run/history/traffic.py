# SPDX-License-Identifier: Apache-2.0
# A server in a pod's namespace on ports 7000 and 7001 that answers as many bytes as it got, and callers that count what
# they do themselves.
import ctypes, os, selectors, socket, sys, time

def enter(path):
    fd = os.open(path, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0):
        sys.exit("setns: %s" % os.strerror(ctypes.get_errno()))

def serve(path, ready):
    enter(path)
    s = selectors.DefaultSelector()
    for port in (7000, 7001):
        s.register(socket.create_server(("", port), backlog=512), selectors.EVENT_READ, True)
    open(ready, "w").close()
    while True:
        for key, _ in s.select():
            if key.data:
                s.register(key.fileobj.accept()[0], selectors.EVENT_READ, False)
                continue
            got = key.fileobj.recv(65536)
            if got:
                key.fileobj.sendall(got)
            else:
                s.unregister(key.fileobj)
                key.fileobj.close()

def talk(c, n):
    c.sendall(b"x" * n)
    while n:
        got = len(c.recv(n))
        if not got:
            sys.exit("the server ended")
        n -= got

def call(path, address, port, count, size):
    enter(path)
    done = sent = 0
    for _ in range(count):
        with socket.create_connection((address, port), 2) as c:
            talk(c, size)
            done += 1
            sent += size
    print(done, sent)

# Talks, waits until `more` is there, talks again and ends.
def long(path, address, port, more, told):
    enter(path)
    with socket.create_connection((address, port), 5) as c:
        talk(c, 5000)
        with open(told, "w") as f:
            f.write("5000")
        until = time.monotonic() + 60
        while not os.path.exists(more):
            if time.monotonic() > until:
                sys.exit("nobody wanted more")
            time.sleep(0.05)
        talk(c, 7000)

a = sys.argv[1:]
if a[0] == "serve":
    serve(a[1], a[2])
elif a[3] == "long":
    long(a[1], a[2], int(a[4]), a[5], a[6])
else:
    call(a[1], a[2], int(a[3]), int(a[4]), int(a[5]))
