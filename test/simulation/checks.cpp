// What the promises say, looked at from outside: the stores, the book, and the journal's records.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "sidecar.h"
#include "world.h"

namespace whimbrel::simulation {

void World::check_session(Verb verb, Goal goal, bool lived) {
  if (expects_difference_) {
    if (!lived || !error_ || error_->code != ErrorCode::data_mismatch) {
      violate("a difference was not found");
    }
    if (verb == Verb::run && journal_->reached_a_switch()) violate("switched over a difference");
    return;
  }
  if (error_) check_error(verb);
  if (verb == Verb::verify && !records_ && recorded_before_ != std::ssize(journal_->appended())) {
    violate("a comparison that is not to be recorded was");
  }
  check_state_of_things();
  if (!lived) return;
  const bool drives = verb == Verb::run || verb == Verb::stay || verb == Verb::rollback;
  const bool never_began = error_ && error_->code == ErrorCode::cancelled && held_before_;
  if (drives && faults_.fail_per_mille == 0 && !never_began) {
    for (const auto& store : {plan_.old_side, plan_.new_side}) {
      for (const std::string& left : store->leftovers()) {
        if (left.starts_with("hold")) violate("a hold outlived the command: " + left);
      }
    }
  }
  if (error_) return;
  const Phase phase = journal_->phase();
  const bool runs = verb == Verb::run || verb == Verb::stay;
  if (runs && asked_rollback_ && phase != Phase::rolled_back) {
    violate("a rollback was asked for and not carried out");
  }
  if (runs && goal == Goal::watch && phase != Phase::watching && phase != Phase::rolled_back &&
      !outcome_.gave_up) {
    violate(fmt::format("it says it is done, and is {}", name_of(phase)));
  }
  if (runs && phase == Phase::watching) check_new_side(true);
  if (runs && nobody_writes_) {  // nobody wrote, so nothing may lag
    if (phase == Phase::watching) {
      for (const Page& page : application_->pages()) check_old_side(page);
    }
    const bool to_the_present = goal == Goal::follow || goal == Goal::verify || goal == Goal::watch;
    const bool follows = phase == Phase::verified || phase == Phase::following;
    if (to_the_present && follows && !outcome_.gave_up) check_new_side(false);
  }
}

void World::check_error(Verb verb) {
  const Phase phase = journal_->phase();
  const bool runs = verb == Verb::run || verb == Verb::stay;
  bool explained = false;
  switch (error_->code) {
    case ErrorCode::unavailable:
      explained = true;
      break;
    case ErrorCode::refused:
      explained = !runs || phase == Phase::stuck || phase == Phase::finishing;
      break;
    case ErrorCode::cancelled:
      explained = stopped_;
      break;
    case ErrorCode::outcome_unknown:
      explained = with_faults_;
      break;
    case ErrorCode::data_mismatch:
      explained = check_failed_;
      break;
    default:
      break;
  }
  if (!explained) violate("an error that no fault explains: " + to_text(*error_));
}

void World::check_state_of_things() {
  for (const auto& store : {plan_.source, plan_.target}) {
    for (const std::string& violation : store->violations) violate(violation);
  }
  const State state = journal_->state();
  if (state.phase == Phase::rolled_back) asked_rollback_ = false;
  check_leftovers(state);
  // Before the switch the source holds what the application wrote and nothing else; and always
  // where links keep both sides equal. Late writes may still be on their way back otherwise.
  bool switching = state.phase == Phase::rolling_back;
  for (int i = 0; i < plan_.switches; ++i) {
    switching = switching || state.effect(fmt::format("switch:s{}", i)) != nullptr;
  }
  const bool ending = state.phase == Phase::finishing || state.phase == Phase::finished;
  if (!ending && (is_dual() || !switching)) {
    for (const Page& page : application_->pages()) check_old_side(page);
  }
  const bool linked = state.phase == Phase::following || state.phase == Phase::verified ||
                      state.phase == Phase::fenced || state.phase == Phase::watching;
  if (is_dual() && linked) check_new_side(false);
  check_capacity(state, linked);
  if (state.phase == Phase::rolled_back) check_rolled_back();
  if (state.phase == Phase::finished && !reopening_) check_finished();
}

// What was raised is known until it is put back, and the copy is the last to need it.
void World::check_capacity(const State& state, bool is_copied) {
  const bool is_known = std::ranges::any_of(
      state.effects, [](const Effect& one) { return one.id.starts_with("capacity:"); });
  if (is_known && is_copied) violate("the capacity of the copy is still there");
  if (is_known) return;
  for (const auto& store : {plan_.source, plan_.target}) store->settle_capacity();
  for (const Page& page : application_->pages()) {
    for (const auto& [store, table] :
         {std::pair(plan_.old_side, page.old_table), std::pair(plan_.new_side, page.new_table)}) {
      const Result<Provisions> there = store->catalog().provisions(table, true);
      if (there.ok() && there.value() != Provisions{{"", {5, 5}}}) {
        violate("nobody would put this back: capacity of " + table);
      }
    }
  }
}

// Whatever is in a user's database has its undo in the journal, at every moment (promises 5, 6).
void World::check_leftovers(const State& state) {
  for (const auto& store : {plan_.old_side, plan_.new_side}) {
    for (const std::string& left : store->leftovers()) {
      const std::string kind = left.substr(0, left.find(' '));
      const std::string effect = kind == "feed"   ? "feed:" + left.substr(5)
                                 : kind == "link" ? "links"
                                                  : kind;
      if (state.effect(effect) == nullptr) violate("nobody would remove this: " + left);
    }
  }
  for (const Move& move : plan_.migration.moves) {
    const bool known = state.effect(fmt::format("target:{}", move.index)) != nullptr;
    if (move.creates_target && !known && plan_.new_side->has_table(move.mapping.target.name)) {
      violate("nobody would remove this: table " + move.mapping.target.name);
    }
  }
}

void World::check_old_side(const Page& page) {
  std::map<std::string, Row> found;
  for (const Row& row : plan_.old_side->rows(page.old_table)) found[text_or(row[0], "?")] = row;
  for (const auto& [key, row] : found) {
    if (!page.book.contains(key) && !page.conflicts.contains(key)) {
      violate(fmt::format("{}: a row that nobody wrote: {}", page.old_table, key));
    }
  }
  for (const auto& [key, entry] : page.book) {
    if (page.conflicts.contains(key)) continue;
    const auto it = found.find(key);
    if (it == found.end()) {
      violate(fmt::format("{}: a row is lost: {}", page.old_table, key));
      continue;
    }
    for (std::size_t i = 0; i < old_columns.size(); ++i) {
      const Value expected = in_book(entry.old_side, old_columns[i]);
      if (same(it->second[i], expected)) continue;
      const auto before = page.dropped_before.find(key);
      const bool of_a_namesake =
          unnoticed_ && old_columns[i] == "dropped" && before != page.dropped_before.end() &&
          std::ranges::any_of(before->second,
                              [&](const Value& value) { return same(value, it->second[i]); });
      if (of_a_namesake) continue;
      // The new side may have had no value where the mapping makes 'none' of that: once all is
      // brought back, without anybody's telling what was written, so it stands on the old side.
      if (reopening_ && it->second[i].is_null() && text_or(expected, "") == "none") continue;
      violate(fmt::format("{}: {}.{} is {} and must be {}", page.old_table, key, old_columns[i],
                          show(it->second[i]), show(expected)));
    }
  }
}

// Every row through the mapping, as the checker understands the plan. `exact`: with what only the
// new side can hold.
void World::check_new_side(bool exact) {
  for (const Page& page : application_->pages()) {
    std::map<std::string, Row> found;
    for (const Row& row : plan_.new_side->rows(page.new_table)) {
      found[page.old_key(text_or(row[0], "?"))] = row;
    }
    for (const auto& [key, row] : found) {
      if (!page.book.contains(key) && !page.conflicts.contains(key)) {
        violate(fmt::format("{}: a row that nobody wrote: {}", page.new_table, key));
      }
    }
    for (const auto& [key, entry] : page.book) {
      if (page.conflicts.contains(key)) continue;
      const auto it = found.find(key);
      check_new_row(page, key, it == found.end() ? nullptr : &it->second, exact);
    }
  }
}

void World::check_new_row(const Page& page, const std::string& key, const Row* row, bool exact) {
  const Entry& entry = page.book.at(key);
  const auto wrong = [&](const char* column, const Value& is, const std::string& must) {
    violate(
        fmt::format("{}: {}.{} is {} and must be {}", page.new_table, key, column, show(is), must));
  };
  if (!can_be_converted(entry)) {
    if (row != nullptr && !entry.unsure)
      violate(page.new_table + ": a row that cannot be converted is there: " + key);
    if (!page.set_aside.contains(key)) violate(page.new_table + ": dropped in silence: " + key);
    return;
  }
  if (row == nullptr)
    return violate(fmt::format("{}: a row did not arrive: {}", page.new_table, key));
  const auto expect = [&](std::size_t at, const Value& must) {
    if (!same((*row)[at], must)) wrong(new_columns[at].c_str(), (*row)[at], show(must));
  };
  expect(1, in_book(entry.old_side, "a"));
  const Value b = in_book(entry.old_side, "b");
  if (!entry.unsure || !(*row)[2].is_null()) expect(2, b.is_null() ? Value::text("none") : b);
  const std::string number = text_or(in_book(entry.old_side, "n"), "");
  expect(4, number.empty() ? Value() : Value::integer(std::stoll(number)));

  const auto parse = [](const Value& value) {
    const auto* json = value.get_if<Json>();
    return nlohmann::json::parse(json == nullptr ? "?" : json->text, nullptr, false);
  };
  const auto is_one_of_before = [&](std::size_t at) {
    const auto it = entry.may_return.find(new_columns[at]);
    if (it == entry.may_return.end()) return false;
    return at == 3 ? parse((*row)[at]) == parse(it->second) : same((*row)[at], it->second);
  };
  const Value c = in_book(entry.old_side, "c");
  const nlohmann::json doc = parse((*row)[3]);
  const nlohmann::json plain =
      c.is_null() ? nlohmann::json::object() : nlohmann::json({{"c", text_or(c, "?")}});
  nlohmann::json core = doc;
  if (core.is_object()) core.erase("more");
  if (core != plain) return wrong("doc", (*row)[3], plain.dump());
  if (!exact || entry.unsure) return;
  const auto more = entry.new_only.find("doc");
  const nlohmann::json whole = more == entry.new_only.end() ? plain : parse(more->second);
  if (doc != whole && !is_one_of_before(3)) wrong("doc", (*row)[3], whole.dump());
  const auto extra = entry.new_only.find("extra");
  const Value made_up = Value::text("normal");
  if (!is_one_of_before(5)) expect(5, extra == entry.new_only.end() ? made_up : extra->second);
  if (!is_one_of_before(6)) expect(6, in_book(entry.new_only, "unmapped"));
}

std::vector<std::string> World::tables() const {
  std::vector<std::string> all;
  for (Store* store :
       {static_cast<Store*>(plan_.old_side.get()), static_cast<Store*>(plan_.new_side.get())}) {
    const Result<std::vector<std::string>> here = store->catalog().tables();
    for (const std::string& table : here.value()) all.push_back(store->identity() + "/" + table);
  }
  return all;
}

// Promise 3: everything as it was, but for what the application wrote in between.
void World::check_rolled_back() {
  if (tables() != tables_before_) violate("rolled back, and the tables are not what they were");
  for (const Page& page : application_->pages()) {
    if (!plan_.new_side->rows(page.new_table).empty()) violate("the target is not empty again");
    check_kept(page);
    check_behind(page);
  }
  for (const auto& store : {plan_.old_side, plan_.new_side}) {
    for (const std::string& left : store->leftovers()) violate("left behind: " + left);
  }
  const std::vector<Row> switches = plan_.old_side->rows(switch_table);
  bool as_before = switches.size() == switches_before_.size();
  for (std::size_t i = 0; as_before && i < switches.size(); ++i) {
    as_before = same(switches[i], switches_before_[i]);
  }
  if (!as_before) violate("the switches are not what they were");
  if (!journal_->state().effects.empty()) violate("rolled back, and the journal has effects");
  for (Page& page : application_->pages()) {
    application_->believe_old_side(page);
  }
}

// A row that was set aside is there as it was, whoever has got its key on the new side.
void World::check_behind(const Page& page) {
  std::map<std::string, Row> found;
  for (const Row& row : plan_.old_side->rows(page.old_table)) found[text_or(row[0], "?")] = row;
  for (const auto& [key, entry] : page.behind) {
    const auto it = found.find(key);
    bool is_as_it_was = it != found.end();
    for (std::size_t i = 0; is_as_it_was && i < old_columns.size(); ++i) {
      is_as_it_was = same(it->second[i], in_book(entry.old_side, old_columns[i]));
    }
    if (!is_as_it_was)
      violate(page.old_table + ": a row that was set aside is another one: " + key);
  }
}

// What the old shape cannot hold was handed out before the new side was taken away.
void World::check_kept(const Page& page) {
  const auto move = &page - application_->pages().data();
  std::map<std::string, nlohmann::json> kept;
  for (const KeptRow& row : sidecar_->last_kept()) {
    if (row.move == move) kept[row.key] = nlohmann::json::parse(row.columns, nullptr, false);
  }
  for (const auto& [key, entry] : page.book) {
    if (entry.unsure || page.conflicts.contains(key)) continue;
    const nlohmann::json& columns = kept[to_hex(canonical({page.new_key(key)}))];
    for (const auto& [column, value] : entry.new_only) {
      // What only the new side has, and has no value there, is as it would be without.
      if (value.is_null()) continue;
      const bool is_there = columns.is_object() && columns.contains(column) &&
                            columns[column].value("value", "") == to_hex(canonical({value}));
      if (!is_there) violate(fmt::format("not kept: {}.{}.{}", page.new_table, key, column));
    }
  }
}

void World::check_finished() {
  for (const auto& store : {plan_.old_side, plan_.new_side}) {
    for (const std::string& left : store->leftovers()) violate("left behind: " + left);
  }
  const FinishPlan& plan = plan_.migration.finish;
  for (const Page& page : application_->pages()) {
    const bool stays = plan.keep_source && plan.rename_source_to.empty();
    if (plan_.old_side->has_table(page.old_table) != stays) violate("not the end that was planned");
  }
  if (!plan.rename_source_to.empty() && !plan_.old_side->has_table(plan.rename_source_to)) {
    violate("the archive is not there");
  }
}

// The records alone give the state, and no confirmation lacks its intent.
void World::check_journal() {
  const Result<std::vector<Stamped>> records = journal_->records();
  if (!records.ok()) return violate("the journal cannot be read: " + to_text(records.error()));
  State state;
  for (const Stamped& stamped : records.value()) {
    const auto* confirmed = std::get_if<EffectConfirmed>(&stamped.record);
    if (confirmed != nullptr && state.effect(confirmed->id) == nullptr) {
      violate("confirmed without intent: " + confirmed->id);
    }
    apply(state, stamped);
  }
  const State real = journal_->state();
  const auto essence = [](const State& one) {
    std::string text =
        fmt::format("{} {} {} {}", one.attempt, name_of(one.phase), one.rejected, one.outcome);
    for (const Effect& effect : one.effects) {
      text += fmt::format(" {} {} {}", effect.id, effect.undo, effect.confirmed);
    }
    for (const auto& [move, copy] : one.copies) {
      text += fmt::format(" {} {} {} {} {}", move, copy.through.value_or("-"), copy.at_end,
                          copy.chunks, copy.read);
    }
    for (const auto& [feed, position] : one.positions) text += " " + feed + " " + position;
    return text;
  };
  if (essence(state) != essence(real))
    violate("the journal's state is not a replay of its records");
}

}  // namespace whimbrel::simulation
