// SPDX-License-Identifier: Apache-2.0
// Where wires begin and end: the middles of the edges of what is marked with data-out and data-in, in the coordinates of the
// board. Reads the document once for all wires.
import type { Point } from "../layout/wires.ts";

export interface Anchors {
	width: number;
	height: number;
	at: Map<string, Point>;
}

export function anchorsOf(board: HTMLElement): Anchors {
	const at = new Map<string, Point>();
	const o = board.getBoundingClientRect();
	for (const e of board.querySelectorAll<HTMLElement>("[data-out], [data-in]")) {
		const r = e.getBoundingClientRect();
		// a port's wire ends at the edge of its tool
		const frame = (e.closest("article") ?? e).getBoundingClientRect();
		const y = r.top + r.height / 2 - o.top;
		if (e.dataset["out"]) at.set(e.dataset["out"], { x: frame.right - o.left, y });
		if (e.dataset["in"]) at.set(e.dataset["in"], { x: frame.left - o.left, y });
	}
	return { width: board.scrollWidth, height: board.scrollHeight, at };
}
