// The plan's own checks: a command, a query, a service, a metric, rows of the application.
//
// A check that cannot be asked has not succeeded: whatever the reason, it is a failed check.
#include <fmt/format.h>

#include "aws/metric.h"
#include "base/text.h"
#include "checks/http_check.h"
#include "engine/engine.h"

namespace whimbrel {

namespace {

constexpr Milliseconds command_check_timeout{60'000};
constexpr int asks_max = 10;
constexpr Milliseconds ask_pause{100};

// A table may have come since the plan was read: only now is it known who understands the query.
Result<Value> ask_a_store(const std::map<std::string, std::shared_ptr<Store>>& stores,
                          const std::string& query) {
  for (const auto& [alias, store] : stores) {
    if (store->understands(query).ok()) return store->ask(query);
  }
  return stores.begin()->second->ask(query);
}

bool may_pass(const Result<Value>& asked) {
  return !asked.ok() && (asked.error().code == ErrorCode::unavailable ||
                         asked.error().code == ErrorCode::outcome_unknown);
}

Error failed(const CheckPlan& check, const std::string& why, std::string hint = "") {
  return Error{ErrorCode::data_mismatch,
               fmt::format("the plan's check `{}` failed: {}", check.name, why), std::move(hint)};
}

}  // namespace

Status Engine::run_checks(CheckAt at) {
  for (const CheckPlan& check : migration_.checks) {
    if (check.at == at) TRY(run_check(check));
  }
  return {};
}

Status Engine::run_check(const CheckPlan& check) {
  if (!check.command.empty()) return run_command_check(check);
  if (!check.new_rows.empty()) return run_new_rows_check(check);
  if (!check.metric.empty()) return run_metric_check(check);
  if (!check.http) return run_sql_check(check);
  const Status asked = ask_service(check, parts_.clock, parts_.stop);
  if (asked.ok() || asked.error().code == ErrorCode::cancelled) return asked;
  return failed(check, asked.error().message, asked.error().hint);
}

Status Engine::run_command_check(const CheckPlan& check) {
  const Result<CommandOutcome> ran =
      run_command(check.command, check.folder, command_check_timeout);
  if (!ran.ok()) return failed(check, masked(ran.error().message, check.secrets), ran.error().hint);
  const CommandOutcome& outcome = ran.value();
  if (outcome.exit_code == 0) return {};
  std::string why = fmt::format("exit code {}", outcome.exit_code);
  if (!outcome.output.empty()) {
    why += ": " + masked(printable(outcome.output, 300), check.secrets);
  }
  return failed(check, why);
}

// Whether the application has written the new side since the switch; waits for it as long as the
// plan says.
Result<bool> Engine::new_rows_come(const CheckPlan& check) {
  constexpr Milliseconds look_every{500};
  const Milliseconds since = parts_.clock.monotonic();
  while (true) {
    for (const Move& move : migration_.moves) {
      if (move.name != check.new_rows) continue;
      if (check.at == CheckAt::watch && migration_.sync != Sync::dual) {
        ASSIGN_OR_RETURN(const bool came, has_come_since_check(move));
        if (came) return true;
      } else if (migration_.sync == Sync::dual) {
        ASSIGN_OR_RETURN(const std::vector<Row> keys, move.target->capture().written_on_new_side(
                                                          {move.name, &move.mapping, true}));
        if (!keys.empty()) return true;
      } else {
        ASSIGN_OR_RETURN(const auto keys, written_by_application(Direction::backward, move));
        if (!keys.empty()) return true;
      }
    }
    if (parts_.stop.requested()) return Error{ErrorCode::cancelled, "stopped as asked"};
    if (parts_.clock.monotonic() - since >= check.within) return false;
    parts_.clock.sleep_for(look_every);
  }
}

// What was carried back meanwhile says which rows the application has written. Where another
// process has carried some of it, that is not known of each table, and nothing is held against it.
Result<bool> Engine::has_come_since_check(const Move& move) {
  if (!watches_beside_) {
    ASSIGN_OR_RETURN(const bool drained, drain_some(Direction::backward, std::nullopt));
    (void)drained;
  }
  const std::string& table = move.mapping.target.name;
  if (written_since_check_.contains(table) || changed_.keys().contains(table)) return true;
  return others_carried_since_check_;
}

Status Engine::run_new_rows_check(const CheckPlan& check) {
  ASSIGN_OR_RETURN(const bool came, new_rows_come(check));
  if (came) return {};
  return failed(
      check,
      check.at == CheckAt::watch
          ? fmt::format("the application wrote no row of {} since the last check", check.new_rows)
          : fmt::format("the application wrote no row of {} within {}", check.new_rows,
                        to_duration_text(check.within)),
      "is it running, and has it heard of the switch?");
}

// Looked at as long as the plan says: it has to stay below.
Status Engine::run_metric_check(const CheckPlan& check) {
  constexpr Milliseconds look_every{15'000};
  const Milliseconds since = parts_.clock.monotonic();
  while (true) {
    const Result<double> sum =
        aws::metric_of_the_last_hour(check.metric, check.metric_of, parts_.clock);
    if (!sum.ok()) return failed(check, sum.error().message, sum.error().hint);
    if (sum.value() >= check.below.value_or(0)) {
      return failed(check, fmt::format("{} in the last hour is not below {}", sum.value(),
                                       check.below.value_or(0)));
    }
    const Milliseconds left = check.within - (parts_.clock.monotonic() - since);
    if (left <= Milliseconds(0)) return {};
    if (parts_.stop.requested()) return Error{ErrorCode::cancelled, "stopped as asked"};
    parts_.clock.sleep_for(std::min(look_every, left));
  }
}

Status Engine::run_sql_check(const CheckPlan& check) {
  Result<Value> asked = ask_a_store(migration_.stores, check.sql);
  // Before the switch the same decision is taken again; afterwards this answer decides.
  const bool is_after = check.at == CheckAt::after || check.at == CheckAt::watch;
  if (may_pass(asked) && !is_after) return std::move(asked).error();
  for (int attempt = 1; attempt < asks_max && may_pass(asked); ++attempt) {
    parts_.clock.sleep_for(ask_pause);
    asked = ask_a_store(migration_.stores, check.sql);
  }
  if (!asked.ok()) return failed(check, asked.error().message, asked.error().hint);
  const Value& value = asked.value();
  if (check.expect && !same(value, *check.expect)) {
    return failed(check,
                  fmt::format("{} where {} is expected", show(value), spelled_out(*check.expect)));
  }
  if (!check.below) return {};
  const auto* whole = value.get_if<std::int64_t>();
  const auto* real = value.get_if<double>();
  const bool good = (whole != nullptr && static_cast<double>(*whole) < *check.below) ||
                    (real != nullptr && *real < *check.below);
  return good ? Status()
              : failed(check, fmt::format("{} is not below {}", show(value), *check.below));
}

}  // namespace whimbrel
