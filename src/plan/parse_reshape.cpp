#include "plan/parse_reshape.h"

#include <fmt/format.h>

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

bool is_reshaped(const YAML::Node& value) {
  return value.IsMap() && (YamlReader::child(value, "lookup").IsDefined() ||
                           YamlReader::child(value, "collect").IsDefined());
}

void parse_reshaped(YamlReader& reader, const YAML::Node& value, const std::string& table,
                    ColumnEntry& column) {
  const bool looks_up = YamlReader::child(value, "lookup").IsDefined();
  const std::vector<std::string> keys =
      looks_up ? std::vector<std::string>{"lookup", "in", "by", "if_null"}
               : std::vector<std::string>{"collect", "by"};
  if (!reader.check_keys(value, looks_up ? "`lookup`" : "`collect`", keys)) return;
  const auto name = [&](const char* key, const char* like) {
    const std::string text = reader.text_at(value, key).value_or("");
    if (text.empty()) {
      reader.diagnostics().add(YamlReader::place(value), fmt::format("`{}:` is missing", key),
                               like);
    }
    return text;
  };
  const Place at = YamlReader::place(value);
  std::string shown;
  if (looks_up) {
    const char* like = "like {lookup: name, in: customers, by: customer}";
    column.lookup = LookupEntry{name("lookup", like), name("in", like), name("by", like), at};
    if (column.lookup->take.empty() || column.lookup->table.empty() || column.lookup->by.empty()) {
      return;
    }
    shown = fmt::format("lookup of {} in {} by {}", column.lookup->take, column.lookup->table,
                        column.lookup->by);
  } else {
    const char* like = "like {collect: value, by: name}, under `group: [section]`";
    column.collect = CollectEntry{name("collect", like), name("by", like)};
    if (column.collect->value.empty() || column.collect->by.empty()) return;
    shown =
        fmt::format("{} of {} collected by {}", column.collect->value, table, column.collect->by);
  }
  column.expr = make_expr(ColumnRef{shown});
  const YAML::Node otherwise = YamlReader::child(value, "if_null");
  if (!otherwise.IsDefined()) return;
  ExprPtr instead = parse_value(reader, otherwise);
  if (instead) column.expr = make_expr(IfNull{column.expr, std::move(instead), {}});
}

}  // namespace whimbrel
