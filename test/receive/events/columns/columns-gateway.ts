/** A gateway that is pushed columns: shared by the tests of their forms. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openTestGatewayAt, type TestGateway } from "../../../gateway.ts";

/** One hour after the times that the tests push. */
export const NOW_MS = Date.UTC(2024, 9, 4, 12);
export const ELEVEN_MS = Date.UTC(2024, 9, 4, 11);

export const ARROW = { "content-type": "application/vnd.apache.arrow.stream" };

export function arrowFixture(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(join(import.meta.dir, "../../../fixtures/arrow", name)));
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown> & {
    errors?: { index: number; reason: string }[];
    error?: { code: string; message: string; field?: string };
  };
}

export async function openColumnsGateway(...settings: string[]): Promise<ColumnsGateway> {
  return new ColumnsGateway(await openTestGatewayAt(NOW_MS, ...settings));
}

export class ColumnsGateway {
  readonly gateway: TestGateway;

  constructor(gateway: TestGateway) {
    this.gateway = gateway;
  }

  async push(body: Bun.BodyInit, query = "", headers: Record<string, string> = {}): Promise<Answer> {
    const response = await this.gateway.fetch(`/api/v1/push${query}`, { method: "POST", body, headers });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Answer["body"],
    };
  }

  /** The stored samples of a metric: milliseconds after 11:00, value, labels, task_id; in the order in which they were stored. */
  async stored(metric: string, column = "task_id"): Promise<unknown[]> {
    const days = await this.gateway.query(
      "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'samples_2%' ORDER BY table_name",
    );
    const found: unknown[] = [];
    for (const { table_name: table } of days) {
      const has = await this.gateway.query(
        `SELECT 1 FROM information_schema.columns WHERE table_name = '${table as string}' AND column_name = '${column}'`,
      );
      const rows = await this.gateway.query(
        `SELECT epoch_us(ts) - ${ELEVEN_MS}000 AS us, value, labels, ${has.length > 0 ? column : "NULL"} AS id
         FROM weir.${table as string} JOIN weir.series USING (series_id) WHERE metric = '${metric}'
         ORDER BY weir.${table as string}.rowid`,
      );
      for (const { us, value, labels, id } of rows)
        found.push([Number(us) / 1000, value, labels, ...(id === null ? [] : [id])]);
    }
    return found;
  }

  /** The kind, unit and help of a metric. */
  async metric(name: string): Promise<unknown> {
    const [found] = await this.gateway.query(
      `SELECT kind, unit, help FROM weir.metrics WHERE metric = '${name}'`,
    );
    return found;
  }

  close(): Promise<void> {
    return this.gateway.close();
  }
}
