/**
 * The gateway's own metrics, in one prom-client registry for each gateway. Every room may count, and only the
 * exposition reads the values. Names begin with `weir_`, and labels have a bounded number of values.
 */
import { Counter, Gauge, Histogram, MetricsRegistry } from "./metrics-library.ts";
import { TalliedCounter, TalliedHistogram } from "./metrics/tallies.ts";
import { WorkSignal } from "./metrics/work-signal.ts";

/** What some gauges read at each scrape. */
interface LiveValues {
  /** Room on the disk of the store. */
  disk(): { readonly freeBytes: number; readonly isFull: boolean };
  /** Samples that wait for a commit, and the age of the oldest push of them. */
  waiting(): { readonly samples: number; readonly bytes: number; readonly oldestSeconds: number };
}

/** For a room that runs without a gateway. */
const NOTHING_LIVE: LiveValues = {
  disk: () => ({ freeBytes: 0, isFull: false }),
  waiting: () => ({ samples: 0, bytes: 0, oldestSeconds: 0 }),
};

export type Counters = ReturnType<typeof createCounters>;

/** Creates the metrics of one gateway, all 0. Two gateways of one process share none. */
export function createCounters(live: LiveValues = NOTHING_LIVE) {
  const registry = new MetricsRegistry();
  const registers = [registry];
  return {
    registry,
    /** Work that may occupy the event loop begins: a request, or a push. */
    work: new WorkSignal(),
    /** Somebody else begins work: samples arrive, also by a scrape, or a request does that is not open to everyone, as health is. */
    demand: new WorkSignal(),
    samplesAccepted: new TalliedCounter({
      name: "weir_samples_accepted_total",
      help: "Samples committed, by protocol.",
      labelNames: ["protocol"],
      registers,
    }),
    samplesRejected: new Counter({
      name: "weir_samples_rejected_total",
      help: "Rejected samples, by protocol and cause.",
      labelNames: ["protocol", "cause"],
      registers,
    }),
    datagramsReceived: new Counter({
      name: "weir_datagrams_received_total",
      help: "Datagrams that were received, by protocol.",
      labelNames: ["protocol"],
      registers,
    }),
    datagramsDropped: new Counter({
      name: "weir_datagrams_dropped_total",
      help: "Datagrams that were lost before they were decoded, by protocol and cause.",
      labelNames: ["protocol", "cause"],
      registers,
    }),
    connectionsClosed: new Counter({
      name: "weir_connections_closed_total",
      help: "Connections without requests that the gateway closed, by protocol and cause.",
      labelNames: ["protocol", "cause"],
      registers,
    }),
    messagesSkipped: new Counter({
      name: "weir_messages_skipped_total",
      help: "Messages without samples that were not stored, by protocol and type.",
      labelNames: ["protocol", "type"],
      registers,
    }),
    eventWarnings: new Counter({
      name: "weir_event_warnings_total",
      help: "Parts of accepted events that were not stored as sent, by field. Fields with unusual names are counted as other.",
      labelNames: ["field"],
      registers,
    }),
    eventUnknownFields: new Counter({
      name: "weir_event_unknown_fields_total",
      help: "Fields of accepted events that events do not have, and that were not stored, by name. After 100 names, further ones are counted as other.",
      labelNames: ["field"],
      registers,
    }),
    samplesDuplicate: new Counter({
      name: "weir_samples_duplicate_total",
      help: "Samples dropped because a sample with the same series, time and value is stored already.",
      labelNames: ["protocol"],
      registers,
    }),
    echoesDropped: new Counter({
      name: "weir_remote_write_own_samples_dropped_total",
      help: "Dropped samples that were scraped from /metrics of this gateway and written back by remote_write.",
      registers,
    }),
    historySamples: new Counter({
      name: "weir_history_samples_total",
      help: "Stored samples that running totals do not count, because they arrived too late or were imported.",
      registers,
    }),
    pushesDuplicate: new Counter({
      name: "weir_pushes_duplicate_total",
      help: "Repeated pushes that were answered by their idempotency key.",
      registers,
    }),
    idempotencyKeysForgotten: new Counter({
      name: "weir_idempotency_keys_forgotten_total",
      help: "Idempotency keys dropped before they expired, because their memory was full.",
      registers,
    }),
    labelDemotions: new Counter({
      name: "weir_label_demotions_total",
      help: "Labels that had too many values and became columns.",
      registers,
    }),
    commitSeconds: new TalliedHistogram({
      name: "weir_commit_duration_seconds",
      help: "Duration of a commit.",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    }),
    uncaughtFaults: new Counter({
      name: "weir_uncaught_faults_total",
      help: "Faults of the gateway that no code caught, by kind: a rejection (the gateway continues) or an exception (it stops).",
      labelNames: ["kind"],
      registers,
    }),
    commitFailures: new Counter({
      name: "weir_commit_failures_total",
      help: "Failed commits. Their pushes got an error.",
      registers,
    }),
    checkpointSeconds: new Histogram({
      name: "weir_checkpoint_duration_seconds",
      help: "Duration of a checkpoint.",
      buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
    checkpointsRefused: new Counter({
      name: "weir_checkpoints_refused_total",
      help: "Checkpoints that were delayed because of an open reader, or because the disk had no room.",
      registers,
    }),
    engineReopenings: new Counter({
      name: "weir_engine_reopenings_total",
      help: "How often the engine gave up on its file at a checkpoint, as on a full disk, and was opened again.",
      registers,
    }),
    blocksRecovered: new Counter({
      name: "weir_store_blocks_recovered_total",
      help: "Blocks of the store's catalog that a kill had left half written, and that the start recovered without a loss.",
      registers,
    }),
    diskFreeBytes: new Gauge({
      name: "weir_store_disk_free_bytes",
      help: "Free bytes on the disk of the store.",
      registers,
      collect() {
        this.set(live.disk().freeBytes);
      },
    }),
    diskFull: new Gauge({
      name: "weir_store_disk_full",
      help: "1 while pushes are rejected because the disk has no room, else 0.",
      registers,
      collect() {
        this.set(live.disk().isFull ? 1 : 0);
      },
    }),
    pushesDiskFull: new Counter({
      name: "weir_pushes_disk_full_total",
      help: "Pushes rejected because the disk had no room.",
      registers,
    }),
    journalWriteFailures: new Counter({
      name: "weir_journal_write_failures_total",
      help: "Changes that could not be written to the journal. They were stored without it, at a higher cost.",
      registers,
    }),
    journalMoveFailures: new Counter({
      name: "weir_journal_move_failures_total",
      help: "How often changes could not be moved from the journal to their tables. Queries miss them until they are moved.",
      registers,
    }),
    queueSamples: new Gauge({
      name: "weir_queue_samples",
      help: "Samples that wait for a commit.",
      registers,
      collect() {
        this.set(live.waiting().samples);
      },
    }),
    queueBytes: new Gauge({
      name: "weir_queue_bytes",
      help: "Bytes of the samples that wait for a commit.",
      registers,
      collect() {
        this.set(live.waiting().bytes);
      },
    }),
    oldestUnacknowledgedSeconds: new Gauge({
      name: "weir_oldest_unacknowledged_seconds",
      help: "Age of the oldest push that waits for a commit.",
      registers,
      collect() {
        this.set(live.waiting().oldestSeconds);
      },
    }),
    samplerFailures: new Counter({
      name: "weir_sampler_failures_total",
      help: "Failed runs of the sampler, by part and cause.",
      labelNames: ["part", "cause"],
      registers,
    }),
    samplerSeconds: new Histogram({
      name: "weir_sampler_duration_seconds",
      help: "Duration of a run of the sampler, by part.",
      labelNames: ["part"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    httpRequests: new TalliedCounter({
      name: "weir_http_requests_total",
      help: "Answered requests, by pattern of the route (none for unknown paths), method and status.",
      labelNames: ["route", "method", "status"],
      registers,
    }),
    httpSeconds: new TalliedHistogram({
      name: "weir_http_request_duration_seconds",
      help: "Time from a request's headers to its answer's headers, by pattern of the route.",
      labelNames: ["route"],
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    requestsRefused: new Counter({
      name: "weir_requests_refused_total",
      help: "Requests that were rejected before their handler ran, by reason.",
      labelNames: ["reason"],
      registers,
    }),
    grpcRequests: new Counter({
      name: "weir_grpc_requests_total",
      help: "Answered requests by gRPC, by method (other for unknown ones) and status code.",
      labelNames: ["method", "code"],
      registers,
    }),
    tlsHandshakesFailed: new Counter({
      name: "weir_tls_handshakes_failed_total",
      help: "Connections that were closed in their TLS handshake, by cause: no_tls, client_certificate, timeout, other.",
      labelNames: ["cause"],
      registers,
    }),
    tlsCertificateExpiry: new Gauge({
      name: "weir_tls_certificate_expiry_timestamp_seconds",
      help: "When the certificate of the gateway expires, by its subject.",
      labelNames: ["subject"],
      registers,
    }),
    groupsLive: new Gauge({
      name: "weir_groups",
      help: "Pushgateway groups that exist.",
      registers,
    }),
    expositionConflicts: new Gauge({
      name: "weir_exposition_conflicts",
      help: "Families and series that the last scrape left out because another one has their name.",
      registers,
    }),
    lastPushesRefused: new Counter({
      name: "weir_last_push_refused_total",
      help: "Pushes of a new job and instance above the limit of weir_last_push_timestamp_seconds.",
      registers,
    }),
    scrapesRefused: new Counter({
      name: "weir_scrapes_refused_total",
      help: "Scrapes rejected because too many were in progress.",
      registers,
    }),
    targetScrapesFailed: new Counter({
      name: "weir_target_scrapes_failed_total",
      help: "Failed scrapes of targets, by cause.",
      labelNames: ["cause"],
      registers,
    }),
    pushesBusy: new Counter({
      name: "weir_pushes_busy_total",
      help: "Pushes rejected with 429 because the queue was full.",
      registers,
    }),
    seriesUnexposed: new Counter({
      name: "weir_series_unexposed_total",
      help: "Series above the limit, which are stored and not exposed.",
      registers,
    }),
    queriesFinished: new Counter({
      name: "weir_queries_total",
      help: "Finished SQL queries and summaries, by outcome: ok, or the code of the error.",
      labelNames: ["outcome"],
      registers,
    }),
    queriesRunning: new Gauge({
      name: "weir_queries_running",
      help: "SQL queries and summaries in progress.",
      registers,
    }),
    queriesStuck: new Counter({
      name: "weir_queries_stuck_total",
      help: "Queries that did not stop within 2 s of their interrupt.",
      registers,
    }),
    querySeconds: new Histogram({
      name: "weir_query_duration_seconds",
      help: "Duration of SQL queries and summaries, including reading their rows.",
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    promqlRunning: new Gauge({
      name: "weir_promql_queries_running",
      help: "PromQL queries in progress.",
      registers,
    }),
    promqlWorkers: new Gauge({
      name: "weir_promql_workers",
      help: "Threads that evaluate PromQL, including idle ones.",
      registers,
    }),
    promqlSeconds: new Histogram({
      name: "weir_promql_query_duration_seconds",
      help: "Duration of PromQL queries, by outcome: ok, or the code of the error.",
      labelNames: ["outcome"],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120],
      registers,
    }),
    bodiesDecodedBeside: new Counter({
      name: "weir_bodies_decoded_beside_total",
      help: "Bodies that were given to a thread that decodes (decodeWorkers): decoded there, left to the first thread, lost with the thread, or late: the thread returned nothing for 30 s and was ended.",
      labelNames: ["outcome"],
      registers,
    }),
    nativeHistograms: new Counter({
      name: "weir_native_histograms_total",
      help: "Native histograms that were stored as classic buckets.",
      registers,
    }),
    exemplarsDropped: new Counter({
      name: "weir_exemplars_dropped_total",
      help: "Dropped exemplars: their labels were invalid or too long, their series or time was not accepted, or a request had too many.",
      registers,
    }),
    metadataDropped: new Counter({
      name: "weir_metadata_dropped_total",
      help: "Dropped metadata of metric families above the limit.",
      registers,
    }),
    ruleEvaluations: new Counter({
      name: "weir_rule_evaluations_total",
      help: "Evaluations of rules, by rule group.",
      labelNames: ["rule_group"],
      registers,
    }),
    ruleEvaluationFailures: new Counter({
      name: "weir_rule_evaluation_failures_total",
      help: "Failed evaluations of rules, by rule group.",
      labelNames: ["rule_group"],
      registers,
    }),
    ruleEvaluationsCancelled: new Counter({
      name: "weir_rule_evaluations_cancelled_total",
      help: "Evaluations of rules that were cancelled because they took longer than the interval of their group.",
      labelNames: ["rule_group"],
      registers,
    }),
    ruleTemplateFailures: new Counter({
      name: "weir_rule_template_failures_total",
      help: "Labels and annotations of alerts whose template failed, by rule group. The text says why.",
      labelNames: ["rule_group"],
      registers,
    }),
    ruleEvaluationSeconds: new Histogram({
      name: "weir_rule_evaluation_duration_seconds",
      help: "Duration of an evaluation of a rule, until its samples are stored.",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    ruleGroupIterations: new Counter({
      name: "weir_rule_group_iterations_total",
      help: "Evaluations of a rule group that were due, including missed ones.",
      labelNames: ["rule_group"],
      registers,
    }),
    ruleGroupIterationsMissed: new Counter({
      name: "weir_rule_group_iterations_missed_total",
      help: "Evaluations of a rule group that were skipped because the one before took too long.",
      labelNames: ["rule_group"],
      registers,
    }),
    ruleGroupLastEvaluation: new Gauge({
      name: "weir_rule_group_last_evaluation_timestamp_seconds",
      help: "Time of the last evaluation of a rule group.",
      labelNames: ["rule_group"],
      registers,
    }),
    ruleGroupLastDuration: new Gauge({
      name: "weir_rule_group_last_duration_seconds",
      help: "Duration of the last evaluation of a rule group.",
      labelNames: ["rule_group"],
      registers,
    }),
    ruleGroupLastSamples: new Gauge({
      name: "weir_rule_group_last_evaluation_samples",
      help: "Samples that the last evaluation of a rule group stored.",
      labelNames: ["rule_group"],
      registers,
    }),
    ruleGroupInterval: new Gauge({
      name: "weir_rule_group_interval_seconds",
      help: "Interval of a rule group.",
      labelNames: ["rule_group"],
      registers,
    }),
    ruleGroupRules: new Gauge({
      name: "weir_rule_group_rules",
      help: "Rules of a rule group.",
      labelNames: ["rule_group"],
      registers,
    }),
    rulesReloadSuccessful: new Gauge({
      name: "weir_rules_last_reload_successful",
      help: "1 if the rule files could be used when they were last read, otherwise 0. Earlier rules go on then.",
      registers,
    }),
    rulesReloadTime: new Gauge({
      name: "weir_rules_last_reload_success_timestamp_seconds",
      help: "Time when the rule files were last read and could be used.",
      registers,
    }),
  };
}
