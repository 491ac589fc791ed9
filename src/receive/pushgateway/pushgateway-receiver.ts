/** The API of the Prometheus Pushgateway (https://github.com/prometheus/pushgateway#api): groups of metrics. */
import { repeat } from "../../model/service.ts";
import type { Receiver } from "../receiver.ts";
import { GroupTransactions } from "./groups/group-transactions.ts";
import { Groups, type GroupsOptions } from "./groups/groups.ts";
import { pushgatewayRoutes } from "./pushgateway.ts";
import { pushgatewayApiRoutes } from "./pushgateway-api.ts";
import { PUSHGATEWAY } from "./pushgateway-protocol.ts";

interface PushgatewaySettings extends GroupsOptions {
  readonly enableAdminApi: boolean;
}

/** The maximum delay of a group's expiry: well below the interval of scrapes. */
const EXPIRY_INTERVAL_MS = 1_000;

export const pushgateway: Receiver<PushgatewaySettings> = {
  protocol: PUSHGATEWAY,
  open(context) {
    const { access, ingest, limits, layouts, log, counters, now, settings, status, quit } = context;
    const boundLabels = () => access.boundLabels();
    const groups = new Groups(context, settings, context.takeGroups());
    const transactions = new GroupTransactions(groups, ingest);
    const expiry = repeat(
      EXPIRY_INTERVAL_MS,
      () => transactions.expire(now() * 1_000),
      () => groups.expires,
    );
    groups.onExpiring(expiry.look);
    return {
      routes: [
        pushgatewayRoutes({ groups, transactions, ingest, limits, layouts, log, counters, boundLabels }),
        pushgatewayApiRoutes({ groups, transactions, status, adminApi: settings.enableAdminApi, quit }),
      ],
      owner: groups,
      services: [expiry],
    };
  },
};
