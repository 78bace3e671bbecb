// A table cut into ranges of its key.
#pragma once

#include "store/store.h"
#include "stores/postgresql/rows.h"

namespace whimbrel::postgresql {

// Threads: one at a time.
class Ranges {
 public:
  // `table` has to outlive it; `qualifier` stands before its columns: "s.".
  Ranges(std::shared_ptr<Sessions> sessions, const TableSchema& table, std::string qualifier)
      : table_(table),
        qualifier_(std::move(qualifier)),
        place_(std::move(sessions), table.name),
        types_(key_types_of(table)) {}

  // What the server knows of the table's size; without it a range has as many rows as it may.
  Status learn_row_size(Connection& connection);
  std::int64_t row_bytes() const { return row_bytes_; }
  Result<std::string> place(Connection& connection) { return place_.sql(connection); }
  // The key `rows_max` further on, or less where that would be too many bytes; unset when the end
  // comes first. `until` ends a range as well.
  Result<std::optional<Row>> end_of(Connection& connection, const std::optional<Row>& after,
                                    const std::optional<Row>& until, const ChunkLimits& limits);
  // What holds for rows of the range; parameters are appended.
  Result<std::string> where(const KeyRange& range, Cells& parameters) const;
  // The same for statements that take none.
  Result<std::string> where_as_text(const KeyRange& range) const;
  // A key as the server gives it, column by column.
  Row key_of(std::span<const Cell> cells) const { return row_of(types_, cells); }
  // `s."a", s."b"`
  std::string key_list() const;

 private:
  const TableSchema& table_;
  std::string qualifier_;
  Located place_;
  std::vector<Type> types_;
  std::int64_t row_bytes_ = 0;
};

}  // namespace whimbrel::postgresql
