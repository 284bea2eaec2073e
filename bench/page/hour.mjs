// SPDX-License-Identifier: Apache-2.0
// Looks at the page of a running hub for long, and says each minute how much memory that takes: the page's heap after a forced
// collection, its process, the one that draws (GPU; here without one), the hub's private pages. Between two minutes it visits the other views, chooses, searches and looks
// back, as a person would. No tool keeps what the page was told meanwhile: Chromium holds the bodies of all answers and streams
// for who watches its network, which Playwright does. `node bench/page/hour.mjs LINK SECONDS HUBPID`: a line of JSON each minute.
// WEFT_BENCH_SNAPSHOTS=FOLDER: what the page's heap holds after a third and at the end, for Chromium's tools; the samples are none then.
import { createRequire } from "node:module";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [link, seconds, hub] = process.argv.slice(2);
const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const playwright = createRequire(join(root, "web/package.json"))("playwright-core"), { chromium } = playwright;
const VIEWS = ["broker", "policies", "flows", "captures", "objects", "health", "changes"];
const MINUTE = 60000, END = Date.now() + Number(seconds) * 1000, MIB = 1048576;

/** MiB of pages that it alone wrote, and of all resident ones. */
function memoryOf(pid) {
	const rows = Object.fromEntries(readFileSync(`/proc/${pid}/smaps_rollup`, "ascii").split("\n").map((l) => [l.split(":")[0], Number(/(\d+) kB/.exec(l)?.[1] ?? 0)]));
	return { private: rows.Private_Dirty / 1024, resident: rows.Rss / 1024 };
}

const browser = await chromium.launch({ executablePath: process.env.WEFT_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
try {
	const page = await (await browser.newContext({ viewport: { width: 1400, height: 900 } })).newPage();
	page.setDefaultTimeout(30000);
	await page.goto(link);
	await page.waitForURL((u) => !u.pathname.startsWith("/login"));
	await page.locator("footer .live.live").waitFor();
	await page.getByRole("button", { name: "Open all" }).click();
	const inside = await page.context().newCDPSession(page), outside = await browser.newBrowserCDPSession();
	await inside.send("Performance.enable");
	if (!process.env.WEFT_BENCH_WATCHED) await page._connection.toImpl(page).delegate._mainFrameSession._client.send("Network.disable");
	const go = async (keys) => {
		for (const k of keys.split(" ")) await page.keyboard.press(k);
	};
	const visit = async (view) => {
		await page.locator(`nav a[href='/${view}']`).last().click();
		await pause(1500);
		await page.locator("nav a[href='/map']").last().click();
		await page.locator(".ranking button").first().waitFor();
		if (await page.getByRole("button", { name: "Open all" }).count()) await page.getByRole("button", { name: "Open all" }).click();
	};
	const look = async (round) => {
		await page.locator(".ranking button").nth(round % 8).evaluate((b) => b.click());
		await pause(800);
		await go("Escape");
		await page.locator("[data-item]").nth(round % 20).evaluate((b) => b.click());
		await pause(800);
		await go("Escape t");
		await pause(800);
		await go("t 0 b");
		await pause(1500);
		await go("b [");
		await pause(1500);
		await go("l / Control+a");
		await page.keyboard.type(`app-${round}`);
		await pause(800);
		await go("Control+a Delete Escape");
	};
	const sample = async (minute) => {
		// all of it in sight, nothing chosen: the same each time
		await go("Escape 0");
		await pause(2000);
		await inside.send("HeapProfiler.collectGarbage");
		const metrics = Object.fromEntries((await inside.send("Performance.getMetrics")).metrics.map((m) => [m.name, m.value]));
		const { processInfo } = await outside.send("SystemInfo.getProcessInfo");
		const sum = (type, key) => processInfo.filter((p) => p.type === type).reduce((s, p) => s + memoryOf(p.id)[key], 0);
		const h = memoryOf(hub);
		console.log(JSON.stringify({
			minute, heap: metrics.JSHeapUsedSize / MIB, heapTaken: metrics.JSHeapTotalSize / MIB, nodes: metrics.Nodes, listeners: metrics.JSEventListeners,
			documents: metrics.Documents, page: sum("renderer", "private"), pageResident: sum("renderer", "resident"), drawing: sum("GPU", "private"),
			hub: h.private, hubResident: h.resident, links: await page.locator(".ranking button").count(),
		}));
	};
	const snapshot = async (name) => {
		const file = openSync(join(process.env.WEFT_BENCH_SNAPSHOTS, `${name}.heapsnapshot`), "w");
		const write = ({ chunk }) => writeSync(file, chunk);
		inside.on("HeapProfiler.addHeapSnapshotChunk", write);
		await inside.send("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
		inside.off("HeapProfiler.addHeapSnapshotChunk", write);
		closeSync(file);
	};
	const began = Date.now(), third = Math.round(Number(seconds) / 180);
	for (let minute = 0; Date.now() < END; minute++) {
		await sample(minute);
		if (process.env.WEFT_BENCH_SNAPSHOTS && minute === third) await snapshot("third");
		if (minute % 2) await visit(VIEWS[(minute >> 1) % VIEWS.length]);
		await look(minute);
		await pause(Math.max(0, began + (minute + 1) * MINUTE - Date.now()));
	}
	if (process.env.WEFT_BENCH_SNAPSHOTS) {
		await go("Escape 0");
		await pause(2000);
		await snapshot("end");
	}
} finally {
	await browser.close();
}
