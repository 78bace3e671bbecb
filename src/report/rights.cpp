#include "report/rights.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <set>

#include "backup/depot.h"
#include "base/text.h"
#include "cutover/switch.h"

namespace whimbrel {

namespace {

constexpr std::array phases = {"check, analyze", "backup",         "prepare",  "copy",  "follow",
                               "verify",         "cutover, watch", "rollback", "finish"};

class Gathered {
 public:
  void add(const Rights& rights) {
    for (const Right& right : rights) actions_[right.on].insert(right.action);
  }
  void add(const Store& store, const std::string& table, std::initializer_list<TableUse> uses) {
    for (const TableUse use : uses) add(store.rights_for(use, table));
  }
  bool empty() const { return actions_.empty(); }

  // Resources with the same actions share a statement.
  nlohmann::json policy() const {
    std::map<std::set<std::string>, std::vector<std::string>> statements;
    for (const auto& [on, actions] : actions_) statements[actions].push_back(on);
    nlohmann::json policy = {{"Version", "2012-10-17"}, {"Statement", nlohmann::json::array()}};
    for (const auto& [actions, resources] : statements) {
      policy["Statement"].push_back(
          {{"Effect", "Allow"}, {"Action", actions}, {"Resource", resources}});
    }
    return policy;
  }

 private:
  std::map<std::string, std::set<std::string>> actions_;  // by resource
};

struct Needed {
  Gathered look, back_up, prepare, copy, follow, verify, switch_over, roll_back, end;

  std::array<const Gathered*, phases.size()> by_phase() const {
    return {&look, &back_up, &prepare, &copy, &follow, &verify, &switch_over, &roll_back, &end};
  }
};

// One table of a move, on one side.
struct Side {
  const Store& store;
  std::string table;

  void needs(Gathered& phase, std::initializer_list<TableUse> uses) const {
    phase.add(store, table, uses);
  }
};

void to_be_saved(Needed& needed, const Side& side, const BackupPlan& backup) {
  side.needs(needed.back_up, {TableUse::looked_at, TableUse::read});
  if (!backup.native.empty() || backup.point_in_time) {
    side.needs(needed.back_up, {TableUse::backed_up});
  }
}

void to_be_moved(Needed& needed, const Migration& migration, const Move& move) {
  using enum TableUse;
  const Side from{*move.source, move.stored_source()};
  const Side to{*move.target, move.stored_target()};
  const FinishPlan& finish = migration.finish;
  from.needs(needed.look, {looked_at, read});
  to.needs(needed.look, {looked_at});
  if (move.among_others) to.needs(needed.look, {read});
  if (migration.backup.is_wanted() && migration.backup.source) {
    to_be_saved(needed, from, migration.backup);
  }
  if (migration.backup.is_wanted() && migration.backup.target) {
    to_be_saved(needed, to, migration.backup);
  }
  from.needs(needed.prepare, {looked_at});
  to.needs(needed.prepare, {looked_at, read, written});
  if (move.creates_target) to.needs(needed.prepare, {made});
  for (Gathered* phase : {&needed.copy, &needed.follow}) {
    from.needs(*phase, {looked_at, read});
    to.needs(*phase, {looked_at, read, written});
  }
  for (Gathered* phase : {&needed.copy, &needed.roll_back}) {
    if (migration.limits.raise.read > 0) from.needs(*phase, {provisioned});
    if (migration.limits.raise.written > 0) to.needs(*phase, {provisioned});
  }
  for (Gathered* phase : {&needed.verify, &needed.end}) {
    from.needs(*phase, {looked_at, read});
    to.needs(*phase, {looked_at, read});
  }
  // What the new side writes is carried back until the end.
  for (Gathered* phase : {&needed.switch_over, &needed.roll_back}) {
    if (phase == &needed.switch_over && migration.only_copies) continue;
    if (migration.only_copies) {  // which never writes to what it reads
      from.needs(*phase, {looked_at, read});
    } else {
      from.needs(*phase, {looked_at, read, written});
    }
    to.needs(*phase, {looked_at, read, written});
  }
  if (migration.sync == Sync::capture && !migration.only_copies) {
    for (Gathered* phase : {&needed.prepare, &needed.follow}) from.needs(*phase, {followed});
    for (Gathered* phase : {&needed.switch_over, &needed.roll_back, &needed.end}) {
      from.needs(*phase, {followed});
      to.needs(*phase, {followed});
    }
  }
  if (move.creates_target) to.needs(needed.roll_back, {dropped});
  const bool drops = !finish.keep_source && finish.rename_source_to.empty();
  if (drops && !migration.only_copies) {
    from.needs(needed.end, {dropped});
    from.needs(needed.roll_back, {TableUse::made});  // after `finish` it is brought back
  }
  if (!finish.backup.native.empty()) from.needs(needed.end, {backed_up});
}

}  // namespace

nlohmann::json policies_of(const Migration& migration) {
  Needed needed;
  for (const Move& move : migration.moves) to_be_moved(needed, migration, move);
  needed.look.add(rights_of_place(migration.backup.place));
  needed.back_up.add(rights_of_place(migration.backup.place));
  needed.end.add(rights_of_place(migration.finish.backup.place));
  for (const std::vector<SwitchPlan>* all : {&migration.holds, &migration.switches}) {
    for (const SwitchPlan& one : *all) {
      needed.switch_over.add(rights_of(one));
      needed.roll_back.add(rights_of(one));
    }
  }
  for (const CheckPlan& check : migration.checks) {
    if (check.metric.empty()) continue;
    needed.switch_over.add({{"cloudwatch:GetMetricStatistics", "*"}});
  }
  if (migration.watch.alarm) {
    needed.switch_over.add({{"cloudwatch:PutMetricAlarm", "*"}, {"cloudwatch:PutMetricData", "*"}});
  }
  nlohmann::json policies = nlohmann::json::object();
  const auto gathered = needed.by_phase();
  for (std::size_t i = 0; i < phases.size(); ++i) {
    if (!gathered[i]->empty()) policies[phases[i]] = gathered[i]->policy();
  }
  return policies;
}

namespace {

// "table/orders" of an ARN.
std::string resource_of(const std::string& arn) {
  constexpr int fields_before = 5;
  std::size_t at = 0;
  for (int field = 0; field < fields_before; ++field) {
    const std::size_t colon = arn.find(':', at);
    if (colon == std::string::npos) return arn;
    at = colon + 1;
  }
  return arn.substr(at);
}

std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t told_max = 3;
  if (names.size() <= told_max) return join(names, ", ");
  const std::vector<std::string> first(names.begin(), names.begin() + told_max);
  return fmt::format("{} and {} more", join(first, ", "), names.size() - told_max);
}

// What a phase needs beyond `before`, which learns it: actions by service, then where.
std::string what_is_new(const nlohmann::json& policy, std::set<std::string>& before) {
  std::map<std::string, std::vector<std::string>> resources;  // by the actions that are new
  for (const auto& statement : policy["Statement"]) {
    for (const std::string arn : statement["Resource"]) {
      std::map<std::string, std::vector<std::string>> actions;
      for (const std::string action : statement["Action"]) {
        if (!before.insert(action + " " + arn).second) continue;
        const std::size_t colon = action.find(':');
        actions[action.substr(0, colon)].push_back(action.substr(colon + 1));
      }
      for (const auto& [service, names] : actions) {
        resources[service + ": " + join(names, ", ")].push_back(resource_of(arn));
      }
    }
  }
  std::string text;
  for (const auto& [actions, on] : resources) {
    text += fmt::format("    {}\n      on {}\n", actions, some_of(on));
  }
  return text;
}

}  // namespace

std::string policies_text(const nlohmann::json& policies) {
  std::string text;
  std::set<std::string> before;
  for (const char* phase : phases) {
    if (!policies.contains(phase)) continue;
    const std::string more = what_is_new(policies[phase], before);
    if (!more.empty()) text += fmt::format("  {}\n{}", phase, more);
  }
  if (text.empty()) return text;
  return "permissions at least, and in each phase those before it (`policies` in the document has "
         "them for IAM):\n" +
         text;
}

}  // namespace whimbrel
