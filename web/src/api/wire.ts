// SPDX-License-Identifier: Apache-2.0
// What the hub's own answers for the page look like (doc/internals.md, "Page"). Rates are per second. Types only.

export type Level = "view" | "capture" | "operate" | "admin";

export interface Me {
	user: string;
	csrf: string;
	levels: Record<string, Level>;
	cluster: string;
	version: string;
	writable: boolean;
	paths: string[];
	/** Of a broker host without a cluster: its name; null: this is a cluster. */
	host: string | null;
}

export interface Meta {
	name: string;
	namespace?: string;
	uid?: string;
	resourceVersion?: string;
	creationTimestamp?: string;
	deletionTimestamp?: string;
	labels?: Record<string, string>;
	annotations?: Record<string, string>;
	ownerReferences?: { kind: string; name: string; uid: string; controller?: boolean }[];
}

/** An object as the API gives it; S and T are its spec and status. */
export interface ApiObject<S = unknown, T = unknown> {
	apiVersion: string;
	kind: string;
	metadata: Meta;
	spec?: S;
	status?: T;
}

export interface ObjectsEvent {
	kind: string;
	snapshot?: boolean;
	changes: { type: "ADDED" | "MODIFIED" | "DELETED"; object: ApiObject }[];
}

export type EndKind = "workload" | "service" | "node" | "outside" | "unknown" | "hidden";
export interface End {
	id: string;
	kind: EndKind;
	namespace?: string;
	name?: string;
	workloadKind?: string;
	pods?: number;
}
export interface Edge {
	id: string;
	from: string;
	to: string;
	service?: string | null;
	protocol: string;
	port: number;
	packets: [number, number];
	bytes: [number, number];
	begun: number;
	open: number;
	drops: Record<string, number>;
	lost?: number;
	latencyMs: [number, number] | null;
	last: number;
}
export interface GraphEvent {
	at: number;
	seconds: number;
	full: boolean;
	ends: End[];
	edges: Edge[];
	gone: string[];
}

export interface ToolRate {
	tool: string;
	port: string;
	node: string;
	kind: string;
	taking: boolean;
	due: number;
	sent: number;
	bytes: number;
	losses: Record<string, number>;
	inFlight: number;
	capacity: number | null;
	totals: { due: number; added: number; sent: number; losses: Record<string, number> };
}
/** What went one way through a port: a second, and since the interface is there. */
export interface PortWay {
	packets: number;
	bytes: number;
	errors: number;
	drops: number;
	packetsAll: number;
	bytesAll: number;
	errorsAll: number;
	dropsAll: number;
}
/** An interface of a broker host. */
export interface PortEvent {
	name: string;
	kind: string;
	link: "up" | "no-carrier" | "down" | "absent";
	role: "in" | "feed" | "tool" | "both" | "none";
	mtu: number;
	/** It has an address of this host: it can be no feed. */
	address: boolean;
	/** bit/s; null: not known. */
	speed: number | null;
	in: PortWay;
	out: PortWay;
}
export interface BrokerEvent {
	at: number;
	/** `part`: the map took more, which nobody counts by map. */
	maps: { name: string; packets: number; bytes: number; part?: boolean }[];
	tools: ToolRate[];
	/** `seen` passed there, `taken` is wanted by some tool: by the kernel's counters, null where they could not be read; `copied` came
	    to weft-copier, which what goes straight to tools does not. */
	places: { node: string; name: string; kind: string; seen: number | null; taken: number | null; copied: number }[];
	sums: { sum: string; says: "exact" | "within" | "wrong" | "unknown"; off: number }[];
	/** Of a broker host. */
	ports?: PortEvent[];
	/** The files say what is not in force: they have an error. */
	stale?: boolean;
}
export interface StateEvent {
	at: number;
	nodes: { name: string; age: number | null }[];
	remarks: number;
	empty: string | null;
}

export interface Edit {
	verb: "put" | "delete";
	kind: string;
	namespace?: string;
	name: string;
	yaml?: string;
	resourceVersion?: string;
	file?: string;
}
export interface Remark {
	edit?: number;
	level: "error" | "warning" | "hint";
	file?: string;
	line: number;
	column: number;
	length: number;
	text: string;
	hint?: string;
}
export interface Conflict {
	edit: number;
	kind: string;
	namespace?: string;
	name: string;
	why: string;
}
export interface ChangedObject {
	kind: string;
	namespace?: string;
	name: string;
	verb: "created" | "changed" | "removed";
	before?: string | null;
	after?: string | null;
	/** Its text is in one of the change's files. */
	inFile?: boolean;
	file?: string;
}
export interface Change {
	id: string | null;
	at?: number | string;
	user?: string;
	name?: string;
	reason?: string;
	undoes?: string | null;
	undone?: string | null;
	files?: { path: string; diff: string | null }[];
	objects: ChangedObject[];
	remarks?: Remark[];
}
