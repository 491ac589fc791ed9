/** The files of dashboards: which are found, what replaces what, and that one with an error hides no other. */
import { expect, test } from "bun:test";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DashboardFiles } from "../../src/dashboards/dashboard-files.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const json = (title: string, more: object = {}) => JSON.stringify({ title, panels: [{}], ...more });
const own = (files: DashboardFiles) =>
  files.list().then(({ dashboards }) => dashboards.filter(({ shipped }) => !shipped));

/** The text of a dashboard, or the reason why there is none. */
async function found(files: DashboardFiles, name: string): Promise<unknown> {
  const result = await files.find(name);
  if (result === undefined) return undefined;
  return "json" in result ? JSON.parse(result.json) : result.problem.message;
}

test("the dashboards that come with Weir are always listed", async () => {
  const { dashboards, errors } = await new DashboardFiles([], () => {}).list();
  expect(dashboards.map(({ name, title, uid, shipped }) => [name, title, uid, shipped])).toEqual([
    ["gateway", "Weir / Gateway", "weir-gateway", true],
    ["gpu-workers", "Weir / GPU workers", "weir-gpuworkers", true],
    ["host", "Weir / Host and GPU", "weir-host", true],
    ["services", "Weir / Services", "weir-services", true],
    ["workers", "Weir / Workers", "weir-workers", true],
  ]);
  expect(errors).toEqual([]);
});

test("a folder adds dashboards, those below it too, and replaces one that comes with Weir by its name", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "team"));
  // As Kubernetes mounts a ConfigMap.
  mkdirSync(join(folder, "..data"));
  writeFileSync(join(folder, "..data", "orders.json"), json("Orders", { uid: "o1", tags: ["shop", 1] }));
  symlinkSync(join("..data", "orders.json"), join(folder, "orders.json"));
  writeFileSync(join(folder, "team", "own.toml"), 'title = "Own"\n[[panel]]\npromql = "up"\n');
  writeFileSync(join(folder, "gateway.json"), json("My gateway"));
  writeFileSync(join(folder, "notes.txt"), "no dashboard");
  const files = new DashboardFiles([folder], () => {});
  const listed = { description: "", tags: [], uid: "", panels: 1, shipped: false };
  expect(await own(files)).toEqual([
    { ...listed, name: "gateway", title: "My gateway", file: join(folder, "gateway.json") },
    {
      ...listed,
      name: "orders",
      title: "Orders",
      tags: ["shop"],
      uid: "o1",
      file: join(folder, "orders.json"),
    },
    { ...listed, name: "own", title: "Own", file: join(folder, "team", "own.toml") },
  ]);
  expect(await found(files, "gateway")).toMatchObject({ title: "My gateway" });
  expect(await found(files, "o1")).toMatchObject({ title: "Orders" });
  expect(await found(files, "own")).toMatchObject({ panels: [{ targets: [{ expr: "up" }] }] });
  expect(await found(files, "weir-host")).toMatchObject({ title: "Weir / Host and GPU" });
  expect(await found(files, "notes")).toBeUndefined();
  expect(await found(files, "../gateway")).toBeUndefined();
});

test("the errors of files are listed and reported once, and the other files are shown", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "b"));
  writeFileSync(join(folder, "broken.json"), '{"panels": [\n');
  writeFileSync(join(folder, "good.json"), json("Good"));
  writeFileSync(join(folder, "b", "good.json"), json("Other"));
  writeFileSync(join(folder, "wrong.toml"), 'title = "A"\n[[panel]]\nwidth = "1"\npromql = "a"\n');
  writeFileSync(join(folder, "large.json"), json("x".repeat(2 * 1_048_576)));
  const reported: [string, number][] = [];
  const files = new DashboardFiles([folder, join(folder, "none")], (first, count) =>
    reported.push([first, count]),
  );
  expect((await own(files)).map(({ title }) => title)).toEqual(["Good"]);
  const { errors } = await files.list();
  const at = (name: string, line: number, message: string) => ({
    file: join(folder, name),
    line,
    column: 1,
    message,
  });
  const size = json("x".repeat(2 * 1_048_576)).length;
  const taken = `the name good is taken by ${join(folder, "good.json")}; expected files with different names`;
  expect(errors).toEqual([
    at("b/good.json", 1, taken),
    at("broken.json", 2, "the file is not JSON: this position is the end, where a JSON value was expected"),
    at("large.json", 1, `the file has ${size} bytes, expected at most 2097152`),
    at("none", 1, "the folder cannot be read: it does not exist"),
    at("wrong.toml", 3, 'width is "1", expected a whole number from 1 to 24'),
  ]);
  expect(await found(files, "broken")).toBe(errors[1]!.message);
  expect(reported).toEqual([[`${join(folder, "b/good.json")}:1:1: ${taken}`, 5]]);
});

test("a new version of a file, and its end, are seen after a second", async () => {
  const folder = temporaryFolder();
  const file = join(folder, "a.json");
  writeFileSync(file, "{");
  let nowMs = 0;
  const files = new DashboardFiles(
    [folder],
    () => {},
    () => nowMs,
  );
  const listed = async () => (await own(files)).map(({ title }) => title);
  expect(await listed()).toEqual([]);
  writeFileSync(file, json("A"));
  nowMs = 999;
  expect(await listed()).toEqual([]);
  // A dashboard itself is read anew each time.
  expect(await found(files, "a")).toMatchObject({ title: "A" });
  nowMs = 1_000;
  expect(await listed()).toEqual(["A"]);
  renameSync(file, join(folder, "b.json"));
  nowMs = 2_000;
  expect(await found(files, "a")).toBeUndefined();
  expect(await found(files, "b")).toMatchObject({ title: "A" });
});
