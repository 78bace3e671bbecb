// A whole table's mapping: every target column from the source's, and what leads back.
//
// Built once from two schemas; immutable afterwards, so any thread may read it.
#pragma once

#include <string>
#include <vector>

#include "transform/expr.h"

namespace whimbrel {

struct ColumnRule {
  std::string column;  // the column that is written
  int index;           // of that column in the written table's schema
  ExprPtr expr;        // resolved against the table that is read
};

struct Loss {
  std::string column;
  std::string what;  // a whole sentence part: "a null comes back as 'pending'"
};

struct Mapping {
  TableSchema source;
  TableSchema target;
  std::vector<ColumnRule> forward;    // target columns
  std::vector<ColumnRule> backward;   // source columns that can be given back
  std::vector<Loss> losses;           // on the way back, by source column
  std::vector<std::string> new_only;  // target columns that the old shape cannot hold
  // Source columns whose way back the plan gives itself: nobody has derived that it is the right
  // one.
  std::vector<std::string> given_back;
  bool key_is_copied = false;  // the target's key is the source's, column by column
  bool key_is_alike = false;   // and no type keeps less of it than the other
  // Nothing leads back from a key to the source's, as in a copy. Which row a row of the target
  // stands for is noted when it is made.
  bool key_goes_one_way = false;
  // Several parts are joined into one of the target's key: a row whose parts hold what separates
  // them would be taken for another one, and is refused.
  bool key_is_joined = false;
  // A plan says in its own words what a key becomes, in one store: whether it leads back is looked
  // at row by row.
  bool key_is_said = false;
  // The source's key has been made to be the target's: no other row is to have the same.
  bool key_is_made = false;
  // Texts that get a type with one spelling, of which others were there.
  std::vector<Respelling> respelled;
  // A source row with values that no column names (`TableSchema::rest_column`) is refused.
  bool rest_must_be_empty = false;

  // Source columns that rows of other tables hold: they are neither given back nor kept.
  std::vector<std::string> looked_up;
  // Rows of the target only follow from the source's, beside others that lead back.
  bool follows_only = false;

  // Positions of the key columns in the schemas, in key order.
  std::vector<int> source_key;
  std::vector<int> target_key;
};

// Errors: not_found for an unknown column; refused where rows could not be told apart afterwards:
// each key column of the target has to follow from the source's key, and lead back to it unless
// `leads_back` is false: a copy asks for no way back. `back`: source columns whose way back is not
// to be derived, over the target's columns.
using ColumnExprs = std::vector<std::pair<std::string, ExprPtr>>;
Result<Mapping> make_mapping(TableSchema source, TableSchema target, const ColumnExprs& columns,
                             bool leads_back = true, const ColumnExprs& back = {});

// The target row for a source row, in target column order; columns without a rule are null.
// Before the target's types are applied.
Result<Row> map_row(const Mapping& mapping, const Row& source);
Result<Row> map_key(const Mapping& mapping, const Row& source_key);
// The source row that the target row leads back to. Source columns nobody gives back are taken
// from `old_source` when there is one.
Result<Row> unmap_row(const Mapping& mapping, const Row& target, const Row* old_source);
Result<Row> unmap_key(const Mapping& mapping, const Row& target_key);

// Where a table has these columns; -1 for one that it does not have.
std::vector<int> positions_of(const std::vector<std::string>& columns, const TableSchema& table);
Row key_of(const Row& row, const std::vector<int>& key);
// Whether no two rows of the table have the same values in all of these columns, by its key or by a
// unique index over some of them.
bool is_unique_among(const TableSchema& table, const std::vector<std::string>& columns);

}  // namespace whimbrel
