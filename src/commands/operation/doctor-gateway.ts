/** The checks of `weir doctor` that ask a running gateway. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DAY_MS } from "../../model/duration.ts";
import { microsecondsText } from "../../model/time.ts";
import { STORE_FILE } from "../../store/inspection.ts";
import { accepted, type Send } from "../client.ts";
import type { Finding, Stock } from "./doctor-checks.ts";

const TIMEOUT_MS = 30_000;
/** The gauge of the round trip. One series, however often the command runs. */
const METRIC = "weir_doctor_check";

/** Whether the gateway is ready: it can commit, and render a scrape. */
export async function checkReady(send: Send): Promise<Finding> {
  try {
    const response = await send("/-/ready", { timeoutMs: TIMEOUT_MS });
    await accepted(response);
    return { state: "ok", text: "a gateway has the store open, and is ready" };
  } catch (error) {
    return { state: "FAIL", text: `another process has the store open. ${messageOf(error)}` };
  }
}

/** What the gateway's store contains. Undefined if the token may not ask. */
export async function stockOfGateway(send: Send, data: string): Promise<Stock | undefined> {
  try {
    const asked = Date.now();
    const response = await accepted(
      await query(send, "SELECT epoch_ms(min(ts)) AS oldest, epoch_ms(max(ts)) AS newest FROM samples"),
    );
    const clock = Date.parse(response.headers.get("date") ?? "");
    const { rows } = (await response.json()) as { rows: { oldest: number | null; newest: number | null }[] };
    const { oldest, newest } = rows[0]!;
    const day = (ms: number) => Math.floor(ms / DAY_MS);
    const files = readdirSync(data).filter((name) => name.startsWith(STORE_FILE));
    return {
      days: oldest === null || newest === null ? 0 : day(Number(newest)) - day(Number(oldest)) + 1,
      newestMs: newest === null ? undefined : Number(newest),
      bytes: files.reduce(
        (sum, name) => sum + (statSync(join(data, name), { throwIfNoEntry: false })?.size ?? 0),
        0,
      ),
      clockAheadMs: Number.isNaN(clock) ? 0 : clock - asked,
    };
  } catch {
    // The round trip reports what the gateway answers.
    return undefined;
  }
}

/** Pushes one sample, and reads it again by SQL. */
export async function checkRoundTrip(send: Send): Promise<Finding> {
  try {
    const begin = performance.now();
    const time = Date.now();
    const pushed = await send("/api/v1/push", {
      method: "POST",
      timeoutMs: TIMEOUT_MS,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ "@timestamp": time, metric_name: METRIC, type: "gauge", value: time }),
    });
    await accepted(pushed);
    const pushMs = performance.now() - begin;
    const at = microsecondsText(time * 1000).replace("Z", "");
    const response = await accepted(
      await query(send, `SELECT value FROM ${METRIC} WHERE ts = TIMESTAMP '${at}'`),
    );
    const { rows } = (await response.json()) as { rows: { value: number }[] };
    if (rows.length !== 1 || Number(rows[0]!.value) !== time)
      return {
        state: "FAIL",
        text: `the gateway accepted a sample of ${METRIC}, but a query does not return it`,
      };
    const readMs = performance.now() - begin - pushMs;
    return {
      state: "ok",
      text: `a sample was stored in ${Math.round(pushMs)} ms and read in ${Math.round(readMs)} ms`,
    };
  } catch (error) {
    return { state: "FAIL", text: messageOf(error) };
  }
}

function query(send: Send, sql: string): Promise<Response> {
  return send("/api/v1/sql", {
    method: "POST",
    timeoutMs: TIMEOUT_MS,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sql }),
  });
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
