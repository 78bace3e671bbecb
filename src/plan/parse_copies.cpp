#include "plan/parse_copies.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"

namespace whimbrel {

namespace {

// `customer_id: customers`, or `pk: {to: customers, as: "CUSTOMER#{id}"}`.
void add_reference(YamlReader& reader, std::vector<ReferenceEntry>& all, const std::string& table,
                   const YAML::Node& column, const YAML::Node& node) {
  ReferenceEntry entry{table, reader.text(column), "", YamlReader::place(column),
                       YamlReader::place(node)};
  if (!node.IsMap()) {
    entry.parent = reader.text(node);
    all.push_back(std::move(entry));
    return;
  }
  if (!reader.check_keys(node, "a reference", {"to", "as"})) return;
  entry.parent = reader.text_at(node, "to").value_or("");
  const std::string spelled = reader.text_at(node, "as").value_or("{id}");
  const std::string id = "{id}";
  const std::size_t at = spelled.find(id);
  const bool is_once =
      at != std::string::npos && spelled.find(id, at + id.size()) == std::string::npos;
  if (entry.parent.empty() || !is_once) {
    reader.diagnostics().add(entry.parent_at,
                             entry.parent.empty() ? "a reference needs `to:`, the table it leads to"
                                                  : "`as:` needs `{id}` once, where the id stands",
                             "like {to: customers, as: \"CUSTOMER#{id}\"}");
    return;
  }
  entry.prefix = spelled.substr(0, at);
  entry.suffix = spelled.substr(at + id.size());
  all.push_back(std::move(entry));
}

}  // namespace

std::optional<IdsEntry> parse_ids(YamlReader& reader, const YAML::Node& node) {
  if (!node.IsDefined() ||
      !reader.check_keys(node, "`ids`", {"column", "format", "prefix", "from"})) {
    return std::nullopt;
  }
  IdsEntry ids;
  ids.at = YamlReader::place(node);
  ids.column = reader.text_at(node, "column").value_or("id");
  ids.prefix = reader.text_at(node, "prefix").value_or("");
  const std::string format =
      reader.word_at(node, "format", {"short", "uuid", "hex", "prefixed"}).value_or("short");
  ids.format = format == "uuid"  ? IdFormat::uuid
               : format == "hex" ? IdFormat::hex
                                 : IdFormat::groups;
  if ((format == "prefixed") != !ids.prefix.empty()) {
    reader.diagnostics().add(ids.at,
                             ids.prefix.empty() ? "`format: prefixed` needs `prefix:`"
                                                : "`prefix:` is for `format: prefixed`",
                             "like {format: prefixed, prefix: \"usr_\"}");
  }
  bool has_id = false;
  const YAML::Node from = YamlReader::child(node, "from");
  if (!from.IsDefined() || !from.IsSequence()) {
    reader.diagnostics().add(
        ids.at, "`ids` needs `from:`, what an id is computed of",
        "like [name, id, \"production\"]: the table's name, the old id, and a text");
    return std::nullopt;
  }
  for (const YAML::Node& part : from) {
    const std::string text = reader.text(part);
    const bool is_word = !YamlReader::is_quoted(part);
    if (is_word && text == "name") {
      ids.from.emplace_back(IdsEntry::Part::name, "");
    } else if (is_word && (text == "id" || text == ids.column)) {
      ids.from.emplace_back(IdsEntry::Part::id, "");
      has_id = true;
    } else {
      ids.from.emplace_back(IdsEntry::Part::text, text);
    }
  }
  if (!has_id) {
    reader.diagnostics().add(YamlReader::place(from),
                             "without `id` every row would get the same new id", "like [name, id]");
  }
  return ids;
}

std::vector<ReferenceEntry> parse_references(YamlReader& reader, const YAML::Node& node) {
  std::vector<ReferenceEntry> all;
  if (!node.IsDefined() ||
      !reader.check_keys(node, "`references`", {}, {}, "like {orders: {customer_id: customers}}")) {
    return all;
  }
  for (const auto& table : node) {
    if (!reader.check_keys(table.second, "`" + reader.text(table.first) + "`", {}, {},
                           "like {customer_id: customers}")) {
      continue;
    }
    for (const auto& column : table.second) {
      const std::string of = reader.text(table.first);
      if (!column.second.IsSequence()) {
        add_reference(reader, all, of, column.first, column.second);
        continue;
      }
      for (const YAML::Node& one : column.second) add_reference(reader, all, of, column.first, one);
    }
  }
  return all;
}

OnConflict parse_on_conflict(YamlReader& reader, const YAML::Node& node, OnConflict otherwise) {
  const auto word = reader.word_at(node, "on_conflict", {"fail", "skip", "overwrite", "merge"});
  if (!word) return otherwise;
  return *word == "skip"        ? OnConflict::skip
         : *word == "overwrite" ? OnConflict::overwrite
         : *word == "merge"     ? OnConflict::merge
                                : OnConflict::fail;
}

OrphansAndValue parse_orphans(YamlReader& reader, const YAML::Node& node,
                              const OrphansAndValue& otherwise) {
  const YAML::Node said = YamlReader::child(node, "orphans");
  if (!said.IsDefined()) return otherwise;
  if (said.IsMap()) {
    const bool is_known = reader.check_keys(said, "`orphans`", {"assign"});
    const YAML::Node to = YamlReader::child(said, "assign");
    if (!is_known || !to.IsDefined()) return otherwise;
    return {Orphans::assign, reader.value(to)};
  }
  if (said.IsNull()) return {Orphans::null, {}};  // YAML reads the bare word so
  const std::map<std::string, Orphans> words = {{"fail", Orphans::fail},
                                                {"keep", Orphans::keep},
                                                {"null", Orphans::null},
                                                {"reject", Orphans::reject},
                                                {"delete", Orphans::remove}};
  const auto it = words.find(reader.text(said));
  if (it != words.end()) return {it->second, {}};
  reader.diagnostics().add(YamlReader::place(said),
                           fmt::format("`orphans: {}` is not known", printable(reader.text(said))),
                           "one of fail, keep, null, reject, delete, or {assign: ID}");
  return otherwise;
}

// `where: {status: [open, waiting], weight: {at_least: 20}}`: all of them hold.
std::vector<std::pair<Condition, Place>> parse_where(YamlReader& reader, const YAML::Node& node) {
  std::vector<std::pair<Condition, Place>> conditions;
  if (!node.IsDefined() ||
      !reader.check_keys(node, "`where`", {}, {}, "like {status: [open, waiting]}")) {
    return conditions;
  }
  if (node.size() == 0) {
    reader.diagnostics().add(YamlReader::place(node), "no condition at all holds for every row",
                             "leave it out to take them all");
  }
  const auto values = [&](const YAML::Node& of) {
    std::vector<Value> all;
    if (of.IsSequence()) {
      for (const YAML::Node& one : of) all.push_back(reader.value(one));
    } else {
      all.push_back(reader.value(of));
    }
    return all;
  };
  const std::map<std::string, Condition::Is> words = {
      {"not", Condition::Is::none_of}, {"at_least", Condition::Is::at_least},
      {"above", Condition::Is::above}, {"at_most", Condition::Is::at_most},
      {"below", Condition::Is::below}, {"begins_with", Condition::Is::begins_with}};
  for (const auto& item : node) {
    const std::string column = reader.text(item.first);
    const Place at = YamlReader::place(item.first);
    if (!item.second.IsMap()) {
      conditions.emplace_back(Condition{column, Condition::Is::one_of, values(item.second)}, at);
      continue;
    }
    if (!reader.check_keys(item.second, "a condition",
                           {"not", "at_least", "above", "at_most", "below", "begins_with"})) {
      continue;
    }
    if (item.second.size() == 0) {
      reader.diagnostics().add(
          at,
          fmt::format("nothing is asked of `{}`: this would hold for every row", printable(column)),
          "say what it is to be, like {below: 10}, or leave it out");
    }
    for (const auto& part : item.second) {
      if (!words.contains(reader.text(part.first))) continue;  // told with the keys
      conditions.emplace_back(
          Condition{column, words.at(reader.text(part.first)), values(part.second)}, at);
    }
  }
  for (const auto& [condition, at] : conditions) {
    const bool compares =
        condition.is != Condition::Is::one_of && condition.is != Condition::Is::none_of;
    if (condition.values.empty()) {
      reader.diagnostics().add(at, "an empty list: this would hold for no row, or for every one",
                               "name at least one value");
    } else if (compares && std::ranges::any_of(condition.values, &Value::is_null)) {
      reader.diagnostics().add(at, "nothing is more or less than null",
                               "say `not: null` for rows that have a value");
    }
  }
  return conditions;
}

std::optional<std::int64_t> parse_rows(YamlReader& reader, const YAML::Node& node,
                                       const std::string& key) {
  const YAML::Node said = YamlReader::child(node, key.c_str());
  if (!said.IsDefined()) return std::nullopt;
  const Value value = reader.value(said);
  const auto* rows = value.get_if<std::int64_t>();
  if (rows != nullptr && *rows > 0) return *rows;
  reader.diagnostics().add(
      YamlReader::place(said),
      fmt::format("`{}` must be a number of rows, at least 1", printable(key)));
  return std::nullopt;
}

// `sample: {orders: 100}`
std::vector<SampleEntry> parse_sample(YamlReader& reader, const YAML::Node& node) {
  std::vector<SampleEntry> all;
  if (!node.IsDefined() || !reader.check_keys(node, "`sample`", {}, {}, "like {orders: 100}")) {
    return all;
  }
  for (const auto& item : node) {
    const std::string table = reader.text(item.first);
    const auto rows = parse_rows(reader, node, table);
    if (rows) all.push_back({table, *rows, YamlReader::place(item.first)});
  }
  return all;
}

std::vector<MaskEntry> parse_masks(YamlReader& reader, const YAML::Node& node) {
  std::vector<MaskEntry> masks;
  if (!node.IsDefined() || !reader.check_keys(node, "`mask`", {}, {}, "like {email: email}")) {
    return masks;
  }
  for (const auto& item : node) {
    const std::string path = reader.text(item.first);
    const auto as = reader.word_at(node, path, {"email", "name", "phone"});
    if (!as) continue;
    const MaskAs mask = *as == "email"  ? MaskAs::email
                        : *as == "name" ? MaskAs::name
                                        : MaskAs::phone;
    masks.push_back({path, mask, YamlReader::place(item.first)});
  }
  return masks;
}

}  // namespace whimbrel
