/** The network part, against a recorded /proc/net/dev. */
import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { networkPart, parseNetDev } from "../../src/sampler/network.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { collect } from "./readings.ts";

const NET_DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0
enp0s31f6:281609604    7165    1    2    3     4          5         6   401846    3840    7    8    9    10       11         12
eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
`;

test("reads sixteen numbers per interface, also if the name touches the first number or contains a colon", () => {
  const devices = parseNetDev(NET_DEV);
  expect([...devices.keys()]).toEqual(["lo", "enp0s31f6", "eth0:1"]);
  expect(devices.get("enp0s31f6")).toEqual([
    281609604, 7165, 1, 2, 3, 4, 5, 6, 401846, 3840, 7, 8, 9, 10, 11, 12,
  ]);
  expect(devices.get("eth0:1")).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
  expect(parseNetDev("").size).toBe(0);
});

test("returns bytes, packets, errors and drops in both directions", async () => {
  const procPath = temporaryFolder();
  await mkdir(join(procPath, "net"));
  await writeFile(join(procPath, "net/dev"), NET_DEV);
  const { values, error } = await collect(networkPart({ intervalMs: 15_000, procPath }));
  expect(error).toBeUndefined();
  const ofDevice = Object.fromEntries(
    Object.entries(values).filter(([series]) => series.includes("enp0s31f6")),
  );
  expect(ofDevice).toEqual({
    'node_network_receive_bytes_total{device="enp0s31f6"}': 281609604,
    'node_network_receive_packets_total{device="enp0s31f6"}': 7165,
    'node_network_receive_errs_total{device="enp0s31f6"}': 1,
    'node_network_receive_drop_total{device="enp0s31f6"}': 2,
    'node_network_transmit_bytes_total{device="enp0s31f6"}': 401846,
    'node_network_transmit_packets_total{device="enp0s31f6"}': 3840,
    'node_network_transmit_errs_total{device="enp0s31f6"}': 7,
    'node_network_transmit_drop_total{device="enp0s31f6"}': 8,
  });
  expect(Object.keys(values)).toHaveLength(3 * 8);
});
