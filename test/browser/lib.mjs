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
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
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
	async weft(args, { may = [0], input } = {}) {
		try {
			const p = run(weft, [...args, "--name", this.name], { maxBuffer: 64 << 20 });
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

	/** A page that is logged in, at PATH, synced with the hub. */
	async open(path, { theme = "light", width = 1400, height = 900, reducedMotion = "no-preference", zoom = 1 } = {}) {
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
		await page.goto(await this.login());
		await page.waitForURL((u) => !u.pathname.startsWith("/login"));
		await page.goto(new URL(path, this.url).href);
		await page.locator("footer .live.live").waitFor();
		await page.locator("main [aria-busy=true]").waitFor({ state: "detached" });
		return page;
	}

	/** A fresh login link. */
	async login() {
		const out = await this.weft(["ui"]);
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

export { assert };
