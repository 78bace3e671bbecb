#include "report/story.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace whimbrel {

namespace {

constexpr const char* hold_effect = "hold";

std::optional<TimePoint> deadline_of(const std::string& undo) {
  const nlohmann::json body = nlohmann::json::parse(undo, nullptr, false);
  const auto until = body.is_object() ? body.find("until_ms") : body.end();
  if (!body.is_object() || until == body.end() || !until->is_number_integer()) return std::nullopt;
  return TimePoint(Milliseconds(until->get<std::int64_t>()));
}

}  // namespace

TimePoint HoldSpan::ended(TimePoint now) const {
  return std::max(from, std::min(released.value_or(now), until));
}

const EffectTimes* Story::effect(const std::string& id) const {
  const auto it = effects.find(id);
  return it == effects.end() ? nullptr : &it->second;
}

const Comparison* Story::comparison() const {
  const Comparison* latest = nullptr;
  for (const Comparison& one : comparisons) {
    if (one.attempt != attempt()) continue;
    if (latest == nullptr || one.what.full || !latest->what.full) latest = &one;
  }
  return latest;
}

std::optional<TimePoint> Story::first_in(Phase phase) const {
  for (const PhaseSpan& span : phases) {
    if (span.attempt == attempt() && span.phase == phase) return span.from;
  }
  return std::nullopt;
}

std::vector<HoldSpan> Story::holds_of(int attempt) const {
  std::vector<HoldSpan> of_it;
  for (const HoldSpan& hold : holds) {
    if (hold.attempt == attempt) of_it.push_back(hold);
  }
  return of_it;
}

HoldSpan* StoryTeller::open_hold() {
  if (story_.holds.empty() || story_.holds.back().released) return nullptr;
  return &story_.holds.back();
}

void StoryTeller::hear_effect(const Stamped& stamped) {
  if (const auto* intended = std::get_if<EffectIntended>(&stamped.record)) {
    // What is only begun anew keeps its first time.
    EffectTimes& times = story_.effects[intended->id];
    if (times.intended == TimePoint{} || times.undone) {
      times = {stamped.at, std::nullopt, std::nullopt, ""};
    }
    if (intended->id != hold_effect) return;
    if (HoldSpan* before = open_hold()) before->released = stamped.at;
    story_.holds.push_back({story_.attempt(), phase_ == Phase::rolling_back, stamped.at,
                            deadline_of(intended->undo).value_or(stamped.at), std::nullopt, 0});
  } else if (const auto* confirmed = std::get_if<EffectConfirmed>(&stamped.record)) {
    EffectTimes& times = story_.effects[confirmed->id];
    if (times.intended == TimePoint{}) times.intended = stamped.at;
    if (!times.confirmed) times.confirmed = stamped.at;
    times.result = confirmed->result;
  } else if (const auto* undone = std::get_if<EffectUndone>(&stamped.record)) {
    story_.effects[undone->id].undone = stamped.at;
    if (HoldSpan* hold = open_hold(); hold != nullptr && undone->id == hold_effect) {
      hold->released = stamped.at;
    }
  }
}

namespace {

// "": by a release that did not say.
std::string as_written_of(const std::string& tables) {
  const nlohmann::json about = nlohmann::json::parse(tables, nullptr, false);
  return about.is_object() ? about.value("as_written", "") : "";
}

}  // namespace

void StoryTeller::hear(const Stamped& stamped) {
  Story& story = story_;
  const TimePoint at = stamped.at;
  ++story.records;
  if (!story.began) story.began = at;
  story.last = at;
  hear_effect(stamped);
  if (const auto* accepted = std::get_if<PlanAccepted>(&stamped.record)) {
    story.attempts.push_back({accepted->attempt, at, std::nullopt, ""});
    as_written_ = as_written_of(accepted->tables);
    switched_.reset();
    story.effects.clear();
    story.chunks.clear();
    story.carried.clear();
    story.bytes.clear();
  } else if (const auto* entered = std::get_if<PhaseEntered>(&stamped.record)) {
    if (!story.phases.empty() && !story.phases.back().to) story.phases.back().to = at;
    phase_ = entered->phase;
    if (phase_ == Phase::watching && !switched_) switched_ = at;
    if (phase_ == Phase::rolled_back && switched_ && !as_written_.empty()) {
      story.rehearsed.push_back({as_written_, *switched_, at});
    }
    story.phases.push_back({story.attempt(), entered->phase, entered->why, at, std::nullopt});
    const bool goes_on = !story.attempts.empty() && !is_final(entered->phase);
    if (goes_on) story.attempts.back().to.reset();
  } else if (const auto* chunk = std::get_if<ChunkCopied>(&stamped.record)) {
    story.chunks.push_back({at, chunk->ms, chunk->read});
    story.bytes[chunk->move] += chunk->bytes;
  } else if (const auto* changes = std::get_if<ChangesApplied>(&stamped.record)) {
    story.carried.push_back({at, changes->changes, changes->feed.starts_with("backward")});
    if (HoldSpan* hold = open_hold()) hold->carried += changes->changes;
  } else if (const auto* ended = std::get_if<VerifyEnded>(&stamped.record)) {
    story.comparisons.push_back({story.attempt(), phase_, at, *ended});
  } else if (const auto* failed = std::get_if<Failed>(&stamped.record)) {
    story.incidents.push_back({story.attempt(), phase_, at, *failed});
  } else if (const auto* decided = std::get_if<OperatorDecided>(&stamped.record)) {
    story.decisions.push_back({story.attempt(), at, *decided});
  } else if (const auto* closed = std::get_if<Closed>(&stamped.record)) {
    if (story.attempts.empty()) return;
    story.attempts.back().to = at;
    story.attempts.back().outcome = closed->outcome;
  }
}

Story tell(const std::vector<Stamped>& records) {
  StoryTeller teller;
  for (const Stamped& stamped : records) teller.hear(stamped);
  return std::move(teller).end();
}

}  // namespace whimbrel
