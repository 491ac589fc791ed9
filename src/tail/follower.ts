/**
 * Follows files of lines: looks for new lines at an interval, and stores them, each once.
 *
 * One chunk of one file is in memory at a time, at most 2 MiB. While the gateway is away, nothing more is read, but files
 * are still found and opened, so that a rotation or a deletion loses nothing. Rotated files are read before those that
 * are written to, the oldest first. README.md in this folder says what is stored in which case.
 */
import { type FileChunk, halve } from "../line-files/chunks.ts";
import { UnreadableFile } from "../line-files/content.ts";
import { freeName } from "../line-files/identity.ts";
import { ChunkRefused, Interrupted, type LineStore, type PartAnswer } from "../line-files/line-store.ts";
import { LineConversion } from "../line-formats/converted-lines.ts";
import { TooManyEvents } from "../line-formats/line-converter.ts";
import { type MappedFormat, WrongHeader } from "../line-formats/line-format.ts";
import type { Log } from "../log/log.ts";
import { FILES_MAX, findFiles, type FoundFile } from "./file-patterns.ts";
import { FollowedFile } from "./followed-file.ts";
import { placeFile, wholeLines } from "./placement.ts";
import { placesOf } from "./line-places.ts";
import {
  DamagedState,
  type FileRecord,
  readState,
  setStateAside,
  type TailRecords,
  writeState,
} from "./tail-state.ts";

/** What a follower counts. */
export interface TailMetrics {
  /** Lines that are stored, duplicates included. */
  addLines(count: number): void;
  addRejected(count: number): void;
  /** Bytes that are not stored yet, and the files that are followed. */
  set(lagBytes: number, files: number): void;
}

export interface TailOptions {
  /** Paths, folders and globs. */
  readonly patterns: readonly string[];
  /** Whether files that exist at the first start are read from their beginning. */
  readonly fromStart: boolean;
  readonly statePath: string;
  /** `NAME=VALUE`, added to each event that has no such tag of its own. */
  readonly labels: readonly string[];
  /** Whether the tag `instance` comes from a file's name. */
  readonly instanceFromName: boolean;
  readonly store: LineStore;
  /** The format of lines that are not events. */
  readonly format?: MappedFormat;
  readonly log: Log;
  readonly metrics: TailMetrics;
  /** The time between two looks at the files, in ms. */
  readonly lookMs?: number;
  /** A random number from 0 to 1, for the pauses after failures. */
  readonly random?: () => number;
}

/** A worker flushes every ten seconds. Half a second adds little to that, and looks at a hundred files cost a millisecond. */
const LOOK_MS = 500;
/** Looks at very many files take at most this share of the time. */
const LOOK_SHARE = 0.05;
/** Pauses after failures grow from the first to the second, by half to one and a half of their length at random. */
const [PAUSE_MS, PAUSE_MS_MAX] = [250, 30_000];
/** How often a long absence of the gateway is logged. */
const AWAY_LOG_MS = 60_000;
/** How long a file that was deleted, moved away or rotated is kept open after its last change. Workers flush more often. */
const LINGER_MS = 60_000;
/** After an error of a file. */
const FILE_RETRY_MS = 5_000;
/** The state is a hint for the next start, so it may be a moment old. */
const STATE_INTERVAL_MS = 1_000;
/** Skipped files that are remembered after they are gone. */
const SKIPPED_MAX = 1_000;
/** Fields whose warnings are logged. */
const WARNINGS_MAX = 100;

/** A chunk that waits for its acknowledgement. */
interface Pending {
  readonly file: FollowedFile;
  readonly name: string;
  /** Its first part is pushed next. It has several parts after the gateway rejected it as a whole. */
  readonly parts: FileChunk[];
  /** Whether a push failed, so that it is unknown whether the first part is stored. */
  isUncertain: boolean;
}

export class Follower {
  readonly #options: TailOptions;
  readonly #conversion: LineConversion | undefined;
  readonly #files = new Map<string, FollowedFile>();
  /** In the order in which they are read. */
  #order: FollowedFile[] = [];
  /** Files of the state that were not found yet. */
  readonly #records = new Map<string, FileRecord>();
  /** Files of which lines were skipped, as they were before they were deleted or truncated. */
  readonly #skipped: FileRecord[] = [];
  /** The patterns whose files were found before. */
  #knownPatterns: readonly string[] | undefined;
  #pending: Pending | undefined;
  #attempts = 0;
  #retryMs = 0;
  #awaySinceMs = 0;
  #awayLoggedMs = 0;
  #isDirty = false;
  #savedMs = 0;
  #isFull = false;
  /** The fields whose warnings were logged. A message may quote a value, so it is not the same in each line. */
  readonly #warnings = new Set<string>();
  readonly #stop = Promise.withResolvers<void>();
  #isStopping = false;
  #running: Promise<void> | undefined;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#conversion = options.format && new LineConversion(options.format);
  }

  /**
   * Follows the files until `stop` is called. Rejects if the gateway does not accept the requests at all, or if the state
   * file cannot be read.
   *
   * @param drainMs how long lines may still be stored after `stop`
   */
  run(drainMs = 0): Promise<void> {
    this.#running ??= this.#run(drainMs);
    return this.#running;
  }

  /** Resolves after the last acknowledgement, when the state file is written. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#stop.resolve();
    await this.#running;
  }

  async #run(drainMs: number): Promise<void> {
    const { log, patterns, statePath, lookMs = LOOK_MS } = this.#options;
    await this.#load();
    try {
      await this.#look();
      log("tail_started", { patterns: patterns.join(" "), files: this.#files.size, state: statePath });
      this.#isDirty = true;
      while (!this.#isStopping) {
        const looked = performance.now();
        await this.#readAll(looked + lookMs);
        await this.#save();
        const began = performance.now();
        if (!this.#isStopping && this.#pick() === undefined) await this.#pause(lookMs);
        else if (this.#retryMs > performance.now()) await this.#pause(lookMs);
        if (this.#isStopping) break;
        await this.#look();
        const tookMs = performance.now() - began;
        if (tookMs > lookMs / LOOK_SHARE) await this.#pause(tookMs / LOOK_SHARE);
      }
      if (drainMs > 0) {
        await this.#look();
        await this.#readAll(performance.now() + drainMs);
      }
    } finally {
      await this.#save(true);
      for (const file of this.#files.values()) await file.close();
    }
  }

  async #pause(ms: number): Promise<void> {
    let timer: Timer | undefined;
    const slept = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([slept, this.#stop.promise]);
    clearTimeout(timer);
  }

  async #load(): Promise<void> {
    const { statePath, log } = this.#options;
    let state: TailRecords | undefined;
    try {
      state = await readState(statePath);
    } catch (error) {
      if (!(error instanceof DamagedState)) throw error;
      // Without it, files are read from their beginning, and the gateway has the offset up to which each is stored.
      log("tail_state_damaged", { error: error.message, aside: await setStateAside(statePath) });
      state = { patterns: this.#options.patterns, files: [] };
    }
    this.#knownPatterns = state?.patterns;
    for (const record of state?.files ?? []) this.#records.set(record.key, record);
  }

  /** Finds the files. */
  async #look(): Promise<void> {
    const { patterns, log, fromStart, format } = this.#options;
    const nowMs = Date.now();
    const found = await findFiles(patterns, format?.endings);
    if (found.length > FILES_MAX !== this.#isFull) {
      this.#isFull = found.length > FILES_MAX;
      if (this.#isFull) log("tail_files_full", { files: found.length, followed: FILES_MAX });
    }
    const isKnown = (pattern: string) => this.#knownPatterns?.includes(pattern) === true;
    for (const file of this.#files.values()) file.isGone = true;
    const order: FollowedFile[] = [];
    for (const each of found.slice(0, FILES_MAX)) {
      let file = this.#files.get(each.key);
      if (file === undefined) {
        const record = this.#takeRecord(each);
        file = new FollowedFile(each, record, nowMs, format);
        this.#files.set(each.key, file);
        const isFirst = record === undefined && !each.patterns.some(isKnown);
        if (isFirst && !fromStart) await this.#attempt(file, (it) => this.#skip(it));
      } else {
        const before = file.seen(each, nowMs);
        if (before !== undefined) {
          log("tail_rotated", { file: each.path, before });
          this.#isDirty = true;
        }
      }
      if (file.mayHaveMore || !file.isRotated)
        await this.#attempt(file, async (it) => void (await it.hold()));
      order.push(file);
    }
    // From now on, an unknown file is a new file.
    this.#knownPatterns = patterns;
    for (const record of this.#records.values()) this.#forget(record);
    this.#records.clear();
    await this.#letGo(nowMs);
    const gone = [...this.#files.values()].filter((file) => file.isGone);
    this.#order = [...gone, ...order];
    this.#count();
  }

  #takeRecord({ key, path }: FoundFile): FileRecord | undefined {
    const inode = key.split(":")[1];
    // The number of a device may change when a machine starts again.
    const record =
      this.#records.get(key) ??
      [...this.#records.values()].find((each) => each.path === path && each.key.split(":")[1] === inode);
    if (record !== undefined) this.#records.delete(record.key);
    return record;
  }

  /** Closes files that are at rest, and forgets those that are gone. */
  async #letGo(nowMs: number): Promise<void> {
    for (const file of this.#files.values()) {
      if (!file.isGone && !file.isRotated) continue;
      await this.#attempt(file, (it) => it.lookAgain(nowMs));
      if (file.isGone && !file.isOpen) this.#drop(file, "it is gone, and could not be opened before");
      else if (!file.mayHaveMore && nowMs - file.changedMs > LINGER_MS) {
        if (file.isGone) this.#drop(file);
        await file.close();
      }
    }
  }

  #drop(file: FollowedFile, reason?: string): void {
    const { log } = this.#options;
    this.#files.delete(file.key);
    this.#isDirty = true;
    const { record } = file;
    if (record !== undefined) this.#forget(record);
    const unreadBytes = file.lagBytes;
    if (unreadBytes > 0) log("tail_file_lost", { file: file.path, offset: file.offset, unreadBytes, reason });
    else log("tail_file_gone", { file: file.path, offset: file.offset });
  }

  /** Keeps what a copy of the file needs. */
  #forget(record: FileRecord): void {
    if (record.file !== undefined || record.offset === 0) return;
    this.#skipped.push(record);
    if (this.#skipped.length > SKIPPED_MAX) this.#skipped.shift();
  }

  /** Skips what a file has at the first start. */
  async #skip(file: FollowedFile): Promise<void> {
    if (!(await file.hold())) return;
    const content = await file.content();
    const position = await wholeLines(content);
    await file.skip(position, await content.firstLineHash(true));
    // An import may have stored a part of it. Then reading continues there.
    await file.displace();
    if (position.bytes > 0) this.#options.log("tail_skipped", { file: file.path, bytes: position.bytes });
  }

  /** Does something with a file. An error is about that file alone. Returns whether it succeeded. */
  async #attempt(file: FollowedFile, action: (file: FollowedFile) => Promise<void>): Promise<boolean> {
    try {
      await action(file);
      return true;
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (!(error instanceof UnreadableFile) && typeof code !== "string") throw error;
      await file.displace();
      file.retryMs = Date.now() + FILE_RETRY_MS;
      // A file that was deleted a moment ago.
      if (code !== "ENOENT") this.#problem(file, (error as Error).message);
      return false;
    }
  }

  #problem(file: FollowedFile, reason: string): void {
    if (file.problem === reason) return;
    file.problem = reason;
    this.#options.log("tail_file_problem", { file: file.path, reason });
  }

  /** Reads and stores lines until there are none, the gateway is away, or it is `untilMs`, when files are looked for. */
  async #readAll(untilMs: number): Promise<void> {
    while (performance.now() >= this.#retryMs) {
      const isDone = await this.#withGateway(() => this.#step());
      if (isDone || performance.now() >= untilMs) return;
    }
  }

  /** The file whose lines are read next. */
  #pick(): FollowedFile | undefined {
    const nowMs = Date.now();
    const due = this.#order.filter((file) => file.mayHaveMore && file.retryMs <= nowMs && file.isOpen);
    const rotated = due.find((file) => file.isRotated || file.isGone);
    if (rotated !== undefined) return rotated;
    return due.reduce<FollowedFile | undefined>(
      (first, file) => (first === undefined || file.servedMs < first.servedMs ? file : first),
      undefined,
    );
  }

  /** Pushes the chunk that waits, or reads the next. Returns whether there is nothing to do. */
  async #step(): Promise<boolean> {
    if (this.#pending !== undefined) {
      await this.#push(this.#pending);
      return false;
    }
    const file = this.#pick();
    if (file === undefined) return true;
    file.servedMs = performance.now();
    await this.#attempt(file, async (it) => {
      if (!it.isPlaced) await this.#place(it);
      if (!it.isPlaced || !(await this.#isIntact(it))) return;
      const chunk = await it.next();
      for (const { line, offset, bytes } of it.unread.splice(0)) {
        this.#isDirty = true;
        this.#rejectLine(it, line, offset, "overlong", `it has ${bytes} bytes, more than an event can have`);
        this.#options.metrics.addRejected(1);
      }
      if (chunk === undefined) {
        this.#isDirty = true;
        return;
      }
      // If it was truncated meanwhile, it is unknown which content was read.
      if (!(await this.#isIntact(it))) return;
      try {
        this.#pending = { file: it, name: await this.#nameOf(it), parts: [chunk], isUncertain: false };
      } catch (error) {
        // The chunk is lost, so its lines are read again.
        await it.displace();
        throw error;
      }
    });
    return false;
  }

  async #place(file: FollowedFile): Promise<void> {
    const content = await file.content();
    const placement = await placeFile({ content, ...file.placing }, this.#options.store, {
      imports: new Set(
        [...this.#files.values()].flatMap((each) =>
          each === file || each.importName === undefined ? [] : [each.importName],
        ),
      ),
      skipped: [
        ...this.#skipped,
        ...[...this.#files.values()].flatMap((each) => {
          const { record } = each;
          return each === file || record === undefined || record.file !== undefined || record.offset === 0
            ? []
            : [record];
        }),
      ],
    });
    this.#checkHeader(content.firstLine);
    if (placement.kind === "wait") {
      file.waitForChange();
      return;
    }
    if (placement.warning !== undefined)
      this.#problem(file, `${placement.warning}; only lines that are added from now on are read`);
    else file.problem = "";
    await file.place(placement);
    this.#isDirty = true;
    this.#options.log("tail_file", {
      file: file.path,
      instance: this.#instanceOf(file) || undefined,
      offset: placement.from.bytes,
    });
  }

  /** Throws `UnreadableFile` if the lines of a file cannot be converted because of its first line. */
  #checkHeader(firstLine: string): void {
    const { format } = this.#options;
    if (format?.hasHeader !== true || firstLine === "") return;
    try {
      format.converter(firstLine);
    } catch (error) {
      if (!(error instanceof WrongHeader)) throw error;
      throw new UnreadableFile(error.message);
    }
  }

  async #isIntact(file: FollowedFile): Promise<boolean> {
    return await file.isIntact((unreadBytes, record) => {
      this.#isDirty = true;
      if (record !== undefined) this.#forget(record);
      const { log } = this.#options;
      if (unreadBytes > 0) log("tail_truncated_unread", { file: file.path, unreadBytes });
      else log("tail_truncated", { file: file.path });
    });
  }

  /** The name of the file's import, or a free name for a new import. */
  async #nameOf(file: FollowedFile): Promise<string> {
    if (file.importName !== undefined) return file.importName;
    const firstLine = file.firstLine!;
    return freeName(firstLine, await this.#options.store.withFirstLine(firstLine));
  }

  #instanceOf({ worker }: FollowedFile): string {
    const { labels, instanceFromName } = this.#options;
    return instanceFromName && !labels.some((label) => label.startsWith("instance=")) ? worker : "";
  }

  async #push(pending: Pending): Promise<void> {
    const { file, name, parts } = pending;
    const { store, labels } = this.#options;
    const [chunk] = parts;
    if (chunk === undefined) {
      this.#pending = undefined;
      return;
    }
    if (pending.isUncertain && (await this.#isSettled(pending, chunk))) return;
    const instance = this.#instanceOf(file);
    const all = instance === "" ? labels : [...labels, `instance=${instance}`];
    try {
      pending.isUncertain = true;
      const part = await file.part(chunk, name);
      const answer =
        this.#conversion === undefined
          ? await store.push(part, all)
          : await this.#conversion.push(part, all, store.push.bind(store));
      const isStored = answer.accepted + answer.duplicates > 0;
      file.acknowledge(chunk, isStored ? name : undefined);
      this.#report(file, chunk, answer);
    } catch (error) {
      if (!(error instanceof ChunkRefused || error instanceof TooManyEvents)) throw error;
      const halves = halve(chunk);
      if (halves.length > 0) {
        pending.isUncertain = false;
        parts.splice(0, 1, ...halves);
        return;
      }
      file.acknowledge(chunk, undefined);
      const [place] = placesOf(chunk, [0]);
      if (place !== undefined) this.#rejectLine(file, place.line, place.offset, "refused", error.message);
      this.#options.metrics.addRejected(1);
    }
    pending.isUncertain = false;
    parts.shift();
    if (parts.length === 0) this.#pending = undefined;
    this.#isDirty = true;
  }

  /** After a push without an answer: whether the chunk is stored, or must be read again. Otherwise it is pushed again. */
  async #isSettled(pending: Pending, chunk: FileChunk): Promise<boolean> {
    const { file, name, parts } = pending;
    const known = await this.#options.store.named(name);
    const stored = known?.byteOffset ?? 0;
    if (known !== undefined && stored === chunk.toOffset && known.identity?.hash === chunk.after.hash) {
      file.acknowledge(chunk, name);
      pending.isUncertain = false;
      parts.shift();
      this.#isDirty = true;
      return true;
    }
    if (stored === file.stored) return false;
    // Another program imported a part of the file, or the gateway was restored from a backup.
    this.#pending = undefined;
    await file.displace();
    return true;
  }

  #report(file: FollowedFile, chunk: FileChunk, answer: PartAnswer): void {
    const { metrics, log } = this.#options;
    metrics.addLines(answer.accepted + answer.duplicates);
    for (const { index, message: warning, field = warning } of answer.warnings) {
      if (this.#warnings.has(field) || this.#warnings.size >= WARNINGS_MAX) continue;
      this.#warnings.add(field);
      log("tail_line_warning", { file: file.path, ...placesOf(chunk, [index])[0], warning });
    }
    if (answer.rejected === 0) return;
    metrics.addRejected(answer.rejected);
    const places = placesOf(
      chunk,
      answer.errors.map(({ index }) => index),
    );
    for (const [at, { reason, cause }] of answer.errors.entries()) {
      const { line, offset } = places[at] ?? {};
      // A syntax error names a byte of the body.
      const text = reason.replace(
        /\bbyte (\d+) of the body\b/g,
        (_, byte) => `byte ${chunk.toOffset - chunk.body.length + Number(byte)} of the file`,
      );
      this.#rejectLine(file, line, offset, cause, text);
    }
    const omitted = answer.rejected - answer.errors.length;
    if (omitted > 0) log("tail_lines_rejected", { file: file.path, count: omitted });
  }

  #rejectLine(
    file: FollowedFile,
    line: number | undefined,
    offset: number | undefined,
    cause: string,
    reason: string,
  ) {
    this.#options.log("tail_line_rejected", { file: file.path, line, offset, cause, reason });
  }

  /** Runs an action that needs the gateway. After a failure, the gateway is left alone for a while. */
  async #withGateway(action: () => Promise<boolean>): Promise<boolean> {
    const { log, random = Math.random } = this.#options;
    try {
      const isDone = await action();
      if (this.#attempts > 0 && this.#pending?.isUncertain !== true) {
        if (this.#awayLoggedMs > 0)
          log("tail_gateway_back", { awayMs: Math.round(performance.now() - this.#awaySinceMs) });
        this.#attempts = 0;
        this.#awayLoggedMs = 0;
      }
      return isDone;
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      const nowMs = performance.now();
      if (this.#attempts === 0) this.#awaySinceMs = nowMs;
      const pauseMs = Math.min(PAUSE_MS * 2 ** this.#attempts, PAUSE_MS_MAX) * (0.5 + random());
      this.#attempts++;
      const waitMs = Math.max(pauseMs, error.pauseMs ?? 0);
      this.#retryMs = nowMs + waitMs;
      // A single failure, such as a conflict with an import, is no absence.
      if (this.#attempts > 1 && (this.#awayLoggedMs === 0 || nowMs - this.#awayLoggedMs >= AWAY_LOG_MS)) {
        this.#awayLoggedMs = nowMs;
        log("tail_gateway_away", {
          error: error.message,
          retryMs: Math.round(waitMs),
          lagBytes: this.#lagBytes,
        });
      }
      return true;
    }
  }

  get #lagBytes(): number {
    return [...this.#files.values()].reduce((sum, file) => sum + file.lagBytes, 0);
  }

  #count(): void {
    this.#options.metrics.set(this.#lagBytes, this.#files.size);
  }

  async #save(isLast = false): Promise<void> {
    const { statePath, patterns, log } = this.#options;
    this.#count();
    const nowMs = performance.now();
    if (!this.#isDirty || (!isLast && nowMs - this.#savedMs < STATE_INTERVAL_MS)) return;
    this.#savedMs = nowMs;
    const files = [...this.#files.values()].flatMap(({ record }) => record ?? []);
    try {
      await writeState(statePath, { patterns, files });
      this.#isDirty = false;
    } catch (error) {
      log("tail_state_unwritable", { file: statePath, error: String(error) });
    }
  }
}
