/**
 * A process that pushes one event 20 times per second, and prints a line per answer: when the push began (ms since the
 * epoch), how long it took (ms), and how long the gateway's main thread waited for a processor meanwhile (ms).
 *
 * Arguments: the gateway's address and the id of its process.
 */
import { readFileSync } from "node:fs";

const INTERVAL_MS = 50;
const [url, pid] = process.argv.slice(2);
const body = JSON.stringify({ metric_name: "acknowledged", value: 1 });
/** The second number: how long the thread was ready to run and did not. */
const waitedMs = () =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "latin1").split(" ")[1]) / 1e6;

setInterval(async () => {
  const beginMs = performance.now();
  const beganMs = waitedMs();
  const response = await fetch(`${url}/api/v1/push`, { method: "POST", body });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`a push was answered ${response.status}: ${text}`);
  const tookMs = performance.now() - beginMs;
  console.log(`${Math.round(performance.timeOrigin + beginMs)} ${tookMs} ${waitedMs() - beganMs}`);
}, INTERVAL_MS);
