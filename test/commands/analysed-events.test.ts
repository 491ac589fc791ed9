/**
 * The pipelines of `jq` and `awk` by which people analyse the files of their workers: what `weir export` prints goes through them
 * as the file does, with the same answers.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { weir } from "./weir.ts";

const ROOT = join(import.meta.dir, "../..");
const request = "http.request.duration_ms";

/** Two polls, a task, two uploads of which one fails, and two sizes. */
const EVENTS = [
  [request, 234.56, { operation: "get_task", status_code: "200", has_task: "true" }],
  [request, 187.23, { operation: "get_task", status_code: "204", has_task: "false", task_id: "none" }],
  [request, 1523.45, { operation: "target_request", status_code: "200", success: "true" }],
  [request, 145.67, { operation: "upload_result", status_code: "429", success: "false" }],
  [request, 100.33, { operation: "upload_result", status_code: "200", success: "true" }],
  ["task.processing_duration_ms", 7234, { domain: "slow-api.example.com", http_status: "200" }],
  ["task.processing_duration_ms", 2345.89, { domain: "api.github.com", http_status: "200" }],
  ["upload.size_bytes", 342, { upload_type: "inline" }],
  ["upload.size_bytes", 1548672, { upload_type: "direct" }],
] as const;

/** As they are written in the documents of such a worker, for its file on standard input. */
const PIPELINES: readonly (readonly [what: string, pipeline: string, answer: string])[] = [
  [
    "the mean duration by operation",
    `jq -r 'select(.metric_name == "http.request.duration_ms") |
       "\\(.tags.operation),\\(.value)"' |
     awk -F',' '{sum[$1]+=$2; count[$1]++}
            END {for (op in sum) print op": "sum[op]/count[op]" ms"}' | sort`,
    "get_task: 210.895 ms\ntarget_request: 1523.45 ms\nupload_result: 123 ms\n",
  ],
  [
    "requests by status",
    `jq -r 'select(.metric_name == "http.request.duration_ms") | .tags.status_code' | sort | uniq -c`,
    "      3 200\n      1 204\n      1 429\n",
  ],
  [
    "slow tasks",
    `jq -c 'select(.metric_name == "task.processing_duration_ms" and .value > 5000) |
      {task_id: .tags.task_id, duration_sec: (.value/1000), domain: .tags.domain}'`,
    '{"task_id":"1704067200_abc123","duration_sec":7.234,"domain":"slow-api.example.com"}\n',
  ],
  [
    "the data that was uploaded",
    `jq -r 'select(.metric_name == "upload.size_bytes") | .value' |
     awk '{sum+=$1; count++} END {print "Total: "sum/1024/1024" MB in "count" uploads"}'`,
    "Total: 1.47725 MB in 2 uploads\n",
  ],
  [
    "the error rate by operation",
    `jq -r 'select(.metric_name == "http.request.duration_ms") |
       "\\(.tags.operation),\\(.tags.success)"' |
     awk -F',' '{total[$1]++; if($2=="false") errors[$1]++}
            END {for (op in total) print op": "((errors[op]/total[op])*100)"% error rate"}' | sort`,
    "get_task: 0% error rate\ntarget_request: 0% error rate\nupload_result: 50% error rate\n",
  ],
];

describe.skipIf(Bun.which("jq") === null)("the events of a worker", () => {
  const file = join(temporaryFolder(), "metrics_prod.json");
  let gateway: GatewayProcess;

  beforeAll(async () => {
    const beganMs = Date.now() - 60_000;
    const lines = EVENTS.map(([metric_name, value, tags], at) =>
      JSON.stringify({
        ...{ "@timestamp": beganMs + at * 5_000, metric_name, value },
        tags: { task_id: "1704067200_abc123", ...tags },
      }),
    );
    writeFileSync(file, `${lines.join("\n")}\n`);
    gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
    expect(await weir(["import", file, "--url", gateway.url])).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    await gateway.stop("SIGTERM");
  });

  test.each(PIPELINES)("give %s, from the file and from an export", async (_, pipeline, answer) => {
    const printed = [];
    for (const source of ['cat "$1"', '"$2" "$3/src/main.ts" export --url "$4"']) {
      const child = Bun.spawn(
        [
          "bash",
          "-euo",
          "pipefail",
          "-c",
          `${source} | ${pipeline}`,
          "bash",
          file,
          process.execPath,
          ROOT,
          gateway.url,
        ],
        { stdout: "pipe", stderr: "inherit" },
      );
      printed.push({ out: await child.stdout.text(), code: await child.exited });
    }
    expect(printed).toEqual([
      { out: answer, code: 0 },
      { out: answer, code: 0 },
    ]);
  });
});
