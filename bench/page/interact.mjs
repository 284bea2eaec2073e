// SPDX-License-Identifier: Apache-2.0
// How long what a person does at the page takes until it is seen, by kind: real mouse and real keys, from the input's own time until
// the frame that shows it. A frame is what the browser says (Event Timing), or the first one in which the awaited thing is there,
// whichever is later. Gives the milliseconds of each.

import { readFileSync } from "node:fs";

/** In the page: notes inputs and their frames. */
const WATCH = () => {
	const w = (globalThis.weftWatch = { began: 0, seen: [] });
	for (const name of ["pointerdown", "keydown"]) addEventListener(name, (e) => (w.began ||= e.timeStamp), { capture: true, passive: true });
	new PerformanceObserver((l) => w.seen.push(...l.getEntries().filter((e) => e.interactionId))).observe({ type: "event", durationThreshold: 16 });
};
/** In the page: the time from the input until `there` gives true and that is drawn; there is a text, since it goes to the page. */
const AWAIT = ([there, most]) => new Promise((done, fail) => {
	const test = new Function(`return ${there}`), end = performance.now() + most;
	const look = () => {
		if (globalThis.weftWatch.began && test()) setTimeout(() => done(performance.now() - globalThis.weftWatch.began));
		else if (performance.now() > end) fail(new Error(`not within ${most} ms: ${there}`));
		else requestAnimationFrame(look);
	};
	look();
});
const LONGEST = () => Math.max(0, ...globalThis.weftWatch.seen.map((e) => e.duration));

const MOST = 5000;

export class Hands {
	constructor(page) {
		this.page = page;
		/** kind → milliseconds of CPU of the page's main thread meanwhile, that of the load's frames included */
		this.cpu = {};
		/** kind → milliseconds */
		this.times = {};
	}
	async watch() {
		const s = await this.page.context().browser().newBrowserCDPSession();
		const { processInfo } = await s.send("SystemInfo.getProcessInfo");
		this.pid = processInfo.filter((p) => p.type === "renderer").sort((a, b) => b.cpuTime - a.cpuTime)[0].id;
		await this.page.evaluate(WATCH);
	}
	spent() {
		return Number(readFileSync(`/proc/${this.pid}/task/${this.pid}/schedstat`, "ascii").split(" ")[0]) / 1e6;
	}
	/** Does one thing, and waits until `there` (an expression in the page) holds. */
	async time(kind, act, there = "true") {
		await this.page.evaluate(() => Object.assign(globalThis.weftWatch, { began: 0, seen: [] }));
		const shown = this.page.evaluate(AWAIT, [there, MOST]);
		shown.catch(() => {});
		const before = this.spent();
		await act();
		// what is never seen counts as long as was waited for it
		const ms = await shown.catch(() => MOST);
		(this.cpu[kind] ??= []).push(this.spent() - before);
		await this.page.waitForTimeout(150);
		const frame = await this.page.evaluate(LONGEST);
		(this.times[kind] ??= []).push(Math.max(ms, frame));
	}
	press(kind, keys, there) {
		return this.time(kind, () => this.page.keyboard.press(keys), there);
	}
	async click(kind, locator, there) {
		const b = await locator.boundingBox();
		await this.page.mouse.move(b.x + b.width / 2, b.y + b.height / 2);
		await this.page.waitForTimeout(60);
		await this.time(kind, async () => {
			await this.page.mouse.down();
			await this.page.mouse.up();
		}, there);
	}
}

const HAS = (selector) => `document.querySelector(${JSON.stringify(selector)}) !== null`;
const HAS_NO = (selector) => `document.querySelector(${JSON.stringify(selector)}) === null`;

/** One of those that match that nothing lies over, so that a click meets it. */
async function bare(page, selector, nth) {
	const i = await page.evaluate(([s, n]) => {
		const all = [...document.querySelectorAll(s)];
		for (let k = 0; k < all.length; k++) {
			const e = all[(n + k) % all.length], r = e.getBoundingClientRect();
			if (e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2))) return (n + k) % all.length;
		}
		return -1;
	}, [selector, nth]);
	return page.locator(selector).nth(i);
}

/** A point of the plane at which a line lies, by its tip; null where none was met. */
async function lineAt(page, round) {
	const r = await page.locator(".plane").boundingBox();
	for (let i = 0; i < 40; i++) {
		const x = r.x + r.width * (0.12 + (((round * 40 + i) * 0.618) % 0.76)), y = r.y + r.height * (0.12 + (((round * 40 + i) * 0.414) % 0.7));
		await page.mouse.move(x, y);
		await page.waitForTimeout(40);
		if (!(await page.locator(".plane .tip").count())) continue;
		// the tip may be that of the point before
		await page.mouse.move(x + 0.5, y);
		await page.waitForTimeout(200);
		if (await page.locator(".plane .tip").count()) return { x, y };
	}
	return null;
}

export async function mapHands(page, rounds) {
	const h = new Hands(page);
	await h.watch();
	const away = async () => {
		await page.keyboard.press("Escape");
		await page.keyboard.press("0");
		await page.waitForTimeout(250);
	};
	for (let i = 0; i < rounds; i++) {
		await away();
		await h.click("a line of the ranking", page.locator(".ranking button").nth(i % 8), HAS(".details"));
		await h.press("the details closed", "Escape", HAS_NO(".details"));
		await away();
		await h.click("a card", await bare(page, "button.item[data-item]", 7 + i * 31), HAS(".details"));
		await away();
		const at = await lineAt(page, i);
		if (at)
			await h.time("a line of the map", async () => {
				await page.mouse.down();
				await page.mouse.up();
			}, HAS(".details"));
		await away();
		await page.keyboard.press("/");
		for (const k of ["c", "a", "r", "t"]) await h.press("a letter of a search", k);
		await page.keyboard.press("Escape");
		await page.keyboard.press("Escape");
		await page.locator(".ranking").first().click({ position: { x: 2, y: 2 } });
		await h.press("latency", "y");
		await h.press("latency", "y");
		const head = await bare(page, ".box button.head", 1 + i);
		await h.click("a namespace closed", head, HAS(".box.closed"));
		await h.click("a namespace opened", await bare(page, ".box.closed button", 0), HAS_NO(".box.closed"));
		await away();
		await h.press("nearer", "+");
		await h.press("everything", "0");
		await h.press("by node", "b", `[...document.querySelectorAll(".box .title")].some((e) => e.textContent.includes("everal nodes"))`);
		await h.press("by namespace", "b", `[...document.querySelectorAll(".box .title")].some((e) => e.textContent.includes("team-"))`);
		await h.press("held", "Space", HAS(".time.away"));
		await h.press("a step back in time", "[", `/ to /.test(document.querySelector(".time .words").textContent)`);
		await h.press("live", "l", HAS_NO(".time.away"));
		await h.press("as a table", "t", HAS("tbody tr td button"));
		await h.click("a row of the table", page.locator("tbody tr td button").nth(3 + i), HAS(".details"));
		await page.keyboard.press("Escape");
		await h.click("the table sorted", page.locator("th button").nth(i % 5), "true");
		await h.press("as a picture", "t", HAS(".picture:not(.behind) canvas"));
	}
	return h;
}

export async function flowHands(page, rounds) {
	const h = new Hands(page);
	await h.watch();
	for (let i = 0; i < rounds; i++) {
		await h.click("a flow", page.locator("tbody tr").nth(2 + i), HAS("tbody tr.chosen"));
		await h.click("flows sorted", page.locator("th button").nth(i % 4));
		await page.locator("tbody tr").nth(4).click();
		await h.press("the next flow", "ArrowDown");
		await h.press("flows held", "Space");
		await h.press("flows live", "Space");
	}
	return h;
}

export async function brokerHands(page, rounds) {
	const h = new Hands(page);
	await h.watch();
	for (let i = 0; i < rounds; i++) {
		await h.click("a map of the broker", await bare(page, "article.map button.name", i), HAS("article.map.chosen"));
		await h.press("a map taken up", "c", HAS(".target"));
		await h.press("the next place for it", "ArrowDown");
		await h.press("put back", "Escape", HAS_NO(".target"));
		await h.click("a source", await bare(page, "section[aria-label=Sources] button.item", i));
		await h.press("broker as tables", "t", HAS("table"));
		await h.press("broker as a board", "t", HAS("article.map"));
		await page.locator("[data-find]").click();
		await h.press("a letter of a source", "m");
		await page.keyboard.press("Backspace");
	}
	return h;
}
