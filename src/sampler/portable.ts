/**
 * Host, disks and network on systems without /proc: macOS, Windows, the BSDs. Uses Node's `os` if it has the
 * value, and otherwise systeminformation, which runs the system's own tools. Names are node_exporter's on
 * macOS.
 *
 * Linux does not use this module: systeminformation returns CPU time as percentages of its own intervals, and
 * starts df for the space of file systems (measured: 5 ms of CPU, and 0.3 ms with statfs(2) and /proc).
 */
import os from "node:os";
import { gauge } from "./batch.ts";
import { AVAILABLE, SIZE } from "./disks.ts";
import { BOOT_TIME, CPU, LOAD, TIME, UNAME } from "./host.ts";
import { RECEIVE_DROPS, RECEIVE_ERRORS, RECEIVED, SEND_DROPS, SEND_ERRORS, SENT } from "./network.ts";
import type { Part, PartOptions } from "./part.ts";

/** Loaded when first used, and so never on Linux. */
const system = () => import("systeminformation");

const MEMORY_TOTAL = gauge("node_memory_total_bytes", "Memory of the host.");
const MEMORY_FREE = gauge("node_memory_free_bytes", "Unused memory of the host.");
const SWAP_TOTAL = gauge("node_memory_swap_total_bytes", "Swap of the host.");
const SWAP_USED = gauge("node_memory_swap_used_bytes", "Used swap of the host.");
/** node_exporter's names of the modes of `os.cpus()`. */
const MODES = { user: "user", nice: "nice", sys: "system", idle: "idle", irq: "irq" } as const;

export function portableHostPart({ intervalMs }: PartOptions): Part {
  return {
    name: "host",
    intervalMs,
    async collect(reading) {
      os.cpus().forEach(({ times }, cpu) => {
        for (const [time, mode] of Object.entries(MODES)) {
          reading.add(CPU, times[time as keyof typeof MODES] / 1000, String(cpu), mode);
        }
      });
      const averages = os.loadavg();
      LOAD.forEach((definition, index) => {
        // Windows has no load average, and os.loadavg() returns zeros there.
        if (process.platform !== "win32") reading.add(definition, averages[index]);
      });
      const nowSeconds = Date.now() / 1000;
      reading.add(TIME, nowSeconds);
      // Rounded, so that the difference between two clocks does not make it vary.
      reading.add(BOOT_TIME, Math.round(nowSeconds - os.uptime()));
      reading.add(UNAME, 1, os.type(), os.release(), os.version(), os.machine(), os.hostname());
      const memory = await (await system()).mem();
      reading.add(MEMORY_TOTAL, memory.total);
      reading.add(MEMORY_FREE, memory.free);
      reading.add(SWAP_TOTAL, memory.swaptotal);
      reading.add(SWAP_USED, memory.swapused);
    },
  };
}

export function portableDisksPart({ intervalMs }: PartOptions): Part {
  return {
    name: "disks",
    intervalMs,
    async collect(reading) {
      for (const { fs, type, mount, size, available } of await (await system()).fsSize()) {
        reading.add(SIZE, size, fs, type, mount);
        reading.add(AVAILABLE, available, fs, type, mount);
      }
    },
  };
}

export function portableNetworkPart({ intervalMs }: PartOptions): Part {
  return {
    name: "network",
    intervalMs,
    async collect(reading) {
      for (const device of await (await system()).networkStats("*")) {
        reading.add(RECEIVED, device.rx_bytes, device.iface);
        reading.add(RECEIVE_ERRORS, device.rx_errors, device.iface);
        reading.add(RECEIVE_DROPS, device.rx_dropped, device.iface);
        reading.add(SENT, device.tx_bytes, device.iface);
        reading.add(SEND_ERRORS, device.tx_errors, device.iface);
        reading.add(SEND_DROPS, device.tx_dropped, device.iface);
      }
    },
  };
}
