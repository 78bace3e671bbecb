#include "report/objects_made.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/text.h"

namespace whimbrel {

namespace {

// Where a store has no triggers nothing of ours is made in it but what tells of changes.
nlohmann::json objects_beside(const Migration& migration) {
  nlohmann::json objects = nlohmann::json::array();
  for (const Move& move : migration.moves) {
    if (move.creates_target) objects.push_back("table " + move.to);
    objects.push_back("a stream of " + move.from + ", unless it has one");
    objects.push_back("at the switch a stream of " + move.to + ", unless it has one");
  }
  return objects;
}

// Where every table has locks of its own, what is ours lies in a schema of ours.
nlohmann::json objects_in_schema(const Migration& migration) {
  nlohmann::json objects = nlohmann::json::array();
  for (const Move& move : migration.moves) {
    if (move.creates_target) objects.push_back("table " + move.to);
  }
  if (migration.only_copies) {
    objects.push_back("own-rows.db in the state folder: which rows of the new side are ours");
  } else {
    objects.push_back("triggers on the tables in use that note the keys they write (whimbrel_…)");
  }
  objects.push_back(
      "the schema whimbrel: which journal drives the migration, and keys that were written, until "
      "they are carried over");
  return objects;
}

// Where triggers are rows of the tables' own file.
nlohmann::json objects_of_triggers(const Migration& migration) {
  nlohmann::json objects = nlohmann::json::array();
  bool replaces = false;  // a row can stand in the way of another by more than its key
  bool numbered = false;  // rows are told apart by the store's own numbers
  for (const Move& move : migration.moves) {
    if (move.creates_target) objects.push_back("table " + move.to);
    for (const TableSchema* table : {&move.mapping.source, &move.mapping.target}) {
      replaces = replaces || !table->uniques.empty() || !table->other_uniques.empty();
      numbered = numbered || !table->row_number().empty();
    }
  }
  const bool several = migration.moves.size() > 1;
  const char* in_use = several ? "tables" : "table";
  objects.push_back(
      migration.sync == Sync::dual
          ? fmt::format("triggers on both tables{} that carry each write to the other side "
                        "(whimbrel_…)",
                        several ? " of each pair" : "")
      : migration.sync == Sync::capture
          ? fmt::format("triggers on the {} in use that note the keys {} (whimbrel_…)", in_use,
                        several ? "they write" : "it writes")
          : fmt::format("in the window only: triggers on the {} in use that hold {} writers and "
                        "note the keys of writes that escape (whimbrel_…)",
                        in_use, several ? "their" : "its"));
  objects.push_back("whimbrel_claims: which journal drives the migration");
  objects.push_back("whimbrel_guard: tells those triggers which writes are whimbrel's own");
  if (migration.sync == Sync::dual) {
    objects.push_back(
        "whimbrel_…_touched: keys that the new side wrote, which a rollback looks at");
    if (replaces) {
      objects.push_back(
          "whimbrel_…_replaced_…: keys that INSERT OR REPLACE may remove, while it runs");
    }
  } else {
    objects.push_back("whimbrel_…_log: keys that were written, until they are carried over");
    objects.push_back("whimbrel_holds: until when writers are held, during the switch");
  }
  if (numbered) {
    objects.push_back("whimbrel_…_witness: shows whether rows without a key were numbered anew");
  }
  return objects;
}

// Whether all stores can do what this says, on both sides of every move.
bool everywhere(const Migration& migration, bool Capabilities::* what) {
  return std::ranges::all_of(migration.moves, [&](const Move& move) {
    return move.source->capabilities().*what && move.target->capabilities().*what;
  });
}
bool anywhere(const Migration& migration, bool Capabilities::* what) {
  return std::ranges::any_of(migration.moves, [&](const Move& move) {
    return move.source->capabilities().*what || move.target->capabilities().*what;
  });
}

}  // namespace

nlohmann::json objects_made(const Migration& migration) {
  if (everywhere(migration, &Capabilities::locks_tables)) return objects_in_schema(migration);
  if (migration.only_copies) {
    nlohmann::json objects = {
        "own-rows.db in the state folder: which rows of the new side are ours"};
    if (anywhere(migration, &Capabilities::holds)) {
      objects.push_back("whimbrel_claims: which journal drives the migration");
    }
    return objects;
  }
  if (!anywhere(migration, &Capabilities::holds)) return objects_beside(migration);
  return objects_of_triggers(migration);
}

std::string locks_taken(const Migration& migration) {
  if (everywhere(migration, &Capabilities::locks_tables)) {
    return "of each table for a moment, when its triggers come and go; of all of them during the "
           "switch, which holds writers for " +
           to_duration_text(migration.hold_max) + " at most";
  }
  if (!anywhere(migration, &Capabilities::holds)) return "none: nobody waits";
  return "one writer at a time: a chunk holds the write lock for about 25 ms";
}

}  // namespace whimbrel
