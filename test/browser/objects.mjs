#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Objects as tables and as YAML: a mistake is told under its line, a change of somebody else's in the meantime is a conflict and
// loses nothing, comments of the file stay. Health and its parts are what the command line says.
import { readFileSync, writeFileSync } from "node:fs";
import { assert, start, until } from "./lib.mjs";

const t = await start("objects", ["examples/shop", "examples/page"], { up: ["--writable"] });
const file = `${t.folder}/shop/policies.yaml`;
const page = await t.open("/objects/networkpolicies");

async function edit(name) {
	await page.getByRole("button", { name, exact: true }).click();
	await page.getByRole("button", { name: "Edit" }).click();
	return page.getByRole("textbox", { name: /as YAML/ });
}

await t.check("a kind's objects stand in a table, as many as kubectl would list", async () => {
	const list = await t.weftJson(["get", "netpol", "-A"]);
	await until("all rows", async () => Number(await page.getByRole("table").first().getAttribute("aria-rowcount")) - 1 === list.items.length);
	await page.getByRole("button", { name: "shop/store", exact: true }).waitFor();
});
await t.check("a mistake is told with its line and its place in it", async () => {
	const box = await edit("shop/cart");
	const text = await box.inputValue();
	await box.fill(text.replace("grpc", "gprc-and-a-name-that-is-too-long"));
	const remarks = page.getByRole("list", { name: "Remarks" });
	await remarks.waitFor();
	const line = text.split("\n").findIndex((l) => l.includes("grpc")) + 1;
	assert.match(await remarks.innerText(), new RegExp(`error[\\s\\S]*${line}:`));
	assert.deepEqual(await page.locator(".gutter .error").allInnerTexts(), [String(line)], "and that line is marked");
	assert.ok(await page.getByRole("button", { name: "Review…" }).first().isDisabled());
	await page.getByRole("button", { name: "Cancel" }).click();
});
await t.check("what is remarked on an object that is in force stands under its line", async () => {
	writeFileSync(`${t.folder}/shop/told.yaml`, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: told\n  namespace: shop\n  annotations:\n    weft.network/stage: \"true\"\nspec:\n  podSelector: {matchLabels: {app: nobody}}\n");
	const other = await t.open("/objects/networkpolicies");
	await other.getByRole("button", { name: "shop/told", exact: true }).click();
	const under = other.getByRole("region", { name: "shop/told" }).locator(".warning");
	await under.waitFor();
	assert.match(await under.innerText(), /\^+ .*weft\.network\/stage.* has no effect/);
	assert.match(await under.evaluate((e) => e.previousElementSibling.textContent), /weft\.network\/stage:/);
	await other.close();
});
await t.check("a change goes into the file, between its comments", async () => {
	const before = readFileSync(file, "utf8");
	const box = await edit("shop/cart");
	await box.fill((await box.inputValue()).replace("spec:\n", "spec:\n  policyTypes: [Ingress]\n").replace(/\n {2}policyTypes:\n {2}- Ingress/, ""));
	await box.fill((await box.inputValue()).replace("port: grpc", "port: 7001"));
	await page.getByRole("button", { name: "Review…" }).first().click();
	const d = page.getByRole("dialog", { name: "Review the change" });
	await d.getByText("policies.yaml").first().waitFor();
	await d.getByRole("button", { name: "Apply", exact: true }).click();
	await until("the file has the port", () => readFileSync(file, "utf8").includes("7001"));
	const comments = (s) => s.split("\n").filter((l) => /^\s*#/.test(l));
	assert.deepEqual(comments(readFileSync(file, "utf8")), comments(before));
});
await t.check("who edits what somebody else changed meanwhile gets a conflict, and nothing is lost", async () => {
	const box = await edit("shop/catalogue");
	const mine = (await box.inputValue()).replace("port: http", "port: 8001");
	await box.fill(mine);
	const theirs = readFileSync(file, "utf8").replace("matchLabels: {kubernetes.io/metadata.name: reports}", "matchLabels: {kubernetes.io/metadata.name: dev}");
	writeFileSync(file, theirs);
	await until("the hub has theirs", async () => (await t.weft(["get", "netpol", "-n", "shop", "catalogue", "-o", "yaml"])).includes("dev"));
	await page.getByRole("button", { name: "Review…" }).first().click();
	const d = page.getByRole("dialog", { name: "Review the change" });
	await d.getByRole("alert").waitFor();
	assert.ok(await d.getByRole("button", { name: "Apply", exact: true }).isDisabled());
	assert.equal(readFileSync(file, "utf8"), theirs);
	await d.getByRole("button", { name: "Discard the draft" }).click();
});
await t.check("health says that all is well, and its sums are those of weft account", async () => {
	await page.getByRole("link", { name: "Health" }).click();
	await page.getByRole("button", { name: "Sums" }).click();
	const sums = (await t.weftJson(["account"], { may: [0, 1, 2] })).reduce((n, a) => n + a.sums.length, 0);
	await until("as many sums", async () => (await page.locator(".sums details").count()) === sums);
	assert.equal(await page.locator(".sums details .bad").count(), 0);
});
for (const theme of ["light", "dark"])
	for (const [path, name] of [["/objects/pods", "objects"], ["/health", "health"], ["/changes", "changes"]]) {
		const p = await t.open(path, { theme });
		await t.check(`axe-core finds nothing on ${path}, ${theme}`, async () => {
			if (name === "objects") await p.getByRole("button", { name: "shop/store-0", exact: true }).click();
			await p.waitForTimeout(600);
			assert.deepEqual(await t.axe(p), []);
			await t.shot(p, `${name}-${theme}`);
		});
		await p.context().close();
	}
await t.finish({ expected: ["409", "422"] });
