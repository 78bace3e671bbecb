#include "discover/entry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/counted.h"
#include "base/text.h"
#include "discover/documents.h"
#include "discover/plan_text.h"

namespace whimbrel {

namespace {

constexpr const char* inner = "    ";
constexpr const char* deep = "      ";

int percent(double score) { return static_cast<int>(std::lround(score * 100)); }

std::string quoted_list(const std::vector<std::string>& names) {
  std::vector<std::string> parts;
  for (const std::string& name : names) parts.push_back("`" + printable(name) + "`");
  return join(parts, ", ");
}

// Something that the column takes, for a person to replace.
std::string some_constant(const ColumnSchema& column) {
  switch (column.holds) {
    case Kind::int64:
    case Kind::decimal:
      return "{const: 0}";
    case Kind::real:
      return "{const: 0.0}";
    default:
      return "{const: \"\"}";
  }
}

class EntryWriter {
 public:
  explicit EntryWriter(const EntryRequest& request)
      : r_(request), source_(request.source->schema), target_(request.target->schema) {}

  Result<Entry> write() {
    for (const ColumnGuess& guess : r_.pair->columns.taken) take(guess);
    doubts_of_targets();
    leftovers();
    for (const std::string& open : r_.open) decide(notes_, outer, open);
    const Result<Mapping> mapping = make_mapping(source_, target_, rules_);
    if (!mapping.ok()) return commented_out(mapping.error());
    TRY(reviewed(mapping.value()));
    entry_.text = head() + columns() + rest_;
    return std::move(entry_);
  }

 private:
  const ColumnSchema& source_column(int at) const { return r_.source->column(at); }
  const ColumnSchema& target_column(int at) const { return r_.target->column(at); }

  void decide(std::string& where, std::string_view indent, const std::string& what) {
    ++entry_.decisions;
    where += comment(indent, "DECIDE: " + what);
  }

  static std::string why(const ColumnGuess& guess, const char* word) {
    return fmt::format("{}, {} %{}{}", word, percent(guess.score),
                       guess.reasons.empty() ? "" : ": ", join(guess.reasons, "; "));
  }

  void take(const ColumnGuess& guess) {
    const ColumnSchema& from = source_column(guess.source);
    const ColumnSchema& to = target_column(guess.target);
    const std::optional<std::string> key = key_text(to.name);
    const std::optional<std::string> value = mapping_text(*guess.conversion.expr);
    const bool copies = guess.conversion.what.empty();
    const bool same = copies && from.name == to.name;
    mentioned_.insert(guess.source);
    given_.insert(guess.target);
    rules_.emplace_back(to.name, guess.conversion.expr);
    if (guess.surety == Surety::guess) ++entry_.guesses;
    if (!to.nullable && r_.source->sample(guess.source).nulls > 0 && key && value) {
      nulls(guess, *key, *value);
    } else if (const auto name = scalar_text(to.name, entry_.uses_dollar); same && name) {
      same_.emplace_back(to.name, *name);
    } else if (key && value) {
      told(guess);
      has_live_line_ = true;
      columns_ +=
          fmt::format("{}{}: {}{}\n", deep, *key, *value,
                      guess.surety == Surety::other_spelling && copies ? "  # the same words" : "");
    } else {
      decide(columns_, deep,
             fmt::format("`{}` would be `{}` of the old table, and the grammar has no words for "
                         "such a name: rename the column first.",
                         printable(to.name), printable(from.name)));
      rules_.pop_back();
      return;
    }
    if (guess.conversion.refused > 0) {
      decide(columns_, deep,
             fmt::format("{} of {} sampled values of `{}` would be refused by `{}`: `analyze` "
                         "shows them. Correct them, map them otherwise, or say `on_error: reject`.",
                         guess.conversion.refused, guess.conversion.tried, printable(from.name),
                         printable(to.name)));
    }
  }

  void told(const ColumnGuess& guess) {
    if (guess.surety == Surety::guess) {
      columns_ += comment(deep, why(guess, "guessed"));
    } else if (!guess.conversion.what.empty()) {
      columns_ += comment(deep, "guessed: " + guess.conversion.what);
    }
  }

  // A function around a value, or a bare name, with what a null becomes.
  static std::string with_if_null(const std::string& value, const std::string& otherwise) {
    return value.front() == '{'
               ? value.substr(0, value.size() - 1) + ", if_null: " + otherwise + "}"
               : "{from: " + value + ", if_null: " + otherwise + "}";
  }

  void nulls(const ColumnGuess& guess, const std::string& key, const std::string& value) {
    const ColumnSchema& to = target_column(guess.target);
    if (guess.surety == Surety::guess) columns_ += comment(deep, why(guess, "guessed"));
    decide(columns_, deep,
           fmt::format("{} of {} sampled rows have a null in `{}`, and `{}` is NOT NULL: say what "
                       "a null becomes.",
                       r_.source->sample(guess.source).nulls, r_.source->rows.size(),
                       printable(source_column(guess.source).name), printable(to.name)));
    columns_ += marked(deep, "#:", key + ": " + with_if_null(value, some_constant(to)));
  }

  // What has to get a value and has no source, and what may be meant.
  void doubts_of_targets() {
    for (int j = 0; j < std::ssize(target_.columns); ++j) {
      const ColumnSchema& to = target_column(j);
      const std::optional<std::string> key = key_text(to.name);
      if (given_.contains(j) || to.generated || to.hidden || !key) continue;
      if (is_rest(target_, to.name)) continue;
      const bool required = !to.nullable && !to.has_default;
      std::string proposals;
      for (const ColumnGuess& doubt : r_.pair->columns.doubts) {
        const std::optional<std::string> value = mapping_text(*doubt.conversion.expr);
        if (doubt.target != j || !value) continue;
        proposals += comment(deep, why(doubt, "perhaps"));
        proposals += marked(deep, "#:", *key + ": " + *value);
      }
      proposals += documents(j, *key);
      if (required) {
        decide(columns_, deep,
               fmt::format("`{}` ({}) is NOT NULL without a default, and no column of the old "
                           "table is surely meant. Take one of these lines, or another value.",
                           printable(to.name), printable(to.declared)));
        if (proposals.empty()) proposals = of_the_same_type(to, *key);
        columns_ += proposals;
        // Two rows of one key would be one.
        if (!r_.target->schema.is_key(to.name)) {
          columns_ += marked(deep, "#:", *key + ": " + some_constant(to));
        }
      } else {
        columns_ += proposals;
        if (proposals.empty()) new_only_.push_back(to.name);
      }
    }
  }

  // What nothing else takes may be meant under another name.
  std::string of_the_same_type(const ColumnSchema& to, const std::string& key) const {
    constexpr int proposed_max = 3;
    std::string proposals;
    int proposed = 0;
    for (int i = 0; i < std::ssize(source_.columns); ++i) {
      const ColumnSchema& from = source_column(i);
      const auto value = mapping_text(Expr{ColumnRef{from.name}});
      const bool may_be_it = !mentioned_.contains(i) && !from.generated && !from.hidden &&
                             from.holds == to.holds && !source_.is_key(from.name);
      if (!may_be_it || !value || proposed == proposed_max) continue;
      proposals += comment(deep, "perhaps: of the same type, and nothing else takes it");
      proposals += marked(deep, "#:", key + ": " + *value);
      ++proposed;
    }
    return proposals;
  }

  // The column as a field of a document, or as a document of the columns that are left.
  std::string documents(int target, const std::string& key) const {
    std::string proposals;
    const auto propose = [&](const std::optional<ExprPtr>& expr, const char* why) {
      const auto value = expr ? mapping_text(**expr) : std::nullopt;
      if (value) proposals += comment(deep, why) + marked(deep, "#:", key + ": " + *value);
    };
    propose(field_named_like(*r_.source, r_.target->sample(target)),
            "perhaps: the documents of a column have a field of this name");
    std::vector<std::string> left;
    for (int i = 0; i < std::ssize(source_.columns); ++i) {
      const ColumnSchema& from = source_column(i);
      if (!mentioned_.contains(i) && !from.generated && !from.hidden) left.push_back(from.name);
    }
    propose(document_of(left, target_column(target)),
            "perhaps: a document of the columns that nothing else takes");
    return proposals;
  }

  void leftovers() {
    std::vector<std::string> left;
    std::vector<const ColumnSchema*> needed;
    for (int i = 0; i < std::ssize(source_.columns); ++i) {
      const ColumnSchema& from = source_column(i);
      if (mentioned_.contains(i) || from.generated || from.hidden) continue;
      if (is_rest(source_, from.name)) continue;
      left.push_back(from.name);
      if (!from.nullable && !from.has_default) needed.push_back(&from);
    }
    if (!new_only_.empty()) {
      rest_ += comment(inner, fmt::format("Nothing gives {} a value: they get their default, or "
                                          "null.",
                                          quoted_list(new_only_)));
    }
    if (both_are_open()) {
      rest_ += comment(inner, "Whatever else an item has goes along under its name.");
      rest_ += std::string(inner) + "rest: copy\n";
      return;
    }
    for (const ColumnSchema* column : needed) no_way_back(*column);
    if (left.empty()) {
      if (!source_.rest_column.empty()) {
        rest_ += comment(inner,
                         "These are the names that sampled items have. `analyze` reads every "
                         "item, and refuses one that has another.");
      }
      rest_ += std::string(inner) + "rest: forbid\n";
      return;
    }
    decide(rest_, inner,
           fmt::format("nothing takes {} of the old table. Map what you need, and accept this line "
                       "to leave the others behind.",
                       quoted_list(left)));
    rest_ += marked(inner, "#:", "rest: drop");
  }

  // Rows of both sides may have values that no column names.
  bool both_are_open() const {
    return !source_.rest_column.empty() && !target_.rest_column.empty();
  }

  // Rows that are made on the new side could not be brought back.
  void no_way_back(const ColumnSchema& column) {
    const bool may_be_mapped = std::ranges::any_of(
        r_.pair->columns.doubts,
        [&](const ColumnGuess& doubt) { return source_column(doubt.source).name == column.name; });
    decide(rest_, inner,
           fmt::format("{}`{}` is NOT NULL without a default and has no place in the new table, so "
                       "no row made there could go back. Give it one there:",
                       may_be_mapped ? "unless you accept a line above that takes it, " : "",
                       printable(column.name)));
    const Dialect* dialect = r_.to->dialect();
    const std::optional<std::string> key = key_text(column.name);
    const std::optional<std::string> value = mapping_text(Expr{ColumnRef{column.name}});
    if (dialect == nullptr || !key || !value || target_.column_index(column.name) >= 0) return;
    const std::optional<std::string> sql = on_one_line(
        fmt::format("ALTER TABLE {} ADD COLUMN {} {};", dialect->quote_table(target_.name),
                    dialect->quote(column.name), column.declared));
    if (!sql) return;
    rest_ += marked(inner, "#  ", *sql);
    columns_ += comment(deep, fmt::format("Only with `{}` added to the new table, see below:",
                                          printable(column.name)));
    columns_ += marked(deep, "#:", *key + ": " + *value);
  }

  // What the store itself has against this pair, in its own words.
  Status reviewed(const Mapping& mapping) {
    ASSIGN_OR_RETURN(const std::vector<Finding> plain, r_.from->review(mapping, false));
    ASSIGN_OR_RETURN(const std::vector<Finding> dual, r_.from->review(mapping, true));
    const auto is_refusal = [](const Finding& finding) {
      return finding.weight == Finding::Weight::refusal && finding.code != "no_way_back";
    };
    std::set<std::string> known;
    for (const Finding& finding : plain) {
      if (!is_refusal(finding)) continue;
      known.insert(finding.code);
      decide(notes_, outer, printable(finding.message, 200) + ": " + finding.hint + ".");
    }
    for (const Finding& finding : dual) {
      if (!is_refusal(finding) || known.contains(finding.code)) continue;
      entry_.against_dual = printable(finding.message, 200);
      break;
    }
    if (r_.target->count > 0) rows_in_target();
    return {};
  }

  void rows_in_target() {
    decide(notes_, outer,
           fmt::format("{}/{} has {}, and this release moves only into empty tables. Empty it "
                       "when its rows are no longer needed, or name another table:",
                       r_.to_alias, printable(target_.name), rows_text(r_.target->count)));
    const Dialect* dialect = r_.to->dialect();
    if (dialect == nullptr) return;
    const auto sql =
        on_one_line(fmt::format("DELETE FROM {};", dialect->quote_table(target_.name)));
    if (sql) notes_ += marked(outer, "#  ", *sql);
  }

  std::string head() {
    const auto from = address_text(r_.from_alias, source_.name, entry_.uses_dollar);
    const auto to = address_text(r_.to_alias, target_.name, entry_.uses_dollar);
    const auto create = scalar_text(r_.create, entry_.uses_dollar);
    std::string text;
    if (r_.pair->surety == Surety::guess) {
      text += comment(outer,
                      fmt::format("guessed, {} %: {}", percent(r_.pair->score), r_.pair->reason));
    } else {
      text += comment(outer, r_.pair->reason);
    }
    if (r_.pair->columns.keys_given_anew > 0) {
      text += comment(outer, fmt::format("{} sampled rows have the same key on both sides and hold "
                                         "nothing in common: the keys may have been given anew.",
                                         r_.pair->columns.keys_given_anew));
    }
    if (!source_.views.empty()) {
      text +=
          comment(outer, "Views that go on reading the old table: " + quoted_list(source_.views));
    }
    text += notes_;
    return text + fmt::format("{}- from: {}\n{}to: {}\n{}create: {}\n", outer, from.value_or("?"),
                              inner, to.value_or("?"), inner, create.value_or("?"));
  }

  // A map of nothing but comments would be none: one of the copied columns is said there then.
  std::string columns() {
    std::string text;
    if (!columns_.empty()) {
      std::string first;
      for (std::size_t i = 0; !has_live_line_ && first.empty() && i < same_.size(); ++i) {
        const auto key = key_text(same_[i].first);
        const auto value = mapping_text(Expr{ColumnRef{same_[i].first}});
        if (!key || !value) continue;
        first = fmt::format("{}{}: {}\n", deep, *key, *value);
        same_.erase(same_.begin() + static_cast<std::ptrdiff_t>(i));
      }
      const bool live = has_live_line_ || !first.empty();
      text = std::string(inner) + (live ? "columns:\n" : "#: columns:\n") + first + columns_;
    }
    return text + (same_.empty() || both_are_open() ? "" : same_lines());
  }

  std::string same_lines() const {
    std::string text;
    std::string line = std::string(inner) + "same: [";
    for (std::size_t i = 0; i < same_.size(); ++i) {
      const std::string part = same_[i].second + (i + 1 == same_.size() ? "]" : ",");
      if (line.size() + part.size() > 98) {
        text += line + "\n";
        line = std::string(inner) + "      ";
      }
      line += (line.ends_with("[") || line.ends_with("  ") ? "" : " ") + part;
    }
    return text + line + "\n";
  }

  Result<Entry> commented_out(const Error& error) {
    Entry out;
    out.live = false;
    out.decisions = 1;
    out.uses_dollar = entry_.uses_dollar;
    out.text = comment(
        outer, fmt::format("DECIDE: {}/{} does not move to {}/{} as it stands: {}; {}.",
                           r_.from_alias, printable(source_.name), r_.to_alias,
                           printable(target_.name), printable(error.message, 200), error.hint));
    out.text += marked(outer, "#", head() + columns() + rest_);
    return out;
  }

  const EntryRequest& r_;
  const TableSchema& source_;
  const TableSchema& target_;
  Entry entry_;
  std::vector<std::pair<std::string, ExprPtr>> rules_;
  std::set<int> mentioned_;
  std::set<int> given_;
  std::vector<std::pair<std::string, std::string>> same_;  // names, and as the plan says them
  bool has_live_line_ = false;
  std::vector<std::string> new_only_;
  std::string notes_;
  std::string columns_;
  std::string rest_;
};

}  // namespace

Result<Entry> write_entry(const EntryRequest& request) { return EntryWriter(request).write(); }

}  // namespace whimbrel
