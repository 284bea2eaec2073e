#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The page's sources: rooms in order, types, unit tests, colours from the theme alone, nothing inline that the
# Content-Security-Policy refuses, no address of another machine.
. "$(dirname "$0")/tap.sh"

files 'web/src/*' | grep -E '\.(svelte|ts|css)$' | grep -v '^web/src/theme\.css$' >"$tmp/web"
# A colour in a view would be another one in the other theme.
xargs -r grep -nE '#[0-9a-fA-F]{3,8}\b' <"$tmp/web" | grep -E ':[^:]*(color|background|border|fill|stroke|shadow)[^:]*:' >"$tmp/colours"
check "colours stand in web/src/theme.css" "$tmp/colours"

xargs -r grep -nE '(^|[ <])style="' <"$tmp/web" >"$tmp/inline"
files 'web/*.html' | xargs -r grep -nE ' style=|<style|<script>| on[a-z]+="' >>"$tmp/inline"
check "nothing inline that the page's policy refuses" "$tmp/inline"

files 'web/src/*' 'web/index.html' | xargs -r grep -nE 'https?://' | grep -vE 'http://www\.w3\.org/' >"$tmp/away"
check "the page asks no other machine" "$tmp/away"

xargs -r grep -nE '\bas any\b|: any\b|<any>|@ts-ignore|@ts-nocheck' <"$tmp/web" >"$tmp/any"
check "every value has a type" "$tmp/any"

xargs -r wc -l <"$tmp/web" | awk '$2 != "total" && $1 > 800 { print $2 ": " $1 " lines, the budget is 800" }' >"$tmp/long"
check "files keep their budgets" "$tmp/long"

if ! command -v npm >/dev/null 2>&1; then
	skip "rooms, types, unit tests of the page" "no npm here"
elif tools/web --check >"$tmp/log" 2>&1; then
	check "rooms, types, unit tests of the page" /dev/null
elif grep -qE 'npm (ERR!|error) (code )?(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT)' "$tmp/log"; then
	skip "rooms, types, unit tests of the page" "the registry of npm cannot be reached"
else
	check "rooms, types, unit tests of the page" "$tmp/log"
fi
finish
