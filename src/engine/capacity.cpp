// What tables are provisioned with, raised for as long as they are copied.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/engine.h"

namespace whimbrel {

namespace {

nlohmann::json to_json(const Provisions& provisions) {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [name, one] : provisions) all[name] = {one.read, one.written};
  return all;
}

Provisions provisions_from(const nlohmann::json& all) {
  Provisions provisions;
  for (const auto& [name, one] : all.items()) {
    provisions[name] = {one.at(0).get<std::int64_t>(), one.at(1).get<std::int64_t>()};
  }
  return provisions;
}

}  // namespace

// What was found is journaled before anything is raised. A table is raised once, whoever else of
// the plan reads or writes it.
Status Engine::raise_capacity() {
  const RaisedCapacity& wanted = migration_.limits.raise;
  if (wanted.read == 0 && wanted.written == 0) return {};
  const State state = parts_.journal.state();
  std::set<std::pair<std::string, std::string>> seen;
  for (const Move& move : migration_.moves) {
    const auto copied = state.copies.find(move.index);
    if (copied != state.copies.end() && copied->second.at_end) continue;
    for (const bool is_source : {true, false}) {
      Store& store = is_source ? *move.source : *move.target;
      const std::string table = is_source ? move.stored_source() : move.stored_target();
      if (!seen.emplace(store.identity() + (is_source ? " read" : " written"), table).second) {
        continue;
      }
      const std::string id = capacity_id(move, is_source);
      const Effect* effect = state.effect(id);
      if (effect != nullptr && effect->confirmed) continue;
      Provisions goal;
      if (effect != nullptr) {
        goal = provisions_from(nlohmann::json::parse(effect->undo).at("raised"));
      } else {
        ASSIGN_OR_RETURN(const Provisions before, store.catalog().provisions(table));
        goal = raised(before, wanted, is_source);
        if (goal == before) continue;
        const nlohmann::json undo = {{"before", to_json(before)}, {"raised", to_json(goal)}};
        TRY(parts_.journal.append(EffectIntended{id, undo.dump()}));
      }
      TRY(store.catalog().provision(table, goal));
      store.keep_within(store_limits(limits_));  // a share of it is more now
      TRY(parts_.journal.append(EffectConfirmed{id, "{}"}));
    }
  }
  return {};
}

std::string Engine::capacity_id(const Move& move, bool is_source) {
  return fmt::format("capacity:{}:{}", is_source ? "source" : "target", move.index);
}

// Newest first. A table that was made for the copy goes with what it was given.
Status Engine::lower_capacity() {
  const State state = parts_.journal.state();
  for (auto it = state.effects.rbegin(); it != state.effects.rend(); ++it) {
    if (!it->id.starts_with("capacity:")) continue;
    TRY(put_capacity_back(*it));
    TRY(parts_.journal.append(EffectUndone{it->id}));
  }
  return {};
}

// What somebody has set since is theirs.
Status Engine::put_capacity_back(const Effect& effect) {
  for (const Move& move : migration_.moves) {
    for (const bool is_source : {true, false}) {
      if (effect.id != capacity_id(move, is_source)) continue;
      Store& store = is_source ? *move.source : *move.target;
      const std::string table = is_source ? move.stored_source() : move.stored_target();
      const Result<Provisions> there = store.catalog().provisions(table);
      if (!there.ok() && there.error().code == ErrorCode::not_found) return {};
      if (!there.ok()) return there.error();
      const nlohmann::json undo = nlohmann::json::parse(effect.undo);
      const Provisions before = provisions_from(undo.at("before"));
      const Provisions ours = provisions_from(undo.at("raised"));
      Provisions goal = there.value();
      for (auto& [name, one] : goal) {
        const auto was = before.find(name);
        const auto raised_to = ours.find(name);
        if (was == before.end() || raised_to == ours.end() || one == was->second) continue;
        if (one == raised_to->second) {
          one = was->second;
        } else {
          parts_.events.emit({"capacity_is_anothers", {{"table", table}, {"index", name}}});
        }
      }
      if (goal == there.value()) return {};
      TRY(store.catalog().provision(table, goal));
      store.keep_within(store_limits(limits_));
      return {};
    }
  }
  return {};
}

}  // namespace whimbrel
