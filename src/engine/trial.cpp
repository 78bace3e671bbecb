#include "engine/trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "plan/selection.h"
#include "store/image.h"

namespace whimbrel {

namespace {

using nlohmann::json;
constexpr std::size_t examples_max = 3;

std::vector<std::pair<std::string, std::string>> shown(const std::vector<std::string>& names,
                                                       const Row& row) {
  std::vector<std::pair<std::string, std::string>> all;
  for (std::size_t i = 0; i < names.size(); ++i) all.emplace_back(names[i], show(row[i], 80));
  return all;
}

// Where the child has each part of the parent's key, in the key's order; empty when the reference
// is by other columns.
std::vector<int> columns_of_parent_key(const Move& child, const Move& parent,
                                       const ForeignKey& reference) {
  const std::vector<std::string>& key = parent.mapping.source.key;
  std::vector<int> columns;
  if (key.size() != reference.columns.size()) return columns;
  for (std::size_t part = 0; part < key.size(); ++part) {
    for (std::size_t i = 0; i < reference.columns.size(); ++i) {
      const std::string& named = reference.parent_columns[i];
      const bool is_it = named.empty() ? i == part : ascii_iequals(named, key[part]);
      if (is_it) columns.push_back(child.mapping.source.column_index(reference.columns[i]));
    }
  }
  if (columns.size() != key.size()) columns.clear();
  return columns;
}

}  // namespace

Trial::Trial(const Migration& migration, Journal& journal, Events& events, const StopFlag* stop)
    : migration_(migration), journal_(journal), events_(events), stop_(stop) {}

std::string Trial::id_of(const Move& move, int part) {
  // Several moves may have one table, each with its rows.
  const std::string alias = move.to.substr(0, move.to.find('/') + 1);
  return fmt::format("trial:{}{}{}", alias, move.mapping.target.name,
                     part == 0 ? "" : fmt::format("\n{}", part));
}

bool Trial::is_of(const Move& move, const Effect& effect) {
  return effect.id == id_of(move, 0) || effect.id.starts_with(id_of(move, 0) + "\n");
}

Status Trial::choose(const std::string& table, std::int64_t limit) {
  std::vector<std::string> names;
  for (const Move& move : migration_.moves) {
    names.push_back(move.name);
    if (!table.empty() && move.name != table) continue;
    ASSIGN_OR_RETURN(const auto reader, move.source->open_reader(move.mapping.source));
    // Rows that would be set aside or left out are no trial of anything: others are taken instead.
    const bool picks = move.on_error == OnError::reject || move.among_others;
    Keys& chosen = chosen_[move.index];
    std::optional<Row> after;
    do {
      ASSIGN_OR_RETURN(
          const ChunkOfRows chunk,
          reader->read_after(after, {limit - std::ssize(chosen), std::int64_t{64} << 20}));
      ASSIGN_OR_RETURN(
          const auto taken,
          Selection(migration_.moves, move).pick({chunk.rows.begin(), chunk.rows.end()}));
      for (std::size_t i = 0; i < taken.size(); ++i) {
        if (taken[i].fate != Selection::Fate::taken) continue;
        const bool skips_wrong = move.on_error == OnError::reject;
        if (skips_wrong && !image_of(move.mapping, taken[i].row, move.target->catalog()).ok()) {
          continue;
        }
        chosen.insert(key_of(chunk.rows[i], move.mapping.source_key));
      }
      after = chunk.range.through;
    } while (picks && after && std::ssize(chosen) < limit && !must_stop());
  }
  if (table.empty() || std::ranges::count(names, table) > 0) return {};
  return Error{ErrorCode::not_found, fmt::format("the plan moves no table `{}`", table),
               "it moves " + join(names, ", ")};
}

// A row goes with the rows it refers to, and these with theirs, as far as the plan moves them.
Status Trial::follow_references() {
  std::map<int, Keys> open = chosen_;
  while (!open.empty() && !must_stop()) {
    std::map<int, Keys> found;
    for (const auto& [index, keys] : open) {
      const Move& child = migration_.moves[static_cast<std::size_t>(index)];
      ASSIGN_OR_RETURN(const Lot lot, read(child, keys));
      TRY(follow_inner(child, lot, found));
      for (const ForeignKey& reference : child.mapping.source.foreign_keys) {
        for (const Move& parent : migration_.moves) {
          const bool refers = parent.source == child.source &&
                              ascii_iequals(parent.stored_source(), reference.parent);
          if (!refers) continue;
          const std::vector<int> columns = columns_of_parent_key(child, parent, reference);
          if (columns.empty()) {
            ASSIGN_OR_RETURN(const Keys others, referred_to(parent, child, reference, lot));
            references_ += std::ssize(others);
            for (const Row& key : others) {
              if (chosen_[parent.index].insert(key).second) found[parent.index].insert(key);
            }
            continue;
          }
          for (const Row& row : lot.source_rows) {
            const Row key = key_of(row, columns);
            if (std::ranges::any_of(key, &Value::is_null)) continue;
            ++references_;
            if (chosen_[parent.index].insert(key).second) found[parent.index].insert(key);
          }
        }
      }
    }
    open = std::move(found);
  }
  return {};
}

// References inside of values: a foreign key says nothing of them.
Status Trial::follow_inner(const Move& child, const Lot& lot, std::map<int, Keys>& found) {
  for (const Reference& reference : child.references) {
    if (reference.place.is_whole_value()) continue;
    for (const Row& row : lot.source_rows) {
      ASSIGN_OR_RETURN(const std::vector<Value> ids,
                       ids_in(reference.place, row[static_cast<std::size_t>(reference.column)],
                              reference.of_key));
      for (const Value& id : ids) {
        if (id.is_null()) continue;
        ++references_;
        if (chosen_[reference.parent].insert({id}).second) found[reference.parent].insert({id});
      }
    }
  }
  return {};
}

// The rows of the parent that the lot refers to by something else than their key: by reading until
// all are found, for no store is asked to find rows by other columns.
Result<Trial::Keys> Trial::referred_to(const Move& parent, const Move& child,
                                       const ForeignKey& reference, const Lot& lot) const {
  std::vector<int> from;
  std::vector<int> to;
  for (std::size_t i = 0; i < reference.columns.size(); ++i) {
    from.push_back(child.mapping.source.column_index(reference.columns[i]));
    to.push_back(parent.mapping.source.column_index(reference.parent_columns[i]));
  }
  Keys keys;
  if (std::ranges::any_of(to, [](int column) { return column < 0; })) return keys;
  Keys wanted;
  for (const Row& row : lot.source_rows) {
    Row values = key_of(row, from);
    if (std::ranges::none_of(values, &Value::is_null)) wanted.insert(std::move(values));
  }
  ASSIGN_OR_RETURN(const auto reader, parent.source->open_reader(parent.mapping.source));
  std::optional<Row> after;
  do {
    if (wanted.empty() || must_stop()) break;
    ASSIGN_OR_RETURN(const ChunkOfRows chunk,
                     reader->read_after(after, {10'000, std::int64_t{16} << 20}));
    for (const Row& row : chunk.rows) {
      if (wanted.erase(key_of(row, to)) > 0) {
        keys.insert(key_of(row, parent.mapping.source_key));
      }
    }
    after = chunk.range.through;
  } while (after);
  return keys;
}

Result<Trial::Lot> Trial::read(const Move& move, const Keys& keys) {
  ASSIGN_OR_RETURN(const auto reader, move.source->open_reader(move.mapping.source));
  const std::vector<Row> list(keys.begin(), keys.end());
  ASSIGN_OR_RETURN(auto rows, reader->read_keys(list));
  if (move.among_others) TRY(leave_out(move, rows));
  Lot lot;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i]) continue;  // an orphan's parent, left out, or deleted just now
    Result<Row> image = image_of(move.mapping, *rows[i], move.target->catalog());
    if (!image.ok()) {
      return std::move(image).error().within(
          fmt::format("converting key {} of {}", show(list[i]), move.name));
    }
    lot.source_rows.push_back(*std::move(rows[i]));
    lot.images.push_back(std::move(image).value());
  }
  return lot;
}

Status Trial::leave_out(const Move& move, std::vector<std::optional<Row>>& rows) const {
  Selection selection(migration_.moves, move);
  const std::size_t count = rows.size();
  ASSIGN_OR_RETURN(auto picks, selection.pick(std::move(rows)));
  rows.assign(count, std::nullopt);
  for (std::size_t i = 0; i < count; ++i) {
    if (picks[i].fate == Selection::Fate::taken) rows[i] = std::move(picks[i].row);
  }
  return {};
}

// Every row is named in the journal, with what will be written, before it is written.
Status Trial::write(const Move& move, const Lot& lot, int part, TriedTable& tried) {
  Catalog& catalog = move.target->catalog();
  const bool makes = !catalog.describe(move.mapping.target.name).ok();
  std::vector<std::optional<Row>> there(lot.images.size());
  if (!makes) {
    ASSIGN_OR_RETURN(const auto reader, move.target->open_reader(move.mapping.target));
    std::vector<Row> keys;
    for (const Row& image : lot.images) {
      keys.push_back(key_of(image, move.mapping.target_key));
      if (std::ranges::none_of(keys.back(), &Value::is_null)) continue;
      return Error{ErrorCode::refused,
                   fmt::format("{}: a row would get the key {}, which no row is found by", move.to,
                               show(keys.back())),
                   "`whimbrel analyze` names all such rows"};
    }
    ASSIGN_OR_RETURN(there, reader->read_keys(keys));
  }
  json undo = {{"made", makes}, {"rows", json::array()}};
  if (!makes) {
    ASSIGN_OR_RETURN(undo["last_number"], catalog.last_number(move.mapping.target.name));
  }
  std::vector<Row> written;
  std::vector<Change> changes;
  for (std::size_t i = 0; i < lot.images.size(); ++i) {
    if (there[i]) {
      ++tried.there;
      continue;
    }
    const Row values = written_values(move.mapping.forward, lot.images[i]);
    undo["rows"].push_back(
        {{"key", to_hex(canonical(key_of(lot.images[i], move.mapping.target_key)))},
         {"values", to_hex(canonical(values))}});
    written.push_back(lot.images[i]);
    changes.push_back({key_of(lot.images[i], move.mapping.target_key), values,
                       std::optional<std::optional<Row>>(std::in_place, std::nullopt)});
    if (tried.examples.size() < examples_max) {
      tried.examples.push_back({show(key_of(lot.source_rows[i], move.mapping.source_key)),
                                shown(move.mapping.source.column_names(), lot.source_rows[i]),
                                shown(written_columns(move.mapping.forward), values)});
    }
  }
  TRY(journal_.append(EffectIntended{id_of(move, part), undo.dump()}));
  TRY(catalog.create(move.mapping.target, true));
  ASSIGN_OR_RETURN(
      const auto writer,
      move.target->open_writer(move.mapping.target, written_columns(move.mapping.forward)));
  ASSIGN_OR_RETURN(const Applied applied, writer->apply(changes));
  tried.rows += applied.written;
  tried.there += applied.refused;
  if (!applied.blocked_by.empty()) {
    return Error{ErrorCode::refused,
                 fmt::format("{}: a value that has to be unique is held by the row {}", move.to,
                             show(applied.blocked_by.front()))};
  }
  std::vector<Row> keys;
  for (const Row& image : written) keys.push_back(key_of(image, move.mapping.target_key));
  ASSIGN_OR_RETURN(const auto reader, move.target->open_reader(move.mapping.target));
  ASSIGN_OR_RETURN(const auto found, reader->read_keys(keys));
  TRY(journal_.append(EffectConfirmed{id_of(move, part), changed_by_target(move, written, found)}));
  return compare(move, written, found);
}

// What the target's own triggers and defaults have made of the rows: they are still the trial's.
std::string Trial::changed_by_target(const Move& move, const std::vector<Row>& images,
                                     const std::vector<std::optional<Row>>& found) {
  json changed = json::object();
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (!found[i]) continue;
    const Row values = written_values(move.mapping.forward, *found[i]);
    if (same(values, written_values(move.mapping.forward, images[i]))) continue;
    const Row key = key_of(images[i], move.mapping.target_key);
    changed[to_hex(canonical(key))] = to_hex(canonical(values));
  }
  return json{{"changed", changed}}.dump();
}

Status Trial::compare(const Move& move, const std::vector<Row>& images,
                      const std::vector<std::optional<Row>>& found) {
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::string what = found[i]
                                 ? join(differing(move.mapping.forward, images[i], *found[i]), ", ")
                                 : "it is not there";
    if (what.empty()) continue;
    const Row key = key_of(images[i], move.mapping.target_key);
    return Error{ErrorCode::data_mismatch, fmt::format("{} key {}: {}", move.to, show(key), what),
                 "a trigger or default of the target interferes"};
  }
  return {};
}

// Only where the last number given is one of a row of the trial: the application may have made rows
// since.
Status Trial::put_number_back(const Move& move, const std::vector<Change>& removed,
                              std::int64_t number) {
  Catalog& catalog = move.target->catalog();
  ASSIGN_OR_RETURN(const std::int64_t last, catalog.last_number(move.mapping.target.name));
  const bool is_of_trial = std::ranges::any_of(removed, [&](const Change& change) {
    return change.key.size() == 1 && same(change.key.front(), Value::integer(last));
  });
  return is_of_trial ? catalog.put_number_back(move.mapping.target.name, number) : Status();
}

Result<std::int64_t> Trial::take_away(const Move& move, const Effect& effect) {
  const json undo = json::parse(effect.undo, nullptr, false);
  const json result = json::parse(effect.result, nullptr, false);
  const json changed =
      result.is_object() ? result.value("changed", json::object()) : json::object();
  const Result<TableSchema> there = move.target->catalog().describe(move.mapping.target.name);
  if (!there.ok() && there.error().code == ErrorCode::not_found) return std::int64_t{0};
  if (!there.ok()) return there.error();
  ASSIGN_OR_RETURN(const auto reader, move.target->open_reader(move.mapping.target));
  std::int64_t left_alone = 0;
  std::vector<Change> changes;
  for (const auto& row : undo.value("rows", json::array())) {
    ASSIGN_OR_RETURN(Row key, row_from_canonical(from_hex(row.value("key", ""))));
    const std::vector<Row> keys = {key};
    ASSIGN_OR_RETURN(auto found, reader->read_keys(keys));
    if (!found[0]) continue;
    const Row values = written_values(move.mapping.forward, *found[0]);
    const std::string now = to_hex(canonical(values));
    if (now != row.value("values", "") && now != changed.value(row.value("key", ""), "")) {
      ++left_alone;
      continue;
    }
    changes.push_back({std::move(key), std::nullopt, std::move(found[0])});
  }
  ASSIGN_OR_RETURN(
      const auto writer,
      move.target->open_writer(move.mapping.target, written_columns(move.mapping.forward)));
  ASSIGN_OR_RETURN(const Applied applied, writer->apply(changes));
  left_alone += applied.refused;
  ASSIGN_OR_RETURN(const std::int64_t rows, reader->count());
  if (undo.value("made", false) && rows == 0) {
    TRY(move.target->catalog().drop(move.mapping.target.name));
  } else if (undo.contains("last_number")) {
    TRY(put_number_back(move, changes, undo["last_number"].get<std::int64_t>()));
  }
  return left_alone;
}

Result<std::int64_t> Trial::clean() {
  std::int64_t left_alone = 0;
  const State state = journal_.state();
  for (auto effect = state.effects.rbegin(); effect != state.effects.rend(); ++effect) {
    bool is_known = false;
    for (const Move& move : migration_.moves) {
      if (!is_of(move, *effect)) continue;
      is_known = true;
      ASSIGN_OR_RETURN(const std::int64_t rows, take_away(move, *effect));
      left_alone += rows;
    }
    if (!is_known) {
      const std::string table = effect->id.substr(std::string_view("trial:").size());
      return Error{ErrorCode::refused,
                   fmt::format("rows of an earlier trial are still in {}, which the plan no longer "
                               "names as a target",
                               table.substr(0, table.find('\n'))),
                   "put the old plan back and say `whimbrel test`, which removes them; or remove "
                   "them by hand, and trial.db in the state folder with them",
                   "nothing was changed",
                   {},
                   ""};
    }
    TRY(journal_.append(EffectUndone{effect->id}));
  }
  return left_alone;
}

// In parts: the rows of a trial may be many.
Status Trial::try_table(const Move& move, TriedTable& tried) {
  constexpr std::ptrdiff_t rows_at_once = 5000;
  const Keys& chosen = chosen_[move.index];
  int part = 0;
  for (auto from = chosen.begin(); from != chosen.end(); ++part) {
    if (must_stop()) return Error{ErrorCode::cancelled, "stopped as asked"};
    const auto to = std::next(from, std::min(rows_at_once, std::distance(from, chosen.end())));
    ASSIGN_OR_RETURN(const Lot lot, read(move, Keys(from, to)));
    TRY(write(move, lot, part, tried));
    from = to;
  }
  return {};
}

Result<TrialOutcome> Trial::run(const std::string& table, std::int64_t limit, bool keep) {
  ASSIGN_OR_RETURN(const std::int64_t of_before, clean());
  TrialOutcome outcome;
  outcome.left_alone = of_before;
  chosen_.clear();
  references_ = 0;
  TRY(choose(table, limit));
  TRY(follow_references());
  outcome.references = references_;
  Status tried;
  for (const Move& move : migration_.moves) {
    if (chosen_[move.index].empty()) continue;
    if (must_stop()) {
      tried = Error{ErrorCode::cancelled, "stopped as asked"};
      break;
    }
    TriedTable one{move.name, 0, 0, {}};
    tried = try_table(move, one);
    if (!tried.ok()) {
      tried = std::move(tried).error().within("trying " + move.name);
      break;
    }
    events_.emit({"rows_tried", {{"table", move.name}, {"rows", one.rows}}});
    outcome.tables.push_back(std::move(one));
  }
  if (tried.ok() && keep) return outcome;
  ASSIGN_OR_RETURN(const std::int64_t left_alone, clean());
  outcome.left_alone += left_alone;
  if (!tried.ok()) {
    return std::move(tried).error().saying_safe(
        left_alone == 0
            ? "the rows of the trial were removed again"
            : fmt::format("rows of the trial that somebody changed since are still there: {}",
                          with_thousands(left_alone)));
  }
  return outcome;
}

}  // namespace whimbrel
