/**
 * What listeners and requests need of the certificates and of web.yml, as the files are now.
 *
 * The files are looked at once a second. A new version is used for new connections and new requests; connections that
 * exist are not cut. If a new version cannot be used, all stays as it was, and the log says so once. A certificate and its
 * key are two files, which are seldom replaced in the same instant, so a fault counts only if the files are the same a
 * second later. Whether there is TLS, and whether HTTP/2 is offered, is decided at the start.
 */
import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Log } from "../log/log.ts";
import type { Counters } from "../model/counters.ts";
import { filesOf, loadTls, tlsFindings, type TlsVersion } from "./certificates.ts";
import type { ListenerTls } from "./tls-front.ts";
import { RequestRate } from "./request-rate.ts";
import { readWebConfig, type TlsConfig, tlsOfFiles, type WebConfig, WebConfigError } from "./web-config.ts";
import { WebUsers } from "./web-users.ts";

interface LiveWebConfigOptions {
  /** The files of the certificate and the key, and a web.yml. Empty if they are not given. */
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly webConfigFile: string;
  readonly counters: Pick<Counters, "tlsCertificateExpiry" | "tlsHandshakesFailed">;
  readonly now: () => number;
  /** A clock that only goes forward, in milliseconds. The default is the system's. */
  readonly elapsedMs?: () => number;
  readonly log: Log;
}

/** What the files contain, ready for use. */
interface LoadedWebConfig {
  readonly web: WebConfig;
  readonly tls: TlsVersion | undefined;
}

/**
 * Checks the files that settings name, without using them: what an administrator should know about the certificate.
 *
 * @throws WebConfigError if the files cannot be used
 */
export function checkWebConfig(
  files: Pick<LiveWebConfigOptions, "tlsCert" | "tlsKey" | "webConfigFile">,
  nowMs: number,
): ReturnType<typeof tlsFindings> {
  const { tls } = readFiles(files);
  return tls === undefined ? [] : tlsFindings(tls, loadTls(tls), nowMs);
}

function readFiles({
  tlsCert,
  tlsKey,
  webConfigFile,
}: Pick<LiveWebConfigOptions, "tlsCert" | "tlsKey" | "webConfigFile">): WebConfig {
  const ofFlags =
    tlsCert === ""
      ? undefined
      : tlsOfFiles({ field: "tlsCert", file: tlsCert }, { field: "tlsKey", file: tlsKey });
  if (webConfigFile === "")
    return { tls: ofFlags, http2: false, headers: [], users: new Map(), rateLimit: undefined };
  let text: string;
  try {
    text = readFileSync(webConfigFile, "utf8");
  } catch (error) {
    throw new WebConfigError(
      `The web configuration ${JSON.stringify(webConfigFile)} cannot be read: ${(error as Error).message}.`,
    );
  }
  const web = readWebConfig(text, webConfigFile, dirname(webConfigFile));
  if (ofFlags === undefined) return web;
  if (web.tls !== undefined) {
    throw new WebConfigError(
      `tls_server_config of ${webConfigFile} and the setting tlsCert both name a certificate, expected one of them.`,
    );
  }
  return { ...web, tls: ofFlags };
}

/**
 * The certificate that a gateway with these files shows, in PEM. Undefined if it has no TLS.
 *
 * @throws WebConfigError if the files cannot be used
 */
export function shownCertificate(
  files: Pick<LiveWebConfigOptions, "tlsCert" | "tlsKey" | "webConfigFile">,
): string | undefined {
  const { tls } = readFiles(files);
  return tls === undefined ? undefined : loadTls(tls).certificate.toString();
}

export class LiveWebConfig {
  readonly #users = new WebUsers();
  /** Whether HTTP/2 is offered to clients. */
  readonly http2: boolean;
  readonly #options: LiveWebConfigOptions;
  #loaded!: LoadedWebConfig;
  #rate: RequestRate | undefined;
  /** The version of each file when it was read. */
  #seen: ReadonlyMap<string, string>;
  /** The fault of the newest version of the files, until it is logged. */
  #fault: string | undefined;
  /** The TLS of the newest web.yml that could be read, whose files are looked at. */
  #watched: TlsConfig | undefined;

  /** Throws `WebConfigError` if the files cannot be used. */
  constructor(options: LiveWebConfigOptions) {
    this.#options = options;
    this.#seen = this.#versions();
    this.#use(this.#load());
    this.http2 = this.#loaded.web.http2;
    this.#warn();
  }

  /** What listeners need for TLS. Undefined if they have none. */
  listenerTls(): ListenerTls | undefined {
    if (this.tls === undefined) return undefined;
    const { counters, log } = this.#options;
    const logged = new Set<string>();
    return {
      version: () => this.tls!,
      http2: this.http2,
      onFault: (cause, reason) => {
        counters.tlsHandshakesFailed.inc({ cause });
        // A client that is configured wrongly tries again and again.
        if (logged.has(cause)) return;
        logged.add(cause);
        log("tls_connection_failed", { cause, reason });
      },
    };
  }

  /** Undefined if listeners have no TLS. */
  get tls(): TlsVersion | undefined {
    return this.#loaded.tls;
  }

  /** Headers of every answer. */
  get headers(): WebConfig["headers"] {
    return this.#loaded.web.headers;
  }

  /** Whether each client has a certificate that was verified. */
  get verifiesClients(): boolean {
    return this.#loaded.tls?.clientAuth === "verify";
  }

  get hasUsers(): boolean {
    return this.#users.count > 0;
  }

  /** As in `WebUsers`. */
  checkPassword(user: string, password: string): boolean | Promise<boolean> {
    return this.#users.check(user, password);
  }

  /** Counts a request. Throws `LimitExceeded` if there are more than the rate limit allows. */
  takeRequest(): void {
    this.#rate?.take();
  }

  /** Whether there are files to look at. Without any at the start there never are. */
  get hasFiles(): boolean {
    return this.#files().length > 0;
  }

  /** Reads the files again if they have changed. */
  look(): void {
    const { log } = this.#options;
    const versions = this.#versions();
    if ([...versions].every(([file, version]) => this.#seen.get(file) === version)) {
      if (this.#fault === undefined) return;
      log("web_config_unusable", { error: this.#fault });
      this.#fault = undefined;
      return;
    }
    this.#seen = versions;
    this.#fault = undefined;
    try {
      this.#use(this.#load());
    } catch (error) {
      if (!(error instanceof WebConfigError)) throw error;
      this.#fault = error.message;
      return;
    }
    log("web_config_changed", {
      users: this.#users.count,
      ...(this.tls === undefined
        ? {}
        : { certificateExpires: new Date(this.tls.certificate.validTo).toISOString() }),
    });
    this.#warn();
  }

  /** Reads the files, and notes the version of each before it is read. */
  #load(): LoadedWebConfig {
    const web = readFiles(this.#options);
    this.#watched = web.tls;
    this.#seen = new Map([...this.#versions(), ...this.#seen]);
    const isTls = this.#loaded?.tls !== undefined;
    if (this.#loaded !== undefined && (web.tls !== undefined) !== isTls) {
      const what = isTls ? "has no TLS any more" : "has TLS now";
      throw new WebConfigError(
        `${this.#options.webConfigFile} ${what}, which only a new start of weir serve changes.`,
      );
    }
    return { web, tls: web.tls === undefined ? undefined : loadTls(web.tls) };
  }

  #use(loaded: LoadedWebConfig): void {
    const before = this.#loaded?.web.rateLimit;
    const { rateLimit } = loaded.web;
    // A bucket goes on if its limit did not change.
    if (rateLimit === undefined) this.#rate = undefined;
    else if (rateLimit.burst !== before?.burst || rateLimit.intervalMs !== before.intervalMs)
      this.#rate = new RequestRate(rateLimit, this.#options.elapsedMs ?? (() => performance.now()));
    this.#users.set(loaded.web.users);
    this.#loaded = loaded;
    const { tlsCertificateExpiry } = this.#options.counters;
    tlsCertificateExpiry.reset();
    if (loaded.tls === undefined) return;
    const { subject, validTo } = loaded.tls.certificate;
    tlsCertificateExpiry.set({ subject: subject.replaceAll("\n", ",") }, Date.parse(validTo) / 1000);
  }

  #warn(): void {
    const { web, tls } = this.#loaded;
    if (web.tls === undefined || tls === undefined) return;
    for (const { text } of tlsFindings(web.tls, tls, this.#options.now()))
      this.#options.log("tls_certificate_warning", { what: text });
  }

  #files(): string[] {
    const { webConfigFile } = this.#options;
    return [
      ...(webConfigFile === "" ? [] : [webConfigFile]),
      ...(this.#watched === undefined ? [] : filesOf(this.#watched)),
    ];
  }

  /** What differs for any two versions of a file, by file. */
  #versions(): Map<string, string> {
    return new Map(this.#files().map((file) => [file, versionOf(file)]));
  }
}

/** Differs for any two versions of a file. A file that cannot be looked at has the reason as its version. */
function versionOf(file: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(file);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}
