/** Metrics of OpenTelemetry by OTLP/HTTP and OTLP/gRPC (https://opentelemetry.io/docs/specs/otlp/). */
import type { Address } from "../../http/server.ts";
import { BodyDecoder, type Decoding } from "../body-decoder.ts";
import { HttpService } from "../http-service.ts";
import type { Receiver } from "../receiver.ts";
import type { OtlpRequest } from "./decode/point-gatherer.ts";
import type { GrpcService } from "./grpc/grpc-service.ts";
import type { TRANSLATIONS } from "./labels/translated-names.ts";
import { OTLP } from "./otlp-protocol.ts";
import { type OtlpEncoding, OtlpPush } from "./otlp-push.ts";
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
  async open({
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
    const seriesCount = () => series.seriesCount;
    const load = async () => {
      const [{ OtlpDecoder }, { convertingJson }, { TRANSLATIONS }] = await Promise.all([
        import("./decode/otlp-decoder.ts"),
        import("./decode/otlp-json.ts"),
        import("./labels/translated-names.ts"),
      ]);
      const options = {
        translation: TRANSLATIONS[settings.otlpTranslation],
        promoteResourceAttributes: settings.otlpPromoteResourceAttributes,
        ignoreResourceAttributes: settings.otlpIgnoreResourceAttributes,
        promoteScope: settings.otlpPromoteScope,
      };
      return () => {
        const protobuf = new OtlpDecoder(options, { layouts, seriesCount });
        return {
          *decoding(body: Uint8Array, encoding: OtlpEncoding): Decoding<OtlpRequest> {
            return yield* protobuf.decoding(encoding === "json" ? yield* convertingJson(body) : body);
          },
        };
      };
    };
    const decoder = new BodyDecoder({ load }, limits.inProgress);
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
        ...(settings.otlpGrpcListen.length === 0
          ? []
          : [
              await openGrpc(push, {
                ...shared,
                addresses: settings.otlpGrpcListen,
                flag: "--otlp-grpc-listen",
                advice: "Send OTLP/HTTP to an address of --listen or --otlp-listen.",
                limits,
              }),
            ]),
      ],
    };
  },
};

async function openGrpc(
  push: OtlpPush,
  options: Omit<ConstructorParameters<typeof GrpcService>[0], "methods">,
): Promise<GrpcService> {
  const [{ GrpcService }, { otlpMethods }] = await Promise.all([
    import("./grpc/grpc-service.ts"),
    import("./grpc/otlp-grpc.ts"),
  ]);
  return new GrpcService({ ...options, methods: otlpMethods(push) });
}
