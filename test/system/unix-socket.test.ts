/** The Unix socket of the real process: its mode, and a file that a killed process left. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";

setDefaultTimeout(300_000);

test("a Unix socket has the mode of the umask, needs no token, and replaces that of a killed process", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "weir.sock");
  const start = (umask: string) =>
    GatewayProcess.start({
      data: join(folder, "data"),
      args: ["--no-sampler", "--listen", `unix:${path}`],
      by: ["sh", "-c", `umask ${umask}; exec "$@"`, "sh"],
    });
  const mode = () => (statSync(path).mode & 0o777).toString(8);
  const killed = await start("007");
  expect(mode()).toBe("770");
  await killed.stop("SIGKILL");
  expect(statSync(path).isSocket()).toBe(true);
  const gateway = await start("077");
  expect(mode()).toBe("700");
  expect((await fetch("http://localhost/metrics", { unix: path })).status).toBe(200);
  expect(await gateway.stop("SIGTERM")).toBe(0);
  expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
});
