// SPDX-License-Identifier: Apache-2.0
// For tests of the page in a browser: starts a cluster of its own, logs in, drives Chromium, counts checks as TAP, and leaves
// nothing behind, however the test ends. A test imports it, calls start(), then check() for each thing, then finish():
//
//	const t = await start("map", ["examples/shop"]);
//	const page = await t.open("/map");
//	await t.check("a pod is on the map", async () => { await page.getByRole("button", { name: "Deployment page" }).waitFor(); });
//	await t.finish();
//
// Skips by name where a browser or a cluster cannot run. Screenshots go to $WEFT_BUILD/test-logs/page/.
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const build = process.env.WEFT_BUILD ?? join(root, "build");
const weft = process.env.WEFT ?? join(build, "src/cli/weft");
const chromium = process.env.WEFT_CHROMIUM ?? "/usr/bin/chromium";
const run = promisify(execFile);
const WAIT_MS = 10000;

/** An address as BPF maps hold it. */
function hexOf(ip) {
	if (ip.includes(".")) return `00000000000000000000ffff${ip.split(".").map((n) => Number(n).toString(16).padStart(2, "0")).join("")}`;
	const [a, b = ""] = ip.split("::"), left = a.split(":").filter(Boolean), right = b.split(":").filter(Boolean);
	return [...left, ...Array(8 - left.length - right.length).fill("0"), ...right].map((w) => w.padStart(4, "0")).join("");
}

/** BPF maps that the plan writes, and those that say what is copied where. */
const LOADED = [
	...readFileSync(join(root, "tables/maps.def"), "utf8").matchAll(/^BPF_MAP\((\w+),[^"]*, PLAN, "/gm),
].map((m) => m[1]).concat("tap", "outlet", "edit");

let count = 0, failures = 0;

function skip(why) {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
}

/** Tries until fn gives something that is true, and gives that; what went wrong last stands in the error. */
export async function until(what, fn, ms = WAIT_MS) {
	const end = Date.now() + ms;
	let last = "";
	for (;;) {
		try {
			const r = await fn();
			if (r) return r;
		} catch (e) {
			last = `: ${e.message}`;
		}
		if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}${last}`);
		await new Promise((done) => setTimeout(done, 50));
	}
}

function playwright() {
	const web = join(root, "web/package.json");
	try {
		return createRequire(web)("playwright-core");
	} catch {
		skip("web/node_modules is not there (tools/web)");
	}
}

class Session {
	constructor(name, folder, browser, url) {
		this.name = name;
		this.folder = folder;
		this.browser = browser;
		this.url = url;
		this.children = [];
		this.contexts = [];
		/** What the pages said on their consoles as errors, and what they threw. */
		this.errors = [];
	}

	/** One check of the test, counted; a failure is told and the test goes on. */
	async check(what, fn) {
		count++;
		try {
			await fn();
			console.log(`ok ${count} - ${what}`);
		} catch (e) {
			failures++;
			console.log(`not ok ${count} - ${what}`);
			console.log(String(e?.stack ?? e).replace(/^/gm, "# "));
			await this.shotOnFailure();
		}
	}

	/** weft COMMAND of this cluster: its standard output; throws where it fails unless `may` holds its status. */
	async weft(args, { may = [0], input, name = this.name } = {}) {
		try {
			const p = run(weft, [...args, "--name", name], { maxBuffer: 64 << 20 });
			if (input !== undefined) p.child.stdin.end(input);
			return (await p).stdout;
		} catch (e) {
			if (may.includes(e.code)) return e.stdout;
			throw new Error(`weft ${args.join(" ")}: ${e.stderr || e.message}`);
		}
	}
	async weftJson(args, options) {
		return JSON.parse(await this.weft([...args, "-o", "json"], options));
	}

	/** Runs a command in a pod's namespace, in a node's as "node:NAME", or in that of the outside host as "outside". */
	inside(place, command, options = {}) {
		const ns = place === "outside" ? "outside" : place.startsWith("node:") ? place.slice(5) : place.replace("/", ".");
		const child = spawn("ip", ["netns", "exec", `weft-${this.name}-${ns}`, ...command], { stdio: ["ignore", "pipe", "pipe"], ...options });
		this.children.push(child);
		child.text = "";
		child.stdout?.on("data", (d) => (child.text += d));
		child.stderr?.on("data", (d) => (child.text += d));
		return child;
	}

	/** The full names "ns/pod" of a workload's pods. */
	async podsOf(namespace, workload) {
		const list = await this.weftJson(["get", "pods", "-n", namespace]);
		return list.items.map((p) => `${namespace}/${p.metadata.name}`).filter((p) => p.startsWith(`${namespace}/${workload}-`));
	}

	/** All bytes of all manifests of this cluster, by path. */
	files() {
		const out = {};
		for (const f of readdirSync(this.folder, { recursive: true, withFileTypes: true })) {
			const path = join(f.parentPath ?? f.path, f.name);
			if (f.isFile()) out[path] = readFileSync(path, "latin1");
		}
		return out;
	}

	/** What the kernel holds on each node: the rows of every BPF map that the plan writes and of those that say what is copied,
	    sorted, as "node map key value" in hexadecimal. Slots of arrays that hold nothing are left out. */
	async loaded() {
		const rows = [];
		const base = `/run/weft/${this.name}/bpf`;
		for (const node of readdirSync(base, { withFileTypes: true }).filter((d) => d.isDirectory()).map((d) => d.name))
			for (const layout of readdirSync(join(base, node)))
				for (const map of LOADED) {
					const { stdout } = await run("bpftool", ["-j", "map", "dump", "pinned", join(base, node, layout, map)], { maxBuffer: 256 << 20 });
					for (const { key, value } of JSON.parse(stdout || "[]")) {
						const hex = (bytes) => bytes.map((b) => b.slice(2)).join("");
						if (/[^0]/.test(hex(value))) rows.push(`${node} ${map} ${hex(key)} ${hex(value)}`);
					}
				}
		return rows.sort();
	}

	/** loaded(), told by what it means in place of what differs from cluster to cluster: addresses and interfaces of pods are
	    their names, lists of backends are what is in them, tapped places are pods. Sets, classes and rules have hashes already. */
	async comparable() {
		const { items } = await this.weftJson(["get", "pods", "-A"]);
		const names = new Map();
		for (const p of items)
			for (const { ip } of p.status.podIPs) names.set(hexOf(ip), `<${p.metadata.namespace}/${p.metadata.name.replace(/-[a-z0-9]{5}$/, "")} ${ip.includes(".") ? 4 : 6}>`);
		const rows = (await this.loaded()).map((r) => r.split(" "));
		const named = (hex) => names.get(hex) ?? hex;
		const at = new Map(), lists = new Map();
		for (const [node, map, key, value] of rows)
			if (map === "iface") at.set(`${node} ${key}`, named(value.slice(0, 32)));
			else if (map === "backend") lists.set(key.slice(0, 8), [...(lists.get(key.slice(0, 8)) ?? []), `${named(value.slice(0, 32))}:${value.slice(32, 36)}`]);
		const list = (id) => (lists.get(id) ?? [id]).sort().join("+");
		return rows.flatMap(([node, map, key, value]) => {
			const row = (k, v) => [`${node} ${map} ${k} ${v}`];
			if (map === "endpoint") return row(named(key), value.slice(8, 32) + value.slice(48));
			if (map === "iface") return row(named(value.slice(0, 32)), value.slice(64, 88) + value.slice(104));
			if (map === "address") return row(named(key), value.slice(0, 24));
			if (map === "config") return row(key, value.slice(0, 116) + value.slice(128)); // without the uplink's MAC
			if (map === "service") return row(key, [list(value.slice(0, 8)), value.slice(8, 16), list(value.slice(16, 24)), value.slice(24)].join(" "));
			if (map === "tap") return row(at.get(`${node} ${key}`) ?? key, value.slice(24, 32) + value.slice(48, 80) + value.slice(80).replace(/.{8}(.{32})/g, "$1"));
			if (["backend", "outlet", "edit"].includes(map)) return [];
			return row(key, value);
		}).sort();
	}
	/** Another cluster, of the test's own making. */
	another(name) {
		return new Session(name, join(this.folder, name), null, "");
	}

	/** A page that is logged in, at PATH, synced with the hub. */
	async open(path, { theme = "light", width = 1400, height = 900, reducedMotion = "no-preference", zoom = 1, user } = {}) {
		const context = await this.browser.newContext({
			viewport: { width: Math.round(width / zoom), height: Math.round(height / zoom) }, deviceScaleFactor: zoom, colorScheme: theme, reducedMotion,
			ignoreHTTPSErrors: true, acceptDownloads: true,
		});
		this.contexts.push(context);
		await context.addInitScript((t) => localStorage.setItem("weft-theme", t), theme);
		const page = await context.newPage();
		page.setDefaultTimeout(WAIT_MS);
		page.on("pageerror", (e) => this.errors.push(`${path}: ${e.message}`));
		page.on("console", (m) => m.type() === "error" && this.errors.push(`${path}: ${m.text()}`));
		await page.goto(await this.login(user));
		await page.waitForURL((u) => !u.pathname.startsWith("/login"));
		await page.goto(new URL(path, this.url).href);
		await page.locator("footer .live.live").waitFor();
		await page.locator("main [aria-busy=true]").waitFor({ state: "detached" });
		return page;
	}

	/** Goes on with a key until what has the focus is what is meant: a name as screen readers say it, or an expression for it. */
	async tabTo(page, name, { key = "Tab", most = 250 } = {}) {
		const seen = [];
		for (let i = 0; i < most; i++) {
			const at = await page.evaluate(() => {
				const e = document.activeElement;
				if (!e || e === document.body) return "";
				const label = e.labels?.[0]?.textContent ?? "";
				return (e.getAttribute("aria-label") || label || e.textContent || e.title || "").replace(/\s+/g, " ").trim();
			});
			if (typeof name === "string" ? at === name : name.test(at)) return at;
			seen.push(at);
			await page.keyboard.press(key);
		}
		throw new Error(`${key} never comes to ${name}; it came to: ${[...new Set(seen)].slice(0, 60).join(" | ")}`);
	}

	/** A fresh login link. */
	async login(user) {
		const out = await this.weft(["ui", ...(user ? ["--user", user] : [])]);
		const m = /https?:\/\/\S+\/login\/\S+/.exec(out);
		assert.ok(m, `weft ui prints a login link: ${out}`);
		return m[0];
	}

	/** Writes a screenshot for people to look at. */
	async shot(page, name) {
		const folder = join(build, "test-logs/page");
		mkdirSync(folder, { recursive: true });
		await page.screenshot({ path: join(folder, `${name}.png`) });
	}
	async shotOnFailure() {
		for (const [i, c] of this.contexts.entries())
			for (const p of c.pages()) await this.shot(p, `failed-${this.name}-${count}-${i}`).catch(() => {});
	}

	/** What axe-core finds wrong on a page, as lines; none is right. */
	async axe(page) {
		const source = readFileSync(createRequire(join(root, "web/package.json")).resolve("axe-core/axe.min.js"), "utf8");
		await page.evaluate(source);
		const found = await page.evaluate(async () => {
			const r = await globalThis.axe.run(document, { resultTypes: ["violations"] });
			return r.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.failureSummary?.split("\n").slice(1, 3).join(" ").trim()}`));
		});
		return found;
	}

	async end() {
		for (const c of this.children) if (c.exitCode === null && c.signalCode === null) c.kill("SIGKILL");
		await this.browser?.close().catch(() => {});
		this.down();
	}
	down() {
		try {
			execFileSync(weft, ["down", "--name", this.name], { stdio: "ignore" });
		} catch {
			// is down
		}
		rmSync(this.folder, { recursive: true, force: true });
	}

	/** Errors that no test expected are a check of their own; then all goes, and the process ends. */
	async finish({ expected = [] } = {}) {
		await this.check("the page threw nothing and its console has no errors", () => {
			assert.deepEqual(this.errors.filter((e) => !expected.some((x) => e.includes(x))), []);
		});
		await this.end();
		console.log(`1..${count}`);
		process.exit(failures ? 1 : 0);
	}
}

/** A cluster of these manifests (folders, files; copied, so that a test may write them), and a browser. */
export async function start(name, manifests, { up = [] } = {}) {
	if (process.getuid() !== 0) skip("needs root");
	if (!existsSync(chromium)) skip(`needs ${chromium} (Debian's package chromium)`);
	const { chromium: engine } = playwright();
	try {
		execFileSync(weft, ["doctor"], { stdio: "ignore" });
	} catch {
		skip("this machine lacks what `weft doctor` names");
	}
	const folder = mkdtempSync(`/tmp/weft-t-${name}.`);
	const session = new Session(`t-page-${name}-${process.pid}`, folder, null, "");
	for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"])
		process.on(signal, () => {
			for (const c of session.children) c.kill("SIGKILL");
			session.down();
			process.exit(1);
		});
	try {
		execFileSync("cp", ["-r", ...manifests.map((m) => resolve(root, m)), folder]);
		execFileSync("chmod", ["-R", "a+rX", folder]);
		await session.weft(["up", folder, "-d", ...up]);
		session.url = new URL(await session.login()).origin;
		session.browser = await engine.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
	} catch (e) {
		console.log(`not ok 1 - a cluster and a browser\n${String(e?.stack ?? e).replace(/^/gm, "# ")}\n1..1`);
		await session.end();
		process.exit(1);
	}
	return session;
}

/** Two sorted lists of rows are the same; else an error with the rows that are not in both. */
export function sameRows(now, wanted) {
	const gone = wanted.filter((r) => !now.includes(r)), more = now.filter((r) => !wanted.includes(r));
	assert.ok(!gone.length && !more.length && now.length === wanted.length, [...gone.map((r) => `gone: ${r}`), ...more.map((r) => `more: ${r}`)].slice(0, 12).join("\n"));
	return true;
}

/** A broker host: a network namespace with these interfaces, whose other ends ("eth1:gen1") are in another one; weft broker with a
 * page in it, and a browser beside it. */
class Host extends Session {
	/** Runs a command in the host's namespace, or in that of the other ends: its output, or (inside) the running child. */
	netns(command, ns = this.ns) {
		return execFileSync("ip", ["netns", "exec", ns, ...command], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
	}
	inside(command) {
		const child = spawn("ip", ["netns", "exec", this.far, ...command], { stdio: ["ignore", "pipe", "pipe"] });
		this.children.push(child);
		child.text = "";
		child.stdout.on("data", (d) => (child.text += d));
		child.stderr.on("data", (d) => (child.text += d));
		return child;
	}
	/** UDP frames to this port, out of an interface. */
	send(link, port, n) {
		const frame = `
import socket, struct
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 228, 7, 0, 64, 17, 0, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
total = sum(struct.unpack("!10H", head))
total = (total >> 16) + (total & 0xffff)
head = head[:10] + struct.pack("!H", ~total & 0xffff) + head[12:]
frame = bytes.fromhex("020000000002020000000001") + b"\\x08\\x00" + head + struct.pack("!HHHH", 99, ${port}, 208, 0) + bytes(200)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("${link}", 0))
for i in range(${n}): s.send(frame)`;
		this.netns(["python3", "-c", frame], this.far);
	}
	/** The hub's process; 0: there is none now. */
	hub() {
		const out = execFileSync("ps", ["-o", "pid=,comm=", "--ppid", String(this.broker.pid)], { encoding: "utf8" });
		return Number(/^ *(\d+) weft-hub$/m.exec(out)?.[1] ?? 0);
	}
	down() {
		if (this.broker && this.broker.exitCode === null) {
			this.broker.kill("SIGINT");
			for (let i = 0; i < 100 && existsSync(`/proc/${this.broker.pid}/fd/0`); i++) execFileSync("sleep", ["0.1"]);
		}
		for (const ns of [this.ns, this.far])
			try {
				execFileSync("ip", ["netns", "del", ns], { stdio: "ignore" });
			} catch {
				// is gone
			}
		rmSync(this.folder, { recursive: true, force: true });
	}
}

export async function startHost(name, pairs, files, { users = {}, args = ["--writable"] } = {}) {
	if (process.getuid() !== 0) skip("needs root");
	if (!existsSync(chromium)) skip(`needs ${chromium} (Debian's package chromium)`);
	const { chromium: engine } = playwright();
	const folder = mkdtempSync(`/tmp/weft-t-${name}.`);
	const host = new Host(`t-${name}-${process.pid}`, folder, null, "");
	host.ns = `weft-t-${name}-${process.pid}`;
	host.far = `${host.ns}-far`;
	host.program = weft;
	for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"])
		process.on(signal, () => {
			for (const c of host.children) c.kill("SIGKILL");
			host.down();
			process.exit(1);
		});
	try {
		for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
		writeFileSync(join(folder, "users.yaml"), Object.entries(users).map(([u, level]) => execFileSync(weft, ["user", u, "--no-password", "--level", level], { encoding: "utf8" })).join("---\n"));
		execFileSync("chmod", ["-R", "a+rX", folder]);
		for (const ns of [host.ns, host.far]) {
			execFileSync("ip", ["netns", "add", ns]);
			host.netns(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"], ns);
		}
		host.netns(["ip", "link", "set", "lo", "up"]);
		for (const [a, b] of pairs.map((p) => p.split(":"))) {
			host.netns(["ip", "link", "add", a, "type", "veth", "peer", "name", b, "netns", host.far]);
			host.netns(["ip", "link", "set", a, "up"]);
			host.netns(["ip", "link", "set", b, "up"], host.far);
		}
		host.broker = spawn("ip", ["netns", "exec", host.ns, weft, "broker", ...Object.keys(files).map((f) => join(folder, f)), join(folder, "users.yaml"), "--page", "--name", host.name, ...args], { stdio: ["ignore", "pipe", "pipe"] });
		host.said = "";
		for (const s of [host.broker.stdout, host.broker.stderr]) s.on("data", (d) => (host.said += d));
		await until(`the broker prints a link: ${host.said}`, () => /page: http\S+/.test(host.said), 20000);
		host.url = new URL(/page: (http\S+)/.exec(host.said)[1]).origin;
		// a browser in the same namespace: the page is on its loopback
		const there = join(folder, "chromium");
		writeFileSync(there, `#!/bin/sh\nexec ip netns exec ${host.ns} ${chromium} "$@"\n`, { mode: 0o755 });
		host.browser = await engine.launch({ executablePath: there, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
	} catch (e) {
		console.log(`not ok 1 - a broker host and a browser\n${String(`${e?.stack ?? e}\n${host.said}`).replace(/^/gm, "# ")}\n1..1`);
		await host.end();
		process.exit(1);
	}
	return host;
}

export { assert };
