#include "discover/skeleton.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "plan/print.h"

namespace whimbrel {

namespace {

std::string ddl_of(const TableSchema& source, const std::string& name, const Dialect& dialect) {
  std::string ddl = fmt::format("CREATE TABLE {} (", dialect.quote(name));
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

}  // namespace

std::optional<Skeleton> skeleton_of(const TableSchema& source, const std::string& name,
                                    Store& target) {
  const Dialect* dialect = target.dialect();
  if (dialect == nullptr || source.key.empty()) return std::nullopt;
  Skeleton skeleton;
  skeleton.ddl = ddl_of(source, name, *dialect);
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
