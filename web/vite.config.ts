// SPDX-License-Identifier: Apache-2.0
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// One bundle of files with hashes in their names, which weft-hub serves from its binary. Nothing is inlined: the page's
// Content-Security-Policy allows scripts and styles from the hub only.
export default defineConfig({
	plugins: [svelte({ configFile: "svelte.config.js" })],
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
