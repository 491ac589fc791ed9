/** The gateway of the demo, when other programs use its ports. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { DEFAULT_PORT, startDemoGateway } from "../../../src/commands/demo/demo-gateway.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

/** A program at a port, if no other one is there already. */
function occupy(port: number): Bun.TCPSocketListener | undefined {
  try {
    return Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
  } catch {
    return undefined;
  }
}

const other = occupy(0)!;
const atDefault = occupy(DEFAULT_PORT);
afterAll(() => {
  other.stop(true);
  atDefault?.stop(true);
});

function start(port: number | undefined) {
  const folder = temporaryFolder();
  const data = join(folder, "data");
  return startDemoGateway({ data, port, logFile: join(folder, "log"), onFatal: () => undefined });
}

test("listens on a free port if the default one is taken", async () => {
  const gateway = await start(undefined);
  expect(gateway.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(gateway.url).not.toBe(`http://127.0.0.1:${DEFAULT_PORT}`);
  expect((await fetch(`${gateway.url}/-/ready`)).status).toBe(200);
  await gateway.stop();
});

test("a port that was asked for and is taken is an error that names it", async () => {
  await expect(start(other.port)).rejects.toThrow(
    `--port is ${other.port}, which cannot be used: another program listens there, or it is not allowed.`,
  );
});
