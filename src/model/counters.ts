/**
 * The gateway's own metrics, in one prom-client registry. Any stage may count; nothing is read back from here
 * but by exposition. Names begin with `weir_`; labels are bounded.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export const registry = new Registry();
const registers = [registry];

export const samplesAccepted = new Counter({
  name: "weir_samples_accepted_total",
  help: "Samples committed, by protocol.",
  labelNames: ["protocol"],
  registers,
});
export const samplesRejected = new Counter({
  name: "weir_samples_rejected_total",
  help: "Samples turned away, by protocol and cause.",
  labelNames: ["protocol", "cause"],
  registers,
});
export const eventWarnings = new Counter({
  name: "weir_event_warnings_total",
  help: "Parts of accepted events that were not stored as they were sent, by field; other where it has no usual name.",
  labelNames: ["field"],
  registers,
});
export const samplesDuplicate = new Counter({
  name: "weir_samples_duplicate_total",
  help: "Samples dropped because the same series, time and value was stored before.",
  labelNames: ["protocol"],
  registers,
});
export const echoesDropped = new Counter({
  name: "weir_remote_write_own_samples_dropped_total",
  help: "Samples received by remote_write that were scraped from /metrics here, and so are stored already.",
  registers,
});
export const historySamples = new Counter({
  name: "weir_history_samples_total",
  help: "Samples stored but too late, or imported, and so not counted in running totals.",
  registers,
});
export const pushesDuplicate = new Counter({
  name: "weir_pushes_duplicate_total",
  help: "Pushes answered from their idempotency key.",
  registers,
});
export const idempotencyKeysForgotten = new Counter({
  name: "weir_idempotency_keys_forgotten_total",
  help: "Idempotency keys forgotten before their time, for want of room.",
  registers,
});
export const labelDemotions = new Counter({
  name: "weir_label_demotions_total",
  help: "Labels that took too many values and became columns.",
  registers,
});
export const commitSeconds = new Histogram({
  name: "weir_commit_duration_seconds",
  help: "Time from the begin to the end of a commit.",
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  registers,
});
export const commitFailures = new Counter({
  name: "weir_commit_failures_total",
  help: "Commits that failed; their pushes were told so.",
  registers,
});
export const checkpointSeconds = new Histogram({
  name: "weir_checkpoint_duration_seconds",
  help: "Time that a checkpoint took.",
  buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  registers,
});
export const checkpointsRefused = new Counter({
  name: "weir_checkpoints_refused_total",
  help: "Checkpoints put off because a reader stood in the way, or the disk had no room.",
  registers,
});
export const engineReopenings = new Counter({
  name: "weir_engine_reopenings_total",
  help: "Times that the engine gave up on its file at a checkpoint, as on a full disk, and was opened again.",
  registers,
});
/** Room on the disk of the store, asked at each scrape; the gateway that runs sets it. */
export const disk: { now: () => { freeBytes: number; isFull: boolean } | undefined } = {
  now: () => undefined,
};
export const diskFreeBytes = new Gauge({
  name: "weir_store_disk_free_bytes",
  help: "Free bytes of the disk that the store is on.",
  registers,
  collect() {
    this.set(disk.now()?.freeBytes ?? 0);
  },
});
export const diskFull = new Gauge({
  name: "weir_store_disk_full",
  help: "1 while pushes are refused because the disk has no room, else 0.",
  registers,
  collect() {
    this.set(disk.now()?.isFull === true ? 1 : 0);
  },
});
export const pushesDiskFull = new Counter({
  name: "weir_pushes_disk_full_total",
  help: "Pushes refused because the disk had no room.",
  registers,
});
export const journalWriteFailures = new Counter({
  name: "weir_journal_write_failures_total",
  help: "Small changes that the journal could not take; they were stored without it, at thirty times its cost.",
  registers,
});
export const journalMoveFailures = new Counter({
  name: "weir_journal_move_failures_total",
  help: "Times that small changes could not be moved to their tables; until they are, queries do not see them.",
  registers,
});
/** What waits for a commit, asked at each scrape; the ingest that runs sets it. */
export const waiting: { now: () => { samples: number; bytes: number; oldestSeconds: number } } = {
  now: () => ({ samples: 0, bytes: 0, oldestSeconds: 0 }),
};
export const queueSamples = new Gauge({
  name: "weir_queue_samples",
  help: "Samples that wait for a commit.",
  registers,
  collect() {
    this.set(waiting.now().samples);
  },
});
export const queueBytes = new Gauge({
  name: "weir_queue_bytes",
  help: "Bytes of the samples that wait for a commit.",
  registers,
  collect() {
    this.set(waiting.now().bytes);
  },
});
export const oldestUnacknowledgedSeconds = new Gauge({
  name: "weir_oldest_unacknowledged_seconds",
  help: "Age of the oldest push that waits for its commit.",
  registers,
  collect() {
    this.set(waiting.now().oldestSeconds);
  },
});
export const samplerFailures = new Counter({
  name: "weir_sampler_failures_total",
  help: "Runs of a part of the sampler that failed, by part and cause.",
  labelNames: ["part", "cause"],
  registers,
});
export const samplerSeconds = new Histogram({
  name: "weir_sampler_duration_seconds",
  help: "Time that a part of the sampler took to read.",
  labelNames: ["part"],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers,
});
export const httpRequests = new Counter({
  name: "weir_http_requests_total",
  help: "Requests answered, by pattern of the route (none where there is none), method and status.",
  labelNames: ["route", "method", "status"],
  registers,
});
export const httpSeconds = new Histogram({
  name: "weir_http_request_duration_seconds",
  help: "Time from a request's head to its answer's head, by pattern of the route.",
  labelNames: ["route"],
  buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  registers,
});
export const groupsLive = new Gauge({
  name: "weir_groups",
  help: "Groups of pushed metrics, as Pushgateway has them.",
  registers,
});
export const expositionConflicts = new Gauge({
  name: "weir_exposition_conflicts",
  help: "Families and series left out of the last scrape, because another has their name.",
  registers,
});
export const lastPushesRefused = new Counter({
  name: "weir_last_push_refused_total",
  help: "Pushes of a job and instance past the limit of weir_last_push_timestamp_seconds.",
  registers,
});
export const scrapesRefused = new Counter({
  name: "weir_scrapes_refused_total",
  help: "Scrapes turned away because too many were under way.",
  registers,
});
export const pushesBusy = new Counter({
  name: "weir_pushes_busy_total",
  help: "Pushes told to come again because the queue was full.",
  registers,
});
export const seriesUnexposed = new Counter({
  name: "weir_series_unexposed_total",
  help: "Series past the limit, kept for SQL and not exposed.",
  registers,
});
export const queriesFinished = new Counter({
  name: "weir_queries_total",
  help: "SQL queries and summaries that ended, by outcome: ok, or the code of their error.",
  labelNames: ["outcome"],
  registers,
});
export const queriesRunning = new Gauge({
  name: "weir_queries_running",
  help: "SQL queries and summaries under way.",
  registers,
});
export const queriesStuck = new Counter({
  name: "weir_queries_stuck_total",
  help: "Queries that did not heed their interrupt within 2 s.",
  registers,
});
export const querySeconds = new Histogram({
  name: "weir_query_duration_seconds",
  help: "Time that SQL queries and summaries took, reading their rows included.",
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  registers,
});
export const promqlRunning = new Gauge({
  name: "weir_promql_queries_running",
  help: "PromQL queries under way.",
  registers,
});
export const promqlSeconds = new Histogram({
  name: "weir_promql_query_duration_seconds",
  help: "Time that PromQL queries took, by outcome: ok, or the code of their error.",
  labelNames: ["outcome"],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120],
  registers,
});
export const nativeHistograms = new Counter({
  name: "weir_native_histograms_total",
  help: "Native histograms received and stored as classic buckets.",
  registers,
});
export const exemplarsDropped = new Counter({
  name: "weir_exemplars_dropped_total",
  help: "Exemplars received and not kept: their labels were too long or no text, or a request had too many.",
  registers,
});
export const metadataDropped = new Counter({
  name: "weir_metadata_dropped_total",
  help: "Metadata of metric families past the limit of those remembered.",
  registers,
});
