#include "plan/parse_reshape.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "plan/parse_copies.h"
#include "plan/parse_value.h"

namespace whimbrel {

namespace {

// A column, or a list of them.
std::vector<NamedPlace> parse_names(YamlReader& reader, const YAML::Node& node, const char* what) {
  std::vector<NamedPlace> columns;
  if (node.IsScalar()) return {{reader.text(node), YamlReader::place(node)}};
  if (!node.IsSequence() || node.size() == 0) {
    reader.diagnostics().add(YamlReader::place(node),
                             fmt::format("{} must be a list of columns", what),
                             "like [first, second]");
    return columns;
  }
  for (const YAML::Node& one : node) columns.push_back({reader.text(one), YamlReader::place(one)});
  return columns;
}

}  // namespace

std::vector<NamedPlace> parse_group(YamlReader& reader, const YAML::Node& node) {
  return node.IsDefined() ? parse_names(reader, node, "`group`") : std::vector<NamedPlace>{};
}

std::vector<std::pair<Condition, Place>> parse_when(YamlReader& reader, const YAML::Node& node) {
  const YAML::Node present = YamlReader::child(node, "present");
  const bool asks_for_presence =
      node.IsDefined() && node.IsMap() && node.size() == 1 && present.IsDefined();
  if (!asks_for_presence) return parse_where(reader, node);
  std::vector<std::pair<Condition, Place>> conditions;
  for (const NamedPlace& column : parse_names(reader, present, "`present`")) {
    conditions.emplace_back(Condition{column.name, Condition::Is::none_of, {Value()}}, column.at);
  }
  return conditions;
}

bool is_collected(const YAML::Node& value) {
  return value.IsMap() && YamlReader::child(value, "collect").IsDefined();
}

namespace {

std::string name_in(YamlReader& reader, const YAML::Node& value, const char* key,
                    const char* like) {
  std::string text = reader.text_at(value, key).value_or("");
  if (text.empty()) {
    reader.diagnostics().add(YamlReader::place(value), fmt::format("`{}:` is missing", key), like);
  }
  return text;
}

ExprPtr or_instead(YamlReader& reader, const YAML::Node& value, ExprPtr expr) {
  const YAML::Node otherwise = YamlReader::child(value, "if_null");
  if (!otherwise.IsDefined()) return expr;
  ExprPtr instead = parse_value(reader, otherwise);
  return instead ? make_expr(IfNull{std::move(expr), std::move(instead), {}}) : expr;
}

}  // namespace

void parse_collected(YamlReader& reader, const YAML::Node& value, const std::string& table,
                     ColumnEntry& column) {
  if (!reader.check_keys(value, "`collect`", {"collect", "by"})) return;
  const char* like = "like {collect: value, by: name}, under `group: [section]`";
  const YAML::Node values = YamlReader::child(value, "collect");
  CollectEntry entry;
  entry.is_of_documents = values.IsSequence();
  entry.values = parse_names(reader, values, "`collect`");
  entry.by = name_in(reader, value, "by", like);
  std::vector<std::string> names;
  for (const NamedPlace& one : entry.values) {
    if (one.name.empty()) {
      reader.diagnostics().add(one.at, "`collect:` needs the name of a column", like);
      return;
    }
    if (std::ranges::count(names, one.name) > 0) {
      reader.diagnostics().add(one.at, fmt::format("`{}` is collected twice", printable(one.name)),
                               "leave one of the two out");
      return;
    }
    if (entry.is_of_documents && one.name == entry.by) {
      reader.diagnostics().add(one.at, fmt::format("`{}` names the documents", printable(one.name)),
                               "leave it out of the list: on the way back it comes from the name");
      return;
    }
    names.push_back(one.name);
  }
  if (names.empty() || entry.by.empty()) return;
  // A document of one value is not the value.
  const std::string what = join(names, ", ") + (entry.is_of_documents ? " as documents" : "");
  column.expr = make_expr(
      ColumnRef{fmt::format("{} of {} collected by {}", what, table, entry.by), -1, true});
  column.collect = std::move(entry);
}

bool is_looked_up(const YAML::Node& value) {
  return value.IsMap() && YamlReader::child(value, "lookup").IsDefined();
}

ExprPtr parse_lookup(YamlReader& reader, const YAML::Node& value) {
  const Place at = YamlReader::place(value);
  if (reader.lookups() == nullptr) {
    reader.diagnostics().add(at, "nothing can be looked up here",
                             "a lookup stands under `columns:`");
    return nullptr;
  }
  if (!reader.check_keys(value, "`lookup`", {"lookup", "in", "by", "if_null"})) return nullptr;
  const char* like = "like {lookup: name, in: customers, by: customer}";
  LookupEntry one{
      "", name_in(reader, value, "lookup", like), name_in(reader, value, "in", like), {}, at};
  const YAML::Node by = YamlReader::child(value, "by");
  if (by.IsDefined() && by.IsSequence()) {
    one.by = parse_names(reader, by, "`by`");
  } else if (const std::string name = name_in(reader, value, "by", like); !name.empty()) {
    one.by = {{name, YamlReader::place(by)}};
  }
  if (one.take.empty() || one.table.empty() || one.by.empty()) return nullptr;
  std::vector<std::string> by_names;
  for (const NamedPlace& name : one.by) by_names.push_back(name.name);
  one.column = fmt::format("lookup of {} in {} by {}", one.take, one.table, join(by_names, ", "));
  ExprPtr expr = make_expr(ColumnRef{one.column});
  reader.lookups()->push_back(std::move(one));
  return or_instead(reader, value, std::move(expr));
}

}  // namespace whimbrel
