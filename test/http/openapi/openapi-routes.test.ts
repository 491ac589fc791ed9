/** The description of the API: it has every route, and each route answers as it says. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { OPERATION_DETAILS } from "../../../src/http/openapi/operation-details.ts";
import { openTestGateway, type TestGateway } from "../../gateway.ts";

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly example?: string;
}
interface Operation {
  readonly operationId: string;
  readonly security: readonly unknown[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: {
    readonly content: Readonly<
      Record<string, { readonly example?: string; readonly schema?: { required: string[] } }>
    >;
  };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
  readonly "x-weir-permission": string;
}
type PathItem = Readonly<Record<string, Operation>> & { readonly parameters?: readonly Parameter[] };

let gateway: TestGateway;
let paths: Readonly<Record<string, PathItem>>;
beforeAll(async () => {
  gateway = await openTestGateway();
  const response = await gateway.fetch("/api/v1/openapi.json", {});
  expect(response.status).toBe(200);
  const document = (await response.json()) as { openapi: string; paths: Record<string, PathItem> };
  expect(document.openapi).toBe("3.1.0");
  paths = document.paths;
});
afterAll(() => gateway.close());

const METHODS = ["get", "post", "put", "delete"];
const operations = () =>
  Object.entries(paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method] !== undefined).map((method) => ({
      ...{ path, method, operation: item[method]! },
      variables: item.parameters ?? [],
    })),
  );

test("has each route once, with its permission, and no other", () => {
  const described = operations().map(
    ({ path, method, operation }) => `${method.toUpperCase()} ${path} ${operation["x-weir-permission"]}`,
  );
  const routes = gateway.app.routes.map(
    ({ method, path, permission }) =>
      `${method} ${path.replaceAll(/:(\w+)/g, "{$1}").replace("*", "{path}")} ${permission}`,
  );
  expect(described.toSorted()).toEqual(routes.toSorted());
  const ids = operations().map(({ operation }) => operation.operationId);
  expect(ids.length).toBe(new Set(ids).size);
});

test("has details of routes that exist only", () => {
  const known = new Set(gateway.app.routes.flatMap(({ method, path }) => [path, `${method} ${path}`]));
  expect(Object.keys(OPERATION_DETAILS).filter((key) => !known.has(key))).toEqual([]);
});

test("needs a token exactly where there is a permission", () => {
  for (const { operation } of operations())
    expect(operation.security.length > 0).toBe(operation["x-weir-permission"] !== "none");
});

/** The address of an operation with its examples. Undefined if a variable part has none. */
function addressOf({
  path,
  operation,
  variables,
}: ReturnType<typeof operations>[number]): string | undefined {
  if (variables.some(({ example }) => example === undefined)) return undefined;
  const filled = variables.reduce((text, { name, example }) => text.replace(`{${name}}`, example!), path);
  const wanted = (operation.parameters ?? []).filter(({ required }) => required);
  const query = new URLSearchParams(
    wanted.map(({ name, example }): [string, string] => [name, example ?? ""]),
  ).toString();
  return query === "" ? filled : `${filled}?${query}`;
}

/** These routes answer 404 in a gateway without peers. test/http/prometheus/fleet-routes.test.ts asks them. */
const FLEET = "/api/v1/fleet/";

/** Whether an answer has a documented status of success, and the documented type. */
async function check(what: string, response: Response, { responses }: Operation): Promise<void> {
  const text = await response.text();
  const documented = responses[String(response.status)];
  expect({ what, status: response.status, known: documented !== undefined, text }).toMatchObject({
    what,
    known: true,
  });
  const type = (response.headers.get("content-type") ?? "").split(";")[0]!;
  if (documented?.content === undefined) expect([what, text]).toEqual([what, ""]);
  else expect([what, Object.keys(documented.content)]).toEqual([what, expect.arrayContaining([type])]);
}

test("each GET without a variable part answers as it says, with the examples of its parameters", async () => {
  // They answer 404 or 400 in a new gateway: assets have hashes, imports have files, and native formats are rejected.
  const other = ["/api/v1/imports", "/api/v1/export/csv", "/api/v1/export/native", "/query"];
  const asked = operations().filter(
    ({ method, path }) => method === "get" && !other.includes(path) && !path.startsWith(FLEET),
  );
  let count = 0;
  for (const each of asked) {
    const address = addressOf(each);
    if (address === undefined) continue;
    await check(`GET ${address}`, await gateway.fetch(address, { method: "GET" }), each.operation);
    count++;
  }
  expect(count).toBeGreaterThan(50);
});

test("each POST with a form answers as it says", async () => {
  let count = 0;
  for (const each of operations()) {
    const form = each.operation.requestBody?.content["application/x-www-form-urlencoded"];
    if (form === undefined || each.path.startsWith(FLEET)) continue;
    // The GET of the same path has the examples.
    const examples = paths[each.path]!.get?.parameters ?? [];
    const body = new URLSearchParams(
      form.schema!.required.map((name): [string, string] => [
        name,
        examples.find((one) => one.name === name)?.example ?? "",
      ]),
    );
    const response = await gateway.fetch(each.path, { method: "POST", body });
    await check(`POST ${each.path}`, response, each.operation);
    count++;
  }
  expect(count).toBeGreaterThan(8);
});

test("each push with an example of a body answers as it says", async () => {
  let count = 0;
  for (const { path, method, operation } of operations()) {
    for (const [type, { example }] of Object.entries(operation.requestBody?.content ?? {})) {
      if (example === undefined) continue;
      const response = await gateway.fetch(path.replace("{path}", "a"), {
        ...{ method: method.toUpperCase(), headers: { "content-type": type }, body: example },
      });
      await check(`${method.toUpperCase()} ${path}`, response, operation);
      count++;
    }
  }
  expect(count).toBeGreaterThan(7);
});
