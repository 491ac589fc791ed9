/**
 * Makes certificates for tests (RFC 5280, in DER), so that they can have any time and any name, and need no program. Keys
 * are of the curve P-256.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

export interface MadeCertificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly name: string;
  readonly privateKey: KeyObject;
}

interface MakeOptions {
  /** The common name of its subject. */
  readonly name?: string;
  /** Names in the words of Node: `DNS:a`, `IP:127.0.0.1`, `email:a@b`, `URI:spiffe://a`. */
  readonly sans?: readonly string[];
  /** The certificate that signs it. By default it signs itself. */
  readonly issuer?: MadeCertificate;
  readonly isCa?: boolean;
  readonly fromMs?: number;
  readonly toMs?: number;
}

const DAY_MS = 86_400_000;
/** What a client needs to connect to this machine. */
const LOCAL = ["DNS:localhost", "IP:127.0.0.1"];

export function makeCertificate({
  name = "test",
  sans = LOCAL,
  issuer,
  isCa = issuer === undefined,
  fromMs = Date.now() - DAY_MS,
  toMs = Date.now() + 60 * DAY_MS,
}: MakeOptions = {}): MadeCertificate {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(oid(1, 2, 840, 10045, 4, 3, 2));
  const body = sequence(
    tag(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    nameOf(issuer?.name ?? name),
    sequence(time(fromMs), time(toMs)),
    nameOf(name),
    publicKey.export({ type: "spki", format: "der" }),
    tag(
      0xa3,
      sequence(
        extension(oid(2, 5, 29, 19), isCa ? sequence(tag(0x01, Buffer.from([0xff]))) : sequence()),
        extension(oid(2, 5, 29, 17), sequence(...sans.map(alternativeName))),
      ),
    ),
  );
  const signature = sign("sha256", body, issuer?.privateKey ?? privateKey);
  const der = sequence(body, algorithm, tag(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const cert = `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replace(/(.{64})(?=.)/g, "$1\n")}\n-----END CERTIFICATE-----\n`;
  return { cert, key: privateKey.export({ type: "pkcs8", format: "pem" }) as string, name, privateKey };
}

function tag(number: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([number, ...size]), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => tag(0x30, Buffer.concat(parts));
const integer = (bytes: Uint8Array) => tag(0x02, bytes);

function oid(first: number, second: number, ...rest: readonly number[]): Buffer {
  const bytes = rest.flatMap((part) => {
    const groups = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return tag(0x06, Buffer.from([first * 40 + second, ...bytes]));
}

function time(ms: number): Buffer {
  return tag(0x18, Buffer.from(`${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`));
}

function nameOf(commonName: string): Buffer {
  return sequence(tag(0x31, sequence(oid(2, 5, 4, 3), tag(0x0c, Buffer.from(commonName)))));
}

function extension(id: Buffer, content: Buffer): Buffer {
  return sequence(id, tag(0x04, content));
}

function alternativeName(text: string): Buffer {
  const at = text.indexOf(":");
  const [kind, value] = [text.slice(0, at), text.slice(at + 1)];
  if (kind === "IP") {
    const bytes = value.includes(":") ? ipv6(value) : value.split(".").map(Number);
    return tag(0x87, Buffer.from(bytes));
  }
  return tag({ email: 0x81, DNS: 0x82, URI: 0x86 }[kind] ?? 0x82, Buffer.from(value));
}

function ipv6(text: string): number[] {
  const [head = "", tail = ""] = text.split("::");
  const words = (part: string) => part.split(":").filter(Boolean);
  const zeros = Array<string>(8 - words(head).length - words(tail).length).fill("0");
  return [...words(head), ...zeros, ...words(tail)].flatMap((word) => {
    const number = Number.parseInt(word, 16);
    return [number >> 8, number & 0xff];
  });
}
