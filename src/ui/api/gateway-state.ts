/** Whether the gateway answers, as the last request saw it. */
import { signal } from "@preact/signals";

export const gatewayState = signal<"here" | "away">("here");
