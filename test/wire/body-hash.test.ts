/** Hashes of bodies: what differs has another hash, and what is equal has the same in each process. */
import { expect, test } from "bun:test";
import { BodyHash } from "../../src/wire/body-hash.ts";

const SEED = "7b0c4b6e-5f1a-4d3e-9a55-0d5c3f6a1e21";
const bytes = (text: string) => new TextEncoder().encode(text);

test("a hash has two numbers of 64 bits, and is the same after a restart", () => {
  expect(new BodyHash(SEED).of("precision=s", bytes("m f=1"))).toMatch(/^[0-9a-f]{16}-[0-9a-f]{16}$/);
  expect(new BodyHash(SEED).of("precision=s", bytes("m f=1"))).toBe(
    new BodyHash(SEED).of("precision=s", bytes("m f=1")),
  );
});

test("another text, body or seed changes both numbers", () => {
  const hashes = [
    new BodyHash(SEED).of("a", bytes("bc")),
    new BodyHash(SEED).of("ab", bytes("c")),
    new BodyHash(SEED).of("", bytes("abc")),
    new BodyHash(SEED).of("", bytes("")),
    new BodyHash("").of("a", bytes("bc")),
  ];
  for (const part of [0, 1]) expect(new Set(hashes.map((hash) => hash.split("-")[part])).size).toBe(5);
});

test("each bit of a body of 100,000 bytes changes both numbers", () => {
  const hash = new BodyHash(SEED);
  const body = new Uint8Array(100_000);
  const [first, second] = hash.of("", body).split("-");
  for (const at of [0, 7, 8, 4_095, 65_536, 99_999]) {
    for (const bit of [1, 128]) {
      body[at]! ^= bit;
      const [rapid, xx] = hash.of("", body).split("-");
      expect([rapid === first, xx === second]).toEqual([false, false]);
      body[at]! ^= bit;
    }
  }
});
