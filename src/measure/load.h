// Puts queries to one store from many connections at once, and notes how long each took.
//
// Closed loop: each connection asks again as soon as it has its answer. Open loop, with a rate:
// questions fall due by the clock whether the store keeps up or not, and a late answer counts from
// when its question was due; else a store that stalls would be asked less and look fast.
// Threads: one task a connection, on an executor that steps all of them side by side.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "measure/histogram.h"
#include "plan/measures.h"
#include "store/store.h"

namespace whimbrel {

enum class Side { old_side, new_side };
const char* name_of(Side side);

struct LoadSettings {
  Milliseconds duration{10'000};
  int connections = 1;
  std::optional<double> rate_per_s;  // of all connections together; unset: closed loop
  std::uint64_t seed = 1;            // chooses among the values of parameters
  Milliseconds patience{5000};       // with locks of others
  bool writes = false;               // a probe writes beside them, and takes it back
};

struct QueryOutcome {
  std::string name;
  Histogram took;                              // of those that succeeded
  std::int64_t rows = 0;                       // that came back
  double read_units = 0;                       // of capacity, where the store counts it
  std::map<std::string, std::int64_t> errors;  // by what was said
  std::vector<std::string> scans;              // what it reads from end to end
  std::int64_t failed() const;
};

struct ProbeOutcome {
  Histogram took;
  std::map<std::string, std::int64_t> errors;
  std::int64_t failed() const;
};

struct LoadOutcome {
  std::vector<QueryOutcome> queries;
  std::int64_t unserved = 0;  // due in time and never put, because no connection was free
  Milliseconds elapsed{0};
  std::optional<ProbeOutcome> probe;
};

// How long a writer may have to wait before a probe counts as failed.
inline constexpr Milliseconds write_limit{1000};

// Whether this side would take the query; it is not run.
Status takes(Store& store, Side side, const MeasuredQuery& query);
// The mistake in a query is told with its name.
Result<std::unique_ptr<QueryRunner>> open_runner(Store& store,
                                                 const std::vector<MeasuredQuery>& queries,
                                                 Side side, Milliseconds patience);

// `probed`: the tables that the probe writes to, in turn. Errors before it begins: `refused` where
// a query cannot be put. A query that fails afterwards is counted. `cancelled` when asked to stop.
Result<LoadOutcome> put_load(Store& store, Side side, const std::vector<MeasuredQuery>& queries,
                             const std::vector<TableSchema>& probed, const LoadSettings& settings,
                             Clock& clock, Executor& executor, const StopFlag& stop);

}  // namespace whimbrel
