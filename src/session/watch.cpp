#include "session/watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "base/text.h"
#include "checks/cloud_alarm.h"
#include "checks/webhook.h"
#include "measure/judge.h"
#include "measure/measure.h"
#include "report/files.h"
#include "report/json_text.h"
#include "session/conduct.h"
#include "session/documents.h"

namespace whimbrel {

namespace {

using nlohmann::json;

// Of each side: a check is to be short.
constexpr Milliseconds measured_for{5'000};

Status keep(const std::string& folder, const std::string& kind, const json& document,
            TimePoint now) {
  const Result<std::string> written =
      write_stamped(folder, kind, "json", document_text(document), now);
  return written.ok() ? Status() : Status(written.error());
}

// Both sides, so that a criterion can compare them.
Result<json> measured(Session& session, Engine& engine) {
  const MeasuresPlan& plan = session.plan().measures;
  if (plan.queries.empty()) return json();
  ASSIGN_OR_RETURN(const std::vector<Stamped> records, session.journal().records());
  const TimePoint now = session.clock().now();
  LoadSettings settings;
  settings.duration = measured_for;
  ASSIGN_OR_RETURN(const json document, measure({session.migration(), plan, facts_of(records, now),
                                                 session.clock(), session.events(), session.stop(),
                                                 [&engine] { return engine.catch_up(); }},
                                                {Side::old_side, Side::new_side}, settings, 1.0));
  ASSIGN_OR_RETURN(json comparison, judge(document, document, now));
  ASSIGN_OR_RETURN(const std::string folder, session.state_folder(false));
  TRY(keep(folder, "measurement", document, now));
  TRY(keep(folder, "comparison", comparison, now));
  return comparison;
}

std::vector<std::string> missed(const json& comparison) {
  std::vector<std::string> names;
  if (!comparison.is_object()) return names;
  for (const json& one : comparison.value("criteria", json::array())) {
    const json met = one.value("met", json());
    const bool is_missed = met.is_boolean() && !met.get<bool>() && !one.value("advisory", false);
    if (is_missed) names.push_back(one.value("name", ""));
  }
  return names;
}

void give_reasons(Watched& watched) {
  const VerifyOutcome& compared = watched.outcome.compared;
  if (compared.differing > 0) {
    watched.reasons.push_back(fmt::format("{} of {} differ", with_thousands(compared.differing),
                                          rows_text(compared.rows)));
  }
  for (const CheckFailure& one : watched.outcome.failures) watched.reasons.push_back(one.what);
  for (const std::string& name : missed(watched.comparison)) {
    watched.reasons.push_back("the criterion " + name + " is not met");
  }
}

CheckEnded record_of(const Watched& watched, const Session& session, Milliseconds took) {
  const CheckOutcome& outcome = watched.outcome;
  CheckEnded record;
  record.clean = watched.clean();
  record.every_row = outcome.every_row;
  record.rows = outcome.compared.rows;
  record.differing = outcome.compared.differing;
  record.changes = outcome.changes;
  record.ms = took.count();
  record.every_ms = session.migration().watch.every.count();
  record.through = outcome.through;
  record.why = join(watched.reasons, "; ");
  return record;
}

// The journal is the runner's alone where one lives.
Status note(Session& session, const CheckEnded& record, bool beside_runner) {
  if (!beside_runner) return session.journal().append(record);
  ASSIGN_OR_RETURN(const std::optional<std::string> answer,
                   ask_runner(session, "checked", to_json(record)));
  if (answer == "done") return {};
  return Error{
      ErrorCode::unavailable,
      "the runner at work did not note what came of this check: " + answer.value_or("it has ended"),
      "check again"};
}

// Beside a runner the state is read anew: the record is there, but others may be as well.
Result<State> state_now(Session& session, bool beside_runner) {
  if (!beside_runner) return session.journal().state();
  ASSIGN_OR_RETURN(const std::string folder, session.state_folder(false));
  ASSIGN_OR_RETURN(const auto journal, Journal::open(folder + "/journal.db", session.clock(),
                                                     Journal::Reading::latest));
  return journal->state();
}

void tell_webhook(Session& session, const json& what) {
  const WatchPlan& plan = session.plan().watch;
  if (plan.webhook.empty()) return;
  const std::string text = dumped(what);
  if (const Status posted = post_to_webhook(plan, text, session.clock()); !posted.ok()) {
    session.host().warn(posted.error().message, "what it was to be told stands here");
  }
}

void keep_cloud_alarm(Session& session, bool clean) {
  const WatchPlan& plan = session.plan().watch;
  if (!plan.alarm) return;
  const Status kept = keep_alarm(*plan.alarm, session.plan().migration, clean, session.clock());
  if (!kept.ok()) {
    session.host().warn(
        fmt::format("the alarm {} could not be made: {}", plan.alarm->name, kept.error().message),
        kept.error().hint);
  }
}

json failure_of(Session& session, const std::vector<std::string>& reasons) {
  return {{"migration", session.plan().migration},
          {"result", "not clean"},
          {"at", to_iso8601(session.clock().now())},
          {"reasons", reasons}};
}

void tell_webhook(Session& session, const Watched& watched) {
  json what = failure_of(session, watched.reasons);
  what["rows"] = watched.outcome.compared.rows;
  what["differing"] = watched.outcome.compared.differing;
  what["clean_checks"] = watched.clean_checks;
  tell_webhook(session, what);
}

Result<std::map<int, std::int64_t>> rows_of_all(Session& session) {
  std::map<int, std::int64_t> rows;
  if (!session.migration().watch.compares_a_part()) return rows;
  for (const Move& move : session.migration().moves) {
    ASSIGN_OR_RETURN(rows[move.index], session.rows_of(move));
  }
  return rows;
}

Status finish_check(Session& session, Watched& watched, Milliseconds took, bool beside_runner) {
  give_reasons(watched);
  ASSIGN_OR_RETURN(const State before, state_now(session, beside_runner));
  TRY(note(session, record_of(watched, session, took), beside_runner));
  ASSIGN_OR_RETURN(const State state, state_now(session, beside_runner));
  const FinishPlan& finish = session.migration().finish;
  watched.clean_checks = state.clean_checks;
  watched.counts = state.clean_checks > before.clean_checks;
  watched.clean_checks_wanted = finish.clean_checks;
  watched.finish_from = state.phase_since + finish.after;
  if (!watched.clean()) tell_webhook(session, watched);
  keep_cloud_alarm(session, watched.clean());
  return {};
}

Result<Watched> carry_out_check(Session& session, Engine& engine, bool beside_runner) {
  const Milliseconds began = session.clock().monotonic();
  Watched watched;
  ASSIGN_OR_RETURN(const auto rows, rows_of_all(session));
  ASSIGN_OR_RETURN(watched.outcome, engine.check(rows, beside_runner));
  if (watched.outcome.failures.empty()) {
    Result<json> comparison = measured(session, engine);
    if (comparison.ok()) {
      watched.comparison = std::move(comparison).value();
    } else if (comparison.error().code == ErrorCode::cancelled) {
      return std::move(comparison).error();
    } else {
      watched.outcome.failures.push_back(
          {"the plan's queries could not be measured", std::move(comparison).error()});
    }
  }
  TRY(finish_check(session, watched, session.clock().monotonic() - began, beside_runner));
  if (!beside_runner) {
    if (const Status written = write_documents(session); !written.ok()) {
      session.host().warn("the report could not be written: " + written.error().message,
                          "make room; the next check writes it again");
    }
  }
  return watched;
}

// What an error says may name rows.
void tell_that_it_failed(Session& session, const Error& error) {
  if (error.code == ErrorCode::cancelled) return;
  tell_webhook(session, failure_of(session, {fmt::format("the check could not be carried out ({})",
                                                         name_of(error.code))}));
}

Result<Watched> check_once(Session& session, Engine& engine, bool beside_runner) {
  Result<Watched> watched = carry_out_check(session, engine, beside_runner);
  if (!watched.ok()) tell_that_it_failed(session, watched.error());
  return watched;
}

// The migration is one that is watched, and cannot be opened: that is an alarm, too.
Status opened_or_alarmed(Session& session) {
  TRY(session.open_journal(false));
  TRY(must_be_watching(session.journal().state()));
  Status opened = session.open_all();
  if (!opened.ok() && !session.is_dry_run()) tell_that_it_failed(session, opened.error());
  return opened;
}

}  // namespace

json Watched::to_json() const {
  json one = {{"clean", clean()},
              {"rows", outcome.compared.rows},
              {"differing", outcome.compared.differing},
              {"lagging", outcome.compared.lagging},
              {"every_row", outcome.every_row},
              {"checks", outcome.checks},
              {"reasons", reasons},
              {"clean_checks", clean_checks},
              {"counts", counts},
              {"clean_checks_wanted", clean_checks_wanted},
              {"finish_from", to_iso8601(finish_from)}};
  if (!comparison.is_null()) one["comparison"] = comparison;
  return one;
}

Result<Watched> watch_migration(Session& session) {
  TRY(opened_or_alarmed(session));
  if (session.is_dry_run()) return Watched{};
  const Status locked = session.journal().lock_for_running();
  const bool beside_runner = !locked.ok() && locked.error().code == ErrorCode::conflict &&
                             session.journal().somebody_runs();
  if (!locked.ok() && !beside_runner) return locked.error();
  Engine engine = session.make_engine();
  return check_once(session, engine, beside_runner);
}

Status keep_watching(Session& session, Milliseconds every,
                     const std::function<void(const Watched&)>& tell) {
  TRY(opened_or_alarmed(session));
  if (session.is_dry_run()) return {};
  if (Status locked = session.journal().lock_for_running(); !locked.ok()) {
    Error error = std::move(locked).error();
    error.hint = "`whimbrel watch` without `--every` checks once, beside the runner";
    return error;
  }
  Engine engine = session.make_engine();
  while (true) {
    const TimePoint began = session.clock().now();
    ASSIGN_OR_RETURN(const Watched watched, check_once(session, engine, false));
    tell(watched);
    ASSIGN_OR_RETURN(const bool is_due, engine.follow_until_check(began + every));
    if (!is_due) return {};
  }
}

}  // namespace whimbrel
