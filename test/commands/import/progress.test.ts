/** The progress bar: its content, and that it prints nothing without a terminal. */
import { expect, test } from "bun:test";
import { drawBar, grouped, ProgressBar } from "../../../src/commands/import/progress.ts";

test("the bar shows the share, the remaining time and the rate", () => {
  for (const [done, total, lines, seconds, want] of [
    [0, 1_000, 0, 0, "[........................]   0%  0 lines  a.json"],
    [250, 1_000, 5_000, 10, "[######..................]  25%  0:30 left  5,000 lines  500/s  a.json"],
    [
      999,
      1_000,
      1_234_567,
      1,
      "[########################]  99%  0:01 left  1,234,567 lines  1,234,567/s  a.json",
    ],
    [1_000, 1_000, 10, 2, "[########################] 100%  0:00 left  10 lines  5/s  a.json"],
    // A file that grew during the import.
    [1_500, 1_000, 10, 2, "[########################] 100%  0:00 left  10 lines  5/s  a.json"],
    [0, 0, 0, 0, "[########################] 100%  0 lines  a.json"],
    [1, 10_001, 1, 1, "[........................]   0%  2:46:40 left  1 lines  1/s  a.json"],
  ] as const) {
    expect(drawBar("a.json", done, total, lines, seconds)).toBe(want);
  }
  expect(grouped(1_234_567)).toBe("1,234,567");
});

function terminal(isTerminal: boolean, columns = 30) {
  const written: string[] = [];
  const write = async (data: string | Uint8Array) => {
    written.push(String(data));
  };
  return { written, isTerminal, columns, write };
}

test("the bar is drawn in one line of a terminal, and erased", async () => {
  const output = terminal(true);
  const bar = new ProgressBar(output);
  await bar.clear();
  await bar.show("a.json", 0, 100, 0);
  await bar.show("a.json", 50, 100, 10);
  await bar.clear();
  // The second update came within a tenth of a second. The first is cut to the terminal's columns.
  expect(output.written).toEqual(["\r[........................]   \x1b[K", "\r\x1b[K"]);
});

test("the bar prints nothing without a terminal", async () => {
  const output = terminal(false);
  const bar = new ProgressBar(output);
  await bar.show("a.json", 50, 100, 10);
  await bar.clear();
  expect(output.written).toEqual([]);
});
