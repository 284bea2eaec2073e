// SPDX-License-Identifier: Apache-2.0
// Measures the page's map in Chromium without a GPU, as a JSON object: first paint, frames while it is panned with 500 workloads and
// 2,000 edges of which all change each second, and how long choosing takes to be seen. `node bench/page/measure.mjs FOLDER SECONDS`.
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "./load.mjs";

const WORKLOADS = 500, EDGES = 2000;
const [folder, seconds] = process.argv.slice(2);
const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const { chromium } = createRequire(join(root, "web/package.json"))("playwright-core");
const server = await serve(resolve(folder), WORKLOADS, EDGES);
const browser = await chromium.launch({ executablePath: process.env.WEFT_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const rank = (list, part) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * part))] ?? 0;
try {
	const page = await (await browser.newContext({ viewport: { width: 1400, height: 900 } })).newPage();
	await page.goto(`http://127.0.0.1:${server.address().port}/map`);
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
	const chosen = [];
	const buttons = page.locator(".ranking button");
	for (let i = 0; i < 20; i++) {
		await page.keyboard.press("Escape");
		await buttons.nth(i % 8).waitFor();
		chosen.push(
			await buttons.nth(i % 8).evaluate(
				(b) => new Promise((done) => {
					const began = performance.now();
					b.click();
					requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
				}),
			),
		);
	}
	const sum = frames.reduce((s, f) => s + f, 0);
	console.log(JSON.stringify({ paint, frames: frames.length, perSecond: (frames.length * 1000) / sum, p50: rank(frames, 0.5), p95: rank(frames, 0.95), worst: Math.max(...frames), chosenP50: rank(chosen, 0.5), chosenP95: rank(chosen, 0.95) }));
} finally {
	await browser.close();
	server.close();
	server.closeAllConnections();
}
