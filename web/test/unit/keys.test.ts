// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyName, writesText } from "../../src/gesture/keys.ts";

const press = (key: string, more: object = {}): string => keyName({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });

test("keys have the names that commands state", () => {
	assert.equal(press("?", { shiftKey: true }), "?");
	assert.equal(press("Z", { ctrlKey: true, shiftKey: true }), "Ctrl+Shift+z");
	assert.equal(press("z", { metaKey: true }), "Ctrl+z");
	assert.equal(press("Tab", { shiftKey: true }), "Shift+Tab");
	assert.equal(press(" "), "Space");
	assert.equal(press("Shift", { shiftKey: true }), "");
});

test("letters are text where somebody writes", () => {
	assert.ok(writesText("INPUT", "text", false));
	assert.ok(writesText("DIV", "", true));
	assert.ok(!writesText("INPUT", "checkbox", false));
	assert.ok(!writesText("BUTTON", "submit", false));
});
