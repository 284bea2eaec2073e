// SPDX-License-Identifier: Apache-2.0
// Asks the hub what edits would make of the recorded traffic, while something is carried: a little after the hand rests, once
// for the same question, and never waited for. An answer is as good as new for a while, since it is about the last hour.
import { ask } from "../api/ask.ts";
import type { Edit } from "../api/wire.ts";
import type { ForecastAnswer } from "./effect.ts";

const RESTS_MS = 90;
const FRESH_MS = 20000;
const KEPT = 64;

export type Foreseen = { state: "asking" } | { state: "known"; answer: ForecastAnswer } | { state: "unknown"; why: string };
interface Kept {
	at: number;
	seen: Foreseen;
}

export class Foresight {
	/** Of what is looked at; null: nothing is. */
	now: Foreseen | null = $state.raw(null);
	private readonly kept = new Map<string, Kept>();
	private key = "";
	private timer: ReturnType<typeof setTimeout> | undefined;

	/** Looks at these edits; null: at nothing. */
	look(edits: readonly Edit[] | null): void {
		clearTimeout(this.timer);
		this.key = edits ? JSON.stringify(edits) : "";
		if (!edits) {
			this.now = null;
			return;
		}
		const key = this.key;
		const kept = this.kept.get(key);
		if (kept && Date.now() - kept.at < FRESH_MS) {
			this.now = kept.seen;
			return;
		}
		this.now = { state: "asking" };
		this.timer = setTimeout(() => this.ask(key, edits), RESTS_MS);
	}

	/** Asks ahead, for what the hand may rest on next. */
	ahead(edits: readonly Edit[]): void {
		const key = JSON.stringify(edits);
		const kept = this.kept.get(key);
		if (!kept || Date.now() - kept.at >= FRESH_MS) this.ask(key, edits);
	}

	private ask(key: string, edits: readonly Edit[]): void {
		this.keep(key, { state: "asking" });
		ask<ForecastAnswer>("forecast", { changes: edits }).then(
			(answer) => this.keep(key, { state: "known", answer }),
			(e: unknown) => {
				this.keep(key, { state: "unknown", why: (e as Error).message });
				this.kept.delete(key);
			},
		);
	}

	private keep(key: string, seen: Foreseen): void {
		this.kept.delete(key);
		this.kept.set(key, { at: Date.now(), seen });
		for (const k of this.kept.keys()) {
			if (this.kept.size <= KEPT) break;
			this.kept.delete(k);
		}
		if (key === this.key) this.now = seen;
	}
}
