/**
 * The examples in README.md and in the documents beside the code, run against a real gateway. Each document has a gateway
 * of its own, and its examples run in their order. The gateway of any other document starts with the events that
 * README.md pushes, so that there is something to query.
 *
 * An `sh` block is a command that must succeed. A `json` or `text` block right after it is what the command prints,
 * where `…` matches any text. A block without a language is not run.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GatewayProcess } from "./gateway-process.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const ROOT = join(import.meta.dir, "..");
/** The address of the gateway in the documents. */
const DOCUMENTED_URL = "http://127.0.0.1:9091";

interface Example {
  readonly line: number;
  readonly command: string;
  /** What it prints; undefined if the document does not say. */
  readonly output?: string;
}

/** The commands of a document, with the output that follows each. */
function examplesOf(path: string): Example[] {
  const markdown = readFileSync(join(ROOT, path), "utf8");
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

/** A pattern for the whole output, in which `…` matches any text. */
function patternOf(output: string): RegExp {
  const parts = output.trim().split("…");
  return new RegExp(
    `^\\s*${parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("[\\s\\S]*")}\\s*$`,
  );
}

/** A folder that looks like the repository and holds a worker's files, with a gateway whose data are in it. */
async function openFolder(): Promise<{ folder: string; gateway: GatewayProcess }> {
  const folder = temporaryFolder();
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
  const gateway = await GatewayProcess.start({ data: join(folder, "data"), args: ["--no-sampler"] });
  return { folder, gateway };
}

/** Runs a command of a document against a gateway, in its folder. */
async function run(command: string, { folder, gateway }: { folder: string; gateway: GatewayProcess }) {
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
  return { out, err, code };
}

const documents = ["README.md", ...new Bun.Glob("{src,sql,scripts}/**/README.md").scanSync({ cwd: ROOT })]
  .map((path) => ({ path, examples: examplesOf(path) }))
  .filter(({ examples }) => examples.length > 0);

/** The events that README.md pushes. */
const push = examplesOf("README.md").find(({ command }) => command.includes("/api/v1/push"));

test("README and the documents of protocols and queries have examples", () => {
  expect(push).toBeDefined();
  expect(documents.map(({ path }) => path)).toContainValues([
    "README.md",
    "sql/summaries/README.md",
    "src/commands/import/README.md",
    "src/exposition/README.md",
    "src/query/README.md",
    "src/query/promql/README.md",
    "src/receive/events/README.md",
    "src/receive/pushgateway/README.md",
  ]);
});

for (const { path, examples } of documents) {
  describe(`the examples of ${path}`, () => {
    let place: Awaited<ReturnType<typeof openFolder>>;

    beforeAll(async () => {
      place = await openFolder();
      if (path !== "README.md") expect(await run(push!.command, place)).toMatchObject({ code: 0 });
    });

    afterAll(async () => {
      await place?.gateway.stop("SIGTERM");
    });

    for (const { line, command, output } of examples) {
      test(`line ${line}: ${command.trim().split("\n")[0]}`, async () => {
        const { out, err, code } = await run(command, place);
        expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" });
        // curl -i prints headers, whose lines end in CRLF.
        if (output !== undefined) expect(out.replaceAll("\r\n", "\n")).toMatch(patternOf(output));
      });
    }
  });
}
