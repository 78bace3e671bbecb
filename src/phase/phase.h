// The phases of a migration, their edges as data, and the decision what to do next.
//
// Phases are compared for equality only; the edge list says the rest. `decide` is a pure function,
// so it is tested as a table, replayed from a journal, and printed by `status`.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "phase/names.h"

namespace whimbrel {

struct Edge {
  Phase from;
  Phase to;
  const char* when;
};

inline constexpr std::array edges = {
    Edge{Phase::planned, Phase::prepared, "targets and capture objects exist"},
    Edge{Phase::prepared, Phase::copying, "the capture position is durable"},
    Edge{Phase::copying, Phase::following, "every chunk has moved"},
    Edge{Phase::following, Phase::verified, "every chunk matches"},
    Edge{Phase::verified, Phase::following, "something changed that has to be compared again"},
    Edge{Phase::verified, Phase::fenced, "the switch begins"},
    Edge{Phase::fenced, Phase::following, "the hold expired; nothing is switched"},
    Edge{Phase::fenced, Phase::watching, "every switch is flipped"},
    Edge{Phase::fenced, Phase::stuck, "the outcome of a switch is unknown"},
    Edge{Phase::watching, Phase::stuck, "the outcome of a switch is unknown"},
    Edge{Phase::stuck, Phase::fenced, "a person says: switched"},
    Edge{Phase::stuck, Phase::following, "a person says: not switched"},
    Edge{Phase::watching, Phase::finishing, "the way back is given up"},
    Edge{Phase::finishing, Phase::finished, "nothing of ours is left"},
    Edge{Phase::planned, Phase::rolling_back, "asked"},
    Edge{Phase::prepared, Phase::rolling_back, "asked"},
    Edge{Phase::copying, Phase::rolling_back, "asked"},
    Edge{Phase::following, Phase::rolling_back, "asked"},
    Edge{Phase::verified, Phase::rolling_back, "asked"},
    Edge{Phase::fenced, Phase::rolling_back, "asked"},
    Edge{Phase::watching, Phase::rolling_back, "asked"},
    Edge{Phase::stuck, Phase::rolling_back, "asked"},
    Edge{Phase::rolling_back, Phase::rolled_back, "every effect is undone"},
    Edge{Phase::rolled_back, Phase::planned, "a new attempt"},
    Edge{Phase::finished, Phase::watching, "the old side was brought back and up to date"},
    Edge{Phase::finishing, Phase::watching, "the old side is there yet, and up to date again"},
};

constexpr bool is_edge(Phase from, Phase to) {
  for (const Edge& edge : edges) {
    if (edge.from == from && edge.to == to) return true;
  }
  return false;
}

constexpr bool every_phase_is_reachable() {
  std::array<bool, phase_count> reached{};
  reached[static_cast<std::size_t>(Phase::planned)] = true;
  for (int round = 0; round < phase_count; ++round) {
    for (const Edge& edge : edges) {
      if (reached[static_cast<std::size_t>(edge.from)]) {
        reached[static_cast<std::size_t>(edge.to)] = true;
      }
    }
  }
  for (const bool one : reached) {
    if (!one) return false;
  }
  return true;
}

constexpr bool is_final(Phase phase) {
  return phase == Phase::finished || phase == Phase::rolled_back;
}

constexpr bool every_live_phase_can_roll_back() {
  for (int i = 0; i < phase_count; ++i) {
    const auto phase = static_cast<Phase>(i);
    if (is_final(phase) || phase == Phase::finishing || phase == Phase::rolling_back) continue;
    if (!is_edge(phase, Phase::rolling_back)) return false;
  }
  return true;
}

static_assert(every_phase_is_reachable());
static_assert(every_live_phase_can_roll_back());
static_assert(!is_edge(Phase::copying, Phase::watching), "unverified data is never cut over");
static_assert(!is_edge(Phase::following, Phase::fenced), "unverified data is never cut over");
static_assert(!is_edge(Phase::finishing, Phase::rolling_back), "what is removed cannot come back");
static_assert(!is_edge(Phase::finished, Phase::rolling_back), "the old side is out of date");

// What the engine knows when it decides. Everything comes from the journal or from a look at the
// stores that changed nothing.
struct Facts {
  bool backups_taken = false;
  bool prepared = false;  // every prepare effect is confirmed
  bool copied = false;    // every table's last chunk is journaled
  bool drained = false;   // the feed was read to its end by this run
  // Without a feed: the copy ended a moment ago, and the comparison carries over what differs.
  bool comparison_drains = false;
  bool verified_by_this_run = false;  // a full comparison, or what changed since one, is clean
  bool switched = false;              // every switch is confirmed
  bool rollback_asked = false;
  std::int64_t set_aside = 0;  // rows that only the old side has
  bool switch_begun = false;   // some switch was meant to flip, whether it did or not
  bool effects_left = true;    // while rolling back: something is still to be undone
};

enum class Act {
  take_backups,
  prepare,
  enter,
  copy,
  drain,
  verify,
  cut_over,
  let_go,  // of the writers: nothing is switched
  reverse,
  undo,
  stop,
  refuse,
};
struct Decision {
  Act act;
  Phase to;  // for `enter`
  std::string why;
};

// The next thing to do on the way to the goal. `stop` when the goal is reached.
Decision decide(Phase phase, Goal goal, const Facts& facts);

}  // namespace whimbrel
