#include "discover/starter.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "discover/entry.h"
#include "discover/plan_text.h"
#include "discover/references.h"
#include "discover/settings_text.h"
#include "discover/side.h"
#include "discover/skeleton.h"
#include "discover/tables.h"

namespace whimbrel {

namespace {

std::string name_list(const std::vector<std::string>& names) {
  std::vector<std::string> parts;
  for (const std::string& name : names) parts.push_back(printable(name));
  return join(parts, ", ");
}

class StarterWriter {
 public:
  explicit StarterWriter(const StarterRequest& request) : r_(request) {}

  Result<Starter> write() {
    const bool two = r_.sides.size() > 1;
    inside_ = !two || r_.sides[0].store->identity() == r_.sides[1].store->identity();
    TRY(read());
    if (old_.tables.empty()) {
      return Error{ErrorCode::refused, "there is no table to move in " + old_.store->identity(),
                   "name the database whose tables are to move", "nothing was changed"};
    }
    TRY(match());
    TRY(entries());
    TRY(perhaps());
    skipped();
    TRY(references());
    const std::string tables = tables_text();  // counts the last decisions
    const bool can_link = inside_ && old_.store->capabilities().dual;
    out_.text = head() + tables +
                settings_text(
                    {old_.alias, name_for_flags(), can_link,
                     old_.store->capabilities().holds && target_side().store->capabilities().holds,
                     against_dual_});
    return std::move(out_);
  }

 private:
  // What a table that moves holds moves along, so a switch has to stand elsewhere.
  std::string name_for_flags() const {
    std::string name = "flags";
    const auto is_taken = [&] {
      return std::ranges::any_of(old_.names, [&](const std::string& there) {
        return ascii_iequals(there, name) || ascii_lower(there).ends_with("." + name);
      });
    };
    while (is_taken()) name = "migration_" + name;
    return name;
  }

  Status read() {
    const StarterSide& first = r_.sides[0];
    std::vector<std::string> asked;
    for (const StarterSide& side : r_.sides) {
      const bool of_first = inside_ || &side == &first;
      if (of_first && !side.only_table.empty()) asked.push_back(side.only_table);
    }
    // One table alone may have its newer version beside it.
    if (inside_ && asked.size() == 1) {
      ASSIGN_OR_RETURN(const TableSchema there, first.store->catalog().describe(asked[0]));
      only_ = there.name;
      asked.clear();
    }
    const char* alias = inside_ ? "db" : "old";
    ASSIGN_OR_RETURN(old_, read_side(alias, *first.store, asked, r_.rows_sampled_max));
    if (inside_) return {};
    const StarterSide& second = r_.sides[1];
    asked.clear();
    if (!second.only_table.empty()) asked.push_back(second.only_table);
    ASSIGN_OR_RETURN(new_, read_side("new", *second.store, asked, r_.rows_sampled_max));
    return {};
  }

  const Side& target_side() const { return inside_ ? old_ : new_; }

  Status match() {
    const auto& targets = target_side().tables;
    const Catalog& taker = target_side().store->catalog();
    const bool pair_is_given =
        r_.sides.size() > 1 && !r_.sides[0].only_table.empty() && !r_.sides[1].only_table.empty();
    if (pair_is_given) {
      if (inside_ && ascii_iequals(r_.sides[0].only_table, r_.sides[1].only_table)) {
        return Error{ErrorCode::invalid_plan, "source and target are the same table",
                     "name two tables, or two stores", "nothing was changed"};
      }
      TablePair pair = match_given(old_.tables[0], targets[inside_ ? 1 : 0], taker);
      pair.target = inside_ ? 1 : 0;
      guesses_.taken.push_back(std::move(pair));
    } else if (inside_) {
      guesses_ = match_inside(old_.tables, taker);
      for (auto* pairs : {&guesses_.taken, &guesses_.doubts}) {
        std::erase_if(*pairs, [this](const TablePair& pair) {
          return !is_asked(pair.source) && !is_asked(pair.target);
        });
      }
    } else {
      guesses_ = match_tables(old_.tables, new_.tables, taker);
    }
    std::ranges::stable_sort(guesses_.taken, {}, [this](const TablePair& pair) {
      return level_of(old_.table(pair.source).schema.name);
    });
    return {};
  }

  bool is_asked(int table) const { return only_.empty() || old_.table(table).schema.name == only_; }

  int level_of(const std::string& table) {
    if (levels_.empty()) levels_ = levels(old_.tables);
    for (std::size_t i = 0; i < levels_.size(); ++i) {
      if (std::ranges::count(levels_[i], table) > 0) return static_cast<int>(i);
    }
    return 0;
  }

  Status entries() {
    for (const TablePair& pair : guesses_.taken) {
      const TableSample& source = old_.table(pair.source);
      const TableSample& target = target_side().table(pair.target);
      moved_.insert(pair.source);
      used_.insert(pair.target);
      TRY(add({old_.alias, target_side().alias, old_.store, target_side().store, &source, &target,
               &pair, "exists"},
              false));
    }
    const bool nothing_to_pair =
        guesses_.taken.empty() && (inside_ || new_.tables.empty() || guesses_.doubts.empty());
    if (nothing_to_pair || (inside_ && only_.empty())) {
      if (!nothing_to_pair) {
        const bool has_files = old_.store->dialect() != nullptr;
        proposals_ += comment(outer, fmt::format("Tables without a newer one beside them. To move "
                                                 "one, accept its lines{}.",
                                                 has_files ? " and write the file that `create:` "
                                                             "names"
                                                           : ""));
      }
      for (int i = 0; i < std::ssize(old_.tables); ++i) {
        if (is_asked(i) && !moved_.contains(i) && !used_inside(i))
          TRY(skeleton(i, nothing_to_pair));
      }
    }
    return {};
  }

  bool used_inside(int table) const { return inside_ && used_.contains(table); }

  // A new table that is made like the old one. It is a comment where there are pairs to move.
  Status skeleton(int at, bool live) {
    const TableSample& source = old_.table(at);
    const Side& side = target_side();
    const std::string name = inside_ ? next_name(source.schema.name, side.names)
                                     : name_there(source.schema.name, *old_.store, *side.store);
    Result<Skeleton> tried = skeleton_of(source, *old_.store, name, *side.store);
    if (!tried.ok() && tried.error().code == ErrorCode::unavailable) return tried.error();
    if (!tried.ok()) {
      if (!source.schema.key.empty()) cannot_be_made(source.schema.name, name, tried.error());
      return {};
    }
    Skeleton made = std::move(tried).value();
    for (const ForeignKey& key : made.target.schema.foreign_keys) reference(key, live, made);
    const bool is_sql = side.store->dialect() != nullptr;
    std::string ddl;
    for (const std::string& open : made.open) {
      if (is_sql) ddl += comment("", "DECIDE: " + open, "--");
    }
    ddl += made.ddl;
    TablePair pair = match_given(source, made.target, side.store->catalog());
    pair.reason = "A new table like the old one, for you to change.";
    // Without its types nothing can be tried.
    for (ColumnGuess& guess : pair.columns.taken) {
      if (!made.missing.empty()) guess.conversion.refused = 0;
    }
    moved_.insert(at);
    const EntryRequest request = {old_.alias,   side.alias, old_.store, side.store, &source,
                                  &made.target, &pair,      made.file,  made.open};
    TRY(add(request, !live));
    if (!live) return {};
    for (const Prerequisite& one : made.missing) {
      if (std::ranges::count(missing_, one.name, &Prerequisite::name) == 0) missing_.push_back(one);
    }
    if (made.file == "like-source") return {};
    out_.files[made.file] = ddl;
    if (!r_.writes_files) {
      tables_ += marked(outer, "#", made.file + ":") + marked(outer, "#  ", ddl);
    }
    return {};
  }

  void cannot_be_made(const std::string& table, const std::string& name, const Error& error) {
    told_.insert(table);
    decide(fmt::format("{} does not move as it stands: {} cannot be made in {}. {}{}{}.",
                       printable(table), printable(name), target_side().alias,
                       printable(error.message, 300), error.hint.empty() ? "" : ": ", error.hint));
  }

  // What is to be made by hand in the new store, in a file that can be run as it is.
  std::string prerequisites() {
    if (missing_.empty()) return "";
    constexpr const char* file = "prerequisites.sql";
    std::string sql;
    std::vector<std::string> names;
    for (const Prerequisite& one : missing_) {
      sql += one.sql + ";\n";
      names.push_back(printable(one.name, 200));
    }
    ++out_.decisions;
    out_.files[file] = sql;
    std::string text = comment(
        outer, fmt::format("DECIDE: {} has not got what tables below are made of: {}. Make it "
                           "there before `whimbrel check`{}",
                           target_side().alias, join(names, ", "),
                           r_.writes_files ? fmt::format("; {} does.", file) : ":"));
    if (!r_.writes_files) text += marked(outer, "#  ", sql);
    return text;
  }

  // The new table refers to the same one as the old table does, which may not be what is meant.
  void reference(const ForeignKey& key, bool all_move, Skeleton& made) const {
    const auto called = [&](const std::string& name) { return ascii_iequals(name, key.parent); };
    if (called(made.target.schema.name)) return;
    const std::string columns = join(key.columns, ", ");
    if (!inside_) {
      const bool comes = std::ranges::any_of(
          old_.tables, [&](const TableSample& one) { return called(one.schema.name); });
      if ((all_move && comes) || std::ranges::any_of(new_.names, called)) return;
      made.open.push_back(
          fmt::format("`{}` refers to the table `{}`, which {} does not have: move it as well, or "
                      "take the reference out of {}.",
                      printable(columns), printable(key.parent), new_.alias, made.file));
    } else if (only_.empty()) {
      made.open.push_back(fmt::format(
          "`{}` goes on referring to the table `{}`. If that one moves too, its rows end in an old "
          "table: let {} name the new one, and say `sync: capture`.",
          printable(columns), printable(key.parent), made.file));
    }
  }

  Status add(const EntryRequest& request, bool as_comment) {
    ASSIGN_OR_RETURN(const Entry entry, write_entry(request));
    uses_dollar_ = uses_dollar_ || entry.uses_dollar;
    if (as_comment) {
      proposals_ += marked(outer, "#:", entry.live ? without_indent(entry.text) : "");
      return {};
    }
    tables_ += entry.text;
    out_.decisions += entry.decisions;
    if (!entry.live) return {};
    ++out_.tables;
    out_.guesses += entry.guesses;
    if (against_dual_.empty() && !entry.against_dual.empty()) against_dual_ = entry.against_dual;
    return {};
  }

  static std::string without_indent(const std::string& text) {
    std::string out;
    std::size_t begin = 0;
    while (begin < text.size()) {
      const std::size_t end = text.find('\n', begin);
      const std::string line = text.substr(begin, end - begin);
      out += (line.starts_with(outer) ? line.substr(2) : line) + "\n";
      begin = end + 1;
    }
    return out;
  }

  void decide(const std::string& what) {
    ++out_.decisions;
    tables_ += comment(outer, "DECIDE: " + what);
  }

  // Pairs that are too doubtful to be moved without a person's word: the best of each as lines to
  // accept.
  Status perhaps() {
    std::set<int> sources = moved_;
    std::set<int> targets = used_;
    for (const TablePair& pair : guesses_.doubts) {
      const TableSample& source = old_.table(pair.source);
      const TableSample& target = target_side().table(pair.target);
      const bool is_best = !sources.contains(pair.source) && !targets.contains(pair.target);
      proposals_ +=
          comment(outer, fmt::format("perhaps {}/{} is {}/{}, {:.0f} %: {}{}", old_.alias,
                                     printable(source.schema.name), target_side().alias,
                                     printable(target.schema.name), pair.score * 100, pair.reason,
                                     is_best ? ". Accept these lines if it is:" : ""));
      if (!is_best) continue;
      sources.insert(pair.source);
      targets.insert(pair.target);
      TRY(add({old_.alias, target_side().alias, old_.store, target_side().store, &source, &target,
               &pair, "exists"},
              true));
    }
    return {};
  }

  // What does not move, and why.
  void skipped() {
    std::vector<std::string> keyless;
    std::vector<std::string> left;
    for (int i = 0; i < std::ssize(old_.tables); ++i) {
      const TableSchema& schema = old_.table(i).schema;
      if (!is_asked(i) || moved_.contains(i) || used_inside(i) || told_.contains(schema.name))
        continue;
      (schema.key.empty() ? keyless : left).push_back(schema.name);
    }
    if (!keyless.empty()) {
      decide(
          fmt::format("these tables of {} have no key by which their rows are told apart, and do "
                      "not move: {}. Give them a primary key, or a unique index over columns "
                      "that are NOT NULL; or leave them.",
                      old_.alias, name_list(keyless)));
    }
    if (!left.empty()) {
      decide(
          fmt::format("nothing in {} is surely what these tables of {} become, and they do not "
                      "move: {}.",
                      target_side().alias, old_.alias, name_list(left)));
    }
    if (!inside_) unused_targets();
    if (!old_.unreadable.empty() && only_.empty()) {
      tables_ += comment(outer, fmt::format("Not moved, because they are no plain tables: {}.",
                                            name_list(old_.unreadable)));
    }
  }

  // For a copy with new ids, or of only some rows, which has to know every reference.
  Status references() {
    std::vector<MaybeChild> tables;
    for (const TableSample& table : old_.tables) {
      MaybeChild one{table.schema.name, old_.store, &table, {}};
      for (const ForeignKey& key : table.schema.foreign_keys) {
        one.said.insert(key.columns.begin(), key.columns.end());
      }
      tables.push_back(std::move(one));
    }
    ASSIGN_OR_RETURN(const std::vector<LikelyReference> likely, likely_references(tables));
    std::string lines;
    std::string of;
    for (const LikelyReference& one : likely) {
      const std::string& child = tables[static_cast<std::size_t>(one.child)].name;
      const auto table = key_text(child);
      const auto column = key_text(one.column);
      const auto parent =
          scalar_text(tables[static_cast<std::size_t>(one.parent)].name, uses_dollar_);
      if (!table || !column || !parent) continue;
      if (child != of) lines += fmt::format("#     {}:\n", *table);
      lines += fmt::format("#       {}: {}  # {} of {} sampled values are keys there\n", *column,
                           *parent, one.found, one.of);
      of = child;
    }
    if (lines.empty()) return {};
    references_ = comment("",
                          "These columns look like references, and the database does not say so. A "
                          "copy with new ids (`ids:`), or of only some rows, has to be told:") +
                  "#   references:\n" + lines + "\n";
    return {};
  }

  void unused_targets() {
    std::vector<std::string> unused;
    for (int i = 0; i < std::ssize(new_.tables); ++i) {
      if (!used_.contains(i)) unused.push_back(new_.table(i).schema.name);
    }
    if (unused.empty()) return;
    tables_ += comment(outer, "Nothing goes into these tables of new: " + name_list(unused) + ".");
  }

  std::string head() const {
    std::string text = comment(
        "",
        "A starter plan, written by `whimbrel init`. Read it: guesses say why, and how surely. A "
        "line that begins with `#:` is a proposal; take these two characters and the space behind "
        "them away to accept it.");
    text += comment("", out_.decisions == 0
                            ? "Nothing is left to decide before `whimbrel check`."
                            : fmt::format("What only a person can decide is marked DECIDE: {} in "
                                          "this plan. Until then `whimbrel check` may refuse that.",
                                          out_.decisions));
    text += "whimbrel: 1\nmigration: " + r_.migration + "\n";
    return text + stores();
  }

  std::string stores() const {
    const auto named = [&](const Side& side, std::size_t at) {
      return NamedUrl{side.alias, r_.sides[at].url, side.store->dialect() == nullptr};
    };
    std::vector<NamedUrl> stores = {named(old_, 0)};
    if (!inside_) stores.push_back(named(new_, 1));
    return stores_text(stores, uses_dollar_);
  }

  std::string tables_text() {
    const bool has_tables_of_files = !out_.files.empty();
    const std::string needed = prerequisites();
    std::string text;
    if (levels_.size() > 1 && only_.empty()) {
      text += comment("", "By foreign keys, parents before children:");
      for (std::size_t i = 0; i < levels_.size(); ++i) {
        text += comment("", fmt::format("level {}: {}", i, name_list(levels_[i])));
      }
    }
    if (has_tables_of_files && !r_.writes_files) {
      ++out_.decisions;
      text += comment("",
                      "DECIDE: which tables move, and what the new ones look like. The files "
                      "that `create:` names are not there yet: `--output` of `whimbrel init` "
                      "writes them beside the plan; each entry shows its own. Delete the "
                      "entries of tables that stay as they are.");
    } else if (has_tables_of_files) {
      text += comment("",
                      "Delete the entries of tables that stay as they are, and write into the "
                      "files that `create:` names what the new tables look like.");
    }
    if (out_.tables == 0) {
      ++out_.decisions;
      text += comment("", "DECIDE: nothing can move as it stands; the reasons are below.");
    }
    return text + "tables:\n" + needed + tables_ + proposals_ + references_;
  }

  const StarterRequest& r_;
  bool inside_ = true;
  Side old_;
  Side new_;
  std::string only_;  // the one table that was asked for inside one store
  TableGuesses guesses_;
  std::vector<std::vector<std::string>> levels_;
  std::set<int> moved_;                // of the old side
  std::set<int> used_;                 // of the new side
  std::set<std::string> told_;         // why they do not move
  std::vector<Prerequisite> missing_;  // in the new store
  std::string tables_;
  std::string proposals_;
  std::string references_;
  std::string against_dual_;
  bool uses_dollar_ = false;
  Starter out_;
};

}  // namespace

Result<Starter> write_starter(const StarterRequest& request) {
  return StarterWriter(request).write();
}

}  // namespace whimbrel
