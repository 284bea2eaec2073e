#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// BR90: a draft is saved for others, who open it, change it, and apply it; who saves what somebody else saved meanwhile gets a
// conflict, and nothing is lost. Three people in browsers of their own: root, anna with rights on shop, bela with rights on reports.
import { readFileSync, writeFileSync } from "node:fs";
import { assert, start, until } from "./lib.mjs";

const t = await start("drafts", ["examples/shop", "examples/page"], { up: ["--writable"] });
const file = `${t.folder}/shop/policies.yaml`;
writeFileSync(
	`${t.folder}/people.yaml`,
	["anna shop", "bela reports"].map((p) => {
		const [name, ns] = p.split(" ");
		return `---\napiVersion: weft.network/v1alpha1\nkind: User\nmetadata: {name: ${name}}\n---\napiVersion: weft.network/v1alpha1\nkind: Role\nmetadata: {name: ${name}}\nspec: {level: operate, namespaces: [${ns}], users: [${name}]}\n`;
	}).join(""),
);
await until("the hub knows them", async () => (await t.weft(["get", "roles"])).includes("bela"));

const root = await t.open("/objects/networkpolicies");
const anna = await t.open("/changes", { user: "anna" });
const bela = await t.open("/changes", { user: "bela" });
const drafts = async () => (await t.weftJson(["get", "drafts"])).items;
const one = async (name) => (await drafts()).find((d) => d.metadata.name === name);
const saved = (page) => page.getByRole("region", { name: "Saved drafts" });

/** Into the draft of that page: an edit of a policy's text; the review is open then. */
async function rewrite(page, name, from, to) {
	await page.getByRole("link", { name: "Objects", exact: true }).click();
	await page.getByRole("link", { name: /^NetworkPolicy/ }).first().click();
	await page.getByRole("button", { name, exact: true }).click();
	await page.getByRole("button", { name: "Edit" }).click();
	const box = page.getByRole("textbox", { name: /as YAML/ });
	const text = await box.inputValue();
	assert.ok(text.includes(from), text);
	await box.fill(text.replace(from, to));
	await page.getByRole("complementary", { name: "The object" }).getByRole("button", { name: "Review…" }).click();
	await page.getByRole("dialog", { name: "Review the change" }).waitFor();
}

await t.check("a draft is saved from the review, by name; nothing of it is in force", async () => {
	await rewrite(root, "shop/cart", "port: grpc", "port: 7001");
	await root.getByRole("button", { name: "Save for later…" }).click();
	await root.getByRole("textbox", { name: "Name", exact: true }).fill("Móve the cart");
	await root.getByRole("button", { name: "Save", exact: true }).click();
	await until("the hub has it", async () => (await one("move-the-cart"))?.spec.edits.length === 1);
	await root.getByText("✓ saved").waitFor();
	assert.ok(!readFileSync(file, "utf8").includes("7001"));
	assert.match((await one("move-the-cart")).status.by, /^root \(uid 0\)$/);
});
await t.check("who may see what it changes sees it at once, and who may not sees nothing of it, by its name neither", async () => {
	await saved(anna).getByText("Móve the cart").waitFor();
	assert.match(await saved(anna).innerText(), /saved by root/);
	assert.match(await saved(bela).innerText(), /None/);
	assert.equal(await bela.evaluate(async () => (await fetch("/apis/weft.network/v1alpha1/drafts/move-the-cart")).status), 404);
	assert.equal(await bela.evaluate(async () => (await (await fetch("/apis/weft.network/v1alpha1/drafts")).json()).items.length), 0);
});
await t.check("somebody else opens it by keyboard, goes on, and saves it by Ctrl+S", async () => {
	await saved(anna).getByRole("button", { name: "Open Móve the cart" }).focus();
	await anna.keyboard.press("Enter");
	await anna.getByText("✓ saved").waitFor();
	await rewrite(anna, "shop/catalogue", "port: http", "port: 8001");
	await anna.keyboard.press("Escape");
	await anna.getByRole("region", { name: "Draft", exact: true }).getByText("not saved").waitFor();
	await anna.keyboard.press("Control+s");
	await anna.getByRole("dialog", { name: "Save the draft" }).waitFor();
	await anna.keyboard.press("Enter");
	await until("the hub has hers", async () => (await one("move-the-cart")).spec.edits.length === 2);
	assert.equal((await one("move-the-cart")).status.by, "anna");
});
await t.check("BR90 the other, who has it open, is told; and saving his gets a conflict that names her and loses nothing", async () => {
	await root.getByText("anna saved it meanwhile").waitFor();
	await rewrite(root, "shop/store", "port: store", "port: 6380");
	await root.getByRole("button", { name: "Save for later…" }).click();
	await root.getByRole("button", { name: "Save", exact: true }).click();
	const d = root.getByRole("dialog", { name: "Somebody else saved this draft" });
	await d.getByRole("alert").waitFor();
	assert.match(await d.innerText(), /anna saved move-the-cart/);
	const lines = await d.getByRole("region", { name: "Theirs, and yours" }).innerText();
	assert.match(lines, /8001/);
	assert.match(lines, /6380/);
	const now = await one("move-the-cart");
	assert.equal(now.status.by, "anna");
	assert.deepEqual(now.spec.edits.map((e) => e.name).sort(), ["cart", "catalogue"]);
	await t.shot(root, "draft-conflict");
	await d.getByRole("button", { name: "Save mine" }).click();
	await until("both are there", async () => (await drafts()).length === 2);
	assert.deepEqual((await one("move-the-cart")).spec.edits.map((e) => e.name).sort(), ["cart", "catalogue"]);
	assert.deepEqual((await one("move-the-cart-2")).spec.edits.map((e) => e.name).sort(), ["cart", "store"]);
});
await t.check("a draft that reaches into a namespace of others is not saved by who may not change it there", async () => {
	const status = await bela.evaluate(async () => {
		const me = await (await fetch("/page/me")).json();
		const edits = [{ verb: "delete", kind: "Service", namespace: "shop", name: "cart" }];
		const r = await fetch("/apis/weft.network/v1alpha1/drafts", {
			method: "POST", headers: { "Content-Type": "application/json", "Weft-Csrf": me.csrf },
			body: JSON.stringify({ apiVersion: "weft.network/v1alpha1", kind: "Draft", metadata: { name: "hers" }, spec: { edits } }),
		});
		return r.status;
	});
	assert.equal(status, 403);
	assert.equal(await one("hers"), undefined);
});
await t.check("reviewed from the list and applied, it is one step, in force, and the draft is gone for everybody", async () => {
	await anna.getByRole("link", { name: "Changes" }).click();
	await saved(anna).getByRole("button", { name: "Review Móve the cart", exact: true }).click();
	const d = anna.getByRole("dialog", { name: "Review the change" });
	await d.getByRole("button", { name: "Apply", exact: true }).click();
	await until("the file has both", () => /7001[\s\S]*8001|8001[\s\S]*7001/.test(readFileSync(file, "utf8")));
	await until("the draft is gone", async () => (await one("move-the-cart")) === undefined);
	await saved(anna).getByText("Móve the cart", { exact: true }).waitFor({ state: "detached" });
	await saved(anna).getByText("Móve the cart 2").waitFor();
});
await t.check("what was changed since is a conflict of its objects when the other one is applied: nothing is lost", async () => {
	await root.getByRole("button", { name: "Review…" }).first().click();
	const d = root.getByRole("dialog", { name: "Review the change" });
	await d.getByRole("alert").waitFor();
	assert.match(await d.innerText(), /NetworkPolicy shop\/cart: it was changed since it was looked at: by anna/);
	assert.ok(await d.getByRole("button", { name: "Apply", exact: true }).isDisabled());
	await d.getByRole("button", { name: "Back" }).click();
});
await t.check("deleted by keyboard, after a question", async () => {
	await root.getByRole("link", { name: "Changes" }).click();
	await saved(root).getByRole("button", { name: "Delete Móve the cart 2" }).focus();
	await root.keyboard.press("Enter");
	const d = root.getByRole("dialog", { name: "Delete the draft Móve the cart 2" });
	await d.getByRole("button", { name: "Delete", exact: true }).focus();
	await root.keyboard.press("Enter");
	await until("none is left", async () => (await drafts()).length === 0);
	await root.getByText("it was applied or deleted meanwhile").waitFor();
});
for (const theme of ["light", "dark"]) {
	const p = await t.open("/objects/networkpolicies", { theme });
	await t.check(`axe-core finds nothing, ${theme}`, async () => {
		await rewrite(p, "shop/catalogue", "port: 8001", "port: 8002");
		await p.getByRole("button", { name: "Save for later…" }).click();
		assert.deepEqual(await t.axe(p), []);
		await t.shot(p, `draft-save-${theme}`);
		await p.getByRole("textbox", { name: "Name", exact: true }).fill(`A look in ${theme}`);
		await p.getByRole("button", { name: "Save", exact: true }).click();
		await p.getByRole("link", { name: "Changes" }).click();
		await saved(p).getByText(`A look in ${theme}`).waitFor();
		assert.deepEqual(await t.axe(p), []);
		await t.shot(p, `drafts-${theme}`);
	});
}
await t.finish({ expected: ["409", "404", "403", "422"] });
