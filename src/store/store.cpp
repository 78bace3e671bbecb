// The contract is nearly all interfaces; what a store need not be able to do is refused here.
#include "store/store.h"

#include <algorithm>

namespace whimbrel {

Status tell_unlike(Catalog& catalog, const TableSchema& wanted, const std::string& made,
                   const std::string& known_as, Events& events) {
  ASSIGN_OR_RETURN(const TableSchema there, catalog.describe(made));
  for (const std::string& what : catalog.unlike(wanted, there)) {
    events.emit({"made_unlike", {{"table", known_as}, {"what", what}}});
  }
  return {};
}

Result<std::vector<bool>> SnapshotReader::has_keys(std::span<const Row> keys) {
  ASSIGN_OR_RETURN(const auto rows, read_keys(keys));
  std::vector<bool> all;
  for (const std::optional<Row>& row : rows) all.push_back(row.has_value());
  return all;
}

namespace {

Error cannot_measure() {
  return Error{ErrorCode::refused, "this store runs no queries of an application",
               "measure with the application's own tools", "nothing was changed"};
}

}  // namespace

bool Store::copies_inside(const Mapping& mapping, const Store& source) const {
  const Dialect* spoken = dialect();
  return spoken != nullptr && reaches(source) &&
         std::ranges::all_of(mapping.forward, [&](const ColumnRule& rule) {
           return spell(*rule.expr, *spoken, [&](std::string_view c) { return spoken->quote(c); })
               .has_value();
         });
}

Result<std::unique_ptr<QueryRunner>> Store::open_queries(const std::vector<ReadingQuery>&,
                                                         Milliseconds) {
  return cannot_measure();
}

Result<std::unique_ptr<WriteProbe>> Store::open_write_probe(const TableSchema&, Milliseconds) {
  return cannot_measure();
}

Result<std::int64_t> Store::keep_copy(const std::string& table, const std::string&) {
  return Error{ErrorCode::refused, "this store keeps no copy of " + table + " in a schema"};
}

Result<std::optional<std::string>> Store::keep_backup(const std::string&, const std::string&) {
  return std::optional<std::string>();
}

Result<bool> put_back_by_writing(Store& store, const Mapping& mapping, const Row& target_row,
                                 const std::vector<std::pair<std::string, Value>>& columns) {
  std::vector<std::string> written = mapping.target.key;
  Row row = key_of(target_row, mapping.target_key);
  for (const auto& [column, value] : columns) {
    if (mapping.target.is_key(column)) continue;
    written.push_back(column);
    row.push_back(value);
  }
  ASSIGN_OR_RETURN(const auto writer, store.open_writer(mapping.target, written));
  const std::vector<Change> changes = {
      {key_of(target_row, mapping.target_key), std::move(row), std::optional<Row>(target_row)}};
  ASSIGN_OR_RETURN(const Applied applied, writer->apply(changes));
  return applied.refused == 0;
}
Rights Store::rights_for(TableUse, const std::string&) const { return {}; }
UnitMeter Store::unit_meter(const TableSchema&) const { return {}; }

std::unique_ptr<RowText> Store::row_text(const TableSchema&) const { return nullptr; }

Result<bool> Store::keep_points_in_time(const std::string&) { return false; }
Result<std::string> Store::restore_native(const NativeRestore&, bool) {
  return Error{ErrorCode::refused, identity() + " keeps no backups of its own",
               "restore from a folder: `whimbrel restore file:FOLDER STORE`",
               "nothing was changed"};
}

Status Store::drop_copies(const std::vector<std::string>&, const std::string&) { return {}; }

Status Store::log(const std::string& table, const LogLine&) {
  return Error{ErrorCode::refused, "this store keeps no lines in " + table};
}

Result<RoomTaken> Store::room_taken(const TableSchema&) { return cannot_measure(); }

}  // namespace whimbrel
