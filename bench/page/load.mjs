// SPDX-License-Identifier: Apache-2.0
// A hub for the page's bench: serves the built page and a stream as weft-hub's (doc/internals.md, "Page"), of a cluster of
// WORKLOADS workloads with EDGES edges whose rates change each second, with 1,000 flows, and with MAPS maps that lead to a quarter as
// many tools. What is measured is the page, so nothing here is real.
// `node bench/page/load.mjs FOLDER WORKLOADS EDGES [MAPS [PORT]]` serves until it is killed; the measurement imports it.
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; worker-src 'self'";
const PER_NAMESPACE = 25;

function random(seed) {
	let s = seed;
	return (n) => {
		s = (s * 1103515245 + 12345) % 2147483648;
		return Math.floor((s / 2147483648) * n);
	};
}

function cluster(workloads, edges) {
	const pick = random(11);
	const names = ["page", "cart", "orders", "stock", "search", "mail", "store", "login", "rates", "media"];
	const ends = Array.from({ length: workloads }, (_, i) => {
		const namespace = `team-${String(Math.floor(i / PER_NAMESPACE) + 1).padStart(2, "0")}`;
		return { namespace, name: `${names[i % names.length]}-${i}`, id: `${namespace}/Deployment/${names[i % names.length]}-${i}` };
	});
	const links = new Map();
	while (links.size < edges) {
		const a = pick(workloads), near = pick(4) > 0;
		const b = near ? Math.floor(a / PER_NAMESPACE) * PER_NAMESPACE + pick(PER_NAMESPACE) : pick(workloads);
		if (a < b && b < workloads) links.set(`${a}-${b}`, [a, b]);
		if (edges > (workloads * (workloads - 1)) / 4) throw new Error("too many edges for so few workloads");
	}
	return { ends, links: [...links.values()], pick };
}

const NAMESPACE_LABEL = "kubernetes.io/metadata.name", TOOLS_PER_MAP = 0.25;
const toolsOf = (maps) => Math.ceil(maps * TOOLS_PER_MAP);

function brokerObjects(c, meta) {
	const object = (kind, i, spec, status) => ({ apiVersion: "weft.network/v1alpha1", kind, metadata: meta("", `${kind === "Tool" ? "ids" : "map"}-${i}`), spec, ...(status ? { status } : {}) });
	return {
		tools: Array.from({ length: toolsOf(c.maps) }, (_, i) => object("Tool", i, { interface: { name: `ids${i}` }, capacity: "1G" }, { conditions: [{ type: "Healthy", status: "True" }] })),
		trafficmaps: Array.from({ length: c.maps }, (_, i) => {
			const e = c.ends[(i * 7) % c.ends.length];
			const from = [{ pods: { namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: e.namespace } }, podSelector: { matchLabels: { app: e.name } } } }];
			return object("TrafficMap", i, { from, to: [{ tool: `ids-${i % toolsOf(c.maps)}` }], filter: `dst.port == ${8000 + (i % 7)}` }, { conditions: [{ type: "Accepted", status: "True" }] });
		}),
	};
}

/** The broker's rates, which change each second, too. */
function brokerOf(c) {
	const rate = (i) => 100 + ((i * 7919) % 900) + c.pick(100);
	const sums = { due: 1e6, added: 0, sent: 1e6, losses: {} };
	return {
		at: Date.now(), sums: [],
		maps: Array.from({ length: c.maps }, (_, i) => ({ name: `map-${i}`, packets: rate(i), bytes: rate(i) * 700 })),
		tools: Array.from({ length: toolsOf(c.maps) }, (_, i) => ({
			tool: `ids-${i}`, port: "default", node: "node-1", kind: "interface", taking: true, due: rate(i), sent: rate(i), bytes: rate(i) * 700, losses: i % 11 ? {} : { queue: 3 }, inFlight: 0, capacity: 125e6, totals: sums,
		})),
		places: c.ends.flatMap((e, i) => [0, 1].map((k) => ({ node: "node-1", name: `${e.namespace}/${e.name}-1-${k}`, kind: "pod", seen: rate(i), copied: rate(k) }))),
	};
}

function flowsOf(c, limit) {
	const end = (e, port) => ({ kind: "pod", namespace: e.namespace, name: `${e.name}-1-0`, workloadKind: "Deployment", workload: e.name, node: "node-1", address: "10.0.0.7", port });
	const now = Date.now();
	return {
		nodes: [{ name: "node-1", age: 0.3 }], kept: 5000,
		flows: Array.from({ length: Math.min(limit, 1000) }, (_, i) => {
			const [a, b] = c.links[(i * 3) % c.links.length], at = new Date(now - i * 40).toISOString();
			return {
				record: "flow", verdict: i % 23 ? "forwarded" : "dropped", ...(i % 23 ? {} : { reason: "policy-ingress" }), state: "open", first: at, last: at, protocol: "TCP", from: end(c.ends[a], 40000 + i), to: end(c.ends[b], 8080),
				bytes: { there: 100 * i, back: 1000 + c.pick(9000) }, packets: { there: i, back: 2 * i }, seenBy: "node-1", id: String(i),
			};
		}),
	};
}

function objectsOf(c) {
	const meta = (namespace, name, more = {}) => ({ name, ...(namespace ? { namespace } : {}), uid: `${namespace}/${name}`, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z", ...more });
	const namespaces = [...new Set(c.ends.map((e) => e.namespace))];
	const nodes = ["node-1", "node-2", "node-3"];
	return {
		...brokerObjects(c, meta),
		namespaces: namespaces.map((n) => ({ apiVersion: "v1", kind: "Namespace", metadata: meta("", n) })),
		nodes: nodes.map((n) => ({ apiVersion: "v1", kind: "Node", metadata: meta("", n) })),
		deployments: c.ends.map((e) => ({ apiVersion: "apps/v1", kind: "Deployment", metadata: meta(e.namespace, e.name) })),
		replicasets: c.ends.map((e) => ({ apiVersion: "apps/v1", kind: "ReplicaSet", metadata: meta(e.namespace, `${e.name}-1`, { ownerReferences: [{ kind: "Deployment", name: e.name, uid: "", controller: true }] }) })),
		pods: c.ends.flatMap((e, i) => [0, 1].map((k) => ({
			apiVersion: "v1", kind: "Pod",
			metadata: meta(e.namespace, `${e.name}-1-${k}`, { labels: { app: e.name }, ownerReferences: [{ kind: "ReplicaSet", name: `${e.name}-1`, uid: "", controller: true }] }),
			spec: { nodeName: nodes[(i + k) % nodes.length] },
			status: { phase: "Running", conditions: [{ type: "Ready", status: (i * 7 + k) % 31 ? "True" : "False" }] },
		}))),
		services: c.ends.filter((_, i) => i % 3).map((e) => ({ apiVersion: "v1", kind: "Service", metadata: meta(e.namespace, e.name), spec: { selector: { app: e.name }, ports: [{ port: 80 }] } })),
	};
}

function edgeOf(c, i) {
	const [a, b] = c.links[i];
	const bytes = 10 ** (2 + (i % 6)) * (0.5 + c.pick(1000) / 1000);
	const refused = i % 41 === 3, hurt = i % 37 === 5;
	return {
		id: `e${i}`, from: c.ends[a].id, to: c.ends[b].id, service: null, protocol: "tcp", port: 8000 + (i % 7),
		packets: refused ? [0, 0] : [bytes / 800, bytes / 900], bytes: refused ? [0, 0] : [bytes / 3, bytes], begun: i % 5, open: i % 9,
		drops: refused || hurt ? { "policy-ingress": 1 + c.pick(9) } : {}, lost: i % 53 === 9 ? 0.4 : 0, latencyMs: refused ? null : [0.2 + ((i * 7919) % 997) / 90, 14], last: Date.now(),
	};
}

function stream(c, request, response) {
	response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
	const send = (name, data) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
	const objects = objectsOf(c);
	for (const kind of new URL(request.url, "http://x").searchParams.get("kinds").split(","))
		send("objects", { kind, snapshot: true, changes: (objects[kind] ?? []).map((object) => ({ type: "ADDED", object })) });
	send("synced", {});
	const frame = (full) => {
		const at = Date.now();
		send("graph", {
			at, seconds: 5, full, gone: [],
			ends: full ? c.ends.map((e) => ({ id: e.id, kind: "workload", namespace: e.namespace, name: e.name, workloadKind: "Deployment", pods: 2 })) : [],
			edges: c.links.map((_, i) => edgeOf(c, i)),
		});
		if (c.maps) send("broker", brokerOf(c));
		send("state", { at, nodes: [{ name: "node-1", age: 0.3 }], remarks: 0, empty: null });
	};
	frame(true);
	const timer = setInterval(() => frame(false), 1000);
	request.on("close", () => clearInterval(timer));
}

async function bodyOf(request) {
	let text = "";
	for await (const piece of request) text += piece;
	return text ? JSON.parse(text) : {};
}

export function serve(folder, workloads, edges, maps = 0, port = 0) {
	const c = { ...cluster(workloads, edges), maps };
	const server = createServer(async (request, response) => {
		const path = new URL(request.url, "http://x").pathname;
		const json = (o, status = 200) => response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(o));
		if (path === "/page/live") return stream(c, request, response);
		if (path === "/page/me") return json({ user: "bench", csrf: "x", levels: { "*": "admin" }, cluster: "bench", version: "0", writable: false, paths: [] });
		if (path === "/page/history") return json({ rows: [], unknown: [] });
		if (path === "/page/flows") return json(flowsOf(c, (await bodyOf(request)).limit ?? 1000));
		if (path.startsWith("/page/")) return json({ message: "not here" }, 404);
		let file = join(folder, normalize(path));
		if (!extname(file) || !existsSync(file)) file = join(folder, "index.html");
		response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", "Content-Security-Policy": CSP });
		createReadStream(file).pipe(response);
	});
	return new Promise((done) => server.listen(port, "127.0.0.1", () => done(server)));
}

if (process.argv[1] && import.meta.url.endsWith(process.argv[1].split("/").pop())) {
	const [folder, workloads, edges, maps, port] = process.argv.slice(2);
	const server = await serve(folder, Number(workloads), Number(edges), Number(maps ?? 0), Number(port ?? 0));
	console.log(`http://127.0.0.1:${server.address().port}/`);
}
