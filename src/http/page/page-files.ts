/**
 * The bundle of the page, as `scripts/build-page` writes it: an index, and assets whose names have a hash of their content.
 * It is read when somebody first asks, and again when there is a newer one, so a gateway starts without it.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** The media types of assets by the ends of their names. Others are not served. */
const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Encodings in the order of preference, with the ends of the names of compressed assets. */
const ENCODINGS = { br: ".br", gzip: ".gz" } as const;

export type AssetEncoding = keyof typeof ENCODINGS;
export const ASSET_ENCODINGS = Object.keys(ENCODINGS) as AssetEncoding[];

export interface Asset {
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly encoded: Readonly<Partial<Record<AssetEncoding, Uint8Array<ArrayBuffer>>>>;
}

interface Bundle {
  readonly version: number;
  readonly index: string;
  readonly assets: ReadonlyMap<string, Asset>;
}

/** Time between two looks for a newer bundle. */
const LOOK_INTERVAL_MS = 1_000;

export class PageFiles {
  readonly #folder: string;
  #bundle: Bundle | undefined;
  /** Assets of the bundle before, which pages that are open may still ask for. */
  #earlier: ReadonlyMap<string, Asset> = new Map();
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The text of the index, with `{{nonce}}` in it. Undefined if there is no bundle. */
  index(): string | undefined {
    return this.#current()?.index;
  }

  asset(name: string): Asset | undefined {
    return this.#current()?.assets.get(name) ?? this.#earlier.get(name);
  }

  #current(): Bundle | undefined {
    const now = performance.now();
    if (now - this.#lookedMs < LOOK_INTERVAL_MS) return this.#bundle;
    this.#lookedMs = now;
    const version = statSync(join(this.#folder, "index.html"), { throwIfNoEntry: false })?.mtimeMs;
    if (version === undefined || version === this.#bundle?.version) return this.#bundle;
    try {
      const read = readBundle(this.#folder, version);
      this.#earlier = this.#bundle?.assets ?? new Map();
      this.#bundle = read;
    } catch {
      // It is replaced just now. The next look finds it whole.
    }
    return this.#bundle;
  }
}

function readBundle(folder: string, version: number): Bundle {
  const assets = join(folder, "assets");
  const names = new Set(readdirSync(assets));
  const bytes = (name: string) => new Uint8Array(readFileSync(join(assets, name)));
  const found = new Map<string, Asset>();
  for (const name of names) {
    const type = TYPES[name.slice(name.lastIndexOf("."))];
    if (type === undefined) continue;
    const encoded = Object.fromEntries(
      Object.entries(ENCODINGS)
        .filter(([, end]) => names.has(name + end))
        .map(([encoding, end]) => [encoding, bytes(name + end)]),
    );
    found.set(name, { type, bytes: bytes(name), encoded });
  }
  return { version, index: readFileSync(join(folder, "index.html"), "utf8"), assets: found };
}
