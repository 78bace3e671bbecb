#include "discover/skeleton.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "plan/print.h"

namespace whimbrel {

namespace {

// The default of a column as another kind of store understands it; "" where that cannot be said.
std::string default_like(const ColumnSchema& column, const std::string& type) {
  const std::string& sql = column.default_sql;
  const std::size_t cast = sql.rfind("::");  // a server may say the type of a literal
  const std::string value = cast == std::string::npos ? sql : sql.substr(0, cast);
  if (value.empty()) return "";
  const bool is_text = value.size() >= 2 && value.front() == '\'' && value.back() == '\'' &&
                       std::ranges::count(value, '\'') == 2;
  const bool is_number = value.find_first_not_of("0123456789.-") == std::string::npos;
  const bool is_flag = ascii_iequals(value, "true") || ascii_iequals(value, "false");
  if (type == "boolean" && is_number) return value == "0" ? "false" : "true";
  return is_text || is_number || is_flag ? value : "";
}

// The table's own name: what it is called with its schema, where its store has any, means nothing
// in another kind of store.
std::string own_name(const std::string& table, const Dialect& from) {
  const bool has_schemas = from.quote_table("a.b") != from.quote("a.b");
  const std::size_t dot = table.rfind('.');
  if (!has_schemas || dot == std::string::npos) return table;
  const std::string name = table.substr(dot + 1);
  return name.size() > 2 && name.front() == '"' ? name.substr(1, name.size() - 2) : name;
}

// What the schema itself tells, in the words of `dialect`.
class TableText {
 public:
  TableText(const TableSchema& source, const Dialect& from, const Dialect& dialect)
      : source_(source), from_(from), dialect_(dialect), of_another_kind_(&from != &dialect) {}

  // Columns, types, NOT NULL, collations and the key; between kinds of stores what can be said of
  // the rest as well.
  std::string ddl(const std::string& name, bool with_references) const {
    std::vector<std::string> lines;
    for (const ColumnSchema& column : source_.columns) {
      if (!column.generated && !column.hidden) lines.push_back(line_of(column));
    }
    if (source_.row_number().empty()) {
      lines.push_back(fmt::format("PRIMARY KEY ({})", list(source_.key)));
    }
    if (of_another_kind_) {
      for (const std::vector<std::string>& unique : source_.uniques) {
        lines.push_back(fmt::format("UNIQUE ({})", list(unique)));
      }
      for (const ForeignKey& key : source_.foreign_keys) {
        if (with_references) lines.push_back(reference(key, name));
      }
    }
    return fmt::format("CREATE TABLE {} (\n  {}\n);\n", dialect_.quote_table(name),
                       join(lines, ",\n  "));
  }

  // The same for a table that is made already.
  std::string references_behind(const std::string& name) const {
    std::string statements;
    for (const ForeignKey& key : source_.foreign_keys) {
      statements += fmt::format("{}\nALTER TABLE {} ADD {}", statements.empty() ? ";" : "",
                                dialect_.quote_table(name), reference(key, name)) +
                    ";";
    }
    return statements.empty() ? "" : statements + "\n";
  }

  // Of what `ddl` says nothing.
  std::string not_said() const {
    std::vector<std::string> parts;
    const auto has = [&](const char* what, bool there) {
      if (there) parts.emplace_back(what);
    };
    has("default values", std::ranges::any_of(source_.columns, [&](const ColumnSchema& column) {
          return column.has_default && !numbers_itself(column) && default_of(column).empty();
        }));
    has("computed columns", std::ranges::any_of(source_.columns, &ColumnSchema::generated));
    has("CHECK", source_.has_checks);
    has("UNIQUE",
        !source_.other_uniques.empty() || (!of_another_kind_ && !source_.uniques.empty()));
    has("REFERENCES", !of_another_kind_ && !source_.foreign_keys.empty());
    has("indexes", !source_.index_ddl.empty());
    return join(parts, ", ");
  }

 private:
  std::string list(const std::vector<std::string>& columns) const {
    std::vector<std::string> parts;
    for (const std::string& column : columns) parts.push_back(dialect_.quote(column));
    return join(parts, ", ");
  }

  std::string type_of(const ColumnSchema& column) const {
    return of_another_kind_ ? dialect_.type_like(column.declared) : column.declared;
  }
  std::string default_of(const ColumnSchema& column) const {
    return of_another_kind_ ? default_like(column, type_of(column)) : "";
  }
  bool numbers_itself(const ColumnSchema& column) const {
    const bool is_key = source_.key.size() == 1 && source_.key.front() == column.name;
    const bool gives_numbers = source_.key_is_row_number ||
                               (column.has_default && (column.default_sql.empty() ||
                                                       column.default_sql.starts_with("nextval(")));
    return of_another_kind_ && is_key && gives_numbers;
  }

  std::string line_of(const ColumnSchema& column) const {
    std::string line = dialect_.quote(column.name);
    const std::string type = type_of(column);
    if (!type.empty()) line += " " + type;
    if (numbers_itself(column)) line += dialect_.own_numbers();
    const std::string value = default_of(column);
    if (!value.empty()) line += " DEFAULT " + value;
    if (!column.nullable) line += " NOT NULL";
    if (!column.collation.empty() && !of_another_kind_) line += " COLLATE " + column.collation;
    return line;
  }

  // Of a table that is called `name` now; one that refers to itself refers to the new one.
  std::string reference(const ForeignKey& key, const std::string& name) const {
    const std::string& parent = key.parent == source_.name ? name : key.parent;
    std::string line = fmt::format(
        "FOREIGN KEY ({}) REFERENCES {}", list(key.columns),
        of_another_kind_ ? dialect_.quote(own_name(parent, from_)) : dialect_.quote_table(parent));
    // Where none are named the parent's key is meant.
    const bool names_them = std::ranges::none_of(key.parent_columns, &std::string::empty);
    if (names_them && !key.parent_columns.empty()) {
      line += fmt::format(" ({})", list(key.parent_columns));
    }
    if (!of_another_kind_ && !key.name.empty()) {
      return fmt::format("CONSTRAINT {} {}{}", dialect_.quote(key.name), line, key.options);
    }
    const auto acts = [](const std::string& action) {
      return !action.empty() && !ascii_iequals(action, "NO ACTION");
    };
    if (acts(key.on_delete)) line += " ON DELETE " + key.on_delete;
    if (acts(key.on_update)) line += " ON UPDATE " + key.on_update;
    return line;
  }

  const TableSchema& source_;
  const Dialect& from_;
  const Dialect& dialect_;
  bool of_another_kind_;
};

std::string names_of(const std::vector<std::string>& all) {
  std::vector<std::string> parts;
  for (const std::string& name : all) parts.push_back("`" + printable(name) + "`");
  return join(parts, ", ");
}

}  // namespace

std::optional<Skeleton> skeleton_of(const TableSchema& source, const Store& from,
                                    const std::string& name, Store& target) {
  const Dialect* dialect = target.dialect();
  if (dialect == nullptr || from.dialect() == nullptr || source.key.empty()) return std::nullopt;
  Skeleton skeleton;
  // A kind of store has one dialect.
  const bool of_another_kind = from.dialect() != dialect;
  Result<std::string> like =
      of_another_kind
          ? Result<std::string>(Error{ErrorCode::refused, "the two stores are of different kinds"})
          : target.catalog().ddl_like(source, name);
  std::string alone;
  const TableText text(source, *from.dialect(), *dialect);
  if (like.ok()) {
    alone = std::move(like).value();
    // A store that makes them last, when the rows of all tables are there, does not say them here.
    const bool says_references = alone.find("REFERENCES") != std::string::npos;
    skeleton.ddl = says_references ? alone : alone + text.references_behind(name);
  } else {
    skeleton.ddl = text.ddl(name, true);
    alone = text.ddl(name, false);
    const std::string missing = text.not_said();
    if (!missing.empty()) {
      skeleton.open.push_back(
          fmt::format("{} of `{}` could not be carried over: {}. Write into {} what the "
                      "application needs of them.",
                      missing, printable(source.name), printable(like.error().message, 200),
                      ddl_file_name(name)));
    }
  }
  if (!source.triggers.empty()) {
    skeleton.open.push_back(fmt::format(
        "triggers of `{}` are not carried over: {}. What the application needs of them is made on "
        "the new table by hand, after `finish`: until then they would fire for carried rows too.",
        printable(source.name), names_of(source.triggers)));
  }
  skeleton.file = ddl_file_name(name);
  Result<TableSchema> parsed = target.catalog().parse(alone, name);
  if (!parsed.ok()) return std::nullopt;
  TableSchema made = std::move(parsed).value();
  if (made.foreign_keys.empty() && !of_another_kind) {
    made.foreign_keys = source.foreign_keys;
    for (ForeignKey& key : made.foreign_keys) {
      if (key.parent == source.name) key.parent = made.name;
    }
  }
  skeleton.target = sample_of(std::move(made));
  return skeleton;
}

std::string name_there(const std::string& table, const Store& from, const Store& target) {
  const bool is_known = from.dialect() != nullptr && target.dialect() != nullptr;
  if (!is_known || from.dialect() == target.dialect()) return table;
  return own_name(table, *from.dialect());
}

std::string next_name(const std::string& table, const std::vector<std::string>& taken) {
  for (int version = 2;; ++version) {
    std::string name = fmt::format("{}_v{}", table, version);
    const bool is_taken = std::ranges::any_of(
        taken, [&](const std::string& other) { return ascii_iequals(other, name); });
    if (!is_taken) return name;
  }
}

}  // namespace whimbrel
