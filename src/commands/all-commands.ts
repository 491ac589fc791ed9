/**
 * The commands of `weir`, in the order of the overview. The modules of a command are loaded when it is asked for, so that
 * `weir sql` does not wait for those of the server.
 */
import type { Command } from "./command.ts";

export const COMMANDS: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  serve: () => import("./serve/serve-command.ts"),
  import: () => import("./import.ts"),
  tail: () => import("./tail/tail.ts"),
  export: () => import("./export.ts"),
  sql: () => import("./sql.ts"),
  summary: () => import("./summary.ts"),
  top: () => import("./top/top.ts"),
  promql: () => import("./promql.ts"),
  check: () => import("./check.ts"),
  rules: () => import("./rules/rules.ts"),
  slo: () => import("./rules/slo.ts"),
  backup: () => import("./operation/backup.ts"),
  restore: () => import("./operation/restore.ts"),
  compact: () => import("./operation/compact.ts"),
  token: () => import("./operation/token.ts"),
  doctor: () => import("./operation/doctor.ts"),
  health: () => import("./operation/health-check.ts"),
  delete: () => import("./operation/delete.ts"),
  demo: () => import("./demo/demo.ts"),
  rejected: () => import("./operation/rejected.ts"),
  fleet: () => import("./fleet/fleet.ts"),
  forward: () => import("./forward/forward.ts"),
  archive: () => import("./archive/archive.ts"),
  silence: () => import("./operation/silence.ts"),
  init: () => import("./setup/init.ts"),
  completion: () => import("./help/completion.ts"),
  man: () => import("./help/man.ts"),
};
