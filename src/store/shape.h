// Tables as a plan reshapes them: what the engine sees in place of the tables of a store.
//
// The engine moves one row of one table to one row of another, and finds each by the other's key.
// Where a plan says more (one row becomes several items, several rows become one, several tables
// end in one, a key follows from other columns, a value is looked up in another table) the tables
// are shown to it in another shape, in which that is all it has to do.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/condition.h"
#include "transform/expr.h"
#include "value/schema.h"
#include "value/value.h"

namespace whimbrel {

// A value of a row of another table, found by its key; null where there is no such row.
struct LookedUp {
  std::string column;  // of the shape
  TableSchema table;
  std::string take;             // of its columns
  std::vector<std::string> by;  // columns of the shaped table: the other's key, in its order
};
// What several rows hold, as one document: what `by` holds names what comes of a row.
struct Collected {
  std::string column;               // of the shape
  std::vector<std::string> values;  // one, itself; or a document of those of these that are there
  std::string by;
  bool is_of_documents = false;
  bool as_json = false;  // as text, for a table that holds no documents
};

// A column of the shape's key that is made of others, as the other side will have it.
struct MadePart {
  std::string column;  // of the shape
  ExprPtr value;       // over the columns of the table
  std::function<Result<Value>(Value)> settled;
};

// A table that is read. Rows for which a condition does not hold are not of it. Its key may be
// longer than the table's own: then a row that gets another value there is another row.
struct SourceShape {
  TableSchema table;   // as the store knows it
  TableSchema shaped;  // its columns, or by what it is grouped and what is collected; then lookups
  std::vector<Condition> when;
  std::vector<LookedUp> looked_up;
  std::vector<std::string> group;  // rows with the same values in these are one
  std::vector<Collected> collected;
  // Where nothing leads from the other side's key to the table's own: the whole key, in its order.
  // Which row has had which key is then known only from having been read.
  std::vector<MadePart> made;
  bool rest_must_be_empty = false;  // of a grouped row
  bool is_written_back = true;      // else its rows only follow from others

  bool is_grouped() const { return !group.empty(); }
  // What a row's own key says.
  bool is_group_of_key() const {
    return std::ranges::all_of(group, [&](const auto& name) { return table.is_key(name); });
  }
  bool has_made_key() const { return !made.empty(); }
  // The key has more columns than the table's own.
  bool has_longer_key() const {
    return !is_grouped() && !has_made_key() && shaped.key.size() > table.key.size();
  }
  // A row may have another key than before without being another row.
  bool may_change_keys() const { return is_grouped() || has_made_key() || has_longer_key(); }
};

// What a column of a key holds, as far as the plan says so beforehand.
struct KeyPattern {
  std::optional<Value> constant;      // this value alone
  std::vector<std::string> literals;  // else a text with these pieces in this order, from its
                                      // beginning to its end; empty: anything
};
// What a value of the mapping gives, as a pattern.
KeyPattern pattern_of(const Expr& expr);
bool fits(const KeyPattern& pattern, const Value& value);
// Whether no value fits both.
bool are_apart(const KeyPattern& one, const KeyPattern& other);

// A column, no key, that holds the same value in every row of a move.
struct Mark {
  std::string column;
  Value value;
};

// A table that is written, in which several moves have their rows: those whose keys fit, and that
// bear the marks where keys fit several.
struct TargetShape {
  TableSchema table;
  TableSchema shaped;
  std::vector<KeyPattern> key;  // in key order
  std::vector<Mark> marks;      // only where a key does not say whose row it is
  bool is_read_back = true;     // else what the new side writes there leads nowhere

  bool has(const Row& key_of_row) const;
};
// Whether no key is of both.
bool are_apart(const TargetShape& one, const TargetShape& other);

}  // namespace whimbrel
