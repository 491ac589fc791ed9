/** A gateway with destinations, for tests: its services run, so that it sends. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NOON_MS, TestGateway } from "../gateway.ts";
import { until } from "../until.ts";

export class ForwardingGateway extends TestGateway {
  readonly #settings = mkdtempSync(join(tmpdir(), "weir-forward-"));
  readonly #more: readonly string[];

  private constructor(nowMs: number, more: readonly string[]) {
    super(nowMs);
    this.#more = more;
  }

  /** @param toml the tables `[[forward]]`, and other settings before them */
  static async openWith(
    toml: string,
    { nowMs = NOON_MS, more = [] as string[] } = {},
  ): Promise<ForwardingGateway> {
    const gateway = new ForwardingGateway(nowMs, more);
    await gateway.configure(toml);
    return gateway;
  }

  /** Opens the gateway, or opens it again, with these settings. */
  async configure(toml: string): Promise<void> {
    const path = join(this.#settings, "weir.toml");
    writeFileSync(path, toml);
    const settings = [`--config=${path}`, "--no-sampler", ...this.#more];
    if (this.gateway === undefined) await this.open(settings);
    else {
      await this.stopServices();
      await this.reopen(...settings);
    }
    await this.startServices();
  }

  override async close(): Promise<void> {
    await super.close();
    rmSync(this.#settings, { recursive: true });
  }

  /** The value of one of the gateway's own metrics, as `/metrics` has it. */
  async own(sample: string): Promise<number> {
    const [, text] = await this.send("GET /metrics");
    const line = text.split("\n").find((each) => each.startsWith(`${sample} `));
    return Number(line?.slice(sample.length + 1) ?? 0);
  }

  /** Waits until a destination has all samples that are stored. */
  async sent(destination: string): Promise<void> {
    await until(
      `${destination} to have all samples`,
      async () => {
        // Rows of the journal move to their tables.
        await this.query("SELECT 1");
        return (await this.own(`weir_forward_lag_samples{destination="${destination}"}`)) === 0;
      },
      60,
    );
  }
}

/** A table `[[forward]]`. */
export function destinationTable(values: Readonly<Record<string, unknown>>): string {
  return `[[forward]]\n${pairsOf(values).join("\n")}\n`;
}

function pairsOf(values: object): string[] {
  return Object.entries(values).map(([key, value]) => {
    const isTable = typeof value === "object" && !Array.isArray(value);
    return `${JSON.stringify(key)} = ${isTable ? `{ ${pairsOf(value).join(", ")} }` : JSON.stringify(value)}`;
  });
}

/** The samples of VictoriaMetrics that match a selector, as `series ms value`, in order. */
export async function exportedFrom(url: string, selector: string): Promise<string[]> {
  await fetch(`${url}/internal/force_flush`);
  const answer = await fetch(`${url}/api/v1/export`, {
    method: "POST",
    body: new URLSearchParams({ "match[]": selector }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  const lines = (await answer.text()).split("\n").filter((line) => line !== "");
  return lines
    .flatMap((line) => {
      const { metric, values, timestamps } = JSON.parse(line) as {
        metric: Record<string, string>;
        values: number[];
        timestamps: number[];
      };
      const { __name__: name, ...labels } = metric;
      const text = Object.entries(labels)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
        .join(",");
      return values.map((value, at) => `${name}{${text}} ${timestamps[at]} ${value}`);
    })
    .sort();
}
