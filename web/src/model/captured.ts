// SPDX-License-Identifier: Apache-2.0
// Lines of the audit log as captures: who started each, what it took, what was handed out, to whom. Pure.

export interface AuditLine {
	time: string;
	what: string;
	user?: string;
	capture?: string;
	tool?: string;
	node?: string;
	filter?: string;
	why?: string;
	packets?: number;
	bytes?: number;
	dropped?: number;
}
export interface Captured {
	key: string;
	/** Of the Capture, or "ring of TOOL". */
	name: string;
	user: string;
	filter: string;
	began: string;
	ended: string;
	why: string;
	packets: number;
	bytes: number;
	dropped: number;
	/** Who got its packets, and how often. */
	readers: string[];
}

/** Newest first. A line without the one that begins it is of a capture whose begin the log has no more. */
export function captured(lines: readonly AuditLine[]): Captured[] {
	const out: Captured[] = [];
	const open = new Map<string, Captured>();
	const make = (l: AuditLine, name: string): Captured => {
		const c: Captured = { key: `${out.length} ${name}`, name, user: l.user ?? "", filter: l.filter ?? "", began: "", ended: "", why: "", packets: 0, bytes: 0, dropped: 0, readers: [] };
		out.push(c);
		open.set(name, c);
		return c;
	};
	for (const l of lines) {
		const name = l.capture ?? (l.tool ? `ring of ${l.tool}` : "");
		if (!name) continue;
		const at = l.what === "capture-start" || (l.tool && l.what === "download-start") ? make(l, name) : (open.get(name) ?? make(l, name));
		if (l.what === "capture-start" || (l.tool && l.what === "download-start")) at.began = l.time;
		if (l.what === "download-start") at.readers.push(l.user ?? "");
		if (l.what === "capture-end" || l.what === "download-end") {
			at.packets = Math.max(at.packets, l.packets ?? 0);
			at.bytes = Math.max(at.bytes, l.bytes ?? 0);
			at.dropped = Math.max(at.dropped, l.dropped ?? 0);
			if (l.what === "capture-end" || l.tool) at.ended = l.time;
			if (l.what === "capture-end" && l.why) at.why = l.why;
		}
	}
	return out.reverse();
}
