/**
 * The beginning of the one file (build.ts). A command that may open a database needs variables that Bun reads when it starts.
 * So the process first replaces itself by itself with these variables, before it loads any other module: 20 ms.
 */
import { tuneProcess } from "../../src/program/process-tuning.ts";

/** Commands that may open a database. */
const TUNED: readonly string[] = ["serve", "demo", "import", "compact", "backup", "restore", "doctor"];

const argv = process.argv.slice(2);
if (TUNED.includes(argv[0] ?? "")) tuneProcess(argv, process.env);
const { run } = await import("../../src/main.ts");
await run();
