/**
 * Alertmanager's API v2 for silences and alerts, so that amtool, Grafana and Prometheus work with the gateway as with an
 * Alertmanager (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml). An error is a JSON text, as
 * there.
 */
import {
  type AlertMatcher,
  alertTest,
  MatcherFault,
  parseAlertMatchers,
} from "../../model/alerts/alert-matcher.ts";
import { BadInput, quote, type RequestError } from "../../model/errors.ts";
import type { KnownAlert } from "../../rules/notifications/alert-book.ts";
import { RESOLVE_TIMEOUT_MS } from "../../rules/notifications/alert-book.ts";
import type { Notifications } from "../../rules/notifications/notifications.ts";
import type { Silence, SilenceState } from "../../rules/notifications/silences.ts";
import { type BodyLimits, readBody } from "../body.ts";
import { errorHeaders, jsonResponse } from "../error-answers.ts";
import { readFlag } from "../parameters.ts";
import { Routes } from "../routes.ts";
import { parseJsonBody, readAlerts, readSilence } from "./alertmanager-bodies.ts";

interface AlertmanagerDependencies {
  readonly notifications: Pick<
    Notifications,
    | "alerts"
    | "expireSilence"
    | "groups"
    | "mutingOf"
    | "receive"
    | "receivers"
    | "receiversOf"
    | "setSilence"
    | "silence"
    | "silences"
  >;
  readonly limits: BodyLimits;
  readonly version: string;
  readonly now: () => number;
}

/** Faults of alerts that an answer lists. */
const FAULTS_SHOWN = 10;

const asText = (error: RequestError) => jsonResponse(error.status, error.message, errorHeaders(error));

export const alertmanagerRoutes = (dependencies: AlertmanagerDependencies) => {
  const { notifications, limits, version, now } = dependencies;
  const startedAtMs = now();
  const shown = (alert: KnownAlert) => {
    const { silencedBy, inhibitedBy } = notifications.mutingOf(alert);
    return {
      annotations: alert.annotations,
      endsAt: timeText(alert.endsAt),
      fingerprint: alert.fingerprint,
      receivers: notifications.receiversOf(alert).map((name) => ({ name })),
      startsAt: timeText(alert.startsAt),
      status: {
        inhibitedBy,
        silencedBy,
        mutedBy: [],
        state: silencedBy.length + inhibitedBy.length > 0 ? "suppressed" : "active",
      },
      updatedAt: timeText(alert.updatedAt),
      generatorURL: alert.generatorURL,
      labels: alert.labels,
    };
  };
  const selected = (query: URLSearchParams, alerts: readonly KnownAlert[]) => {
    const select = alertSelection(query);
    return alerts
      .filter(({ labels }) => select.matches(labels))
      .map(shown)
      .filter(select.selects);
  };

  return new Routes(asText)
    .on("GET", "/api/v2/status", "read", "returns the version and the state, as Alertmanager does", () =>
      jsonResponse(200, {
        cluster: { status: "disabled", peers: [] },
        config: { original: "" },
        uptime: timeText(startedAtMs),
        versionInfo: {
          ...{ branch: "", buildDate: "", buildUser: "", goVersion: "", revision: "" },
          version,
        },
      }),
    )
    .on("GET", "/api/v2/receivers", "read", "lists the names of the notifiers", () =>
      jsonResponse(
        200,
        notifications.receivers().map((name) => ({ name })),
      ),
    )
    .on("GET", "/api/v2/alerts", "read", "lists the alerts that are firing, and what mutes them", (request) =>
      jsonResponse(200, selected(queryOf(request), notifications.alerts())),
    )
    .on("GET", "/api/v2/alerts/groups", "read", "lists the groups of alerts of each notifier", (request) => {
      const query = queryOf(request);
      const groups = notifications.groups().map(({ labels, receiver, alerts }) => ({
        alerts: selected(query, alerts),
        labels,
        receiver: { name: receiver },
      }));
      return jsonResponse(
        200,
        groups.filter(({ alerts }) => alerts.length > 0),
      );
    })
    .on("POST", "/api/v2/alerts", "alerts", "takes alerts, as from a Prometheus", async (request) => {
      const body = parseJsonBody(await readBody(request, limits));
      const { alerts, faults } = readAlerts(body, now(), RESOLVE_TIMEOUT_MS);
      await notifications.receive(alerts);
      if (faults.length > 0) {
        const more = faults.length > FAULTS_SHOWN ? ` And ${faults.length - FAULTS_SHOWN} more.` : "";
        throw new BadInput(`${faults.slice(0, FAULTS_SHOWN).join(" ")}${more}`);
      }
      return new Response(null, { status: 200 });
    })
    .on("GET", "/api/v2/silences", "read", "lists the silences", (request) => {
      const filter = alertTest(filtersOf(queryOf(request)));
      const found = notifications
        .silences()
        .filter(({ silence }) =>
          filter(Object.fromEntries(silence.matchers.map(({ name, value }) => [name, value]))),
        );
      return jsonResponse(200, found.sort(bySilence).map(shownSilence));
    })
    .on("POST", "/api/v2/silences", "admin", "adds a silence, or changes one", async (request) => {
      const body = parseJsonBody(await readBody(request, limits));
      return jsonResponse(200, { silenceID: await notifications.setSilence(readSilence(body, now())) });
    })
    .on("GET", "/api/v2/silence/:id", "read", "returns a silence", (_, { id }) =>
      jsonResponse(200, shownSilence(notifications.silence(id!))),
    )
    .on("DELETE", "/api/v2/silence/:id", "admin", "ends a silence", async (_, { id }) => {
      await notifications.expireSilence(id!);
      return new Response(null, { status: 200 });
    });
};

const queryOf = (request: Request) => new URL(request.url).searchParams;

function filtersOf(query: URLSearchParams): AlertMatcher[] {
  return query.getAll("filter").flatMap((text) => {
    try {
      return parseAlertMatchers(text);
    } catch (error) {
      if (error instanceof MatcherFault)
        throw new BadInput(`Query parameter filter: ${error.message}.`, "filter");
      throw error;
    }
  });
}

/** What the parameters of Alertmanager select: by labels, by state and by receiver. */
function alertSelection(query: URLSearchParams) {
  const flag = (name: string) => readFlag(query, name) ?? true;
  const [active, silenced, inhibited] = [flag("active"), flag("silenced"), flag("inhibited")];
  // Every alert is processed at once, so this has no effect.
  flag("unprocessed");
  const receiver = receiverTest(query.get("receiver"));
  return {
    matches: alertTest(filtersOf(query)),
    selects: ({
      status,
      receivers,
    }: {
      readonly status: {
        readonly silencedBy: readonly string[];
        readonly inhibitedBy: readonly string[];
        readonly state: string;
      };
      readonly receivers: readonly { readonly name: string }[];
    }) =>
      (active || status.state !== "active") &&
      (silenced || status.silencedBy.length === 0) &&
      (inhibited || status.inhibitedBy.length === 0) &&
      receiver(receivers.map(({ name }) => name)),
  };
}

/** A regular expression that one of the names must match. */
function receiverTest(expression: string | null): (names: readonly string[]) => boolean {
  if (expression === null || expression === "") return () => true;
  try {
    const test = alertTest([{ name: "receiver", value: expression, isRegex: true, isEqual: true }]);
    return (names) => names.some((receiver) => test({ receiver }));
  } catch {
    throw new BadInput(
      `Query parameter receiver is ${quote(expression)}; expected a regular expression.`,
      "receiver",
    );
  }
}

interface StatedSilence {
  readonly silence: Silence;
  readonly state: SilenceState;
}

function shownSilence({ silence, state }: StatedSilence) {
  const { id, matchers, startsAt, endsAt, updatedAt, createdBy, comment } = silence;
  return {
    id,
    status: { state },
    updatedAt: timeText(updatedAt),
    comment,
    createdBy,
    endsAt: timeText(endsAt),
    matchers,
    startsAt: timeText(startsAt),
  };
}

const ORDER: readonly SilenceState[] = ["active", "pending", "expired"];

/** Active ones by their end, then pending ones by their start, then expired ones, the newest first. */
function bySilence(a: StatedSilence, b: StatedSilence): number {
  if (a.state !== b.state) return ORDER.indexOf(a.state) - ORDER.indexOf(b.state);
  if (a.state === "active") return a.silence.endsAt - b.silence.endsAt;
  return a.state === "pending"
    ? a.silence.startsAt - b.silence.startsAt
    : b.silence.endsAt - a.silence.endsAt;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
