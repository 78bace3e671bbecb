#include "plan/subset.h"

#include <algorithm>
#include <functional>
#include <queue>

#include "base/sha256.h"
#include "plan/selection.h"

namespace whimbrel {

namespace {

constexpr ChunkLimits chunk_limits{2000, std::int64_t{8} << 20};
constexpr std::int64_t keys_at_once = 500;

// Two groups of keys for each move: those of its limit, and those that were chosen.
int limited(const Move& move) { return 2 * move.index; }
int chosen(const Move& move) { return 2 * move.index + 1; }

std::string key_bytes(const Move& move, const Row& row) {
  return canonical(key_of(row, move.mapping.source_key));
}

// Where a key stands among all keys: a number that says nothing of it.
std::uint64_t place_of(const std::string& key) {
  std::uint64_t place = 0;
  for (const char byte : sha256(key).substr(0, sizeof place)) {
    place = (place << 8) | static_cast<unsigned char>(byte);
  }
  return place;
}

std::size_t at(int index) { return static_cast<std::size_t>(index); }

// By move: whether no chain of references, in whatever direction, leads to a sampled table.
std::vector<bool> unconnected(std::span<const Move> moves) {
  std::vector<bool> connected;
  for (const Move& move : moves) connected.push_back(move.sample.has_value());
  for (bool grows = true; grows;) {
    grows = false;
    for (const Move& move : moves) {
      for (const Reference& reference : move.references) {
        const bool one = connected[at(move.index)];
        const bool other = connected[at(reference.parent)];
        if (one == other) continue;
        connected[at(move.index)] = connected[at(reference.parent)] = grows = true;
      }
    }
  }
  connected.flip();
  return connected;
}

}  // namespace

Result<bool> Subset::has(std::span<const Move> moves, const Move& move, const Row& row) {
  const std::lock_guard lock(mutex_);
  if (keys_ == nullptr) {
    if (Status done = choose(moves); !done.ok()) {
      keys_.reset();
      return std::move(done).error().within("choosing the rows of a sample");
    }
  }
  const std::string key = key_bytes(move, row);
  if (move.limit) {
    ASSIGN_OR_RETURN(const bool is_first, keys_->has(limited(move), key));
    if (!is_first) return false;
  }
  return is_whole_[at(move.index)] ? Result<bool>(true) : keys_->has(chosen(move), key);
}

Status Subset::choose(std::span<const Move> moves) {
  ASSIGN_OR_RETURN(keys_, KeySet::open());
  is_whole_ = unconnected(moves);
  for (const Move& move : moves) {
    if (move.limit) TRY(take_first(move));
  }
  for (const Move& move : moves) {
    if (move.sample) TRY(take_sample(move));
  }
  TRY(add_what_belongs(moves));
  return add_what_is_needed(moves);
}

Result<bool> Subset::is_eligible(const Move& move, const Row& row) {
  if (!meets_conditions(move, row)) return false;
  return move.limit ? keys_->has(limited(move), key_bytes(move, row)) : Result<bool>(true);
}

// Until `look` says that it has seen enough.
Status Subset::each_chunk(const Move& move,
                          const std::function<Result<bool>(const std::vector<Row>&)>& look) {
  ASSIGN_OR_RETURN(const auto reader,
                   move.source->open_reader_where(move.mapping.source, move.where));
  std::optional<Row> after;
  do {
    ASSIGN_OR_RETURN(const ChunkOfRows chunk, reader->read_after(after, chunk_limits));
    ASSIGN_OR_RETURN(const bool goes_on, look(chunk.rows));
    if (!goes_on) return {};
    after = chunk.range.through;
  } while (after);
  return {};
}

Status Subset::take_first(const Move& move) {
  std::int64_t left = *move.limit;
  return each_chunk(move, [&](const std::vector<Row>& rows) -> Result<bool> {
    for (const Row& row : rows) {
      if (left == 0) break;
      if (!meets_conditions(move, row)) continue;
      TRY(keys_->add(limited(move), key_bytes(move, row)));
      --left;
    }
    return left > 0;
  });
}

// First how far the smallest digests go, which takes eight bytes for each; then the rows.
Status Subset::take_sample(const Move& move) {
  std::priority_queue<std::uint64_t> smallest;
  TRY(each_chunk(move, [&](const std::vector<Row>& rows) -> Result<bool> {
    for (const Row& row : rows) {
      ASSIGN_OR_RETURN(const bool may_be, is_eligible(move, row));
      if (!may_be) continue;
      smallest.push(place_of(key_bytes(move, row)));
      if (std::ssize(smallest) > *move.sample) smallest.pop();
    }
    return true;
  }));
  if (smallest.empty()) return {};
  const std::uint64_t last = smallest.top();
  return each_chunk(move, [&](const std::vector<Row>& rows) -> Result<bool> {
    for (const Row& row : rows) {
      const std::string key = key_bytes(move, row);
      if (place_of(key) > last) continue;
      ASSIGN_OR_RETURN(const bool may_be, is_eligible(move, row));
      if (may_be) TRY(keys_->add(chosen(move), key));
    }
    return true;
  });
}

// Tables that refer to others come after these; where they refer to each other in a circle, all are
// looked at until nothing is added. A sampled table gets as many rows as it was given.
Status Subset::add_what_belongs(std::span<const Move> moves) {
  std::vector<bool> holds_some;  // by move
  for (const Move& move : moves) holds_some.push_back(move.sample.has_value());
  std::vector<bool> is_done = holds_some;
  const auto leads_up = [&](const Move& move) {
    std::vector<const Reference*> all;
    for (const Reference& reference : move.references) {
      if (holds_some[at(reference.parent)]) all.push_back(&reference);
    }
    return all;
  };
  const auto has_to_wait = [&](const Move& move) {
    return std::ranges::any_of(move.references, [&](const Reference& reference) {
      return !is_done[at(reference.parent)] && !is_whole_[at(reference.parent)];
    });
  };
  // Those for which everything above is known, as long as there are any.
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    for (const Move& move : moves) {
      if (is_done[at(move.index)] || is_whole_[at(move.index)] || has_to_wait(move)) continue;
      const auto references = leads_up(move);
      if (!references.empty()) {
        ASSIGN_OR_RETURN(holds_some[at(move.index)], add_belonging_rows(moves, move, references));
      }
      is_done[at(move.index)] = goes_on = true;
    }
  }
  for (bool grows = true; grows;) {
    grows = false;
    for (const Move& move : moves) {
      if (is_done[at(move.index)] || is_whole_[at(move.index)]) continue;
      const auto references = leads_up(move);
      if (references.empty()) continue;
      ASSIGN_OR_RETURN(const bool added, add_belonging_rows(moves, move, references));
      holds_some[at(move.index)] = holds_some[at(move.index)] || added;
      grows = grows || added;
    }
  }
  return {};
}

// True when there was one that was not there yet.
Result<bool> Subset::add_belonging_rows(std::span<const Move> moves, const Move& move,
                                        const std::vector<const Reference*>& references) {
  std::vector<std::unique_ptr<SnapshotReader>> parents;
  for (const Reference* reference : references) {
    const Move& parent = moves[at(reference->parent)];
    ASSIGN_OR_RETURN(auto reader, parent.source->open_reader(parent.mapping.source));
    parents.push_back(std::move(reader));
  }
  bool added = false;
  TRY(each_chunk(move, [&](const std::vector<Row>& rows) -> Result<bool> {
    std::vector<bool> belongs(rows.size(), false);
    for (std::size_t number = 0; number < references.size(); ++number) {
      const Reference& reference = *references[number];
      const Move& parent = moves[at(reference.parent)];
      std::vector<Row> ids;
      std::vector<std::size_t> of;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (belongs[i]) continue;
        for (Value& id : ids_of(reference, rows[i])) {
          ids.push_back({std::move(id)});
          of.push_back(i);
        }
      }
      ASSIGN_OR_RETURN(const auto there, parents[number]->read_keys(ids));
      for (std::size_t i = 0; i < there.size(); ++i) {
        if (!there[i] || belongs[of[i]]) continue;
        ASSIGN_OR_RETURN(belongs[of[i]], keys_->has(chosen(parent), key_bytes(parent, *there[i])));
      }
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!belongs[i]) continue;
      ASSIGN_OR_RETURN(const bool may_be, is_eligible(move, rows[i]));
      if (!may_be) continue;
      ASSIGN_OR_RETURN(const bool is_new, keys_->add(chosen(move), key_bytes(move, rows[i])));
      added = added || is_new;
    }
    return true;
  }));
  return added;
}

Status Subset::add_what_is_needed(std::span<const Move> moves) {
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    for (const Move& move : moves) {
      ASSIGN_OR_RETURN(std::vector<std::string> keys, keys_->take(chosen(move), keys_at_once));
      while (!keys.empty()) {
        goes_on = true;
        TRY(add_parents(moves, move, keys));
        ASSIGN_OR_RETURN(keys, keys_->take(chosen(move), keys_at_once));
      }
    }
  }
  return {};
}

Status Subset::add_parents(std::span<const Move> moves, const Move& move,
                           const std::vector<std::string>& keys) {
  if (move.references.empty()) return {};
  std::vector<Row> rows_wanted;
  for (const std::string& key : keys) {
    ASSIGN_OR_RETURN(Row row, row_from_canonical(key));
    rows_wanted.push_back(std::move(row));
  }
  ASSIGN_OR_RETURN(const auto reader, move.source->open_reader(move.mapping.source));
  ASSIGN_OR_RETURN(const auto rows, reader->read_keys(rows_wanted));
  for (const Reference& reference : move.references) {
    const Move& parent = moves[at(reference.parent)];
    std::vector<Row> ids;
    for (const std::optional<Row>& row : rows) {
      if (!row) continue;  // deleted a moment ago
      for (Value& id : ids_of(reference, *row)) ids.push_back({std::move(id)});
    }
    ASSIGN_OR_RETURN(const auto parents, parent.source->open_reader(parent.mapping.source));
    ASSIGN_OR_RETURN(const auto there, parents->read_keys(ids));
    for (const std::optional<Row>& one : there) {
      if (!one) continue;
      ASSIGN_OR_RETURN(const bool may_be, is_eligible(parent, *one));
      if (may_be) TRY(keys_->add(chosen(parent), key_bytes(parent, *one)));
    }
  }
  return {};
}

}  // namespace whimbrel
