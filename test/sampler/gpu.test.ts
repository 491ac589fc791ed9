/** The GPU part, through stand-in executables named nvidia-smi that print recorded outputs, fail or hang. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gpuPart, parseGpus } from "../../src/sampler/gpu.ts";
import { Sampler } from "../../src/sampler/sampler.ts";
import { collect } from "./readings.ts";

const FIXTURES = join(import.meta.dir, "../fixtures/nvidia-smi");
const ARGUMENTS =
  "--query-gpu=index,uuid,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw,name " +
  "--format=csv,noheader,nounits";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "weir-gpu-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Puts an nvidia-smi into the folder that notes each call with its arguments and then runs the script. */
async function install(script: string): Promise<void> {
  const file = join(folder, "nvidia-smi");
  await writeFile(file, `#!/bin/sh\necho "$@" >> "${folder}/calls"\n${script}\n`);
  await chmod(file, 0o755);
}
const calls = () =>
  existsSync(join(folder, "calls")) ? readFileSync(join(folder, "calls"), "utf8").trimEnd().split("\n") : [];

test("two different cards", async () => {
  await install(`cat "${FIXTURES}/two-cards.csv"`);
  const { values, error } = await collect(gpuPart({ intervalMs: 15_000, path: folder }));
  expect(error).toBeUndefined();
  const first = 'gpu="0",name="NVIDIA GeForce RTX 4090",uuid="GPU-5d2f0c8e-6f0a-4b3e-9c1d-2a7b8e4f1c03"';
  const second = 'gpu="1",name="Tesla T4",uuid="GPU-b7c4a1d2-03f9-4e58-8a6c-91d0e5f72b46"';
  expect(values).toEqual({
    [`gpu_utilization_ratio{${first}}`]: 0.37,
    [`gpu_memory_used_bytes{${first}}`]: 8_517_582_848, // 8,123 MiB
    [`gpu_memory_total_bytes{${first}}`]: 25_757_220_864, // 24,564 MiB
    [`gpu_temperature_celsius{${first}}`]: 61,
    [`gpu_power_watts{${first}}`]: 215.43,
    [`gpu_utilization_ratio{${second}}`]: 0,
    [`gpu_memory_used_bytes{${second}}`]: 3_145_728, // 3 MiB
    [`gpu_memory_total_bytes{${second}}`]: 16_106_127_360, // 15,360 MiB
    [`gpu_temperature_celsius{${second}}`]: 34,
    [`gpu_power_watts{${second}}`]: 26.91,
  });
  expect(calls()).toEqual([ARGUMENTS]);
});

test("what a card does not have is no sample", async () => {
  await install(`cat "${FIXTURES}/not-available.csv"`);
  const { values } = await collect(gpuPart({ intervalMs: 15_000, path: folder }));
  const first = 'gpu="0",name="NVIDIA GeForce GTX 1650",uuid="GPU-0f6e9d3a-7c52-41b8-a4d7-c3e81b905f2d"';
  const second = 'gpu="1",name="GeForce GT 710",uuid="GPU-e2a85b17-94cd-4f06-b3e9-7d1c60f8a254"';
  expect(values).toEqual({
    [`gpu_memory_used_bytes{${first}}`]: 471_859_200,
    [`gpu_memory_total_bytes{${first}}`]: 4_294_967_296,
    [`gpu_temperature_celsius{${first}}`]: 47,
    [`gpu_memory_used_bytes{${second}}`]: 222_298_112,
    [`gpu_memory_total_bytes{${second}}`]: 2_147_483_648,
    [`gpu_temperature_celsius{${second}}`]: 52,
  });
});

test("cards in MIG mode have no utilisation, and in a container perhaps no memory", async () => {
  await install(`cat "${FIXTURES}/mig.csv"`);
  const { values, error } = await collect(gpuPart({ intervalMs: 15_000, path: folder }));
  expect(error).toBeUndefined();
  const first = 'gpu="0",name="NVIDIA A100-SXM4-40GB",uuid="GPU-8c1b7f64-2ad9-4053-96e8-f05d3a7e92c1"';
  const second = 'gpu="1",name="NVIDIA A100-SXM4-40GB",uuid="GPU-41f7d0e9-b86a-4c23-8f15-6e92a0d4c7b8"';
  expect(values).toEqual({
    [`gpu_memory_used_bytes{${first}}`]: 21_474_836_480,
    [`gpu_memory_total_bytes{${first}}`]: 42_949_672_960,
    [`gpu_temperature_celsius{${first}}`]: 38,
    [`gpu_power_watts{${first}}`]: 62.1,
    [`gpu_temperature_celsius{${second}}`]: 36,
    [`gpu_power_watts{${second}}`]: 58.77,
  });
});

test("lines that are no GPU are quoted; a name may hold a comma; a UUID may be unknown", () => {
  const bad = (text: string, quoted: string) => expect(() => parseGpus(text)).toThrow(quoted);
  bad("Failed to initialize NVML: Driver/library version mismatch\n", '"Failed to initialize NVML: Driver');
  bad("0, GPU-1, 2, 3\n", '"0, GPU-1, 2, 3"');
  bad("a, b, c, d, e, f, g, h\n", '"a, b, c, d, e, f, g, h"');
  expect(parseGpus("7, [N/A], 100, 1, 2, 3, 4, Quadro, big\r\n\r\n")).toEqual([
    { index: "7", uuid: "", name: "Quadro, big", values: [1, 1_048_576, 2_097_152, 3, 4] },
  ]);
  expect(parseGpus("No devices were found\n")).toEqual([]);
});

test("a machine without nvidia-smi, or without a GPU, is no failure and is not asked again for ten minutes", async () => {
  let clockMs = 0;
  const part = gpuPart({ intervalMs: 15_000, path: folder, now: () => clockMs });
  const nothing = { values: {}, error: undefined };
  expect(await collect(part)).toEqual(nothing);
  await install("echo 'No devices were found'\nexit 6");
  expect(await collect(part)).toEqual(nothing);
  expect(calls()).toEqual([]);
  clockMs += 10 * 60_000;
  expect(await collect(part)).toEqual(nothing);
  clockMs += 15_000;
  expect(await collect(part)).toEqual(nothing);
  expect(calls()).toHaveLength(1);
  // A card that is there later is seen, and then asked at every run.
  await install(`cat "${FIXTURES}/two-cards.csv"`);
  clockMs += 10 * 60_000;
  expect(Object.keys((await collect(part)).values)).toHaveLength(10);
  expect(Object.keys((await collect(part)).values)).toHaveLength(10);
  expect(calls()).toHaveLength(3);
  // Once seen, its absence is a failure.
  await install("echo 'No devices were found'\nexit 6");
  expect((await collect(part)).error?.message).toBe(
    'nvidia-smi gave no GPU and ended with 6: "No devices were found"',
  );
});

test("an nvidia-smi that fails is a failure that quotes it", async () => {
  await install("echo 'Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.'\nexit 15");
  const { values, error } = await collect(gpuPart({ intervalMs: 15_000, path: folder }));
  expect(values).toEqual({});
  expect(error?.message).toBe(
    "nvidia-smi gave no GPU and ended with 15: " +
      '"Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost."',
  );
});

test("an nvidia-smi that writes without end is cut off", async () => {
  await install("while :; do echo 0,1,2,3,4,5,6,7; done");
  const { values, error } = await collect(gpuPart({ intervalMs: 15_000, path: folder }));
  expect(values).toEqual({});
  expect(error?.message).toStartWith("nvidia-smi gave no GPU and ended with 137: ");
});

/** Installs an nvidia-smi that hangs; the promise gives its process id once it does. */
async function installHanging(): Promise<() => Promise<number>> {
  const started = join(folder, "started");
  await install(`echo $$ > "${started}.tmp"\nmv "${started}.tmp" "${started}"\nexec sleep 1000`);
  return async () => {
    while (!existsSync(started)) await Bun.sleep(2);
    return Number(readFileSync(started, "utf8"));
  };
}

test("an nvidia-smi that hangs is killed when the run is aborted", async () => {
  const started = await installHanging();
  const abort = new AbortController();
  const run = collect(gpuPart({ intervalMs: 15_000, path: folder }), abort.signal);
  const pid = await started();
  expect(() => process.kill(pid, 0)).not.toThrow();
  abort.abort(new Error("too late"));
  const { values, error } = await run;
  expect(values).toEqual({});
  expect(error?.message).toBe("too late");
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

test("an nvidia-smi that hangs is gone when the sampler has stopped", async () => {
  const started = await installHanging();
  const sampler = new Sampler([gpuPart({ intervalMs: 3_600_000, path: folder })], async () => {});
  sampler.start();
  const pid = await started();
  await sampler.stop();
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});
