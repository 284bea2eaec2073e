// SPDX-License-Identifier: Apache-2.0
// Key presses → names of keys as commands state them ("?", "Ctrl+z", "Escape", "g m"). Pure.

export interface Press {
	key: string;
	ctrlKey: boolean;
	metaKey: boolean;
	altKey: boolean;
	shiftKey: boolean;
}

/** "" for a modifier alone. Shift is said only where the key does not say it already. */
export function keyName(p: Press): string {
	if (["Control", "Shift", "Alt", "Meta"].includes(p.key)) return "";
	const key = p.key === " " ? "Space" : p.key;
	const long = key.length > 1;
	return `${p.ctrlKey || p.metaKey ? "Ctrl+" : ""}${p.altKey ? "Alt+" : ""}${p.shiftKey && long ? "Shift+" : ""}${
		(p.ctrlKey || p.metaKey) && !long ? (p.shiftKey ? "Shift+" : "") + key.toLowerCase() : key
	}`;
}

/** Where somebody writes, letters are text. */
export function writesText(tag: string, type: string, editable: boolean): boolean {
	return editable || tag === "TEXTAREA" || tag === "SELECT" || (tag === "INPUT" && !["checkbox", "radio", "button", "range"].includes(type));
}
