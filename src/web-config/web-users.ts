/**
 * The users of web.yml, whose passwords are hashed with bcrypt.
 *
 * bcrypt takes some 100 ms of a core by intention. It runs on a thread of its own, one comparison at a time, so that wrong
 * passwords cannot use all cores. The result is remembered under a keyed hash of user, password and bcrypt hash, as
 * Prometheus does, so that a client pays once. An unknown user costs as much as a known one: the time does not say which
 * users exist.
 */
import { nodeCrypto } from "../program/deferred-libraries.ts";
import { ConcurrencyLimit } from "../model/concurrency-limit.ts";

/** Comparisons that wait for the one that runs: at most some 6 s. Further ones are rejected. */
const WAITING_MAX = 64;
/** Results of each kind that are remembered. Wrong passwords cannot displace right ones. */
const REMEMBERED_MAX = 1_000;
/** bcrypt uses no further bytes of a password. */
const PASSWORD_BYTES = 72;

export class WebUsers {
  #users: ReadonlyMap<string, string> = new Map();
  readonly #key = crypto.getRandomValues(new Uint8Array(32));
  /** Keyed hashes, the oldest first. */
  readonly #right = new Set<string>();
  readonly #wrong = new Set<string>();
  readonly #comparisons = new ConcurrencyLimit(1, {
    tasks: "comparisons of passwords",
    waitingPerRunning: WAITING_MAX,
  });

  /** Replaces the users: their names, with the hash of each password. */
  set(users: ReadonlyMap<string, string>): void {
    this.#users = users;
  }

  get count(): number {
    return this.#users.size;
  }

  /**
   * Whether the user exists and has this password. A result that is known is returned at once.
   *
   * Throws `Busy` (as a rejection) if too many comparisons wait.
   */
  check(user: string, password: string): boolean | Promise<boolean> {
    const known = this.#users.get(user);
    // The hash of another user, so that an unknown user costs the same.
    const hash = known ?? this.#users.values().next().value;
    if (hash === undefined) return false;
    const keyed = nodeCrypto().createHmac("sha256", this.#key);
    for (const part of [user, hash, password]) keyed.update(`${Buffer.byteLength(part)}:`).update(part);
    const id = keyed.digest("base64");
    return this.#remembered(id) ?? this.#compare(id, password, hash, known !== undefined);
  }

  #remembered(id: string): boolean | undefined {
    if (this.#right.has(id)) return true;
    return this.#wrong.has(id) ? false : undefined;
  }

  #compare(id: string, password: string, hash: string, exists: boolean): Promise<boolean> {
    return this.#comparisons.run(async () => {
      // Several requests of one client arrive before the first is answered.
      const remembered = this.#remembered(id);
      if (remembered !== undefined) return remembered;
      const bytes = Buffer.from(password).subarray(0, PASSWORD_BYTES);
      const isEqual = await Bun.password.verify(bytes, hash, "bcrypt");
      const isRight = exists && isEqual;
      const results = isRight ? this.#right : this.#wrong;
      results.add(id);
      if (results.size > REMEMBERED_MAX) results.delete(results.values().next().value!);
      return isRight;
    });
  }
}
