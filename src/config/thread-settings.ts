/** The settings of threads, a part of the table in settings.ts. */
import type { Setting } from "./settings.ts";

export const THREAD_SETTINGS = {
  threads: {
    type: { is: "count", min: 1, max: 256 },
    default: 2,
    what: "Threads of the database engine.",
    why: "The smallest supported machine has two cores.",
  },
  decodeWorkers: {
    type: { is: "choice", of: ["auto", "0", "1", "2", "3", "4", "5", "6", "7", "8"] },
    default: "auto",
    what: "The most threads that decode large bodies of events, columns and remote_write. `auto`: as many as the machine has cores beside two, at most 8.",
    why: "The thread that accepts requests and the threads of the store need two cores. With two cores or less, no thread decodes, because that would cost more than it saves.",
  },
} as const satisfies Record<string, Setting>;
