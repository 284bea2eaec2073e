// SPDX-License-Identifier: Apache-2.0
// Carrying one thing to another, by mouse or by keyboard: one state machine for both. Pure: it knows ids only; what may be
// brought where is asked by whoever calls. Pressed and not moved is a click; Escape puts everything back.

export type Carry =
	| { state: "idle" }
	| { state: "pressed"; item: string; x: number; y: number }
	| { state: "carried"; item: string; by: "mouse" | "keys"; x: number; y: number; over: string | null };

export type CarryEvent =
	| { type: "press"; item: string; x: number; y: number }
	| { type: "pick"; item: string; first: string | null }
	| { type: "move"; x: number; y: number; over: string | null }
	| { type: "over"; over: string | null }
	| { type: "release" }
	| { type: "cancel" };

export interface Carried {
	next: Carry;
	/** It was brought there. */
	dropped?: { item: string; place: string };
	/** It was pressed and let go where it was. */
	clicked?: string;
}

export const IDLE: Carry = { state: "idle" };
/** Pixels from which a press is carrying. */
export const SLACK = 5;

export function carry(c: Carry, e: CarryEvent): Carried {
	switch (e.type) {
		case "press":
			return { next: c.state === "idle" ? { state: "pressed", item: e.item, x: e.x, y: e.y } : c };
		case "pick":
			return { next: { state: "carried", item: e.item, by: "keys", x: 0, y: 0, over: e.first } };
		case "move":
			if (c.state === "pressed" && Math.hypot(e.x - c.x, e.y - c.y) >= SLACK) return { next: { state: "carried", item: c.item, by: "mouse", x: e.x, y: e.y, over: e.over } };
			if (c.state === "carried" && c.by === "mouse") return { next: { ...c, x: e.x, y: e.y, over: e.over } };
			return { next: c };
		case "over":
			return { next: c.state === "carried" && c.by === "keys" ? { ...c, over: e.over } : c };
		case "release":
			if (c.state === "pressed") return { next: IDLE, clicked: c.item };
			if (c.state === "carried" && c.over !== null) return { next: IDLE, dropped: { item: c.item, place: c.over } };
			return { next: IDLE };
		case "cancel":
			return { next: IDLE };
	}
}
