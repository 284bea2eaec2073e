// SPDX-License-Identifier: Apache-2.0
// One capture that this page reads: asks the hub for it, counts and keeps its packets until it is stopped, and holds the file
// that can be downloaded then. Goes on while other views are looked at. What it keeps has a bound: then it ends by itself.
import type { Capture, CaptureSpec } from "../api/kinds.gen.ts";
import { type ApiError, pathOf, request } from "../api/http.ts";
import type { ApiObject } from "../api/wire.ts";
import { dissect, type Line } from "./dissect.ts";
import { type CapturedPacket, PcapngReader } from "./pcapng.ts";

export const KEPT_BYTES = 64 << 20;
const SHOWN = 500;
const SHOW_MS = 250;

export interface Seen extends Line {
	number: number;
	time: bigint;
	place: string;
	direction: string;
	length: number;
	comment: string;
}

export class Recording {
	state: "idle" | "starting" | "running" | "over" | "failed" = $state("idle");
	why = $state("");
	name = $state("");
	spec: CaptureSpec = $state.raw({});
	packets = $state(0);
	bytes = $state(0);
	lost = $state(0);
	/** Bytes of the file so far. */
	size = $state(0);
	began = $state(0);
	ended = $state(0);
	/** The newest, oldest first. */
	recent: Seen[] = $state.raw([]);
	private chunks: Uint8Array<ArrayBuffer>[] = [];
	private newest: Seen[] = [];
	private stopping = new AbortController();
	/** To stop. */
	private asked = false;
	private timer: ReturnType<typeof setInterval> | undefined;

	get busy(): boolean {
		return this.state === "starting" || this.state === "running";
	}

	async start(spec: CaptureSpec): Promise<void> {
		this.clear();
		this.state = "starting";
		this.spec = spec;
		try {
			const r = await request("POST", pathOf("captures"), { body: { apiVersion: "weft.network/v1alpha1", kind: "Capture", metadata: { generateName: "capture-" }, spec } });
			await this.read(((await r.json()) as ApiObject).metadata.name);
		} catch (e) {
			this.end("failed", (e as Error).message);
		}
	}

	/** Reads along with one that somebody else started. */
	async watch(c: ApiObject<Capture["spec"]>): Promise<void> {
		this.clear();
		this.state = "starting";
		this.spec = c.spec ?? {};
		try {
			await this.read(c.metadata.name);
		} catch (e) {
			this.end("failed", (e as Error).message);
		}
	}

	/** Its Capture goes; what is under way comes still. */
	async stop(): Promise<void> {
		const name = this.name;
		if (!this.busy || !name) return;
		this.asked = true;
		setTimeout(() => this.name === name && this.stopping.abort(), 3000);
		await request("DELETE", pathOf("captures", undefined, name)).catch(() => this.stopping.abort());
	}

	/** The file as it is now; the caller frees the address. */
	file(): { url: string; name: string } {
		return { url: URL.createObjectURL(new Blob(this.chunks, { type: "application/x-pcapng" })), name: `${this.name || "capture"}.pcapng` };
	}

	private clear(): void {
		this.stopping.abort();
		this.stopping = new AbortController();
		this.asked = false;
		this.chunks = [];
		this.newest = this.recent = [];
		this.why = this.name = "";
		this.packets = this.bytes = this.lost = this.size = this.ended = 0;
		this.began = Date.now();
	}

	private async read(name: string): Promise<void> {
		this.name = name;
		const r = await request("GET", `${pathOf("captures", undefined, name)}/stream`, { accept: "application/x-pcapng", signal: this.stopping.signal });
		const body = r.body?.getReader();
		if (!body) throw new Error("the hub sent no packets");
		const reader = new PcapngReader();
		this.state = "running";
		this.timer = setInterval(() => this.show(reader), SHOW_MS);
		try {
			for (;;) {
				const { value, done } = await body.read();
				if (done) break;
				const piece = new Uint8Array(value);
				this.chunks.push(piece);
				this.size += piece.length;
				reader.feed(piece, (p) => this.take(p, reader));
				if (reader.error) throw new Error(`what came cannot be read: ${reader.error}`);
				if (this.size >= KEPT_BYTES) {
					this.why = "64 MiB are kept here: it was stopped. For more, use the command.";
					await this.stop();
					break;
				}
			}
			this.show(reader);
			if (!this.why && !this.stopping.signal.aborted && !this.asked) this.why = await this.whyEnded(name);
			this.end("over", this.why);
		} catch (e) {
			this.show(reader);
			if (this.stopping.signal.aborted) this.end("over", this.why);
			else throw e;
		}
	}

	/** Of one that nobody stopped here. */
	private async whyEnded(name: string): Promise<string> {
		try {
			const c = (await (await request("GET", pathOf("captures", undefined, name))).json()) as ApiObject<CaptureSpec, { ended?: string }>;
			return c.status?.ended ? "Its time was over, or somebody stopped it." : "Your right to these packets ended.";
		} catch (e) {
			const status = (e as ApiError).status;
			return status === 404 ? "Somebody stopped it." : status === 401 || status === 403 ? "Your right to these packets ended." : "The hub went away.";
		}
	}

	private take(p: CapturedPacket, reader: PcapngReader): void {
		this.newest.push({
			...dissect(p.bytes, (a) => reader.names.get(a) ?? a), number: p.number, time: p.time, place: p.place, direction: p.direction, length: p.length, comment: p.comments.join("; "),
		});
		if (this.newest.length > 2 * SHOWN) this.newest = this.newest.slice(-SHOWN);
	}

	private show(reader: PcapngReader): void {
		this.packets = reader.packets;
		this.bytes = reader.captured;
		this.lost = reader.lost;
		this.recent = this.newest.slice(-SHOWN);
	}

	private end(state: "over" | "failed", why: string): void {
		clearInterval(this.timer);
		this.state = state;
		this.why = why;
		this.ended = Date.now();
	}
}

/** The page's own. */
export const recording = new Recording();
