#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Changes as steps: made whole or not at all, in files and in the hub, with who and why; listed, undone to the byte.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
I=/apis/weft.network/internal
cm=/api/v1/namespaces/default/configmaps

# Edits and bodies: "put NAME TEXT [FILE]", "delete NAME"; the version that was seen is the one that is there.
cat >"$dir/body.py" <<'PY'
import json, subprocess, sys
sock, args = sys.argv[1], sys.argv[2:]
body = {"edits": []}
def get(path):
    out = subprocess.run(["curl", "-s", "--unix-socket", sock, "http://hub" + path], capture_output=True).stdout
    return json.loads(out).get("metadata", {}).get("resourceVersion")
while args:
    what = args.pop(0)
    if what in ("name", "reason", "file"):
        body[what] = args.pop(0)
    elif what == "dry":
        body["dry"] = True
    else:
        kind, name = args.pop(0).split("/")
        edit = {"verb": what, "kind": kind, "namespace": "" if kind == "User" else "default", "name": name}
        plural = {"ConfigMap": "/api/v1/namespaces/default/configmaps/", "Service": "/api/v1/namespaces/default/services/",
                  "Secret": "/api/v1/namespaces/default/secrets/", "Namespace": "/api/v1/namespaces/",
                  "User": "/apis/weft.network/v1alpha1/users/"}[kind]
        version = get(plural + name)
        if what == "put":
            edit["yaml"] = args.pop(0).replace("\\n", "\n")
        if version:
            edit["resourceVersion"] = version
        body["edits"].append(edit)
print(json.dumps(body))
PY
body() { python3 "$dir/body.py" "$run/hub.sock" "$@"; }
change() { api POST $I/changes "$(body "$@")"; }
undo() { api POST "$I/changes/$1/undo" "{\"reason\":\"${2:-}\"}"; }
map() { printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: %s}\\ndata: {k: "%s"}\\n' "$1" "$2"; }
value() { api GET "$cm/$1" | field 'o["data"]["k"]'; }
is() { [ "$(value "$1")" = "$2" ]; }
gone() { [ "$(code GET "$cm/$1")" = 404 ]; }
last() { api GET "$I/changes?limit=1" | field 'o["changes"][0]["id"]'; }
text() { # NAME…
	for name; do
		printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s   # %s\ndata:\n  k: v   # a remark\n' "$name" "$name"
	done
}
keep() { rm -rf "$dir/before" && cp -a "$manifests" "$dir/before"; }
unchanged() { # DESCRIPTION
	diff -r "$dir/before" "$manifests" >"$dir/diff"
	r=$?
	ok "$1" $r
	[ $r = 0 ] || sed 's/^/# /' "$dir/diff"
}

text a b >"$manifests/a.yaml"
text c >"$manifests/c.yaml"
start --sandbox --writable
same "a new cluster has no history" "$(api GET $I/changes | field 'len(o["changes"])')" 0

# one step over two files, a new one, and the hub
api POST $cm '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"hub"},"data":{"k":"v"}}' >/dev/null
keep
set -- name "four at once" reason "a test" put ConfigMap/a "$(map a w)" delete ConfigMap/b put ConfigMap/c "$(map c w)" \
	put ConfigMap/hub "$(map hub w)" put ConfigMap/new "# mine\n$(map new w)"
out=$(change dry "$@")
same "asked only: no number" "$(printf "%s" "$out" | field 'o["id"]')" None
same "each object before and after" "$(printf "%s" "$out" | field '[(x["name"], x["verb"]) for x in o["objects"]]')" \
	"[('a', 'changed'), ('c', 'changed'), ('hub', 'changed'), ('new', 'created'), ('b', 'removed')]"
has "a difference that keeps the remark" "$(printf "%s" "$out" | field 'o["files"][0]["diff"]')" "+  k: w   # a remark"
unchanged "asked only: no file is another"
is a v
ok "asked only: nor an object" $?
out=$(change "$@")
same "made" "$(printf "%s" "$out" | field 'o["id"]')" 2
for name in a c hub new; do
	is $name w
	ok "in force at once: $name" $?
done
gone b
ok "removed at once" $?
same "one line of a file, and the removed document" "$(diff "$dir/before/a.yaml" "$manifests/a.yaml" | grep -c '^[<>]')" 9
same "the new one as it was written" "$(head -1 "$manifests/weft-page.yaml")" "# mine"
out=$(api GET $I/changes/2)
same "kept: by whom, what for" "$(printf "%s" "$out" | field 'o["user"], o["name"], o["reason"], o["origin"]')" \
	"('root (uid 0)', 'four at once', 'a test', 'page')"
same "kept: objects" "$(printf "%s" "$out" | field 'sorted(x["name"] for x in o["objects"])')" "['a', 'b', 'c', 'hub', 'new']"
same "kept: files" "$(printf "%s" "$out" | field 'len([x for x in o["files"] if x["diff"]])')" 3
has "told in the audit log" "$(grep '"change":"2"' "$run/audit.log")" '"why":"a test"'
out=$(undo 2 "not so")
same "undone" "$(printf "%s" "$out" | field 'o["id"]')" 3
unchanged "the files are what they were, to the byte; the new one is gone"
for name in a b c hub; do
	is $name v
	ok "undone: $name" $?
done
gone new
ok "undone: new" $?
same "the list knows" "$(api GET $I/changes | field '[(x["id"], x["undoes"], x["undone"]) for x in o["changes"]]')" \
	"[(3, 2, None), (2, None, 3), (1, None, None)]"
same "it is not undone twice" "$(code POST $I/changes/2/undo '{}')" 409
out=$(undo 3)
same "what was undone is done again" "$(printf "%s" "$out" | field 'o["id"]')" 4
is a w
ok "done again" $?
undo 4 >/dev/null
unchanged "and undone again"

# nothing or all
keep
chmod 444 "$manifests/c.yaml"
out=$(change put ConfigMap/a "$(map a x)" put ConfigMap/c "$(map c x)" put ConfigMap/hub "$(map hub x)")
has "a second file that is read-only" "$out" "it is read-only: chmod u+w it"
chmod 644 "$manifests/c.yaml"
unchanged "the first one is put back"
is a v && is hub v
ok "and in force" $?
out=$(change put ConfigMap/a "$(map a x)" put ConfigMap/c "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nnonsense: [")
same "a text that cannot be read: a remark at its place" \
	"$(printf "%s" "$out" | field 'o["code"], o["remarks"][0]["edit"], o["remarks"][0]["line"] > 0')" "(422, 1, True)"
unchanged "nothing is written"
out=$(change put ConfigMap/nowhere "$(printf '%s' "$(map nowhere x)" | sed 's/name: nowhere/name: nowhere, namespace: other/')")
same "a text of another namespace than the edit's" "$(printf "%s" "$out" | field 'o["code"]')" 422

# conflicts
stale=$(body put ConfigMap/a "$(map a mine)")
api PATCH "$cm/a" '{"data":{"k":"yours"}}' application/merge-patch+json >/dev/null
out=$(api POST $I/changes "$stale")
same "BR90 what somebody else changed is a conflict" "$(printf "%s" "$out" | field 'o["code"], o["conflicts"][0]["name"]')" "(409, 'a')"
has "BR90 that says who" "$out" "it was changed since it was looked at: by root (uid 0)"
is a yours
ok "BR90 and his change stays" $?
stale=$(body put ConfigMap/a "$(map a mine)")
sed 's/k: yours/k: disk/' "$manifests/a.yaml" >"$dir/new" && mv "$dir/new" "$manifests/a.yaml"
wait_for is a disk
has "BR90 a file that was saved, too" "$(api POST $I/changes "$stale")" "in its file on disk"
same "a save of a file is a change by itself" "$(api GET "$I/changes?limit=1" | field 'o["changes"][0]["origin"]')" files
saved=$(last)
undo "$saved" >/dev/null
is a yours
ok "and can be undone" $?
out=$(undo 2)
same "undo of what others changed since" "$(printf "%s" "$out" | field 'o["code"]')" 409
out=$(change put ConfigMap/hub "$(map hub one)")
first=$(printf "%s" "$out" | field 'o["id"]')
change put ConfigMap/hub "$(map hub two)" >/dev/null
has "undo says who changed it since" "$(undo "$first")" "it was changed since: by root (uid 0)"

# by the difference, where the file is another now
out=$(change put ConfigMap/c "$(map c diff)")
step=$(printf "%s" "$out" | field 'o["id"]')
printf '# a line of somebody\n' >>"$manifests/c.yaml"
wait_for sh -c "tail -1 $manifests/c.yaml | grep -q somebody"
undo "$step" >/dev/null
is c v
ok "undone in a file that holds more now" $?
same "which stays" "$(tail -1 "$manifests/c.yaml")" "# a line of somebody"

# deletions and kubectl's way are steps
code DELETE "$cm/hub" >/dev/null
gone hub
ok "deleted" $?
undo "$(last)" >/dev/null
is hub two
ok "a deletion is undone" $?

# Secrets: that they changed, never what they hold
secret() { printf 'apiVersion: v1\\nkind: Secret\\nmetadata: {name: s}\\nstringData: {k: %s}\\n' "$1"; }
out=$(change put Secret/s "$(secret topsecretone)")
change put Secret/s "$(secret topsecrettwo)" >/dev/null
same "a Secret's change has no content" "$(api GET "$I/changes/$(last)" | field 'o["objects"][0]["kept"], o["objects"][0]["after"]')" "(False, None)"
has "and cannot be undone" "$(undo "$(last)")" "what a Secret held is never kept"
{ text d && printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: t}\nstringData: {k: topsecretthree}\n'; } >"$manifests/d.yaml"
wait_for is d v
sed 's/topsecretthree/topsecretfour/; s/k: v /k: w /' "$manifests/d.yaml" >"$dir/new" && mv "$dir/new" "$manifests/d.yaml"
wait_for is d w
out=$(change put ConfigMap/d "$(map d x)")
hasnt "nor is it in the difference of its file" "$out" topsecret
undo "$(last)" >/dev/null
is d w
ok "its neighbour is undone" $?
strings -a "$run/hub.db" "$run/hub.db-wal" 2>/dev/null | grep -q topsecret
ok "no Secret is in the database" "$((!$?))"
# Users: that they changed, never the hash of a password
hashed() { printf 'apiVersion: weft.network/v1alpha1\\nkind: User\\nmetadata: {name: anna}\\nspec: {password: "$y$j9T$%s$0123456789012345678901234567890123456789012"}\\n' "$1"; }
change put User/anna "$(hashed saltsaltone)" >/dev/null
out=$(change put User/anna "$(hashed saltsalttwo)")$(api GET "$I/changes/$(last)")
has "a User's change is told" "$out" anna
hasnt "without the hash of its password" "$out" saltsalt

same "a Secret in a file goes alone" "$(code POST $I/changes "$(body put ConfigMap/a "$(map a y)" delete Secret/t)")" 409

# the history lives on
n0=$(api GET "$I/changes?limit=1000" | field 'len(o["changes"])')
stop KILL
start --sandbox --writable
same "after a kill it is all there" "$(api GET "$I/changes?limit=1000" | field 'len(o["changes"])')" "$n0"
same "numbers go on" "$(change put ConfigMap/hub "$(map hub three)" | field 'o["id"]')" "$((n0 + 1))"
same "in pages" "$(api GET "$I/changes?limit=2&before=4" | field '[x["id"] for x in o["changes"]]')" "[3, 2]"

# without --writable
stop TERM
start --sandbox
out=$(change put ConfigMap/a "$(map a z)")
has "files that are not written here" "$out" "a.yaml:"
same "are a conflict" "$(printf "%s" "$out" | field 'o["code"]')" 409
same "what is new lives in the hub" "$(change put ConfigMap/fresh "$(map fresh v)" | field 'len(o["files"])')" 0
is fresh v
ok "and is in force" $?
same "its undo" "$(undo "$(last)" | field 'o["objects"][0]["verb"]')" removed
finish
