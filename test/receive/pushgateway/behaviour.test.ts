/**
 * The table of behaviour.ts, against the real gateway as a process, and against Debian's Pushgateway if it is
 * installed. The table must be right for both.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { type Case, cases, laterCases } from "./behaviour.ts";
import { Subject, startDebians } from "./subject.ts";

const folder = temporaryFolder();
const debians = await startDebians();
let gateway: GatewayProcess;

beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: folder, args: ["--enable-admin-api", "--no-sampler"] });
});
afterAll(async () => {
  await debians?.stop();
  expect(await gateway.stop("SIGTERM")).toBe(0);
});

async function hold(subject: Subject, each: Case): Promise<void> {
  const outcome = await subject.run(each);
  each.steps.forEach(({ send, status, text }, at) => {
    const want = text ?? (status < 300 ? "" : outcome.answers[at]!.text);
    expect({ send, ...outcome.answers[at]! }).toEqual({ send, status, text: want });
  });
  if (each.exposed !== undefined) expect(outcome.exposed).toEqual([...each.exposed].sort());
  for (const [name, type] of Object.entries(each.types ?? {}))
    expect([name, outcome.types[name]]).toEqual([name, type]);
  if (each.groups !== undefined) expect(outcome.groups).toEqual(each.groups);
}

describe("Weir", () => {
  for (const each of [...cases, ...laterCases]) test(each.name, () => hold(new Subject(gateway.url), each));
});

describe.skipIf(debians === undefined)("Debian's Pushgateway", () => {
  for (const each of cases) test(each.name, () => hold(debians!.subject, each));
});
