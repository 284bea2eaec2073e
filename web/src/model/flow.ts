// SPDX-License-Identifier: Apache-2.0
// One record of POST /page/flows: its ends by name, the values that a table shows of it, and for each value the term of the
// filter language that means it. Pure.
import { bytes as asBytes, count, milliseconds } from "./units.ts";

export interface FlowEnd {
	address?: string;
	port?: number;
	kind: string;
	namespace?: string;
	name?: string;
	workloadKind?: string;
	workload?: string;
	node?: string;
	domain?: string;
}
interface Pair {
	there?: number;
	back?: number;
}
export interface Flow {
	record: string;
	verdict: string;
	state?: string;
	ended?: boolean;
	reason?: string;
	first: string;
	last: string;
	protocol: string;
	from: FlowEnd;
	to: FlowEnd;
	service?: FlowEnd;
	bytes?: Pair;
	packets?: Pair;
	handshakeMicroseconds?: number;
	roundTripMicroseconds?: Pair;
	retransmits?: Pair;
	resets?: number;
	resetBy?: string;
	cause?: number;
	ruleEgress?: number;
	ruleIngress?: number;
	seenBy?: string;
	dnsName?: string;
	dnsType?: string;
	dnsCode?: string;
	id?: string;
}
export interface FlowsAnswer {
	flows: Flow[];
	more?: boolean;
	nodes?: { name: string; age?: number; missing?: number; lost?: number }[];
	kept?: number;
	open?: number;
	began?: string;
}

/** The network that an address outside is told by: /24, or /48. */
function network(address: string): string {
	if (!address.includes(":")) return `${address.split(".").slice(0, 3).join(".")}.0/24`;
	const [head = "", tail = ""] = address.split("::");
	const front = head ? head.split(":") : [], back = tail ? tail.split(":") : [];
	const all = address.includes("::") ? [...front, ...Array<string>(8 - front.length - back.length).fill("0"), ...back] : front;
	return `${all.slice(0, 3).join(":").replace(/(:0)+$/, "")}::/48`;
}

/** The name of a flow's end in the graph; `has` says which there are. */
export function endId(e: FlowEnd, has: (id: string) => boolean): string {
	if (e.kind === "pod") return `${e.namespace}/${e.workloadKind ?? "Pod"}/${e.workload ?? e.name}`;
	if (e.kind === "service") return `${e.namespace}/Service/${e.name}`;
	if (e.kind === "node") return `node/${e.name}`;
	if (e.kind === "hidden") return "hidden";
	const kind = e.kind === "outside" ? "outside" : "unknown";
	for (const name of [e.domain, e.address ? network(e.address) : undefined]) if (name && has(`${kind}/${name}`)) return `${kind}/${name}`;
	return kind;
}

export function endTitle(e: FlowEnd): string {
	if (e.kind === "pod" || e.kind === "service") return `${e.namespace}/${e.workload ?? e.name}`;
	if (e.kind === "node") return e.name ?? "node";
	if (e.kind === "hidden") return "hidden";
	return e.domain ?? e.address ?? e.kind;
}

/** A text as the filter language writes it. */
export function quoted(text: string): string {
	return /^[A-Za-z0-9][A-Za-z0-9._/-]*$/.test(text) ? text : `"${text.replace(/(["\\])/g, "\\$1")}"`;
}

export interface FlowColumn {
	id: string;
	title: string;
	value: (f: Flow) => string | number;
	text?: (f: Flow) => string;
	number?: boolean;
	/** The term that takes flows with this value; "": there is none. */
	term?: (f: Flow) => string;
	/** Shown until somebody chooses. */
	usual?: boolean;
}

function side(name: "from" | "to", word: string, title: string): FlowColumn[] {
	const e = (f: Flow): FlowEnd => f[name];
	const term = (field: string, v: string | undefined): string => (v ? `${word}.${field} == ${quoted(v)}` : "");
	return [
		{
			id: name, title, usual: true, value: (f) => endTitle(e(f)),
			term: (f) => {
				const x = e(f);
				if (x.kind === "pod") return term("workload", `${x.namespace}/${x.workload ?? x.name}`);
				if (x.kind === "node") return term("node", x.name);
				return x.domain ? term("domain", x.domain) : term("ip", x.address);
			},
		},
		{ id: `${name}.pod`, title: `${title}: pod`, value: (f) => (e(f).kind === "pod" ? (e(f).name ?? "") : ""), term: (f) => (e(f).kind === "pod" ? term("pod", `${e(f).namespace}/${e(f).name}`) : "") },
		{ id: `${name}.namespace`, title: `${title}: namespace`, value: (f) => e(f).namespace ?? "", term: (f) => term("ns", e(f).namespace) },
		{ id: `${name}.node`, title: `${title}: node`, value: (f) => e(f).node ?? (e(f).kind === "node" ? (e(f).name ?? "") : ""), term: (f) => term("node", e(f).node ?? (e(f).kind === "node" ? e(f).name : "")) },
		{ id: `${name}.kind`, title: `${title}: kind`, value: (f) => e(f).kind, term: (f) => term("kind", e(f).kind) },
		{ id: `${name}.address`, title: `${title}: address`, value: (f) => e(f).address ?? "", term: (f) => term("ip", e(f).address) },
		{ id: `${name}.port`, title: `${title}: port`, number: true, usual: name === "to", value: (f) => e(f).port ?? 0, text: (f) => String(e(f).port ?? ""), term: (f) => (e(f).port ? `${word}.port == ${e(f).port}` : "") },
	];
}

const sum = (p: Pair | undefined): number => (p?.there ?? 0) + (p?.back ?? 0);
const clock = (iso: string): string => {
	const d = new Date(iso);
	return Number.isNaN(d.getTime()) ? "" : `${d.toLocaleTimeString("en-GB")}.${String(d.getMilliseconds()).padStart(3, "0")}`;
};

export const FLOW_COLUMNS: readonly FlowColumn[] = [
	{ id: "last", title: "Last packet", usual: true, value: (f) => Date.parse(f.last), text: (f) => clock(f.last) },
	{ id: "first", title: "First packet", value: (f) => Date.parse(f.first), text: (f) => clock(f.first) },
	...side("from", "src", "From"),
	...side("to", "dst", "To"),
	{ id: "service", title: "Service", usual: true, value: (f) => (f.service ? `${f.service.namespace}/${f.service.name}` : ""), term: (f) => (f.service ? `service == ${quoted(`${f.service.namespace}/${f.service.name}`)}` : "") },
	{ id: "protocol", title: "Protocol", usual: true, value: (f) => f.protocol, term: (f) => `proto == ${f.protocol.toLowerCase()}` },
	{ id: "verdict", title: "Verdict", usual: true, value: (f) => f.verdict, term: (f) => `verdict == ${f.verdict}` },
	{ id: "reason", title: "Reason", usual: true, value: (f) => f.reason ?? "", term: (f) => (f.reason ? `reason == ${quoted(f.reason)}` : "") },
	{ id: "state", title: "State", usual: true, value: (f) => f.state ?? "", term: (f) => (f.state ? `state == ${f.state}` : "") },
	{ id: "bytes", title: "Bytes", usual: true, number: true, value: (f) => sum(f.bytes), text: (f) => asBytes(sum(f.bytes)), term: (f) => `bytes >= ${sum(f.bytes)}` },
	{ id: "packets", title: "Packets", number: true, value: (f) => sum(f.packets), text: (f) => count(sum(f.packets)), term: (f) => `packets >= ${sum(f.packets)}` },
	{ id: "handshake", title: "Handshake", usual: true, number: true, value: (f) => f.handshakeMicroseconds ?? 0, text: (f) => (f.handshakeMicroseconds === undefined ? "" : milliseconds(f.handshakeMicroseconds / 1000)), term: (f) => (f.handshakeMicroseconds === undefined ? "" : `tcp.handshake >= ${f.handshakeMicroseconds}us`) },
	{ id: "rtt", title: "Round trip", number: true, value: (f) => sum(f.roundTripMicroseconds), text: (f) => (f.roundTripMicroseconds ? milliseconds(sum(f.roundTripMicroseconds) / 1000) : "") },
	{ id: "retransmits", title: "Sent again", number: true, value: (f) => sum(f.retransmits), text: (f) => (f.retransmits ? String(sum(f.retransmits)) : ""), term: (f) => (sum(f.retransmits) ? `tcp.retransmits >= ${sum(f.retransmits)}` : "") },
	{ id: "resets", title: "Resets", number: true, value: (f) => f.resets ?? 0, text: (f) => (f.resets ? String(f.resets) : ""), term: (f) => (f.resets ? "tcp.resets > 0" : "") },
	{ id: "dns", title: "DNS question", value: (f) => (f.dnsName ? `${f.dnsName} ${f.dnsType ?? ""} ${f.dnsCode ?? ""}`.trim() : ""), term: (f) => (f.dnsName ? `dns.name == ${quoted(f.dnsName)}` : "") },
	{ id: "seen", title: "Seen by", value: (f) => f.seenBy ?? "", term: (f) => (f.seenBy ? `seen.node == ${quoted(f.seenBy)}` : "") },
];

/** A filter and one more term; one that is there already is not said twice. */
export function withTerm(filter: string, term: string): string {
	const f = filter.trim();
	if (!term || f === term || f.split("&&").some((t) => t.trim() === term)) return f;
	if (!f) return term;
	return `${f.includes("||") && !/^\([^()]*\)$/.test(f) ? `(${f})` : f} && ${term}`;
}

/** Whether a text is words to look for in names, and no filter. */
export function isWords(text: string): boolean {
	return !/[=!<>~&|(){}:"']/.test(text) && !["tcp", "udp", "sctp", "icmp", "arp", "ip4", "ip6", "ended", "true", "false"].includes(text.trim());
}
