/**
 * Every event that the gateway logs: its name, its level, its message, and the fields that it can have. Names, levels
 * and fields are stable, so that alerts and queries on the log can use them. README.md in this folder lists them.
 *
 * Neither a message nor a field has a body, a header, the query of a URL, or a secret.
 */

/** Levels, the most important first. */
export const LEVELS = ["error", "warn", "info", "debug"] as const;

export type Level = (typeof LEVELS)[number];

interface EventKind {
  readonly level: Level;
  readonly message: string;
  readonly fields: readonly string[];
}

export const EVENTS = {
  // The life of the process
  listening: {
    level: "info",
    message: "the gateway accepts connections",
    fields: ["urls", "data", "version", "pid"],
  },
  stopping: { level: "info", message: "the gateway is stopping", fields: ["signal"] },
  stopped: { level: "info", message: "the gateway has stopped", fields: [] },
  start_failed: { level: "error", message: "the gateway did not start", fields: ["error"] },
  stop_late: {
    level: "error",
    message: "the gateway did not stop in time; everything that was acknowledged is stored",
    fields: ["stopTimeoutMs"],
  },
  requests_cut_off: {
    level: "warn",
    message: "requests that did not finish in time were cut off by the stop",
    fields: ["requests"],
  },
  engine_lost: {
    level: "error",
    message: "the engine gave up on the file; the process ends and must be restarted",
    fields: [],
  },
  exception: {
    level: "error",
    message: "an error that nothing caught; the gateway stops and must be restarted",
    fields: ["error"],
  },
  rejection: {
    level: "error",
    message: "a failed task that nothing waited for; the gateway continues",
    fields: ["error"],
  },

  supervisor_unreachable: {
    level: "warn",
    message: "the supervisor cannot be notified",
    fields: ["error"],
  },
  commits_stuck: {
    level: "error",
    message:
      "no commit has succeeded or failed for half of the watchdog's time; the supervisor may restart the gateway",
    fields: ["afterMs"],
  },

  // The store and what runs beside the requests
  upgrade_backup: {
    level: "warn",
    message: "a backup was made, because the new version rewrites data of the store",
    fields: ["folder"],
  },
  upgrade_backup_removed: {
    level: "info",
    message: "the backup before an upgrade is older than retention and was removed",
    fields: ["folder"],
  },
  journal_record_incomplete: {
    level: "warn",
    message:
      "the last record of the journal is incomplete, as a kill or a loss of power leaves it, and was skipped; its push was not acknowledged",
    fields: ["path", "byte"],
  },
  store_recovered: {
    level: "warn",
    message:
      "a kill left blocks of the store's catalog half written; what is in use of them is as it was noted before, their checksums were corrected, and nothing is lost",
    fields: ["path", "bytes"],
  },
  store_fault: { level: "error", message: "a fault of the store", fields: ["what", "error"] },
  decode_fault: { level: "error", message: "a thread that decodes bodies ended", fields: ["error"] },
  ingest_fault: { level: "error", message: "a fault while samples were stored", fields: ["what", "error"] },
  cells_failed: {
    level: "error",
    message: "events could not be read into cells; PromQL reads their rows",
    fields: ["error"],
  },
  housekeeping_failed: {
    level: "error",
    message: "housekeeping failed and will be retried",
    fields: ["task", "error"],
  },
  service_failed: {
    level: "error",
    message: "a service of a receiver failed and continues",
    fields: ["urls", "error"],
  },
  disk_full: {
    level: "error",
    message: "disk full: pushes are rejected until there is room",
    fields: ["freeBytes", "diskReserveBytes"],
  },
  disk_has_room: {
    level: "warn",
    message: "the disk has room again: pushes are accepted",
    fields: ["freeBytes", "diskReserveBytes"],
  },
  totals_not_stored: {
    level: "warn",
    message: "disk full: the running totals were not stored; the next start computes them from rows",
    fields: [],
  },
  days_dropped: { level: "info", message: "days past retention were dropped", fields: ["days", "rows"] },
  sampler_failed: {
    level: "warn",
    message: "the sampler cannot read or store a part of this machine",
    fields: ["part", "cause", "error"],
  },
  sampler_recovered: { level: "info", message: "a part of this machine is sampled again", fields: ["part"] },

  // Requests
  request: {
    level: "info",
    message: "request",
    fields: ["method", "path", "route", "status", "durationMs", "remote", "userAgent"],
  },
  request_failed: {
    level: "error",
    message: "a request failed",
    fields: ["method", "path", "error"],
  },
  not_ready: {
    level: "error",
    message: "the gateway is not ready: a scrape or a commit fails",
    fields: ["error"],
  },
  ready_again: { level: "info", message: "the gateway is ready again", fields: [] },
  client_gone: {
    level: "debug",
    message: "a client closed its connection before it was answered",
    fields: ["method", "path", "error"],
  },
  requests_rejected: {
    level: "warn",
    message: "requests were rejected in the last minute",
    fields: ["reason", "count", "route", "status", "sample"],
  },
  samples_rejected: {
    level: "warn",
    message: "samples were rejected in the last minute",
    fields: ["protocol", "cause", "count", "instance", "sample"],
  },
  slow_queries: {
    level: "warn",
    message: "queries were slow in the last minute",
    fields: ["route", "outcome", "count", "slowestMs", "sample"],
  },

  query_stuck: {
    level: "warn",
    message: "a query did not stop after its interrupt",
    fields: ["afterMs"],
  },

  // Tokens
  tokens_changed: { level: "info", message: "the tokens have changed", fields: ["tokens"] },
  token_created: {
    level: "info",
    message: "a request created a token",
    fields: ["token", "scopes", "by"],
  },
  token_revoked: { level: "info", message: "a request revoked a token", fields: ["token", "by"] },
  token_label_is_attribute: {
    level: "warn",
    message: "a label of a token is an attribute of these metrics, so that the token reads nothing of them",
    fields: ["label", "metrics"],
  },
  web_config_changed: {
    level: "info",
    message: "the files of certificates or users have changed: new connections and requests use them",
    fields: ["users", "certificateExpires"],
  },
  web_config_unusable: {
    level: "error",
    message: "the files of certificates or users cannot be used: everything stays as it was",
    fields: ["error"],
  },
  tls_certificate_warning: {
    level: "warn",
    message: "the certificate or its key needs attention",
    fields: ["what"],
  },
  tls_connection_failed: {
    level: "warn",
    message: "a TLS connection failed; further ones with this cause are counted only",
    fields: ["cause", "reason"],
  },
  token_file_deleted: {
    level: "error",
    message: "the token file was deleted: its tokens are revoked, and no other requests are accepted",
    fields: [],
  },
  token_file_unreadable: {
    level: "error",
    message: "the token file cannot be read: the tokens stay as they were",
    fields: ["error"],
  },
  token_uses_unwritable: {
    level: "error",
    message: "the times of the last uses of tokens could not be written",
    fields: ["error"],
  },

  // Senders and targets
  scraper_writes_back: {
    level: "info",
    message:
      "a server that writes here also scrapes /metrics: samples of /metrics that it writes back are dropped",
    fields: ["labels"],
  },
  field_warning: {
    level: "warn",
    message: "a sample was accepted with a warning; the field is not logged again",
    fields: ["field", "what", "metric"],
  },
  field_warnings_full: {
    level: "warn",
    message: "no further fields with warnings are logged",
    fields: ["fields"],
  },
  messages_skipped: {
    level: "warn",
    message: "a sender sends messages that are not stored; the type is not logged again",
    fields: ["protocol", "type", "what"],
  },
  samples_not_stored: {
    level: "warn",
    message: "samples of lines and datagrams could not be stored, and are lost",
    fields: ["protocol", "count"],
  },
  datagrams_lost: {
    level: "warn",
    message: "datagrams were lost",
    fields: ["protocol", "causes", "datagramBufferBytes"],
  },
  grpc_connection_failed: {
    level: "warn",
    message: "a connection of the gRPC listener failed; further ones are not logged",
    fields: ["error", "advice"],
  },
  tail_started: { level: "info", message: "files are followed", fields: ["patterns", "files", "state"] },
  tail_stopping: { level: "info", message: "the last lines are stored", fields: ["signal"] },
  tail_stopped: { level: "info", message: "files are no longer followed", fields: ["lagBytes"] },
  tail_failed: { level: "error", message: "files cannot be followed", fields: ["error"] },
  tail_file: {
    level: "info",
    message: "the lines of a file are read from an offset on",
    fields: ["file", "instance", "offset"],
  },
  tail_skipped: {
    level: "info",
    message: "the lines that a file has at the first start are not read, because --from-start is not given",
    fields: ["file", "bytes"],
  },
  tail_rotated: { level: "info", message: "a followed file was renamed", fields: ["file", "before"] },
  tail_truncated: {
    level: "info",
    message: "a followed file was truncated and is read from its beginning",
    fields: ["file"],
  },
  tail_truncated_unread: {
    level: "warn",
    message: "a followed file was truncated before all of it was read: only a copy of it has the rest",
    fields: ["file", "unreadBytes"],
  },
  tail_file_gone: {
    level: "info",
    message: "a followed file was deleted or moved away",
    fields: ["file", "offset"],
  },
  tail_file_lost: {
    level: "warn",
    message: "a followed file was deleted or moved away before all of it was read",
    fields: ["file", "offset", "unreadBytes", "reason"],
  },
  tail_file_problem: {
    level: "warn",
    message: "a file, or a part of it, cannot be read",
    fields: ["file", "reason"],
  },
  tail_files_full: {
    level: "warn",
    message: "more files were found than can be followed",
    fields: ["files", "followed"],
  },
  tail_line_rejected: {
    level: "warn",
    message: "a line of a followed file was rejected",
    fields: ["file", "line", "offset", "cause", "reason"],
  },
  tail_line_warning: {
    level: "warn",
    message: "a field of followed lines was not stored as it was written; further such lines are not logged",
    fields: ["file", "line", "offset", "warning"],
  },
  tail_lines_rejected: {
    level: "warn",
    message: "further lines of a followed file were rejected",
    fields: ["file", "count"],
  },
  tail_gateway_away: {
    level: "warn",
    message: "the gateway does not store lines; they are sent again",
    fields: ["error", "retryMs", "lagBytes"],
  },
  tail_gateway_back: { level: "info", message: "the gateway stores lines again", fields: ["awayMs"] },
  tail_state_damaged: {
    level: "error",
    message:
      "the state file of a follower was damaged and is set aside: all files are read from their stored offsets",
    fields: ["error", "aside"],
  },
  tail_state_unwritable: {
    level: "error",
    message: "the state file of a follower could not be written",
    fields: ["file", "error"],
  },
  target_down: {
    level: "warn",
    message: "a scraped target is down",
    fields: ["job", "instance", "url", "error"],
  },
  target_up: { level: "info", message: "a scraped target is up again", fields: ["job", "instance", "url"] },

  // Rules
  rules_loaded: { level: "info", message: "rule files are in use", fields: ["files", "groups", "rules"] },
  rules_doubtful: { level: "warn", message: "a rule is probably not meant as it is", fields: ["problem"] },
  settings_need_restart: {
    level: "warn",
    message: "settings have changed that a reload does not apply: a restart is needed",
    fields: ["settings"],
  },
  rules_invalid: {
    level: "error",
    message: "rule files have errors: the earlier rules go on",
    fields: ["errors", "first"],
  },
  rule_failed: {
    level: "warn",
    message: "a rule fails; it is logged again when it fails after a success",
    fields: ["file", "group", "rule", "error"],
  },
  rule_template_failed: {
    level: "warn",
    message:
      "a label or annotation of an alert is an error; the rule is logged again after an evaluation without one",
    fields: ["file", "group", "rule", "error"],
  },

  // Dashboards
  dashboards_invalid: {
    level: "warn",
    message: "files of dashboards have errors; the others are shown",
    fields: ["errors", "first"],
  },

  // Notifications
  notification_failed: {
    level: "error",
    message: "a notification could not be delivered within its time; it is sent again, and not logged again",
    fields: ["notifier", "group", "error"],
  },
  notification_delivered_again: {
    level: "info",
    message: "notifications of a group that could not be delivered are delivered again",
    fields: ["notifier", "group"],
  },
  notifications_not_stored: {
    level: "error",
    message: "alerts, silences or sent notifications could not be stored; a kill now could send some again",
    fields: ["error"],
  },
  notification_record_unreadable: {
    level: "warn",
    message: "a stored alert, silence or sent notification cannot be read, and is ignored",
    fields: ["key"],
  },

  // Forwarding
  forward_failing: {
    level: "warn",
    message:
      "a destination does not take samples; they wait in the store, and further failures are not logged",
    fields: ["destination", "error"],
  },
  forward_recovered: {
    level: "info",
    message: "a destination takes samples again",
    fields: ["destination", "seconds"],
  },
  forward_removed: {
    level: "info",
    message: "what a removed destination has received is forgotten; it begins again if it returns",
    fields: ["destination"],
  },
  forward_without_blocks: {
    level: "warn",
    message: "a new destination gets no samples that are in blocks; export and import them there",
    fields: ["destination", "samples"],
  },
  upstream_failing: {
    level: "warn",
    message:
      "the upstream does not answer; queries have only what is stored here, and further failures are not logged",
    fields: ["upstream", "error"],
  },
  upstream_recovered: { level: "info", message: "the upstream answers again", fields: ["seconds"] },
  forward_dropped: {
    level: "warn",
    message: "samples were given up that a destination does not take, or that retention dropped",
    fields: ["destination", "reason", "samples", "first"],
  },

  // The archive
  day_archived: {
    level: "info",
    message: "a day is in the archive",
    fields: ["date", "samples", "files", "bytes", "seconds"],
  },
  archive_failing: {
    level: "warn",
    message:
      "a day could not be archived; it is tried again each minute, and the same error is not logged again",
    fields: ["date", "error"],
  },
  archive_missed: {
    level: "warn",
    message: "retention dropped samples that the archive does not have",
    fields: ["date", "samples"],
  },
} as const satisfies Readonly<Record<string, EventKind>>;

export type EventName = keyof typeof EVENTS;

/** The value of a field. One that is undefined is left out. */
export type FieldValue = string | number | boolean | undefined;

/** The fields of a line of an event. */
export type FieldsOf<Name extends EventName> = {
  readonly [Field in (typeof EVENTS)[Name]["fields"][number]]?: FieldValue;
};
