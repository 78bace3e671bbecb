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

}  // namespace

nlohmann::json policies_of(const Migration& migration) {
  using enum TableUse;
  const bool follows = migration.sync == Sync::capture && !migration.only_copies;
  Gathered look, back_up, prepare, copy, follow, verify, switch_over, roll_back, end;
  for (const Move& move : migration.moves) {
    const Store& from = *move.source;
    const Store& to = *move.target;
    const std::string source = move.stored_source();
    const std::string target = move.stored_target();
    look.add(from, source, {looked_at, read});
    look.add(to, target, {looked_at});
    if (move.among_others) look.add(to, target, {read});
    const BackupPlan& backup = migration.backup;
    for (const auto& [store, table, wanted] :
         {std::tuple(&from, source, backup.source), std::tuple(&to, target, backup.target)}) {
      if (!wanted || !backup.is_wanted()) continue;
      back_up.add(*store, table, {looked_at, read});
      if (!backup.native.empty() || backup.point_in_time) back_up.add(*store, table, {backed_up});
    }
    if (move.creates_target) prepare.add(to, target, {made});
    prepare.add(from, source, {looked_at});
    prepare.add(to, target, {looked_at, read, written});
    if (follows) prepare.add(from, source, {followed});
    copy.add(from, source, {looked_at, read});
    copy.add(to, target, {looked_at, read, written});
    follow.add(from, source, {looked_at, read});
    if (follows) follow.add(from, source, {followed});
    follow.add(to, target, {looked_at, read, written});
    verify.add(from, source, {looked_at, read});
    verify.add(to, target, {looked_at, read});
    if (!migration.only_copies) {
      // What the new side writes is carried back until the end.
      switch_over.add(from, source, {looked_at, read, written});
      switch_over.add(to, target, {looked_at, read, written});
      if (follows) switch_over.add(from, source, {followed});
      if (follows) switch_over.add(to, target, {followed});
    }
    roll_back.add(from, source, {looked_at, read, written});
    roll_back.add(to, target, {looked_at, read, written});
    if (follows) roll_back.add(from, source, {followed});
    if (follows) roll_back.add(to, target, {followed});
    if (move.creates_target) roll_back.add(to, target, {dropped});
    end.add(from, source, {looked_at, read});
    end.add(to, target, {looked_at, read});
    if (follows) end.add(from, source, {followed});
    if (follows) end.add(to, target, {followed});
    const FinishPlan& finish = migration.finish;
    const bool drops = !finish.keep_source && finish.rename_source_to.empty();
    if (drops && !migration.only_copies) end.add(from, source, {dropped});
    if (!finish.backup.native.empty()) end.add(from, source, {backed_up});
  }
  look.add(rights_of_place(migration.backup.place));
  back_up.add(rights_of_place(migration.backup.place));
  end.add(rights_of_place(migration.finish.backup.place));
  for (const std::vector<SwitchPlan>* all : {&migration.holds, &migration.switches}) {
    for (const SwitchPlan& one : *all) {
      const Rights rights = rights_of(one);
      switch_over.add(rights);
      roll_back.add(rights);
    }
  }
  for (const CheckPlan& check : migration.checks) {
    if (!check.metric.empty()) switch_over.add({{"cloudwatch:GetMetricStatistics", "*"}});
  }
  nlohmann::json policies = nlohmann::json::object();
  const std::array gathered = {&look,   &back_up,     &prepare,   &copy, &follow,
                               &verify, &switch_over, &roll_back, &end};
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
