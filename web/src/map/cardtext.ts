// SPDX-License-Identifier: Apache-2.0
// How wide the texts of a card are, in the fonts that it is written in, and what of them fits; kept, since the same come again and
// again. Cut here and not by the browser where hundreds stand on one plane: each clip is a node of the picture of its own.
const KEPT_MOST = 8192;

/** Gives a function that says how many pixels wide a text is in this weight and size. */
function widthsIn(weight: number, size: number): (text: string) => number {
	const kept = new Map<string, number>();
	let x: CanvasRenderingContext2D | null | undefined;
	return (text) => {
		let w = kept.get(text);
		if (w !== undefined) return w;
		if (x === undefined) {
			x = document.createElement("canvas").getContext("2d");
			if (x) x.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
		}
		// without a canvas: as wide as wide letters are
		w = x ? x.measureText(text).width : text.length * size * 0.6;
		if (kept.size >= KEPT_MOST) kept.clear();
		kept.set(text, w);
		return w;
	};
}
/** What of a text fits, with an ellipsis; by whole characters. */
export function cut(text: string, room: number, width: (text: string) => number): string {
	if (width(text) <= room) return text;
	const letters = [...text];
	let fits = 0, over = letters.length;
	while (over - fits > 1) {
		const half = (fits + over) >> 1;
		if (width(`${letters.slice(0, half).join("").trimEnd()}…`) <= room) fits = half;
		else over = half;
	}
	return `${letters.slice(0, fits).join("").trimEnd()}…`;
}
export const nameWidth = widthsIn(600, 15), underWidth = widthsIn(400, 13);
