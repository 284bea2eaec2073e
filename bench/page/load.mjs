// SPDX-License-Identifier: Apache-2.0
// A hub for the page's bench: serves the built page and a stream as weft-hub's (doc/internals.md, "Page"), of a cluster of
// WORKLOADS workloads with EDGES edges whose rates change each second. What is measured is the page, so nothing here is real.
// `node bench/page/load.mjs FOLDER WORKLOADS EDGES [PORT]` serves until it is killed; the measurement imports it.
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

function objectsOf(c) {
	const meta = (namespace, name, more = {}) => ({ name, ...(namespace ? { namespace } : {}), uid: `${namespace}/${name}`, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z", ...more });
	const namespaces = [...new Set(c.ends.map((e) => e.namespace))];
	const nodes = ["node-1", "node-2", "node-3"];
	return {
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
		send("state", { at, nodes: [{ name: "node-1", age: 0.3 }], remarks: 0, empty: null });
	};
	frame(true);
	const timer = setInterval(() => frame(false), 1000);
	request.on("close", () => clearInterval(timer));
}

export function serve(folder, workloads, edges, port = 0) {
	const c = cluster(workloads, edges);
	const server = createServer((request, response) => {
		const path = new URL(request.url, "http://x").pathname;
		const json = (o, status = 200) => response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(o));
		if (path === "/page/live") return stream(c, request, response);
		if (path === "/page/me") return json({ user: "bench", csrf: "x", levels: { "*": "admin" }, cluster: "bench", version: "0", writable: false, paths: [] });
		if (path === "/page/history") return json({ rows: [], unknown: [] });
		if (path === "/page/flows") return json({ flows: [] });
		if (path.startsWith("/page/")) return json({ message: "not here" }, 404);
		let file = join(folder, normalize(path));
		if (!extname(file) || !existsSync(file)) file = join(folder, "index.html");
		response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", "Content-Security-Policy": CSP });
		createReadStream(file).pipe(response);
	});
	return new Promise((done) => server.listen(port, "127.0.0.1", () => done(server)));
}

if (process.argv[1] && import.meta.url.endsWith(process.argv[1].split("/").pop())) {
	const [folder, workloads, edges, port] = process.argv.slice(2);
	const server = await serve(folder, Number(workloads), Number(edges), Number(port ?? 0));
	console.log(`http://127.0.0.1:${server.address().port}/`);
}
