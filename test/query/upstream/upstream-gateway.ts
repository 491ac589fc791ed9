/** A gateway with an upstream, for tests. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TestGateway } from "../../gateway.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

export interface PrometheusAnswer {
  readonly status: string;
  readonly error?: string;
  readonly errorType?: string;
  readonly warnings?: readonly string[];
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value?: readonly [number, string];
      readonly values?: readonly (readonly [number, string])[];
    }[];
  };
}

/** Opens a gateway with a retention of 3 days and these settings of weir.toml. */
export async function gatewayWith(nowMs: number, toml: string, ...flags: string[]): Promise<TestGateway> {
  const path = join(temporaryFolder(), "weir.toml");
  writeFileSync(path, toml);
  return await new TestGateway(nowMs).open([`--config=${path}`, ...flags]);
}

export type Parameters = Readonly<Record<string, string | number>>;

function textOf(path: string, parameters: Parameters): string {
  const pairs = Object.entries(parameters).map(([name, value]): [string, string] => [name, `${value}`]);
  return `/api/v1/${path}?${new URLSearchParams(pairs)}`;
}

export async function askGateway(
  gateway: TestGateway,
  path: string,
  parameters: Parameters,
  headers: Record<string, string> = {},
): Promise<PrometheusAnswer> {
  const answer = await gateway.fetch(textOf(path, parameters), { headers });
  return (await answer.json()) as PrometheusAnswer;
}

export async function askServer(
  url: string,
  path: string,
  parameters: Parameters,
): Promise<PrometheusAnswer> {
  return (await (await fetch(`${url}${textOf(path, parameters)}`)).json()) as PrometheusAnswer;
}
