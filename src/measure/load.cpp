#include "measure/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "base/text.h"
#include "measure/parameters.h"

namespace whimbrel {

namespace {

using Nanoseconds = std::chrono::nanoseconds;
using Errors = std::map<std::string, std::int64_t>;

constexpr std::size_t messages_max = 20;
constexpr Nanoseconds late_enough_to_give_up{50'000'000};
constexpr Milliseconds nap_max{50};  // so that a stop is noticed
constexpr Nanoseconds between_probes{100'000'000};

std::int64_t sum_of(const Errors& errors) {
  std::int64_t sum = 0;
  for (const auto& [message, count] : errors) sum += count;
  return sum;
}

// `where`: how messages begin that name the store's place, which is nobody's business elsewhere.
void note(Errors& errors, const Error& error, const std::string& where) {
  const bool named = !where.empty() && error.message.starts_with(where);
  const std::string message =
      printable(named ? error.message.substr(where.size()) : error.message, 200);
  const bool room = errors.size() < messages_max || errors.contains(message);
  ++errors[room ? message : "others"];
}

// "scheme:place" begins its messages as "place: ".
std::string message_prefix(const Store& store) {
  const std::string identity = store.identity();
  const std::size_t colon = identity.find(':');
  return colon == std::string::npos ? "" : identity.substr(colon + 1) + ": ";
}

// What all connections of one run share.
struct Run {
  Clock& clock;
  const StopFlag& stop;
  std::string where;
  Nanoseconds begin{0};
  Nanoseconds end{0};
  double rate_per_s = 0;  // 0: closed loop
  std::atomic<std::int64_t> arrivals{0};

  Nanoseconds due(std::int64_t arrival) const {
    return begin +
           Nanoseconds(static_cast<std::int64_t>(static_cast<double>(arrival) * 1e9 / rate_per_s));
  }
};

class Worker {
 public:
  Worker(Run& run, const std::vector<MeasuredQuery>& queries, std::unique_ptr<QueryRunner> runner,
         std::uint64_t seed, std::size_t first)
      : run_(run), runner_(std::move(runner)), values_(queries, seed), next_(first) {
    for (const MeasuredQuery& query : queries) outcomes_.emplace_back().name = query.name;
  }

  Result<Step> step() { return run_.rate_per_s > 0 ? step_by_the_clock() : step_at_once(); }
  // Before the clock runs: what is read first is not in any cache yet.
  void warm_up() {
    for (std::size_t i = 0; i < outcomes_.size(); ++i) (void)runner_->run(i, values_.next(i));
  }
  const std::vector<QueryOutcome>& outcomes() const { return outcomes_; }
  std::int64_t unserved() const { return unserved_; }

 private:
  Result<Step> step_at_once() {
    const Nanoseconds now = run_.clock.precise();
    if (now >= run_.end || run_.stop.requested()) return Step::done;
    put(now);
    return Step::again;
  }

  Result<Step> step_by_the_clock() {
    if (run_.stop.requested()) return Step::done;
    if (!due_) due_ = run_.due(run_.arrivals.fetch_add(1));
    if (*due_ >= run_.end) return Step::done;
    const Nanoseconds now = run_.clock.precise();
    const auto early = std::chrono::duration_cast<Milliseconds>(*due_ - now);
    if (early.count() > 0) {
      run_.clock.sleep_for(std::min(early, nap_max));
      return Step::again;
    }
    if (now > run_.end && now - *due_ > late_enough_to_give_up) {
      ++unserved_;
    } else {
      put(std::min(now, *due_));
    }
    due_.reset();
    return Step::again;
  }

  void put(Nanoseconds since) {
    const std::size_t query = next_++ % outcomes_.size();
    QueryOutcome& outcome = outcomes_[query];
    const Result<QueryAnswer> answer = runner_->run(query, values_.next(query));
    if (!answer.ok()) return note(outcome.errors, answer.error(), run_.where);
    outcome.took.add(run_.clock.precise() - since);
    outcome.rows += answer.value().rows;
    outcome.read_units += answer.value().read_units;
  }

  Run& run_;
  std::unique_ptr<QueryRunner> runner_;
  ParameterValues values_;
  std::size_t next_;
  std::vector<QueryOutcome> outcomes_;
  std::optional<Nanoseconds> due_;
  std::int64_t unserved_ = 0;
};

// A writer that comes by ten times a second.
class Prober {
 public:
  Prober(Run& run, std::vector<std::unique_ptr<WriteProbe>> probes)
      : run_(run), probes_(std::move(probes)) {}

  Result<Step> step() {
    const Nanoseconds now = run_.clock.precise();
    if (now >= run_.end || run_.stop.requested()) return Step::done;
    if (now < due_) {
      const auto early = std::chrono::duration_cast<Milliseconds>(due_ - now) + Milliseconds(1);
      run_.clock.sleep_for(std::min(early, nap_max));
      return Step::again;
    }
    due_ = now + between_probes;
    const Status written = probes_[next_++ % probes_.size()]->write();
    const Nanoseconds took = run_.clock.precise() - now;
    if (!written.ok()) {
      note(outcome_.errors, written.error(), run_.where);
    } else if (took > write_limit) {
      note(outcome_.errors, Error{ErrorCode::unavailable, "took longer than a writer waits"}, "");
    } else {
      outcome_.took.add(took);
    }
    return Step::again;
  }
  const ProbeOutcome& outcome() const { return outcome_; }

 private:
  Run& run_;
  std::vector<std::unique_ptr<WriteProbe>> probes_;
  std::size_t next_ = 0;
  Nanoseconds due_{0};
  ProbeOutcome outcome_;
};

Result<std::unique_ptr<Prober>> make_prober(Run& run, Store& store,
                                            const std::vector<TableSchema>& tables) {
  std::vector<std::unique_ptr<WriteProbe>> probes;
  for (const TableSchema& table : tables) {
    ASSIGN_OR_RETURN(auto probe, store.open_write_probe(table, write_limit));
    probes.push_back(std::move(probe));
  }
  return std::make_unique<Prober>(run, std::move(probes));
}

std::vector<ReadingQuery> reading(const std::vector<MeasuredQuery>& queries, Side side) {
  std::vector<ReadingQuery> all;
  for (const MeasuredQuery& query : queries) {
    std::vector<std::string> names;
    for (const auto& [name, values] : query.with) names.push_back(name);
    all.push_back({side == Side::old_side ? query.old_sql : query.new_sql, std::move(names)});
  }
  return all;
}

}  // namespace

Result<std::unique_ptr<QueryRunner>> open_runner(Store& store,
                                                 const std::vector<MeasuredQuery>& queries,
                                                 Side side, Milliseconds patience) {
  Result<std::unique_ptr<QueryRunner>> runner =
      store.open_queries(reading(queries, side), patience);
  if (runner.ok()) return runner;
  for (const MeasuredQuery& query : queries) TRY(takes(store, side, query));
  return runner;
}

const char* name_of(Side side) { return side == Side::old_side ? "old" : "new"; }

Status takes(Store& store, Side side, const MeasuredQuery& query) {
  Result<std::unique_ptr<QueryRunner>> runner =
      store.open_queries(reading({query}, side), Milliseconds(5000));
  if (runner.ok()) return {};
  const bool missing = runner.error().message.find("no such table") != std::string::npos;
  return std::move(runner)
      .error()
      .within(fmt::format("preparing `{}` of the query `{}`", name_of(side), query.name))
      .with_hint(missing && side == Side::new_side
                     ? "the new side is there from `whimbrel run PLAN --until prepare` on"
                     : "try it by hand first")
      .saying_safe("nothing was changed");
}

std::int64_t QueryOutcome::failed() const { return sum_of(errors); }
std::int64_t ProbeOutcome::failed() const { return sum_of(errors); }

Result<LoadOutcome> put_load(Store& store, Side side, const std::vector<MeasuredQuery>& queries,
                             const std::vector<TableSchema>& probed, const LoadSettings& settings,
                             Clock& clock, Executor& executor, const StopFlag& stop) {
  Run run{clock, stop, message_prefix(store), {}, {}, settings.rate_per_s.value_or(0)};
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::vector<std::string>> scans(queries.size());
  for (int i = 0; i < settings.connections; ++i) {
    ASSIGN_OR_RETURN(auto runner, open_runner(store, queries, side, settings.patience));
    for (std::size_t query = 0; i == 0 && query < queries.size(); ++query) {
      Result<std::vector<std::string>> found = runner->scans(query);
      if (found.ok()) scans[query] = std::move(found).value();  // else it is not told
    }
    const auto number = static_cast<std::size_t>(i);
    workers.push_back(std::make_unique<Worker>(run, queries, std::move(runner),
                                               settings.seed + number * 0x9e3779b9U, number));
  }
  std::unique_ptr<Prober> prober;
  if (settings.writes) {
    ASSIGN_OR_RETURN(prober, make_prober(run, store, probed));
  }
  workers.front()->warm_up();

  std::vector<Task> tasks;
  for (const auto& worker : workers) tasks.emplace_back([&worker] { return worker->step(); });
  if (prober) tasks.emplace_back([&prober] { return prober->step(); });
  run.begin = clock.precise();
  run.end = run.begin + settings.duration;
  TRY(executor.run(std::move(tasks)));
  if (stop.requested()) {
    return Error{ErrorCode::cancelled, "the measurement was stopped", "say it again to measure",
                 "nothing was changed"};
  }
  LoadOutcome outcome;
  outcome.elapsed = std::chrono::duration_cast<Milliseconds>(clock.precise() - run.begin);
  for (const auto& worker : workers) {
    outcome.unserved += worker->unserved();
    for (std::size_t i = 0; i < worker->outcomes().size(); ++i) {
      const QueryOutcome& part = worker->outcomes()[i];
      if (outcome.queries.size() <= i) outcome.queries.emplace_back().name = part.name;
      outcome.queries[i].took.add(part.took);
      outcome.queries[i].rows += part.rows;
      outcome.queries[i].read_units += part.read_units;
      for (const auto& [message, count] : part.errors) {
        outcome.queries[i].errors[message] += count;
      }
    }
  }
  for (std::size_t i = 0; i < outcome.queries.size(); ++i) {
    outcome.queries[i].scans = std::move(scans[i]);
  }
  if (prober) outcome.probe = prober->outcome();
  return outcome;
}

}  // namespace whimbrel
