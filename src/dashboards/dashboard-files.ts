/**
 * The dashboards of the page: those that come with Weir, and those of the folders of the setting. The folders are looked at
 * when somebody asks, at most once a second, and only files that changed are read. A file with an error is listed with its
 * line and its reason, and hides no other file.
 *
 * The name of a dashboard is that of its file without the ending. Of several files with one name the first counts: a folder
 * goes before the dashboards that come with Weir, which it can thereby replace.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, extname, join, relative } from "node:path";
import { programPath } from "../program/program-files.ts";
import {
  type DashboardJson,
  DashboardFault,
  panelCount,
  readJsonDashboard,
  readTomlDashboard,
} from "./dashboard-text.ts";

export interface ListedDashboard {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  /** The identifier by which links of Grafana name it. Empty if it has none. */
  readonly uid: string;
  readonly panels: number;
  /** Whether it comes with Weir. */
  readonly shipped: boolean;
  readonly file: string;
}

/** Why a file is not shown. */
export interface DashboardProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface DashboardList {
  /** By title. */
  readonly dashboards: readonly ListedDashboard[];
  /** By file. */
  readonly errors: readonly DashboardProblem[];
}

/** A dashboard, or why its file is none. */
export type FoundDashboard = { readonly json: string } | { readonly problem: DashboardProblem };

/** The dashboards that come with Weir. A package contains them. */
const SHIPPED = programPath("scripts/deploy/grafana/dashboards");
const LOOK_INTERVAL_MS = 1_000;
/** The largest published dashboards have 1 MB. Reading this much takes some 20 ms. */
const FILE_BYTES_MAX = 2 * 1_048_576;
const FILES_MAX = 1_000;
const DEPTH_MAX = 8;

const READERS: Readonly<Record<string, (bytes: Uint8Array) => DashboardJson>> = {
  ".json": readJsonDashboard,
  ".toml": readTomlDashboard,
};

/** A file as it was when it was read. */
interface KnownFile {
  readonly version: string;
  readonly listed?: ListedDashboard;
  readonly problem?: DashboardProblem;
}

interface FoundFile {
  readonly path: string;
  /** What people see as its path. */
  readonly shown: string;
  readonly isShipped: boolean;
}

interface Look {
  readonly atMs: number;
  readonly list: DashboardList;
  /** Files with an error too. */
  readonly files: ReadonlyMap<string, FoundFile>;
}

export class DashboardFiles {
  readonly #folders: readonly string[];
  readonly #onInvalid: (first: string, problems: number) => void;
  #known: ReadonlyMap<string, KnownFile> = new Map();
  #last: Look | undefined;
  #looking: Promise<Look> | undefined;
  #reported = "";

  readonly #elapsedMs: () => number;

  /**
   * @param onInvalid called with the first problem, and their number, when they are others than before
   * @param elapsedMs a clock that only moves forward
   */
  constructor(
    folders: readonly string[],
    onInvalid: (first: string, problems: number) => void,
    elapsedMs = () => performance.now(),
  ) {
    this.#folders = folders;
    this.#onInvalid = onInvalid;
    this.#elapsedMs = elapsedMs;
  }

  async list(): Promise<DashboardList> {
    return (await this.#look()).list;
  }

  /**
   * A dashboard as JSON of Grafana: the text of the file, or what a file of Weir's own format says.
   *
   * @param name its name, or its `uid`
   */
  async find(name: string): Promise<FoundDashboard | undefined> {
    const { files, list } = await this.#look();
    const byUid = list.dashboards.find(({ uid }) => uid === name)?.name;
    const file = files.get(name) ?? (byUid === undefined ? undefined : files.get(byUid));
    if (file === undefined) return undefined;
    const read = await this.#read(file);
    if ("message" in read) return { problem: read };
    const { bytes, dashboard } = read;
    return {
      json: extname(file.path) === ".json" ? new TextDecoder().decode(bytes) : JSON.stringify(dashboard),
    };
  }

  async #look(): Promise<Look> {
    if (this.#last !== undefined && this.#elapsedMs() - this.#last.atMs < LOOK_INTERVAL_MS) return this.#last;
    // Requests that arrive meanwhile share one look.
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined;
    });
    return await this.#looking;
  }

  async #lookNow(): Promise<Look> {
    const atMs = this.#elapsedMs();
    const errors: DashboardProblem[] = [];
    const found: FoundFile[] = [];
    for (const folder of this.#folders) {
      const read = await filesBelow(folder);
      errors.push(...read.errors);
      found.push(...read.paths.map((path) => ({ path, shown: path, isShipped: false })));
    }
    const { paths } = await filesBelow(SHIPPED);
    found.push(...paths.map((path) => ({ path, shown: relative(SHIPPED, path), isShipped: true })));
    const files = new Map<string, FoundFile>();
    const known = new Map<string, KnownFile>();
    const dashboards: ListedDashboard[] = [];
    for (const file of found) {
      const name = nameOf(file.path);
      const first = files.get(name);
      if (first !== undefined) {
        const message = `the name ${name} is taken by ${first.shown}; expected files with different names`;
        if (!file.isShipped) errors.push({ file: file.shown, line: 1, column: 1, message });
        continue;
      }
      const content = await this.#current(file);
      known.set(file.path, content);
      files.set(name, file);
      if (content.listed !== undefined) dashboards.push(content.listed);
      if (content.problem !== undefined) errors.push(content.problem);
    }
    this.#known = known;
    dashboards.sort((a, b) => a.title.localeCompare(b.title, "en") || (a.name < b.name ? -1 : 1));
    errors.sort((a, b) => (a.file < b.file ? -1 : Number(a.file > b.file)));
    this.#report(errors);
    this.#last = { atMs, list: { dashboards, errors }, files };
    return this.#last;
  }

  async #current(file: FoundFile): Promise<KnownFile> {
    const { mtimeMs, size, ino } = (await stat(file.path).catch(() => undefined)) ?? {};
    const version = `${mtimeMs} ${size} ${ino}`;
    const before = this.#known.get(file.path);
    if (before?.version === version) return before;
    const read = await this.#read(file);
    if ("message" in read) return { version, problem: read };
    const { dashboard } = read;
    const listed = {
      name: nameOf(file.path),
      title: textOf(dashboard.title) || nameOf(file.path),
      description: textOf(dashboard.description),
      tags: Array.isArray(dashboard.tags) ? dashboard.tags.map(textOf).filter(Boolean) : [],
      uid: textOf(dashboard.uid),
      panels: panelCount(dashboard),
      shipped: file.isShipped,
      file: file.shown,
    };
    return { version, listed };
  }

  async #read({
    path,
    shown,
  }: FoundFile): Promise<
    { readonly bytes: Uint8Array; readonly dashboard: DashboardJson } | DashboardProblem
  > {
    const problem = (message: string, line = 1, column = 1) => ({ file: shown, line, column, message });
    try {
      const { size } = await stat(path);
      if (size > FILE_BYTES_MAX)
        return problem(`the file has ${size} bytes, expected at most ${FILE_BYTES_MAX}`);
      const bytes = await readFile(path);
      return { bytes, dashboard: READERS[extname(path)]!(bytes) };
    } catch (error) {
      if (error instanceof DashboardFault) return problem(error.message, error.line, error.column);
      return problem(`the file cannot be read: ${reasonOf(error)}`);
    }
  }

  #report(errors: readonly DashboardProblem[]): void {
    const texts = errors.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`);
    const all = texts.join("\n");
    if (all !== this.#reported && texts.length > 0) this.#onInvalid(texts[0]!, texts.length);
    this.#reported = all;
  }
}

/** The dashboards in a folder and below it, by path. Names that begin with a dot, such as `.git`, are left out. */
async function filesBelow(
  folder: string,
): Promise<{ readonly paths: readonly string[]; readonly errors: readonly DashboardProblem[] }> {
  const paths: string[] = [];
  const errors: DashboardProblem[] = [];
  const problem = (path: string, message: string) => errors.push({ file: path, line: 1, column: 1, message });
  const visit = async (path: string, depth: number): Promise<void> => {
    const names = await readdir(path);
    const folders: string[] = [];
    for (const name of names.sort()) {
      if (name.startsWith(".")) continue;
      const below = join(path, name);
      // Links are followed: a mounted ConfigMap of Kubernetes has nothing else.
      const found = await stat(below).catch(() => undefined);
      if (found?.isDirectory() && depth < DEPTH_MAX) folders.push(below);
      else if (found?.isFile() && Object.hasOwn(READERS, extname(name))) paths.push(below);
    }
    for (const below of folders) await visit(below, depth + 1);
  };
  try {
    await visit(folder, 1);
  } catch (error) {
    problem(folder, `the folder cannot be read: ${reasonOf(error)}`);
  }
  if (paths.length > FILES_MAX) {
    problem(folder, `the folder has ${paths.length} dashboards; the first ${FILES_MAX} are shown`);
    paths.length = FILES_MAX;
  }
  return { paths, errors };
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return { ENOENT: "it does not exist", ENOTDIR: "it is not a folder" }[code ?? ""] ?? message;
}

function nameOf(path: string): string {
  return basename(path, extname(path));
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
