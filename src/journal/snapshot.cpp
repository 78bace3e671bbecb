#include "journal/snapshot.h"

#include <nlohmann/json.hpp>

namespace whimbrel {

namespace {

using nlohmann::json;

constexpr int shape = 2;  // raised when State changes: older snapshots are not used then

std::int64_t number_of(TimePoint time) { return time.time_since_epoch().count(); }
TimePoint time_of(const json& number) {
  return TimePoint(Milliseconds(number.get<std::int64_t>()));
}

json to_json(const Effect& effect) {
  return {effect.id, effect.undo, effect.result, effect.confirmed, number_of(effect.at)};
}
Effect effect_from(const json& in) {
  return {in.at(0).get<std::string>(), in.at(1).get<std::string>(), in.at(2).get<std::string>(),
          in.at(3).get<bool>(), time_of(in.at(4))};
}

json to_json(const CopyProgress& copy) {
  return {copy.through ? json(*copy.through) : json(),
          copy.at_end,
          copy.chunks,
          copy.read,
          copy.written,
          copy.skipped,
          copy.rejected,
          copy.bytes,
          copy.ms};
}
CopyProgress copy_from(const json& in) {
  CopyProgress copy;
  if (!in.at(0).is_null()) copy.through = in.at(0).get<std::string>();
  copy.at_end = in.at(1).get<bool>();
  std::size_t at = 2;
  for (std::int64_t* number : {&copy.chunks, &copy.read, &copy.written, &copy.skipped,
                               &copy.rejected, &copy.bytes, &copy.ms}) {
    *number = in.at(at++).get<std::int64_t>();
  }
  return copy;
}

json to_json(const VerifyProgress& verify) {
  return {verify.rows, verify.differing, verify.expected, verify.found};
}
VerifyProgress verify_from(const json& in) {
  return {in.at(0).get<std::int64_t>(), in.at(1).get<std::int64_t>(), in.at(2).get<std::string>(),
          in.at(3).get<std::string>()};
}

json to_json(const VerifyEnded& verified) {
  return {verified.full, verified.rows, verified.differing, verified.on_new_side, verified.ms};
}
VerifyEnded verified_from(const json& in) {
  return {in.at(0).get<bool>(), in.at(1).get<std::int64_t>(), in.at(2).get<std::int64_t>(),
          in.at(3).get<std::int64_t>(), in.at(4).get<std::int64_t>()};
}

json to_json(const CheckEnded& check) { return json::parse(whimbrel::to_json(Record(check))); }
CheckEnded check_from(const json& in) {
  return std::get<CheckEnded>(record_from_json("CheckEnded", in.dump()).value());
}

// Maps with numbers as keys are lists of pairs: a JSON object has only texts.
template <class T>
json pairs_of(const std::map<int, T>& map) {
  json pairs = json::array();
  for (const auto& [key, value] : map) pairs.push_back({key, to_json(value)});
  return pairs;
}

void read_into(State& state, const json& in) {
  state.attempt = in.at("attempt").get<int>();
  for (const auto& [name, text] :
       {std::pair("migration", &state.migration), std::pair("digest", &state.digest),
        std::pair("plan", &state.plan), std::pair("tables", &state.tables),
        std::pair("why", &state.why), std::pair("outcome", &state.outcome)}) {
    *text = in.at(name).get<std::string>();
  }
  state.phase = phase_from(in.at("phase").get<std::string>()).value();
  state.phase_since = time_of(in.at("phase_since"));
  for (const auto& [name, time] : in.at("phase_times").items()) {
    state.phase_times.emplace(name, time_of(time));
  }
  for (const json& effect : in.at("effects")) state.effects.push_back(effect_from(effect));
  for (const json& one : in.at("copies")) {
    state.copies.emplace(one.at(0).get<int>(), copy_from(one.at(1)));
  }
  for (const json& one : in.at("verifies")) {
    state.verifies.emplace(one.at(0).get<int>(), verify_from(one.at(1)));
  }
  state.positions = in.at("positions").get<std::map<std::string, std::string>>();
  state.changes = in.at("changes").get<std::map<std::string, std::int64_t>>();
  state.decisions = in.at("decisions").get<std::map<std::string, std::string>>();
  if (const json& verified = in.at("verified"); !verified.is_null()) {
    state.verified = verified_from(verified);
  }
  state.verified_at = time_of(in.at("verified_at"));
  state.rejected = in.at("rejected").get<std::int64_t>();
  state.left_behind = in.value("left_behind", state.rejected);
  if (const json& failure = in.at("last_failure"); !failure.is_null()) {
    state.last_failure = {failure.at(0).get<std::string>(), failure.at(1).get<std::string>()};
  }
  if (const json& checked = in.at("checked"); !checked.is_null()) {
    state.checked = check_from(checked);
  }
  state.checked_at = time_of(in.at("checked_at"));
  state.clean_checks = in.at("clean_checks").get<std::int64_t>();
  state.clean_counted_at = time_of(in.at("clean_counted_at"));
  for (const char* name : {"last_at", "read_at"}) {  // what an earlier build has called it, first
    if (in.contains(name)) state.read_at = time_of(in.at(name));
  }
  state.changes_since_check = in.at("changes_since_check").get<std::int64_t>();
  state.started = in.at("started").get<bool>();
}

}  // namespace

std::string snapshot_of(const State& state) {
  json effects = json::array();
  for (const Effect& effect : state.effects) effects.push_back(to_json(effect));
  json times = json::object();
  for (const auto& [name, time] : state.phase_times) times[name] = number_of(time);
  const json out = {
      {"shape", shape},
      {"attempt", state.attempt},
      {"migration", state.migration},
      {"digest", state.digest},
      {"plan", state.plan},
      {"tables", state.tables},
      {"phase", name_of(state.phase)},
      {"why", state.why},
      {"phase_since", number_of(state.phase_since)},
      {"phase_times", std::move(times)},
      {"effects", std::move(effects)},
      {"copies", pairs_of(state.copies)},
      {"positions", state.positions},
      {"changes", state.changes},
      {"verifies", pairs_of(state.verifies)},
      {"verified", state.verified ? to_json(*state.verified) : json()},
      {"verified_at", number_of(state.verified_at)},
      {"rejected", state.rejected},
      {"left_behind", state.left_behind},
      {"decisions", state.decisions},
      {"last_failure",
       state.last_failure ? json{state.last_failure->code, state.last_failure->message} : json()},
      {"outcome", state.outcome},
      {"checked", state.checked ? to_json(*state.checked) : json()},
      {"checked_at", number_of(state.checked_at)},
      {"clean_checks", state.clean_checks},
      {"clean_counted_at", number_of(state.clean_counted_at)},
      {"read_at", number_of(state.read_at)},
      {"changes_since_check", state.changes_since_check},
      {"started", state.started}};
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<State> state_from_snapshot(const std::string& text) {
  const json in = json::parse(text, nullptr, false);
  if (!in.is_object() || !in.contains("shape") || in["shape"] != shape) return std::nullopt;
  State state;
  try {  // the library's way to say that a member is missing or of another kind
    read_into(state, in);
  } catch (const std::exception&) {
    return std::nullopt;
  }
  return state;
}

}  // namespace whimbrel
