#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Lists in pieces and as of a version, watches that begin with the state, and DELETE of a collection.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
start --sandbox
cm=/api/v1/namespaces/default/configmaps
make() { api POST $cm '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"'"$1"'","labels":{"half":"'"${2:-a}"'"}},"data":{"n":"0"}}' >/dev/null; }
names='[i["metadata"]["name"] for i in o["items"]]'
for i in 1 2 3 4 5; do make c$i; done
make d1 b
api GET "$cm?limit=2" >"$dir/one"
same "a piece" "$(field "$names, o['metadata']['remainingItemCount']" <"$dir/one")" "(['c1', 'c2'], 4)"
token=$(field 'o["metadata"]["continue"]' <"$dir/one")
version=$(field 'o["metadata"]["resourceVersion"]' <"$dir/one")
# what comes, goes and changes between the pieces is not seen
make c2x
api DELETE $cm/c3 >/dev/null
api PATCH $cm/c4 '{"data":{"n":"1"}}' application/merge-patch+json >/dev/null
api GET "$cm?limit=2&continue=$token" >"$dir/two"
same "the next piece is of the same version" "$(field "$names, o['metadata']['resourceVersion'], o['items'][1]['data']['n']" <"$dir/two")" "(['c3', 'c4'], '$version', '0')"
api GET "$cm?limit=9&continue=$(field 'o["metadata"]["continue"]' <"$dir/two")" >"$dir/three"
same "the last has no continue" "$(field "$names, o['metadata'].get('continue')" <"$dir/three")" "(['c5', 'd1'], None)"
same "the list now" "$(api GET $cm | field "$names")" "['c1', 'c2', 'c2x', 'c4', 'c5', 'd1']"
same "as of a version" "$(api GET "$cm?resourceVersion=$version&resourceVersionMatch=Exact" | field "$names")" "['c1', 'c2', 'c3', 'c4', 'c5', 'd1']"
same "not older than a version" "$(api GET "$cm?resourceVersion=$version&resourceVersionMatch=NotOlderThan" | field 'len(o["items"])')" 6
same "version 0 is any" "$(code GET "$cm?resourceVersion=0")" 200
same "pieces count what selectors match" "$(api GET "$cm?limit=1&labelSelector=half%3Db" | field "$names, o['metadata'].get('continue')")" "(['d1'], None)"
same "a piece as Table" "$(curl -s --unix-socket "$run/hub.sock" -H 'Accept: application/json;as=Table;v=v1;g=meta.k8s.io' "http://hub$cm?limit=1" | field 'len(o["rows"]), "continue" in o["metadata"]')" "(1, True)"
for bad in "limit=x" "continue=x" "resourceVersion=x" "resourceVersionMatch=Exact" "resourceVersion=1&resourceVersionMatch=Nearly" "resourceVersion=0&resourceVersionMatch=Exact" "continue=$token&resourceVersion=5"; do
	same "bad: $bad" "$(code GET "$cm?$bad")" 400
done
same "a version of the future: 504 with its cause" "$(api GET "$cm?resourceVersion=999999" | field 'o["code"], o["details"]["causes"][0]["reason"]')" "(504, 'ResourceVersionTooLarge')"

# watch-list
events() { python3 -c 'import json,sys
for l in sys.stdin:
    e = json.loads(l); m = e["object"]["metadata"]
    print(e["type"], m.get("name", ""), m.get("annotations", {}).get("k8s.io/initial-events-end", ""), sep=",", end=" ")'; }
watch() { curl -s --max-time 5 --unix-socket "$run/hub.sock" "http://hub$cm?watch=true&timeoutSeconds=1&$1"; }
watch "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=half%3Db" | events >"$dir/out"
has "a watch that begins with the state says where it ends" "$(cat "$dir/out")" "ADDED,d1, BOOKMARK,,true "
same "of a version too" "$(watch "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=1&labelSelector=half%3Db" | events)" "ADDED,d1, "
same "without a match it is refused" "$(code GET "$cm?watch=true&sendInitialEvents=true")" 422
same "of the future too" "$(code GET "$cm?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=999999")" 410

# collections
same "a dry run deletes nothing" "$(api DELETE "$cm?labelSelector=half%3Db&dryRun=All" | field "$names") $(code GET $cm/d1)" "['d1'] 200"
same "what a selector matches goes" "$(api DELETE "$cm?labelSelector=half%3Db" | field "$names") $(code GET $cm/d1)" "['d1'] 404"
same "only that" "$(api GET $cm | field 'len(o["items"])')" 5
same "all namespaces at once are not" "$(code DELETE /api/v1/configmaps)" 405
same "a bad selector deletes nothing" "$(code DELETE "$cm?labelSelector=a+in+(") $(api GET $cm | field 'len(o["items"])')" "400 5"
same "without a selector all go" "$(api DELETE $cm | field 'len(o["items"])') $(api GET $cm | field 'len(o["items"])')" "5 0"
api POST $cm '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"held","finalizers":["example.com/hold"]}}' >/dev/null
api DELETE $cm >/dev/null
same "a finalizer holds" "$(api GET $cm/held | field '"deletionTimestamp" in o["metadata"]')" True
api PATCH $cm/held '{"metadata":{"finalizers":null}}' application/merge-patch+json >/dev/null
same "until it is taken away" "$(code GET $cm/held)" 404
stop TERM
cat >"$manifests/cm.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: filed}
YAML
start --sandbox
make loose
has "one object of a file stands in the way of all" "$(api DELETE $cm)" "cm.yaml:1:1: delete it there"
same "and nothing went" "$(api GET $cm | field "$names")" "['filed', 'loose']"
same "after a restart an older version is 410" "$(code GET "$cm?resourceVersionMatch=Exact&resourceVersion=$version")" 410
same "and so is an old continue" "$(code GET "$cm?limit=2&continue=$token")" 410
stop TERM
finish
