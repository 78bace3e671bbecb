#include "follow/follow.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "follow/kept.h"
#include "plan/room.h"
#include "plan/selection.h"
#include "store/image.h"

namespace whimbrel {

namespace {
// Whether these are what written_values() would give of the row.
bool are_written_values(const Row& values, const std::vector<ColumnRule>& rules, const Row& row) {
  if (values.size() != rules.size()) return false;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (!same(values[i], row[static_cast<std::size_t>(rules[i].index)])) return false;
  }
  return true;
}

bool same_rows(const std::optional<Row>& a, const std::optional<Row>& b) {
  return a.has_value() == b.has_value() && (!a || same(*a, *b));
}

bool is_as_written(const std::optional<Row>& found, const Change& change,
                   const std::vector<ColumnRule>& rules) {
  return found.has_value() == change.row.has_value() &&
         (!found || are_written_values(*change.row, rules, *found));
}
}  // namespace

Follow::Follow(Direction direction, std::string feed, Store& store, const std::vector<Move>& moves,
               Journal& journal, Events& events, RejectRow reject)
    : direction_(direction),
      feed_(std::move(feed)),
      store_(store),
      moves_(moves),
      journal_(journal),
      events_(events),
      reject_(std::move(reject)) {}

std::string Follow::position() const {
  const State state = journal_.state();
  const auto it = state.positions.find(feed_);
  return it == state.positions.end() ? "" : it->second;
}

Result<Row> Follow::other_key(const Lane& lane, const Row& key) const {
  const Move& move = *lane.move;
  Result<Row> other = direction_ == Direction::forward
                          ? target_key_of(move.mapping, key, move.target->catalog())
                          : source_key_of(move.mapping, key, move.source->catalog());
  if (other.ok()) return other;
  return std::move(other).error().within("carrying over key " + show(key));
}

Result<Follow::Lane*> Follow::lane_for(const std::string& table) {
  if (const auto it = lanes_.find(table); it != lanes_.end()) return &it->second;
  for (const Move& move : moves_) {
    const bool forward = direction_ == Direction::forward;
    Store& from = forward ? *move.source : *move.target;
    const TableSchema& read = forward ? move.mapping.source : move.mapping.target;
    const bool leads_nowhere = !forward && move.mapping.follows_only;
    if (&from != &store_ || read.name != table || left_out_.contains(move.index) || leads_nowhere) {
      continue;
    }
    Store& to = forward ? *move.target : *move.source;
    const TableSchema& written = forward ? move.mapping.target : move.mapping.source;
    const auto& rules = forward ? move.mapping.forward : move.mapping.backward;
    Lane lane;
    lane.move = &move;
    ASSIGN_OR_RETURN(lane.from, from.open_reader(read));
    ASSIGN_OR_RETURN(lane.to, to.open_reader(written));
    ASSIGN_OR_RETURN(lane.writer, to.open_writer(written, written_columns(rules)));
    return &lanes_.insert_or_assign(table, std::move(lane)).first->second;
  }
  return static_cast<Lane*>(nullptr);  // a table of somebody else in the same feed
}

Status Follow::carry_forward(Lane& lane, const std::vector<Row>& keys,
                             const std::vector<std::optional<Row>>& rows,
                             std::vector<Change>& changes) {
  const Mapping& mapping = lane.move->mapping;
  const Catalog& catalog = lane.move->target->catalog();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSIGN_OR_RETURN(Row key, target_key_of(mapping, keys[i], catalog));
    std::optional<Row> written;
    if (!rows[i] && lane.move->own == nullptr) TRY(is_set_aside_no_more(lane, keys[i]));
    if (rows[i]) {
      Result<Row> image = lane.move->own != nullptr ? own_image_of(*lane.move, *rows[i])
                                                    : image_of(mapping, *rows[i], catalog);
      if (image.ok()) {
        TRY(is_set_aside_no_more(lane, keys[i]));
        written = written_values(mapping.forward, image.value());
      } else if (lane.move->on_error == OnError::fail) {
        return std::move(image).error().within("carrying over key " + show(keys[i]));
      } else {
        TRY(reject_(*lane.move, keys[i], image.error()));
      }
    }
    changes.push_back({std::move(key), std::move(written)});
  }
  return {};
}

Status Follow::is_set_aside_no_more(const Lane& lane, const Row& key) {
  if (row_is_carried_ == nullptr) return {};
  ASSIGN_OR_RETURN(const bool was, journal_.is_set_aside(lane.move->index, key_digest(key)));
  return was ? row_is_carried_(*lane.move, key) : Status();
}

Status Follow::carry_backward(Lane& lane, const std::vector<Row>& keys,
                              const std::vector<std::optional<Row>>& rows,
                              const std::set<Row, RowLess>& removed, std::vector<Change>& changes) {
  const Mapping& mapping = lane.move->mapping;
  const Catalog& catalog = lane.move->source->catalog();
  std::vector<Row> source_keys;
  for (const Row& key : keys) {
    ASSIGN_OR_RETURN(Row source_key, source_key_of(mapping, key, catalog));
    source_keys.push_back(std::move(source_key));
  }
  ASSIGN_OR_RETURN(std::vector<std::optional<Row>> old, lane.to->read_keys(source_keys));
  KeptBatch notes(journal_);
  TRY(notes.begin());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!rows[i]) {
      TRY(keep_unheld(journal_, lane.move->index, keys[i], {}));
      changes.push_back({source_keys[i], std::nullopt});
      continue;
    }
    if (removed.contains(keys[i])) old[i].reset();
    // Only what changed travels: where the old row already stands for this one, a value that has
    // no exact way back (a null that became a default) must not be touched.
    Row before = old[i].value_or(Row(mapping.source.columns.size()));
    Row row;
    if (keeps_) {
      row = source_that_fits(mapping, *rows[i], before, catalog);
    } else {
      ASSIGN_OR_RETURN(row, source_of(mapping, *rows[i], &before, catalog));
    }
    if (old[i]) {
      const Result<Row> image = image_of(mapping, *old[i], lane.move->target->catalog());
      for (const ColumnRule& rule : mapping.backward) {
        const auto at = static_cast<std::size_t>(rule.index);
        const bool moved = !image.ok() || gives_another(mapping, rule, image.value(), *rows[i]);
        if (!moved) row[at] = before[at];
      }
    }
    if (lane.move->source->stands_for_nothing(mapping.source, row)) {
      if (keeps_) TRY(keep_whole_row(journal_, *lane.move, keys[i], *rows[i]));
      changes.push_back({source_keys[i], std::nullopt});
      continue;
    }
    TRY(keep_unheld(journal_, lane.move->index, keys[i],
                    unheld(mapping, row, *rows[i], lane.move->target->catalog())));
    changes.push_back({source_keys[i], written_values(mapping.backward, row)});
  }
  return notes.commit();
}

// Whether a row made on the old side has defaults where nothing leads back.
static bool makes_defaults(const Mapping& mapping) {
  return std::ranges::any_of(mapping.source.columns, [&](const ColumnSchema& column) {
    return column.has_default &&
           std::ranges::count(mapping.backward, column.name, &ColumnRule::column) == 0;
  });
}

// What the target would be made of those defaults is known only now. After a crash in between the
// change is carried again, over that row.
Status Follow::keep_beside_defaults(Lane& lane, const std::vector<Row>& keys,
                                    const std::vector<std::optional<Row>>& rows,
                                    const std::vector<std::optional<Row>>& found) {
  KeptBatch notes(journal_);
  TRY(notes.begin());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!rows[i]) continue;
    if (!found[i]) {  // a trigger of the old table did not let it come
      if (keeps_) TRY(keep_whole_row(journal_, *lane.move, keys[i], *rows[i]));
      continue;
    }
    TRY(keep_unheld(journal_, lane.move->index, keys[i],
                    unheld(lane.move->mapping, *found[i], *rows[i], lane.move->target->catalog())));
  }
  return notes.commit();
}

// Looked at between two looks at the side that serves: it may have changed and changed back. True
// as well where it is another row by now: the feed has it, or will have it.
Result<bool> Follow::stands_as_carried(Lane& lane, const Row& key, const std::optional<Row>& row,
                                       const Change& change) {
  constexpr int looks_max = 5;
  const auto& rules =
      direction_ == Direction::forward ? lane.move->mapping.forward : lane.move->mapping.backward;
  const std::vector<Row> keys = {key};
  const std::vector<Row> other_keys = {change.key};
  for (int look = 0; look < looks_max; ++look) {
    ASSIGN_OR_RETURN(const auto before, lane.from->read_keys(keys));
    if (!same_rows(before[0], row)) return true;
    ASSIGN_OR_RETURN(const auto found, lane.to->read_keys(other_keys));
    if (is_as_written(found[0], change, rules)) return true;
    ASSIGN_OR_RETURN(const auto after, lane.from->read_keys(keys));
    if (same_rows(after[0], row)) return false;
  }
  return true;
}

// A row that did not arrive although the side that serves still holds what was carried: somebody
// else writes to the other side, or a write was lost.
Status Follow::compare(Lane& lane, const std::vector<Row>& keys,
                       const std::vector<std::optional<Row>>& rows,
                       const std::vector<Change>& changes,
                       const std::vector<std::optional<Row>>& found) {
  const bool forward = direction_ == Direction::forward;
  const Mapping& mapping = lane.move->mapping;
  const auto& rules = forward ? mapping.forward : mapping.backward;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const bool equal = is_as_written(found[i], changes[i], rules);
    const bool has_own_triggers = !(forward ? mapping.target : mapping.source).triggers.empty();
    if (equal || (has_own_triggers && (found[i] || keeps_))) continue;  // they have the last word
    ASSIGN_OR_RETURN(const bool stands, stands_as_carried(lane, keys[i], rows[i], changes[i]));
    if (stands) continue;
    // Another shape may not be able to hold it: it waits as a whole, and does not end the way back.
    if (keeps_ && lane.move->source_is_reshaped()) {
      TRY(keep_whole(lane, keys[i]));
      continue;
    }
    return Error{ErrorCode::data_mismatch,
                 fmt::format("{}: key {} was carried over and is not there as written",
                             lane.move->name, show(changes[i].key)),
                 "look for another writer on the side that does not serve",
                 "the position was not journaled; this change will be carried over again",
                 {},
                 ""};
  }
  return {};
}

// A row that came and went, and whose key has no counterpart, is nothing to carry. One that is
// there is told when it is carried.
Status Follow::leave_out_what_never_was(const Lane& lane, std::vector<Row>& keys) {
  std::vector<Row> odd;
  for (const Row& key : keys) {
    const Result<Row> other = other_key(lane, key);
    if (!other.ok() && other.error().code == ErrorCode::refused) odd.push_back(key);
  }
  if (odd.empty()) return {};
  ASSIGN_OR_RETURN(const auto rows, lane.from->read_keys(odd));
  for (std::size_t i = 0; i < odd.size(); ++i) {
    if (rows[i]) continue;
    std::erase_if(keys, [&](const Row& key) { return same(key, odd[i]); });
  }
  return {};
}

// Whether the old side has a row of this key that was set aside: what has the key on the new side
// is another one.
Result<bool> Follow::stayed_behind(const Lane& lane, const Row& source_key) {
  const Move& move = *lane.move;
  ASSIGN_OR_RETURN(const bool was, journal_.is_set_aside(move.index, key_digest(source_key)));
  if (!was) return false;
  const std::vector<Row> keys = {source_key};
  ASSIGN_OR_RETURN(const auto rows, lane.to->read_keys(keys));
  return rows[0] && !image_of(move.mapping, *rows[0], move.target->catalog()).ok();
}

// A row whose key has no counterpart cannot be anywhere on the other side.
Status Follow::set_aside_keys(const Lane& lane, std::vector<Row>& keys) {
  const Move& move = *lane.move;
  const bool backward = direction_ == Direction::backward;
  if (move.on_error == OnError::fail && !backward) return leave_out_what_never_was(lane, keys);
  std::vector<Row> kept;
  for (Row& key : keys) {
    const Result<Row> other = other_key(lane, key);
    const bool has_null = backward && std::ranges::any_of(key, &Value::is_null);
    if (has_null) continue;  // by a null no row is found again; a rollback looks for them
    if (backward && other.ok() &&
        !key_that_leads_back(move.mapping, key, move.source->catalog(), move.target->catalog())) {
      TRY(keep_whole(lane, key));
    } else if (other.ok()) {
      ASSIGN_OR_RETURN(const bool never_came,
                       backward ? stayed_behind(lane, other.value()) : Result<bool>(false));
      if (never_came) {
        TRY(keep_whole(lane, key));
      } else {
        kept.push_back(std::move(key));
      }
    } else if (backward && other.error().code == ErrorCode::refused) {
      TRY(keep_whole(lane, key));
    } else if (lane.move->on_error == OnError::fail) {
      return other.error();
    } else {
      const std::vector<Row> asked = {key};
      ASSIGN_OR_RETURN(const auto rows, lane.from->read_keys(asked));
      TRY(rows[0] ? reject_(*lane.move, key, other.error()) : is_set_aside_no_more(lane, key));
    }
  }
  keys = std::move(kept);
  return {};
}

// A row that has no place on the other side: all of it waits in the journal.
Status Follow::keep_whole(const Lane& lane, const Row& key) {
  const std::vector<Row> keys = {key};
  ASSIGN_OR_RETURN(const auto rows, lane.from->read_keys(keys));
  KeptBatch notes(journal_);
  TRY(notes.begin());
  if (rows[0]) {
    std::optional<Row> stays;
    if (Result<Row> other = other_key(lane, key); other.ok()) {
      const std::vector<Row> others = {std::move(other).value()};
      ASSIGN_OR_RETURN(auto there, lane.to->read_keys(others));
      stays = std::move(there.front());
    }
    TRY(keep_whole_row(journal_, *lane.move, key, *rows[0], stays));
  } else {
    TRY(keep_unheld(journal_, lane.move->index, key, {}));
  }
  return notes.commit();
}

// A key of the new side may say more than the old one: two rows there are then one here. The one
// that the old side has stays, as long as it is there.
Result<std::set<Row, RowLess>> Follow::keep_second_ones(
    const Lane& lane, const std::vector<Row>& keys, const std::vector<std::optional<Row>>& rows) {
  std::set<Row, RowLess> kept;
  const Mapping& mapping = lane.move->mapping;
  std::vector<Row> others;
  for (const Row& key : keys) {
    ASSIGN_OR_RETURN(Row other, other_key(lane, key));
    others.push_back(std::move(other));
  }
  ASSIGN_OR_RETURN(const auto own, lane.move->source->own_keys(mapping.source, others));
  std::set<Row, RowLess> taken;
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (!rows[i]) continue;
    bool is_second = !taken.insert(own[i].key).second;
    if (!is_second && own[i].now && !same(*own[i].now, others[i])) {
      Result<Row> first = target_key_of(mapping, *own[i].now, lane.move->target->catalog());
      if (!first.ok() && first.error().code != ErrorCode::refused) return std::move(first).error();
      if (first.ok()) {
        const std::vector<Row> asked = {std::move(first).value()};
        ASSIGN_OR_RETURN(const auto there, lane.from->read_keys(asked));
        is_second = there[0].has_value();
      }
      if (is_second) taken.erase(own[i].key);
    }
    if (!is_second) continue;
    TRY(keep_whole(lane, keys[i]));
    kept.insert(keys[i]);
  }
  return kept;
}

void Follow::note_size(Lane& lane, const std::vector<std::optional<Row>>& rows) {
  std::int64_t bytes = 0;
  std::int64_t there = 0;
  for (const std::optional<Row>& row : rows) {
    bytes += row ? size_of(*row) : 0;
    there += row ? 1 : 0;
  }
  if (there > 0) lane.row_bytes = std::max({bytes / there, lane.row_bytes / 2, std::int64_t{1}});
}

// As many as may be held in memory together, several times over.
Result<std::ptrdiff_t> Follow::rows_at_once(Lane& lane, const std::vector<Row>& keys) {
  constexpr std::int64_t bytes_at_once = std::int64_t{8} << 20;
  constexpr std::size_t looks_max = 8;  // the first may be gone
  for (std::size_t i = 0; lane.row_bytes == 0 && i < std::min(keys.size(), looks_max); ++i) {
    ASSIGN_OR_RETURN(const auto row, lane.from->read_keys({&keys[i], 1}));
    if (row[0]) lane.row_bytes = std::max<std::int64_t>(size_of(*row[0]), 1);
  }
  if (lane.row_bytes == 0) return changes_per_batch_max;
  return std::clamp<std::int64_t>(bytes_at_once / lane.row_bytes, 1, changes_per_batch_max);
}

// A constraint of the old side may refuse what the new side has: such rows are found by halving.
Result<std::int64_t> Follow::carry_what_fits(Lane& lane, const std::vector<Row>& keys,
                                             const std::set<Row, RowLess>& removed) {
  ASSIGN_OR_RETURN(const std::ptrdiff_t at_once, rows_at_once(lane, keys));
  // In short transactions, however many were read.
  if (std::ssize(keys) > at_once) {
    std::int64_t written = 0;
    for (auto from = keys.begin(); from != keys.end();) {
      const auto to = from + std::min<std::ptrdiff_t>(at_once, keys.end() - from);
      ASSIGN_OR_RETURN(const std::int64_t some,
                       carry_what_fits(lane, std::vector<Row>(from, to), removed));
      written += some;
      from = to;
    }
    return written;
  }
  Result<std::int64_t> carried = carry(lane, keys, removed);
  const bool refused = !carried.ok() && carried.error().is_of_a_row();
  if (!refused || !keeps_) return carried;
  if (keys.size() == 1) {
    TRY(keep_whole(lane, keys.front()));
    ASSIGN_OR_RETURN(const auto rows, lane.from->read_keys(keys));
    // What is not kept in the journal is told all the same: the old side does not let it go.
    if (!rows[0]) TRY(reject_(*lane.move, keys.front(), carried.error()));
    return std::int64_t{0};
  }
  const auto middle = keys.begin() + std::ssize(keys) / 2;
  ASSIGN_OR_RETURN(const std::int64_t one,
                   carry_what_fits(lane, std::vector<Row>(keys.begin(), middle), removed));
  ASSIGN_OR_RETURN(const std::int64_t two,
                   carry_what_fits(lane, std::vector<Row>(middle, keys.end()), removed));
  return one + two;
}

// A value that has to be unique moves between rows, and the row it left is not among these keys:
// its own change comes later in the feed, and is brought forward.
Result<std::int64_t> Follow::carry_with(Lane& lane, std::vector<Row> keys,
                                        const std::vector<Row>& blocked_by,
                                        const std::set<Row, RowLess>& removed) {
  const Move& move = *lane.move;
  const auto serving_key = [&](const Row& other) -> Result<Row> {
    if (move.own != nullptr) {
      const std::vector<Row> asked = {other};
      ASSIGN_OR_RETURN(const auto holder, move.own->find(asked));
      return holder[0] ? Result<Row>(holder[0]->source_key) : unique_to_another(move.to, other);
    }
    return direction_ == Direction::forward
               ? source_key_of(move.mapping, other, move.source->catalog())
               : target_key_of(move.mapping, other, move.target->catalog());
  };
  std::set<Row, RowLess> known(keys.begin(), keys.end());
  std::vector<Row> added;
  for (const Row& other : blocked_by) {
    ASSIGN_OR_RETURN(Row key, serving_key(other));
    if (!known.insert(key).second) {
      if (move.own != nullptr) return unique_to_another(move.to, other);
      return Error{ErrorCode::refused,
                   fmt::format("{}: the row with the key {} holds a value that has to be unique, "
                               "and another row is to have it as well",
                               move.name, show(other)),
                   "correct one of the two rows, or drop the unique index on that side until the "
                   "migration is finished",
                   "nothing of this batch was written; it will be carried over again",
                   {},
                   ""};
    }
    added.push_back(key);
    keys.push_back(std::move(key));
  }
  // Each may wait for the next, through a whole table: by itself it is asked what it waits for, and
  // all go together afterwards.
  while (!added.empty()) {
    std::vector<Row> waits_for;
    waits_for_ = &waits_for;
    const Result<std::int64_t> alone = carry(lane, added, {});
    waits_for_ = nullptr;
    if (!alone.ok()) break;  // told when it is carried with the others
    added.clear();
    for (const Row& other : waits_for) {
      ASSIGN_OR_RETURN(Row key, serving_key(other));
      if (!known.insert(key).second) continue;
      added.push_back(key);
      keys.push_back(std::move(key));
    }
  }
  return carry(lane, keys, removed);
}

// A row that came and went on the other side between the look and the write looks as if nobody had
// touched it. Nobody can tell then whether what was written there was before ours: it is named.
Status Follow::name_what_came_between(Lane& lane, const std::vector<Row>& keys,
                                      const std::vector<Change>& changes) {
  ASSIGN_OR_RETURN(const auto taken, written_there_(*lane.move));
  const auto& mapping = lane.move->mapping;
  const auto& rules = direction_ == Direction::forward ? mapping.forward : mapping.backward;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const bool was_absent = changes[i].only_if && !changes[i].only_if->has_value();
    if (!was_absent || !changes[i].row || !taken.contains(changes[i].key)) continue;
    const std::vector<Row> key = {changes[i].key};
    ASSIGN_OR_RETURN(const auto found, lane.to->read_keys(key));
    if (!found[0] || !is_as_written(found[0], changes[i], rules)) continue;
    TRY(conflict_(
        *lane.move, keys[i],
        Error{ErrorCode::conflict,
              "written on both sides of the switch, and it is not known which was last"}));
  }
  return {};
}

// What is there is guarded, but a row that comes and goes again in between looks as if nothing had
// happened, and the write brings it back. So the side that serves is looked at once more: whatever
// is written to it later is carried by itself.
Result<std::int64_t> Follow::carry_what_moved(Lane& lane, const std::vector<Row>& keys,
                                              const std::vector<std::optional<Row>>& rows,
                                              int looks) {
  const int looks_max = steps_ ? 3 : 20;
  ASSIGN_OR_RETURN(const std::vector<std::optional<Row>> now, lane.from->read_keys(keys));
  std::vector<Row> moved;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!same_rows(now[i], rows[i])) moved.push_back(keys[i]);
  }
  if (moved.empty()) return std::int64_t{0};
  if (looks == looks_max) {
    // Each of these changes is in the feed, behind this batch.
    if (steps_) return std::int64_t{0};
    return Error{ErrorCode::unavailable, "a row changes faster than it can be carried over"};
  }
  return carry(lane, moved, {}, looks + 1);
}

// Several spellings may be one key: by a collation, or as 1 and 1.0.
bool Follow::any_is_spelled_otherwise(const Lane& lane, const std::vector<Row>& keys,
                                      const std::vector<std::optional<Row>>& rows) const {
  const std::vector<int>& at = key_columns(lane);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (rows[i] && !same(key_of(*rows[i], at), keys[i])) return true;
  }
  return false;
}

static Error two_spellings(const Move& move, const Row& one, const Row& other) {
  return Error{ErrorCode::refused,
               fmt::format("{}: the rows with the keys {} and {} would be one on the new side",
                           move.name, show(one), show(other)),
               "decide which row is meant, and delete the other one or change its key",
               "nothing of this batch was written; it will be carried over again",
               {},
               ""};
}

// Two texts of the old side are one value on the new one. The row that is gone takes away nothing
// that came with the other text.
Result<std::optional<std::vector<Row>>> Follow::in_other_spellings(
    const Lane& lane, const std::vector<Row>& keys,
    const std::vector<std::optional<Row>>& rows) const {
  const Move& move = *lane.move;
  std::optional<std::vector<Row>> found;
  const bool may_meet = !move.mapping.respelled.empty() || move.mapping.key_is_said;
  if (direction_ == Direction::backward || !may_meet) return found;
  std::map<Row, Row, RowLess> present;  // by the key on the new side
  std::vector<Row> elsewhere;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!rows[i]) continue;
    ASSIGN_OR_RETURN(Row target, other_key(lane, keys[i]));
    ASSIGN_OR_RETURN(Row known, source_key_of(move.mapping, target, move.source->catalog()));
    if (!same(known, keys[i])) elsewhere.push_back(std::move(known));
    const auto [it, is_new] = present.emplace(std::move(target), keys[i]);
    if (!is_new && !same(it->second, keys[i])) return two_spellings(move, it->second, keys[i]);
  }
  if (!elsewhere.empty()) {
    ASSIGN_OR_RETURN(const auto standing, lane.from->read_keys(elsewhere));
    for (std::size_t i = 0; i < elsewhere.size(); ++i) {
      if (!standing[i]) continue;
      ASSIGN_OR_RETURN(const Row target, other_key(lane, elsewhere[i]));
      return two_spellings(move, elsewhere[i], present.at(target));
    }
  }
  bool any = false;
  std::set<Row, RowLess> known;
  std::vector<Row> all;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    Row key = keys[i];
    if (!rows[i]) {
      ASSIGN_OR_RETURN(const Row target, other_key(lane, key));
      const bool is_present = present.contains(target);
      if (!is_present) {
        ASSIGN_OR_RETURN(key, source_key_of(move.mapping, target, move.source->catalog()));
      }
      any = any || is_present || !same(key, keys[i]);
      if (is_present) continue;
    }
    if (known.insert(key).second) all.push_back(std::move(key));
  }
  if (any) found = std::move(all);
  return found;
}

const std::vector<int>& Follow::key_columns(const Lane& lane) const {
  const Mapping& mapping = lane.move->mapping;
  return direction_ == Direction::forward ? mapping.source_key : mapping.target_key;
}

// The row's own spelling stands for all of them.
Follow::Spelled Follow::spelled_as_they_are(const Lane& lane, const std::vector<Row>& keys,
                                            const std::vector<std::optional<Row>>& rows,
                                            const std::set<Row, RowLess>& removed) const {
  Spelled spelled{{}, removed};
  std::set<Row, RowLess> known;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    Row key = rows[i] ? key_of(*rows[i], key_columns(lane)) : keys[i];
    if (removed.contains(keys[i])) spelled.removed.insert(key);
    if (known.insert(key).second) spelled.keys.push_back(std::move(key));
  }
  return spelled;
}

// Forward only: nothing leads back.
Result<std::int64_t> Follow::carry_own(Lane& lane, const std::vector<Row>& keys) {
  const Move& move = *lane.move;
  ASSIGN_OR_RETURN(std::vector<std::optional<Row>> read, lane.from->read_keys(keys));
  note_size(lane, read);
  if (any_is_spelled_otherwise(lane, keys, read)) {
    return carry_own(lane, spelled_as_they_are(lane, keys, read, {}).keys);
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!read[i]) TRY(is_set_aside_no_more(lane, keys[i]));
  }
  Selection selection(moves_, move);
  ASSIGN_OR_RETURN(std::vector<Selection::Pick> picks, selection.pick(std::move(read)));
  if (move.orphans == Orphans::fail) TRY(selection.refuse_orphans(picks));
  std::vector<std::optional<Row>> rows(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (picks[i].fate == Selection::Fate::set_aside) TRY(reject_(move, keys[i], picks[i].error));
    if (picks[i].fate == Selection::Fate::taken) rows[i] = std::move(picks[i].row);
  }
  // A row that is not taken may have no counterpart at all.
  std::vector<Row> carried;
  std::vector<std::optional<Row>> images;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Result<Row> other = rows[i] ? Result<Row>(Row()) : other_key(lane, keys[i]);
    if (!other.ok() && other.error().code != ErrorCode::refused) return other.error();
    if (!other.ok()) continue;
    carried.push_back(keys[i]);
    images.push_back(std::move(rows[i]));
  }
  std::vector<Change> changes;
  TRY(carry_forward(lane, carried, images, changes));
  std::vector<OwnChange> own;
  for (std::size_t i = 0; i < carried.size(); ++i) {
    own.push_back({std::move(carried[i]), std::move(changes[i])});
  }
  const OwnPlace place{*move.own, *lane.to, *lane.writer, move.mapping, move.to, move.on_conflict};
  ASSIGN_OR_RETURN(const Applied applied, write_own(place, own));
  if (applied.blocked_by.empty()) return applied.written;
  if (waits_for_ != nullptr) {
    *waits_for_ = applied.blocked_by;
    return std::int64_t{0};
  }
  return carry_with(lane, keys, applied.blocked_by, {});
}

Result<std::int64_t> Follow::carry(Lane& lane, const std::vector<Row>& asked,
                                   const std::set<Row, RowLess>& removed, int looks) {
  std::vector<Row> keys = asked;
  TRY(set_aside_keys(lane, keys));
  if (lane.move->own != nullptr) return carry_own(lane, keys);
  std::vector<std::optional<Row>> there;
  if (written_there_) {
    // What is there is looked at before it is asked who wrote it: a later write is then noticed.
    std::vector<Row> other;
    for (const Row& key : keys) {
      ASSIGN_OR_RETURN(Row mapped, other_key(lane, key));
      other.push_back(std::move(mapped));
    }
    ASSIGN_OR_RETURN(there, lane.to->read_keys(other));
    ASSIGN_OR_RETURN(const auto taken, written_there_(*lane.move));
    std::vector<Row> free;
    std::vector<std::optional<Row>> free_there;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (taken.contains(other[i])) {
        const std::vector<Row> contested = {keys[i]};
        ASSIGN_OR_RETURN(const auto mine, lane.from->read_keys(contested));
        if (!mine[0] && !there[i]) {  // the same deletion
          free.push_back(keys[i]);
          free_there.push_back(there[i]);
          continue;
        }
        // The old side's version stays; the other one is not lost with the new table.
        if (mine[0] && keeps_) TRY(keep_for_a_person(journal_, *lane.move, keys[i], *mine[0]));
        if (stays_behind_) TRY(stays_behind_(*lane.move, keys[i], mine[0]));
        TRY(conflict_(*lane.move, keys[i],
                      Error{ErrorCode::conflict, "written on both sides of the switch"}));
      } else {
        free.push_back(keys[i]);
        free_there.push_back(there[i]);
      }
    }
    keys = std::move(free);
    there = std::move(free_there);
    if (keys.empty()) return std::int64_t{0};
  }
  ASSIGN_OR_RETURN(const std::vector<std::optional<Row>> rows, lane.from->read_keys(keys));
  note_size(lane, rows);
  if (any_is_spelled_otherwise(lane, keys, rows)) {
    const Spelled spelled = spelled_as_they_are(lane, keys, rows, removed);
    return carry(lane, spelled.keys, spelled.removed, looks);
  }
  ASSIGN_OR_RETURN(const auto others, in_other_spellings(lane, keys, rows));
  if (others) return carry(lane, *others, removed, looks);
  if (direction_ == Direction::backward && keeps_ && lane.move->source_is_reshaped()) {
    ASSIGN_OR_RETURN(const auto second, keep_second_ones(lane, keys, rows));
    if (!second.empty()) {
      std::vector<Row> first = keys;
      std::erase_if(first, [&](const Row& key) { return second.contains(key); });
      return first.empty() ? Result<std::int64_t>(0) : carry(lane, first, removed, looks);
    }
  }
  std::vector<Change> changes;
  if (direction_ == Direction::forward) {
    TRY(carry_forward(lane, keys, rows, changes));
  } else {
    TRY(carry_backward(lane, keys, rows, removed, changes));
  }
  // A row that was deleted and came back must not keep columns of the one before.
  std::vector<Change> batch;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (written_there_) changes[i].only_if = std::move(there[i]);
    if (!rows[i] || !removed.contains(keys[i])) continue;
    batch.push_back({changes[i].key, std::nullopt, std::move(changes[i].only_if)});
    changes[i].only_if =
        written_there_ ? std::optional<std::optional<Row>>(std::in_place) : std::nullopt;
  }
  // Each change is there once: a single row may be very large.
  const auto removals = std::ssize(batch);
  std::ranges::move(changes, std::back_inserter(batch));
  if (direction_ == Direction::forward) TRY(make_room(moves_, *lane.move, batch));
  ASSIGN_OR_RETURN(const Applied applied, lane.writer->apply(batch));
  changes.assign(std::make_move_iterator(batch.begin() + removals),
                 std::make_move_iterator(batch.end()));
  if (!applied.blocked_by.empty() && waits_for_ != nullptr) {
    *waits_for_ = applied.blocked_by;
    return std::int64_t{0};
  }
  if (!applied.blocked_by.empty()) return carry_with(lane, asked, applied.blocked_by, removed);
  if (applied.refused > 0) {
    // Two keys may be one on the other side, by a collation: there one row makes room for the
    // other, and only then the second look is worth something.
    std::vector<Row> gone;
    std::vector<Row> present;
    for (std::size_t i = 0; i < keys.size(); ++i) (rows[i] ? present : gone).push_back(keys[i]);
    if (!gone.empty() && !present.empty()) {
      ASSIGN_OR_RETURN(const std::int64_t first, carry(lane, gone, removed));
      ASSIGN_OR_RETURN(const std::int64_t second, carry(lane, present, removed));
      return first + second;
    }
    return Error{ErrorCode::unavailable,
                 "a row changed on the other side while it was carried over"};
  }
  // Defaults, and triggers of the old table, have the last word: what became of the row is looked
  // at.
  const bool keeps =
      direction_ == Direction::backward &&
      (makes_defaults(lane.move->mapping) || !lane.move->mapping.source.triggers.empty());
  if (keeps || !other_side_serves_) {
    std::vector<Row> written;
    for (const Change& change : changes) written.push_back(change.key);
    ASSIGN_OR_RETURN(const std::vector<std::optional<Row>> found, lane.to->read_keys(written));
    if (keeps) TRY(keep_beside_defaults(lane, keys, rows, found));
    if (!other_side_serves_) TRY(compare(lane, keys, rows, changes, found));
  }
  if (!written_there_) return applied.written;
  TRY(name_what_came_between(lane, keys, changes));
  ASSIGN_OR_RETURN(const std::int64_t moved, carry_what_moved(lane, keys, rows, looks));
  return applied.written + moved;
}

Result<FollowStep> Follow::step(std::int64_t changes_max) {
  steps_ = true;
  Result<FollowStep> stepped = carry_batch(changes_max);
  steps_ = false;
  return stepped;
}

// An item that only follows from a row is not brought back. What the application has written there,
// and does not follow from the row as it is now, waits for a person.
Status Follow::keep_what_leads_nowhere(const KeysByTable& written) {
  if (direction_ == Direction::forward) return {};
  for (const Move& move : moves_) {
    const auto own = written.find(move.mapping.target.name);
    const bool is_meant = move.mapping.follows_only && move.target.get() == &store_ &&
                          own != written.end() && !left_out_.contains(move.index);
    if (!is_meant) continue;
    const std::vector<Row> keys(own->second.begin(), own->second.end());
    ASSIGN_OR_RETURN(const auto reader, move.target->open_reader(move.mapping.target));
    ASSIGN_OR_RETURN(const auto rows, reader->read_keys(keys));
    std::vector<Row> asked;
    std::vector<std::size_t> of;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      Result<Row> source = source_key_of(move.mapping, keys[i], move.source->catalog());
      if (!rows[i] || !source.ok()) continue;
      asked.push_back(std::move(source).value());
      of.push_back(i);
    }
    ASSIGN_OR_RETURN(const auto old_side, move.source->open_reader(move.mapping.source));
    ASSIGN_OR_RETURN(const auto there, old_side->read_keys(asked));
    std::vector<bool> follows(keys.size());
    for (std::size_t i = 0; i < of.size(); ++i) {
      follows[of[i]] = there[i] && follows_from(move, *there[i], *rows[of[i]]);
    }
    KeptBatch notes(journal_);
    TRY(notes.begin());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (rows[i] && !follows[i]) {
        TRY(keep_for_a_person(journal_, move, keys[i], *rows[i]));
        continue;
      }
      ASSIGN_OR_RETURN(const bool stays, was_kept_by_an_earlier_attempt(move, keys[i]));
      if (!stays) TRY(keep_unheld(journal_, move.index, keys[i], {}));
    }
    TRY(notes.commit());
  }
  return {};
}

// This attempt has made the rows anew: that one follows says nothing of what was kept then.
Result<bool> Follow::was_kept_by_an_earlier_attempt(const Move& move, const Row& key) {
  ASSIGN_OR_RETURN(const auto note, journal_.kept_of(move.index, to_hex(canonical(key))));
  if (!note) return false;
  ASSIGN_OR_RETURN(const std::vector<Unheld> columns, columns_from(*note));
  const std::optional<std::int64_t> attempt = attempt_that_kept(columns);
  return attempt && *attempt != journal_.attempt();
}

// Also in columns that no rule of the plan gives a value.
bool Follow::follows_from(const Move& move, const Row& source, const Row& target) {
  const Result<Row> image = image_of(move.mapping, source, move.target->catalog());
  if (!image.ok() || !differing(move.mapping.forward, image.value(), target).empty()) return false;
  for (std::size_t i = 0; i < target.size(); ++i) {
    const ColumnSchema& column = move.mapping.target.columns[i];
    if (column.generated || !column.default_sql.empty()) continue;
    if (!target[i].is_null() && image.value()[i].is_null()) return false;
  }
  return true;
}

// The row that went is deleted on the old side, whichever of the two was carried first.
Result<std::int64_t> Follow::carry_where_they_went(const Move& move,
                                                   const std::set<Row, RowLess>& removed,
                                                   const KeysByTable& batch,
                                                   const KeysByTable& gone) {
  std::int64_t written = 0;
  if (direction_ == Direction::forward || removed.empty()) return written;
  ASSIGN_OR_RETURN(Lane* const own, lane_for(move.mapping.target.name));
  if (own == nullptr) return written;
  const std::vector<Row> asked(removed.begin(), removed.end());
  ASSIGN_OR_RETURN(const auto back, own->from->read_keys(asked));
  const auto has = [](const KeysByTable& all, const std::string& table, const Row& key) {
    const auto it = all.find(table);
    return it != all.end() && it->second.contains(key);
  };
  for (const Move& other : moves_) {
    if (!other.is_made_of_the_rows_of(move)) continue;
    // Where each row is in both, in part, it went nowhere: what is deleted on either is deleted,
    // unless it came back, or the other part was written since.
    const bool is_in_both = !move.has_conditions && !other.has_conditions;
    ASSIGN_OR_RETURN(Lane* const lane, lane_for(other.mapping.target.name));
    if (lane == nullptr || lane->move != &other) continue;
    std::vector<Row> keys;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const Result<Row> source = source_key_of(move.mapping, asked[i], move.source->catalog());
      if (!source.ok()) continue;
      Result<Row> there = target_key_of(other.mapping, source.value(), other.target->catalog());
      if (!there.ok()) continue;
      const std::string& table = other.mapping.target.name;
      const bool is_written = has(batch, table, there.value()) && !has(gone, table, there.value());
      if (is_in_both && !back[i] && !is_written) continue;
      keys.push_back(std::move(there).value());
    }
    ASSIGN_OR_RETURN(const auto rows, lane->from->read_keys(keys));
    std::vector<Row> present;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (rows[i]) present.push_back(std::move(keys[i]));
    }
    if (present.empty()) continue;
    ASSIGN_OR_RETURN(const std::int64_t carried, carry_what_fits(*lane, present, {}));
    written += carried;
  }
  return written;
}

Result<FollowStep> Follow::carry_batch(std::int64_t changes_max) {
  ASSIGN_OR_RETURN(const ChangeBatch batch, store_.capture().read(feed_, position(), changes_max));
  std::map<std::string, std::set<Row, RowLess>> keys;
  std::map<std::string, std::set<Row, RowLess>> removed;
  for (const KeyChange& change : batch.changes) {
    if (change.own) continue;  // the echo of what we carried over ourselves
    // Time takes a row from the side that does not serve any more: nobody has meant it.
    if (change.expired && other_side_serves_) continue;
    keys[change.table].insert(change.key);
    if (change.removed) removed[change.table].insert(change.key);
  }
  std::int64_t written = 0;
  for (auto& [table, set] : keys) {
    ASSIGN_OR_RETURN(Lane* const lane, lane_for(table));
    if (lane == nullptr) continue;
    Result<std::int64_t> carried =
        carry_what_fits(*lane, std::vector<Row>(set.begin(), set.end()), removed[table]);
    if (!carried.ok()) {
      return std::move(carried).error().within(fmt::format("following {}", lane->move->name));
    }
    written += carried.value();
  }
  for (const auto& [table, gone] : removed) {
    ASSIGN_OR_RETURN(Lane* const lane, lane_for(table));
    if (lane == nullptr) continue;
    ASSIGN_OR_RETURN(const std::int64_t carried,
                     carry_where_they_went(*lane->move, gone, keys, removed));
    written += carried;
  }
  TRY(keep_what_leads_nowhere(keys));
  if (batch.notes() > 0) {
    TRY(journal_.append(ChangesApplied{feed_, batch.position, batch.notes(), written}));
    if (heard_) heard_(batch);
    events_.emit(
        {"changes_applied", {{"feed", feed_}, {"changes", batch.notes()}, {"written", written}}});
  }
  return FollowStep{batch.notes(), batch.at_end};
}

// A row that others change again and again must not hold up the rest: where a guarded batch was
// refused its halves are carried by themselves.
Result<std::int64_t> Follow::carry_keys(const Move& move, std::vector<Row> keys) {
  constexpr int attempts_max = 50;
  const bool forward = direction_ == Direction::forward;
  ASSIGN_OR_RETURN(Lane* const lane,
                   lane_for(forward ? move.mapping.source.name : move.mapping.target.name));
  assert_always(lane != nullptr, "a move is followed from a store that does not hold it");
  for (int attempt = 1;; ++attempt) {
    Result<std::int64_t> carried = carry_what_fits(*lane, keys, {});
    const bool refused = !carried.ok() && carried.error().code == ErrorCode::unavailable;
    if (!refused || (keys.size() == 1 && attempt == attempts_max)) return carried;
    if (keys.size() == 1) continue;
    const auto middle = keys.begin() + std::ssize(keys) / 2;
    ASSIGN_OR_RETURN(const std::int64_t one,
                     carry_keys(move, std::vector<Row>(keys.begin(), middle)));
    ASSIGN_OR_RETURN(const std::int64_t two,
                     carry_keys(move, std::vector<Row>(middle, keys.end())));
    return one + two;
  }
}

Status Follow::look_ahead(std::string from,
                          const std::function<Status(const ChangeBatch& batch)>& see) {
  while (true) {
    ASSIGN_OR_RETURN(const ChangeBatch batch,
                     store_.capture().read(feed_, from, changes_per_batch_max));
    TRY(see(batch));
    from = batch.position;
    if (batch.at_end) return {};
  }
}

}  // namespace whimbrel
