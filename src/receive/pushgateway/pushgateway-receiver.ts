/** The API of the Prometheus Pushgateway (https://github.com/prometheus/pushgateway#api): groups of metrics. */
import type { Protocol } from "../../model/protocol.ts";
import type { Receiver } from "../receiver.ts";
import { pushgatewayRoutes } from "./pushgateway.ts";
import { pushgatewayApiRoutes } from "./pushgateway-api.ts";

const protocol: Protocol = {
  name: "pushgateway",
  exposed: "always",
  countsAsPush: "always",
  returnsEchoes: false,
  ownsGroups: true,
  keepsBoundText: false,
};

export const pushgateway: Receiver = {
  protocol,
  open({ groups, ingest, limits, layouts, log, counters, settings, status, quit }) {
    return [
      pushgatewayRoutes({ groups, ingest, limits, layouts, log, counters }),
      pushgatewayApiRoutes({ groups, ingest, status, adminApi: settings.enableAdminApi, quit }),
    ];
  },
};
