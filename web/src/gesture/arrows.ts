// SPDX-License-Identifier: Apache-2.0
// Which of many things on a plane an arrow key leads to: the nearest one that lies that way; what stands in the same row or
// column comes before what is askew. Pure.

export interface Box {
	id: string;
	x: number;
	y: number;
	width: number;
	height: number;
}
export type Arrow = "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown";
export const isArrow = (key: string): key is Arrow => key.startsWith("Arrow");

export function neighbour(boxes: readonly Box[], from: string, arrow: Arrow): string | null {
	const at = boxes.find((b) => b.id === from);
	if (!at) return boxes[0]?.id ?? null;
	const across = arrow === "ArrowLeft" || arrow === "ArrowRight";
	const sign = arrow === "ArrowRight" || arrow === "ArrowDown" ? 1 : -1;
	const middle = (b: Box): [number, number] => [b.x + b.width / 2, b.y + b.height / 2];
	const [x, y] = middle(at);
	let best: string | null = null, least = Infinity;
	for (const b of boxes) {
		if (b.id === from) continue;
		const [bx, by] = middle(b);
		const along = sign * (across ? bx - x : by - y), aside = Math.abs(across ? by - y : bx - x);
		// left and right leave the column: what overlaps sideways is above or below
		const overlaps = across && b.x < at.x + at.width && at.x < b.x + b.width;
		if (along <= 1 || overlaps) continue;
		const far = along + aside * (across ? 1 : 3);
		if (far < least) {
			least = far;
			best = b.id;
		}
	}
	return best;
}
