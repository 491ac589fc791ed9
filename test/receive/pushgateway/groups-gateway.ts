/** A gateway for the tests of groups: what is exposed and stored of them, in a short notation. */
import { NOON_MS, TestGateway } from "../../gateway.ts";

export class GroupsGateway extends TestGateway {
  /** Pushed series on /metrics, without `instance=""`, and without push times unless `pushTimes` is set. */
  override async exposed(pushTimes = false): Promise<string[]> {
    return (await super.exposed())
      .filter((line) => /^\w+\{.*job="/.test(line))
      .filter((line) => pushTimes || !/^push_(failure_)?time_seconds/.test(line))
      .map((line) => line.replace('instance="",', ""));
  }

  /**
   * The stored samples of a metric, by time and labels: seconds after noon, labels, value. Null is a stale
   * marker.
   */
  async history(metric: string): Promise<[number, Record<string, string>, number | null][]> {
    const [status, text] = await this.send(
      `GET /api/v1/sql?q=${encodeURIComponent(`SELECT epoch_us(ts) AS us, labels, value FROM samples WHERE metric = '${metric}' ORDER BY ts, labels::VARCHAR`)}`,
    );
    if (status !== 200) throw new Error(text);
    const { rows } = JSON.parse(text) as {
      rows: { us: number; labels: Record<string, string>; value: number | null }[];
    };
    return rows.map(({ us, labels, value }) => [(us - NOON_MS * 1_000) / 1e6, labels, value]);
  }
}

export function openGroupsGateway(...settings: string[]): Promise<GroupsGateway> {
  return new GroupsGateway(NOON_MS).open(settings);
}
