// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

/** licences.txt: what the parts in the bundle ask to be said with them, from their own folders. */
function licences(): Plugin {
	return {
		name: "weft-licences",
		generateBundle(_options, bundle) {
			const folders = new Set<string>();
			for (const file of Object.values(bundle))
				if (file.type === "chunk")
					for (const id of Object.keys(file.modules)) {
						const m = /^\0?(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(id);
						if (m?.[1]) folders.add(m[1]);
					}
			const texts = [...folders].sort().map((folder) => {
				const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name: string; version: string; license?: string };
				const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
				return `${about.name} ${about.version}, ${about.license ?? "no licence named"}\n\n${file ? readFileSync(join(folder, file), "utf8").trim() : ""}\n`;
			});
			this.emitFile({ type: "asset", fileName: "licences.txt", source: `Parts of this page that others wrote.\n\n${texts.join("\n----\n\n")}` });
		},
	};
}

// One bundle of files with hashes in their names, which weft-hub serves from its binary. Nothing is inlined: the page's
// Content-Security-Policy allows scripts and styles from the hub only.
export default defineConfig({
	plugins: [svelte({ configFile: "svelte.config.js" }), licences()],
	build: {
		outDir: process.env.WEFT_PAGE_OUT ?? "dist",
		emptyOutDir: true,
		assetsInlineLimit: 0,
		target: "es2022",
		modulePreload: { polyfill: false },
		reportCompressedSize: false,
		chunkSizeWarningLimit: 1500,
	},
});
