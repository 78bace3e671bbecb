// What a table looks like, as far as any store can tell.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "value/value.h"

namespace whimbrel {

struct ColumnSchema {
  std::string name;
  std::string declared;  // the store's own type text, "" when it has none
  bool nullable = true;
  bool has_default = false;
  bool generated = false;   // computed by the store: never written
  std::string collation;    // "" when the store compares by bytes
  Kind holds = Kind::null;  // what its values are; null where the store does not say
  bool hidden = false;      // the store's own number of a row, which serves a table without a key
  std::string default_sql = {};  // the store's own text of its default; "" where it has none
  std::size_t bytes_max = 0;     // of a value; 0 where the store does not say
};

struct ForeignKey {
  std::vector<std::string> columns;
  std::string parent;
  std::vector<std::string> parent_columns;
  std::string on_delete;
  std::string on_update;
  std::string name = {};  // of the constraint; "" where it has none
  // The store's own text of what stands behind it: actions, DEFERRABLE and the like.
  std::string options = {};

  // Whether a row that refers is changed or removed with the row that it refers to.
  bool acts() const {
    const auto does = [](const std::string& action) {
      return !action.empty() && !ascii_iequals(action, "NO ACTION") &&
             !ascii_iequals(action, "RESTRICT");
    };
    return does(on_delete) || does(on_update);
  }
};

// Rows that refer to rows that are not there.
enum class Orphans {
  fail,
  keep,
  null,    // the reference becomes null
  reject,  // the row is set aside
  remove,  // the row is left out, or deleted
  assign,  // the reference leads to a row that the plan names
};
// A column that refers to a table, and to which of its columns.
struct ReferringColumn {
  std::string table;
  std::string column;
  std::string parent_column;
};
// A reference that only a plan knows of.
struct AssumedKey {
  std::string column;
  std::string parent;
  std::string parent_column;
  Orphans orphans = Orphans::fail;
  Value assigned = {};  // as the old table has it
  Value assigned_there = {};
  std::vector<ReferringColumn> referred_by = {};  // to the rows that would be deleted, in this way
};

struct TableSchema {
  std::string name;
  std::vector<ColumnSchema> columns;
  std::vector<std::string> key;                   // in key order; empty: no usable key
  std::vector<std::vector<std::string>> uniques;  // besides the key
  std::vector<std::string> other_uniques;         // by name: over expressions, or some rows only
  std::vector<ForeignKey> foreign_keys;
  std::vector<AssumedKey> assumed_keys;
  std::vector<std::string> referenced_by;  // tables with a foreign key to this one
  std::vector<std::string> triggers;       // names of those that were there before us
  std::vector<std::string> views;          // names of views that mention this table
  // "trigger t of x": those of other tables that write to this one, where nothing else tells of
  // them.
  std::vector<std::string> written_by;
  bool has_checks = false;
  bool strict = false;             // the store refuses values of another type
  bool key_is_row_number = false;  // the key is the store's own number of a row: never null
  // What the table's own constraints do instead of refusing a row: "REPLACE", "IGNORE"; else "".
  std::string on_conflict;
  // Where rows may have values that no column names: the column that holds all of them, as a map.
  // "" where every value has its column.
  std::string rest_column;
  std::string partitioned_by;  // as the store says it, like "RANGE (day)"; "" for a plain table
  std::string create_ddl;
  std::string key_index_ddl;           // of the unique index that is the key, where there is one
  std::vector<std::string> index_ddl;  // indexes that can be made after the rows
  std::vector<std::string> trigger_ddl;
  // Foreign keys that can be made when the rows of all tables are there.
  std::vector<std::string> reference_ddl;

  int column_index(std::string_view column) const {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (columns[i].name == column) return static_cast<int>(i);
    }
    return -1;
  }
  // Names are matched as the store matches them: without regard to ASCII case, unless rows may have
  // values that no column names. "" when there is no such column.
  std::string own_spelling(std::string_view wanted) const {
    if (column_index(wanted) >= 0) return std::string(wanted);
    if (!rest_column.empty()) return "";
    for (const ColumnSchema& column : columns) {
      if (ascii_iequals(column.name, wanted)) return column.name;
    }
    return "";
  }
  std::vector<std::string> column_names() const {
    std::vector<std::string> names;
    for (const ColumnSchema& column : columns) names.push_back(column.name);
    return names;
  }
  // The hidden column by which the rows of a table without a key are told apart; else "".
  std::string row_number() const {
    for (const ColumnSchema& column : columns) {
      if (column.hidden) return column.name;
    }
    return "";
  }
  bool is_key(std::string_view column) const {
    for (const std::string& part : key) {
      if (part == column) return true;
    }
    return false;
  }
};

}  // namespace whimbrel
