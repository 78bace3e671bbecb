#include "report/id_mappings.h"

#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "backup/zstd_lines.h"
#include "base/text.h"
#include "follow/own_file.h"
#include "report/json_text.h"

namespace whimbrel {

namespace {

using nlohmann::json;

json key_as_json(const Row& key) {
  json parts = json::array();
  for (const Value& part : key) {
    const auto* text = part.get_if<std::string>();
    const auto* number = part.get_if<std::int64_t>();
    parts.push_back(text != nullptr     ? json(*text)
                    : number != nullptr ? json(*number)
                                        : json(show(part, 1 << 20)));
  }
  return parts.size() == 1 ? parts.front() : parts;
}

std::string book_in(const std::string& folder) { return folder + "/own-rows.db"; }

std::string name_of_move(const State& state, int move) {
  const json about = json::parse(state.tables, nullptr, false);
  if (!about.is_object() || !about.contains("tables")) return "";
  const json& tables = about["tables"];
  const auto at = static_cast<std::size_t>(move);
  return at < tables.size() ? tables[at].value("name", "") : "";
}

}  // namespace

Status write_id_mappings(const std::string& folder, const Migration& migration) {
  constexpr std::int64_t rows_at_once = 2000;
  if (!migration.only_copies) return {};
  ASSIGN_OR_RETURN(const auto lines, ZstdLinesWriter::create(folder + "/id-mappings.jsonl.zst"));
  for (const Move& move : migration.moves) {
    if (move.own == nullptr) continue;
    std::optional<Row> after;
    while (true) {
      ASSIGN_OR_RETURN(const std::vector<OwnRow> rows, move.own->following(after, rows_at_once));
      if (rows.empty()) break;
      for (const OwnRow& row : rows) {
        TRY(lines->write(dumped({{"table", move.name},
                                 {"from", key_as_json(row.source_key)},
                                 {"to", key_as_json(row.target_key)}})));
      }
      after = rows.back().target_key;
    }
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<OwnFile> file, OwnFile::open(book_in(folder)));
  TRY(file->can_be_searched());
  const Result<std::string> digest = lines->finish();
  return digest.ok() ? Status() : Status(digest.error());
}

namespace {

// A text, or the number or UUID that it spells: each store has its own kinds.
std::vector<Value> values_meant_by(const std::string& part) {
  std::vector<Value> values = {Value::text(part)};
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(part.data(), part.data() + part.size(), number);
  if (failure == std::errc() && end == part.data() + part.size()) {
    values.push_back(Value::integer(number));
  }
  const bool is_a_number = !part.empty() && part.find_first_not_of("0123456789.-") == part.npos;
  if (is_a_number) values.emplace_back(Value::Storage(Decimal{part}));
  constexpr std::size_t uuid_length = 36;
  const bool is_a_uuid =
      part.size() == uuid_length && part.find_first_not_of("0123456789abcdefABCDEF-") == part.npos;
  if (is_a_uuid) values.emplace_back(Value::Storage(Uuid{ascii_lower(part)}));
  return values;
}

// Of rows that have a part of their key in common.
constexpr int shown_max = 100;

// The parts of a key of several columns stand behind each other, with commas.
std::vector<Row> keys_meant_by(const std::string& id) {
  constexpr std::size_t parts_max = 6;
  std::vector<Row> keys;
  for (Value& value : values_meant_by(id)) keys.push_back({std::move(value)});
  std::vector<Row> of_parts = {{}};
  std::size_t begin = 0;
  std::size_t parts = 0;
  for (bool more = true; more; ++parts) {
    const std::size_t comma = id.find(',', begin);
    more = comma != std::string::npos;
    std::vector<Row> longer;
    for (const Value& value : values_meant_by(id.substr(begin, comma - begin))) {
      for (Row key : of_parts) {
        key.push_back(value);
        longer.push_back(std::move(key));
      }
    }
    of_parts = std::move(longer);
    begin = comma + 1;
    if (parts == parts_max) return keys;
  }
  if (parts > 1) keys.insert(keys.end(), of_parts.begin(), of_parts.end());
  return keys;
}

}  // namespace

Result<std::vector<IdMapping>> look_up_id(const std::string& folder, const State& state,
                                          const std::string& id) {
  if (!std::filesystem::exists(book_in(folder))) {
    return Error{
        ErrorCode::not_found, "this migration keeps no list of ids",
        "only a copy with `ids:`, `where:`, `orphans:` or `on_conflict:` does; elsewhere a "
        "key follows from the plan's columns"};
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<OwnFile> file, OwnFile::open(book_in(folder)));
  std::vector<IdMapping> all;
  const auto take = [&](const std::vector<OwnFile::Pair>& found) {
    for (const OwnFile::Pair& pair : found) {
      all.push_back({name_of_move(state, pair.move), show(pair.source_key), show(pair.target_key)});
    }
  };
  for (const Row& key : keys_meant_by(id)) {
    ASSIGN_OR_RETURN(const auto found, file->with_key(key));
    take(found);
  }
  if (!all.empty()) return all;
  for (const Value& part : values_meant_by(id)) {
    ASSIGN_OR_RETURN(const auto found, file->with_part(part, shown_max));
    take(found);
  }
  return all;
}

}  // namespace whimbrel
