/**
 * The beginning of the one file (build.ts). A command that may open a database needs variables that Bun reads when it starts.
 * So the process first replaces itself by itself with these variables, before it loads any other module: 20 ms.
 *
 * The file begins with a JIT policy that leaves a start to the interpreter (START_JIT_POLICY in build.ts). `weir serve` goes back to
 * the usual one when it listens. Other commands work at once.
 */
import { tuneProcess } from "../../src/program/process-tuning.ts";

/** Commands that may open a database. */
const TUNED: readonly string[] = ["serve", "demo", "import", "compact", "backup", "restore", "doctor"];

const argv = process.argv.slice(2);
if (TUNED.includes(argv[0] ?? "")) tuneProcess(argv, process.env);
if (argv[0] !== "serve") Bun.unsafe.setJITPolicy(1);
const { run } = await import("../../src/main.ts");
await run();
