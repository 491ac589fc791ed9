/**
 * Network interfaces on Linux, from /proc/net/dev, with the names of node_exporter's netdev collector
 * (https://docs.kernel.org/networking/statistics.html). They are those of the gateway's network namespace.
 */
import { readFileSync } from "node:fs";
import { cumulative, type Definition } from "./batch.ts";
import type { Part, PartOptions } from "./part.ts";

const counter = (name: string, help: string) => cumulative(`node_network_${name}_total`, help, ["device"]);
export const RECEIVED = counter("receive_bytes", "Bytes received.");
export const RECEIVE_ERRORS = counter("receive_errs", "Packets received with an error.");
export const RECEIVE_DROPS = counter("receive_drop", "Packets dropped on receipt.");
export const SENT = counter("transmit_bytes", "Bytes sent.");
export const SEND_ERRORS = counter("transmit_errs", "Packets that could not be sent because of an error.");
export const SEND_DROPS = counter("transmit_drop", "Packets dropped before they were sent.");

/** The metrics by the column of /proc/net/dev. */
const COLUMNS: ReadonlyMap<number, Definition> = new Map([
  [0, RECEIVED],
  [1, counter("receive_packets", "Packets received.")],
  [2, RECEIVE_ERRORS],
  [3, RECEIVE_DROPS],
  [8, SENT],
  [9, counter("transmit_packets", "Packets sent.")],
  [10, SEND_ERRORS],
  [11, SEND_DROPS],
]);

/** Reads /proc/net/dev: the sixteen numbers of each line, by interface. */
export function parseNetDev(text: string): Map<string, readonly number[]> {
  const devices = new Map<string, readonly number[]>();
  // The first two lines are headings. The colon may be next to the first number. The name of an alias contains
  // a colon.
  for (const line of text.split("\n").slice(2)) {
    const match = /^\s*(\S+):\s*(\d[\d\s]*)$/.exec(line);
    if (match !== null) devices.set(match[1], match[2].trim().split(/\s+/).map(Number));
  }
  return devices;
}

interface NetworkOptions extends PartOptions {
  /** The mount point of proc. */
  readonly procPath?: string;
}

export function networkPart({ intervalMs, procPath = "/proc" }: NetworkOptions): Part {
  return {
    name: "network",
    intervalMs,
    isQuick: true,
    async collect(reading) {
      const text = readFileSync(`${procPath}/net/dev`, "utf8");
      for (const [device, numbers] of parseNetDev(text)) {
        for (const [column, definition] of COLUMNS) reading.add(definition, numbers[column], device);
      }
    },
  };
}
