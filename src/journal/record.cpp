#include "journal/record.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace whimbrel {

namespace {

using nlohmann::json;

template <class... Fs>
struct Overload : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overload(Fs...) -> Overload<Fs...>;

// One table of fields serves both directions: `visit` is called with every name and member.
template <class V>
void fields(PlanAccepted& r, V&& visit) {
  visit("attempt", r.attempt);
  visit("migration", r.migration);
  visit("digest", r.digest);
  visit("plan", r.plan);
  visit("tables", r.tables);
}
template <class V>
void fields(PhaseEntered& r, V&& visit) {
  visit("phase", r.phase);
  visit("why", r.why);
}
template <class V>
void fields(EffectIntended& r, V&& visit) {
  visit("id", r.id);
  visit("undo", r.undo);
}
template <class V>
void fields(EffectConfirmed& r, V&& visit) {
  visit("id", r.id);
  visit("result", r.result);
}
template <class V>
void fields(EffectUndone& r, V&& visit) {
  visit("id", r.id);
}
template <class V>
void fields(ChunkCopied& r, V&& visit) {
  visit("move", r.move);
  visit("through", r.through);
  visit("at_end", r.at_end);
  visit("read", r.read);
  visit("written", r.written);
  visit("skipped", r.skipped);
  visit("rejected", r.rejected);
  visit("bytes", r.bytes);
  visit("ms", r.ms);
}
template <class V>
void fields(ChangesApplied& r, V&& visit) {
  visit("feed", r.feed);
  visit("position", r.position);
  visit("changes", r.changes);
  visit("written", r.written);
}
template <class V>
void fields(ChunkVerified& r, V&& visit) {
  visit("move", r.move);
  visit("rows", r.rows);
  visit("differing", r.differing);
  visit("expected", r.expected);
  visit("found", r.found);
}
template <class V>
void fields(VerifyEnded& r, V&& visit) {
  visit("full", r.full);
  visit("rows", r.rows);
  visit("differing", r.differing);
  visit("on_new_side", r.on_new_side);
  visit("ms", r.ms);
}
template <class V>
void fields(RowRejected& r, V&& visit) {
  visit("move", r.move);
  visit("key_digest", r.key_digest);
  visit("reason", r.reason);
}
template <class V>
void fields(RowCarried& r, V&& visit) {
  visit("move", r.move);
  visit("key_digest", r.key_digest);
}
template <class V>
void fields(OperatorDecided& r, V&& visit) {
  visit("what", r.what);
  visit("value", r.value);
}
template <class V>
void fields(Failed& r, V&& visit) {
  visit("code", r.code);
  visit("message", r.message);
}
template <class V>
void fields(Closed& r, V&& visit) {
  visit("outcome", r.outcome);
}
template <class V>
void fields(CheckEnded& r, V&& visit) {
  visit("clean", r.clean);
  visit("every_row", r.every_row);
  visit("rows", r.rows);
  visit("differing", r.differing);
  visit("changes", r.changes);
  visit("ms", r.ms);
  visit("every_ms", r.every_ms);
  visit("through", r.through);
  visit("why", r.why);
}

struct ToJson {
  json out = json::object();
  void operator()(const char* name, Phase& phase) { out[name] = name_of(phase); }
  void operator()(const char* name, auto& member) { out[name] = member; }
};

struct FromJson {
  const json& in;
  bool ok = true;
  void operator()(const char* name, Phase& phase) {
    const std::optional<Phase> read = in.contains(name) && in[name].is_string()
                                          ? phase_from(in[name].get<std::string>())
                                          : std::nullopt;
    ok = ok && read.has_value();
    if (read) phase = *read;
  }
  void operator()(const char* name, std::string& text) {
    if (!in.contains(name)) return;  // a field of a later release
    ok = ok && in[name].is_string();
    if (ok) text = in[name].get<std::string>();
  }
  void operator()(const char* name, bool& flag) {
    if (!in.contains(name)) return;
    ok = ok && in[name].is_boolean();
    if (ok) flag = in[name].get<bool>();
  }
  template <class T>
  void operator()(const char* name, T& number) {
    if (!in.contains(name)) return;
    const json& value = in[name];
    ok = ok && value.is_number_integer() &&
         (value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                     : std::in_range<T>(value.get<std::int64_t>()));
    if (ok) number = value.get<T>();
  }
};

constexpr const char* names[] = {
    "PlanAccepted",    "PhaseEntered",   "EffectIntended", "EffectConfirmed", "EffectUndone",
    "ChunkCopied",     "ChangesApplied", "ChunkVerified",  "VerifyEnded",     "RowRejected",
    "OperatorDecided", "Failed",         "Closed",         "CheckEnded",      "RowCarried"};
static_assert(std::size(names) == std::variant_size_v<Record>);

template <std::size_t I = 0>
std::optional<Record> blank(const std::string& name) {
  if constexpr (I < std::variant_size_v<Record>) {
    if (name == names[I]) return Record(std::in_place_index<I>);
    return blank<I + 1>(name);
  } else {
    return std::nullopt;
  }
}

Effect* find_effect(State& state, const std::string& id) {
  const auto it = std::ranges::find(state.effects, id, &Effect::id);
  return it == state.effects.end() ? nullptr : &*it;
}

// A new attempt starts from nothing but the number and the decisions that concern the runner.
void begin_attempt(State& state, const PlanAccepted& r) {
  State fresh;
  fresh.started = true;
  fresh.attempt = r.attempt;
  fresh.migration = r.migration;
  fresh.digest = r.digest;
  fresh.plan = r.plan;
  fresh.tables = r.tables;
  if (const auto it = state.decisions.find("limits"); it != state.decisions.end()) {
    fresh.decisions.insert(*it);
  }
  state = std::move(fresh);
}

// A timer is not punctual, and a day in spring has 23 hours: a little less than a period is one.
bool is_another_period(const State& state, const CheckEnded& check, TimePoint began) {
  const Milliseconds every(check.every_ms);
  return state.clean_checks == 0 || began - state.clean_counted_at >= every - every / 20;
}

void take_check(State& state, const CheckEnded& check, TimePoint at) {
  state.checked = check;
  state.checked_at = at;
  state.changes_since_check = std::max<std::int64_t>(0, state.changes_since_check - check.changes);
  const TimePoint began = at - Milliseconds(check.ms);
  if (!check.clean) {
    state.clean_checks = 0;
  } else if (is_another_period(state, check, began)) {
    ++state.clean_checks;
    state.clean_counted_at = began;
  }
}

// What was checked before concerns another switch.
void begin_watching(State& state) {
  state.checked.reset();
  state.clean_checks = 0;
  state.changes_since_check = 0;
}

}  // namespace

const char* name_of(const Record& record) { return names[record.index()]; }

std::string to_json(const Record& record) {
  ToJson visitor;
  std::visit([&](auto copy) { fields(copy, visitor); }, record);
  // A text that is no UTF-8 (a key in an error message) must not stop the journal.
  return visitor.out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Record> record_from_json(const std::string& name, const std::string& text) {
  std::optional<Record> record = blank(name);
  const json parsed = json::parse(text, nullptr, false);
  if (!record || !parsed.is_object()) {
    return Error{ErrorCode::invalid_plan, "the journal has a record that cannot be read: " + name};
  }
  FromJson visitor{parsed};
  std::visit([&](auto& r) { fields(r, visitor); }, *record);
  if (!visitor.ok) {
    return Error{ErrorCode::invalid_plan, "the journal has a damaged record: " + name};
  }
  return *std::move(record);
}

const Effect* State::effect(const std::string& id) const {
  const auto it = std::ranges::find(effects, id, &Effect::id);
  return it == effects.end() ? nullptr : &*it;
}

bool State::confirmed(const std::string& id) const {
  const Effect* found = effect(id);
  return found != nullptr && found->confirmed;
}

void apply(State& state, const Stamped& stamped) {
  // What was written since the last such record may not have been looked at by anybody.
  const auto& record = stamped.record;
  const bool follows_a_look = std::holds_alternative<ChangesApplied>(record) ||
                              std::holds_alternative<ChunkCopied>(record) ||
                              std::holds_alternative<PhaseEntered>(record) ||
                              std::holds_alternative<CheckEnded>(record);
  if (follows_a_look) state.read_at = stamped.at;
  std::visit(Overload{
                 [&](const PlanAccepted& r) { begin_attempt(state, r); },
                 [&](const PhaseEntered& r) {
                   state.phase = r.phase;
                   state.why = r.why;
                   state.phase_since = stamped.at;
                   state.phase_times.emplace(name_of(r.phase), stamped.at);
                   state.last_failure.reset();
                   state.outcome.clear();
                   if (r.phase == Phase::watching) begin_watching(state);
                 },
                 [&](const EffectIntended& r) {
                   if (Effect* effect = find_effect(state, r.id)) {
                     effect->undo = r.undo;
                     effect->confirmed = false;
                   } else {
                     state.effects.push_back({r.id, r.undo, "", false, stamped.at});
                   }
                 },
                 [&](const EffectConfirmed& r) {
                   if (Effect* effect = find_effect(state, r.id)) {
                     effect->confirmed = true;
                     effect->result = r.result;
                     effect->at = stamped.at;
                   }
                 },
                 [&](const EffectUndone& r) {
                   std::erase_if(state.effects, [&](const Effect& e) { return e.id == r.id; });
                 },
                 [&](const ChunkCopied& r) {
                   CopyProgress& copy = state.copies[r.move];
                   copy.through = r.through;
                   copy.at_end = r.at_end;
                   ++copy.chunks;
                   copy.read += r.read;
                   copy.written += r.written;
                   copy.skipped += r.skipped;
                   copy.rejected += r.rejected;
                   copy.bytes += r.bytes;
                   copy.ms += r.ms;
                 },
                 [&](const ChangesApplied& r) {
                   state.positions[r.feed] = r.position;
                   state.changes[r.feed] += r.changes;
                   state.changes_since_check += r.changes;
                 },
                 [&](const ChunkVerified& r) {
                   state.verifies[r.move] = {r.rows, r.differing, r.expected, r.found};
                 },
                 [&](const VerifyEnded& r) {
                   // A sample that is clean says nothing of what a whole comparison has found.
                   const bool differed = state.verified && state.verified->differing > 0;
                   if (!r.full && r.differing == 0 && differed) return;
                   state.verified = r;
                   state.verified_at = stamped.at;
                 },
                 [&](const RowRejected& r) {
                   ++state.rejected;
                   if (r.reason != name_of(ErrorCode::conflict)) ++state.left_behind;
                 },
                 [&](const RowCarried&) {
                   --state.rejected;
                   --state.left_behind;
                 },
                 [&](const OperatorDecided& r) {
                   state.decisions[r.what] = r.value;
                   if (r.what != set_aside_anew_record) return;
                   state.rejected = state.left_behind = 0;
                   for (auto& [move, copy] : state.copies) copy.rejected = 0;
                 },
                 [&](const Failed& r) { state.last_failure = r; },
                 [&](const Closed& r) { state.outcome = r.outcome; },
                 [&](const CheckEnded& r) { take_check(state, r, stamped.at); },
             },
             stamped.record);
}

State replay(const std::vector<Stamped>& records) {
  State state;
  for (const Stamped& stamped : records) apply(state, stamped);
  return state;
}

}  // namespace whimbrel
