/** How far files were imported, as an importer requests it: by an import's name, and by the first line of its file. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGatewayAt(NOW_MS);
});
afterAll(() => gateway.close());

async function ask(path: string, init?: RequestInit): Promise<{ status: number; body: unknown }> {
  const response = await gateway.fetch(path, init);
  return { status: response.status, body: await response.json() };
}
const push = (query: Record<string, string>, timestampMs = NOW_MS) =>
  ask(`/api/v1/push?${new URLSearchParams(query)}`, {
    method: "POST",
    body: `{"metric_name":"m","value":1,"@timestamp":${timestampMs}}`,
  });
const part = (file: string, from: number, to: number, identity: string) => ({
  import_file: file,
  import_from: String(from),
  import_to: String(to),
  import_line: `line-${to}`,
  import_first_line: "first",
  import_identity: identity,
});

test("finds an import by its name, and all with one first line by its hash, with the latest identity", async () => {
  expect((await push(part("first", 0, 10, "one"))).status).toBe(200);
  expect((await push(part("first.2", 0, 20, "two"))).status).toBe(200);
  expect((await push(part("first", 10, 30, '{"a":"b"}'))).status).toBe(200);
  const [one, two] = [
    { file: "first", byteOffset: 30, lastLineHash: "line-30", identity: '{"a":"b"}' },
    { file: "first.2", byteOffset: 20, lastLineHash: "line-20", identity: "two" },
  ];
  expect(await ask("/api/v1/imports/first")).toEqual({ status: 200, body: one });
  const { status, body } = await ask("/api/v1/imports?first_line=first");
  expect(status).toBe(200);
  expect((body as { imports: object[] }).imports).toHaveLength(2);
  expect((body as { imports: object[] }).imports).toEqual(expect.arrayContaining([one, two]));
  expect(await ask("/api/v1/imports?first_line=other")).toEqual({ status: 200, body: { imports: [] } });
});

test("does not store the offset of a part without a valid line", async () => {
  const tooOld = NOW_MS - 30 * 86_400_000;
  expect((await push(part("old", 0, 10, ""), tooOld)).status).toBe(400);
  expect((await ask("/api/v1/imports/old")).status).toBe(404);
  expect((await push(part("old", 0, 20, ""))).status).toBe(200);
  expect((await push(part("old", 20, 30, ""), tooOld)).status).toBe(400);
  expect(await ask("/api/v1/imports/old")).toMatchObject({ status: 200, body: { byteOffset: 20 } });
});

test("rejects a missing or too long parameter by its name", async () => {
  expect(await ask("/api/v1/imports")).toMatchObject({
    status: 400,
    body: {
      error: {
        field: "first_line",
        message: "Query parameter first_line is missing; expected the hash of a file's first line.",
      },
    },
  });
  for (const identity of ["x".repeat(2_049), "a\nb", "é"])
    expect(await push(part("bad", 0, 10, identity))).toMatchObject({
      status: 400,
      body: { error: { field: "import_identity" } },
    });
});
