#include "store/own_rows.h"

#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "store/image.h"

namespace whimbrel {

namespace {

std::string digest_of(const Mapping& mapping, const Row& row) {
  return digest_hex(canonical(written_values(mapping.forward, row)));
}

// As we wrote it, or as it was before that, or put back already.
Result<bool> is_as_written(const Mapping& mapping, const OwnRow& known, const Row& there) {
  const std::string now = digest_of(mapping, there);
  if (now == known.written || now == known.before) return true;
  if (known.original.empty()) return false;
  ASSIGN_OR_RETURN(const Row original, row_from_canonical(known.original));
  return now == digest_of(mapping, original);
}

Error somebody_elses(std::string_view table, const Row& key) {
  return Error{ErrorCode::refused,
               fmt::format("{} has a row with the key {} already, and it is none of this migration",
                           table, show(key)),
               "remove that row, or say `on_conflict: skip`, `overwrite` or `merge`",
               "that row was not touched",
               {},
               ""};
}

Error changed_since(std::string_view table, const Row& key) {
  return Error{ErrorCode::refused,
               fmt::format("the row {} of {} was changed by somebody since it was written",
                           show(key), table),
               "put it back as it was, or remove it; then run again",
               "that row was not touched",
               {},
               ""};
}

Error two_of_one(const Row& one, const Row& other, const Row& key) {
  return Error{ErrorCode::refused,
               fmt::format("two rows of the source would get one id: {} and {} both become {}",
                           show(one), show(other), show(key)),
               "take a longer format under `ids:`",
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
  for (const auto& [name, field] : some->fields) fields[name] = field;
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
  explicit OwnBatch(const OwnPlace& place) : place_(place) {}

  Status add(const OwnChange& one, const std::optional<OwnRow>& known,
             const std::optional<Row>& there) {
    return one.change.row ? writes(one, known, there) : goes(one.change.key, known, there);
  }

  Result<Applied> apply() {
    TRY(place_.book.note(noted_));
    ASSIGN_OR_RETURN(Applied applied, place_.writer.apply(batch_));
    if (!applied.blocked_by.empty()) {
      return Error{ErrorCode::refused,
                   fmt::format("the row {} of {} holds a value that has to be unique, and a row of "
                               "the source is to have it as well",
                               show(applied.blocked_by.front()), place_.table)};
    }
    if (applied.refused > 0) {
      return Error{ErrorCode::unavailable,
                   fmt::format("a row of {} was written by somebody meanwhile", place_.table)};
    }
    TRY(place_.book.forget(gone_));
    applied.skipped += left_out_;
    return applied;
  }

 private:
  Status goes(const Row& key, const std::optional<OwnRow>& known, const std::optional<Row>& there) {
    if (!known) return {};
    if (there) {
      ASSIGN_OR_RETURN(const bool ours, is_as_written(place_.mapping, *known, *there));
      if (!ours) return {};
    }
    gone_.push_back(key);
    if (!known->original.empty()) {
      ASSIGN_OR_RETURN(const Row original, row_from_canonical(known->original));
      batch_.push_back({key, written_values(place_.mapping.forward, original),
                        std::optional<std::optional<Row>>(there)});
    } else if (there) {
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
      if (!ours) return changed_since(place_.table, key);
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
      row.original = canonical(*there);
    }
    if (!row.original.empty() && place_.on_conflict == OnConflict::merge) {
      ASSIGN_OR_RETURN(const Row original, row_from_canonical(row.original));
      merge_into(place_.mapping, values, original);
    }
    row.written = digest_hex(canonical(values));
    if (there && known && now == row.written) return {};  // as it should be
    noted_.push_back(std::move(row));
    batch_.push_back({key, std::move(values), std::optional<std::optional<Row>>(there)});
    return {};
  }

  const OwnPlace& place_;
  std::vector<OwnRow> noted_;
  std::vector<Row> gone_;
  std::vector<Change> batch_;
  std::map<Row, Row, RowLess> made_of_;
  std::int64_t left_out_ = 0;
};

}  // namespace

Result<Applied> write_own(const OwnPlace& place, const std::vector<OwnChange>& changes) {
  std::vector<Row> keys;
  for (const OwnChange& one : changes) keys.push_back(one.change.key);
  ASSIGN_OR_RETURN(const auto known, place.book.find(keys));
  ASSIGN_OR_RETURN(const auto there, place.target.read_keys(keys));
  OwnBatch batch(place);
  for (std::size_t i = 0; i < changes.size(); ++i) TRY(batch.add(changes[i], known[i], there[i]));
  return batch.apply();
}

Status take_away_own(const OwnPlace& place,
                     const std::function<Status(const OwnRow& row)>& left_alone) {
  constexpr std::int64_t rows_at_once = 500;
  constexpr int tries_max = 20;
  std::optional<Row> after;
  for (int tries = 0;;) {
    ASSIGN_OR_RETURN(const std::vector<OwnRow> rows, place.book.following(after, rows_at_once));
    if (rows.empty()) return {};
    std::vector<Row> keys;
    for (const OwnRow& row : rows) keys.push_back(row.target_key);
    ASSIGN_OR_RETURN(const auto there, place.target.read_keys(keys));
    std::vector<Change> batch;
    std::vector<const OwnRow*> changed;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      bool ours = false;
      if (there[i]) {
        ASSIGN_OR_RETURN(ours, is_as_written(place.mapping, rows[i], *there[i]));
      }
      const bool was_over_another = !rows[i].original.empty();
      if (there[i] ? !ours : was_over_another) {
        changed.push_back(&rows[i]);
      } else if (was_over_another) {
        ASSIGN_OR_RETURN(const Row original, row_from_canonical(rows[i].original));
        batch.push_back({keys[i], written_values(place.mapping.forward, original), there[i]});
      } else if (there[i]) {
        batch.push_back({keys[i], std::nullopt, there[i]});
      }
    }
    ASSIGN_OR_RETURN(const Applied applied, place.writer.apply(batch));
    if (applied.refused > 0 && ++tries < tries_max) continue;  // somebody wrote it meanwhile
    for (const OwnRow* row : changed) TRY(left_alone(*row));
    after = keys.back();
    TRY(place.book.forget(keys));
    tries = 0;
  }
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
