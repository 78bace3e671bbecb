#include "discover/names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/text.h"

namespace whimbrel {

namespace {

bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || (c & 0x80) != 0;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

std::string singular(std::string word) {
  if (word == "ids") return "id";
  if (word == "people") return "person";
  if (word == "children") return "child";
  const auto ends = [&](std::string_view with) { return word.ends_with(with); };
  if (word.size() < 4 || !ends("s") || ends("ss") || ends("us") || ends("is")) return word;
  if (ends("ies")) return word.substr(0, word.size() - 3) + "y";
  const bool hissing = ends("sses") || ends("xes") || ends("ches") || ends("shes") || ends("zes");
  return word.substr(0, word.size() - (hissing ? 2 : 1));
}

// Words that are written for each other in names of columns. The number says how surely.
struct Group {
  double likeness;
  std::vector<std::string_view> words;
};
const std::vector<Group>& groups() {
  static const std::vector<Group> all = {
      {0.95, {"id", "identifier", "key", "pk", "ref"}},
      {0.95, {"no", "nr", "num", "number"}},
      {0.9, {"at", "on", "date", "time", "ts", "timestamp", "datetime", "day", "dt"}},
      {0.95, {"qty", "quantity"}},
      {0.95, {"nm", "name"}},
      {0.95, {"cd", "code"}},
      {0.95, {"flg", "flag", "is"}},
      {0.95, {"prc", "price"}},
      {0.95, {"tot", "total"}},
      {0.95, {"pct", "percent"}},
      {0.95, {"wgt", "weight"}},
      {0.95, {"stat", "status"}},
      {0.9, {"line", "item", "detail", "dtl"}},
      {0.95, {"amt", "amount"}},
      {0.95, {"desc", "descr", "description"}},
      {0.95, {"addr", "address"}},
      {0.95, {"tel", "phone", "telephone"}},
      {0.95, {"mail", "email"}},
      {0.95, {"zip", "postal", "postcode", "zipcode"}},
      {0.9, {"img", "image", "picture", "photo"}},
      {0.95, {"pwd", "password", "passwd"}},
      {0.95, {"msg", "message"}},
      {0.95, {"lang", "language"}},
      {0.95, {"cat", "category"}},
      {0.95, {"dept", "department"}},
      {0.95, {"emp", "employee"}},
      {0.95, {"cust", "customer"}},
      {0.95, {"prod", "product"}},
      {0.95, {"org", "organisation", "organization"}},
      {0.9, {"created", "create", "inserted", "added", "crt"}},
      {0.9, {"updated", "update", "modified", "changed", "edited", "upd"}},
      {0.9, {"url", "uri", "link", "website"}},
      {0.85, {"length", "len", "duration"}},
      {0.85, {"body", "content", "text"}},
      {0.85, {"comment", "note", "remark"}},
      {0.9, {"first", "given"}},
      {0.9, {"last", "family"}},
      {0.9, {"start", "begin"}},
      {0.95, {"sex", "gender"}},
      {0.8, {"birth", "birthday", "dob", "born"}},
      {0.7, {"title", "name", "label"}},
      {0.7, {"price", "cost", "amount"}},
      {0.7, {"status", "state"}},
      {0.7, {"active", "enabled"}},
  };
  return all;
}

// Said of so many columns that they tell little.
bool is_common(const std::string& word) {
  static constexpr std::array<std::string_view, 29> common = {
      "id", "key", "no", "nr",        "num",  "number", "name",   "date",  "time",  "at",
      "on", "is",  "of", "the",       "code", "type",   "flag",   "value", "ref",   "last",
      "nm", "dt",  "cd", "timestamp", "flg",  "mst",    "master", "hdr",   "header"};
  return std::ranges::count(common, word) > 0;
}

bool is_subsequence(const std::string& part, const std::string& of) {
  std::size_t at = 0;
  for (const char c : of) {
    if (at < part.size() && part[at] == c) ++at;
  }
  return at == part.size();
}

double word_likeness(const std::string& a, const std::string& b) {
  if (a == b) return 1;
  for (const Group& group : groups()) {
    const bool both =
        std::ranges::count(group.words, a) > 0 && std::ranges::count(group.words, b) > 0;
    if (both) return group.likeness;
  }
  const std::string& shorter = a.size() < b.size() ? a : b;
  const std::string& longer = a.size() < b.size() ? b : a;
  if (shorter.size() >= 3 && longer.starts_with(shorter)) return 0.85;
  if (shorter.size() >= 5 && edit_distance(a, b) <= 1) return 0.8;
  // One stem with two endings.
  const auto stem = std::ranges::mismatch(shorter, longer).in1 - shorter.begin();
  if (stem >= 4 && std::ssize(longer) - stem <= 3) return 0.7;
  const bool abbreviates = shorter.size() >= 3 && longer.size() >= shorter.size() + 2 &&
                           shorter.front() == longer.front() && shorter.back() == longer.back();
  return abbreviates && is_subsequence(shorter, longer) ? 0.7 : 0;
}

std::string joined(const Words& words) { return join(words, ""); }

// A word that stands for two.
Words expanded(const Words& words) {
  Words out;
  for (const std::string& word : words) {
    if (word == "fname" || word == "forename" || word == "firstname") {
      out.insert(out.end(), {"first", "name"});
    } else if (word == "lname" || word == "surname" || word == "lastname") {
      out.insert(out.end(), {"last", "name"});
    } else {
      out.push_back(word);
    }
  }
  return out;
}

double weight(const std::string& word) { return is_common(word) ? 0.5 : 1; }

// Each word of `a` finds its like in `b`, at most once.
double shared(const Words& a, const Words& b) {
  std::vector<bool> taken(b.size());
  double sum = 0;
  double all = 0;
  for (const std::string& word : b) all += weight(word);
  for (const std::string& word : a) {
    all += weight(word);
    double best = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
      const double like = taken[i] ? 0 : word_likeness(word, b[i]);
      if (like > best) {
        best = like;
        at = i;
      }
    }
    if (best == 0) continue;
    taken[at] = true;
    sum += best * (weight(word) + weight(b[at]));
  }
  return all == 0 ? 0 : sum / all;
}

// Every word of the shorter one is in the longer one, and they tell something.
bool contains(const Words& longer, const Words& shorter) {
  const bool tells = std::ranges::any_of(
      shorter, [](const std::string& word) { return word == "name" || !is_common(word); });
  return tells && longer.size() == shorter.size() + 1 &&
         std::ranges::all_of(shorter, [&](const std::string& word) {
           return std::ranges::count(longer, word) > 0;
         });
}

}  // namespace

Words words_of(std::string_view name) {
  Words words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(singular(ascii_lower(word)));
    word.clear();
  };
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!is_letter(c) && !is_digit(c)) {
      end_word();
      continue;
    }
    const char before = i == 0 ? ' ' : name[i - 1];
    const char after = i + 1 == name.size() ? ' ' : name[i + 1];
    const bool begins = (is_digit(c) != is_digit(before)) || (is_upper(c) && !is_upper(before)) ||
                        // The last capital of several begins the next word: `IDNumber`.
                        (is_upper(c) && is_upper(before) && after >= 'a' && after <= 'z' &&
                         // `IDs` is one word.
                         !(after == 's' && (i + 2 >= name.size() || !is_letter(name[i + 2]))));
    if (begins) end_word();
    word += c;
  }
  end_word();
  return words;
}

double likeness(const Words& a, const Words& b) {
  if (a.empty() || b.empty()) return 0;
  if (a == b || joined(a) == joined(b)) return 1;
  const Words long_a = expanded(a);
  const Words long_b = expanded(b);
  if (long_a == long_b) return 0.95;
  double like = shared(long_a, long_b);
  if (contains(long_a, long_b) || contains(long_b, long_a)) like = std::max(like, 0.7);
  return long_a.size() == long_b.size() ? like : like * 0.95;
}

Words without_prefix(const Words& words, const Words& prefix) {
  if (prefix.empty() || words.size() <= prefix.size()) return words;
  if (!std::equal(prefix.begin(), prefix.end(), words.begin())) return words;
  return {words.begin() + static_cast<std::ptrdiff_t>(prefix.size()), words.end()};
}

Words common_prefix(const std::vector<Words>& names) {
  for (const Words& first : names) {
    if (first.size() < 2) continue;
    const auto begin_so = std::ranges::count_if(
        names, [&](const Words& name) { return name.size() > 1 && name.front() == first.front(); });
    if (names.size() >= 4 && begin_so * 5 >= std::ssize(names) * 4) return {first.front()};
  }
  return {};
}

AgedName aged(std::string_view table) {
  static constexpr std::array<std::string_view, 4> old = {"old", "legacy", "previous", "former"};
  static constexpr std::array<std::string_view, 2> young = {"new", "next"};
  AgedName out{words_of(table)};
  Words& words = out.stem;
  const auto age_of = [&](const std::string& word) {
    return std::ranges::count(old, word) > 0 ? -1 : std::ranges::count(young, word) > 0 ? 1000 : 0;
  };
  if (words.size() < 2) return out;
  // A number at the end, with or without a `v` before it.
  int version = 0;
  const std::string& last = words.back();
  const auto [end, failure] = std::from_chars(last.data(), last.data() + last.size(), version);
  if (failure == std::errc() && end == last.data() + last.size() && version < 1000) {
    words.pop_back();
    out.bare_number = words.size() < 2 || (words.back() != "v" && words.back() != "version");
    if (!out.bare_number) words.pop_back();
    out.age = version;
    return out;
  }
  if (const int age = age_of(words.back()); age != 0) {
    words.pop_back();
    out.age = age;
  } else if (const int first = age_of(words.front()); first != 0) {
    words.erase(words.begin());
    out.age = first;
  }
  return out;
}

}  // namespace whimbrel
