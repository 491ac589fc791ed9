/** Metrics of OpenTelemetry by OTLP/HTTP (https://opentelemetry.io/docs/specs/otlp/). */
import type { Receiver } from "../receiver.ts";
import { OtlpDecoder } from "./decode/otlp-decoder.ts";
import { TRANSLATIONS } from "./labels/translated-names.ts";
import { OTLP } from "./otlp-protocol.ts";
import { OtlpPush } from "./otlp-push.ts";
import { otlpRoutes } from "./otlp-routes.ts";

interface OtlpSettings {
  readonly otlpTranslation: keyof typeof TRANSLATIONS;
  readonly otlpPromoteResourceAttributes: readonly string[];
  readonly otlpIgnoreResourceAttributes: readonly string[];
  readonly otlpPromoteScope: boolean;
}

export const otlp: Receiver<OtlpSettings> = {
  protocol: OTLP,
  open({ settings, limits, ingest, layouts, log, counters }) {
    const options = {
      translation: TRANSLATIONS[settings.otlpTranslation],
      promoteResourceAttributes: settings.otlpPromoteResourceAttributes,
      ignoreResourceAttributes: settings.otlpIgnoreResourceAttributes,
      promoteScope: settings.otlpPromoteScope,
    };
    const push = new OtlpPush({ decoder: new OtlpDecoder(options, layouts), ingest, log, counters });
    return { routes: [otlpRoutes({ push, limits })] };
  },
};
