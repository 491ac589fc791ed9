/** What a supervisor sees of the real gateway, and what becomes of errors that nothing catches. */
import { afterAll, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDatagramSocket } from "../../src/wire/sockets/datagram-socket.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PUSH = { method: "POST", body: JSON.stringify({ metric_name: "m", value: 42 }) };

describe.skipIf(process.platform !== "linux")("systemd", () => {
  test("gets opening, ready with a status, signs of life, and stopping, in this order", async () => {
    const path = join(folder, "notify");
    const messages: string[] = [];
    const socket = await openDatagramSocket({ path }, 65_536, {
      onDatagram: (bytes, from, length) =>
        void messages.push(Buffer.from(bytes.subarray(from, from + length)).toString()),
      onFault: (error) => {
        throw error;
      },
    });
    const gateway = await GatewayProcess.start({
      data: join(folder, "notified"),
      args: ["--no-sampler"],
      env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "200000" },
    });
    await until(
      "two signs of life",
      () => messages.filter((each) => each.startsWith("WATCHDOG=1")).length >= 2,
    );
    expect((await fetch(`${gateway.url}/api/v1/push`, PUSH)).status).toBe(200);
    await until("the status to show the series", () => messages.at(-1)!.includes("; 1 series,"));
    expect(await gateway.stop("SIGTERM")).toBe(0);
    await until("the message about the stop", () => messages.some((each) => each.startsWith("STOPPING=1")));
    socket.close();
    expect(messages[0]).toBe("STATUS=opening the store\nEXTEND_TIMEOUT_USEC=60000000");
    expect(messages[1]).toBe(`READY=1\nSTATUS=accepts pushes on ${gateway.url}; 0 series, 0 samples wait`);
    const kinds = messages.slice(2).map((each) => each.split("\n")[0]);
    expect(new Set(kinds.slice(0, -1))).toEqual(new Set(["WATCHDOG=1"]));
    expect(messages.at(-1)).toBe("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=10000000");
  });

  test.skipIf(Bun.which("python3") === null)("gets messages at an abstract address", async () => {
    const name = `weir-test-${crypto.randomUUID()}`;
    const program = `import socket
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("\\0${name}")
print("bound", flush=True)
while True:
    text = receiver.recv(4096).decode()
    print(text.replace("\\n", " "), flush=True)
    if text.startswith("STOPPING"): break`;
    const receiver = Bun.spawn(["python3", "-c", program], { stdout: "pipe" });
    const lines = receiver.stdout.pipeThrough(new TextDecoderStream()).getReader();
    expect((await lines.read()).value).toStartWith("bound");
    const gateway = await GatewayProcess.start({
      data: join(folder, "abstract"),
      args: ["--no-sampler"],
      env: { NOTIFY_SOCKET: `@${name}`, WATCHDOG_USEC: "60000000", WATCHDOG_PID: "1" },
    });
    const exitCode = await gateway.stop("SIGTERM");
    if (exitCode !== 0) receiver.kill();
    expect(exitCode).toBe(0);
    let text = "";
    for (let part = await lines.read(); !part.done; part = await lines.read()) text += part.value;
    expect(text.trim()).toMatch(/^STATUS=opening[^\n]*\nREADY=1 [^\n]*\nSTOPPING=1 [^\n]*$/);
  });

  test("is told why a start failed, and a socket without a receiver does not prevent one", async () => {
    const { exitCode, log } = await GatewayProcess.startToEnd({
      data: join(folder, "unreachable"),
      args: [
        "--no-sampler",
        "--log-format",
        "json",
        "--scrape",
        "http://127.0.0.1:1,job=x",
        "--listen",
        "unix:/nowhere/x",
      ],
      env: { NOTIFY_SOCKET: join(folder, "nobody") },
    });
    expect(exitCode).toBe(1);
    const events = log
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { event: string }).event);
    expect(events).toEqual(["supervisor_unreachable", "start_failed"]);
  });
});

describe("an error that nothing catches", () => {
  const preload = join(folder, "faults.ts");
  writeFileSync(
    preload,
    `process.on("SIGUSR1", () => void Promise.reject(new Error("a stray rejection")));
process.on("SIGUSR2", () => setTimeout(() => { throw new Error("a stray exception"); }));`,
  );
  const start = (name: string) =>
    GatewayProcess.start({
      data: join(folder, name),
      args: ["--no-sampler", "--log-format", "json"],
      runtimeArgs: ["--preload", preload],
    });
  const eventsOf = ({ log }: GatewayProcess) =>
    log.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, string>);

  test("in a promise is logged once with its stack and counted, and the gateway continues", async () => {
    const gateway = await start("rejection");
    process.kill(gateway.pid, "SIGUSR1");
    await until("the line", () => gateway.log.text.includes("a stray rejection"));
    expect((await fetch(`${gateway.url}/api/v1/push`, PUSH)).status).toBe(200);
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toContain('weir_uncaught_faults_total{kind="rejection"} 1\n');
    expect(await gateway.stop("SIGTERM")).toBe(0);
    const lines = eventsOf(gateway);
    expect(lines.map(({ event }) => event)).toEqual(["listening", "rejection", "stopping", "stopped"]);
    expect(lines[1]!.error).toMatch(/^Error: a stray rejection\n\s+at .*faults\.ts/);
  });

  test("thrown in a timer stops the gateway in order with exit code 1, and loses no push", async () => {
    const gateway = await start("exception");
    expect((await fetch(`${gateway.url}/api/v1/push`, PUSH)).status).toBe(200);
    process.kill(gateway.pid, "SIGUSR2");
    expect(await gateway.ended()).toBe(1);
    const lines = eventsOf(gateway);
    expect(lines.map(({ event }) => event)).toEqual(["listening", "exception", "stopping", "stopped"]);
    expect(lines[1]!.error).toMatch(/^Error: a stray exception\n\s+at .*faults\.ts/);
    const again = await start("exception");
    const answer = await fetch(`${again.url}/api/v1/sql?q=SELECT+value+FROM+m`);
    expect(await answer.json()).toMatchObject({ rows: [{ value: 42 }] });
    expect(await again.stop("SIGTERM")).toBe(0);
  });
});
