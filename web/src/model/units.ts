// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them. Pure.

function scaled(n: number, unit: string): string {
	const steps = ["", "k", "M", "G", "T"];
	let i = 0;
	while (Math.abs(n) >= 999.5 && i < steps.length - 1) {
		n /= 1000;
		i++;
	}
	const digits = n !== 0 && Math.abs(n) < 9.95 && (i > 0 || n % 1 !== 0) ? 1 : 0;
	return `${n.toFixed(digits)} ${steps[i]}${unit}`.trim();
}
export function bitsPerSecond(bytesPerSecond: number): string {
	return scaled(bytesPerSecond * 8, "bit/s");
}
export function packetsPerSecond(n: number): string {
	return scaled(n, "p/s");
}
export function perSecond(n: number): string {
	return `${scaled(n, "")}/s`;
}
export function count(n: number): string {
	return n < 100000 ? Math.round(n).toLocaleString("en") : scaled(n, "");
}
export function bytes(n: number): string {
	return scaled(n, "B");
}
export function milliseconds(ms: number): string {
	return ms < 1 ? `${(ms * 1000).toFixed(0)} µs` : ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
export function age(ms: number): string {
	const s = Math.max(0, Math.round(ms / 1000));
	if (s < 60) return `${s} s`;
	if (s < 3600) return `${Math.floor(s / 60)} min`;
	if (s < 86400) return `${Math.floor(s / 3600)} h`;
	return `${Math.floor(s / 86400)} d`;
}
/** Levels of `may`, the least first. */
const LEVELS = ["view", "capture", "operate", "admin"] as const;
export function may(levels: Record<string, string>, level: (typeof LEVELS)[number], namespace?: string): boolean {
	const at = (l: string | undefined): number => (l ? LEVELS.indexOf(l as (typeof LEVELS)[number]) : -1);
	const need = LEVELS.indexOf(level);
	return at(levels["*"]) >= need || (namespace !== undefined && at(levels[namespace]) >= need);
}
/** The same in some namespace: what exactly he may there, the hub says. */
export function mayAnywhere(levels: Record<string, string>, level: (typeof LEVELS)[number]): boolean {
	return Object.keys(levels).some((ns) => may(levels, level, ns));
}
