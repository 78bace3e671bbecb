#include "plan/open_tables.h"

#include <set>
#include <string>

namespace whimbrel {

namespace {

using Names = std::set<std::string>;

bool is_open(const TableSchema& table) { return !table.rest_column.empty(); }

Names named(const TableSchema& table) {
  Names names;
  for (const ColumnSchema& column : table.columns) {
    if (!column.hidden && column.name != table.rest_column) names.insert(column.name);
  }
  return names;
}

// The column that a value copies as it is, perhaps with another value for null; else "".
std::string moved_by(const Expr& expr) {
  if (const auto* bare = std::get_if<ColumnRef>(&expr.node)) return bare->column;
  const auto* with_default = std::get_if<IfNull>(&expr.node);
  return with_default == nullptr ? "" : moved_by(*with_default->of);
}

}  // namespace

void add_columns(TableSchema& table, const std::set<std::string>& names) {
  for (const std::string& name : names) {
    if (table.column_index(name) >= 0) continue;
    ColumnSchema column;
    column.name = name;
    const auto rest = table.columns.begin() + table.column_index(table.rest_column);
    table.columns.insert(rest, std::move(column));
  }
}

void open_up(const TableEntry& entry, TableSchema& source, TableSchema& target) {
  Names read;
  Names written;
  Names moved;
  for (const ColumnEntry& column : entry.columns) {
    written.insert(column.target);
    for (const std::string& name : columns_of(*column.expr)) read.insert(name);
    moved.insert(moved_by(*column.expr));
  }
  for (const NamedPlace& same : entry.same) {
    written.insert(same.name);
    read.insert(same.name);
  }
  for (const auto& [condition, at] : entry.where) read.insert(condition.column);
  if (is_open(source)) add_columns(source, read);
  if (is_open(target)) add_columns(target, written);
  if (entry.rest != Rest::copy) return;
  // A name that the plan gives another value to is in no rest that is carried over: it is a column
  // of the source, which `rest: copy` then leaves out.
  if (is_open(source)) add_columns(source, named(target));
  if (!is_open(target)) return;
  Names copied = named(source);
  // Where both rests are one, the old name of a value may come back by somebody else's hand.
  if (!is_open(source)) {
    for (const std::string& name : moved) copied.erase(name);
  }
  add_columns(target, copied);
}

bool rest_must_be_empty(const TableEntry& entry, const TableSchema& source,
                        const TableSchema& target) {
  if (!is_open(source) || entry.rest == Rest::drop) return false;
  return entry.rest == Rest::forbid || !is_open(target);
}

}  // namespace whimbrel
