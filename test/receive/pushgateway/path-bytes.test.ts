/** The bytes of a push path on a socket: invalid UTF-8 gets 400, and creates no group with another name. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "../../http/raw.ts";
import { type GroupsGateway, openGroupsGateway } from "./groups-gateway.ts";

let gateway: GroupsGateway;
beforeAll(async () => {
  gateway = await openGroupsGateway();
});
afterAll(() => gateway.close());

/** Sends a request whose target has these bytes, one per character of `target`. Returns the status. */
async function send(method: string, target: string, body = ""): Promise<number> {
  const connection = await connect(await gateway.listen());
  const head = `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  connection.write(Buffer.from(head + body, "latin1"));
  return Number(/^HTTP\/1\.1 (\d+)/.exec(await connection.closed)?.[1]);
}
const jobs = async () => (await gateway.exposed()).filter((line) => line.startsWith("path_bytes")).sort();

test("rejects bytes that are not UTF-8, raw or encoded, in the job and in other labels", async () => {
  for (const path of [
    "/metrics/job/caf\xe9",
    "/metrics/job/caf%E9",
    "/metrics/job/a/instance/caf\xe9",
    "/metrics/job/a/instance/%ff",
    "/metrics/job/a/caf\xe9/b",
    "/metrics/job/a\xc3",
    "/metrics/job/%ED%A0%80",
  ]) {
    for (const method of ["PUT", "POST", "DELETE"]) {
      expect([method, path, await send(method, path, "path_bytes 1\n")]).toEqual([method, path, 400]);
    }
  }
  expect(await jobs()).toEqual([]);
});

test("reads characters of several bytes the same, raw and encoded", async () => {
  expect(await send("PUT", "/metrics/job/caf\xc3\xa9", "path_bytes 1\n")).toBe(200);
  expect(await jobs()).toEqual(['path_bytes{job="café"} 1']);
  expect(await send("PUT", "/metrics/job/caf%C3%A9", "path_bytes 2\n")).toBe(200);
  expect(await jobs()).toEqual(['path_bytes{job="café"} 2']);
  expect(await send("DELETE", "/metrics/job/caf\xc3\xa9")).toBe(202);
  expect(await jobs()).toEqual([]);
});

test("accepts U+FFFD only in base64, because in a path it stands for invalid bytes", async () => {
  for (const path of ["/metrics/job/a\xef\xbf\xbd", "/metrics/job/a%EF%BF%BD", "/metrics/job/a%ef%bf%bd"])
    expect([path, await send("PUT", path, "path_bytes 1\n")]).toEqual([path, 400]);
  expect(await send("PUT", "/metrics/job@base64/Ye-_vQ", "path_bytes 3\n")).toBe(200);
  expect(await jobs()).toEqual(['path_bytes{job="a\ufffd"} 3']);
  expect(await send("DELETE", "/metrics?match[]={job=%22a\xff%22}")).toBe(400);
  expect(await send("DELETE", "/metrics?match[]={job=%22a%ff%22}")).toBe(400);
  expect(await jobs()).toEqual(['path_bytes{job="a\ufffd"} 3']);
  expect(await send("DELETE", "/metrics/job@base64/Ye-_vQ")).toBe(202);
});
