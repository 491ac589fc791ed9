/** Metrics of OpenTelemetry by OTLP/HTTP and OTLP/gRPC (https://opentelemetry.io/docs/specs/otlp/). */
import type { Address } from "../../http/server.ts";
import { BodyDecoder } from "../body-decoder.ts";
import { HttpService } from "../http-service.ts";
import type { Receiver } from "../receiver.ts";
import { OtlpDecoder } from "./decode/otlp-decoder.ts";
import { GrpcService } from "./grpc/grpc-service.ts";
import { otlpMethods } from "./grpc/otlp-grpc.ts";
import { TRANSLATIONS } from "./labels/translated-names.ts";
import { OTLP } from "./otlp-protocol.ts";
import { OtlpPush } from "./otlp-push.ts";
import { otlpErrorAnswer, otlpRoutes } from "./otlp-routes.ts";

interface OtlpSettings {
  readonly otlpTranslation: keyof typeof TRANSLATIONS;
  readonly otlpPromoteResourceAttributes: readonly string[];
  readonly otlpIgnoreResourceAttributes: readonly string[];
  readonly otlpPromoteScope: boolean;
  readonly otlpListen: readonly Address[];
  readonly otlpGrpcListen: readonly Address[];
  readonly stopTimeoutMs: number;
}

export const otlp: Receiver<OtlpSettings> = {
  protocol: OTLP,
  open({
    settings,
    limits,
    ingest,
    layouts,
    series,
    log,
    requestLogging,
    counters,
    access,
    socketMode,
    tls,
  }) {
    const options = {
      translation: TRANSLATIONS[settings.otlpTranslation],
      promoteResourceAttributes: settings.otlpPromoteResourceAttributes,
      ignoreResourceAttributes: settings.otlpIgnoreResourceAttributes,
      promoteScope: settings.otlpPromoteScope,
    };
    const seriesCount = () => series.seriesCount;
    const decoder = new BodyDecoder(
      () => new OtlpDecoder(options, { layouts, seriesCount }),
      limits.inProgress,
    );
    const push = new OtlpPush({ decoder, ingest, log, counters });
    const routes = [otlpRoutes({ push, limits })];
    const shared = {
      guard: access,
      log,
      requestLogging,
      counters,
      socketMode,
      tls,
      stopTimeoutMs: settings.stopTimeoutMs,
    };
    return {
      routes,
      services: [
        new HttpService({
          ...shared,
          routes,
          answerError: otlpErrorAnswer,
          addresses: settings.otlpListen,
          flag: "--otlp-listen",
        }),
        new GrpcService({
          ...shared,
          methods: otlpMethods(push),
          addresses: settings.otlpGrpcListen,
          flag: "--otlp-grpc-listen",
          advice: "Send OTLP/HTTP to an address of --listen or --otlp-listen.",
          limits,
        }),
      ],
    };
  },
};
