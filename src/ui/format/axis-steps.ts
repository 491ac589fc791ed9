/** The distances between the marks of an axis that people read easily: round in the unit of its values. Pure. */

const BINARY = Array.from({ length: 6 }, (_, power) =>
  [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((count) => count * 1024 ** power),
).flat();
const PARTS = [1e-9, 1e-6, 1e-3].flatMap((part) =>
  [1, 2, 5, 10, 20, 50, 100, 200, 500].map((count) => count * part),
);
const SPANS = [
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200],
  ...[1, 2, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1_825, 3_650].map((days) => days * 86_400),
];
const SECONDS = [...PARTS, ...SPANS];

/** Powers of two for bytes. */
export function binarySteps(): number[] {
  return BINARY;
}

/** Spans of time, for values that are `factor` seconds each: 0.001 for milliseconds. */
export function timeSteps(factor: number): number[] {
  return SECONDS.map((seconds) => Number((seconds / factor).toPrecision(12)));
}

/** The steps of a unit of the gateway. Undefined if decimal ones are right. */
export function stepsOfUnit(unit: string): number[] | undefined {
  if (/^(?:bytes?|By|bytes\/s)$/.test(unit)) return binarySteps();
  const factor = { s: 1, seconds: 1, second: 1, ms: 1e-3, milliseconds: 1e-3, us: 1e-6, ns: 1e-9 }[unit];
  return factor === undefined ? undefined : timeSteps(factor);
}
