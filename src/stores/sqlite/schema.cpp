#include "stores/sqlite/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "stores/sqlite/affinity.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/tokens.h"

namespace whimbrel::sqlite {

namespace {

std::string text(const Value& value) {
  const auto* found = value.get_if<std::string>();
  return found == nullptr ? "" : *found;
}

std::int64_t number(const Value& value) {
  const auto* found = value.get_if<std::int64_t>();
  return found == nullptr ? 0 : *found;
}

// A numeric column holds whole numbers and reals side by side; one without a type holds anything.
Kind held_by(const std::string& declared) {
  switch (affinity_of(declared)) {
    case Affinity::text:
      return Kind::text;
    case Affinity::integer:
      return Kind::int64;
    case Affinity::real:
      return Kind::real;
    case Affinity::numeric:
      return Kind::decimal;
    case Affinity::blob:
      break;
  }
  return declared.empty() ? Kind::null : Kind::bytes;
}

Row named(const std::string& table) { return {Value::text(table)}; }

// A primary key with an index of its own is no rowid, whatever its type says (INTEGER PRIMARY KEY
// DESC); and that index may compare otherwise than the columns do.
Status read_primary_key(Connection& connection, TableSchema& schema, bool without_rowid) {
  ASSIGN_OR_RETURN(const std::vector<Row> indexes,
                   connection.query("SELECT name FROM pragma_index_list(?1) WHERE origin = 'pk'",
                                    named(schema.name)));
  if (indexes.empty()) {
    schema.key_is_row_number = !without_rowid && schema.key.size() == 1;
    if (schema.key_is_row_number) {
      schema.columns[static_cast<std::size_t>(schema.column_index(schema.key.front()))].nullable =
          false;
    }
    return {};
  }
  ASSIGN_OR_RETURN(const std::vector<Row> parts,
                   connection.query("SELECT name, coll FROM pragma_index_xinfo(?1) WHERE key = 1",
                                    named(text(indexes[0][0]))));
  for (const Row& part : parts) {
    const int at = schema.column_index(text(part[0]));
    if (at < 0) continue;
    const std::string& own = schema.columns[static_cast<std::size_t>(at)].collation;
    const std::string by_column = own.empty() ? "BINARY" : own;
    if (ascii_iequals(text(part[1]), by_column)) continue;
    return Error{
        ErrorCode::refused,
        fmt::format("the primary key of `{}` compares `{}` by {}, and the column itself by "
                    "{}: one key would be found where another is meant",
                    schema.name, text(part[0]), text(part[1]), by_column),
        "give the column the collation of its key"};
  }
  return {};
}

Status read_columns(Connection& connection, TableSchema& schema, bool without_rowid) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   connection.query("SELECT name, type, \"notnull\", dflt_value, pk, hidden"
                                    " FROM pragma_table_xinfo(?1) ORDER BY cid",
                                    named(schema.name)));
  std::map<std::int64_t, std::string> key;
  for (const Row& row : rows) {
    ColumnSchema column;
    column.name = text(row[0]);
    column.declared = text(row[1]);
    column.holds = held_by(column.declared);
    column.generated = number(row[5]) != 0;
    const std::int64_t key_part = number(row[4]);
    if (key_part > 0) key[key_part] = column.name;
    column.nullable = number(row[2]) == 0 && !(key_part > 0 && without_rowid);
    // `NOT NULL DEFAULT NULL` is no default that a row could have.
    column.has_default =
        !row[3].is_null() && (column.nullable || !ascii_iequals(text(row[3]), "NULL"));
    if (column.has_default) column.default_sql = text(row[3]);
    const char* collation = nullptr;
    if (sqlite3_table_column_metadata(connection.raw(), nullptr, schema.name.c_str(),
                                      column.name.c_str(), nullptr, &collation, nullptr, nullptr,
                                      nullptr) == SQLITE_OK &&
        collation != nullptr && !ascii_iequals(collation, "BINARY")) {
      column.collation = collation;
    }
    schema.columns.push_back(std::move(column));
  }
  for (const auto& [part, name] : key) schema.key.push_back(name);
  return schema.key.empty() ? Status() : read_primary_key(connection, schema, without_rowid);
}

Status read_indexes(Connection& connection, TableSchema& schema) {
  ASSIGN_OR_RETURN(const std::vector<Row> indexes,
                   connection.query("SELECT name, \"unique\", origin, partial"
                                    " FROM pragma_index_list(?1) ORDER BY seq DESC",
                                    named(schema.name)));
  std::map<std::vector<std::string>, std::string> index_names;
  for (const Row& index : indexes) {
    if (number(index[1]) == 0 || text(index[2]) == "pk") continue;
    if (number(index[3]) != 0) {  // over some rows only
      schema.other_uniques.push_back(text(index[0]));
      continue;
    }
    ASSIGN_OR_RETURN(const std::vector<Row> parts,
                     connection.query("SELECT name, coll FROM pragma_index_xinfo(?1) WHERE key = 1"
                                      " ORDER BY seqno",
                                      named(text(index[0]))));
    std::vector<std::string> columns;
    bool is_plain = true;  // no expression, and compared as the columns are
    for (const Row& part : parts) {
      columns.push_back(text(part[0]));
      const int at = schema.column_index(columns.back());
      const std::string own = at < 0 ? "" : schema.columns[static_cast<std::size_t>(at)].collation;
      is_plain = is_plain && at >= 0 && ascii_iequals(text(part[1]), own.empty() ? "BINARY" : own);
    }
    if (!is_plain) {
      schema.other_uniques.push_back(text(index[0]));
      continue;
    }
    index_names[columns] = text(index[0]);
    schema.uniques.push_back(std::move(columns));
  }
  // Without a primary key, a unique index over columns that are never null tells rows apart too.
  if (!schema.key.empty()) return {};
  for (const std::vector<std::string>& unique : schema.uniques) {
    const bool usable = std::ranges::all_of(unique, [&](const std::string& name) {
      return !schema.columns[static_cast<std::size_t>(schema.column_index(name))].nullable;
    });
    if (!usable) continue;
    schema.key = unique;
    std::erase(schema.uniques, schema.key);
    ASSIGN_OR_RETURN(const std::vector<Row> ddl,
                     connection.query("SELECT sql FROM sqlite_master WHERE type = 'index' AND name"
                                      " = ?1 AND sql IS NOT NULL",
                                      named(index_names[schema.key])));
    if (!ddl.empty()) schema.key_index_ddl = text(ddl[0][0]);
    return {};
  }
  return {};
}

// Without any other key the number that SQLite gives each row is one, by the first of its names
// that no column has taken.
void number_rows(TableSchema& schema) {
  for (const char* name : {"rowid", "_rowid_", "oid"}) {
    const bool taken = std::ranges::any_of(
        schema.columns, [&](const ColumnSchema& one) { return ascii_iequals(one.name, name); });
    if (taken) continue;
    ColumnSchema number;
    number.name = name;
    number.declared = "INTEGER";
    number.nullable = false;
    number.hidden = true;
    number.holds = Kind::int64;
    schema.columns.push_back(std::move(number));
    schema.key = {name};
    return;
  }
}

bool has_keyword(const std::string& ddl, std::string_view keyword) {
  return std::ranges::any_of(tokens_of(ddl),
                             [&](auto token) { return ascii_iequals(token, keyword); });
}

// `ON CONFLICT REPLACE` or `IGNORE` of a constraint: rows go, or do not come, without an error.
std::string silent_conflict(const std::string& ddl) {
  const Tokens tokens = tokens_of(ddl);
  for (std::size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (!ascii_iequals(tokens[i], "ON") || !ascii_iequals(tokens[i + 1], "CONFLICT")) continue;
    for (const char* word : {"REPLACE", "IGNORE"}) {
      if (ascii_iequals(tokens[i + 2], word)) return word;
    }
  }
  return "";
}

Status read_references(Connection& connection, TableSchema& schema) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   connection.query("SELECT id, \"table\", \"from\", \"to\", on_update, on_delete"
                                    " FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
                                    named(schema.name)));
  std::map<std::int64_t, ForeignKey> keys;
  for (const Row& row : rows) {
    ForeignKey& key = keys[number(row[0])];
    key.parent = text(row[1]);
    key.columns.push_back(text(row[2]));
    key.parent_columns.push_back(text(row[3]));
    key.on_update = text(row[4]);
    key.on_delete = text(row[5]);
  }
  for (auto& [id, key] : keys) schema.foreign_keys.push_back(std::move(key));
  // In one statement, and only where the DDL has the word: there may be hundreds of tables.
  ASSIGN_OR_RETURN(
      const std::vector<Row> others,
      connection.query("SELECT DISTINCT m.name FROM sqlite_master AS m,"
                       " pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table'"
                       " AND m.sql LIKE '%references%' AND lower(f.\"table\") = lower(?1)",
                       named(schema.name)));
  std::set<std::string> refer;
  for (const Row& row : others) refer.insert(text(row[0]));
  ASSIGN_OR_RETURN(const std::vector<std::string> tables, table_names(connection));
  std::ranges::copy_if(tables, std::back_inserter(schema.referenced_by),
                       [&](const std::string& other) { return refer.contains(other); });
  return {};
}

// The text of a view says which tables it reads, if one looks for the whole word.
bool mentions(const std::string& sql, const std::string& table) {
  const std::string where = ascii_lower(sql);
  const std::string word = ascii_lower(table);
  const auto inside = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  };
  for (std::size_t at = where.find(word); at != std::string::npos; at = where.find(word, at + 1)) {
    const bool left = at == 0 || !inside(where[at - 1]);
    const std::size_t end = at + word.size();
    if (left && (end == where.size() || !inside(where[end]))) return true;
  }
  return false;
}

}  // namespace

bool writes_to(const std::string& trigger_sql, const std::string& table) {
  const Tokens tokens = tokens_of(trigger_sql);
  const auto is = [&](std::size_t at, std::string_view word) {
    return at < tokens.size() && ascii_iequals(tokens[at], word);
  };
  // UPDATE OR IGNORE t, INSERT INTO t, REPLACE INTO t, DELETE FROM t
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    std::size_t at = i + 1;
    if (is(i, "UPDATE")) {
      if (is(at, "OR")) at += 2;
    } else if (!is(i, "INTO") && !(is(i, "FROM") && i > 0 && is(i - 1, "DELETE"))) {
      continue;
    }
    if (at + 2 < tokens.size() && tokens[at + 1] == ".") at += 2;
    if (at < tokens.size() && ascii_iequals(unquoted(tokens[at]), table)) return true;
  }
  return false;
}

namespace {

Status read_ddl(Connection& connection, TableSchema& schema) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   connection.query("SELECT type, name, tbl_name, sql FROM sqlite_master"
                                    " WHERE sql IS NOT NULL ORDER BY rowid",
                                    {}));
  for (const Row& row : rows) {
    const std::string type = text(row[0]);
    const std::string name = text(row[1]);
    if (name.starts_with(own_prefix)) continue;
    const bool of_table = ascii_iequals(text(row[2]), schema.name);
    if (type == "table" && of_table) schema.create_ddl = text(row[3]);
    const bool is_key = text(row[3]) == schema.key_index_ddl;
    if (type == "index" && of_table && !is_key) schema.index_ddl.push_back(text(row[3]));
    if (type == "trigger" && of_table) {
      schema.triggers.push_back(name);
      schema.trigger_ddl.push_back(text(row[3]));
    }
    if (type == "view" && mentions(text(row[3]), schema.name)) schema.views.push_back(name);
    if (type == "trigger" && !of_table && writes_to(text(row[3]), schema.name)) {
      schema.written_by.push_back(fmt::format("trigger {} of {}", name, text(row[2])));
    }
  }
  schema.has_checks = has_keyword(schema.create_ddl, "CHECK");
  schema.on_conflict = silent_conflict(schema.create_ddl);
  return {};
}

}  // namespace

bool has_rowid_alias(const TableSchema& table) {
  if (table.key_is_row_number) return true;
  return table.key.size() == 1 &&
         table.columns[static_cast<std::size_t>(table.column_index(table.key.front()))].hidden;
}

bool gives_each_number_once(const TableSchema& table) {
  return table.key_is_row_number && has_keyword(table.create_ddl, "AUTOINCREMENT");
}

bool begins_with_keyword(const std::string& sql, std::string_view keyword) {
  const Tokens tokens = tokens_of(sql);
  const auto first = std::ranges::find_if(tokens, is_word);
  return first != tokens.end() && ascii_iequals(*first, keyword);
}

Result<std::vector<std::string>> table_names(Connection& connection) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   connection.query("SELECT name FROM sqlite_master WHERE type = 'table'"
                                    " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
                                    {}));
  std::vector<std::string> names;
  for (const Row& row : rows) {
    if (!text(row[0]).starts_with(own_prefix)) names.push_back(text(row[0]));
  }
  return names;
}

Result<bool> object_exists(Connection& connection, const std::string& type,
                           const std::string& name) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   connection.query("SELECT 1 FROM sqlite_master WHERE type = ?1"
                                    " AND name = ?2 COLLATE NOCASE",
                                    {Value::text(type), Value::text(name)}));
  return !rows.empty();
}

Result<TableSchema> describe(Connection& connection, const std::string& table) {
  ASSIGN_OR_RETURN(const std::vector<Row> found,
                   connection.query("SELECT name, type, wr, strict FROM pragma_table_list"
                                    " WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
                                    named(table)));
  if (found.empty()) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, table_names(connection));
    const std::string near = did_you_mean(table, names);
    return Error{ErrorCode::not_found, fmt::format("there is no table `{}`", table),
                 near.empty() && !names.empty() ? "its tables: " + join(names, ", ") : near};
  }
  if (text(found[0][1]) != "table") {
    return Error{ErrorCode::refused,
                 fmt::format("`{}` is a {}, not a table", table, text(found[0][1])),
                 "only tables are moved"};
  }
  TableSchema schema;
  schema.name = text(found[0][0]);
  schema.strict = number(found[0][3]) != 0;
  TRY(read_columns(connection, schema, number(found[0][2]) != 0));
  if (schema.strict) {
    // There ANY keeps a value as it is; elsewhere the word means nothing and the type is NUMERIC.
    for (ColumnSchema& column : schema.columns) {
      if (!ascii_iequals(column.declared, "ANY")) continue;
      column.declared.clear();
      column.holds = Kind::null;
    }
  }
  TRY(read_indexes(connection, schema));
  if (schema.key.empty()) number_rows(schema);
  TRY(read_references(connection, schema));
  TRY(read_ddl(connection, schema));
  return schema;
}

}  // namespace whimbrel::sqlite
