// SPDX-License-Identifier: Apache-2.0
// Measures the page's map in Chromium without a GPU, as a JSON object: first paint, frames while it is panned with 500 workloads and
// 2,000 edges of which all change each second, and how long what a person does takes to be seen, there, over 1,000 flows and over 200 maps of
// the broker: milliseconds by kind. `node bench/page/measure.mjs FOLDER SECONDS ROUNDS`.
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brokerHands, flowHands, mapHands } from "./interact.mjs";
import { serve } from "./load.mjs";

const WORKLOADS = 500, EDGES = 2000, MAPS = 200;
const [folder, seconds, rounds] = process.argv.slice(2);
const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const { chromium } = createRequire(join(root, "web/package.json"))("playwright-core");
const server = await serve(resolve(folder), WORKLOADS, EDGES, MAPS);
const at = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({ executablePath: process.env.WEFT_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const rank = (list, part) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * part))] ?? 0;
try {
	const page = await (await browser.newContext({ viewport: { width: 1400, height: 900 } })).newPage();
	await page.goto(`${at}/map`);
	const paint = await page.evaluate(() => new Promise((done) => new PerformanceObserver((l) => done(l.getEntries().at(-1).startTime)).observe({ type: "paint", buffered: true })));
	await page.getByRole("button", { name: "Open all" }).click();
	await page.keyboard.press("0");
	await page.waitForTimeout(1500);
	const box = { x: 600, y: 450 };
	await page.evaluate(() => {
		const frames = (globalThis.weftFrames = []);
		let last = performance.now();
		const tick = (now) => {
			frames.push(now - last);
			last = now;
			requestAnimationFrame(tick);
		};
		requestAnimationFrame(tick);
	});
	await page.mouse.move(box.x, box.y);
	await page.mouse.down();
	await page.evaluate(() => void (globalThis.weftFrames.length = 0));
	const end = Date.now() + Number(seconds) * 1000;
	for (let i = 0; Date.now() < end; i++) await page.mouse.move(box.x + 180 * Math.sin(i / 14), box.y + 140 * Math.sin(i / 9));
	const frames = await page.evaluate(() => globalThis.weftFrames.slice());
	await page.mouse.up();
	const hands = {}, cpu = {};
	const take = (h) => [Object.assign(hands, h.times), Object.assign(cpu, h.cpu)];
	take(await mapHands(page, Number(rounds)));
	await page.goto(`${at}/flows`);
	await page.locator("tbody tr").nth(20).waitFor();
	take(await flowHands(page, Number(rounds)));
	await page.goto(`${at}/broker`);
	await page.locator("article.map").nth(MAPS - 1).waitFor();
	take(await brokerHands(page, Number(rounds)));
	const sum = frames.reduce((s, f) => s + f, 0);
	console.log(JSON.stringify({ paint, frames: frames.length, perSecond: (frames.length * 1000) / sum, p50: rank(frames, 0.5), p95: rank(frames, 0.95), worst: Math.max(...frames), hands, cpu }));
} finally {
	await browser.close();
	server.close();
	server.closeAllConnections();
}
