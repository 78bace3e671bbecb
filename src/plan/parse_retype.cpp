#include "plan/parse_retype.h"

#include <fmt/format.h>

#include <tuple>

#include "base/text.h"
#include "plan/parse_copies.h"
#include "plan/parse_value.h"

namespace whimbrel {

namespace {

// ALIAS/TABLE.COLUMN, as the table's address with its last part taken off.
std::optional<RetypeEntry::Also> column_of(YamlReader& reader, const YAML::Node& node,
                                           const ReadAddress& address) {
  std::optional<TableAddress> whole = address(node);
  if (!whole) return std::nullopt;
  const std::size_t dot = whole->table.rfind('.');
  if (dot == std::string::npos || dot == 0 || dot + 1 == whole->table.size()) {
    reader.diagnostics().add(whole->at,
                             fmt::format("`{}` names no column", printable(reader.text(node))),
                             "write ALIAS/TABLE.COLUMN");
    return std::nullopt;
  }
  std::string column(without_quotes(std::string_view(whole->table).substr(dot + 1)));
  whole->table.resize(dot);
  return RetypeEntry::Also{std::move(*whole), std::move(column)};
}

// `fail`, `normalise`, or {map: FILE}.
void read_on_invalid(YamlReader& reader, const YAML::Node& said, RetypeEntry& entry) {
  if (!said.IsDefined()) return;
  entry.on_invalid_at = YamlReader::place(said);
  if (said.IsMap()) {
    if (reader.check_keys(said, "`on_invalid`", {"map"})) {
      entry.map_file = reader.text_at(said, "map");
    }
    return;
  }
  const std::string word = said.IsScalar() ? reader.text(said) : "";
  entry.normalises = word == "normalise";
  if (entry.normalises || word == "fail") return;
  reader.diagnostics().add(entry.on_invalid_at,
                           word.empty()
                               ? "`on_invalid` must be a word or {map: FILE}"
                               : fmt::format("`on_invalid: {}` is not known", printable(word)),
                           "one of fail, normalise, or {map: FILE}");
}

void read_using(YamlReader& reader, const YAML::Node& node, RetypeEntry& entry) {
  const YAML::Node made_by = YamlReader::child(node, "using");
  const YAML::Node leads_back = YamlReader::child(node, "inverse");
  if (made_by.IsDefined()) {
    entry.made_by_at = YamlReader::place(made_by);
    entry.made_by = parse_value(reader, made_by);
  }
  if (leads_back.IsDefined()) {
    entry.leads_back_at = YamlReader::place(leads_back);
    entry.leads_back = parse_value(reader, leads_back);
  }
  if (leads_back.IsDefined() && !made_by.IsDefined()) {
    reader.diagnostics().add(entry.leads_back_at, "`inverse:` is the way back from `using:`",
                             "say `using:` as well, or leave both out: a cast leads back itself");
  }
  if (made_by.IsDefined() && (entry.normalises || entry.map_file)) {
    reader.diagnostics().add(entry.on_invalid_at,
                             "`using:` says what each value becomes, and so does `on_invalid:`",
                             "leave out one of them");
  }
}

// Rows cannot be set aside: nothing is left behind in place.
void read_orphans(YamlReader& reader, const YAML::Node& node, RetypeEntry& entry) {
  std::tie(entry.orphans, entry.orphans_to) = parse_orphans(reader, node, {Orphans::fail, {}});
  const Place at = YamlReader::place(YamlReader::child(node, "orphans"));
  if (entry.orphans == Orphans::reject) {
    reader.diagnostics().add(at, "`orphans: reject` sets rows of a copy aside",
                             "for columns that get another type in place one of fail, keep, null, "
                             "delete, or {assign: VALUE}");
  }
  if (entry.orphans == Orphans::assign && entry.orphans_to.is_null()) {
    reader.diagnostics().add(at, "`assign: null` names no row", "say `orphans: null`");
  }
}

std::optional<RetypeEntry> entry_of(YamlReader& reader, const YAML::Node& node,
                                    const ReadAddress& address) {
  if (!reader.check_keys(node, "`retype`",
                         {"table", "column", "to", "using", "inverse", "follow", "also",
                          "on_invalid", "orphans", "method"})) {
    return std::nullopt;
  }
  RetypeEntry entry;
  entry.at = YamlReader::place(node);
  for (const char* key : {"table", "column", "to"}) {
    if (YamlReader::child(node, key).IsDefined()) continue;
    reader.diagnostics().add(entry.at, fmt::format("a retype needs `{}:`", key),
                             "like {table: ALIAS/TABLE, column: id, to: uuid}");
    return std::nullopt;
  }
  const std::optional<TableAddress> table = address(YamlReader::child(node, "table"));
  if (!table) return std::nullopt;
  entry.table = *table;
  entry.column = reader.text_at(node, "column").value_or("");
  entry.column_at = YamlReader::place(YamlReader::child(node, "column"));
  entry.to = reader.text_at(node, "to").value_or("");
  reader.word_at(node, "follow", {"references"});
  read_on_invalid(reader, YamlReader::child(node, "on_invalid"), entry);
  read_using(reader, node, entry);
  read_orphans(reader, node, entry);
  entry.method_at = YamlReader::place(YamlReader::child(node, "method"));
  entry.rewrites = reader.word_at(node, "method", {"auto", "shadow_table", "rewrite"},
                                  {"shadow_column"}) == "rewrite";
  const YAML::Node also = YamlReader::child(node, "also");
  if (also.IsDefined() && !also.IsSequence()) {
    reader.diagnostics().add(YamlReader::place(also), "`also` must be a list",
                             "of columns that refer without a foreign key: [ALIAS/TABLE.COLUMN]");
    return entry;
  }
  for (std::size_t i = 0; also.IsDefined() && i < also.size(); ++i) {
    std::optional<RetypeEntry::Also> one = column_of(reader, also[i], address);
    if (!one) continue;
    if (one->table.alias == entry.table.alias) {
      entry.also.push_back(std::move(*one));
    } else {
      reader.diagnostics().add(one->table.at, "a column of another store cannot follow",
                               "give it a retype of its own");
    }
  }
  return entry;
}

}  // namespace

std::vector<RetypeEntry> parse_retype(YamlReader& reader, const YAML::Node& node,
                                      const ReadAddress& address) {
  std::vector<RetypeEntry> all;
  if (!node.IsDefined()) return all;
  if (!node.IsSequence() || node.size() == 0) {
    reader.diagnostics().add(YamlReader::place(node), "`retype` must be a list",
                             "like [{table: ALIAS/TABLE, column: id, to: uuid}]");
    return all;
  }
  for (const YAML::Node& item : node) {
    std::optional<RetypeEntry> entry = entry_of(reader, item, address);
    if (entry) all.push_back(std::move(*entry));
  }
  return all;
}

}  // namespace whimbrel
