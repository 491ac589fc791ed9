/** A Pushgateway that is tested with the table of behaviour.ts through its base URL: Debian's, or Weir. */
import { decodeText } from "../../../src/wire/exposition-formats/text-format.ts";
import { startServer } from "../../real-servers.ts";
import type { Case, Step } from "./behaviour.ts";

/** The result of a case. */
export interface Outcome {
  readonly answers: readonly { readonly status: number; readonly text: string }[];
  readonly exposed: readonly string[];
  readonly types: Readonly<Record<string, string>>;
  readonly groups: Readonly<Record<string, 0 | 1>>;
}

export class Subject {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** Empties the gateway, runs the steps of a case, and returns its state. */
  async run({ steps }: Case): Promise<Outcome> {
    const wiped = await fetch(`${this.url}/api/v1/admin/wipe`, { method: "PUT" });
    if (wiped.status !== 202) throw new Error(`wipe answered ${wiped.status}`);
    const answers = [];
    for (const step of steps) {
      const answer = await this.send(step);
      answers.push({ status: answer.status, text: (await answer.text()).replace(/\n$/, "") });
    }
    // A Pushgateway answers DELETE before it is done, but it handles later requests after it.
    await this.send({ send: "PUT /metrics/job/last", body: "" });
    const groups = await this.groups();
    delete groups['{"job":"last"}'];
    return { answers, ...(await this.exposed()), groups };
  }

  async send({ send, body, headers }: Pick<Step, "send" | "body" | "headers">): Promise<Response> {
    const [, method, path] = /^(\w+) (.*)$/.exec(send)!;
    return await fetch(this.url + path, { method, body, headers, redirect: "manual" });
  }

  /** Pushed series as Prometheus would see them: a label without a value is absent. */
  async exposed(): Promise<{ exposed: string[]; types: Record<string, string> }> {
    const answer = await fetch(`${this.url}/metrics`);
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`/metrics answered ${answer.status}: ${text}`);
    const exposed: string[] = [];
    const types: Record<string, string> = {};
    // Parsed as untyped, so that the parts of histograms are series.
    for (const { name, metrics } of decodeText(Buffer.from(text.replace(/^# .*\n/gm, "")))) {
      for (const { labels, value } of metrics) {
        if (!labels.has("job") || /^(push_time_seconds|push_failure_time_seconds|weir_.*)$/.test(name))
          continue;
        const pairs = [...labels]
          .filter(([, label]) => label !== "")
          .map(([label, shown]) => pair(label, shown));
        exposed.push(`${name}{${pairs.sort().join(",")}} ${value}`);
      }
    }
    for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) types[name!] = type!;
    return { exposed: exposed.sort(), types };
  }

  async groups(): Promise<Record<string, 0 | 1>> {
    const answer = await fetch(`${this.url}/api/v1/metrics`);
    const { status, data } = (await answer.json()) as {
      status: string;
      data: { labels: Record<string, string>; last_push_successful: boolean }[];
    };
    if (status !== "success") throw new Error(`/api/v1/metrics answered ${status}`);
    return Object.fromEntries(
      data.map(({ labels, last_push_successful }) => {
        const sorted = Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
        return [JSON.stringify(sorted), last_push_successful ? 1 : 0];
      }),
    );
  }
}

/** Makes bounds and quantiles with equal numbers equal text. */
function pair(label: string, value: string): string {
  const isEdge = (label === "le" || label === "quantile") && !Number.isNaN(Number(value));
  return `${label}="${isEdge ? Number(value) : value.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`))}"`;
}

/** Debian's Pushgateway as a child process. Undefined if it is not installed. */
export async function startDebians(): Promise<{ subject: Subject; stop(): Promise<void> } | undefined> {
  const program = "prometheus-pushgateway";
  if (Bun.which(program) === null) return undefined;
  const flags = ["--web.listen-address=127.0.0.1:0", "--web.enable-admin-api", "--persistence.file="];
  const server = await startServer([program, ...flags], /Listening on/);
  return { subject: new Subject(server.url), stop: () => server.stop() };
}
