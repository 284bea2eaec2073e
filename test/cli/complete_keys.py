# SPDX-License-Identifier: Apache-2.0
# Types into a real interactive shell on a pseudo-terminal: complete_keys.py bash|zsh|fish PREFIX 'weft get po'… . After
# each text a Tab is pressed; then the line is turned into an echo of itself into a file, which says what the shell made of
# it; quotes that are open are closed before. PREFIX is where Weft was installed. Prints one line a text.
import os, pty, select, sys, tempfile, time

shell, prefix, texts = sys.argv[1], sys.argv[2], sys.argv[3:]
home = tempfile.mkdtemp()
share = prefix + "/share"
commands = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--private", "-C", "function fish_prompt; echo 'ready> '; end; set -g fish_autosuggestion_enabled 0"],
}
# As the packages of the shells would find them.
loads = {
    "bash": f"PS1='ready> '; source {share}/bash-completion/completions/weft\r",
    "zsh": f"PS1='ready> '; fpath=({share}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -d {home}/dump\r",
    "fish": f"set -p fish_complete_path {share}/fish/vendor_completions.d\r",
}
environment = {"HOME": home, "TERM": "dumb" if shell != "fish" else "xterm", "PATH": prefix + "/bin:" + os.environ["PATH"], "LC_ALL": "C.UTF-8",
               "XDG_CONFIG_HOME": home + "/config", "XDG_DATA_HOME": home + "/data", "HISTFILE": ""}
pid, fd = pty.fork()
if not pid:
    os.chdir(home)
    os.execvpe(commands[shell][0], commands[shell], environment)
seen = b""


def wait(done, what):
    global seen
    end = time.monotonic() + 60
    while not done():
        if time.monotonic() > end:
            sys.exit(f"{shell}: no {what}: {seen[-400:]!r}")
        if select.select([fd], [], [], 0.05)[0]:
            seen += os.read(fd, 4096)


def send(text):
    os.write(fd, text.encode())


mark = f"{home}/loaded"
if shell == "fish":
    wait(lambda: b"ready> " in seen, "prompt")
send(loads[shell] + f"echo yes >{mark}\r")
wait(lambda: os.path.exists(mark) and os.path.getsize(mark), "shell")
for i, text in enumerate(texts):
    out = f"{home}/{i}"
    seen = b""
    # zsh and fish end the quotes behind the only word that fits
    quote = next((q for q in "'\"" if text.count(q) % 2), "") if shell == "bash" else ""
    send(text + "\t" + quote + "\x01echo \x05 >" + out + "\r")
    wait(lambda: os.path.exists(out) and os.path.getsize(out), f"answer to {text!r}")
    print(" ".join(open(out).read().split()))
send("\x15exit\r")
os.close(fd)
os.waitpid(pid, 0)
import shutil
shutil.rmtree(home, ignore_errors=True)
