/** Pushes of groups, and Debian's Pushgateway. */
import { type Contender, program, type Server } from "./servers.ts";

/** Metrics of a group. */
export const METRICS = 6;

export function pushgateway(args: readonly string[]): Contender {
  return program({
    name: "prometheus-pushgateway",
    path: "",
    readyPath: "/-/ready",
    args: (_, address) => [`--web.listen-address=${address}`, "--log.level=error", ...args],
  });
}

/** What a nightly job on many machines would say. */
function bodyOf(group: number): string {
  return `# HELP job_duration_seconds How long the run took.
# TYPE job_duration_seconds gauge
job_duration_seconds ${12 + (group % 100) / 8}
# HELP job_last_success_timestamp_seconds When a run last succeeded.
# TYPE job_last_success_timestamp_seconds gauge
job_last_success_timestamp_seconds ${1.7e9 + group}
# HELP job_records_total Records by stage.
# TYPE job_records_total counter
job_records_total{stage="read"} ${1_000 + group}
job_records_total{stage="written"} ${900 + group}
# HELP job_bytes_total Bytes by direction.
# TYPE job_bytes_total counter
job_bytes_total{direction="in"} ${4_096 * group}
job_bytes_total{direction="out"} ${1_024 * group}
`;
}

/** Replaces a group. */
export async function pushGroup({ url }: Server, group: number): Promise<void> {
  const target = `${url}/metrics/job/nightly_export/instance/worker-${group}.example.com`;
  const response = await fetch(target, { method: "PUT", body: bodyOf(group) });
  const text = await response.text();
  // 202 is Pushgateway's answer with its checks off.
  if (!response.ok) throw new Error(`${target} was answered ${response.status}: ${text}`);
}
