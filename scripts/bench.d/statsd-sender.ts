/**
 * Sends StatsD datagrams to a UDP port at a steady rate, as a process of its own. Prints as JSON how many it sent, in how
 * many seconds, and with how much CPU time. Its arguments: port, datagrams per second, seconds, series.
 */

/** Datagrams per system call. */
const BURST = 64;
/** Values that differ, so that the values of a series do. */
const VALUES = 1_000;

const [port = 0, rate = 0, seconds = 0, series = 0] = process.argv.slice(2).map(Number);

/** Timers, counters and gauges, each with two tags. */
const texts = Array.from({ length: VALUES * 8 }, (_, index) => {
  const tags = `#route:/route/${index % series},env:production`;
  const value = (index * 7_919) % VALUES;
  return [
    `api.request.time:${value}|ms|${tags}`,
    `api.requests:1|c|${tags}`,
    `api.queue:${value}|g|${tags}`,
    `api.response.bytes:${value * 10}|h|${tags}`,
  ][index % 4]!;
});
const socket = await Bun.udpSocket({ hostname: "127.0.0.1", connect: { hostname: "127.0.0.1", port } });
const started = performance.now();
let sent = 0;
for (let now = started; now - started < seconds * 1_000; now = performance.now()) {
  const due = Math.floor(((now - started) / 1_000) * rate) - sent;
  if (due < Math.min(BURST, rate / 1_000)) {
    await Bun.sleep(1);
    continue;
  }
  const from = sent % texts.length;
  sent += socket.sendMany(texts.slice(from, from + Math.min(BURST, due)));
}
const elapsed = (performance.now() - started) / 1_000;
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ sent, seconds: elapsed, cpuSeconds: (user + system) / 1e6 }));
socket.close();
