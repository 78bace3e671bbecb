#include "stores/sqlite/unique_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "stores/sqlite/calls.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/tokens.h"

namespace whimbrel::sqlite {

namespace {

// As it stands in the DDL: operators of two characters stay together.
std::string joined(Tokens::const_iterator begin, Tokens::const_iterator end) {
  if (begin == end) return "";
  const char* const first = begin->data();
  const std::string_view last = *(end - 1);
  return {first, static_cast<std::size_t>(last.data() + last.size() - first)};
}

// `expression COLLATE x DESC` without the direction, which says nothing about equality.
std::string term(Tokens::const_iterator begin, Tokens::const_iterator end) {
  if (end - begin > 1 && (ascii_iequals(*(end - 1), "ASC") || ascii_iequals(*(end - 1), "DESC"))) {
    --end;
  }
  return joined(begin, end);
}

struct UniqueIndex {
  std::string name;
  std::vector<std::string> terms;  // as SQL over the table's columns, with their collations
  std::string where;               // "" where it is over every row
};

// From `CREATE UNIQUE INDEX …`; without terms when the text is not understood.
UniqueIndex parse_unique_index(const std::string& ddl) {
  const Tokens tokens = tokens_of(ddl);
  UniqueIndex index;
  auto it = std::ranges::find_if(tokens, [](auto word) { return ascii_iequals(word, "INDEX"); });
  if (tokens.end() - it < 5) return index;
  index.name = unquoted(*(it + 1));
  it = std::find(it + 3, tokens.end(), "(");  // behind ON, and the table's name is one token
  if (it == tokens.end()) return index;
  std::vector<std::string> terms;
  auto begin = it + 1;
  int depth = 0;
  for (; it != tokens.end(); ++it) {
    if (*it == "(") ++depth;
    if (*it == ")") --depth;
    const bool ends = depth == 0 || (depth == 1 && *it == ",");
    if (!ends) continue;
    terms.push_back(term(begin, it));
    begin = it + 1;
    if (depth == 0) break;
  }
  if (it == tokens.end()) return index;
  if (begin != tokens.end() && ascii_iequals(*begin, "WHERE")) {
    index.where = joined(begin + 1, tokens.end());
  } else if (begin != tokens.end()) {
    return index;
  }
  index.terms = std::move(terms);
  return index;
}

// Those of the table's `other_uniques` that were made by a statement of their own.
std::vector<UniqueIndex> indexes_with_terms(const TableSchema& table) {
  std::vector<UniqueIndex> indexes;
  for (const std::string& ddl : table.index_ddl) {
    UniqueIndex index = parse_unique_index(ddl);
    if (!index.terms.empty() && std::ranges::count(table.other_uniques, index.name) > 0) {
      indexes.push_back(std::move(index));
    }
  }
  return indexes;
}

// Columns that the index reads; one too many rather than one too few.
std::vector<std::string> columns_read(const UniqueIndex& index, const TableSchema& table) {
  const std::string text = ascii_lower(join(index.terms, " ") + " " + index.where);
  std::vector<std::string> columns;
  for (const ColumnSchema& column : table.columns) {
    const std::string quoted = quote_name(column.name);
    const std::string inside = quoted.substr(1, quoted.size() - 2);
    for (const std::string& spelling : {column.name, inside}) {
      if (text.find(ascii_lower(spelling)) == std::string::npos) continue;
      columns.push_back(column.name);
      break;
    }
  }
  return columns;
}

// OR REPLACE puts the default where a column takes no null, before it looks who is in the way.
std::string value_taken(const TableSchema& table, const std::string& column,
                        const std::string& row) {
  const std::string value = row + quote_name(column);
  const ColumnSchema& schema = table.columns[static_cast<std::size_t>(table.column_index(column))];
  const bool is_replaced = !schema.nullable && !schema.default_sql.empty();
  return is_replaced ? fmt::format("coalesce({}, ({}))", value, schema.default_sql) : value;
}

// A condition over the table: rows that hold the place which `row` ("NEW.") would take. The
// expressions are taken as they are: over the table, and over one row that has its columns.
std::string holds_place_of(const UniqueIndex& index, const TableSchema& table,
                           const std::string& row, InTheWay how) {
  std::vector<std::string> values;
  for (const std::string& column : columns_read(index, table)) {
    values.push_back(fmt::format("{} AS {}", value_taken(table, column, row), quote_name(column)));
  }
  if (values.empty()) values.emplace_back("1");
  std::vector<std::string> parts;
  if (!index.where.empty()) parts.push_back("(" + index.where + ")");
  if (!index.where.empty() && how == InTheWay::exactly) {
    parts.push_back(fmt::format("(SELECT {} FROM (SELECT {}))", index.where, join(values, ", ")));
  }
  for (const std::string& one : index.terms) {
    parts.push_back(fmt::format("{0} = (SELECT {0} FROM (SELECT {1}))", one, join(values, ", ")));
  }
  return join(parts, " AND ");
}

// A trigger loads only the columns that it names: a computed one is computed from nulls unless all
// that it may depend on are named too. Always true; "" without a computed column.
std::string with_all_inputs(const TableSchema& table, const std::string& row) {
  constexpr std::size_t arguments_max = 100;  // a function takes 127
  if (!std::ranges::any_of(table.columns, &ColumnSchema::generated)) return "";
  std::vector<std::string> inputs;
  std::string sql;
  const auto flush = [&] {
    if (!inputs.empty()) sql += fmt::format(" AND coalesce({}, 1) IS NOT NULL", join(inputs, ", "));
    inputs.clear();
  };
  for (const ColumnSchema& column : table.columns) {
    if (!column.generated && !column.hidden) inputs.push_back(row + quote_name(column.name));
    if (inputs.size() == arguments_max) flush();
  }
  flush();
  return sql;
}

}  // namespace

std::vector<std::string> not_understood(const TableSchema& table) {
  std::vector<std::string> names = table.other_uniques;
  for (const UniqueIndex& index : indexes_with_terms(table)) std::erase(names, index.name);
  return names;
}

std::vector<std::string> in_the_way_of(const TableSchema& table, const std::string& row,
                                       InTheWay how) {
  std::vector<std::string> conditions;
  const std::string loaded = with_all_inputs(table, row);
  for (const std::vector<std::string>& unique : table.uniques) {
    std::vector<std::string> equal;
    for (const std::string& column : unique) {
      equal.push_back(fmt::format("{} = {}", quote_name(column), value_taken(table, column, row)));
    }
    conditions.push_back(join(equal, " AND ") + loaded);
  }
  for (const UniqueIndex& index : indexes_with_terms(table)) {
    conditions.push_back(holds_place_of(index, table, row, how) + loaded);
  }
  return conditions;
}

std::string unique_columns(const TableSchema& table) {
  std::set<std::string> columns;
  for (const auto& unique : table.uniques) columns.insert(unique.begin(), unique.end());
  // An index that reads no column lets one row in; no UPDATE names a computed column, and what that
  // is computed from is not known here. Any column then.
  bool any = false;
  for (const UniqueIndex& index : indexes_with_terms(table)) {
    const std::vector<std::string> read = columns_read(index, table);
    columns.insert(read.begin(), read.end());
    any = any || read.empty();
  }
  for (const ColumnSchema& column : table.columns) {
    any = any || (column.generated && columns.contains(column.name));
  }
  if (!any) return name_list({columns.begin(), columns.end()});
  std::vector<std::string> all;
  for (const ColumnSchema& column : table.columns) {
    if (!column.generated && !column.hidden) all.push_back(column.name);
  }
  return name_list(all);
}

std::vector<std::vector<std::string>> columns_bound_together(const TableSchema& table) {
  std::vector<std::vector<std::string>> all = table.uniques;
  for (const UniqueIndex& index : indexes_with_terms(table)) {
    all.push_back(columns_read(index, table));
  }
  for (const ForeignKey& key : table.foreign_keys) all.push_back(key.columns);
  for (const Tokens& check : checks_of(table.create_ddl)) {
    std::vector<std::string> named;
    for (const ColumnSchema& column : table.columns) {
      if (any_names(check.begin(), check.end(), column.name)) named.push_back(column.name);
    }
    all.push_back(std::move(named));
  }
  // What a computed column is made of is not known here: then it may be any.
  for (std::vector<std::string>& columns : all) {
    const bool any_computed = std::ranges::any_of(columns, [&](const std::string& name) {
      const int at = table.column_index(name);
      return at >= 0 && table.columns[static_cast<std::size_t>(at)].generated;
    });
    if (any_computed) columns = table.column_names();
  }
  std::erase_if(all, [](const auto& columns) { return columns.size() < 2; });
  return all;
}

}  // namespace whimbrel::sqlite
