#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What the page does for each thing that a person does, counted, with 500 workloads and 2,000 edges that change each second: times are
// the bench's (`bench/run page`), since they depend on the machine; how many parts of the document are made, unmade and changed does not.
// The page is served by the bench's own hub.
// BR93
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "../../bench/page/load.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const folder = join(process.env.WEFT_BUILD ?? join(root, "build"), "src/hub/bundle.c.p/dist");
const program = process.env.WEFT_CHROMIUM ?? "/usr/bin/chromium";
const skip = (why) => {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
};
if (!existsSync(program)) skip(`needs ${program} (Debian's package chromium)`);
if (!existsSync(join(folder, "index.html"))) skip("the hub is built without the page");
const { chromium } = createRequire(join(root, "web/package.json"))("playwright-core");
const server = await serve(folder, 500, 2000);
const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
let count = 0, failures = 0;
const check = async (what, fn) => {
	count++;
	try {
		await fn();
		console.log(`ok ${count} - ${what}`);
	} catch (e) {
		failures++;
		console.log(`not ok ${count} - ${what}\n${String(e?.stack ?? e).replace(/^/gm, "# ")}`);
	}
};
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => browser.close().finally(() => process.exit(1)));

const page = await (await browser.newContext({ viewport: { width: 1400, height: 900 } })).newPage();
page.setDefaultTimeout(30000);
await page.goto(`http://127.0.0.1:${server.address().port}/map`);
await page.getByRole("button", { name: "Open all" }).click();
await page.locator("button.item[data-item]").nth(499).waitFor();
await page.keyboard.press("0");
const inside = await page.context().newCDPSession(page);
await inside.send("Performance.enable");

/** What changes in the plane while one thing is done, the load's frames held: elements that came and went. */
async function made(act, there) {
	await page.evaluate(() => {
		const seen = (globalThis.weftMade = { came: 0, went: 0 });
		globalThis.weftObserver?.disconnect();
		globalThis.weftObserver = new MutationObserver((list) => {
			for (const m of list) {
				for (const n of m.addedNodes) if (n.nodeType === 1) seen.came += 1 + n.querySelectorAll("*").length;
				for (const n of m.removedNodes) if (n.nodeType === 1) seen.went += 1 + n.querySelectorAll("*").length;
			}
		});
		globalThis.weftObserver.observe(document.querySelector(".plane"), { childList: true, subtree: true });
	});
	await act();
	await page.locator(there).first().waitFor();
	await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
	return page.evaluate(() => globalThis.weftMade);
}
async function few(what, act, there, most) {
	await check(`BR93 ${what}: at most ${most} parts of the plane come and go`, async () => {
		const { came, went } = await made(act, there);
		assert.ok(came + went <= most, `${came} came, ${went} went`);
	});
}
async function nodes() {
	await inside.send("HeapProfiler.collectGarbage");
	return (await inside.send("Performance.getMetrics")).metrics.find((m) => m.name === "Nodes").value;
}
const click = (selector, nth) => () => page.locator(selector).nth(nth).evaluate((b) => b.click());

// time held: what the load itself changes is not counted
await page.keyboard.press("Space");
await page.locator(".time.away").waitFor();
await check("BR93 no card clips what fits, and none is told more often than it can be read", async () => {
	// each clip is a node of the picture that is put together anew in each frame in which any card changes
	const clips = () => [...document.querySelectorAll(".plane button.item span")].filter((e) => getComputedStyle(e).overflowX !== "visible").length;
	assert.equal(await page.evaluate(clips), 0);
	await page.keyboard.press("Space");
	const told = await page.evaluate(() => new Promise((done) => {
		const cards = new Set(), o = new MutationObserver((l) => l.forEach((m) => cards.add((m.target.parentElement ?? m.target).closest?.("button.item"))));
		o.observe(document.querySelector(".plane"), { characterData: true, childList: true, subtree: true });
		setTimeout(() => { o.disconnect(); cards.delete(null); cards.delete(undefined); done(cards.size); }, 2500);
	}));
	await page.keyboard.press("Space");
	await page.locator(".time.away").waitFor();
	// three seconds' frames at most lie in it
	assert.ok(told > 0 && told <= 3 * 120, `${told} of 500 cards had another number within 2.5 s`);
});
await few("a line of the ranking, which moves the camera", click(".ranking button", 1), ".details", 40);
await few("the details closed", () => page.keyboard.press("Escape"), ".ranking", 40);
await few("a card", click("button.item[data-item]", 40), ".details", 40);
await page.keyboard.press("Escape");
await few("latency on the lines", () => page.keyboard.press("y"), ".plane canvas", 40);
await few("everything in sight", () => page.keyboard.press("0"), ".plane canvas", 40);
await few("as a table", () => page.keyboard.press("t"), "tbody tr", 40);
await few("as a picture again", () => page.keyboard.press("t"), ".picture:not(.behind) canvas", 40);
await few("boxes by node: the boxes alone are others", () => page.keyboard.press("b"), ".box.node", 300);
await page.keyboard.press("b");
await page.locator(".box.namespace").first().waitFor();

await check("BR93 views that were left are gone from memory, with all of their document", async () => {
	const visit = async () => {
		await page.locator("nav a[href='/health']").click();
		await page.locator(".plane").waitFor({ state: "detached" });
		await page.locator("nav a[href='/map']").last().click();
		await page.getByRole("button", { name: "Open all" }).click();
		await page.locator("button.item[data-item]").nth(499).waitFor();
	};
	await visit();
	const before = await nodes();
	for (let i = 0; i < 3; i++) await visit();
	const after = await nodes();
	assert.ok(after < before + 4000, `${before} parts, ${after} after three visits`);
});
await browser.close();
server.close();
server.closeAllConnections();
console.log(`1..${count}`);
process.exit(failures ? 1 : 0);
