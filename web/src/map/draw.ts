// SPDX-License-Identifier: Apache-2.0
// Draws links into a canvas: width by rate, colour and shape by what became of the packets. A line that loses some has a red gap
// with the number; one that is refused ends at the gap. Each line is a stroke of its own and nothing is dashed: on machines
// without a GPU that is what stays smooth.
import { boxOf, type Curve, overlaps, part, pointAt } from "../layout/curve.ts";
import type { Rect } from "../layout/place.ts";
import type { Link } from "../model/graph.ts";
import { milliseconds, perSecond } from "../model/units.ts";
import type { LinkStatus } from "./mapstate.svelte.ts";

export interface Colours {
	flow: string;
	idle: string;
	bad: string;
	onBad: string;
	label: string;
	text: string;
	line: string;
}
export interface Drawn {
	link: Link;
	curve: Curve;
	status: LinkStatus;
	bright: boolean;
	/** Where on the line its number stands, 0 to 1. */
	middle: number;
}

/** From so near words can be read. */
export const READABLE = 0.42;

export function widthOf(bytesPerSecond: number): number {
	return bytesPerSecond <= 0 ? 1 : Math.min(9, 1.2 + 1.05 * Math.log10(1 + bytesPerSecond / 120));
}

function stroke(x: CanvasRenderingContext2D, c: Curve): void {
	x.beginPath();
	x.moveTo(c.x0, c.y0);
	x.bezierCurveTo(c.x1, c.y1, c.x2, c.y2, c.x3, c.y3);
	x.stroke();
}

function head(x: CanvasRenderingContext2D, c: Curve, width: number): void {
	const a = pointAt(c, 0.97), d = Math.hypot(c.x3 - a.x, c.y3 - a.y) || 1;
	const ux = (c.x3 - a.x) / d, uy = (c.y3 - a.y) / d, l = 5 + width * 1.1, w = 2.6 + width * 0.75;
	x.beginPath();
	x.moveTo(c.x3, c.y3);
	x.lineTo(c.x3 - ux * l - uy * w, c.y3 - uy * l + ux * w);
	x.lineTo(c.x3 - ux * l + uy * w, c.y3 - uy * l - ux * w);
	x.closePath();
	x.fill();
}

function bar(x: CanvasRenderingContext2D, c: Curve, t: number, half: number): void {
	const p = pointAt(c, t), q = pointAt(c, t - 0.02), d = Math.hypot(p.x - q.x, p.y - q.y) || 1;
	const nx = -(p.y - q.y) / d, ny = (p.x - q.x) / d;
	x.beginPath();
	x.moveTo(p.x - nx * half, p.y - ny * half);
	x.lineTo(p.x + nx * half, p.y + ny * half);
	x.stroke();
}

function pill(x: CanvasRenderingContext2D, at: { x: number; y: number }, text: string, fill: string, ink: string, edge: string): void {
	const w = x.measureText(text).width + 12, h = 18;
	x.beginPath();
	x.roundRect(at.x - w / 2, at.y - h / 2, w, h, 9);
	x.fillStyle = fill;
	x.fill();
	if (edge) {
		x.strokeStyle = edge;
		x.lineWidth = 1;
		x.stroke();
	}
	x.fillStyle = ink;
	x.fillText(text, at.x, at.y + 0.5);
}

/** The ends of the gap, by the length of the line: wide enough for its number. */
export function gap(d: { curve: Curve; middle: number }): [number, number] {
	const c = d.curve, length = Math.hypot(c.x3 - c.x0, c.y3 - c.y0) + 40, half = Math.min(0.3, 34 / length);
	return [Math.max(0.02, d.middle - half), Math.min(0.98, d.middle + half)];
}

/** Draws what lies in a region; the context is in the map's own units. */
export function drawLinks(x: CanvasRenderingContext2D, list: readonly Drawn[], region: Rect, zoom: number, latency: boolean, colours: Colours): void {
	const seen = list.filter((d) => overlaps(boxOf(d.curve), region));
	const words = zoom > READABLE;
	// many lines together are lighter each
	const ink = Math.max(0.45, Math.min(1, 1.15 - list.length / 500));
	x.lineCap = "butt";
	const lines = (status: LinkStatus, bright: boolean, colour: string, alpha: number): void => {
		x.strokeStyle = colour;
		x.fillStyle = colour;
		x.globalAlpha = alpha;
		for (const d of seen) {
			if (d.status !== status || d.bright !== bright) continue;
			const w = widthOf(d.link.bytes);
			x.lineWidth = w;
			if (status === "flow" || status === "idle") stroke(x, d.curve);
			else {
				const [from, to] = gap(d);
				stroke(x, part(d.curve, 0, from));
				if (status === "loss") stroke(x, part(d.curve, to, 1));
			}
			if (zoom > 0.3 && status !== "refused") head(x, d.curve, w);
		}
	};
	// where a refused one would have gone on to
	x.strokeStyle = colours.bad;
	x.lineWidth = 1;
	for (const d of seen) {
		if (d.status !== "refused") continue;
		x.globalAlpha = d.bright ? 0.4 : 0.08;
		stroke(x, part(d.curve, gap(d)[1], 1));
	}
	lines("idle", false, colours.idle, 0.12);
	lines("flow", false, colours.flow, 0.1);
	lines("loss", false, colours.flow, 0.1);
	lines("refused", false, colours.bad, 0.15);
	lines("idle", true, colours.idle, 0.45);
	lines("flow", true, colours.flow, 0.72 * ink);
	lines("loss", true, colours.flow, 0.72 * ink);
	lines("refused", true, colours.bad, 0.85);

	x.font = "600 11px system-ui, sans-serif";
	x.textAlign = "center";
	x.textBaseline = "middle";
	x.strokeStyle = colours.bad;
	for (const d of seen) {
		if (d.status !== "loss" && d.status !== "refused") continue;
		x.globalAlpha = d.bright ? 1 : 0.2;
		const [from, to] = gap(d);
		x.lineWidth = 2.5;
		x.strokeStyle = colours.bad;
		bar(x, d.curve, from, 7);
		if (d.status === "loss") bar(x, d.curve, to, 7);
		const n = d.link.drops + d.link.lost;
		if (words) pill(x, pointAt(d.curve, d.middle), `✕ ${perSecond(n)}`, colours.bad, colours.onBad, "");
	}
	if (latency && words)
		for (const d of seen) {
			if (d.link.latency === null || !d.bright) continue;
			x.globalAlpha = 1;
			pill(x, pointAt(d.curve, d.status === "flow" || d.status === "idle" ? d.middle : d.middle > 0.5 ? 0.2 : 0.85), milliseconds(d.link.latency), colours.label, colours.text, colours.line);
		}
	x.globalAlpha = 1;
}
