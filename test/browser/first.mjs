#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Somebody who never saw Weft, before the demo, with real packets: which line is the slowest, one workload's traffic to a tool and
// seen there, why a call is refused, that call allowed, and all of it undone. By mouse, and once more
// by keyboard alone.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { assert, sameRows, start, until } from "./lib.mjs";

const t = await start("first", ["examples/shop", "examples/page"], { up: ["--writable"] });
await until("all pods are ready", async () => !/ 0\/1 | Pending | Init/.test(await t.weft(["get", "pods", "-A"])), 30000);
const pods = async (ns) => (await t.weftJson(["get", "pods", "-n", ns])).items;
const addresses = async (workload) => (await pods("shop")).filter((p) => p.metadata.name.startsWith(`${workload}-`)).flatMap((p) => p.status.podIPs.map((i) => i.ip));
const ids = await t.podsOf("tools", "ids");
const [auditor] = await t.podsOf("reports", "auditor");

/** While fn runs, lines to the cluster's DNS are the slowest by far: it is stopped most of the time. */
async function withSlowNames(fn) {
	const pids = execFileSync("ip", ["netns", "pids", `weft-${t.name}-kube-system.kube-dns`], { encoding: "utf8" }).split("\n").map(Number).filter((p) => p && /unbound/.test(readFileSync(`/proc/${p}/cmdline`, "utf8")));
	assert.ok(pids.length, "unbound runs");
	const all = (signal) => pids.forEach((p) => process.kill(p, signal));
	const timer = setInterval(() => {
		all("SIGSTOP");
		setTimeout(() => all("SIGCONT"), 120);
	}, 150);
	try {
		await fn();
	} finally {
		clearInterval(timer);
		await new Promise((done) => setTimeout(done, 150));
		all("SIGCONT");
	}
}

/** What comes to both IDS pods at their own interfaces: lines of tcpdump, but for what every pod sees and sends of itself. */
function watchTools() {
	const dumps = ids.map((pod) => t.inside(pod, ["tcpdump", "-nn", "-l", "-Q", "in", "-i", "eth0", "tcp", "or", "udp"]));
	return {
		ready: () => until("tcpdump listens", () => dumps.every((d) => /listening on/.test(d.text))),
		lines: () => dumps.flatMap((d) => d.text.split("\n")).filter((l) => / IP6? /.test(l)),
		end: () => dumps.forEach((d) => d.kill("SIGTERM")),
	};
}
const { items: stores } = await t.weftJson(["get", "pods", "-n", "shop", "-l", "app=store"]);
/** Whether the auditor gets a connection to the store: a real call from its namespace. */
async function call() {
	const c = t.inside(auditor, ["python3", "-c", `import socket; socket.create_connection(("${stores[0].status.podIP}", 6379), 2)`]);
	await until("the call ends", () => c.exitCode !== null);
	assert.match(c.text, /^$|timed out|TimeoutError/, "it is refused, and fails for no other reason");
	return c.exitCode === 0;
}
/** All rows of the kernel, without those that follow from time: nothing of that is among them. */
async function sameAsBefore() {
	await until("every byte of every file is as it was", () => JSON.stringify(t.files()) === JSON.stringify(before.files));
	await until("the kernel of both nodes holds what it held, to the byte", async () => sameRows(await t.loaded(), before.rows), 20000);
}
/** Packets of the workload come to the tool, and nothing else does. */
async function onlyAtTheTool(workload) {
	const own = await addresses(workload);
	const w = watchTools();
	try {
		await w.ready();
		await until(`packets of each pod of ${workload}`, () => own.filter((a) => w.lines().some((l) => l.includes(`${a}.`))).length >= 2, 20000);
		assert.deepEqual(w.lines().filter((l) => !own.some((a) => l.includes(`${a}.`))), []);
	} finally {
		w.end();
	}
}
async function nothingAtTheTool() {
	const w = watchTools();
	try {
		await w.ready();
		// as long as it takes the others to call it a few times
		const calls = async () => (await t.weft(["flows", "dst.workload == shop/catalogue && src.workload == shop/page", "-o", "json"])).length;
		const begun = await calls();
		await until("traffic goes on", async () => (await calls()) > begun + 1000, 20000);
		assert.deepEqual(w.lines(), []);
	} finally {
		w.end();
	}
}
const before = { files: t.files(), rows: await t.loaded() };
const page = await t.open("/map", { width: 1280, height: 800 });
const card = (id) => page.locator(`[data-item="${id}"]`);
const details = page.getByRole("complementary", { name: "Details" });
const review = page.getByRole("dialog", { name: "Review the change" });
const slowest = page.getByRole("region", { name: "Slowest" });

async function middle(locator) {
	const b = await locator.boundingBox();
	return [b.x + b.width / 2, b.y + b.height / 2];
}
async function settled() {
	await until("the review can be applied", () => review.getByRole("button", { name: "Apply", exact: true }).isEnabled(), 20000);
}

await t.check("nothing of it is so before: the call is refused, the tool gets nothing", async () => {
	assert.equal(await call(), false);
	await nothingAtTheTool();
});

// --- by mouse -------------------------------------------------------------------------------------------------------
const SLOWEST = /^(\w+) → kube-dns ?([\d.]+) ms/;
const first = async () => SLOWEST.exec((await slowest.getByRole("button").first().innerText()).replace(/\s+/g, " "));
await t.check("mouse: the slowest line stands first, with its time; a click has it on the map and in words", () => withSlowNames(async () => {
	await until("a line to the DNS is first, with tens of milliseconds", async () => Number((await first())?.[2]) > 20, 20000);
	await slowest.getByRole("button").first().click();
	await details.getByRole("heading", { name: / → kube-dns$/ }).waitFor();
	await details.getByText(/half within \d+(\.\d+)? ms/).waitFor();
	await page.keyboard.press("Escape");
}));
await t.check("mouse: a workload is dragged to a tool; nothing is copied before it is applied; then the tool sees exactly its packets", async () => {
	await page.mouse.move(...(await middle(card("shop/Deployment/catalogue"))));
	await page.mouse.down();
	await page.mouse.move(...(await middle(card("tool/recorder"))), { steps: 8 });
	await page.getByTestId("carried").getByText("catalogue to recorder").waitFor();
	await page.mouse.move(...(await middle(card("tool/ids"))), { steps: 4 });
	await page.getByTestId("carried").getByText("catalogue to ids").waitFor();
	await page.mouse.up();
	const form = page.getByRole("dialog", { name: "Send packets to a tool" });
	await form.getByText(/ids would get .*bit\/s/).waitFor({ timeout: 20000 });
	await form.getByRole("button", { name: "Put into the draft" }).click();
	assert.deepEqual(t.files(), before.files);
	await page.getByRole("button", { name: "Review…" }).click();
	await review.getByText(/ids gets .*bit\/s/).waitFor({ timeout: 20000 });
	await settled();
	await review.getByRole("button", { name: "Apply", exact: true }).click();
	await review.waitFor({ state: "detached" });
	await onlyAtTheTool("catalogue");
});
await t.check("mouse: a refused line says why, and offers just this call; the review says what opens; applied, the call works", async () => {
	await page.getByRole("link", { name: "Map" }).click();
	await page.getByRole("region", { name: "Most refused" }).getByRole("button", { name: /auditor → store/ }).click();
	await details.getByRole("button", { name: "Why is it refused?" }).first().click();
	await details.getByText("✕ Refused").first().waitFor({ timeout: 20000 });
	await details.getByText(/policies\.yaml:\d+/).first().waitFor();
	await details.getByRole("button", { name: "Allow just this call…" }).click();
	await review.getByText("✓ opens").waitFor({ timeout: 20000 });
	assert.deepEqual((await review.locator(".effect").allInnerTexts()).map((x) => x.replace(/\s+/g, " ")), ["✓ opens reports/auditor → shop/store, tcp/6379 allowed by NetworkPolicy shop/store-from-auditor-6379 in the draft"]);
	assert.equal(await call(), false, "not before it is applied");
	await settled();
	await review.getByRole("button", { name: "Apply", exact: true }).click();
	await review.waitFor({ state: "detached" });
	await until("the call works", call, 15000);
	await onlyAtTheTool("catalogue");
});
async function undone(what) {
	const row = page.getByRole("listitem").filter({ hasText: what }).filter({ hasNotText: "an undo" });
	await row.getByRole("button", { name: /^Undo/ }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Undo this change" }).click();
	await page.getByRole("dialog").waitFor({ state: "detached" });
}
await t.check("BR89 mouse: both are undone; files and kernel are as they were to the byte, the call is refused, the tool gets nothing", async () => {
	await page.getByRole("link", { name: "Changes" }).click();
	await undone("allow reports/auditor → shop/store:6379");
	await undone("catalogue to ids");
	await sameAsBefore();
	assert.equal(await call(), false);
	await nothingAtTheTool();
});

// --- by keyboard alone ----------------------------------------------------------------------------------------------
const keys = page.keyboard;
const go = async (...names) => {
	for (const n of names) await keys.press(n);
};
await t.check("BR92 keyboard: the slowest line, and its words", () => withSlowNames(async () => {
	await go("g", "m");
	await until("a line to the DNS is first", async () => Number((await first())?.[2]) > 20, 20000);
	await t.tabTo(page, SLOWEST);
	await keys.press("Enter");
	await details.getByRole("heading", { name: / → kube-dns$/ }).waitFor();
	await keys.press("Escape");
	await details.waitFor({ state: "detached" });
}));
await t.check("BR92 keyboard: a workload to a tool, reviewed and applied; the tool sees exactly its packets", async () => {
	await t.tabTo(page, /^Map: arrows go/);
	await keys.press("ArrowDown");
	await page.locator("[data-item]:focus").waitFor();
	// arrows lead to every card: towards this one, by the longer way first, and round what has no next card there
	const way = () => page.evaluate(() => {
		const at = document.activeElement, to = document.querySelector('[data-item="shop/Deployment/catalogue"]');
		const a = at.getBoundingClientRect(), b = to.getBoundingClientRect(), dx = b.x - a.x, dy = b.y - a.y;
		const keys = [dx < 0 ? "ArrowLeft" : "ArrowRight", dy < 0 ? "ArrowUp" : "ArrowDown"];
		return { id: at.getAttribute("data-item"), keys: Math.abs(dx) < Math.abs(dy) ? keys.reverse() : keys };
	});
	const been = new Set();
	for (let i = 0; i < 40; i++) {
		const { id, keys: next } = await way();
		if (id === "shop/Deployment/catalogue") break;
		const key = [...next, "ArrowUp", "ArrowRight", "ArrowDown", "ArrowLeft"].find((k) => !been.has(`${id} ${k}`)) ?? "ArrowDown";
		been.add(`${id} ${key}`);
		await keys.press(key);
		// the focus goes with the next frame; where no card lies that way it stays
		await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
		await page.waitForFunction(() => document.activeElement?.hasAttribute("data-item"));
	}
	await until("catalogue has the focus", () => page.evaluate(() => document.activeElement?.getAttribute("data-item") === "shop/Deployment/catalogue"));
	await keys.press("c");
	const form = page.getByRole("dialog", { name: "Send packets to a tool" });
	await form.waitFor();
	await t.tabTo(page, /^Tool/);
	await keys.type("ids");
	await form.getByText(/ids would get .*bit\/s/).waitFor({ timeout: 20000 });
	await t.tabTo(page, "Put into the draft");
	await keys.press("Enter");
	await form.waitFor({ state: "detached" });
	await keys.press("Control+Enter");
	await review.getByText(/ids gets .*bit\/s/).waitFor({ timeout: 20000 });
	await settled();
	await t.tabTo(page, "Apply");
	await keys.press("Enter");
	await review.waitFor({ state: "detached" });
	await onlyAtTheTool("catalogue");
});
await t.check("BR92 keyboard: why it is refused, just this call, what opens, and it works", async () => {
	await go("g", "m");
	await page.getByRole("region", { name: "Most refused" }).getByRole("button", { name: /auditor → store/ }).waitFor({ timeout: 20000 });
	await t.tabTo(page, /^auditor → store ?[\d.]+\/s/);
	await keys.press("Enter");
	await t.tabTo(page, "Why is it refused?");
	await keys.press("Enter");
	await details.getByText("✕ Refused").first().waitFor({ timeout: 20000 });
	await details.getByRole("button", { name: "Allow just this call…" }).waitFor();
	await keys.press("a");
	await review.getByText("✓ opens").waitFor({ timeout: 20000 });
	await settled();
	await t.tabTo(page, "Apply");
	await keys.press("Enter");
	await review.waitFor({ state: "detached" });
	await until("the call works", call, 15000);
});
await t.check("BR89 BR92 keyboard: both are undone; files and kernel are as they were to the byte", async () => {
	await go("g", "h");
	for (const what of ["allow reports/auditor → shop/store:6379", "catalogue to ids"]) {
		await until("the history is there", async () => (await page.getByRole("button", { name: `Undo ${what}`, exact: true }).count()) > 1);
		await t.tabTo(page, `Undo ${what}`);
		await keys.press("Enter");
		const sure = page.getByRole("dialog").getByRole("button", { name: "Undo this change" });
		await until("it can be undone", () => sure.isEnabled());
		await t.tabTo(page, "Undo this change");
		await keys.press("Enter");
		await page.getByRole("dialog").waitFor({ state: "detached" });
	}
	await sameAsBefore();
	assert.equal(await call(), false);
	await nothingAtTheTool();
});
await t.finish();
