// SPDX-License-Identifier: Apache-2.0
// How wide the texts of a card are, in the fonts that it is written in; kept, since the same come again and again.
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
export const nameWidth = widthsIn(600, 15), underWidth = widthsIn(400, 13);
