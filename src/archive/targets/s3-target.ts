/**
 * An archive in an S3-compatible bucket, with Bun's client. The endpoint, the region and the credentials come from the variables
 * that the client reads itself: `S3_ENDPOINT`, `S3_REGION`, `S3_ACCESS_KEY_ID`, `S3_SECRET_ACCESS_KEY`, `S3_SESSION_TOKEN`, and the
 * same with `AWS_`. An object appears when it is whole. None of its errors has credentials.
 */
import { S3Client, type S3Options } from "bun";
import type { ArchiveTarget, SpooledFile } from "./archive-target.ts";
import { hashOfFile } from "./file-hash.ts";

/** Objects that the client sends in parts have parts of this size. */
const PART_BYTES = 8 * 1_048_576;
const ATTEMPTS = 4;
const FIRST_WAIT_MS = 250;

export class S3Target implements ArchiveTarget {
  readonly text: string;
  readonly #client: S3Client;
  readonly #prefix: string;

  /** @param options for tests. The client reads the environment for those that are not given */
  constructor(bucket: string, prefix: string, options: S3Options = {}) {
    this.#client = new S3Client({ bucket, ...options });
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.text = `s3://${bucket}/${prefix}`;
  }

  async list(prefix: string): Promise<Map<string, number>> {
    const files = new Map<string, number>();
    let continuationToken: string | undefined;
    do {
      const asked = { prefix: this.#prefix + prefix, continuationToken };
      const listed = await attempts(() => this.#client.list(asked));
      for (const { key, size } of listed.contents ?? [])
        files.set(key.slice(this.#prefix.length), Number(size ?? 0));
      continuationToken = listed.isTruncated ? listed.nextContinuationToken : undefined;
    } while (continuationToken !== undefined);
    return files;
  }

  async read(path: string): Promise<string | undefined> {
    return await attempts(async () => {
      try {
        return await this.#client.file(this.#prefix + path).text();
      } catch (error) {
        if (isAbsent(error)) return undefined;
        throw error;
      }
    });
  }

  async hash(path: string): Promise<string> {
    return await attempts(async () => {
      const sha256 = new Bun.CryptoHasher("sha256");
      for await (const piece of this.#client.file(this.#prefix + path).stream()) sha256.update(piece);
      return sha256.digest("hex");
    });
  }

  async fetch(path: string, to: string): Promise<void> {
    await attempts(async () => {
      await Bun.write(to, new Response(this.#client.file(this.#prefix + path).stream()));
    });
  }

  async put(path: string, file: SpooledFile): Promise<void> {
    await attempts(async () => {
      const key = this.#prefix + path;
      await this.#client.write(key, Bun.file(file.path), {
        partSize: PART_BYTES,
        queueSize: 2,
        type: path.endsWith(".json") ? "application/json" : "application/vnd.apache.parquet",
      });
      const { size, etag } = await this.#client.stat(key);
      if (size !== file.bytes)
        throw new Error(`${path} has ${size} bytes in the bucket, expected ${file.bytes}`);
      // The tag of an object that was sent whole is its MD5.
      if (unquoted(etag) === (await hashOfFile(file.path, "md5")).hash) return;
      // A server that encrypts has other tags. So what it has is read back.
      if ((await this.hash(path)) !== file.sha256)
        throw new Error(`${path} has other contents in the bucket than were sent`);
    });
  }

  async putText(path: string, text: string): Promise<void> {
    await attempts(async () => {
      await this.#client.write(this.#prefix + path, text, { type: "application/json" });
    });
    if ((await this.read(path)) !== text)
      throw new Error(`${path} has other contents in the bucket than were sent`);
  }

  async remove(path: string): Promise<void> {
    await attempts(() => this.#client.delete(this.#prefix + path)).catch((error: unknown) => {
      if (!isAbsent(error)) throw error;
    });
  }
}

function isAbsent(error: unknown): boolean {
  const { code, name } = error as { code?: string; name?: string };
  return ["NoSuchKey", "NotFound", "ERR_S3_FILE_NOT_FOUND"].includes(code ?? name ?? "");
}

function unquoted(etag: string): string {
  return etag.replace(/^"(.*)"$/, "$1");
}

/** Faults that a repetition does not change. */
const FINAL = ["NoSuchKey", "NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"];

/** Runs a request, and again after a fault that may pass. */
async function attempts<T>(request: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request();
    } catch (error) {
      const code = (error as { code?: string }).code ?? "";
      if (attempt === ATTEMPTS || FINAL.includes(code) || code.startsWith("ERR_S3_"))
        throw explained(error, code);
      await Bun.sleep(FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }
}

/** The client's own text says nothing of a connection that failed. */
function explained(error: unknown, code: string): S3Fault {
  const said = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
  if (error instanceof S3Fault) return error;
  const text =
    { ConnectionRefused: "the endpoint refuses connections", Timeout: "the endpoint does not answer" }[
      code
    ] ?? said;
  return new S3Fault(code === "" || text.includes(code) ? text : `${text} (${code})`, code, error);
}

/** A request to the bucket failed. */
class S3Fault extends Error {
  override readonly name = "S3Fault";
  readonly code: string;

  constructor(message: string, code: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}
