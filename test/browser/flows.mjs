#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The flow table as people use it: filters, plus on a value, columns, a span of time, the address bar; by mouse and by keyboard.
import { assert, start, until } from "./lib.mjs";

const t = await start("flows", ["examples/shop", "examples/page"]);
const page = await t.open("/flows");
const box = page.getByRole("combobox", { name: "Filter" });
const rows = page.locator("tbody tr[aria-rowindex]");
const texts = () => rows.allInnerTexts();

await t.check("connections come by themselves", async () => {
	await until("store is called", async () => (await texts()).some((r) => /shop\/cart[\s+]+shop\/store[\s+]+6379/.test(r)));
	await until("drops, too", async () => (await texts()).some((r) => /reports\/auditor.*dropped/s.test(r)), 20000);
});
await t.check("a filter takes what it says, and stands in the address", async () => {
	await page.keyboard.press("/");
	await page.keyboard.type("verdict == dropped");
	await page.keyboard.press("Enter");
	await until("only drops", async () => {
		const r = await texts();
		return r.length > 0 && r.every((x) => x.includes("dropped"));
	});
	assert.equal(new URL(page.url()).searchParams.get("f"), "verdict == dropped");
});
await t.check("mouse: plus on a value adds it to the filter", async () => {
	const row = rows.filter({ hasText: "reports/auditor" }).first();
	await row.hover();
	await row.getByRole("button", { name: /Add to the filter: dst\.port == 6379/ }).click();
	await until("both terms", async () => (await box.inputValue()) === "verdict == dropped && dst.port == 6379");
	await until("rows", () => rows.count());
});
await t.check("keyboard: a row is chosen by arrows, its plus is reached by Tab", async () => {
	await page.getByRole("region", { name: "Flows" }).focus();
	await page.keyboard.press("ArrowDown");
	const side = page.getByRole("complementary", { name: "The chosen flow" });
	await side.getByText(/dropped: policy-ingress/).waitFor();
	await until("the plus of reason", async () => {
		await page.keyboard.press("Tab");
		return page.evaluate(() => document.activeElement?.getAttribute("aria-label") === "Add to the filter: reason == policy-ingress");
	});
	await page.keyboard.press("Enter");
	await until("three terms", async () => (await box.inputValue()).endsWith("&& reason == policy-ingress"));
});
await t.check("the address is the view: a colleague sees the same", async () => {
	const p = await t.open(new URL(page.url()).pathname + new URL(page.url()).search);
	await until("the same filter", async () => (await p.getByRole("combobox", { name: "Filter" }).inputValue()) === (await box.inputValue()));
	await until("drops", async () => (await p.locator("tbody tr[aria-rowindex]").allInnerTexts()).some((r) => r.includes("policy-ingress")));
	await p.context().close();
});
await t.check("a filter that is wrong is refused with the reason; the rows stay", async () => {
	await box.fill("prot == 80");
	await page.keyboard.press("Enter");
	await page.getByRole("alert").waitFor();
	assert.ok((await rows.count()) > 0);
	await box.fill("");
});
await t.check("columns are chosen, and kept", async () => {
	await page.keyboard.press("Escape");
	await page.getByRole("button", { name: "Columns…" }).click();
	await page.getByRole("checkbox", { name: "Seen by" }).check();
	await page.getByRole("checkbox", { name: "Protocol" }).uncheck();
	await page.getByRole("button", { name: "Close", exact: true }).click();
	await page.getByRole("columnheader", { name: "Seen by" }).waitFor();
	await page.reload();
	await page.getByRole("columnheader", { name: "Seen by" }).waitFor();
	assert.equal(await page.getByRole("columnheader", { name: "Protocol" }).count(), 0);
});
await t.check("a span of time holds what was in it and nothing else", async () => {
	await page.getByRole("combobox", { name: "Time" }).selectOption("at");
	await page.getByLabel("from", { exact: true }).fill("2020-01-01T00:00:02");
	await page.getByLabel("to", { exact: true }).fill("2020-01-01T00:00:03");
	await page.getByText("No flow is known").waitFor();
	await page.getByRole("combobox", { name: "Time" }).selectOption("60");
	await until("rows", () => rows.count());
});
await t.check("the same filter on the map", async () => {
	await box.fill("dst.port == 6379");
	await page.keyboard.press("Enter");
	await until("rows", () => rows.count());
	await page.getByRole("button", { name: "On the map" }).click();
	await page.waitForURL(/\/map\?f=dst\.port/);
	await page.goBack();
	await rows.first().waitFor();
});
for (const theme of ["light", "dark"])
	await t.check(`axe finds nothing in ${theme}, and there is a screenshot`, async () => {
		const p = await t.open("/flows?f=dst.port+%3D%3D+6379", { theme });
		await p.locator("tbody tr[aria-rowindex]").first().click();
		await p.getByRole("complementary", { name: "The chosen flow" }).waitFor();
		assert.deepEqual(await t.axe(p), []);
		await t.shot(p, `flows-${theme}`);
		await p.context().close();
	});
await t.finish({ expected: ["400"] });
