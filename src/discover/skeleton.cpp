#include "discover/skeleton.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "plan/print.h"

namespace whimbrel {

namespace {

// Columns, types, NOT NULL, collations and the key: what the schema itself tells.
std::string ddl_of(const TableSchema& source, const std::string& name, const Dialect& dialect) {
  std::string ddl = fmt::format("CREATE TABLE {} (", dialect.quote_table(name));
  for (const ColumnSchema& column : source.columns) {
    if (column.generated || column.hidden) continue;
    ddl += "\n  " + dialect.quote(column.name);
    if (!column.declared.empty()) ddl += " " + column.declared;
    if (!column.nullable) ddl += " NOT NULL";
    if (!column.collation.empty()) ddl += " COLLATE " + column.collation;
    ddl += ",";
  }
  if (!source.row_number().empty()) {
    ddl.pop_back();
    return ddl + "\n);\n";
  }
  std::vector<std::string> key;
  for (const std::string& part : source.key) key.push_back(dialect.quote(part));
  return ddl + fmt::format("\n  PRIMARY KEY ({})\n);\n", join(key, ", "));
}

// Of what `ddl_of` says nothing.
std::string not_said(const TableSchema& source) {
  std::vector<std::string> parts;
  const auto has = [&](const char* what, bool there) {
    if (there) parts.emplace_back(what);
  };
  has("default values", std::ranges::any_of(source.columns, &ColumnSchema::has_default));
  has("computed columns", std::ranges::any_of(source.columns, &ColumnSchema::generated));
  has("CHECK", source.has_checks);
  has("UNIQUE", !source.uniques.empty() || !source.other_uniques.empty());
  has("REFERENCES", !source.foreign_keys.empty());
  has("indexes", !source.index_ddl.empty());
  return join(parts, ", ");
}

std::string names_of(const std::vector<std::string>& all) {
  std::vector<std::string> parts;
  for (const std::string& name : all) parts.push_back("`" + printable(name) + "`");
  return join(parts, ", ");
}

}  // namespace

std::optional<Skeleton> skeleton_of(const TableSchema& source, const std::string& name,
                                    Store& target) {
  const Dialect* dialect = target.dialect();
  if (dialect == nullptr || source.key.empty()) return std::nullopt;
  Skeleton skeleton;
  Result<std::string> like = target.catalog().ddl_like(source, name);
  if (like.ok()) {
    skeleton.ddl = std::move(like).value();
  } else {
    skeleton.ddl = ddl_of(source, name, *dialect);
    const std::string missing = not_said(source);
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
  Result<TableSchema> parsed = target.catalog().parse(skeleton.ddl, name);
  if (!parsed.ok()) return std::nullopt;
  skeleton.target = sample_of(std::move(parsed).value());
  return skeleton;
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
