/** The signature of the one file for macOS, in an executable that is small enough to compute it by hand. */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { isSignatureValid, signedAdHoc } from "../../scripts/build.d/macos-signature.ts";

const PAGE = 4_096;
/** Two and a half pages, then a signature of another executable. */
const CODE_BYTES = 2.5 * PAGE;

function segment(name: string, offset: number, bytes: number): Buffer {
  const command = Buffer.alloc(72);
  command.writeUInt32LE(0x19, 0);
  command.writeUInt32LE(72, 4);
  command.write(name, 8, "latin1");
  command.writeBigUInt64LE(BigInt(bytes), 32);
  command.writeBigUInt64LE(BigInt(offset), 40);
  command.writeBigUInt64LE(BigInt(bytes), 48);
  return command;
}

function executable(): Buffer {
  const header = Buffer.alloc(32);
  header.writeUInt32LE(0xfeedfacf, 0);
  header.writeUInt32LE(3, 16);
  const signature = Buffer.alloc(16);
  for (const [at, value] of [0x1d, 16, CODE_BYTES, 64].entries()) signature.writeUInt32LE(value, at * 4);
  const commands = [
    segment("__TEXT", 0, 2 * PAGE),
    segment("__LINKEDIT", 2 * PAGE, PAGE / 2 + 64),
    signature,
  ];
  const head = Buffer.concat([header, ...commands]);
  return Buffer.concat([head, Buffer.alloc(CODE_BYTES - head.length, "code"), Buffer.alloc(64, 7)]);
}

test("a signature of other content is replaced by one with the hash of each page", () => {
  const file = executable();
  expect(isSignatureValid(file)).toBe(false);
  const signed = signedAdHoc(file, "weir");
  expect(isSignatureValid(signed)).toBe(true);
  // The last page is half a page. The identifier is between the head of 88 bytes and the hashes.
  const directory = signed.subarray(CODE_BYTES + 20);
  expect(directory.toString("latin1", 88, 93)).toBe("weir\0");
  const pages = [
    signed.subarray(0, PAGE),
    signed.subarray(PAGE, 2 * PAGE),
    signed.subarray(2 * PAGE, CODE_BYTES),
  ];
  const hashes = pages.map((page) => createHash("sha256").update(page).digest("hex"));
  expect(directory.toString("hex", 93, 93 + 96)).toBe(hashes.join(""));
  // 20 + 88 + 5 + 3 × 32 = 209 bytes, in units of 16: the command and the segment say so.
  expect(signed.length).toBe(CODE_BYTES + 224);
  expect(signed.readUInt32LE(32 + 144 + 12)).toBe(224);
  expect(signed.readBigUInt64LE(32 + 72 + 48)).toBe(BigInt(PAGE / 2 + 224));
  expect(signed.readBigUInt64LE(32 + 72 + 32)).toBe(BigInt(PAGE));
  // Nothing but the sizes has changed.
  expect(signed.subarray(300, CODE_BYTES)).toEqual(file.subarray(300, CODE_BYTES));
});

test("a byte that changes after the signature makes it invalid", () => {
  const signed = signedAdHoc(executable(), "weir");
  signed[PAGE + 5]! ^= 1;
  expect(isSignatureValid(signed)).toBe(false);
});

test("a file of another system is rejected", () => {
  expect(() => signedAdHoc(Buffer.alloc(64), "weir")).toThrow("no executable of macOS");
});
