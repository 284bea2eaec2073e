// SPDX-License-Identifier: Apache-2.0
// What somebody wants to see in Wireshark: a capture that is to be made, or one that runs. The dialog for it stands above all views.
import type { CaptureWish } from "../model/captureform.ts";

export interface WiresharkWish {
	/** Of what, as people say it: "page → cart". */
	title: string;
	wish?: CaptureWish;
	/** The name of a Capture that runs. */
	capture?: string;
}

class Wireshark {
	asked: WiresharkWish | null = $state.raw(null);

	open(w: WiresharkWish): void {
		this.asked = w;
	}
	close(): void {
		this.asked = null;
	}
}

export const wireshark = new Wireshark();
