// SPDX-License-Identifier: Apache-2.0
// The one stream that keeps the page current: objects, graph, broker, state. Connects again by itself, and says since when
// it has heard nothing. One at a time: another set of kinds is another stream in its place.
import type { BrokerEvent, GraphEvent, ObjectsEvent, StateEvent } from "./wire.ts";

export interface LiveHandlers {
	objects(e: ObjectsEvent): void;
	synced(): void;
	graph(e: GraphEvent): void;
	broker(e: BrokerEvent): void;
	state(e: StateEvent): void;
	/** The stream is open, or was lost; after a loss everything comes again as snapshots. */
	link(open: boolean): void;
	/** The session is over. */
	refused(): void;
}

const AGAIN_MS = 1500;
const SILENT_MS = 20000;

export class Live {
	private source: EventSource | null = null;
	private timer: ReturnType<typeof setTimeout> | undefined;
	private heard = 0;
	private path = "";
	private readonly on: LiveHandlers;

	constructor(on: LiveHandlers) {
		this.on = on;
	}

	open(kinds: readonly string[]): void {
		this.path = `/page/live?kinds=${kinds.join(",")}&graph=1&broker=1`;
		this.connect();
	}

	close(): void {
		clearTimeout(this.timer);
		this.source?.close();
		this.source = null;
	}

	private connect(): void {
		this.close();
		const s = new EventSource(this.path);
		this.source = s;
		const take = <T>(name: string, fn: (e: T) => void): void =>
			s.addEventListener(name, (e) => {
				this.heard = Date.now();
				fn(JSON.parse((e as MessageEvent<string>).data) as T);
			});
		s.addEventListener("open", () => {
			this.heard = Date.now();
			this.on.link(true);
			this.watch();
		});
		s.addEventListener("error", () => this.lost());
		take<ObjectsEvent>("objects", (e) => this.on.objects(e));
		take<unknown>("synced", () => this.on.synced());
		take<GraphEvent>("graph", (e) => this.on.graph(e));
		take<BrokerEvent>("broker", (e) => this.on.broker(e));
		take<StateEvent>("state", (e) => this.on.state(e));
	}

	/** A stream that says nothing for long is dead, whatever the connection says. */
	private watch(): void {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => (Date.now() - this.heard > SILENT_MS ? this.lost() : this.watch()), SILENT_MS / 4);
	}

	private lost(): void {
		this.close();
		this.on.link(false);
		this.timer = setTimeout(() => void this.retry(), AGAIN_MS);
	}

	/** EventSource does not say why it failed: a question does. */
	private async retry(): Promise<void> {
		try {
			const r = await fetch("/page/me", { credentials: "same-origin", cache: "no-store" });
			if (r.status === 401) {
				this.on.refused();
				return;
			}
			if (r.ok) {
				this.connect();
				return;
			}
		} catch {
			// away still
		}
		this.timer = setTimeout(() => void this.retry(), AGAIN_MS);
	}
}
