/** The GPU part, with stand-in executables named nvidia-smi that print recorded outputs, fail or hang. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { chmod, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import { Heads } from "../../../src/sampler/batch.ts";
import { gpuPart } from "../../../src/sampler/gpu/gpu.ts";
import { readGpuCsv } from "../../../src/sampler/gpu/smi-csv.ts";
import { readGpuXml } from "../../../src/sampler/gpu/smi-xml.ts";
import { Sampler } from "../../../src/sampler/sampler.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";
import { collect } from "../readings.ts";

const FIXTURES = join(import.meta.dir, "../../fixtures/nvidia-smi");
const CSV_ARGUMENTS =
  "--query-gpu=index,uuid,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw,name " +
  "--format=csv,noheader,nounits";

let folder: string;
beforeEach(async () => {
  folder = temporaryFolder();
});
afterEach(() => rm(folder, { recursive: true }));

/** Installs an nvidia-smi that records the arguments of each call and then runs the script. */
async function install(script: string): Promise<void> {
  const file = join(folder, "nvidia-smi");
  await writeFile(file, `#!/bin/sh\necho "$@" >> "${folder}/calls"\n${script}\n`);
  await chmod(file, 0o755);
}
const calls = () =>
  existsSync(join(folder, "calls")) ? readFileSync(join(folder, "calls"), "utf8").trimEnd().split("\n") : [];

test("reads two different cards", async () => {
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
  expect(calls()).toEqual(["-q -x", CSV_ARGUMENTS]);
});

const CARD = 'gpu="0",name="NVIDIA H200",uuid="GPU-00000000-1111-2222-3333-444444444444"';
/** The series of a card with one more label, sorted as Prometheus sorts them. */
const series = (metric: string, label = "", value = "") => {
  const labels = label === "" ? [CARD] : [...CARD.split(/,(?=[a-z]+=)/), `${label}="${value}"`].sort();
  return `${metric}{${labels.join(",")}}`;
};
/** The recorded card: nvidia-smi -q -x of a busy H200. */
const H200 = {
  [series("gpu_utilization_ratio")]: 1,
  [series("gpu_memory_utilization_ratio")]: 0.25,
  [series("gpu_memory_used_bytes")]: 2_268_069_888, // 2,163 MiB
  [series("gpu_memory_total_bytes")]: 150_754_820_096, // 143,771 MiB
  [series("gpu_temperature_celsius")]: 56,
  [series("gpu_memory_temperature_celsius")]: 44,
  [series("gpu_power_watts")]: 693.34,
  [series("gpu_power_limit_watts")]: 700,
  [series("gpu_clock_hertz", "clock", "graphics")]: 1_440_000_000,
  [series("gpu_clock_hertz", "clock", "sm")]: 1_440_000_000,
  [series("gpu_clock_hertz", "clock", "memory")]: 3_201_000_000,
  [series("gpu_clock_hertz", "clock", "video")]: 1_470_000_000,
  [series("gpu_clock_max_hertz", "clock", "graphics")]: 1_980_000_000,
  [series("gpu_clock_max_hertz", "clock", "sm")]: 1_980_000_000,
  [series("gpu_clock_max_hertz", "clock", "memory")]: 3_201_000_000,
  [series("gpu_clock_max_hertz", "clock", "video")]: 1_545_000_000,
  [series("gpu_pcie_link_generation")]: 5,
  [series("gpu_pcie_link_width_lanes")]: 16,
  [series("gpu_performance_state")]: 0,
  [series("gpu_ecc_errors_total", "type", "corrected")]: 0,
  [series("gpu_ecc_errors_total", "type", "uncorrected")]: 0,
  ...Object.fromEntries(
    [
      "applications_clocks_setting",
      "sw_power_cap",
      "hw_slowdown",
      "hw_thermal_slowdown",
      "hw_power_brake_slowdown",
      "sync_boost",
      "sw_thermal_slowdown",
      "display_clocks_setting",
    ].map((reason) => [series("gpu_throttled", "reason", reason), reason === "sw_power_cap" ? 1 : 0]),
  ),
};

test("reads every value of a busy card in one call", async () => {
  await install(`cat "${FIXTURES}/h200-busy.xml"`);
  const part = gpuPart({ intervalMs: 15_000, path: folder });
  expect(await collect(part)).toEqual({ values: H200, error: undefined, lacking: undefined });
  expect(calls()).toEqual(["-q -x"]);
});

test("samples the memory of each process if the setting enables it", async () => {
  await install(`cat "${FIXTURES}/h200-busy.xml"`);
  const { values } = await collect(gpuPart({ intervalMs: 15_000, path: folder, hasProcesses: true }));
  const process = `gpu_process_memory_bytes{${CARD.replace(",uuid", ',pid="434",process="/usr/bin/python3",uuid')}}`;
  expect(values).toEqual({ ...H200, [process]: 2_258_632_704 }); // 2,154 MiB
  expect(calls()).toEqual(["-q -x"]);
});

/** The readings of the first card of an XML that are not absent, by metric and labels. */
function readingsOf(xml: string): Record<string, number> {
  const reading = new Heads().read(0);
  for (const { readings } of readGpuXml(xml, false).gpus) {
    for (const { metric, value, labels = [] } of readings) reading.add(metric, value, "", "", "", ...labels);
  }
  const { heads, value } = reading.seal();
  return Object.fromEntries(
    heads.map(({ metric, labels }, at) => [[metric, ...labels.values()].join(" "), value[at]!]),
  );
}

test("reads elements of older drivers by their older names", () => {
  const card = (inside: string) => `<nvidia_smi_log><gpu id="0">${inside}</gpu></nvidia_smi_log>`;
  const ok = (inside: string, want: Record<string, number>) => expect(readingsOf(card(inside))).toEqual(want);
  // 470: one block of power readings, throttle reasons, single and double bit errors.
  ok("<power_readings><power_draw>61.04 W</power_draw><power_limit>70.00 W</power_limit></power_readings>", {
    gpu_power_watts: 61.04,
    gpu_power_limit_watts: 70,
  });
  ok(
    "<clocks_throttle_reasons><clocks_throttle_reason_gpu_idle>Active</clocks_throttle_reason_gpu_idle>" +
      "<clocks_throttle_reason_hw_thermal_slowdown>Active</clocks_throttle_reason_hw_thermal_slowdown>" +
      "</clocks_throttle_reasons>",
    { "gpu_throttled hw_thermal_slowdown": 1 },
  );
  ok(
    "<ecc_errors><volatile><single_bit><total>3</total></single_bit><double_bit><total>1</total></double_bit>" +
      "</volatile></ecc_errors>",
    { "gpu_ecc_errors_total corrected": 3, "gpu_ecc_errors_total uncorrected": 1 },
  );
  // 535: SRAM and DRAM, without the kinds of parity.
  ok(
    "<ecc_errors><volatile><sram_correctable>2</sram_correctable><sram_uncorrectable>1</sram_uncorrectable>" +
      "<dram_correctable>40</dram_correctable><dram_uncorrectable>4</dram_uncorrectable></volatile></ecc_errors>",
    { "gpu_ecc_errors_total corrected": 42, "gpu_ecc_errors_total uncorrected": 5 },
  );
  ok("<performance_state>P8</performance_state><fan_speed>30 %</fan_speed>", {
    gpu_performance_state: 8,
    gpu_fan_speed_ratio: 0.3,
  });
  // Values that a card does not have, or that need a permission.
  ok("<fan_speed>N/A</fan_speed><fb_memory_usage><used>[Unknown Error]</used></fb_memory_usage>", {});
});

test("reads the other cards beside a garbled one, and a card with an ampersand in its name", () => {
  const card = (name: string) => `<gpu id="0"><product_name>${name}</product_name></gpu>`;
  const read = readGpuXml(
    `<?xml version="1.0" ?><nvidia_smi_log><attached_gpus>3</attached_gpus>${card("A & B")}${card("<x>")}${card("C")}</nvidia_smi_log>`,
    false,
  );
  expect(read.gpus.map(({ index, name }) => [index, name])).toEqual([
    ["0", "A & B"],
    ["2", "C"],
  ]);
  expect(read.attached).toBe(3);
  expect(read.unread).toHaveLength(1);
  expect(read.unread[0]).toStartWith("card 1: ");
});

test("reports a warning beside good cards, and stores every card", async () => {
  const ROWS = "0, GPU-aaa, 37, 8123, 24564, 61, 215.43, RTX\n1, GPU-bbb, 0, 3, 15360, 34, 26.91, Tesla T4\n";
  const LOST = "Unable to determine the device handle for GPU0000:0B:00.0: Unknown Error";
  const WARNING = "WARNING: infoROM is corrupted at gpu 0000:B3:00.0";
  const HEADER = "index, uuid, utilization.gpu, memory.used, memory.total, temperature.gpu, power.draw, name";
  const XML_FILE = `cat "${FIXTURES}/h200-busy.xml"`;
  const cases: [script: string, samples: number, lacking: string | undefined][] = [
    [`printf '${ROWS}${WARNING}\n'\nexit 14`, 10, `nvidia-smi also wrote "${WARNING}"`],
    [`printf '${ROWS}${WARNING}\n'`, 10, `nvidia-smi also wrote "${WARNING}"`],
    [`printf '${ROWS}'\necho '${WARNING}' >&2\nexit 14`, 10, "nvidia-smi exited with 14: "],
    [`printf '${LOST}\n${ROWS}'\nexit 15`, 10, `nvidia-smi also wrote "${LOST}"`],
    [`printf '${HEADER}\n${ROWS}'`, 10, undefined],
    [
      `${XML_FILE}\necho '${WARNING}'\nexit 14`,
      Object.keys(H200).length,
      `nvidia-smi also wrote "${WARNING}"`,
    ],
    // Output that is cut off in the middle of the only card. The fields of the CSV are queried instead.
    [`[ "$1" = -q ] && { ${XML_FILE} | head -c 9000; exit 0; }\nprintf '${ROWS}'`, 10, undefined],
  ];
  for (const [script, samples, lacking] of cases) {
    await install(script.replaceAll("\\n", "\n"));
    const read = await collect(gpuPart({ intervalMs: 15_000, path: folder }));
    expect(read.error).toBeUndefined();
    expect(Object.keys(read.values)).toHaveLength(samples);
    if (lacking === undefined) expect(read.lacking).toBeUndefined();
    else expect(read.lacking).toStartWith(lacking);
  }
});

test("the output with more cards is used, with one call per run once that is known", async () => {
  // Two cards are attached, of which the XML has one, and the CSV has none.
  const xml = readFileSync(join(FIXTURES, "h200-busy.xml"), "utf8").replace(
    "<attached_gpus>1<",
    "<attached_gpus>2<",
  );
  await writeFile(join(folder, "one-of-two.xml"), xml);
  await install(`[ "$1" = -q ] && cat "${folder}/one-of-two.xml"\nexit 15`);
  let clockMs = 0;
  const part = gpuPart({ intervalMs: 15_000, path: folder, now: () => clockMs });
  for (let run = 0; run < 3; run++) {
    const { values, lacking } = await collect(part);
    expect(values).toEqual(H200);
    expect(lacking).toBe("nvidia-smi also wrote 1 of 2 cards in its XML");
  }
  expect(calls()).toEqual(["-q -x", CSV_ARGUMENTS, "-q -x", "-q -x"]);
  clockMs += 10 * 60_000;
  await collect(part);
  expect(calls().slice(4)).toEqual(["-q -x", CSV_ARGUMENTS]);
});

test("logs a repeated warning once, and does not delay the runs", async () => {
  await install(
    `printf '0, GPU-a, 37, 8123, 24564, 61, 215.43, RTX\nWARNING: infoROM is corrupted\n'\nexit 14`,
  );
  const logged: string[] = [];
  let runs = 0;
  const { promise: three, resolve } = Promise.withResolvers<void>();
  const push = async () => {
    if (++runs === 3) resolve();
  };
  const sampler = new Sampler([gpuPart({ intervalMs: 500, timeoutMs: 60_000, path: folder })], push, {
    counters: createCounters(),
    onFailure: (part, cause, why) => logged.push(`${part} fails by ${cause}: ${why}`),
  });
  sampler.start();
  await three;
  await sampler.stop();
  expect(logged).toEqual(['gpu fails by partial: nvidia-smi also wrote "WARNING: infoROM is corrupted"']);
  // Three runs in a row by CSV, after one call for the XML.
  expect(calls().slice(0, 4)).toEqual(["-q -x", CSV_ARGUMENTS, CSV_ARGUMENTS, CSV_ARGUMENTS]);
});

test("leaves out values that a card does not have", async () => {
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

test("reads cards in MIG mode without utilisation, and without memory in some containers", async () => {
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

test("lists lines that do not describe a card, and accepts a name with a comma and an unknown UUID", () => {
  const bad = (text: string, quoted: string) =>
    expect(readGpuCsv(text)).toEqual({ gpus: [], unread: [expect.stringContaining(quoted)] });
  bad("Failed to initialize NVML: Driver/library version mismatch\n", '"Failed to initialize NVML: Driver');
  bad("0, GPU-1, 2, 3\n", '"0, GPU-1, 2, 3"');
  bad("a, b, c, d, e, f, g, h\n", '"a, b, c, d, e, f, g, h"');
  const { gpus, unread } = readGpuCsv("7, [N/A], 100, 1, 2, 3, 4, Quadro, big\r\n\r\n");
  expect(unread).toEqual([]);
  expect(gpus).toMatchObject([{ index: "7", uuid: "", name: "Quadro, big" }]);
  expect(gpus[0]!.readings.map(({ value }) => value)).toEqual([1, 1_048_576, 2_097_152, 3, 4]);
  expect(readGpuCsv("No devices were found\n")).toEqual({ gpus: [], unread: [] });
});

test("does not fail without nvidia-smi or a GPU, and checks again after ten minutes", async () => {
  let clockMs = 0;
  const part = gpuPart({ intervalMs: 15_000, path: folder, now: () => clockMs });
  const nothing = { values: {}, error: undefined, lacking: undefined };
  expect(await collect(part)).toEqual(nothing);
  await install("echo 'No devices were found'\nexit 6");
  expect(await collect(part)).toEqual(nothing);
  expect(calls()).toEqual([]);
  clockMs += 10 * 60_000;
  expect(await collect(part)).toEqual(nothing);
  clockMs += 15_000;
  expect(await collect(part)).toEqual(nothing);
  expect(calls()).toHaveLength(1);
  // A card that appears later is found, and then read at every run.
  await install(`cat "${FIXTURES}/two-cards.csv"`);
  clockMs += 10 * 60_000;
  expect(Object.keys((await collect(part)).values)).toHaveLength(10);
  expect(Object.keys((await collect(part)).values)).toHaveLength(10);
  expect(calls()).toEqual(["-q -x", "-q -x", CSV_ARGUMENTS, CSV_ARGUMENTS]);
  // Once it was found, its absence is a failure.
  await install("echo 'No devices were found'\nexit 6");
  expect((await collect(part)).error?.message).toBe(
    'nvidia-smi listed no GPU and exited with 6: "No devices were found"',
  );
});

test("quotes an nvidia-smi that fails", async () => {
  await install("echo 'Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.'\nexit 15");
  const { values, error } = await collect(gpuPart({ intervalMs: 15_000, path: folder }));
  expect(values).toEqual({});
  expect(error?.message).toBe(
    "nvidia-smi listed no GPU and exited with 15: " +
      '"Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost."',
  );
});

test("ends an nvidia-smi that writes without end", async () => {
  await install("while :; do echo 0,1,2,3,4,5,6,7; done");
  const { values, error } = await collect(gpuPart({ intervalMs: 15_000, path: folder }));
  expect(values).toEqual({});
  expect(error?.message).toStartWith("nvidia-smi listed no GPU and exited with 137: ");
});

/** Installs an nvidia-smi that hangs. The promise has its process id once it hangs. */
async function installHanging(): Promise<() => Promise<number>> {
  const started = join(folder, "started");
  await install(`echo $$ > "${started}.tmp"\nmv "${started}.tmp" "${started}"\nexec sleep 1000`);
  return async () => {
    await until("nvidia-smi to hang", () => existsSync(started));
    return Number(readFileSync(started, "utf8"));
  };
}

test("kills an nvidia-smi that hangs when the run is aborted", async () => {
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

test("ends an nvidia-smi that hangs before stop resolves", async () => {
  const started = await installHanging();
  const sampler = new Sampler([gpuPart({ intervalMs: 3_600_000, path: folder })], async () => {}, {
    counters: createCounters(),
  });
  sampler.start();
  const pid = await started();
  await sampler.stop();
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});
