#include "stores/postgresql/brake.h"

namespace whimbrel::postgresql {

Status Brake::wait(Connection& connection) {
  constexpr Milliseconds ask_every{2'000};
  constexpr Milliseconds pause{1'000};
  if (!limits_.replica_lag && !limits_.wal_kept) return {};
  if (asked_ && clock_.monotonic() - *asked_ < ask_every) return {};
  while (true) {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query("SELECT coalesce((SELECT max(extract(epoch FROM replay_lag) * "
                         "1000)::bigint FROM pg_stat_replication), 0), coalesce((SELECT "
                         "max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::bigint FROM "
                         "pg_replication_slots), 0)"));
    asked_ = clock_.monotonic();
    const bool lags =
        limits_.replica_lag && std::stoll(*rows.at(0).at(0)) > limits_.replica_lag->count();
    const bool keeps = limits_.wal_kept && std::stoll(*rows.at(0).at(1)) > *limits_.wal_kept;
    if (!lags && !keeps) return {};
    clock_.sleep_for(pause);
    if (clock_.monotonic() - *asked_ < pause / 2) return {};
  }
}

}  // namespace whimbrel::postgresql
