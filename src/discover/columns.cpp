#include "discover/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/text.h"
#include "discover/same_rows.h"

namespace whimbrel {

namespace {

constexpr double taken_from = 0.62;
constexpr double told_from = 0.45;
constexpr double just_told = 0.55;  // as a proposal, and never as a line
constexpr double too_close = 0.05;  // a rival that near makes a guess a doubt

std::size_t index(int at) { return static_cast<std::size_t>(at); }

bool is_only_key(const TableSchema& schema, int at) {
  return schema.key.size() == 1 && schema.key.front() == schema.columns[index(at)].name;
}

bool is_key(const TableSchema& schema, int at) {
  return schema.is_key(schema.columns[index(at)].name);
}

// A measure that one of two names says and the other does not, "" for none: what is in whole coins
// there may be in parts of them here.
std::string measure_of_one(const Words& a, const Words& b) {
  // Words are singular here.
  static constexpr auto measures = std::to_array<std::string_view>(
      {"cent",   "penny", "pence",  "minor", "micro", "bp",    "bps", "pct",   "percent",
       "g",      "gram",  "kg",     "kilo",  "mg",    "lb",    "oz",  "ton",   "mm",
       "cm",     "m",     "km",     "mile",  "meter", "metre", "ms",  "milli", "sec",
       "second", "min",   "minute", "hour",  "day",   "byte",  "kb",  "mb",    "gb"});
  for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    for (const std::string& word : *one) {
      const bool is_measure = std::ranges::count(measures, word) > 0;
      if (is_measure && std::ranges::count(*other, word) == 0) return word;
    }
  }
  return "";
}

class Matcher {
 public:
  Matcher(const TableSample& source, const TableSample& target, const Catalog& taker,
          const CompareParents& parents)
      : source_(source), target_(target), taker_(taker), parents_(parents), rows_(source, target) {}

  ColumnGuesses match() {
    for (int j = 0; j < std::ssize(target_.columns); ++j) {
      if (target_.column(j).generated || is_rest(target_.schema, target_.column(j).name)) continue;
      for (int i = 0; i < std::ssize(source_.columns); ++i) {
        if (!is_rest(source_.schema, source_.column(i).name)) judge(i, j);
      }
    }
    std::ranges::stable_sort(all_, std::ranges::greater(), &ColumnGuess::score);
    assign();
    return std::move(out_);
  }

 private:
  // Whether anything but the name could speak for this pair.
  bool has_more_to_say(int i, int j) const {
    const bool values = !source_.sample(i).values.empty() && !target_.sample(j).values.empty();
    const bool keys = is_key(source_.schema, i) && is_key(target_.schema, j);
    return values || keys ||
           (!parent_of(source_.schema, source_.column(i).name).empty() &&
            !parent_of(target_.schema, target_.column(j).name).empty());
  }

  void judge(int i, int j) {
    const double name = name_likeness(source_, i, target_, j);
    if (name < told_from && !has_more_to_say(i, j)) return;
    ColumnGuess guess{i, j, 0, Surety::guess, false, convert(source_, i, target_, j, taker_), {}};
    double score = name;
    if (name < 1 && name >= told_from) {
      guess.reasons.push_back(name >= 0.9 ? "nearly the same name" : "similar names");
    }
    bool contradicted = false;
    score = by_values(guess, score, contradicted);
    score = by_structure(guess, score);
    score = by_measure(guess, score);
    score *= guess.conversion.fits;
    if (source_.column(i).generated) score *= 0.9;
    // Of equal ones, those at the same place.
    score -= 0.002 * std::min(5, std::abs(i - j));
    guess.score = std::clamp(score, 0.0, 0.99);
    if (name == 1 && !contradicted) {
      // What holds another kind of values may be another thing.
      const bool fits = guess.conversion.fits >= 0.9;
      guess.surety = fits ? Surety::same_name : Surety::guess;
      guess.score = fits ? 1 : std::max(guess.score, taken_from);
    } else if (source_.sample(i).words == target_.sample(j).words && !contradicted) {
      guess.surety = Surety::other_spelling;
    }
    if (!guess.conversion.what.empty()) guess.reasons.push_back(guess.conversion.what);
    if (guess.score >= told_from) all_.push_back(std::move(guess));
  }

  // That two columns of few values agree says little, unless it is in every one of many rows.
  static double weight_of(const SameRows::Agreement& found, std::size_t values) {
    const auto different = static_cast<double>(values);
    const bool often = found.share() >= 0.95 && static_cast<double>(found.of) >= 4 * different;
    return std::min(1.0, often ? (different - 1) / 2.5 : different / 8);
  }

  double by_values(ColumnGuess& guess, double score, bool& contradicted) {
    const ColumnSample& a = source_.sample(guess.source);
    const ColumnSample& b = target_.sample(guess.target);
    if (a.values.empty() || b.values.empty()) return score;
    const bool copied = guess.conversion.what.empty();
    const auto& texts = copied ? a.texts : guess.conversion.texts;
    if (const auto found = rows_.agreement(guess.source, texts, guess.target)) {
      if (found->share() >= 0.5) {
        guess.by_values = a.values.size() > 4;
        guess.reasons.push_back(fmt::format(
            "{} of {} sampled rows with the same key hold the same value", found->same, found->of));
        return score + (1 - score) * 0.8 * found->share() * weight_of(*found, a.values.size());
      }
      if (found->share() < 0.1 && a.values.size() >= 3 && rows_.are_real()) {
        guess.reasons.push_back(
            fmt::format("but only {} of {} sampled rows with the same key hold the same value",
                        found->same, found->of));
        contradicted = true;
        return score * 0.7;
      }
    }
    std::unordered_set<std::string> converted(texts.begin(), texts.end());
    converted.erase("");
    const auto& left = copied ? a.values : converted;
    const auto least = static_cast<std::int64_t>(std::min(left.size(), b.values.size()));
    if (least < 3) return score;
    const auto both = std::ranges::count_if(
        left, [&](const std::string& text) { return b.values.contains(text); });
    const double overlap = static_cast<double>(both) / static_cast<double>(least);
    if (overlap >= 0.3) {
      values_meet_ = values_meet_ || (least >= 10 && overlap >= 0.5 && !is_counting(a));
      guess.reasons.push_back(
          fmt::format("{} of {} sampled values occur on both sides", both, least));
      const double weight = is_counting(a) ? 0.2 : std::min(1.0, static_cast<double>(least) / 10);
      return score + (1 - score) * 0.7 * overlap * weight;
    }
    const bool could_meet = least >= 20 && a.seen == Kind::text && b.seen == Kind::text;
    if (both == 0 && could_meet) {
      guess.reasons.push_back("but no sampled value occurs on both sides");
      contradicted = score < 1;
      return score * 0.85;
    }
    return score;
  }

  // No function of a plan makes one measure of another.
  double by_measure(ColumnGuess& guess, double score) const {
    const ColumnSample& from = source_.sample(guess.source);
    const ColumnSample& to = target_.sample(guess.target);
    if (guess.by_values || !guess.conversion.what.empty()) return score;
    if (holds_text(from, source_.column(guess.source)) ||
        holds_text(to, target_.column(guess.target))) {
      return score;
    }
    const std::string measure = measure_of_one(from.words, to.words);
    if (measure.empty()) return score;
    guess.reasons.push_back("but only one of them says `" + measure + "`");
    return std::min(score, just_told);
  }

  static bool holds_text(const ColumnSample& sample, const ColumnSchema& column) {
    return (sample.seen == Kind::null ? column.holds : sample.seen) == Kind::text;
  }

  // The parent that a column refers to, "" when it refers to none.
  static std::string parent_of(const TableSchema& schema, const std::string& column) {
    for (const ForeignKey& key : schema.foreign_keys) {
      if (std::ranges::count(key.columns, column) > 0) return key.parent;
    }
    return "";
  }

  // The one part of a key of several columns that has another name on each side.
  bool is_left_of_both_keys(const ColumnGuess& guess) const {
    const std::vector<std::string>& from = source_.schema.key;
    const std::vector<std::string>& to = target_.schema.key;
    const std::string& left = source_.column(guess.source).name;
    const std::string& right = target_.column(guess.target).name;
    if (from.size() < 2 || from.size() != to.size()) return false;
    const auto is_same_name = [](const std::string& a, const std::string& b) {
      return ascii_iequals(a, b);
    };
    std::vector<std::string> other_parts;
    for (const std::string& part : from) {
      const bool is_there =
          std::ranges::any_of(to, [&](const std::string& one) { return is_same_name(part, one); });
      if (!is_there) other_parts.push_back(part);
    }
    const bool has_right = std::ranges::count(to, right) > 0 &&
                           std::ranges::none_of(from, [&](const std::string& one) {
                             return is_same_name(one, right);
                           });
    return other_parts == std::vector<std::string>{left} && has_right;
  }

  double by_structure(ColumnGuess& guess, double score) const {
    const bool source_key = is_only_key(source_.schema, guess.source);
    const bool target_key = is_only_key(target_.schema, guess.target);
    if (is_left_of_both_keys(guess)) {
      guess.reasons.push_back("both are what is left of the key");
      return score + (1 - score) * (guess.conversion.fits > 0.98 ? 0.68 : 0.4);
    }
    if (source_key && target_key) {
      guess.reasons.push_back("both are the key");
      score += (1 - score) * (guess.conversion.fits > 0.98 ? 0.68 : 0.4);
    } else if (source_key != target_key) {
      score *= 0.95;
    }
    const std::string left = parent_of(source_.schema, source_.column(guess.source).name);
    const std::string right = parent_of(target_.schema, target_.column(guess.target).name);
    if (left.empty() || right.empty()) return score;
    switch (parents_(left, right)) {
      case Parents::same:
        guess.reasons.push_back("both refer to the same table");
        return score + (1 - score) * (is_only_reference(left, right) ? 0.68 : 0.4);
      case Parents::different:
        return score * 0.6;
      case Parents::unknown:
        break;
    }
    return score;
  }

  bool is_only_reference(const std::string& left, const std::string& right) const {
    return std::ranges::count(source_.schema.foreign_keys, left, &ForeignKey::parent) == 1 &&
           std::ranges::count(target_.schema.foreign_keys, right, &ForeignKey::parent) == 1;
  }

  // Best first; what is left of a source or target column afterwards may be a rival.
  void assign() {
    std::map<int, int> target_of;
    std::map<int, int> source_of;
    std::vector<const ColumnGuess*> chosen;
    for (const ColumnGuess& guess : all_) {
      if (guess.score < taken_from) break;
      if (target_of.contains(guess.source) || source_of.contains(guess.target)) continue;
      target_of[guess.source] = guess.target;
      source_of[guess.target] = guess.source;
      chosen.push_back(&guess);
    }
    const auto has_rival = [&](const ColumnGuess& guess) {
      return std::ranges::any_of(all_, [&](const ColumnGuess& other) {
        const bool same_source = other.source == guess.source && other.target != guess.target;
        const bool same_target = other.target == guess.target && other.source != guess.source;
        const bool free = (same_source && !source_of.contains(other.target)) ||
                          (same_target && !target_of.contains(other.source));
        return free && other.score > guess.score - too_close;
      });
    };
    double sum = 0;
    std::set<int> sources;
    std::set<int> targets;
    for (const ColumnGuess* guess : chosen) {
      if (guess->surety == Surety::guess && has_rival(*guess)) continue;
      // Whatever is meant, it is not this.
      const Conversion& how = guess->conversion;
      const bool fits_nowhere =
          how.tried > 0 && how.refused == how.tried &&
          !ascii_iequals(source_.column(guess->source).name, target_.column(guess->target).name);
      if (guess->surety == Surety::guess && fits_nowhere) continue;
      sum += guess->score;
      out_.by_values = out_.by_values || guess->by_values;
      sources.insert(guess->source);
      targets.insert(guess->target);
      out_.taken.push_back(*guess);
    }
    for (const ColumnGuess& guess : all_) {
      if (sources.contains(guess.source) || targets.contains(guess.target)) continue;
      out_.doubts.push_back(guess);
      out_.doubts.back().surety = Surety::doubt;
    }
    if (values_meet_ && rows_.count() >= 20 && !rows_.are_real()) {
      out_.keys_given_anew = rows_.count();
    }
    std::ranges::sort(out_.taken, {}, &ColumnGuess::target);
    const auto most = std::max(source_.columns.size(), target_.columns.size());
    out_.likeness = most == 0 ? 0 : sum / static_cast<double>(most);
  }

  const TableSample& source_;
  const TableSample& target_;
  const Catalog& taker_;
  const CompareParents& parents_;
  SameRows rows_;
  bool values_meet_ = false;  // in some pair of columns
  std::vector<ColumnGuess> all_;
  ColumnGuesses out_;
};

}  // namespace

ColumnGuesses match_columns(const TableSample& source, const TableSample& target,
                            const Catalog& taker, const CompareParents& parents) {
  return Matcher(source, target, taker, parents).match();
}

}  // namespace whimbrel
