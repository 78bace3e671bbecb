#include "discover/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace whimbrel {

namespace {

constexpr double pair_taken_from = 0.6;
constexpr double pair_told_from = 0.4;
constexpr double pair_too_close = 0.05;
constexpr std::ptrdiff_t looked_at_max = 6;  // targets that a source is compared with in full

using Names = std::map<std::string, std::string>;  // of matched tables, in lower case

CompareParents parents_by(const Names& names) {
  return [&names](const std::string& source, const std::string& target) {
    const std::string left = ascii_lower(source);
    const std::string right = ascii_lower(target);
    const auto it = names.find(left);
    if (it != names.end()) return it->second == right ? Parents::same : Parents::different;
    return left == right ? Parents::same : Parents::unknown;
  };
}

// A name can have no words at all.
double name_likeness(const TableSample& source, const TableSample& target) {
  const bool same = ascii_iequals(source.schema.name, target.schema.name);
  return same ? 1 : likeness(source.words, target.words);
}

// From names alone: which targets are worth a closer look.
double at_a_glance(const TableSample& source, const TableSample& target) {
  int found = 0;
  for (const ColumnSample& a : source.columns) {
    found += std::ranges::any_of(target.columns, [&](const ColumnSample& b) {
      return a.words == b.words || a.own == b.own;
    });
  }
  const auto most = std::max<std::size_t>({source.columns.size(), target.columns.size(), 1});
  return name_likeness(source, target) + static_cast<double>(found) / static_cast<double>(most);
}

std::string why(const TablePair& pair, double name, const TableSample& source,
                const TableSample& target) {
  const bool same = ascii_iequals(source.schema.name, target.schema.name);
  const std::string names = same          ? "the same name; "
                            : name == 1   ? "the same words in the name; "
                            : name >= 0.5 ? "similar names; "
                                          : "";
  return fmt::format("{}{} of {} columns find one of {}", names, pair.columns.taken.size(),
                     source.columns.size(), target.columns.size());
}

// Whether the tables refer to the same ones, two at least: as what joins others does.
bool join_the_same(const TableSample& source, const TableSample& target, const Names& known) {
  std::vector<std::string> left;
  std::vector<std::string> right;
  for (const ForeignKey& key : source.schema.foreign_keys) {
    const auto it = known.find(ascii_lower(key.parent));
    left.push_back(it == known.end() ? "" : it->second);
  }
  for (const ForeignKey& key : target.schema.foreign_keys) right.push_back(ascii_lower(key.parent));
  std::ranges::sort(left);
  std::ranges::sort(right);
  return left.size() > 1 && left == right;
}

TablePair compare(const TableSample& source, const TableSample& target, const Catalog& taker,
                  const Names& known) {
  TablePair pair;
  pair.columns = match_columns(source, target, taker, parents_by(known));
  const double name = name_likeness(source, target);
  const bool joins = join_the_same(source, target, known);
  const double named = joins ? std::max(name, 0.6) : name;
  // Two columns like `id` and `name` are in many tables.
  const auto found = pair.columns.taken.size();
  const double weight = found > 4 ? 0.95 : 0.85;
  pair.score = std::min(0.99, 1 - (1 - 0.75 * named) * (1 - weight * pair.columns.likeness));
  if (found < 4 && named < 0.3 && !pair.columns.by_values) {
    pair.score = std::min(pair.score, pair_taken_from - 0.01);
  }
  if (ascii_iequals(source.schema.name, target.schema.name)) {
    pair.surety = Surety::same_name;
  } else if (source.words == target.words) {
    pair.surety = Surety::other_spelling;
  }
  // One name can be two different things.
  const bool nothing_alike = pair.columns.likeness < 0.15 && source.columns.size() > 2;
  if (nothing_alike) {
    pair.surety = Surety::guess;
    pair.score = std::min(pair.score, pair_taken_from - 0.01);
  }
  pair.reason = (joins ? "both join the same tables; " : "") + why(pair, name, source, target);
  return pair;
}

class TableMatcher {
 public:
  TableMatcher(const std::vector<TableSample>& sources, const std::vector<TableSample>& targets,
               const Catalog& taker)
      : sources_(sources), targets_(targets), taker_(taker) {}

  TableGuesses match() {
    // Foreign keys speak once it is known which of the tables they name are which.
    std::size_t known = 0;
    do {
      known = known_.size();
      std::vector<TablePair> all;
      for (int i = 0; i < std::ssize(sources_); ++i) {
        if (!taken_sources_.contains(i)) look_closer(i, all);
      }
      std::ranges::stable_sort(all, std::ranges::greater(), &TablePair::score);
      assign(all);
    } while (known_.size() > known);
    for (TablePair& pair : out_.taken) {
      TablePair again = compare(source(pair), target(pair), taker_, known_);
      again.source = pair.source;
      again.target = pair.target;
      pair = std::move(again);
    }
    std::ranges::sort(out_.taken, {}, &TablePair::source);
    return std::move(out_);
  }

 private:
  const TableSample& source(const TablePair& pair) const {
    return sources_[static_cast<std::size_t>(pair.source)];
  }
  const TableSample& target(const TablePair& pair) const {
    return targets_[static_cast<std::size_t>(pair.target)];
  }

  void look_closer(int i, std::vector<TablePair>& all) const {
    std::vector<std::pair<double, int>> glances;
    for (int j = 0; j < std::ssize(targets_); ++j) {
      if (taken_targets_.contains(j)) continue;
      glances.emplace_back(
          at_a_glance(sources_[static_cast<std::size_t>(i)], targets_[static_cast<std::size_t>(j)]),
          j);
    }
    std::ranges::stable_sort(glances, std::ranges::greater(),
                             [](const auto& glance) { return glance.first; });
    if (std::ssize(glances) > looked_at_max) glances.resize(looked_at_max);
    for (const auto& [glance, j] : glances) {
      TablePair pair = compare(sources_[static_cast<std::size_t>(i)],
                               targets_[static_cast<std::size_t>(j)], taker_, known_);
      pair.source = i;
      pair.target = j;
      if (pair.score >= pair_told_from) all.push_back(std::move(pair));
    }
  }

  void assign(std::vector<TablePair>& all) {
    // The same name first: another table of the same shape must not take its place.
    for (const bool by_name : {true, false}) {
      for (const TablePair& pair : all) {
        const bool named =
            pair.surety == Surety::same_name || pair.surety == Surety::other_spelling;
        if (pair.score < pair_taken_from || named != by_name) continue;
        if (taken_sources_.contains(pair.source) || taken_targets_.contains(pair.target)) continue;
        const bool rivalled = !named && std::ranges::any_of(all, [&](const TablePair& other) {
          const bool rival = (other.source == pair.source && other.target != pair.target &&
                              !taken_targets_.contains(other.target)) ||
                             (other.target == pair.target && other.source != pair.source &&
                              !taken_sources_.contains(other.source));
          return rival && other.score > pair.score - pair_too_close;
        });
        if (rivalled) continue;
        taken_sources_.insert(pair.source);
        taken_targets_.insert(pair.target);
        known_[ascii_lower(source(pair).schema.name)] = ascii_lower(target(pair).schema.name);
        out_.taken.push_back(pair);
      }
    }
    out_.doubts.clear();
    for (TablePair& pair : all) {
      if (taken_sources_.contains(pair.source) || taken_targets_.contains(pair.target)) continue;
      pair.surety = Surety::doubt;
      out_.doubts.push_back(pair);
    }
  }

  const std::vector<TableSample>& sources_;
  const std::vector<TableSample>& targets_;
  const Catalog& taker_;
  Names known_;
  std::set<int> taken_sources_;
  std::set<int> taken_targets_;
  TableGuesses out_;
};

}  // namespace

TableGuesses match_tables(const std::vector<TableSample>& sources,
                          const std::vector<TableSample>& targets, const Catalog& taker) {
  return TableMatcher(sources, targets, taker).match();
}

TableGuesses match_inside(const std::vector<TableSample>& tables, const Catalog& taker) {
  std::map<Words, std::vector<std::pair<AgedName, int>>> families;
  for (int i = 0; i < std::ssize(tables); ++i) {
    AgedName name = aged(tables[static_cast<std::size_t>(i)].schema.name);
    const Words stem = name.stem;
    families[stem].emplace_back(std::move(name), i);
  }
  std::vector<std::pair<int, int>> pairs;
  Names known;
  for (auto& [stem, members] : families) {
    if (members.size() < 2) continue;
    std::ranges::stable_sort(members, {}, [](const auto& member) { return member.first.age; });
    // Of a longer line only the last step: a table cannot be a target and a source in one plan.
    const auto& [younger, target] = members.back();
    const auto& [older, source] = members[members.size() - 2];
    const bool side_by_side = (younger.bare_number && older.age != 0) || older.bare_number;
    if (younger.age == older.age || side_by_side) continue;
    pairs.emplace_back(source, target);
    known[ascii_lower(tables[static_cast<std::size_t>(source)].schema.name)] =
        ascii_lower(tables[static_cast<std::size_t>(target)].schema.name);
  }
  TableGuesses out;
  for (const auto& [i, j] : pairs) {
    const TableSample& source = tables[static_cast<std::size_t>(i)];
    const TableSample& target = tables[static_cast<std::size_t>(j)];
    TablePair pair = compare(source, target, taker, known);
    pair.source = i;
    pair.target = j;
    pair.surety = pair.columns.likeness < 0.3 ? Surety::doubt : Surety::guess;
    pair.reason = "by their names an older and a newer one; " + why(pair, 0, source, target);
    pair.score = std::min(0.99, 0.5 + 0.5 * pair.columns.likeness);
    (pair.surety == Surety::doubt ? out.doubts : out.taken).push_back(std::move(pair));
  }
  std::ranges::sort(out.taken, {}, &TablePair::source);
  return out;
}

TablePair match_given(const TableSample& source, const TableSample& target, const Catalog& taker) {
  TablePair pair = compare(source, target, taker, {});
  pair.surety = Surety::same_name;
  pair.reason = "as asked; " + why(pair, 0, source, target);
  return pair;
}

std::vector<std::vector<std::string>> levels(const std::vector<TableSample>& tables) {
  std::map<std::string, const TableSample*> left;
  for (const TableSample& table : tables) left[ascii_lower(table.schema.name)] = &table;
  std::vector<std::vector<std::string>> out;
  while (!left.empty()) {
    std::vector<std::string> level;
    std::vector<std::string> done;
    for (const auto& [name, table] : left) {
      const bool waits =
          std::ranges::any_of(table->schema.foreign_keys, [&](const ForeignKey& key) {
            const std::string parent = ascii_lower(key.parent);
            return parent != name && left.contains(parent);
          });
      if (waits) continue;
      level.push_back(table->schema.name);
      done.push_back(name);
    }
    if (level.empty()) {  // a ring
      for (const auto& [name, table] : left) level.push_back(table->schema.name);
      left.clear();
    }
    for (const std::string& name : done) left.erase(name);
    out.push_back(std::move(level));
  }
  return out;
}

}  // namespace whimbrel
