#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The matrix explains a refused call, allows just that one, and takes it back: by mouse, then by keyboard alone; real packets say
// the same before and after. Files come back to the byte.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { assert, start, until } from "./lib.mjs";

const t = await start("policies", ["examples/shop", "examples/page"], { up: ["--writable"] });
const CELL = "reports/auditor to shop/store:6379: ";

/** What real packets say of all pairs, without pods' random names. */
async function reach() {
	const a = await t.weftJson(["reach"], { may: [0, 1] });
	const plain = (n) => n.replace(/-[a-z0-9]{10}-[a-z0-9]{5}$|-[a-z0-9]{5}$/, "");
	return new Set(a.results.filter((r) => (r.result ?? r.model) === "ok" || (r.result ?? r.model) === "yes").map((r) => `${plain(r.from)}→${plain(r.to)}:${r.port}/${r.protocol}/${r.family}`));
}
function files() {
	const out = {};
	for (const f of readdirSync(t.folder, { recursive: true, withFileTypes: true }))
		if (f.isFile()) out[join(f.parentPath ?? f.path, f.name)] = readFileSync(join(f.parentPath ?? f.path, f.name), "utf8");
	return out;
}
const difference = (a, b) => [...a].filter((x) => !b.has(x)).sort();

await until("all pods are ready", async () => !/ 0\/1 | Pending | Init/.test(await t.weft(["get", "pods", "-A"])), 30000);
const before = await reach(), bytes = files();
const page = await t.open("/policies");
const cell = (state) => page.getByRole("button", { name: CELL + state, exact: true });

await t.check("the matrix shows who is refused", async () => {
	await cell("refused").waitFor();
	await page.getByRole("button", { name: "shop/page to shop/cart:7000: allowed", exact: true }).waitFor();
});
await t.check("a cell says which policy refuses, with file and line", async () => {
	await cell("refused").click();
	const why = page.getByRole("complementary", { name: "Explanation" });
	await why.getByText("✕ Refused").waitFor();
	assert.match(await why.innerText(), /NetworkPolicy shop\/store[\s\S]*policies\.yaml:\d+/);
});
await t.check("the review of what a click writes says that it opens this call and nothing else", async () => {
	await page.getByRole("button", { name: "Allow just this call…" }).click();
	const d = page.getByRole("dialog", { name: "Review the change" });
	await d.getByText("✓ opens").waitFor();
	assert.equal(await d.getByText("✓ opens").count(), 1);
	assert.equal(await d.getByText("✕ closes").count(), 0);
	assert.match(await d.innerText(), /reports\/auditor → shop\/store, tcp\/6379/);
	assert.match(await d.innerText(), /weft-page\.yaml/);
});
await t.check("applied, real packets of this pair pass, and of no other", async () => {
	await page.getByLabel("Reason, for who reads the history").fill("the auditor may read the store");
	await page.getByRole("button", { name: "Apply", exact: true }).click();
	await cell("allowed").waitFor({ timeout: 15000 });
	const now = await reach();
	assert.deepEqual(difference(before, now), []);
	assert.deepEqual(difference(now, before), ["IPv4", "IPv6"].map((f) => `reports/auditor→shop/store-0:6379/TCP/${f}`));
});
await t.check("the history names the step, who and why; its undo brings every byte and every verdict back", async () => {
	await page.getByRole("link", { name: "Changes" }).click();
	const row = page.getByRole("listitem").filter({ hasText: "the auditor may read the store" });
	await row.waitFor();
	await row.getByRole("button", { name: /^Undo/ }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Undo this change" }).click();
	await until("the files are as they were", () => JSON.stringify(files()) === JSON.stringify(bytes));
	await until("the store refuses the auditor again", async () => difference(await reach(), before).length === 0, 20000);
	assert.deepEqual(difference(before, await reach()), []);
});
await t.check("the same by keyboard alone", async () => {
	await page.keyboard.press("g");
	await page.keyboard.press("p");
	await cell("refused").waitFor();
	await page.locator("[role=grid] button[tabindex='0']").focus();
	await page.keyboard.press("Home");
	for (let i = 0; i < 40 && !(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")?.startsWith("reports/auditor to "))); i++) await page.keyboard.press("ArrowDown");
	for (let i = 0; i < 40 && !(await page.evaluate((c) => document.activeElement?.getAttribute("aria-label")?.startsWith(c), CELL)); i++) await page.keyboard.press("ArrowRight");
	await page.keyboard.press("Enter");
	await page.getByText("✕ Refused").waitFor();
	await page.getByRole("button", { name: "Allow just this call…" }).waitFor();
	await page.keyboard.press("a");
	await page.getByText("✓ opens").waitFor();
	const apply = page.getByRole("button", { name: "Apply", exact: true });
	await until("Apply can be pressed", () => apply.isEnabled());
	for (let i = 0; i < 60 && !(await apply.evaluate((e) => e === document.activeElement)); i++) await page.keyboard.press("Tab");
	await page.keyboard.press("Enter");
	await cell("allowed").waitFor({ timeout: 15000 });
});
await t.check("the table says what the matrix says", async () => {
	const cells = await page.locator("[role=grid] .cell.yes").count();
	await page.keyboard.press("t");
	await page.getByRole("region", { name: "Who reaches whom" }).waitFor();
	await page.getByLabel("Only names with").fill("allowed");
	await until("as many rows as cells", async () => Number(await page.getByRole("table", { name: "Who reaches whom" }).getAttribute("aria-rowcount")) - 1 === cells);
});
await t.check("beside the model stands what the nodes' kernels say, and where a kernel says otherwise that is an error", async () => {
	const p = await t.open("/policies");
	const call = p.getByRole("button", { name: "shop/page to shop/cart:7000: allowed", exact: true });
	await call.click();
	const why = p.getByRole("complementary", { name: "Explanation" });
	await why.getByText(/^✓ The kernels? of node-\d/).first().waitFor();
	const flow = (await t.weftJson(["why", "shop/page", "shop/cart:7000"])).families[0].flows[0];
	const bytes = (n) => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24].map(String);
	const folder = `/run/weft/${t.name}/bpf/${flow.node}`;
	execFileSync("bpftool", ["map", "delete", "pinned", `${folder}/${readdirSync(folder)[0]}/policy`, "key", ...bytes(flow.ingress.set), ...bytes(flow.ingress.class)]);
	await p.getByRole("button", { name: "reports/auditor to shop/store:6379: allowed", exact: true }).click();
	await call.click();
	await why.getByRole("alert").getByText("The nodes do not do what the model says.").waitFor();
	assert.match(await why.getByRole("alert").innerText(), /entering shop\/cart-\S+: .*kernel refuses/);
	await t.shot(p, "why-differs-light");
});
for (const theme of ["light", "dark"]) {
	const p = await t.open("/policies", { theme });
	await t.check(`axe-core finds nothing, ${theme}`, async () => {
		await p.getByRole("button", { name: "shop/page to shop/store:6379: refused", exact: true }).click();
		await p.getByRole("button", { name: "Allow just this call…" }).waitFor();
		assert.deepEqual(await t.axe(p), []);
		await t.shot(p, `policies-${theme}`);
	});
}
await t.finish();
