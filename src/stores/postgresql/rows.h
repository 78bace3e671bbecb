// Reading and writing rows of one table.
#pragma once

#include <memory>
#include <span>

#include "store/store.h"
#include "stores/postgresql/connection.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

// A table as somebody knows it, found again after its name has changed.
class Located {
 public:
  Located(std::shared_ptr<Sessions> sessions, std::string name)
      : sessions_(std::move(sessions)), name_(std::move(name)) {}
  // Quoted, as SQL takes it right now.
  Result<std::string> sql(Connection& connection);

 private:
  std::shared_ptr<Sessions> sessions_;
  std::string name_;
  std::string sql_;
  std::uint64_t generation_ = 0;
};

std::unique_ptr<SnapshotReader> make_reader(std::shared_ptr<Sessions> sessions,
                                            const TableSchema& table);
// The same for the rows of one moment, in a transaction that lasts as long as the reader.
Result<std::unique_ptr<SnapshotReader>> make_reader_of_one_moment(
    std::shared_ptr<Sessions> sessions, const TableSchema& table);
// `first`: a session with a transaction that has locked the table: the first batch is written in
// it, and it ends with that. Null: any.
std::unique_ptr<BatchWriter> make_writer(std::shared_ptr<Sessions> sessions,
                                         const TableSchema& table,
                                         const std::vector<std::string>& columns,
                                         std::unique_ptr<Connection> first);
// Said at the beginning of a transaction that writes for us: what notes an application's writes
// tells ours from them.
inline constexpr const char* mark_own = "SET LOCAL whimbrel.own = 'on'";
// The same for rows that may be anywhere and come in any order. Where the role may, foreign keys
// and triggers of the application do not fire for them: what those have done to a row was done on
// the side that it comes from. `place`: the table, quoted.
struct OwnWrites {
  bool nothing_fires = false;
  // A unique constraint that is deferrable is kept by a trigger, too, and has to be kept by us.
  bool has_to_be_looked_through = false;
};
Result<OwnWrites> write_as_own(Connection& connection, Sessions& sessions,
                               const std::string& place);
// The connection's last error, with the right that the role needs where a foreign key refused.
Error with_missing_right(Error error, const Connection& connection, Sessions& sessions);

// Of a table that has it.
const ColumnSchema& column_of(const TableSchema& table, const std::string& name);
std::vector<Type> types_of(const TableSchema& table);
// Of the key's columns, in its order.
std::vector<Type> key_types_of(const TableSchema& table);
// As many cells as there are types.
Row row_of(const std::vector<Type>& types, std::span<const Cell> cells);
// A row's key as an array of texts, each as the type's output function says it.
std::string key_array(const TableSchema& table, const std::string& of);
// `("a", "b") > ($1::integer, $2::text)`; parameters are appended.
Result<std::string> after_key(const TableSchema& table, const std::string& qualifier,
                              const Row& after, Cells& parameters);
// What holds for rows of the range.
Result<std::string> within(const TableSchema& table, const std::string& qualifier,
                           const KeyRange& range, Cells& parameters);
// The same for statements that take no parameters: each value is quoted.
Result<std::string> within_as_text(const TableSchema& table, const std::string& qualifier,
                                   const KeyRange& range);

}  // namespace whimbrel::postgresql
