#include "discover/skeleton.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "base/text.h"
#include "plan/open_tables.h"
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
  return std::string(without_quotes(std::string_view(table).substr(dot + 1)));
}

// What the schema itself tells, in the words of `dialect`.
class TableText {
 public:
  // `from` is null where the old store speaks no SQL: then the sampled values tell the types.
  TableText(const TableSample& sample, const Dialect* from, const Dialect& dialect)
      : sample_(sample),
        source_(sample.schema),
        from_(from),
        dialect_(dialect),
        of_another_kind_(from != &dialect) {}

  // Columns, types, NOT NULL, collations and the key; between kinds of stores what can be said of
  // the rest as well.
  std::string ddl(const std::string& name, bool with_references) const {
    std::vector<std::string> lines;
    for (const ColumnSchema& column : source_.columns) {
      const bool moves = !column.generated && !column.hidden && !is_rest(source_, column.name);
      if (moves && !is_of_parts(column)) lines.push_back(line_of(column));
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

  // Columns of values that have parts, for which SQL has no type of its own.
  std::vector<std::string> of_parts() const {
    std::vector<std::string> names;
    for (const ColumnSchema& column : source_.columns) {
      if (!is_rest(source_, column.name) && is_of_parts(column)) names.push_back(column.name);
    }
    return names;
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
  std::string not_said(bool says_uniques_and_references) const {
    std::vector<std::string> parts;
    const auto has = [&](const char* what, bool there) {
      if (there) parts.emplace_back(what);
    };
    has("default values", std::ranges::any_of(source_.columns, [&](const ColumnSchema& column) {
          return column.has_default && !numbers_itself(column) && default_of(column).empty();
        }));
    has("computed columns", std::ranges::any_of(source_.columns, &ColumnSchema::generated));
    has("CHECK", source_.has_checks);
    has("UNIQUE", !source_.other_uniques.empty() ||
                      (!says_uniques_and_references && !source_.uniques.empty()));
    has("REFERENCES", !says_uniques_and_references && !source_.foreign_keys.empty());
    has("indexes", !source_.index_ddl.empty());
    return join(parts, ", ");
  }

 private:
  bool is_of_parts(const ColumnSchema& column) const {
    if (from_ != nullptr) return false;
    switch (seen_kind(column)) {
      case Kind::list:
      case Kind::map:
      case Kind::text_set:
      case Kind::number_set:
      case Kind::bytes_set:
        return true;
      default:
        return false;
    }
  }

  std::string list(const std::vector<std::string>& columns) const {
    std::vector<std::string> parts;
    for (const std::string& column : columns) parts.push_back(dialect_.quote(column));
    return join(parts, ", ");
  }

  std::string type_of(const ColumnSchema& column) const {
    if (from_ == nullptr) return dialect_.type_for(seen_kind(column));
    return of_another_kind_ ? dialect_.type_like(column.declared) : column.declared;
  }
  // A store may have one type for numbers of all kinds.
  Kind seen_kind(const ColumnSchema& column) const {
    const int at = source_.column_index(column.name);
    const Kind kind = kind_in(sample_, at);
    if (kind != Kind::decimal || sample_.rows.empty()) return kind;
    const auto is_whole = [&](const Row& row) {
      const auto* number = row[static_cast<std::size_t>(at)].get_if<Decimal>();
      constexpr std::size_t digits_max = 18;
      return number == nullptr ||
             (number->text.size() <= digits_max &&
              number->text.find_first_not_of("-0123456789") == std::string::npos);
    };
    return std::ranges::all_of(sample_.rows, is_whole) ? Kind::int64 : kind;
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
        of_another_kind_ ? dialect_.quote(own_name(parent, *from_)) : dialect_.quote_table(parent));
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

  const TableSample& sample_;
  const TableSchema& source_;
  const Dialect* from_;
  const Dialect& dialect_;
  bool of_another_kind_;
};

std::string names_of(const std::vector<std::string>& all) {
  std::vector<std::string> parts;
  for (const std::string& name : all) parts.push_back("`" + printable(name) + "`");
  return join(parts, ", ");
}

}  // namespace

namespace {

// What the target's store has not got of what the old table is made of.
Result<std::vector<Prerequisite>> missing_there(const TableSchema& source, Catalog& from,
                                                Catalog& target) {
  std::vector<Prerequisite> missing;
  ASSIGN_OR_RETURN(const std::vector<Prerequisite> all, from.needs(source));
  for (const Prerequisite& one : all) {
    ASSIGN_OR_RETURN(const bool there, target.has(one));
    if (!there) missing.push_back(one);
  }
  return missing;
}

// The old table as it would be there: where its own store cannot be asked what the text makes.
TableSchema as_if_made(TableSchema made, const std::string& name) {
  for (ForeignKey& key : made.foreign_keys) {
    if (key.parent == made.name) key.parent = name;
  }
  made.name = name;
  made.views.clear();
  made.triggers.clear();
  made.trigger_ddl.clear();
  made.referenced_by.clear();
  return made;
}

// In a store that speaks no SQL: like a table of its own, or by the old one's key.
Result<Skeleton> without_sql(const TableSample& sample, const Store& from, const std::string& name,
                             Store& target) {
  const TableSchema& source = sample.schema;
  Skeleton skeleton;
  const bool is_of_one_kind = from.dialect() == nullptr;
  ASSIGN_OR_RETURN(skeleton.ddl, is_of_one_kind ? target.catalog().ddl_like(source, name)
                                                : target.catalog().ddl_for(source, name));
  ASSIGN_OR_RETURN(TableSchema made, target.catalog().parse(skeleton.ddl, name));
  std::set<std::string> names;
  for (const ColumnSchema& column : source.columns) {
    const bool is_value = !is_rest(source, column.name) && !column.hidden && !column.generated;
    if (is_value) names.insert(column.name);
  }
  if (!made.rest_column.empty()) add_columns(made, names);
  skeleton.target = sample_of(std::move(made));
  if (is_of_one_kind) {
    skeleton.file = "like-source";
    return skeleton;
  }
  const std::string file = ddl_file_name(name);
  skeleton.file = file.substr(0, file.rfind('.')) + ".json";
  const std::string missing = TableText(sample, from.dialect(), *from.dialect()).not_said(false);
  if (!missing.empty()) {
    skeleton.open.push_back(
        fmt::format("{} of `{}` have no like there: the application sees to what no row may break, "
                    "and an index for each question that it asks goes into {}.",
                    missing, printable(source.name), skeleton.file));
  }
  return skeleton;
}

}  // namespace

Result<Skeleton> skeleton_of(const TableSample& sample, Store& from, const std::string& name,
                             Store& target) {
  const TableSchema& source = sample.schema;
  if (source.key.empty()) {
    return Error{ErrorCode::refused, "it has no key by which its rows are told apart",
                 "give it a primary key, or a unique index over columns that are NOT NULL"};
  }
  const Dialect* dialect = target.dialect();
  if (dialect == nullptr) return without_sql(sample, from, name, target);
  Skeleton skeleton;
  // A kind of store has one dialect.
  const bool of_another_kind = from.dialect() != dialect;
  Result<std::string> like =
      of_another_kind
          ? Result<std::string>(Error{ErrorCode::refused, "the two stores are of different kinds"})
          : target.catalog().ddl_like(source, name);
  if (!of_another_kind) {
    ASSIGN_OR_RETURN(skeleton.missing, missing_there(source, from.catalog(), target.catalog()));
  }
  std::string alone;
  const TableText text(sample, from.dialect(), *dialect);
  if (like.ok()) {
    alone = std::move(like).value();
    // A store that makes them last, when the rows of all tables are there, does not say them here.
    const bool says_references = alone.find("REFERENCES") != std::string::npos;
    skeleton.ddl = says_references ? alone : alone + text.references_behind(name);
  } else {
    skeleton.ddl = text.ddl(name, true);
    alone = text.ddl(name, false);
    if (const std::vector<std::string> parts = text.of_parts(); !parts.empty()) {
      skeleton.open.push_back(fmt::format(
          "{} of `{}` {} documents, lists or sets, and a column there holds none: take out "
          "of them what is needed, with a column of its own in {} and `extract:` in the "
          "plan.",
          names_of(parts), printable(source.name), parts.size() == 1 ? "holds" : "hold",
          ddl_file_name(name)));
    }
    const std::string missing = text.not_said(of_another_kind);
    if (!missing.empty()) {
      skeleton.open.push_back(
          fmt::format("{} of `{}` could not be carried over: {}. Write into {} what the "
                      "application needs of them.",
                      missing, printable(source.name), printable(like.error().message, 200),
                      ddl_file_name(name)));
    }
  }
  if (!source.partitioned_by.empty()) {
    skeleton.open.push_back(fmt::format(
        "`{}` is partitioned by {}, and the new table is a plain one. Let {} say PARTITION BY and "
        "make the partitions if it is to be so as well.",
        printable(source.name), printable(source.partitioned_by, 200), ddl_file_name(name)));
  }
  if (!source.triggers.empty()) {
    skeleton.open.push_back(fmt::format(
        "triggers of `{}` are not carried over: {}. What the application needs of them is made on "
        "the new table by hand, after `finish`: until then they would fire for carried rows too.",
        printable(source.name), names_of(source.triggers)));
  }
  skeleton.file = ddl_file_name(name);
  if (!skeleton.missing.empty()) {
    skeleton.target = sample_of(as_if_made(source, name));
    return skeleton;
  }
  ASSIGN_OR_RETURN(TableSchema made, target.catalog().parse(alone, name));
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
  if (from.dialect() == nullptr || from.dialect() == target.dialect()) return table;
  std::string name = own_name(table, *from.dialect());
  if (target.dialect() != nullptr) return name;
  // Elsewhere a name may be of fewer characters.
  for (char& c : name) {
    const bool is_plain =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
    if (!is_plain) c = '_';
  }
  return name;
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
