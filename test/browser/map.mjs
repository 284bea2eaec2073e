#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The map as people use it, with real packets: everything is there, a packet shows up within a second, what is refused says so
// and why, the past comes back, the keyboard does what the mouse does, and the tables say the same.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, start, until } from "./lib.mjs";

const t = await start("map", ["examples/shop", "examples/page"]);
const began = Date.now();
const page = await t.open("/map");
const card = (name) => page.locator(`[data-item$="/${name}"]`);
const details = page.getByRole("complementary", { name: "Details" });

await t.check("workloads, nodes, what is outside and tools are on the map, in their boxes", async () => {
	for (const name of ["shop/Deployment/page", "shop/Deployment/cart", "shop/StatefulSet/store", "kube-system/Pod/kube-dns", "node/node-1", "tool/ids"]) await page.locator(`[data-item="${name}"]`).waitFor();
	await page.getByRole("button", { name: /Namespace shop/ }).waitFor();
	await until("an end outside is on it", () => page.locator('[data-item^="outside"]').count());
});

await t.check("the ranking names the most refused link; choosing it opens the link, with the reason and the drops", async () => {
	await page.getByRole("button", { name: /auditor → store/ }).click();
	await details.getByText("policy-ingress").first().waitFor();
	await details.getByRole("region", { name: "Refused lately" }).getByText("policy-ingress").first().waitFor();
});

await t.check("a refused link is red on the canvas, with a gap; one that flows is not", async () => {
	// the canvas is looked at where the page says that the line is
	const colours = await until("red and green pixels", async () => {
		const c = await page.locator("canvas").first().evaluate((canvas) => {
			const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
			let red = 0, green = 0;
			for (let i = 0; i < data.length; i += 4) {
				if (data[i + 3] < 60) continue;
				if (data[i] > 140 && data[i + 1] < 90) red++;
				if (data[i + 1] > data[i] + 40) green++;
			}
			return { red, green };
		});
		return c.red > 30 && c.green > 0 ? c : null;
	});
	assert.ok(colours.red > 30);
	await page.keyboard.press("Escape");
});

await t.check("BR25 a packet between two that never talked is on the map in under a second from when it was sent", async () => {
	const [from] = await t.podsOf("shop", "catalogue");
	const { items } = await t.weftJson(["get", "pods", "-n", "shop"]);
	const address = items.find((p) => p.metadata.name.startsWith("page-")).status.podIP;
	await page.getByRole("button", { name: "Table" }).click();
	await page.getByRole("button", { name: /^Links/ }).waitFor();
	assert.equal(await page.getByRole("row", { name: /shop\/catalogue shop\/page/ }).count(), 0);
	const seen = page.evaluate(
		() => new Promise((done) => {
			const look = () => ([...document.querySelectorAll("tr")].some((r) => /shop\/catalogue\s*shop\/page/.test(r.textContent ?? "")) ? done(Date.now()) : requestAnimationFrame(look));
			look();
		}),
	);
	const sender = t.inside(from, ["python3", "-c", `import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.sendto(b'x',('${address}',9999))\nprint(time.time()*1000,flush=True)`]);
	const at = await Promise.race([seen, new Promise((_, fail) => setTimeout(() => fail(new Error(`not seen in 8 s; ${sender.text}`)), 8000))]);
	const sent = await until("when it was sent", () => Number(sender.text.split("\n")[0]));
	console.log(`# sent to seen: ${Math.round(at - sent)} ms`);
	assert.ok(at - sent < 1000, `${Math.round(at - sent)} ms`);
	await page.getByRole("button", { name: "Table" }).click();
});

await t.check("words light what has them; a filter of the language lights the flows that it takes", async () => {
	const box = page.getByRole("combobox", { name: "Search the map" });
	await page.keyboard.press("/");
	await page.keyboard.type("catalogue");
	await until("cart fades", async () => (await card("cart").getAttribute("class")).includes("faded") && !(await card("catalogue").getAttribute("class")).includes("faded"));
	await box.fill("dst.port == 6379 && verdict == forwarded");
	await page.keyboard.press("Enter");
	await until("cart and store are lit, page is not", async () => !(await card("cart").getAttribute("class")).includes("faded") && !(await card("store").getAttribute("class")).includes("faded") && (await card("page").getAttribute("class")).includes("faded"));
	assert.match(page.url(), /f=dst\.port/);
	await box.fill("dst.port ==");
	await page.keyboard.press("Enter");
	await page.getByRole("alert").waitFor();
	await page.keyboard.press("Escape");
	await until("all is lit again", async () => !(await card("page").getAttribute("class")).includes("faded"));
});

await t.check("keyboard: arrows go from card to card, Enter opens, Escape closes, Shift+F10 has the menu", async () => {
	await card("cart").focus();
	await page.keyboard.press("ArrowRight");
	await until("store has the focus", () => page.evaluate(() => document.activeElement?.getAttribute("data-item") === "shop/StatefulSet/store"));
	await page.keyboard.press("Enter");
	await details.getByRole("heading", { name: "store", exact: true }).waitFor();
	await details.getByText("1 of 1 ready").waitFor();
	await card("store").focus();
	await page.keyboard.press("Escape");
	await details.waitFor({ state: "detached" });
	await page.keyboard.press("Shift+F10");
	const menu = page.getByRole("menu");
	await menu.getByRole("menuitem", { name: "Send to a tool" }).waitFor();
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("ArrowDown");
	await page.keyboard.press("Enter");
	await page.waitForURL(/\/flows\?f=workload/);
	await page.goBack();
	await card("store").waitFor();
});

await t.check("mouse: the right button has the same menu; sending to a tool goes to the broker with this source", async () => {
	await card("store").click({ button: "right" });
	await page.getByRole("menuitem", { name: "Send to a tool" }).click();
	await page.waitForURL(/\/broker/);
	await page.getByRole("dialog").getByText("store").first().waitFor();
	await page.goto(`${t.url}/map`);
	await card("store").waitFor();
});

await t.check("a box closes and opens; its links become one; nothing else changes its order", async () => {
	await page.getByRole("button", { name: /Namespace shop/ }).click();
	await card("store").waitFor({ state: "detached" });
	await until("the ranking speaks of the box", () => page.getByRole("button", { name: /auditor → shop/ }).count());
	await page.getByRole("button", { name: /Namespace shop/ }).click();
	await card("store").waitFor();
});

await t.check("nothing jumps when a workload comes", async () => {
	const at = async (name) => card(name).boundingBox();
	const before = [await at("page"), await at("cart"), await at("store")];
	writeFileSync(join(t.folder, "late.yaml"), "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: late, namespace: shop}\nspec:\n  selector: {matchLabels: {app: late}}\n  template:\n    metadata: {labels: {app: late}}\n    spec:\n      containers:\n      - {name: late, image: example/late, ports: [{containerPort: 80}]}\n");
	await card("late").waitFor();
	assert.deepEqual([await at("page"), await at("cart"), await at("store")], before);
});

await t.check("the tables say the same, and what is chosen there is chosen here", async () => {
	await page.keyboard.press("t");
	const row = page.getByRole("row", { name: /reports\/auditor shop\/store/ });
	await row.getByText("✕ refused").waitFor();
	await row.getByRole("button").click();
	await details.getByText("policy-ingress").first().waitFor();
	await page.getByRole("button", { name: /^Ends/ }).click();
	await page.getByRole("row", { name: /kube-dns/ }).waitFor();
	assert.deepEqual(await t.axe(page), []);
	await page.keyboard.press("t");
});

await t.check("by nodes: each workload stands on its node, or among those on several", async () => {
	const layer = (name) => page.getByRole("group", { name: "Boxes" }).getByRole("button", { name }).click();
	await layer("Nodes");
	await page.locator('[data-item="g:node/node-1"]').waitFor();
	await page.getByRole("button", { name: /On several nodes/ }).waitFor();
	await layer("Namespaces");
	await page.getByRole("button", { name: /Namespace shop/ }).waitFor();
});

await t.check("suggest a policy: what was seen becomes a policy in the draft, and nothing is applied", async () => {
	await page.goto(`${t.url}/map`);
	await card("cart").click({ button: "right" });
	await page.getByRole("menuitem", { name: "Suggest a policy" }).click();
	const d = page.getByRole("dialog");
	await d.getByText("kind: NetworkPolicy").waitFor({ timeout: 20000 });
	await d.getByText("6379").first().waitFor();
	await d.getByRole("button", { name: "Put into the draft" }).click();
	await page.getByRole("region", { name: "Draft" }).getByText(/policy cart|1 object/).first().waitFor();
	await page.getByRole("region", { name: "Draft" }).getByRole("button", { name: "Discard" }).click();
});

await t.check("explain: a refused link says which rule of which file refuses it", async () => {
	await page.getByRole("button", { name: /auditor → store/ }).click();
	await page.getByRole("button", { name: "Why is it refused?" }).first().click();
	await page.getByText("✕ Refused").first().waitFor({ timeout: 20000 });
	await page.getByText(/policies\.yaml:\d+/).first().waitFor();
	await page.keyboard.press("Escape");
});

for (const theme of ["light", "dark"])
	await t.check(`axe finds nothing in ${theme}, and there is a screenshot`, async () => {
		const p = await t.open("/map", { theme });
		await p.locator('[data-item$="/store"]').waitFor();
		await until("links are drawn", () => p.getByRole("button", { name: /auditor → store/ }).count());
		assert.deepEqual(await t.axe(p), []);
		await t.shot(p, `map-${theme}`);
		await p.getByRole("button", { name: /auditor → store/ }).click();
		await p.getByRole("complementary", { name: "Details" }).getByText("policy-ingress").first().waitFor();
		assert.deepEqual(await t.axe(p), []);
		await t.shot(p, `map-refused-${theme}`);
		await p.context().close();
	});

await t.check("narrow and at 200 %: the table is there, nothing is cut", async () => {
	const p = await t.open("/map", { width: 720, height: 900 });
	await p.getByRole("button", { name: /^Links/ }).waitFor();
	assert.deepEqual(await t.axe(p), []);
	await p.context().close();
	const z = await t.open("/map", { zoom: 2 });
	await z.locator("main").waitFor();
	assert.ok(await z.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
	await t.shot(z, "map-200");
	await z.context().close();
});

await t.check("time: hold keeps what is shown, a step back shows the past, live comes back", async () => {
	await until("there is a past to look at", () => Date.now() - began > 35000, 40000);
	await page.keyboard.press("Escape");
	await page.evaluate(() => document.activeElement?.blur());
	await page.keyboard.press("Space");
	await page.getByText(/held at/).waitFor();
	const slider = page.getByRole("slider");
	await slider.focus();
	await page.keyboard.press("ArrowLeft");
	await page.keyboard.press("ArrowLeft");
	await page.getByText(/\d\d:\d\d:\d\d to \d\d:\d\d:\d\d/).waitFor();
	await until("the past has who was refused", () => page.getByRole("button", { name: /auditor → store/ }).count());
	await page.keyboard.press("l");
	await page.getByText("now", { exact: true }).waitFor();
});

await t.finish({ expected: ["400"] });
