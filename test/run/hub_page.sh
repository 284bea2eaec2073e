#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The page's door: links, sessions, rights of a User with one namespace (BR86), what other sites, bad clients and bad requests get.
# Runs in a network namespace of its own, where one more address stands for "elsewhere".
cd "$(dirname "$0")/../.." || exit 1
[ "$(id -u)" = 0 ] || {
	echo "1..0 # SKIP needs root"
	exit 0
}
[ "${1:-}" = inside ] || exec unshare -n "$0" inside
. test/run/hub_lib
ip link set lo up
ip addr add 192.0.2.1/32 dev lo
shop
make_user() { # NAME LEVEL NS
	api POST /apis/weft.network/v1alpha1/users '{"apiVersion":"weft.network/v1alpha1","kind":"User","metadata":{"name":"'"$1"'"}}' >/dev/null
	api POST /apis/weft.network/v1alpha1/roles '{"apiVersion":"weft.network/v1alpha1","kind":"Role","metadata":{"name":"'"$1"'"},
		"spec":{"level":"'"$2"'","namespaces":["'"$3"'"],"users":["'"$1"'"]}}' >/dev/null
}
link() { # [USER]
	api POST /apis/weft.network/internal/login "${1:+{\"user\":\"$1\"\}}" | field 'o["url"]'
}
page() { # USER CURL-ARGUMENTS… PATH: body
	who=$1
	shift
	curl -s -b "$dir/$who" "$@"
}
page_code() {
	who=$1
	shift
	curl -s -o /dev/null -w '%{http_code}' -b "$dir/$who" "$@"
}
enter() { # USER-OR-"" JAR
	url=$(link "$1")
	curl -s -o "$dir/answer" -D "$dir/head" -c "$dir/$2" "$url"
}
csrf() { page "$1" "$base/page/me" | field 'o["csrf"]'; }
ns() { api POST /api/v1/namespaces '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"'"$1"'"}}' >/dev/null; }
map() { # NS NAME
	api POST "/api/v1/namespaces/$1/configmaps" '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"'"$2"'","namespace":"'"$1"'"}}' >/dev/null
}

start --sandbox
node 0 >/dev/null
ns bank
map shop open-to-see
map bank vault
make_user anna view shop
make_user olga operate shop

# Links and sessions
url=$(link)
base=${url%/login/*}
same "a link leads to the page" "$(curl -s -o /dev/null -w '%{http_code} %{redirect_url}' -c "$dir/admin" "$url")" "303 $base/"
same "it is good once" "$(curl -s -o /dev/null -w '%{http_code}' "$url")" 403
has "whoever has it may do everything" "$(page admin "$base/page/me")" '"levels":{"*":"admin"}'
has "the cookie is the page's only" "$(cat "$dir/admin")" "#HttpOnly_127.0.0.1"
enter anna anna
head=$(cat "$dir/head")
has "the cookie goes to no other site" "$head" "SameSite=Strict"
for h in "default-src 'none'" "frame-ancestors 'none'" "X-Frame-Options: DENY" "X-Content-Type-Options: nosniff" "Referrer-Policy: no-referrer" \
	"Cross-Origin-Opener-Policy: same-origin" "Cross-Origin-Resource-Policy: same-origin" "Permissions-Policy"; do
	missing=
	for p in / /login /page/me /nothing /api/v1/pods /assets/../../etc/passwd; do
		curl -s -o /dev/null -D - "$base$p" | grep -q "$h" || missing="$missing $p"
	done
	same "each answer says: $h" "$missing" ""
done
# Session fixation: a word that somebody slipped in never becomes a session.
cookie=$(awk '/weft-session/ {print $6}' "$dir/anna")
port=${cookie##*-}
word=0000000000000000000000000000000000000000000000000000000000000000
set=$(curl -s -o /dev/null -D - -b "$cookie=$word" "$(link anna)" | grep -i '^set-cookie')
hasnt "a session that a browser brings along is not taken over" "$set" "$word"
same "nor is it one" "$(curl -s -o /dev/null -w '%{http_code}' -b "$cookie=$word" "$base/page/me")" 401
mine=$(awk '/weft-session/ {print $7}' "$dir/anna")
same "two cookies of that name are none" "$(curl -s -o /dev/null -w '%{http_code}' -H "Cookie: $cookie=$mine; $cookie=$mine" "$base/page/me")" 401
same "a link for nobody" "$(code POST /apis/weft.network/internal/login '{"user":"nobody"}')" 404

# Other sites
same "another name: DNS rebinding" "$(page_code admin -H 'Host: evil.example' "$base/page/me")" 421
same "a name that only begins right" "$(page_code admin -H "Host: 127.0.0.1.evil.example:$port" "$base/")" 421
t=$(csrf admin)
new='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}'
post() { page_code admin -X POST -H 'Content-Type: application/json' -d "$new" "$@" "$base/api/v1/namespaces/shop/configmaps?dryRun=All"; }
same "a write from another site" "$(post -H 'Origin: http://evil.example' -H "Weft-Csrf: $t")" 403
same "a write from another port" "$(post -H 'Origin: http://127.0.0.1:1' -H "Weft-Csrf: $t")" 403
same "a write that does not say from where" "$(post -H "Weft-Csrf: $t")" 403
same "a write without the session's word" "$(post -H "Origin: $base")" 403
same "a write with another session's" "$(post -H "Origin: $base" -H "Weft-Csrf: $(csrf anna)")" 403
same "a write as a form of another site sends it" "$(post -H 'Origin: null' -H 'Content-Type: text/plain')" 403
same "a write of the page's own" "$(post -H "Origin: $base" -H "Weft-Csrf: $t")" 201
same "a stream for another site" "$(page_code admin -H 'Origin: http://evil.example' "$base/api/v1/configmaps?watch=true")" 403
same "a stream for another site's image" "$(page_code admin -H 'Sec-Fetch-Site: cross-site' "$base/api/v1/configmaps?watch=true")" 403
same "a WebSocket of another site" "$(page_code admin --http1.1 -H 'Origin: http://evil.example' -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
	-H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "$base/api/v1/namespaces/shop/pods/x/exec?command=id")" 403

# Rights (BR86)
hasany() { # DESCRIPTION TEXT: nothing of bank
	case $2 in *bank* | *vault*)
		ok "$1" 1
		echo "# got: $2"
		;;
	*shop* | *open-to-see*) ok "$1" 0 ;;
	*)
		ok "$1" 1
		echo "# nothing of shop either: $2"
		;;
	esac
}
table='Accept: application/json;as=Table;v=v1;g=meta.k8s.io'
hasany "BR86: namespaces" "$(page anna "$base/api/v1/namespaces")"
hasany "BR86: a list" "$(page anna "$base/api/v1/configmaps")"
hasany "BR86: a list in pieces" "$(page anna "$base/api/v1/configmaps?limit=1")"
hasany "BR86: a table" "$(page anna -H "$table" "$base/api/v1/configmaps")"
hasany "BR86: a watch" "$(page anna "$base/api/v1/configmaps?watch=true&timeoutSeconds=1")"
hasany "BR86: pods" "$(page anna "$base/api/v1/pods")"
same "BR86: another namespace" "$(page_code anna "$base/api/v1/namespaces/bank/configmaps")" 403
same "BR86: what is not there, as what is" "$(page_code anna "$base/api/v1/namespaces/nowhere/configmaps")" 403
same "BR86: flows" "$(page_code anna -X POST -H "Origin: $base" -H "Weft-Csrf: $(csrf anna)" -d '{"filter":"dst.ns == bank"}' "$base/page/flows")" 200
same "Users are the administrators'" "$(page_code anna "$base/apis/weft.network/v1alpha1/users")" 403
enter olga olga
o=$(csrf olga)
olga() { page_code olga -H "Origin: $base" -H "Weft-Csrf: $o" -H 'Content-Type: application/json' "$@"; }
same "view does not change" "$(page_code anna -X DELETE -H "Origin: $base" -H "Weft-Csrf: $(csrf anna)" "$base/api/v1/namespaces/shop/configmaps/open-to-see")" 403
same "operate changes its namespace" "$(olga -X POST -d "$new" "$base/api/v1/namespaces/shop/configmaps")" 201
same "and no other" "$(olga -X POST -d "$new" "$base/api/v1/namespaces/bank/configmaps")" 403
same "nor what is in none" "$(olga -X POST -d '{"apiVersion":"weft.network/v1alpha1","kind":"Role","metadata":{"name":"me"},
	"spec":{"level":"admin","namespaces":["*"],"users":["olga"]}}' "$base/apis/weft.network/v1alpha1/roles")" 403
same "what is the machine's own stays its own" "$(page_code admin "$base/apis/weft.network/internal/remarks")" 403
# Rights that are taken away end what goes on.
(page anna -N "$base/api/v1/configmaps?watch=true" >"$dir/watch") &
watching=$!
wait_for grep -q open-to-see "$dir/watch"
api DELETE /apis/weft.network/v1alpha1/roles/anna >/dev/null
wait_for sh -c "! kill -0 $watching 2>/dev/null"
ok "a watch ends with the right to it" $?
map shop later
hasnt "and tells no more" "$(cat "$dir/watch")" later
same "the session goes on without it" "$(page_code anna "$base/api/v1/configmaps")" 403
api DELETE /apis/weft.network/v1alpha1/users/anna >/dev/null
gone() { [ "$(page_code anna "$base/page/me")" = 401 ]; }
wait_for gone
ok "a User that is gone is out" $?
same "log out" "$(page_code olga -X POST -H "Origin: $base" -H "Weft-Csrf: $o" "$base/logout")" 200
same "and out" "$(page_code olga "$base/page/me")" 401

# Bad clients and bad requests
same "a path out of the page" "$(curl -s -o /dev/null -w '%{http_code}' --path-as-is "$base/assets/../../../etc/passwd")" 404
same "the same in other letters" "$(curl -s -o /dev/null -w '%{http_code}' --path-as-is "$base/assets/%2e%2e%2f%2e%2e%2fetc/passwd")" 400
head -c 5000000 /dev/zero >"$dir/large"
same "a body that is too large" "$(page_code admin -X POST -H "Origin: $base" -H "Weft-Csrf: $t" -H 'Expect:' --data-binary "@$dir/large" "$base/page/flows")" 413
python3 - "$port" <<'PY' >"$dir/slow" 2>&1
import socket, sys, time
port = int(sys.argv[1])
slow = []
for _ in range(600):
    s = socket.create_connection(("127.0.0.1", port))
    s.setblocking(False)
    slow.append(s)
    try:
        s.sendall(b"GET /page/me HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    except OSError:
        pass
end = time.monotonic() + 20
closed = 0
while time.monotonic() < end and closed < 500:
    closed = 0
    for s in slow:
        try:
            closed += s.recv(1) == b""
        except BlockingIOError:
            pass
        except OSError:
            closed += 1
    time.sleep(0.2)
print("closed" if closed >= 500 else f"only {closed} closed")
PY
same "clients that drip their requests are ended" "$(cat "$dir/slow")" closed
same "and the others are served" "$(page_code admin "$base/page/me")" 200

# The page's files come from inside the hub.
index=$(curl -s "$base/")
for view in /map /broker /policies/x /objects/pods/shop/web /changes/1; do
	[ "$(curl -s "$base$view")" = "$index" ] || echo "# $view is no view"
done >"$dir/views"
same "each view is the page" "$(cat "$dir/views")" ""
has "the page is there" "$index" "<title>Weft"
asset=$(printf '%s' "$index" | grep -o '/assets/[A-Za-z0-9_.-]*\.js' | head -n 1)
if [ -n "$asset" ]; then
	curl -s -D "$dir/head" -H 'Accept-Encoding: gzip' -o "$dir/packed" "$base$asset"
	has "what has its hash in its name is kept" "$(cat "$dir/head")" "immutable"
	has "and comes packed" "$(cat "$dir/head")" "Content-Encoding: gzip"
	same "the same bytes, plain" "$(gzip -dc "$dir/packed" | cksum)" "$(curl -s "$base$asset" | cksum)"
	tag=$(sed -n 's/^ETag: \(.*\)\r$/\1/p' "$dir/head")
	same "and is not sent twice" "$(curl -s -o /dev/null -w '%{http_code} %{size_download}' -H "If-None-Match: $tag" "$base$asset")" "304 0"
	hasnt "the page itself is asked for again" "$(curl -s -o /dev/null -D - "$base/")" "immutable"
fi

# What happened is on record.
log=$(cat "$run/audit.log")
has "the audit log has logins" "$log" '"what":"login","user":"anna"'
has "refusals" "$log" '"what":"refused","user":"anna"'
has "and changes" "$log" '"what":"create","user":"olga","object":"ConfigMap shop/x"'
hasnt "and no word of a link" "$log" "${url##*/}"

# The page keeps its port and its sessions, and goes away.
sleep 2 # sessions are kept within a second
stop KILL
start --sandbox
same "a session outlives the hub" "$(page_code admin "$base/page/me")" 200
same "one that logged out does not" "$(page_code olga "$base/page/me")" 401
hasnt "the database lets nobody in" "$(cat "$run"/hub.db* | tr -d '\0')" "$(awk '/weft-session/ {print $7}' "$dir/admin")"
same "the port of the last run" "$(link | sed 's,/login/.*,,')" "$base"
stop TERM
start --sandbox --page off
same "off" "$(code POST /apis/weft.network/internal/login)" 404
stop TERM

# Elsewhere: TLS, and Users with passwords.
start --sandbox --page 192.0.2.1:8443
hash=$(python3 -c 'import ctypes; c = ctypes.CDLL("libcrypt.so.1"); c.crypt.restype = ctypes.c_char_p
print(c.crypt(b"right horse", b"$6$saltsaltsalt$").decode())')
api POST /apis/weft.network/v1alpha1/users '{"apiVersion":"weft.network/v1alpha1","kind":"User","metadata":{"name":"pia"},"spec":{"password":"'"$hash"'"}}' >/dev/null
same "a password that is none is refused" "$(code POST /apis/weft.network/v1alpha1/users '{"apiVersion":"weft.network/v1alpha1","kind":"User","metadata":{"name":"q"},"spec":{"password":"secret"}}')" 422
far=https://192.0.2.1:8443
ca="--cacert $run/tls/ca.crt"
# shellcheck disable=SC2086
same "its certificate is for that address" "$(curl -s $ca -o /dev/null -w '%{http_code}' "$far/login")" 200
try() { # PASSWORD [ARGUMENTS…]
	pw=$1
	shift
	# shellcheck disable=SC2086
	curl -s $ca -o /dev/null -w '%{http_code}' -H "Origin: ${from:-$far}" -H 'Content-Type: application/json' -d '{"user":"pia","password":"'"$pw"'"}' "$@" "$far/login"
}
same "the right password" "$(try 'right horse' -c "$dir/pia")" 200
has "its cookie goes over TLS only" "$(awk '/weft-session/ {print $4}' "$dir/pia")" TRUE
# shellcheck disable=SC2086
has "and is a session" "$(curl -s $ca -b "$dir/pia" "$far/page/me")" '"user":"pia"'
# shellcheck disable=SC2086
same "a form, too" "$(curl -s $ca -o /dev/null -w '%{http_code}' -H "Origin: $far" -d 'user=pia&password=right+horse' "$far/login")" 303
same "the wrong one" "$(try wrong)" 401
from=https://evil.example
same "from another site" "$(try 'right horse')" 403
from=
codes=$(for _ in 1 2 3 4 5 6 7 8 9 10 11; do try wrong; echo; done | sort | uniq -c | awk '{print $2}' | tr '\n' ' ')
same "not for ever" "$codes" "401 429 "
hasnt "no password is in the log" "$(cat "$run/audit.log" "$dir/log")" "right horse"
finish
