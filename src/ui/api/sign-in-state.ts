/** Whether the gateway wants a token that the page does not have. */
import { signal } from "@preact/signals";

export const signInIsNeeded = signal(false);
