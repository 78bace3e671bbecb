#include "store/own_rows.h"

#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "store/image.h"

namespace whimbrel {

namespace {

std::string digest_of(const std::vector<ColumnRule>& rules, const Row& row) {
  return digest_hex(canonical(written_values(rules, row)));
}

bool is_as_written(const OwnRow& known, const std::string& digest) {
  return digest == known.written || digest == known.before;
}

Error somebody_elses(std::string_view table, const Row& key) {
  return Error{ErrorCode::refused,
               fmt::format("{} has a row with the key {} already, and it is none of this migration",
                           table, show(key)),
               "remove that row, or say other parts under `ids: {from: …}`",
               "that row was not touched",
               {},
               ""};
}

}  // namespace

Result<Applied> write_own(OwnBook& book, SnapshotReader& target, BatchWriter& writer,
                          const std::vector<ColumnRule>& rules, std::string_view table,
                          const std::vector<OwnChange>& changes) {
  std::vector<Row> keys;
  for (const OwnChange& one : changes) keys.push_back(one.change.key);
  ASSIGN_OR_RETURN(const auto known, book.find(keys));
  ASSIGN_OR_RETURN(const auto there, target.read_keys(keys));
  std::vector<OwnRow> noted;
  std::vector<Row> gone;
  std::vector<Change> batch;
  std::map<Row, Row, RowLess> made_of;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto& [source_key, change] = changes[i];
    if (!change.row) {
      const bool is_ours =
          known[i] && (!there[i] || is_as_written(*known[i], digest_of(rules, *there[i])));
      if (!is_ours) continue;
      gone.push_back(change.key);
      if (there[i]) batch.push_back({change.key, std::nullopt, there[i]});
      continue;
    }
    const auto [other, is_first] = made_of.emplace(change.key, source_key);
    const Row& maker = known[i] ? known[i]->source_key : other->second;
    if ((!is_first || known[i]) && !same(maker, source_key)) {
      return Error{ErrorCode::refused,
                   fmt::format("two rows of the source would get one id: {} and {} both become {}",
                               show(maker), show(source_key), show(change.key)),
                   "take a longer format under `ids:`",
                   "neither was written over the other",
                   {},
                   ""};
    }
    if (there[i] && !known[i]) return somebody_elses(table, change.key);
    const std::string now = there[i] ? digest_of(rules, *there[i]) : "";
    if (there[i] && !is_as_written(*known[i], now)) {
      return Error{ErrorCode::refused,
                   fmt::format("the row {} of {} was changed by somebody since it was written",
                               show(change.key), table),
                   "put it back as it was, or remove it; then run again",
                   "that row was not touched",
                   {},
                   ""};
    }
    noted.push_back({change.key, source_key, digest_hex(canonical(*change.row)), now});
    batch.push_back({change.key, change.row, std::optional<std::optional<Row>>(there[i])});
  }
  TRY(book.note(noted));
  ASSIGN_OR_RETURN(const Applied applied, writer.apply(batch));
  if (!applied.blocked_by.empty()) {
    return Error{ErrorCode::refused,
                 fmt::format("the row {} of {} holds a value that has to be unique, and a row of "
                             "the source is to have it as well",
                             show(applied.blocked_by.front()), table)};
  }
  if (applied.refused > 0) {
    return Error{ErrorCode::unavailable,
                 fmt::format("a row of {} was written by somebody meanwhile", table)};
  }
  TRY(book.forget(gone));
  return applied;
}

Status take_away_own(OwnBook& book, SnapshotReader& target, BatchWriter& writer,
                     const std::vector<ColumnRule>& rules,
                     const std::function<Status(const OwnRow& row)>& left_alone) {
  constexpr std::int64_t rows_at_once = 500;
  constexpr int tries_max = 20;
  std::optional<Row> after;
  for (int tries = 0;;) {
    ASSIGN_OR_RETURN(const std::vector<OwnRow> rows, book.following(after, rows_at_once));
    if (rows.empty()) return {};
    std::vector<Row> keys;
    for (const OwnRow& row : rows) keys.push_back(row.target_key);
    ASSIGN_OR_RETURN(const auto there, target.read_keys(keys));
    std::vector<Change> batch;
    std::vector<const OwnRow*> changed;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!there[i]) continue;
      if (is_as_written(rows[i], digest_of(rules, *there[i]))) {
        batch.push_back({keys[i], std::nullopt, there[i]});
      } else {
        changed.push_back(&rows[i]);
      }
    }
    ASSIGN_OR_RETURN(const Applied applied, writer.apply(batch));
    if (applied.refused > 0 && ++tries < tries_max) continue;  // somebody wrote it meanwhile
    for (const OwnRow* row : changed) TRY(left_alone(*row));
    after = keys.back();
    TRY(book.forget(keys));
    tries = 0;
  }
}

}  // namespace whimbrel
