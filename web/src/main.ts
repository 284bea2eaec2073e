// SPDX-License-Identifier: Apache-2.0
import "./theme.css";
import { mount } from "svelte";
import App from "./App.svelte";

const target = document.getElementById("page");
if (!target) throw new Error("index.html has no #page");
export default mount(App, { target });
