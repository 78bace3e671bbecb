#include "report/analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <span>

#include "base/counted.h"
#include "base/text.h"
#include "plan/key_set.h"
#include "plan/selection.h"
#include "report/headline.h"
#include "report/headway.h"
#include "report/inventory.h"
#include "report/levels.h"
#include "report/objects_made.h"
#include "report/rights.h"
#include "report/weigh.h"
#include "store/image.h"

namespace whimbrel {

namespace {

using nlohmann::json;
constexpr std::int64_t examples_max = 1000;  // in the file
constexpr std::int64_t examples_shown = 5;

// Values in documents are as a person reads them; what is no UTF-8 is escaped by show().
json shown(const Value& value) {
  if (value.is_null()) return nullptr;
  if (const auto* whole = value.get_if<std::int64_t>()) return *whole;
  return show(value, 200);
}

// What a colleague would say first.
struct Matter {
  Finding::Weight weight = Finding::Weight::warning;
  std::int64_t rows = 0;  // that it is about; 0: about none in particular
  std::string text;
};

const char* name_of(Finding::Weight weight) {
  constexpr const char* names[] = {"note", "warning", "refusal"};
  return names[static_cast<int>(weight)];
}

struct Refusals {
  void forget_examples() {
    for (auto& [reason, counted] : reasons) counted.second.clear();
  }
  std::int64_t rows = 0;
  std::map<std::string, std::pair<std::int64_t, std::vector<std::string>>> reasons;

  // A row counts once, however many of its columns fail.
  void add(const Row& key, const std::vector<Error>& errors) {
    ++rows;
    for (const Error& error : errors) add_reason(key, error);
  }
  void add(const Row& key, const Error& error) {
    ++rows;
    add_reason(key, error);
  }
  // The reasons, those of most rows first.
  std::vector<std::pair<std::string, std::int64_t>> by_rows() const {
    std::vector<std::pair<std::string, std::int64_t>> all;
    for (const auto& [reason, counted] : reasons) all.emplace_back(reason, counted.first);
    std::ranges::stable_sort(all, std::greater(), &std::pair<std::string, std::int64_t>::second);
    return all;
  }

 private:
  std::map<std::string, std::string> last_of_reason_;  // the last row, by its key

  void add_reason(const Row& key, const Error& error) {
    // The reason without the value: rows that fail alike are counted together.
    const std::string& reason = error.context.empty() ? error.message : error.context.back();
    auto& [count, examples] = reasons[reason];
    // A row may fail in one way in several places.
    std::string row = canonical(key);
    std::string& last = last_of_reason_[reason];
    if (last != row || count == 0) ++count;
    last = std::move(row);
    if (std::ssize(examples) == examples_max) return;
    std::string example = fmt::format("key {}: {}", show(key), error.message);
    if (examples.empty() || examples.back() != example) examples.push_back(std::move(example));
  }
};

// The keys that rows get in tables in which several moves have theirs, where the plan does not say
// that these differ.
class SharedKeys {
 public:
  explicit SharedKeys(const Migration& migration) : migration_(migration) {}

  // The other move of which a row gets this key as well; null where there is none so far.
  Result<const Move*> add(const Move& move, const std::string& key) {
    if (keys_ == nullptr) {
      ASSIGN_OR_RETURN(keys_, KeySet::open());
    }
    TRY(keys_->add(move.index, key));
    for (int i = 0; i < move.index; ++i) {
      const Move& other = migration_.moves[static_cast<std::size_t>(i)];
      if (!move.has_rows_beside(other)) continue;
      ASSIGN_OR_RETURN(const bool has_it, keys_->has(i, key));
      if (has_it) return &other;
    }
    return nullptr;
  }

 private:
  const Migration& migration_;
  std::unique_ptr<KeySet> keys_;
};

class TableAnalysis {
 public:
  TableAnalysis(const Migration& migration, const Move& move, const Standing& standing, bool redact)
      : migration_(migration),
        move_(move),
        standing_(standing),
        redact_(redact),
        selection_(migration.moves, move) {}

  Status describe() {
    document_ = {
        {"table", move_.name}, {"from", move_.from}, {"to", move_.to}, {"findings", json::array()}};
    const bool is_one_of_several = std::ranges::any_of(migration_.moves, [&](const Move& other) {
      return other.index != move_.index && other.from == move_.from && other.to == move_.to;
    });
    line("{} → {}{}", move_.from, move_.to, is_one_of_several ? " (" + move_.name + ")" : "");
    const Result<TableSchema> there = move_.target->catalog().describe(move_.mapping.target.name);
    document_["target_exists"] = there.ok();
    line("  target      {}", there.ok() ? "is there" : "would be made");
    if (move_.creates_target) {
      const TableSchema& wanted = move_.mapping.target;
      const bool is_reshaped = move_.stored_target() != wanted.name;
      const Result<TableSchema> stored =
          is_reshaped ? move_.target->catalog().describe(move_.stored_target()) : there;
      const TableSchema& made = stored.ok() ? stored.value() : wanted;
      for (const std::string& what : move_.target->catalog().unlike(wanted, made)) {
        add_finding({Finding::Weight::warning, "unlike_model",
                     fmt::format("{}: {}", move_.mapping.target.name, what),
                     "the table stays as it is; set by hand what it should have"});
      }
    }
    for (const ColumnRule& rule : move_.mapping.forward) {
      document_["mapping"].push_back(
          {{"column", rule.column}, {"from", whimbrel::describe(*rule.expr)}});
    }
    ASSIGN_OR_RETURN(std::vector<Finding> findings,
                     move_.source->review(move_.mapping, migration_.sync == Sync::dual));
    ASSIGN_OR_RETURN(const std::vector<Finding> of_target,
                     move_.target->review_target(move_.mapping, migration_.sync == Sync::dual));
    findings.insert(findings.end(), of_target.begin(), of_target.end());
    // Nobody leaves the old table of a copy: what refers to it stays right.
    std::erase_if(findings, [this](const Finding& finding) {
      return move_.among_others && (finding.code == "referenced" || finding.code == "view");
    });
    weigh_by_plan(migration_, move_, standing_.begun, findings);
    std::ranges::stable_sort(findings, std::greater(), &Finding::weight);  // what matters is first
    for (const Finding& finding : findings) add_finding(finding);
    if (!standing_.begun) {
      may_write();
      TRY(other_journal());
      TRY(target_rows(there.ok() ? &there.value() : nullptr));
    } else if (move_.own != nullptr && there.ok()) {
      ASSIGN_OR_RETURN(target_, move_.target->open_reader(move_.mapping.target));
    }
    way_back();
    if (migration_.sync == Sync::dual && move_.on_error == OnError::reject) {
      add_finding(
          {Finding::Weight::refusal, "reject_under_dual",
           "`on_error: reject` cannot be kept under `sync: dual`: a trigger refuses nothing",
           "say `sync: capture`"});
    }
    return {};
  }

  // Also the source of a copy notes which journal reads it.
  void may_write() {
    for (const Store* store : {move_.source.get(), move_.target.get()}) {
      const Status may = store->may_write();
      if (may.ok()) continue;
      add_finding({Finding::Weight::refusal, "read_only", may.error().message, may.error().hint});
      return;
    }
  }

  void tell_unsaid(const UnsaidReference& one) {
    add_finding({Finding::Weight::warning, "unsaid_reference",
                 fmt::format("{} looks like a reference to {}, and nothing says so: {} of {} "
                             "sampled values are keys there",
                             printable(one.column), printable(one.parent), one.found, one.of),
                 fmt::format("`references: {{{}: {{{}: {}}}}}`, if it is one; else it stays as it "
                             "is, and is not looked at",
                             printable(move_.name), printable(one.column), printable(one.parent))});
  }

  // The row that orphans are given to has to be one that moves.
  Status look_for_the_assigned() {
    if (move_.orphans != Orphans::assign) return {};
    for (const whimbrel::Reference& reference : move_.references) {
      ASSIGN_OR_RETURN(const bool is_taken, selection_.is_taken(reference, move_.orphans_to));
      if (is_taken) continue;
      const std::string& parent = migration_.moves[static_cast<std::size_t>(reference.parent)].name;
      add_finding(
          {Finding::Weight::refusal, "nothing_to_assign",
           fmt::format("`orphans: {{assign: …}}` names {} of {} for {}, which is not there or "
                       "not taken",
                       spelled_out(move_.orphans_to), parent, reference.said),
           "name the key of a row that moves, as the old side has it"});
    }
    return {};
  }

  // Where rows of the other table may stay behind, references have to be followed, and these
  // cannot.
  void look_for_what_is_not_followed() {
    if (!move_.among_others || move_.orphans == Orphans::keep) return;
    for (const UnfollowedReference& one : move_.not_followed) {
      const Move& parent = migration_.moves[static_cast<std::size_t>(one.parent)];
      const bool is_asked = move_.orphans != Orphans::fail || leaves_out_rows(parent);
      const std::string message = fmt::format(
          "{}.{} refers to rows of {}, whose key has several columns: whether they are "
          "there is not looked at",
          move_.name, one.said, parent.name);
      if (is_asked) {
        add_finding({Finding::Weight::refusal, "reference_not_followed", message,
                     leaves_out_rows(parent)
                         ? "copy all rows of " + parent.name +
                               ", or say `orphans: keep` to leave such references as they are"
                         : "say `orphans: keep` for this table: what becomes of rows that refer to "
                           "nothing can be said only where they can be found"});
      } else {
        add_finding({Finding::Weight::warning, "reference_not_looked_at", message,
                     "rows that refer to nothing come along as they are; `orphans: keep` says that "
                     "this is meant"});
      }
    }
    for (const ForeignKey& key : move_.mapping.source.foreign_keys) {
      for (const Move& parent : migration_.moves) {
        const bool is_it =
            parent.source == move_.source && ascii_iequals(parent.stored_source(), key.parent);
        if (!is_it || !leaves_out_rows(parent)) continue;
        const int column = move_.mapping.source.column_index(key.columns.front());
        const bool is_followed =
            key.columns.size() == 1 &&
            std::ranges::any_of(move_.references, [&](const whimbrel::Reference& one) {
              return one.column == column && one.parent == parent.index;
            });
        if (is_followed) continue;
        add_finding({Finding::Weight::refusal, "reference_not_followed",
                     fmt::format("{} refers to {} by {}, which is no key of one column: what its "
                                 "rows need there cannot be found",
                                 move_.name, parent.name, join(key.columns, ", ")),
                     "copy all rows of " + parent.name +
                         ", or say `orphans: keep` to leave such references as they are"});
      }
    }
  }

  // Numbers that the store gave mean nothing on the other side.
  void look_for_a_key() {
    if (!move_.among_others || move_.mapping.target.row_number().empty()) return;
    add_finding(
        {Finding::Weight::refusal, "no_key_among_others",
         fmt::format("{} has no key: a row of ours could not be told from one of others", move_.to),
         "give it a primary key, or leave the table out"});
  }

  Status read_all(Clock& clock, Events& events, const StopFlag& stop, SharedKeys& shared_keys) {
    look_for_a_key();
    look_for_what_is_not_followed();
    find_what_stays_behind();
    find_what_is_asked_for();
    TRY(look_for_the_assigned());
    // A copy that is made again takes what is there now, and nobody has offered that yet.
    if (!standing_.begun || move_.among_others) {
      ASSIGN_OR_RETURN(rehearsal_, move_.target->rehearse(move_.mapping, meets_others()));
    }
    const bool of_one_moment = rehearsal_ != nullptr && rehearsal_->keeps_rows();
    ASSIGN_OR_RETURN(const auto reader,
                     of_one_moment ? move_.source->open_reader_of_one_moment(move_.mapping.source)
                                   : move_.source->open_reader(move_.mapping.source));
    TRY(find_parents());
    const bool shares_keys = move_.target->shares_keys(move_.mapping.target);
    // Of rows that are known to move only the first are looked at, to show what becomes of them.
    const bool reads_few = !move_.among_others && rehearsal_ == nullptr && !shares_keys &&
                           move_.mapping.given_back.empty() &&
                           move_.target->takes_what_review_passes(move_.mapping, *move_.source);
    const Milliseconds began = clock.monotonic();
    Refusals refusals;
    std::int64_t rows = 0;
    std::int64_t bytes = 0;
    const UnitMeter source_units = move_.source->unit_meter(move_.mapping.source);
    const UnitMeter target_units = move_.target->unit_meter(move_.mapping.target);
    Units source;
    Units target;
    std::optional<Row> after;
    do {
      if (stop.requested()) return Error{ErrorCode::cancelled, "stopped as asked"};
      ASSIGN_OR_RETURN(ChunkOfRows chunk, reader->read_after(after, {5000, std::int64_t{8} << 20}));
      std::vector<Row> keys;
      std::vector<Row> images;
      std::vector<std::vector<Row>> old_parents;
      rows += std::ssize(chunk.rows);
      if (move_.among_others) TRY(select(chunk.rows));
      for (Row& row : chunk.rows) {
        bytes += size_of(row);
        for (auto& [column, found] : stays_behind_) found += row[column].is_null() ? 0 : 1;
        for (auto& [column, found] : asked_for_) found += row[column].is_null() ? 0 : 1;
        if (source_units) source += source_units(row);
        std::optional<Row> image = look_at(row, refusals);
        if (!image) continue;
        if (target_units) target += target_units(*image);
        keys.push_back(key_of(row, move_.mapping.source_key));
        images.push_back(*std::move(image));
        old_parents.push_back(parents_before(row));
        row.clear();  // a giant row is not held twice
      }
      TRY(look_for_parents(keys, images, old_parents));
      TRY(look_for_others(keys, images));
      TRY(look_for_equal_keys(keys, images));
      if (shares_keys) TRY(look_for_shared_keys(keys, images, shared_keys));
      TRY(rehearse(keys, std::move(images)));
      if (!reads_few) events.emit({"analyzed", {{"table", move_.name}, {"rows", rows}}});
      after = chunk.range.through;
    } while (after && !reads_few);
    Milliseconds took = clock.monotonic() - began;
    if (after) {
      ASSIGN_OR_RETURN(const std::int64_t all, reader->count());
      const double times = static_cast<double>(all) / static_cast<double>(std::max(rows, 1L));
      bytes = std::llround(static_cast<double>(bytes) * times);
      took = Milliseconds(std::llround(static_cast<double>(took.count()) * times));
      document_["rows_read"] = rows;
      rows = all;
    }
    if (reads_few) events.emit({"analyzed", {{"table", move_.name}, {"rows", rows}}});
    TRY(look_for_values_of_others(stop));
    tell_what_stays_behind();
    if (!reads_few) tell_what_no_row_has(rows);
    tell_other_spellings();
    selection_.forget();
    new_keys_.reset();
    taken_keys_.reset();
    told(rows, bytes, took, refusals);
    if (source_units || target_units) tell_capacity(source, target);
    tell_raise(move_.source->catalog(), move_.stored_source(), true);
    tell_raise(move_.target->catalog(), move_.stored_target(), false);
    return {};
  }

  const json& document() const { return document_; }
  const std::vector<Matter>& matters() const { return matters_; }
  const std::string& text() const { return text_; }
  bool refused() const { return refused_; }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  void add_finding(const Finding& finding) {
    // Nothing is followed.
    const bool is_of_a_feed = finding.code == "stream_begun" || finding.code == "stream_in_use";
    if (is_of_a_feed && migration_.sync == Sync::none) return;
    const char* weight = name_of(finding.weight);
    if (finding.weight != Finding::Weight::note) matter(finding.weight, 0, finding.message);
    document_["findings"].push_back({{"weight", weight},
                                     {"code", finding.code},
                                     {"message", finding.message},
                                     {"hint", finding.hint}});
    refused_ = refused_ || finding.weight == Finding::Weight::refusal;
    line("  {:<11} {}{}", weight, finding.message,
         finding.hint.empty() ? "" : "\n              hint: " + finding.hint);
  }

  void matter(Finding::Weight weight, std::int64_t rows, const std::string& what) {
    matters_.push_back({weight, rows, move_.name + ": " + what});
  }

  // They would lead nowhere in the target, and `orphans:` would take good rows for orphans.
  void tell_other_spellings() {
    const Selection::SpelledOtherwise& odd = selection_.spelled_otherwise();
    const std::size_t keys = odd.keys.size();
    if (keys == 0) return;
    add_finding({Finding::Weight::refusal, "spelled_otherwise",
                 fmt::format("{} spelled otherwise than the {} that {} to, like {}: a new id would "
                             "be another one",
                             keys == 1 ? "a reference is"
                                       : with_thousands(std::ssize(odd.keys)) + " references are",
                             keys == 1 ? "key" : "keys", keys == 1 ? "it leads" : "they lead",
                             redact_ ? "…" : odd.example),
                 "correct the spelling in the source before, or map it by the key's own"});
  }

  std::set<std::string> columns_read() const {
    std::set<std::string> read;
    for (const ColumnRule& rule : move_.mapping.forward) {
      for (const std::string& name : columns_of(*rule.expr)) read.insert(name);
    }
    return read;
  }

  // A value without a place: the plan gives its name another one, and nothing reads it.
  void find_what_stays_behind() {
    const Mapping& mapping = move_.mapping;
    const TableSchema& source = mapping.source;
    const bool goes_along =
        !source.rest_column.empty() &&
        std::ranges::count(mapping.forward, mapping.target.rest_column, &ColumnRule::column) > 0;
    if (!goes_along) return;
    const std::set<std::string> read = columns_read();
    for (std::size_t i = 0; i < source.columns.size(); ++i) {
      const std::string& name = source.columns[i].name;
      const bool is_given = std::ranges::count(mapping.forward, name, &ColumnRule::column) > 0;
      if (is_given && !read.contains(name)) stays_behind_.emplace_back(i, 0);
    }
  }

  // In a table that has whatever its rows have a name that is misspelt is no mistake.
  void find_what_is_asked_for() {
    const TableSchema& source = move_.mapping.source;
    if (source.rest_column.empty()) return;
    const std::set<std::string> read = columns_read();
    for (std::size_t i = 0; i < source.columns.size(); ++i) {
      const std::string& name = source.columns[i].name;
      const bool may_lack = name != source.rest_column && !source.is_key(name);
      if (may_lack && read.contains(name)) asked_for_.emplace_back(i, 0);
    }
  }

  void tell_what_no_row_has(std::int64_t rows) {
    for (const auto& [column, found] : asked_for_) {
      if (found > 0 || rows == 0) continue;
      const std::string& name = move_.mapping.source.columns[column].name;
      add_finding({Finding::Weight::warning, "asked_for_in_vain",
                   fmt::format("no row of {} has a value called `{}`: what is made of it is null "
                               "everywhere",
                               move_.name, printable(name)),
                   "is it spelled so? A value inside of another one is reached by `extract`"});
    }
  }

  void tell_what_stays_behind() {
    for (const auto& [column, rows] : stays_behind_) {
      if (rows == 0) continue;
      const std::string& name = move_.mapping.source.columns[column].name;
      add_finding(
          {Finding::Weight::warning, "value_stays_behind",
           fmt::format("{} of {} {} a value called `{}`, and the plan gives that name another "
                       "one: theirs stays behind",
                       rows_text(rows), move_.name, rows == 1 ? "has" : "have", printable(name)),
           "map it to another name as well, if it is still needed"});
    }
  }

  // Rows that would not move as they should, and why most of them.
  void matter(bool refuses, const Refusals& refusals, const std::string& what) {
    constexpr std::size_t told_max = 3;
    if (refusals.rows == 0) return;
    std::vector<std::string> why;
    for (const auto& [reason, rows] : refusals.by_rows()) {
      if (why.size() == told_max) {
        why.emplace_back("…");
        break;
      }
      why.push_back(rows == refusals.rows && refusals.reasons.size() == 1
                        ? reason
                        : fmt::format("{} {}", with_thousands(rows), reason));
    }
    matter(refuses ? Finding::Weight::refusal : Finding::Weight::warning, refusals.rows,
           fmt::format("{} {} ({})", rows_text(refusals.rows), what, join(why, ", ")));
  }

  // The state folder of a migration that is under way is somewhere else, or lost.
  Status other_journal() {
    for (const auto& store : {move_.source, move_.target}) {
      ASSIGN_OR_RETURN(const std::string journal, store->claimed_by(migration_.name));
      if (journal.empty() || journal == standing_.journal) continue;
      add_finding(
          {Finding::Weight::refusal, "another_journal",
           fmt::format("`{}` is under way here, driven by the journal of another state folder",
                       migration_.name),
           "find that folder and say `--state FOLDER`; change no rows of either table by hand: "
           "what keeps them equal may carry a DELETE to the other side"});
      claimed_elsewhere_ = true;
      return {};
    }
    return {};
  }

  Status target_rows(const TableSchema* there) {
    if (there == nullptr || claimed_elsewhere_) return {};
    ASSIGN_OR_RETURN(const auto reader, move_.target->open_reader(*there));
    ASSIGN_OR_RETURN(const std::int64_t rows, reader->count());
    document_["target_rows"] = rows;
    if (rows > 0 && move_.among_others) {
      ASSIGN_OR_RETURN(target_, move_.target->open_reader(move_.mapping.target));
      const char* equal_keys =
          move_.on_conflict == OnConflict::fail ? "one with a key of ours stops it"
          : move_.on_conflict == OnConflict::skip
              ? "ours is left out for one with its key"
              : "one with a key of ours is written over, and put back by a rollback";
      add_finding({Finding::Weight::note, "target_has_rows",
                   fmt::format("{} has {} already: they stay as they are, and {}", move_.to,
                               rows_text(rows), equal_keys),
                   ""});
    } else if (rows > 0) {
      add_finding(
          {Finding::Weight::refusal, "target_has_rows",
           fmt::format("{} has {} already", move_.to, rows_text(rows)),
           "empty it, name another target, or make it a copy: `sync: none` and `on_conflict:`"});
    }
    return {};
  }

  void way_back() {
    json losses = json::array();
    for (const Loss& loss : move_.mapping.losses) {
      losses.push_back({{"column", loss.column}, {"what", loss.what}});
      line("  way back    {}: {}", loss.column, loss.what);
    }
    document_["cannot_be_undone"] = losses;
    document_["only_on_new_side"] = move_.mapping.new_only;
    if (!move_.mapping.new_only.empty()) {
      line(
          "  way back    the old shape cannot hold what the new application writes into {}: a "
          "rollback keeps "
          "it in kept-by-rollback.jsonl.zst, the next attempt puts it back",
          join(move_.mapping.new_only, ", "));
    }
  }

  // Constraints of the target, which only the target itself understands.
  Status rehearse(const std::vector<Row>& keys, std::vector<Row> images) {
    if (rehearsal_ == nullptr) return {};
    std::vector<Row> written;
    for (Row& image : images) {
      Row& values = written.emplace_back();
      for (const ColumnRule& rule : move_.mapping.forward) {
        values.push_back(std::move(image[static_cast<std::size_t>(rule.index)]));
      }
    }
    ASSIGN_OR_RETURN(const auto outcomes, rehearsal_->offer(written));
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (!outcomes[i]) continue;
      constraints_.add(keys[i], *outcomes[i]);
      if (redact_) constraints_.forget_examples();
    }
    return {};
  }

  // A path or a form that is misspelt finds no id, and the old ones would go along.
  Status count_ids_inside(const std::vector<Row>& rows) {
    inside_.resize(move_.references.size());
    for (std::size_t number = 0; number < inside_.size(); ++number) {
      const whimbrel::Reference& one = move_.references[number];
      // Where a table says which columns it has, the plan has been held against them.
      if (one.place.is_whole_value() && move_.mapping.source.rest_column.empty()) continue;
      inside_[number].rows += std::ssize(rows);
      for (const Row& row : rows) {
        const Value& value = row[static_cast<std::size_t>(one.column)];
        if (value.is_null()) continue;
        const auto ids = ids_in(one.place, value, one.of_key);
        if (!ids.ok() && !ids.error().is_of_a_row()) return ids.error();
        ++inside_[number].values;  // one that cannot be looked into is refused with its row
        inside_[number].with_ids += ids.ok() && ids.value().empty() ? 0 : 1;
      }
    }
    return {};
  }

  void tell_ids_inside() {
    for (std::size_t number = 0; number < inside_.size(); ++number) {
      const auto& [rows, values, with_ids] = inside_[number];
      const whimbrel::Reference& one = move_.references[number];
      if (values == 0 && rows > 0 && !move_.mapping.source.rest_column.empty()) {
        add_finding(
            {Finding::Weight::warning, "no_value_to_follow",
             fmt::format("none of {} has `{}`, which is to refer to {}", rows_text(rows), one.said,
                         migration_.moves[static_cast<std::size_t>(one.parent)].name),
             "look at how the plan spells it"});
        continue;
      }
      if (values == 0 || with_ids > 0) continue;  // in some rows the path may lead nowhere
      add_finding(
          {Finding::Weight::warning, "no_id_inside",
           fmt::format("`{}` finds no id of {} in any of {}: they stay as they are", one.said,
                       migration_.moves[static_cast<std::size_t>(one.parent)].name,
                       counted(values, "value")),
           "look at the path, and at what `as:` says around `{id}`"});
    }
  }

  // Only rows that the copy takes go on, with references as they will be.
  Status select(std::vector<Row>& rows) {
    std::vector<Row> wanted;
    for (Row& row : rows) {
      ASSIGN_OR_RETURN(const bool is_wanted, selection_.is_wanted(row));
      if (is_wanted) {
        wanted.push_back(std::move(row));
      } else {
        ++left_out_;
      }
    }
    TRY(count_ids_inside(wanted));
    ASSIGN_OR_RETURN(const auto missing, selection_.missing(wanted));
    // Row by row: one counts once, and once for each reason.
    std::vector<const Selection::Missing*> by_row;
    for (const Selection::Missing& one : missing) by_row.push_back(&one);
    std::ranges::stable_sort(by_row, {}, &Selection::Missing::row);
    for (std::size_t i = 0; i < by_row.size(); ++i) {
      const Selection::Missing& one = *by_row[i];
      orphan(key_of(wanted[one.row], move_.mapping.source_key), one.reference->said, show(one.id),
             migration_.moves[static_cast<std::size_t>(one.reference->parent)].name,
             i == 0 || by_row[i - 1]->row != one.row);
    }
    ASSIGN_OR_RETURN(std::vector<Selection::Pick> picks,
                     selection_.decide(std::move(wanted), missing));
    rows.clear();
    for (Selection::Pick& pick : picks) {
      if (pick.fate == Selection::Fate::taken) rows.push_back(std::move(pick.row));
    }
    return {};
  }

  void orphan(const Row& key, const std::string& column, const std::string& id,
              const std::string& parent, bool is_first = true) {
    const std::string by = column.empty() ? "" : column + " ";
    const Error error{ErrorCode::refused,
                      fmt::format("{}refers to {} of {}, which is not there", by, id, parent),
                      "",
                      "",
                      {fmt::format("a reference to {} that is not there", parent)},
                      ""};
    orphans_.add(key, error);
    if (!is_first) --orphans_.rows;
    if (redact_) orphans_.forget_examples();
  }

  // Which of these keys are those of rows that the copy has written; none before it has begun.
  Result<std::vector<bool>> are_ours(const std::vector<Row>& target_keys) {
    std::vector<bool> ours(target_keys.size(), false);
    if (move_.own == nullptr) return ours;
    ASSIGN_OR_RETURN(const auto known, move_.own->find(target_keys));
    for (std::size_t i = 0; i < ours.size(); ++i) ours[i] = known[i].has_value();
    return ours;
  }

  // Of those that are there, where a collation takes several spellings for one; else nothing.
  Result<std::vector<std::optional<Row>>> keys_as_others_spell_them(
      const std::vector<Row>& target_keys, const std::vector<bool>& there) {
    std::vector<std::optional<Row>> spelled;
    const TableSchema& table = move_.mapping.target;
    const bool matters = move_.on_conflict != OnConflict::skip &&
                         std::ranges::any_of(move_.mapping.target_key, [&](int at) {
                           return !table.columns[static_cast<std::size_t>(at)].collation.empty();
                         });
    if (!matters || std::ranges::count(there, true) == 0) return spelled;
    ASSIGN_OR_RETURN(const auto rows, target_->read_keys(target_keys));
    for (const std::optional<Row>& row : rows) {
      spelled.push_back(row ? std::optional(key_of(*row, move_.mapping.target_key)) : std::nullopt);
    }
    return spelled;
  }

  // Keys of ours that rows of others have already.
  Status look_for_others(const std::vector<Row>& keys, const std::vector<Row>& images) {
    if (!move_.among_others || target_ == nullptr) return {};
    std::vector<Row> target_keys;
    for (const Row& image : images) {
      target_keys.push_back(key_of(image, move_.mapping.target_key));
    }
    ASSIGN_OR_RETURN(const std::vector<bool> there, target_->has_keys(target_keys));
    ASSIGN_OR_RETURN(const std::vector<bool> ours, are_ours(target_keys));
    const bool values_may_meet = meets_others();
    ASSIGN_OR_RETURN(const auto spelled, keys_as_others_spell_them(target_keys, there));
    for (std::size_t i = 0; i < there.size(); ++i) {
      if (!there[i] || ours[i]) continue;
      if (!spelled.empty() && spelled[i] && !same(*spelled[i], target_keys[i])) {
        constraints_.add(
            keys[i], Error{ErrorCode::refused,
                           fmt::format("{} has the key {} already, spelled {}: to its collation "
                                       "they are one",
                                       move_.to, show(target_keys[i]), show(*spelled[i])),
                           "",
                           "",
                           {"a key that a row of others has in another spelling"},
                           ""});
        if (redact_) constraints_.forget_examples();
        continue;
      }
      others_.add(keys[i],
                  Error{ErrorCode::refused,
                        fmt::format("{} has a row {} already", move_.to, show(target_keys[i])),
                        "",
                        "",
                        {"a key that a row of others has"},
                        ""});
      if (redact_) others_.forget_examples();
      if (!values_may_meet) continue;
      if (taken_keys_ == nullptr) {
        ASSIGN_OR_RETURN(taken_keys_, KeySet::open());
      }
      ASSIGN_OR_RETURN(std::ignore, taken_keys_->add(0, canonical(target_keys[i])));
    }
    return {};
  }

  // Whether a row of others may hold a value that has to be unique and that one of ours is to have,
  // and all of the values are known that it would be held against: ours are what the plan writes.
  bool meets_others() const {
    const TableSchema& table = move_.mapping.target;
    const auto is_written = [&](const std::string& column) {
      return std::ranges::count(move_.mapping.forward, column, &ColumnRule::column) > 0;
    };
    if (!move_.among_others || standing_.begun || target_ == nullptr) return false;
    if (!table.other_uniques.empty()) {
      return std::ranges::all_of(table.columns, [&](const ColumnSchema& column) {
        return column.generated || is_written(column.name);
      });
    }
    return !table.uniques.empty() && std::ranges::all_of(table.uniques, [&](const auto& columns) {
      return std::ranges::all_of(columns, is_written);
    });
  }

  // After all rows of ours were rehearsed.
  Status look_for_values_of_others(const StopFlag& stop) {
    const bool can = rehearsal_ != nullptr && rehearsal_->keeps_rows() && meets_others();
    std::optional<Row> after;
    while (can) {
      if (stop.requested()) return Error{ErrorCode::cancelled, "stopped as asked"};
      ASSIGN_OR_RETURN(const ChunkOfRows chunk,
                       target_->scan_after(after, {5000, std::int64_t{8} << 20}));
      std::vector<Row> keys;
      std::vector<Row> written;
      for (const Row& row : chunk.rows) {
        Row key = key_of(row, move_.mapping.target_key);
        if (taken_keys_ != nullptr) {
          ASSIGN_OR_RETURN(const bool is_taken, taken_keys_->has(0, canonical(key)));
          if (is_taken) continue;  // told by its key
        }
        written.push_back(written_values(move_.mapping.forward, row));
        keys.push_back(std::move(key));
      }
      ASSIGN_OR_RETURN(const auto outcomes, rehearsal_->offer(written));
      for (std::size_t i = 0; i < outcomes.size(); ++i) {
        if (!outcomes[i] || outcomes[i]->code != ErrorCode::conflict) continue;
        values_of_others_.add(
            keys[i], Error{ErrorCode::refused,
                           fmt::format("{} has it, and a row of ours is to have it", move_.to),
                           "",
                           "",
                           {outcomes[i]->context.back()},
                           ""});
        if (redact_) values_of_others_.forget_examples();
      }
      after = chunk.range.through;
      if (!after) break;
    }
    return {};
  }

  // A foreign key of the target, and where its parents are looked for: in the source of the move
  // that makes the parent table, or in the parent table as it is.
  struct Reference {
    std::string parent;
    std::vector<int> columns;  // of the target, in the order of the parent's key
    const Move* move = nullptr;
    std::unique_ptr<SnapshotReader> reader;
    std::vector<int> of_source = {};  // where the parents get new ids: of the source
  };

  Status find_parents() {
    for (const ForeignKey& key : move_.mapping.target.foreign_keys) {
      Reference reference{key.parent, {}, nullptr, nullptr};
      TableSchema parent;
      int makers = 0;
      for (const Move& other : migration_.moves) {
        const bool makes_it = other.target->identity() == move_.target->identity() &&
                              ascii_iequals(other.stored_target(), key.parent);
        if (makes_it) reference.move = &other;
        makers += makes_it ? 1 : 0;
      }
      if (makers > 1) continue;  // the row may be of any of them
      if (reference.move != nullptr && move_.among_others && key.columns.size() == 1) {
        const int column = move_.mapping.target.column_index(key.columns.front());
        // Looked at where rows are selected.
        const bool is_followed =
            std::ranges::count(move_.references, column, &whimbrel::Reference::becomes) > 0;
        if (is_followed) continue;
        if (refers_to_another_id(*reference.move, key, column)) {
          add_finding({Finding::Weight::refusal, "reference_not_said",
                       fmt::format("{}.{} refers to {}, whose rows get new ids, and nothing says "
                                   "that {} does: the old ids would go along",
                                   move_.to, key.columns.front(), reference.move->to, move_.from),
                       fmt::format("say `references: {{{}: {{{}: {}}}}}`, with the column's name "
                                   "of the source",
                                   move_.name, key.columns.front(), reference.move->name)});
        }
        continue;
      }
      if (reference.move != nullptr) {
        parent = reference.move->mapping.target;
        ASSIGN_OR_RETURN(reference.reader,
                         reference.move->source->open_reader(reference.move->mapping.source));
      } else {
        Result<TableSchema> there = move_.target->catalog().describe(key.parent);
        if (!there.ok()) {
          add_finding({Finding::Weight::refusal, "no_parent_table",
                       fmt::format("{} refers to {}, and there is no such table",
                                   move_.mapping.target.name, key.parent),
                       "make that table first, or move it in the same plan"});
          continue;
        }
        parent = std::move(there).value();
        ASSIGN_OR_RETURN(reference.reader, move_.target->open_reader(parent));
      }
      for (const std::string& part : parent.key) {
        for (std::size_t i = 0; i < key.columns.size(); ++i) {
          const bool implied = key.parent_columns[i].empty() && parent.key[i] == part;
          if (!implied && !ascii_iequals(key.parent_columns[i], part)) continue;
          reference.columns.push_back(move_.mapping.target.column_index(key.columns[i]));
        }
      }
      // A reference to something else than the key is the database's own to check.
      const bool by_key =
          reference.columns.size() == parent.key.size() && key.columns.size() == parent.key.size();
      if (!by_key) continue;
      if (reference.move != nullptr && reference.move->mapping.key_goes_one_way) {
        reference.of_source = columns_of_source(reference.columns);
        if (reference.of_source.empty()) continue;
      }
      references_.push_back(std::move(reference));
    }
    return {};
  }

  // Whether the column is copied, and what it refers to is not.
  bool refers_to_another_id(const Move& parent, const ForeignKey& key, int column) const {
    const TableSchema& table = parent.mapping.target;
    const std::string& named = key.parent_columns.front();
    if (named.empty() && table.key.size() != 1) return false;
    const std::string of = named.empty() ? table.key.front() : table.own_spelling(named);
    const auto rule = std::ranges::find(move_.mapping.forward, column, &ColumnRule::index);
    const auto made = std::ranges::find(parent.mapping.forward, of, &ColumnRule::column);
    return rule != move_.mapping.forward.end() && made != parent.mapping.forward.end() &&
           std::holds_alternative<ColumnRef>(rule->expr->node) &&
           (std::holds_alternative<HashId>(made->expr->node) ||
            std::holds_alternative<NewIdsInside>(made->expr->node));
  }

  // Which columns of the source these are made of; empty where one is made of several.
  std::vector<int> columns_of_source(const std::vector<int>& of_target) const {
    std::vector<int> all;
    for (const int at : of_target) {
      const auto rule = std::ranges::find(move_.mapping.forward, at, &ColumnRule::index);
      if (rule == move_.mapping.forward.end()) return {};
      const std::vector<std::string> read = columns_of(*rule->expr);
      if (read.size() != 1) return {};
      all.push_back(move_.mapping.source.column_index(read.front()));
    }
    return all;
  }

  // What the row refers to before ids are computed anew: by reference, empty where nothing leads
  // back from the image anyway.
  std::vector<Row> parents_before(const Row& row) const {
    std::vector<Row> all;
    for (const Reference& reference : references_) {
      Row& parent = all.emplace_back();
      for (const int at : reference.of_source) parent.push_back(row[static_cast<std::size_t>(at)]);
    }
    return all;
  }

  Status look_for_parents(const std::vector<Row>& keys, const std::vector<Row>& images,
                          const std::vector<std::vector<Row>>& before) {
    std::map<std::size_t, std::vector<std::pair<std::string, const Reference*>>> lacking;
    for (std::size_t number = 0; number < references_.size(); ++number) {
      const Reference& reference = references_[number];
      std::vector<Row> wanted;
      std::vector<std::size_t> of;
      for (std::size_t i = 0; i < images.size(); ++i) {
        Row parent = key_of(images[i], reference.columns);
        if (std::ranges::any_of(parent, &Value::is_null)) continue;
        if (!reference.of_source.empty()) {
          parent = before[i][number];
        } else if (reference.move != nullptr) {
          Result<Row> source =
              source_key_of(reference.move->mapping, parent, reference.move->source->catalog());
          if (source.ok()) parent = std::move(source).value();
        }
        wanted.push_back(std::move(parent));
        of.push_back(i);
      }
      ASSIGN_OR_RETURN(const std::vector<bool> found, reference.reader->has_keys(wanted));
      std::vector<WithoutParent> suspects;
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (!found[i]) suspects.push_back({&keys[of[i]], &images[of[i]], &wanted[i]});
      }
      TRY(look_again(suspects, reference));
      for (const WithoutParent& one : suspects) {
        lacking[static_cast<std::size_t>(one.key - keys.data())].emplace_back(show(*one.parent),
                                                                              &reference);
        ++not_by_one_column_;
      }
    }
    for (const auto& [row, parents] : lacking) {
      for (std::size_t i = 0; i < parents.size(); ++i) {
        orphan(keys[row], "", parents[i].first, parents[i].second->parent, i == 0);
      }
    }
    return {};
  }

  // The row was read before its parent was looked for, and both may be gone by now. A row that has
  // changed meanwhile is one that the copy will look at.
  struct WithoutParent {
    const Row* key;
    const Row* image;
    const Row* parent;
  };
  Status look_again(std::vector<WithoutParent>& suspects, const Reference& reference) {
    if (suspects.empty()) return {};
    if (again_ == nullptr) {
      ASSIGN_OR_RETURN(again_, move_.source->open_reader(move_.mapping.source));
    }
    std::vector<Row> keys;
    std::vector<Row> parents;
    for (const WithoutParent& one : suspects) {
      keys.push_back(*one.key);
      parents.push_back(*one.parent);
    }
    ASSIGN_OR_RETURN(const auto now, again_->read_keys(keys));
    ASSIGN_OR_RETURN(const std::vector<bool> is_there, reference.reader->has_keys(parents));
    std::vector<WithoutParent> left;
    for (std::size_t i = 0; i < suspects.size(); ++i) {
      if (!now[i] || is_there[i]) continue;
      const Result<Row> image = image_of(move_.mapping, *now[i], move_.target->catalog());
      const bool refers = image.ok() && same(key_of(image.value(), reference.columns),
                                             key_of(*suspects[i].image, reference.columns));
      if (refers) left.push_back(suspects[i]);
    }
    suspects = std::move(left);
    return {};
  }

  // Two rows that would become one, where the target has no rehearsal that would notice.
  Status look_for_equal_keys(const std::vector<Row>& keys, const std::vector<Row>& images) {
    const bool is_noticed = rehearsal_ != nullptr && rehearsal_->notices_equal_keys();
    const bool may_be_equal = move_.mapping.key_goes_one_way || move_.mapping.key_is_made;
    if (is_noticed || standing_.begun || !may_be_equal) return {};
    if (new_keys_ == nullptr) {
      ASSIGN_OR_RETURN(new_keys_, KeySet::open());
    }
    for (std::size_t i = 0; i < images.size(); ++i) {
      const Row key = key_of(images[i], move_.mapping.target_key);
      ASSIGN_OR_RETURN(const bool is_new, new_keys_->add(0, canonical(key)));
      if (is_new) continue;
      refuse_key(keys[i], fmt::format("another row gets the key {} as well", show(key)),
                 "a key that another row gets as well");
    }
    return {};
  }

  // The same among the moves whose rows lie in one table.
  Status look_for_shared_keys(const std::vector<Row>& keys, const std::vector<Row>& images,
                              SharedKeys& shared) {
    for (std::size_t i = 0; i < images.size(); ++i) {
      const Row key = key_of(images[i], move_.mapping.target_key);
      ASSIGN_OR_RETURN(const Move* other, shared.add(move_, canonical(key)));
      if (other == nullptr) continue;
      refuse_key(keys[i],
                 fmt::format("a row of {} gets the key {} as well", other->name, show(key)),
                 fmt::format("a key that a row of {} gets as well", other->name));
    }
    return {};
  }

  void refuse_key(const Row& key, std::string why, std::string kind) {
    constraints_.add(key, Error{ErrorCode::refused, std::move(why), "", "", {std::move(kind)}, ""});
    if (redact_) constraints_.forget_examples();
  }

  Error null_into(const ColumnRule& rule) const {
    return Error{
        ErrorCode::refused,
        fmt::format(
            "{}.{} {} and would get a null", move_.mapping.target.name, rule.column,
            move_.mapping.target.is_key(rule.column) ? "is part of the key" : "is NOT NULL"),
        "add `if_null:`",
        "",
        {"null into " + rule.column},
        ""};
  }

  bool is_forbidden_null(const ColumnRule& rule, const Row& image) const {
    const auto at = static_cast<std::size_t>(rule.index);
    const bool is_key = move_.among_others && move_.mapping.target.is_key(rule.column);
    return image[at].is_null() && (is_key || !move_.mapping.target.columns[at].nullable);
  }

  // All that is wrong with a row: a colleague would not tell one column at a time.
  std::vector<Error> wrong_columns(const Row& row) {
    std::vector<Error> errors;
    if (one_by_one_.empty()) {
      for (const ColumnRule& rule : move_.mapping.forward) {
        one_by_one_.push_back(move_.mapping);
        one_by_one_.back().forward = {rule};
      }
    }
    for (const Mapping& mapping : one_by_one_) {
      const Result<Row> image = image_of(mapping, row, move_.target->catalog());
      if (!image.ok()) {
        errors.push_back(image.error());
      } else if (is_forbidden_null(mapping.forward.front(), image.value())) {
        errors.push_back(null_into(mapping.forward.front()));
      }
    }
    return errors;
  }

  // The image, unless the row cannot be moved.
  std::optional<Row> look_at(const Row& row, Refusals& refusals) {
    Result<Row> image = image_of(move_.mapping, row, move_.target->catalog());
    const Row key = key_of(row, move_.mapping.source_key);
    const bool is_whole =
        image.ok() && std::ranges::none_of(move_.mapping.forward, [&](const ColumnRule& rule) {
          return is_forbidden_null(rule, image.value());
        });
    std::vector<Error> errors;
    if (!is_whole) errors = wrong_columns(row);
    if (!image.ok() && errors.empty()) errors.push_back(image.error());
    if (errors.empty() && !move_.mapping.key_goes_one_way) {
      const Result<Row> back = source_key_of(
          move_.mapping, key_of(image.value(), move_.mapping.target_key), move_.source->catalog());
      if (!back.ok() || !same(back.value(), key)) {
        errors.push_back(Error{
            ErrorCode::refused,
            back.ok() ? "its key would lead back to " + show(back.value()) : back.error().message,
            "",
            "",
            {"a key that does not lead back to its row"},
            ""});
      }
    }
    if (!errors.empty()) {
      refusals.add(key, errors);
      if (redact_) refusals.forget_examples();
      return std::nullopt;
    }
    look_at_the_way_back(key, row, image.value());
    if (!redact_ && samples_.size() < 3) sample(row, image.value());
    return std::move(image).value();
  }

  // Of columns whose way back is only what the plan says it is.
  void look_at_the_way_back(const Row& key, const Row& row, const Row& image) {
    if (move_.mapping.given_back.empty()) return;
    const Result<Row> back = source_of(move_.mapping, image, &row, move_.source->catalog());
    for (const std::string& column : move_.mapping.given_back) {
      const auto at = static_cast<std::size_t>(move_.mapping.source.column_index(column));
      if (back.ok() && same(back.value()[at], row[at])) continue;
      const std::string what =
          back.ok() ? fmt::format("{} would come back as {}", show(row[at]), show(back.value()[at]))
                    : back.error().message;
      come_back_otherwise_.add(
          key, Error{ErrorCode::refused, what, "", "", {"coming back to " + column}, ""});
      if (redact_) come_back_otherwise_.forget_examples();
    }
  }

  void sample(const Row& row, const Row& image) {
    if (samples_.empty()) sample_key_ = show(key_of(row, move_.mapping.source_key));
    json before = json::object();
    json after = json::object();
    for (std::size_t i = 0; i < row.size(); ++i) {
      before[move_.mapping.source.columns[i].name] = shown(row[i]);
    }
    for (const ColumnRule& rule : move_.mapping.forward) {
      after[rule.column] = shown(image[static_cast<std::size_t>(rule.index)]);
    }
    samples_.push_back({{"before", before}, {"after", after}});
  }

  static std::string text_of(const json& value) {
    return value.is_string() ? value.get<std::string>()
                             : value.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  // By rule, and what the rule makes of a row, where one can move and may be shown.
  void tell_mapping(const Refusals& refusals, std::int64_t rows) {
    if (samples_.empty()) {
      line("  mapping     {}", redact_     ? "by rule; values are left out:"
                               : rows == 0 ? "by rule; there is no row to show it on:"
                                           : "by rule; no row can move as it is:");
    } else {
      line("  mapping     as the {} row shows it, key {}:",
           refusals.rows == 0 ? "first" : "first movable", printable(sample_key_, 40));
    }
    for (const ColumnRule& rule : move_.mapping.forward) {
      const std::string described = printable(whimbrel::describe(*rule.expr), 43);
      if (samples_.empty()) {
        line("    {:<24} ← {}", rule.column, described);
        continue;
      }
      const std::string made = text_of(samples_.front()["after"][rule.column]);
      const std::string after = printable(made, 40);
      std::vector<std::string> from;
      bool is_as_before = true;
      for (const std::string& column : columns_of(*rule.expr)) {
        const std::string was = text_of(samples_.front()["before"][column]);
        is_as_before = is_as_before && was == made;
        from.push_back(printable(was, 24));
      }
      line("    {:<24} ← {:<44} {}", rule.column, described,
           is_as_before ? after : join(from, ", ") + " → " + after);
    }
  }

  json tell(const char* word, const Refusals& refusals) {
    json reasons = json::array();
    for (const auto& [reason, counted] : refusals.reasons) {
      reasons.push_back(
          {{"reason", reason}, {"rows", counted.first}, {"examples", counted.second}});
      line("  {:<11} {}, {}:", word, rows_text(counted.first), reason);
      const auto shown = std::min(examples_shown, std::ssize(counted.second));
      for (const std::string& example :
           std::span(counted.second).first(static_cast<std::size_t>(shown))) {
        line("                {}", example);
      }
      if (std::ssize(counted.second) > shown) {
        line("                … {} more in the file of the analysis",
             with_thousands(std::ssize(counted.second) - shown));
      }
    }
    return reasons;
  }

  static const char* what_becomes_of(Orphans orphans) {
    switch (orphans) {
      case Orphans::fail:
        return "cannot be moved";
      case Orphans::keep:
        return "would be moved without what they refer to";
      case Orphans::null:
        return "would be moved with null instead of what they refer to";
      case Orphans::reject:
        return "would be set aside";
      case Orphans::remove:
        return "would be left out";
      case Orphans::assign:
        return "would be given to the row that `assign` names";
    }
    return "";
  }

  void tell_others() {
    const bool stops = move_.on_conflict == OnConflict::fail;
    document_["conflicting_rows"] = others_.rows;
    document_["conflicting_reasons"] = tell(stops ? "refused" : "conflicts", others_);
    const char* what =
        move_.on_conflict == OnConflict::skip        ? "would be left out for rows of others"
        : move_.on_conflict == OnConflict::overwrite ? "would be written over rows of others"
        : move_.on_conflict == OnConflict::merge     ? "would be merged into rows of others"
                                                     : "with a key of others";
    matter(stops, others_, what);
    if (others_.rows == 0 || !stops) return;
    refused_ = true;
    line(
        "  hint        say `on_conflict: skip`, `overwrite` or `merge`, or remove these rows from "
        "{}",
        move_.to);
  }

  void tell_values_of_others() {
    document_["unique_rows"] = values_of_others_.rows;
    document_["unique_reasons"] = tell("refused", values_of_others_);
    matter(true, values_of_others_,
           "of others with a value that has to be unique and is one of ours");
    if (values_of_others_.rows == 0) return;
    refused_ = true;
    line("  hint        correct these rows of {} or those of the source that are to have the value",
         move_.to);
  }

  // By the birthday bound: n²/2 pairs, each equal once in 2^bits.
  void new_ids(std::int64_t rows) {
    for (const ColumnRule& rule : move_.mapping.forward) {
      const auto* id = std::get_if<HashId>(&rule.expr->node);
      if (id == nullptr || !move_.mapping.target.is_key(rule.column)) continue;
      const double bits = id->recipe.format == IdFormat::groups ? 16 * std::log2(36.0)
                          : id->recipe.format == IdFormat::uuid ? 122
                                                                : 128;
      const double n = static_cast<double>(std::max<std::int64_t>(rows, 1));
      const double chance = n * n / 2 / std::exp2(bits);
      document_["new_ids"] = {{"column", rule.column}, {"collision_probability", chance}};
      line(
          "  new ids     {} of {}: that two of them are equal has a chance of {:.1g}, and would "
          "stop the copy",
          rule.column, move_.to, chance);
    }
  }

  // The words of the plan.
  std::string what_leaves_out() const {
    std::vector<std::string> words;
    if (!move_.where.empty()) words.emplace_back("`where`");
    if (move_.limit) words.emplace_back("`limit`");
    const bool is_sampled = std::ranges::any_of(
        migration_.moves, [](const Move& move) { return move.sample.has_value(); });
    if (is_sampled) words.emplace_back("`sample`");
    return join(words, ", ");
  }

  void told(std::int64_t rows, std::int64_t bytes, Milliseconds took, const Refusals& refusals) {
    document_["rows"] = rows;
    document_["bytes"] = bytes;
    document_["read_ms"] = took.count();
    document_["samples"] = samples_;
    line("  rows        {} ({} of values)", with_thousands(rows), in_bytes(bytes));
    new_ids(rows - left_out_);
    estimate(rows, bytes, took);
    tell_mapping(refusals, rows);
    document_["refused_rows"] = refusals.rows;
    document_["refused_reasons"] = tell("refused", refusals);
    document_["constraint_rows"] = constraints_.rows;
    document_["constraint_reasons"] = tell("refused", constraints_);
    document_["orphan_rows"] = orphans_.rows;
    document_["orphan_reasons"] =
        tell(move_.orphans == Orphans::fail ? "refused" : "orphans", orphans_);
    document_["rows_left_out"] = left_out_;
    if (left_out_ > 0) line("  left out    {}, by {}", rows_text(left_out_), what_leaves_out());
    tell_others();
    tell_values_of_others();
    const bool sets_aside = move_.on_error == OnError::reject;
    matter(!sets_aside, refusals, sets_aside ? "would be set aside" : "cannot be moved");
    matter(true, constraints_, "would not be taken by the target");
    document_["come_back_otherwise_rows"] = come_back_otherwise_.rows;
    document_["come_back_otherwise_reasons"] = tell("way back", come_back_otherwise_);
    matter(false, come_back_otherwise_, "would come back otherwise after a rollback");
    tell_ids_inside();
    // What becomes of a row is decided where rows are chosen, which knows references of one column
    // to tables of the plan.
    const bool are_left = move_.orphans == Orphans::fail || move_.orphans == Orphans::keep;
    const bool cannot = !are_left && not_by_one_column_ > 0;
    matter(cannot || move_.orphans == Orphans::fail, orphans_,
           cannot ? "cannot be moved" : what_becomes_of(move_.orphans));
    if (cannot) {
      refused_ = true;
      line(
          "  hint        {} by several columns, or to a table that the plan does not move: there "
          "`orphans` can be `fail` or `keep`; correct these rows, or leave them out by `where`",
          not_by_one_column_ == 1 ? "1 row refers"
                                  : with_thousands(not_by_one_column_) + " rows refer");
    }
    if (constraints_.rows > 0) {
      refused_ = true;
      line(
          "  hint        the target would not take these rows: correct them, map them otherwise, "
          "or correct the constraint");
    }
    if (orphans_.rows > 0 && move_.orphans == Orphans::fail) {
      refused_ = true;
      line("  hint        correct these rows, or say {}",
           move_.among_others ? "what becomes of them: `orphans: keep`, `null`, `reject`, `delete` "
                                "or `{assign: ID}`"
                              : "`orphans: keep` to move them as they are");
    }
    if (refusals.rows > 0 && move_.on_error == OnError::fail) {
      refused_ = true;
      // A row of which several are made, or that is a part of one, cannot be set aside as a whole.
      const bool is_part = move_.source_is_reshaped() ||
                           std::ranges::any_of(migration_.moves, [&](const Move& other) {
                             return other.is_made_of_the_rows_of(move_);
                           });
      if (migration_.retypes) {
        line("  hint        correct these rows, or say under `using:` what becomes of such values");
        return;
      }
      line("  hint        correct these rows{} give `if_null:` or another function{}",
           is_part ? " or" : ",", is_part ? "" : ", or say `on_error: reject`");
    }
  }

  void tell_raise(Catalog& catalog, const std::string& table, bool is_source) {
    const RaisedCapacity& wanted = migration_.limits.raise;
    if ((is_source ? wanted.read : wanted.written) == 0)
      return;  // a service is not asked for nothing
    const Result<Provisions> there = catalog.provisions(table, false);
    if (!there.ok() && !is_source && move_.creates_target) {
      line(
          "  raise       {} is still to be made: where it is provisioned with less than {} units "
          "of writing a second, it gets these while it is copied",
          table, with_thousands(wanted.written));
    }
    if (!there.ok()) return;
    const Provisions goal = raised(there.value(), wanted, is_source);
    for (const auto& [index, one] : there.value()) {
      const Provision& higher = goal.at(index);
      if (higher == one) continue;
      line("  raise       {}{} goes from {} to {} units of {} a second while it is copied", table,
           index.empty() ? "" : " (" + index + ")",
           with_thousands(is_source ? one.read : one.written),
           with_thousands(is_source ? higher.read : higher.written),
           is_source ? "reading" : "writing");
    }
  }

  // Read once to be copied and once to be compared; written once.
  void tell_capacity(const Units& source, const Units& target) {
    const double read = 2 * source.read + target.read;
    const double dollars = 2 * source.dollars_read + target.dollars_read + target.dollars_written;
    const auto whole = [](double units) { return static_cast<std::int64_t>(std::ceil(units)); };
    document_["capacity"] = {{"read_units", whole(read)},
                             {"written_units", whole(target.written)},
                             {"dollars_on_demand", dollars}};
    line(
        "  capacity    {} units to read and {} to write, with indexes: about ${:.2f} at the list "
        "price on demand",
        with_thousands(whole(read)), with_thousands(whole(target.written)), dollars);
    const LimitsPlan& limits = migration_.limits;
    const double least = std::max(limits.rcu > 0 ? read / limits.rcu : 0,
                                  limits.wcu > 0 ? target.written / limits.wcu : 0);
    if (least < 1) return;
    line("  limits      these units take {} at least, within `limits`",
         to_duration_text(Milliseconds(static_cast<std::int64_t>(least * 1000))));
  }

  // What reading every row took, converted, offered to the target's constraints, says how long the
  // rest takes here.
  void estimate(std::int64_t rows, std::int64_t bytes, Milliseconds took) {
    constexpr std::int64_t bytes_of_an_index_entry = 20;
    const std::vector<std::string>& ddl = move_.mapping.target.index_ddl;
    const bool after = move_.indexes == Indexes::after;
    const int indexes = static_cast<int>(ddl.size());
    const WorkOnTable work{move_.name,          move_.mapping.source.name, rows,
                           after ? indexes : 0, after ? 0 : indexes,       0};
    const auto time_of = [&](Activity activity) {
      return static_cast<std::int64_t>(static_cast<double>(took.count()) *
                                       cost_of_a_row(activity, work));
    };
    const std::int64_t building = time_of(Activity::indexing);
    const std::int64_t rows_per_s = migration_.limits.rows_per_s.value_or(0);
    const std::int64_t at_the_limit = rows_per_s > 0 ? rows * 1000 / rows_per_s : 0;
    const std::int64_t copying = std::max(time_of(Activity::copying), at_the_limit);
    const std::int64_t all = copying + building + time_of(Activity::comparing);
    const std::int64_t disk = bytes * 13 / 10 + rows * bytes_of_an_index_entry * (1 + indexes);
    document_["estimate_ms"] = all;
    document_["disk_bytes"] = disk;
    const std::string limited =
        at_the_limit > 0 && copying == at_the_limit
            ? fmt::format(" at the limit of {} rows/s", with_thousands(rows_per_s))
            : "";
    line("  estimate    {} to copy and compare{}, about {} more on disk",
         to_duration_text(Milliseconds(all)), limited, in_bytes(disk));
    document_["index_builds"] = json::array();
    if (!after || ddl.empty()) return;
    const std::int64_t each = building / std::ssize(ddl);
    for (const std::string& one : ddl) {
      document_["index_builds"].push_back({{"ddl", one}, {"holds_writers_ms", each}});
    }
    line("  indexes     {} built when the rows are there: writers wait about {} for {}",
         indexes == 1 ? "one is" : fmt::format("{} are", indexes),
         to_duration_text(Milliseconds(each)), indexes == 1 ? "it" : "each");
  }

 public:
  static std::string in_bytes(std::int64_t bytes) {
    if (bytes < 10'000) return fmt::format("{} bytes", bytes);
    if (bytes < 10'000'000) return fmt::format("{} kB", bytes / 1000);
    return fmt::format("{} MB", bytes / 1'000'000);
  }

 private:
  const Migration& migration_;
  const Move& move_;
  const Standing& standing_;
  bool redact_;
  bool claimed_elsewhere_ = false;
  std::unique_ptr<Rehearsal> rehearsal_;
  std::vector<Reference> references_;
  std::int64_t not_by_one_column_ = 0;  // orphans of these
  struct Inside {
    std::int64_t rows = 0;
    std::int64_t values = 0;
    std::int64_t with_ids = 0;
  };
  std::vector<Inside> inside_;             // by reference of the move: ids inside of values
  std::unique_ptr<SnapshotReader> again_;  // of the source, for second looks
  Refusals constraints_;
  Refusals come_back_otherwise_;
  Refusals orphans_;
  Refusals others_;
  Selection selection_;
  std::vector<std::pair<std::size_t, std::int64_t>> stays_behind_;  // columns, and of how many rows
  std::vector<std::pair<std::size_t, std::int64_t>> asked_for_;     // the same, that rules read
  std::unique_ptr<KeySet> new_keys_;
  std::unique_ptr<SnapshotReader> target_;  // where it is there
  std::unique_ptr<KeySet> taken_keys_;  // of the target, by rows of others that keys of ours meet
  Refusals values_of_others_;
  std::int64_t left_out_ = 0;
  json document_;
  std::vector<json> samples_;
  std::string sample_key_;  // of the first of them
  std::vector<Mapping> one_by_one_;
  std::vector<Matter> matters_;
  std::string text_;
  bool refused_ = false;
};

json plan_part(const Migration& migration) {
  json switches = json::array();
  for (const SwitchPlan& one : migration.switches) switches.push_back(one.name);
  return {{"migration", migration.name},
          {"digest", migration.digest},
          {"sync", name_of(migration.sync)},
          {"objects", objects_made(migration)},
          {"switches", switches},
          {"locks", locks_taken(migration)}};
}

// Rows that are set aside may be those that rows of another table refer to.
void tell_of_children(const Migration& migration, const json& document,
                      std::vector<Matter>& matters) {
  const std::vector<std::set<std::size_t>> parents = parents_of(migration);
  for (std::size_t child = 0; child < parents.size(); ++child) {
    for (const std::size_t parent : parents[child]) {
      const Move& move = migration.moves[parent];
      const std::int64_t aside = document["tables"][parent].value("refused_rows", std::int64_t{0});
      if (move.on_error != OnError::reject || aside == 0 || child == parent) continue;
      matters.push_back(
          {Finding::Weight::warning, aside,
           fmt::format("{}: what refers to one of the {} of {} that would be set aside would refer "
                       "to nothing on the new side",
                       migration.moves[child].name, rows_text(aside), move.name)});
    }
  }
}

// Where less is free than the new rows take, by the estimate. What the old rows take stays taken.
void compare_room(const Migration& migration, json& document, std::vector<Matter>& matters) {
  struct Need {
    std::int64_t bytes = 0;
    std::string where;
    const Store* store = nullptr;
  };
  std::map<std::string, Need> needs;  // by store
  for (std::size_t i = 0; i < migration.moves.size(); ++i) {
    const Move& move = migration.moves[i];
    Need& need = needs[move.target->identity()];
    need.bytes += document["tables"][i].value("disk_bytes", std::int64_t{0});
    need.where = move.to.substr(0, move.to.find('/'));
    need.store = move.target.get();
  }
  for (const auto& [identity, need] : needs) {
    const std::optional<std::int64_t> left = need.store->room_left();
    if (!left) continue;
    document["room"].push_back(
        {{"store", need.where}, {"needed_bytes", need.bytes}, {"free_bytes", *left}});
    if (need.bytes <= *left) continue;
    matters.push_back(
        {Finding::Weight::warning, std::numeric_limits<std::int64_t>::max(),
         fmt::format("{}: about {} more on disk, and {} are free there", need.where,
                     TableAnalysis::in_bytes(need.bytes), TableAnalysis::in_bytes(*left))});
  }
}

// Comes before the tables: all together, and where to look first.
std::string sum_up(json& document, std::vector<Matter> matters) {
  constexpr std::size_t told_max = 5;
  std::int64_t rows = 0;
  std::int64_t time = 0;
  std::int64_t disk = 0;
  for (const json& table : document["tables"]) {
    rows += table.value("rows", std::int64_t{0});
    time += table.value("estimate_ms", std::int64_t{0});
    disk += table.value("disk_bytes", std::int64_t{0});
  }
  document["estimate_ms"] = time;
  document["disk_bytes"] = disk;
  std::string text;
  if (document["tables"].size() > 1) {
    text =
        fmt::format("in all: {}, {} to copy and compare, about {} more on disk\n", rows_text(rows),
                    to_duration_text(Milliseconds(time)), TableAnalysis::in_bytes(disk));
  }
  if (matters.empty()) return text;
  std::ranges::stable_sort(matters, std::greater(),
                           [](const Matter& one) { return std::pair(one.weight, one.rows); });
  text += "what matters most:\n";
  for (std::size_t i = 0; i < std::min(matters.size(), told_max); ++i) {
    text += fmt::format("  {}. {}: {}\n", i + 1, name_of(matters[i].weight), matters[i].text);
  }
  if (matters.size() > told_max) {
    text += fmt::format("  and {} more below\n", matters.size() - told_max);
  }
  return text;
}

Result<Analysis> run(const Migration& migration, const Standing& standing, Clock& clock,
                     Events* events, const StopFlag* stop, bool redact,
                     std::span<const UnsaidReference> unsaid) {
  Analysis analysis;
  analysis.refused = standing.will_not_begin;
  analysis.document = plan_part(migration);
  analysis.document["made_at"] = to_iso8601(clock.now());
  analysis.document["full"] = events != nullptr;
  analysis.document["tables"] = json::array();
  std::vector<Matter> matters;
  SharedKeys shared_keys(migration);
  for (const Move& move : migration.moves) {
    TableAnalysis table(migration, move, standing, redact);
    TRY(table.describe());
    for (const UnsaidReference& one : unsaid) {
      if (one.move == move.index) table.tell_unsaid(one);
    }
    if (events != nullptr) TRY(table.read_all(clock, *events, *stop, shared_keys));
    analysis.document["tables"].push_back(table.document());
    analysis.text += table.text();
    matters.insert(matters.end(), table.matters().begin(), table.matters().end());
    analysis.refused = analysis.refused || table.refused();
  }
  if (events != nullptr) {
    tell_of_children(migration, analysis.document, matters);
    if (!standing.begun) compare_room(migration, analysis.document, matters);
    analysis.text = sum_up(analysis.document, std::move(matters)) + analysis.text;
  }
  analysis.document["not_taken"] = migration.not_taken;
  if (!migration.not_taken.empty()) {
    analysis.text += fmt::format("stay where they are, for no name in the plan means them: {}\n",
                                 join(migration.not_taken, ", "));
  }
  if (migration.only_copies) {
    analysis.text += levels_of(migration, analysis.document);
  } else if (migration.switches.empty()) {
    analysis.text +=
        "warning: the plan names no switch: at the moment of the cutover somebody has to tell the "
        "application\n";
  }
  analysis.document["refused"] = analysis.refused;
  std::set<std::string> there;
  for (const json& table : analysis.document["tables"]) {
    if (table.value("target_exists", false)) there.insert("table " + table.value("to", ""));
  }
  json objects = json::array();
  for (const json& object : analysis.document["objects"]) {
    const bool is_new = !there.contains(object.get<std::string>());
    if (is_new && std::ranges::count(objects, object) == 0) objects.push_back(object);
  }
  analysis.document["objects"] = std::move(objects);
  analysis.text += "would make:\n";
  for (const auto& object : analysis.document["objects"])
    analysis.text += "  " + object.get<std::string>() + "\n";
  analysis.document["policies"] = policies_of(migration);
  if (events != nullptr) analysis.text += policies_text(analysis.document["policies"]);
  analysis.text += analysis.refused ? "`whimbrel run` would refuse: see above\n"
                                    : "`whimbrel run` would go ahead\n";
  return analysis;
}

}  // namespace

Result<Analysis> analyze(const Migration& migration, const Standing& standing, Clock& clock,
                         Events& events, const StopFlag& stop, bool redact,
                         std::span<const UnsaidReference> unsaid) {
  return run(migration, standing, clock, &events, &stop, redact, unsaid);
}

Result<Analysis> check(const Migration& migration, const Standing& standing, Clock& clock) {
  ASSIGN_OR_RETURN(Inventory inventory, take_inventory(migration, clock));
  ASSIGN_OR_RETURN(Analysis analysis, run(migration, standing, clock, nullptr, nullptr, true, {}));
  analysis.text.insert(0, inventory.text);
  analysis.document["sources"] = std::move(inventory.sources);
  analysis.document["targets"] = std::move(inventory.targets);
  return analysis;
}

}  // namespace whimbrel
