/**
 * The README's examples, run in their order against a real gateway. An `sh` block is a command that must
 * succeed; a `json` or `text` block right after it is what it prints, where `…` stands for anything.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { GatewayProcess } from "./system/process.ts";

const ROOT = join(import.meta.dir, "..");
/** Where the README says that the gateway is. */
const DOCUMENTED_URL = "http://127.0.0.1:9091";

interface Example {
  readonly line: number;
  readonly command: string;
  /** What it prints; undefined where the README does not say. */
  readonly output?: string;
}

/** The commands of a document, with the output that follows each. */
function examplesOf(markdown: string): Example[] {
  const blocks = [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  return blocks.flatMap((block, index) => {
    const [whole, language, command] = block;
    if (language !== "sh") return [];
    const end = block.index + whole.length;
    const next = blocks[index + 1];
    const follows =
      next !== undefined && /^(json|text)$/.test(next[1]) && markdown.slice(end, next.index).trim() === "";
    const line = markdown.slice(0, block.index).split("\n").length + 1;
    return [{ line, command, output: follows ? next[2] : undefined }];
  });
}

/** A pattern for the whole output, in which `…` stands for anything. */
function patternOf(output: string): RegExp {
  const parts = output.trim().split("…");
  return new RegExp(
    `^\\s*${parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("[\\s\\S]*")}\\s*$`,
  );
}

const examples = examplesOf(readFileSync(join(ROOT, "README.md"), "utf8"));

describe("the README's examples", () => {
  let folder: string;
  let gateway: GatewayProcess;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "weir-readme-"));
    gateway = await GatewayProcess.start({ data: join(folder, "data"), args: ["--no-sampler"] });
    // The examples are run from a folder that looks like the repository and holds a worker's files.
    symlinkSync(join(ROOT, "scripts"), join(folder, "scripts"));
    const event = (hoursAgo: number) =>
      JSON.stringify({
        "@timestamp": Date.now() - hoursAgo * 3_600_000,
        metric_name: "task.processing_duration_ms",
        value: 1500,
        tags: { method: "GET", domain: "api.example.org", http_status: "200" },
      });
    writeFileSync(join(folder, "metrics_prod.json"), `${event(1)}\n${event(0.5)}\n`);
    writeFileSync(join(folder, "metrics_1.json.2024-01-15"), `${event(26)}\n`);
  });

  afterAll(async () => {
    await gateway?.stop("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  });

  test("are found", () => {
    expect(examples.length).toBeGreaterThanOrEqual(5);
  });

  for (const { line, command, output } of examples) {
    test(`line ${line}: ${command.trim().split("\n")[0]}`, async () => {
      const child = Bun.spawn(["sh", "-euc", command.replaceAll(DOCUMENTED_URL, gateway.url)], {
        cwd: folder,
        env: {
          ...process.env,
          PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
          WEIR_URL: gateway.url,
        },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" });
      if (output !== undefined) expect(out).toMatch(patternOf(output));
    });
  }
});
