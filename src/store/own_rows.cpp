#include "store/own_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/text.h"
#include "store/image.h"

namespace whimbrel {

namespace {

std::string digest_of(const Mapping& mapping, const Row& row) {
  return digest_hex(canonical(written_values(mapping.forward, row)));
}

bool writes_a_part(const Mapping& mapping) {
  return std::ranges::any_of(mapping.target.columns, [&](const ColumnSchema& column) {
    return !column.generated && !column.hidden &&
           std::ranges::count(mapping.forward, column.name, &ColumnRule::column) == 0;
  });
}

constexpr std::string_view changed_beside = "changed";  // no digest of a whole row

// By names, and without nulls: a column that the table gets later is no change of its rows.
std::string whole_digest_of(const Mapping& mapping, const Row& row) {
  Row values;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const ColumnSchema& column = mapping.target.columns[i];
    if (column.generated || column.hidden || row[i].is_null()) continue;
    values.push_back(Value::text(column.name));
    values.push_back(row[i]);
  }
  return digest_hex(canonical(values));
}

// In columns that the plan does not write.
bool is_changed_beside(const Mapping& mapping, const OwnRow& known, const Row& there) {
  return !known.whole.empty() &&
         known.whole.find(whole_digest_of(mapping, there)) == std::string::npos;
}

// As we wrote it, or as it was before that, or put back already.
Result<bool> is_as_written(const Mapping& mapping, const OwnRow& known, const Row& there) {
  const std::string now = digest_of(mapping, there);
  if (now == known.written || now == known.before) return true;
  if (known.original.empty()) return false;
  ASSIGN_OR_RETURN(const Row original, row_from_canonical(known.original));
  return now == digest_of(mapping, original);
}

// Where a row is to go: nobody has written into its other columns either.
Result<bool> is_all_ours(const Mapping& mapping, const OwnRow& known, const Row& there) {
  ASSIGN_OR_RETURN(const bool is_ours, is_as_written(mapping, known, there));
  return is_ours && !(known.original.empty() && is_changed_beside(mapping, known, there));
}

// Where a row of ours is to be taken away: somebody has written it since, or removed what it was
// written over.
Result<bool> is_left_alone(const Mapping& mapping, const OwnRow& known,
                           const std::optional<Row>& there) {
  if (!there) return !known.original.empty();
  ASSIGN_OR_RETURN(const bool ours, is_all_ours(mapping, known, *there));
  return !ours;
}

Error somebody_elses(std::string_view table, const Row& key) {
  return Error{ErrorCode::data_mismatch,
               fmt::format("{} has a row with the key {} already, and it is none of this migration",
                           table, show(key)),
               "remove that row, or say `on_conflict: skip`, `overwrite` or `merge`",
               "that row was not touched",
               {},
               ""};
}

Error other_spelling(std::string_view table, const Row& ours, const Row& theirs) {
  return Error{ErrorCode::refused,
               fmt::format("{} has the key {} already, spelled {}: to its collation they are one",
                           table, show(ours), show(theirs)),
               "say `on_conflict: skip`, or rename one of them",
               "that row was not touched",
               {},
               ""};
}

Error two_of_one(const Row& one, const Row& other, const Row& key) {
  return Error{ErrorCode::refused,
               fmt::format("two rows of the source would become one: {} and {} both get the key {}",
                           show(one), show(other), show(key)),
               "correct one of them, or take a longer format under `ids:`",
               "neither was written over the other",
               {},
               ""};
}

// Attributes that no column names are merged one by one.
Value merged(const Value& ours, const Value& theirs, bool is_rest) {
  if (ours.is_null()) return theirs;
  const auto* some = ours.get_if<Map>();
  const auto* others = theirs.get_if<Map>();
  if (!is_rest || some == nullptr || others == nullptr) return ours;
  std::map<std::string, Value> fields(others->fields.begin(), others->fields.end());
  for (const auto& [name, field] : some->fields) {
    if (!field.is_null() || !fields.contains(name)) fields[name] = field;
  }
  return Value(Value::Storage(Map{{fields.begin(), fields.end()}}));
}

// Values in the order of the rules, over a whole row of the target.
void merge_into(const Mapping& mapping, Row& values, const Row& theirs) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const ColumnRule& rule = mapping.forward[i];
    values[i] = merged(values[i], theirs[static_cast<std::size_t>(rule.index)],
                       rule.column == mapping.target.rest_column);
  }
}

// What one call of write_own is about to do.
class OwnBatch {
 public:
  explicit OwnBatch(const OwnPlace& place)
      : place_(place), writes_a_part_(writes_a_part(place.mapping)) {}

  Status add(const OwnChange& one, const std::optional<OwnRow>& known,
             const std::optional<Row>& there) {
    // One that is made of another row of the source is not this one's.
    const bool is_its = known && same(known->source_key, one.source_key);
    if (!one.change.row) return is_its ? goes(one.change.key, *known, there) : Status();
    return writes(one, known, there);
  }

  // `refused` and `blocked_by` as the writer says them; then nothing is noted that was not written.
  Result<Applied> apply() {
    TRY(place_.book.note(noted_));
    if (!seen_.empty()) TRY(place_.book.note(seen_));
    ASSIGN_OR_RETURN(Applied applied, place_.writer.apply(batch_));
    applied.skipped += left_out_;
    const bool is_done = applied.blocked_by.empty() && applied.refused == 0;
    if (!is_done) {
      TRY(take_notes_back());
      return applied;
    }
    TRY(place_.book.forget(gone_));
    if (!place_.mapping.target.triggers.empty() || writes_a_part_) TRY(note_what_became());
    return applied;
  }

 private:
  // A row that is not as it was to be is what it was before, in the book too.
  Status take_notes_back() {
    std::vector<Row> keys;
    for (const OwnRow& row : noted_) keys.push_back(row.target_key);
    ASSIGN_OR_RETURN(const auto there, place_.target.read_keys(keys));
    std::vector<OwnRow> as_before;
    std::vector<Row> new_ones;
    for (std::size_t i = 0; i < noted_.size(); ++i) {
      if (there[i] && digest_of(place_.mapping, *there[i]) == noted_[i].written) {
        if (!is_looked_at_whole(noted_[i])) continue;
        as_before.push_back(noted_[i]);
        as_before.back().whole = whole_digest_of(place_.mapping, *there[i]);
      } else if (known_[i]) {
        as_before.push_back(*known_[i]);
      } else {
        new_ones.push_back(keys[i]);
      }
    }
    TRY(place_.book.note(as_before));
    return place_.book.forget(new_ones);
  }

  // What the target's own triggers have made of the rows is ours as well.
  Status note_what_became() {
    std::vector<Row> keys;
    for (const OwnRow& row : noted_) keys.push_back(row.target_key);
    ASSIGN_OR_RETURN(const auto there, place_.target.read_keys(keys));
    std::vector<OwnRow> changed;
    for (std::size_t i = 0; i < noted_.size(); ++i) {
      if (!there[i]) continue;
      std::string now = digest_of(place_.mapping, *there[i]);
      const bool is_other = now != noted_[i].written;
      const bool is_new_in_part = is_looked_at_whole(noted_[i]);
      if (!is_other && !is_new_in_part) continue;
      changed.push_back(noted_[i]);
      if (is_new_in_part) changed.back().whole = whole_digest_of(place_.mapping, *there[i]);
      if (is_other) changed.back().before = std::exchange(changed.back().written, std::move(now));
    }
    return place_.book.note(changed);
  }

  bool is_looked_at_whole(const OwnRow& row) const {
    return writes_a_part_ && row.original.empty() && row.whole != changed_beside;
  }

  // As it is, and as it will be when it is written: whoever stops us in between leaves it so.
  std::string whole_before_and_after(const OwnRow& known, const Row& there,
                                     const Row& values) const {
    if (known.whole.empty()) return "";
    if (is_changed_beside(place_.mapping, known, there)) return std::string(changed_beside);
    Row after = there;
    for (std::size_t i = 0; i < values.size(); ++i) {
      after[static_cast<std::size_t>(place_.mapping.forward[i].index)] = values[i];
    }
    return whole_digest_of(place_.mapping, after) + " " + whole_digest_of(place_.mapping, there);
  }

  Status goes(const Row& key, const OwnRow& known, const std::optional<Row>& there) {
    if (there) {
      ASSIGN_OR_RETURN(const bool ours, is_all_ours(place_.mapping, known, *there));
      if (!ours) return {};
    }
    gone_.push_back(key);
    if (!there) return {};  // whoever removed it, it is not ours to bring back
    if (!known.original.empty()) {
      ASSIGN_OR_RETURN(const Row original, row_from_canonical(known.original));
      batch_.push_back({key, written_values(place_.mapping.forward, original),
                        std::optional<std::optional<Row>>(there)});
    } else {
      batch_.push_back({key, std::nullopt, there});
    }
    return {};
  }

  Status writes(const OwnChange& one, const std::optional<OwnRow>& known,
                const std::optional<Row>& there) {
    const Row& key = one.change.key;
    const auto [other, is_first] = made_of_.emplace(key, one.source_key);
    const Row& maker = known ? known->source_key : other->second;
    if ((!is_first || known) && !same(maker, one.source_key)) {
      return two_of_one(maker, one.source_key, key);
    }
    if (there && known) {
      ASSIGN_OR_RETURN(const bool ours, is_as_written(place_.mapping, *known, *there));
      if (!ours) {
        ++left_out_;  // it is his now; a comparison names it
        return {};
      }
    }
    const std::string now = there ? digest_of(place_.mapping, *there) : "";
    OwnRow row{key, one.source_key, "", now, known ? known->original : ""};
    Row values = *one.change.row;
    if (there && !known) {
      if (place_.on_conflict == OnConflict::fail) return somebody_elses(place_.table, key);
      if (place_.on_conflict == OnConflict::skip) {
        ++left_out_;
        return {};
      }
      if (!same(key_of(*there, place_.mapping.target_key), key)) {
        return other_spelling(place_.table, key, key_of(*there, place_.mapping.target_key));
      }
      row.original = canonical(*there);
    }
    if (!row.original.empty() && place_.on_conflict == OnConflict::merge) {
      ASSIGN_OR_RETURN(const Row original, row_from_canonical(row.original));
      merge_into(place_.mapping, values, original);
    }
    row.written = digest_hex(canonical(values));
    if (there && known && now == row.written) {  // as it should be
      // Whoever was stopped behind the write has not looked at the rest of it, and does not know
      // what triggers of the table have made of that.
      const bool was_stopped = known->whole.empty() || known->whole.find(' ') != std::string::npos;
      const bool is_ours_all_the_same = was_stopped && writes_a_part_ && row.original.empty() &&
                                        (!place_.mapping.target.triggers.empty() ||
                                         !is_changed_beside(place_.mapping, *known, *there));
      if (is_ours_all_the_same) {
        seen_.push_back(*known);
        seen_.back().whole = whole_digest_of(place_.mapping, *there);
      }
      return {};
    }
    if (there && known) row.whole = whole_before_and_after(*known, *there, values);
    noted_.push_back(std::move(row));
    known_.push_back(known);
    batch_.push_back({key, std::move(values), std::optional<std::optional<Row>>(there)});
    return {};
  }

  const OwnPlace& place_;
  bool writes_a_part_;
  std::vector<OwnRow> noted_;
  std::vector<OwnRow> seen_;                  // of which only the rest was looked at
  std::vector<std::optional<OwnRow>> known_;  // what the book said of these before
  std::vector<Row> gone_;
  std::vector<Change> batch_;
  std::map<Row, Row, RowLess> made_of_;
  std::int64_t left_out_ = 0;
};

// By the keys of the rows that are there: under a collation these may be spelled otherwise.
Result<std::vector<std::optional<OwnRow>>> known_rows(
    const OwnPlace& place, const std::vector<Row>& keys,
    const std::vector<std::optional<Row>>& there) {
  std::vector<Row> spelled;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    spelled.push_back(there[i] ? key_of(*there[i], place.mapping.target_key) : keys[i]);
  }
  return place.book.find(spelled);
}

// In the order of the keys, which are random to the target where they were computed anew: its pages
// are then written once and not again and again.
Result<Applied> write_once(const OwnPlace& place, const std::vector<OwnChange>& changes) {
  std::vector<const OwnChange*> sorted;
  for (const OwnChange& one : changes) sorted.push_back(&one);
  std::ranges::stable_sort(sorted, RowLess(),
                           [](const OwnChange* one) -> const Row& { return one->change.key; });
  std::vector<Row> keys;
  for (const OwnChange* one : sorted) keys.push_back(one->change.key);
  ASSIGN_OR_RETURN(const auto there, place.target.read_keys(keys));
  ASSIGN_OR_RETURN(const auto known, known_rows(place, keys, there));
  OwnBatch batch(place);
  for (std::size_t i = 0; i < sorted.size(); ++i) TRY(batch.add(*sorted[i], known[i], there[i]));
  return batch.apply();
}

using LeftAlone = std::function<Status(const OwnRow& row)>;

// Ends the story of rows of ours: removed, or what they were written over put back.
class TakingAway {
 public:
  TakingAway(const OwnPlace& place, const LeftAlone& left_alone)
      : place_(place), left_alone_(left_alone) {}

  Status take(const std::vector<OwnRow>& rows) {
    ASSIGN_OR_RETURN(const bool together, take_together(rows));
    if (together) return {};
    for (const OwnRow& row : rows) {
      const std::vector<Row> key = {row.target_key};
      ASSIGN_OR_RETURN(const auto known, place_.book.find(key));
      if (!known[0]) continue;  // has gone with another one
      ASSIGN_OR_RETURN(const bool taken, take_together({row}));
      if (!taken) held_back_.emplace_back(row.target_key, std::exchange(in_the_way_, {}));
    }
    return {};
  }

  // Rows that cannot get back what they were written over stay in the book: they can be asked for
  // again when the value that they wait for is free.
  Status all_taken() {
    std::vector<Row> keys;
    for (const auto& [key, in_the_way] : held_back_) keys.push_back(key);
    ASSIGN_OR_RETURN(const auto known, place_.book.find(keys));
    std::string first;
    std::int64_t rows = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!known[i]) continue;  // it went along with a later one
      if (++rows > 1) continue;
      const std::optional<Row>& in_the_way = held_back_[i].second;
      first = fmt::format("what the row {} of {} was written over cannot be put back: {}",
                          show(keys[i]), place_.table,
                          in_the_way ? fmt::format("the row {} has a value by now that has to be "
                                                   "unique",
                                                   show(*in_the_way))
                                     : "it is written faster than it can be put back");
    }
    if (rows == 0) return {};
    if (rows > 1) first += fmt::format("; {} like it", with_thousands(rows - 1));
    return Error{ErrorCode::data_mismatch,
                 std::move(first),
                 "give one of the two another value, and roll back again: a row that you have "
                 "changed is left alone",
                 "what it was is kept, and all others of the table are as they were",
                 {},
                 ""};
  }

 private:
  // With those that are in their way; false where that does not go.
  Result<bool> take_together(std::vector<OwnRow> rows) {
    constexpr int tries_max = 20;
    for (int tries = 0; tries < tries_max && !rows.empty();) {
      ASSIGN_OR_RETURN(const Applied applied, try_all(rows));
      if (applied.blocked_by.empty() && applied.refused == 0) {
        TRY(finish(rows));
        return true;
      }
      if (applied.blocked_by.empty()) {  // somebody wrote a row meanwhile
        ++tries;
        continue;
      }
      ASSIGN_OR_RETURN(const bool grows, add_blocking(rows, applied.blocked_by));
      if (!grows) return false;
    }
    return rows.empty();
  }

  Result<Applied> try_all(const std::vector<OwnRow>& rows) {
    std::vector<Row> keys;
    for (const OwnRow& row : rows) keys.push_back(row.target_key);
    ASSIGN_OR_RETURN(const auto there, place_.target.read_keys(keys));
    std::vector<Change> batch;
    changed_.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSIGN_OR_RETURN(const bool stays, is_left_alone(place_.mapping, rows[i], there[i]));
      if (stays) {
        changed_.push_back(rows[i]);
      } else if (!rows[i].original.empty()) {
        ASSIGN_OR_RETURN(const Row original, row_from_canonical(rows[i].original));
        batch.push_back({keys[i], written_values(place_.mapping.forward, original), there[i]});
      } else if (there[i]) {
        batch.push_back({keys[i], std::nullopt, there[i]});
      }
    }
    return place_.writer.apply(batch);
  }

  // Rows of ours that hold a unique value which one of these is to get back go along with them.
  // Each may wait for the next: those are asked for by themselves, which changes nothing, or takes
  // the last of them first.
  Result<bool> add_blocking(std::vector<OwnRow>& rows, std::vector<Row> blocked_by) {
    const std::size_t before = rows.size();
    std::set<Row, RowLess> keys;
    for (const OwnRow& row : rows) keys.insert(row.target_key);
    bool is_chain = rows.size() == 1;
    while (!blocked_by.empty()) {
      ASSIGN_OR_RETURN(const auto known, place_.book.find(blocked_by));
      std::vector<OwnRow> added;
      for (std::size_t i = 0; i < known.size(); ++i) {
        const auto stuck = stuck_.find(blocked_by[i]);
        if (!known[i] || stuck != stuck_.end()) {
          // At its end is a row of others: no other row of it need go the whole way to that.
          const Row end = stuck != stuck_.end() ? stuck->second : blocked_by[i];
          in_the_way_ = end;
          for (const OwnRow& row : rows) {
            if (is_chain) stuck_.emplace(row.target_key, end);
          }
          return false;
        }
        if (keys.insert(known[i]->target_key).second) added.push_back(*known[i]);
      }
      if (added.empty()) break;
      is_chain = is_chain && added.size() == 1;
      ASSIGN_OR_RETURN(const Applied alone, try_all(added));
      if (alone.blocked_by.empty() && alone.refused == 0) {
        TRY(finish(added));
        return true;
      }
      std::ranges::move(added, std::back_inserter(rows));
      blocked_by = alone.blocked_by;
    }
    return rows.size() > before;
  }

  Status finish(const std::vector<OwnRow>& rows) {
    for (const OwnRow& row : changed_) TRY(left_alone_(row));
    std::vector<Row> keys;
    for (const OwnRow& row : rows) keys.push_back(row.target_key);
    return place_.book.forget(keys);
  }

  const OwnPlace& place_;
  const LeftAlone& left_alone_;
  std::vector<OwnRow> changed_;        // by somebody, as the last try found them
  std::map<Row, Row, RowLess> stuck_;  // and the row of others that is in the way at the end
  std::optional<Row> in_the_way_;      // of the last try
  std::vector<std::pair<Row, std::optional<Row>>> held_back_;
};

}  // namespace

Result<Applied> write_own(const OwnPlace& place, const std::vector<OwnChange>& changes) {
  constexpr int tries_max = 20;
  for (int tries = 0; tries < tries_max; ++tries) {
    ASSIGN_OR_RETURN(Applied applied, write_once(place, changes));
    if (applied.refused == 0) return applied;
  }
  return Error{ErrorCode::unavailable,
               fmt::format("rows of {} change faster than they can be written", place.table)};
}

Error unique_to_another(std::string_view table, const Row& key) {
  return Error{ErrorCode::refused,
               fmt::format("the row {} of {} holds a value that has to be unique, and a row of the "
                           "source is to have it as well",
                           show(key), table),
               "correct one of the two, or drop the unique index until the copy is made",
               "neither was written over the other",
               {},
               ""};
}

Result<OwnOfOthers> own_of_others(OwnBook& book, SnapshotReader& target, const Mapping& mapping) {
  constexpr std::int64_t rows_at_once = 500;
  constexpr std::size_t examples_max = 5;
  OwnOfOthers all;
  std::optional<Row> after;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<OwnRow> rows, book.following(after, rows_at_once));
    if (rows.empty()) return all;
    after = rows.back().target_key;
    std::vector<Row> keys;
    for (const OwnRow& row : rows) keys.push_back(row.target_key);
    ASSIGN_OR_RETURN(const auto there, target.read_keys(keys));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSIGN_OR_RETURN(const bool stays, is_left_alone(mapping, rows[i], there[i]));
      if (!stays) continue;
      ++all.rows;
      if (all.examples.size() < examples_max) all.examples.push_back(keys[i]);
    }
  }
}

Status take_away_own(const OwnPlace& place,
                     const std::function<Status(const OwnRow& row)>& left_alone) {
  constexpr std::int64_t rows_at_once = 500;
  TakingAway taking(place, left_alone);
  std::optional<Row> after;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<OwnRow> rows, place.book.following(after, rows_at_once));
    if (rows.empty()) return taking.all_taken();
    after = rows.back().target_key;
    TRY(taking.take(rows));
  }
}

Result<OwnWithoutSource> own_without_source(OwnBook& book, SnapshotReader& source,
                                            const std::optional<Row>& after, std::int64_t rows_max,
                                            const std::function<Result<bool>(const Row&)>& wanted) {
  ASSIGN_OR_RETURN(const std::vector<OwnRow> rows, book.following(after, rows_max));
  std::vector<Row> keys;
  for (const OwnRow& row : rows) keys.push_back(row.source_key);
  std::vector<bool> stays;
  if (wanted == nullptr) {
    ASSIGN_OR_RETURN(stays, source.has_keys(keys));
  } else {
    ASSIGN_OR_RETURN(const auto found, source.read_keys(keys));
    for (const std::optional<Row>& row : found) {
      ASSIGN_OR_RETURN(const bool is_wanted, row ? wanted(*row) : Result<bool>(false));
      stays.push_back(is_wanted);
    }
  }
  OwnWithoutSource gone;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!stays[i]) gone.source_keys.push_back(std::move(keys[i]));
  }
  if (!rows.empty()) gone.through = rows.back().target_key;
  return gone;
}

Result<Row> merged_image(const Mapping& mapping, Row image, const OwnRow& known) {
  if (known.original.empty()) return image;
  ASSIGN_OR_RETURN(const Row original, row_from_canonical(known.original));
  Row values = written_values(mapping.forward, image);
  merge_into(mapping, values, original);
  for (std::size_t i = 0; i < values.size(); ++i) {
    image[static_cast<std::size_t>(mapping.forward[i].index)] = std::move(values[i]);
  }
  return image;
}

}  // namespace whimbrel
