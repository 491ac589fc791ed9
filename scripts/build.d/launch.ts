/**
 * The beginning of the one file (build.ts). A command that may open a database needs variables that Bun reads when it starts. On
 * Linux the process has them before Bun begins (entry/tuned-entry.ts). On macOS it first replaces itself by itself with these
 * variables, before it loads any other module.
 */
import { tuneProcess } from "../../src/program/process-tuning.ts";

/** Commands that may open a database. */
const TUNED: readonly string[] = ["serve", "demo", "import", "compact", "backup", "restore", "doctor"];

const argv = process.argv.slice(2);
if (process.platform === "darwin" && TUNED.includes(argv[0] ?? "")) tuneProcess(argv, process.env);
const { run } = await import("../../src/main.ts");
await run();
