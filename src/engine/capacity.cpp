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

std::string words_of(const Provisions& provisions) {
  std::string text;
  for (const auto& [name, one] : provisions) {
    text += fmt::format("{}{}{} units of reading and {} of writing", text.empty() ? "" : "; ",
                        name.empty() ? "" : name + ": ", one.read, one.written);
  }
  return text;
}

// A right that is missing, or the service's own limit of how often a capacity may go down in a day.
bool stays_refused(const Error& error) {
  return error.code == ErrorCode::refused || error.message.find("decrease") != std::string::npos;
}

// What we have raised becomes what it was, unless it is somebody else's by now.
void put_back(std::int64_t was, std::int64_t ours, std::int64_t& now, bool& is_anothers) {
  if (was == ours || now == was) return;
  if (now == ours) {
    now = was;
  } else {
    is_anothers = true;
  }
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
      ASSIGN_OR_RETURN(const Provisions now, store.catalog().provisions(table, true));
      const Provisions goal = raised(now, wanted, is_source);
      if (effect == nullptr) {
        if (goal == now) continue;
        const nlohmann::json undo = {{"before", to_json(now)}, {"raised", to_json(goal)}};
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

// Newest first. What cannot be lowered now is tried again by the next command.
Status Engine::lower_capacity() {
  const State state = parts_.journal.state();
  for (auto it = state.effects.rbegin(); it != state.effects.rend(); ++it) {
    if (!it->id.starts_with("capacity:")) continue;
    const Status lowered = put_capacity_back(*it);
    if (!lowered.ok() && stays_refused(lowered.error())) continue;
    TRY(lowered);
    TRY(parts_.journal.append(EffectUndone{it->id}));
  }
  return {};
}

// It costs more than it has to, and keeps nothing else from being undone.
Status Engine::give_capacity_up(const Effect& effect) {
  const Status lowered = put_capacity_back(effect);
  if (lowered.ok() || !stays_refused(lowered.error())) return lowered;
  return parts_.journal.append(Failed{name_of(lowered.error().code), lowered.error().message});
}

// What somebody has set since is theirs. What the store will not have is told.
Status Engine::put_capacity_back(const Effect& effect) {
  for (const Move& move : migration_.moves) {
    for (const bool is_source : {true, false}) {
      if (effect.id != capacity_id(move, is_source)) continue;
      Store& store = is_source ? *move.source : *move.target;
      const std::string table = is_source ? move.stored_source() : move.stored_target();
      const Result<Provisions> there = store.catalog().provisions(table, true);
      if (!there.ok() && there.error().code == ErrorCode::not_found) return {};
      if (!there.ok()) return there.error();
      const nlohmann::json undo = nlohmann::json::parse(effect.undo);
      const Provisions before = provisions_from(undo.at("before"));
      const Provisions ours = provisions_from(undo.at("raised"));
      Provisions goal = there.value();
      for (auto& [name, one] : goal) {
        const auto was = before.find(name);
        const auto raised_to = ours.find(name);
        if (was == before.end() || raised_to == ours.end()) continue;
        bool is_anothers = false;
        put_back(was->second.read, raised_to->second.read, one.read, is_anothers);
        put_back(was->second.written, raised_to->second.written, one.written, is_anothers);
        if (!is_anothers) continue;
        parts_.events.emit({"capacity_is_anothers", {{"table", table}, {"index", name}}});
      }
      if (goal == there.value()) return {};
      Status lowered = store.catalog().provision(table, goal);
      if (!lowered.ok() && stays_refused(lowered.error())) {
        parts_.events.emit({"capacity_stays", {{"table", table}, {"before", words_of(before)}}});
      }
      TRY(lowered);
      store.keep_within(store_limits(limits_));
      return {};
    }
  }
  return {};
}

}  // namespace whimbrel
