#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Whose copies reach which tool, on the map, in its table and its details, by the tools' own counters (BR25); and "Open in
// Wireshark" of a card, a line, a flow and a capture: the command that is offered, run in a shell as it stands with tshark in
// Wireshark's place, gives real packets of just that.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { assert, start, until } from "./lib.mjs";

const run = promisify(execFile);
const t = await start("copies", ["examples/shop"]);
const source = (app) => `{pods: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}, podSelector: {matchLabels: {app: ${app}}}}}`;
const tool = (name, spec) => `---\napiVersion: weft.network/v1alpha1\nkind: Tool\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
const map = (name, apps, to) => `---\napiVersion: weft.network/v1alpha1\nkind: TrafficMap\nmetadata: {name: ${name}}\nspec: {from: [${apps.map(source).join(", ")}], filter: tcp, to: [{tool: ${to}}]}\n`;
writeFileSync(
	`${t.folder}/tools.yaml`,
	[tool("alone", "{ring: {size: 1Mi}}"), tool("many", "{ring: {size: 1Mi}}"), tool("nowhere", "{interface: {name: nowhere0}}"), tool("small", "{ring: {size: 1Mi}, mtu: 80}"), map("one", ["page"], "alone"), map("two", ["page", "cart"], "many"), map("three", ["page"], "nowhere"), map("four", ["catalogue"], "small")].join(""),
);
await until("all pods are ready", async () => !/ 0\/1 | Pending | Init/.test(await t.weft(["get", "pods", "-A"])), 30000);
const page = await t.open("/map");
const card = (id) => page.locator(`.plane [data-item="${id}"]`);
const numberOf = (text) => Number(/([\d.]+)(k?)/.exec(text)?.[1] ?? NaN);

/** The newest word of the broker, as every reader of the stream gets it. */
const told = () =>
	page.evaluate(() => new Promise((done, late) => {
		const s = new EventSource("/page/live?kinds=tools&broker=1");
		setTimeout(() => { s.close(); late(new Error("the stream says nothing of the broker")); }, 6000);
		s.addEventListener("broker", (e) => { s.close(); done(JSON.parse(e.data)); });
	}));
const sum = (e, name, key) => e.tools.filter((x) => x.tool === name).reduce((n, x) => n + (key === "lost" ? Object.values(x.losses).reduce((a, b) => a + b, 0) : x[key]), 0);

await t.check("lines from workloads to their tools come with a key, and go with it", async () => {
	await card("tool/alone").waitFor();
	assert.equal(await page.getByText("copies to a tool").count(), 0);
	await page.keyboard.press("o");
	await page.getByText("copies to a tool").waitFor();
	await until("five lines", async () => (await page.locator(".svelte-flow g path.edge").count()) === 5);
	await page.keyboard.press("o");
	await page.getByText("copies to a tool").waitFor({ state: "detached" });
	await page.getByRole("button", { name: "Copies", exact: true }).click();
	await page.getByText("copies to a tool").waitFor();
});
await t.check("BR25 what a tool gets is on the map as its counters say, and as the stream tells everybody", async () => {
	await until("the same number", async () => {
		const e = await told(), shown = await page.locator(".svelte-flow text.number", { hasText: /^gets/ }).allTextContents();
		const sent = sum(e, "alone", "sent");
		return sent > 0 && shown.some((x) => Math.abs(numberOf(x) - sent) <= 0.06 * sent + 0.1);
	}, 30000);
});
await t.check("what is lost has its number beside the tool", async () => {
	await until("a loss", async () => (await page.locator(".svelte-flow text .lost").allTextContents()).some((x) => /✕ [\d.]+/.test(x)), 20000);
	await page.locator(".svelte-flow text .lost", { hasText: "takes nothing" }).waitFor();
	await t.shot(page, "map-copies-light");
});
await t.check("a place's counters tell what its kernel saw, also where copies go straight to tools", async () => {
	await until("seen and taken", async () => {
		const e = await told(), p = e.places.filter((x) => x.name.startsWith("shop/page-"));
		return p.length > 0 && p.every((x) => typeof x.seen === "number" && x.seen > 0 && x.taken > 0 && x.taken <= x.seen);
	}, 20000);
});
await t.check("the table says the same: one source to the packet, of two only the sum", async () => {
	await page.keyboard.press("t");
	await page.getByRole("button", { name: "Copies", exact: true }).last().click();
	const row = (name) => page.getByRole("row", { name });
	await until("all of it", async () => /shop\/page alone one [\d.]+/.test((await row(/alone/).innerText()).replace(/\s+/g, " ")));
	assert.match((await row(/shop\/page many/).innerText()).replace(/\s+/g, " "), /two of 2 sources/);
	assert.match((await row(/shop\/cart many/).innerText()).replace(/\s+/g, " "), /two of 2 sources/);
	assert.match((await row(/nowhere/).innerText()).replace(/\s+/g, " "), /takes nothing/);
	await until("losses by name", async () => /mtu [\d.]+/.test(await row(/small/).innerText()));
	await page.keyboard.press("t");
});
await t.check("a tool's details name who sends it copies, and a workload's where its copies go", async () => {
	await card("tool/alone").click();
	const d = page.getByRole("complementary", { name: "Details" });
	await d.getByRole("region", { name: "Copies" }).getByRole("button", { name: /page/ }).click();
	await until("three tools", async () => (await d.getByRole("region", { name: "Copies" }).getByRole("listitem").count()) === 3);
	await page.keyboard.press("Escape");
});

/** The command of the dialog as it stands, but for the program's name; what tshark prints of five packets. */
async function packets() {
	const d = page.getByRole("dialog", { name: /^In Wireshark/ });
	const code = d.getByLabel("Live in Wireshark on this computer", { exact: true });
	await code.waitFor();
	const command = (await code.innerText()).trim();
	assert.match(command, /^curl -sSfN http:\/\/127\.0\.0\.1:\d+\/capture\/[0-9a-f]{64} \| wireshark -k -i -$/);
	const shell = command.replace("wireshark -k -i -", "tshark -r - -c 5 -T fields -e ip.addr -e ipv6.addr -e tcp.port -e udp.port");
	const { stdout } = await run("timeout", ["30", "sh", "-c", `${shell} 2>/dev/null`], { maxBuffer: 1 << 20 }).catch((e) => e);
	const lines = stdout.split("\n").filter(Boolean);
	assert.equal(lines.length, 5, `${command}: ${stdout}`);
	return { lines, dialog: d };
}
async function addresses(workload) {
	const { items } = await t.weftJson(["get", "pods", "-n", "shop"]);
	return items.filter((p) => p.metadata.name.startsWith(`${workload}-`)).flatMap((p) => p.status.podIPs.map((x) => x.ip));
}
await t.check("a card's packets: the command that is offered gives them", async () => {
	await card("shop/Deployment/cart").click({ button: "right" });
	await page.getByRole("menuitem", { name: "Open in Wireshark" }).click();
	const { lines, dialog } = await packets();
	const of = await addresses("cart");
	for (const l of lines) assert.ok(of.some((a) => l.includes(a)), `${l} is of ${of}`);
	await dialog.getByText("At a shell of the cluster's machine").or(dialog.getByLabel("At a shell of the cluster's machine", { exact: true })).first().waitFor();
	assert.match(await dialog.getByLabel("As an interface of Wireshark", { exact: true }).innerText(), /^wireshark -k -i weft-t-page-copies-\d+$/);
	assert.deepEqual(await t.axe(page), []);
	await t.shot(page, "wireshark-light");
	await page.keyboard.press("Escape");
	await dialog.waitFor({ state: "detached" });
});
await t.check("a line's, by keyboard: between its two ends and at its port alone", async () => {
	await until("the table", async () => {
		// the dialog's end may still have the first key
		if (!(await page.getByRole("button", { name: /^Links/ }).count())) await page.keyboard.press("t");
		await page.getByRole("button", { name: /^Links/ }).waitFor({ timeout: 1000 });
		return true;
	});
	await page.getByRole("button", { name: /^Links/ }).click();
	await page.getByRole("button", { name: "shop/page", exact: true }).first().waitFor();
	const row = page.getByRole("row", { name: /shop\/page shop\/cart/ }).getByRole("button").first();
	await row.focus();
	await page.keyboard.press("Enter");
	await page.keyboard.press("Shift+F10");
	await page.getByRole("menu").waitFor();
	await page.keyboard.press("o");
	await page.keyboard.press("Enter");
	const { lines } = await packets();
	const a = await addresses("page");
	for (const l of lines) {
		assert.match(l, /7000/);
		assert.ok(a.some((x) => l.includes(x)), `${l} is of ${a}`);
	}
	await page.keyboard.press("Escape");
	await page.keyboard.press("t");
});
await t.check("a flow's, from its row", async () => {
	await page.goto(new URL("/flows?f=dst.port%20%3D%3D%207000", t.url).href);
	const row = page.getByRole("table", { name: "Flows" }).getByRole("row").nth(1);
	await row.click({ button: "right" });
	await page.getByRole("menuitem", { name: "Open in Wireshark" }).click();
	const { lines } = await packets();
	for (const l of lines) assert.match(l, /7000/);
	await page.keyboard.press("Escape");
});
await t.check("a capture that runs is read along", async () => {
	await page.goto(new URL("/captures", t.url).href);
	await page.getByLabel("Filter; nothing: every packet").fill("tcp");
	await page.getByRole("button", { name: "Start", exact: true }).click();
	await page.getByRole("button", { name: /^Open capture-\S+ in Wireshark$/ }).click();
	await packets();
	await page.keyboard.press("Escape");
	await page.getByText("read here").waitFor();
});
await t.check("a filter that packets cannot answer is told in the dialog, and no address is offered", async () => {
	await page.getByRole("button", { name: "Open in Wireshark…" }).click();
	const d = page.getByRole("dialog", { name: /^In Wireshark/ });
	await d.getByRole("textbox").fill("pod == shop/page");
	await d.getByRole("alert").waitFor();
	assert.equal(await d.getByLabel("Live in Wireshark on this computer", { exact: true }).count(), 0);
	await page.keyboard.press("Escape");
});
const dark = await t.open("/map", { theme: "dark" });
await t.check("axe-core finds nothing on the map with copies, dark", async () => {
	await dark.keyboard.press("o");
	await dark.getByText("copies to a tool").waitFor();
	await until("five lines", async () => (await dark.locator(".svelte-flow g path.edge").count()) === 5);
	assert.deepEqual(await t.axe(dark), []);
	await t.shot(dark, "map-copies-dark");
});
await t.finish({ expected: ["422", "400"] });
