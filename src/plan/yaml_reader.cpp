#include "plan/yaml_reader.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>
#include <sstream>

#include "base/text.h"

namespace whimbrel {

namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::optional<std::int64_t> to_whole(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> to_real(const std::string& text) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Only where a document begins is of interest.
class DocumentStart final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { at = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  YAML::Mark at;
};

// Null when there is none. YAML::LoadAll finds documents without end where a `,` stands alone.
YAML::Mark second_document(const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  DocumentStart start;
  const bool two = parser.HandleNextDocument(start) && parser.HandleNextDocument(start);
  return two ? start.at : YAML::Mark::null_mark();
}

// An alias may name what is around it, or the same thing many times over.
bool is_finite(const YAML::Node& node, int depth, int& nodes_left) {
  if (depth > 100 || --nodes_left < 0) return false;
  for (const auto& entry : node) {
    const bool finite = node.IsMap() ? is_finite(entry.first, depth + 1, nodes_left) &&
                                           is_finite(entry.second, depth + 1, nodes_left)
                                     : is_finite(entry, depth + 1, nodes_left);
    if (!finite) return false;
  }
  return true;
}

struct Misread {
  Place at;
  std::string what;
  std::string hint;
};

bool begins_a_value(const std::string& line, std::size_t at) {
  return at == 0 || std::string_view(" \t:[{,").find(line[at - 1]) != std::string_view::npos;
}

// Where a `"` begins in this line that does not end in it.
std::optional<std::size_t> open_quote(const std::string& line) {
  std::optional<std::size_t> open;
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (line[at] == '\\' && open) {
      ++at;
    } else if (line[at] == '"' && (open || begins_a_value(line, at))) {
      open = open ? std::nullopt : std::optional(at);
    } else if (line[at] == '#' && !open && begins_a_value(line, at)) {
      break;
    }
  }
  return open;
}

// The parser stops where it can make no sense of the text any more; the mistake is often before.
Misread mistake_in(const std::string& text, const YAML::Exception& failure) {
  Misread mistake{{std::max(1, failure.mark.line + 1), std::max(1, failure.mark.column + 1), 1},
                  failure.msg,
                  "check the indentation and the quotes at this place"};
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  const auto line_of_it = static_cast<std::size_t>(mistake.at.line) - 1;
  if (failure.msg.find("anchor is not defined") != std::string::npos && line_of_it < lines.size()) {
    const std::string rest =
        lines[line_of_it].substr(static_cast<std::size_t>(mistake.at.column) - 1);
    const std::string name = rest.substr(0, rest.find_first_of(" ,]}\t\r")).substr(1);
    mistake.at.length = static_cast<int>(name.size()) + 1;
    mistake.what = "nothing has the anchor `&" + printable(name) + "`";
    mistake.hint = "put `&" + printable(name) + "` before the value that is meant, further up";
    return mistake;
  }
  for (std::size_t i = 0; i < lines.size() && i <= line_of_it; ++i) {
    if (const auto at = open_quote(lines[i])) {
      return {{static_cast<int>(i) + 1, static_cast<int>(*at) + 1, 1}, "a `\"` is not closed", ""};
    }
  }
  if (failure.msg.find("illegal map value") != std::string::npos) {
    for (std::size_t i = std::min(line_of_it, lines.size()); i > 0; --i) {
      const std::string& line = lines[i - 1];
      const std::size_t at = line.find_first_not_of(" \t");
      if (at == std::string::npos || line[at] == '#') continue;
      if (line[at] == '-' || line.find(':') != std::string::npos) break;
      return {{static_cast<int>(i), static_cast<int>(at) + 1, 1},
              "a key without its `:`",
              "write KEY: VALUE, with a space after the colon"};
    }
  }
  if (failure.msg.find("end of map") != std::string::npos ||
      failure.msg.find("flow") != std::string::npos) {
    mistake.hint = "a `{` or `[` is not closed, or a `,` is missing";
  }
  return mistake;
}

}  // namespace

YAML::Node YamlReader::load(const std::string& text) {
  try {
    YAML::Node node = YAML::Load(text);
    if (!node.IsMap()) {
      diagnostics_.add({1, 1, 1}, "a plan is a YAML map", "begin with `whimbrel: 1`");
      return YAML::Node(YAML::NodeType::Undefined);
    }
    if (const YAML::Mark second = second_document(text); !second.is_null()) {
      diagnostics_.add({second.line + 1, second.column + 1, 1},
                       "a second document begins here, and a plan is one",
                       "take the line with `---` away, or write it into a file of its own");
      return YAML::Node(YAML::NodeType::Undefined);
    }
    if (int nodes_left = 100'000; !is_finite(node, 0, nodes_left)) {
      diagnostics_.add({1, 1, 1}, "the plan is too large or nested too deeply",
                       "an alias (`*name`) may name what is around it");
      return YAML::Node(YAML::NodeType::Undefined);
    }
    return node;
  } catch (const YAML::Exception& failure) {
    const Misread mistake = mistake_in(text, failure);
    diagnostics_.add(mistake.at, "this is no YAML: " + mistake.what, mistake.hint);
    return YAML::Node(YAML::NodeType::Undefined);
  }
}

Place YamlReader::place(const YAML::Node& node) {
  const YAML::Mark mark = node.Mark();
  if (mark.is_null()) return {};
  const int length =
      node.IsScalar() ? static_cast<int>(node.Scalar().size()) + (is_quoted(node) ? 2 : 0) : 1;
  return {mark.line + 1, mark.column + 1, std::max(1, length)};
}

YAML::Node YamlReader::child(const YAML::Node& map, const std::string& key) {
  if (map.IsDefined() && map.IsMap()) {
    for (const auto& entry : map) {
      if (entry.first.IsScalar() && entry.first.Scalar() == key) return entry.second;
    }
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

bool YamlReader::check_keys(const YAML::Node& map, const std::string& what,
                            const std::vector<std::string>& known,
                            const std::vector<std::string>& later, const std::string& like) {
  if (!map.IsMap()) {
    const std::string hint = known.empty() ? "" : "its keys: " + join(known, ", ");
    diagnostics_.add(place(map), fmt::format("{} must be a map", what), like.empty() ? hint : like);
    return false;
  }
  std::set<std::string> seen;
  for (const auto& entry : map) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const Place at = place(entry.first);
    if (!seen.insert(key).second) {
      diagnostics_.add(at, fmt::format("`{}` is said twice in {}", key, what), "keep one of them");
    }
    if (known.empty() || std::ranges::count(known, key) > 0) continue;
    if (std::ranges::count(later, key) > 0) {
      diagnostics_.not_yet(at, key);
      continue;
    }
    std::vector<std::string> all = known;
    all.insert(all.end(), later.begin(), later.end());
    const std::string near = did_you_mean(key, all);
    diagnostics_.add(at, fmt::format("{} has no key `{}`", what, printable(key)),
                     near.empty() ? "its keys: " + join(known, ", ") : near);
  }
  return true;
}

// Variables that hold what nobody else may read are called so everywhere.
static bool sounds_secret(const std::string& name) {
  const std::string upper = ascii_upper(name);
  return std::ranges::any_of(
      std::array{"SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "API_KEY",
                 "APIKEY", "ACCESS_KEY", "PRIVATE_KEY"},
      [&](const char* word) { return upper.find(word) != std::string::npos; });
}

std::optional<std::string> YamlReader::variable(const std::string& name) const {
  if (const auto it = variables_.find(name); it != variables_.end()) return it->second;
  const char* found = std::getenv(name.c_str());  // NOLINT: read before any thread starts
  if (found != nullptr && environment_first_.contains(name)) return found;
  if (const auto preset = defaults_.find(name); preset != defaults_.end()) return preset->second;
  return found == nullptr ? std::nullopt : std::optional<std::string>(found);
}

std::string YamlReader::fill_in(const std::string& raw, Place at) {
  std::string out;
  std::size_t i = 0;
  while (i < raw.size()) {
    if (raw.compare(i, 2, "${") != 0) {
      out += raw[i++];
      continue;
    }
    const std::size_t end = raw.find('}', i);
    const std::string name = end == std::string::npos ? "" : raw.substr(i + 2, end - i - 2);
    const Place here{at.line, at.column + static_cast<int>(i), static_cast<int>(name.size()) + 3};
    if (end == std::string::npos) {
      const Place rest{here.line, here.column, static_cast<int>(raw.size() - i)};
      diagnostics_.add(rest, "a variable is written ${NAME}, and this one has no `}`");
      return out;
    }
    if (name.empty() || !std::ranges::all_of(name, is_name_character)) {
      diagnostics_.add(here, "a variable is written ${NAME}");
      return out;
    }
    i = end + 1;
    const std::size_t begin = out.size();
    if (const std::optional<std::string> value = variable(name)) {
      out += *value;
    } else if (!told_unset_.contains(name)) {
      diagnostics_.add(
          here, fmt::format("the variable {} is not set", name),
          fmt::format("say `--var {0}=…`, or set {0} in the environment, or give it a default "
                      "under `vars:`",
                      name));
    }
    if (sounds_secret(name) && out.size() > begin) secrets_.insert(out.substr(begin));
  }
  return out;
}

std::string YamlReader::text(const YAML::Node& node) {
  if (!node.IsScalar()) {
    diagnostics_.add(place(node), "a text is wanted here");
    return "";
  }
  Place at = place(node);
  if (is_quoted(node)) ++at.column;  // the text begins behind the quote
  return fill_in(node.Scalar(), at);
}

std::optional<std::string> YamlReader::text_at(const YAML::Node& map, const std::string& key) {
  const YAML::Node node = child(map, key);
  if (!node.IsDefined()) return std::nullopt;
  return text(node);
}

std::optional<bool> YamlReader::flag_at(const YAML::Node& map, const std::string& key) {
  const YAML::Node node = child(map, key);
  if (!node.IsDefined()) return std::nullopt;
  const std::string word = text(node);
  if (word == "true" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "no" || word == "off" || word.empty()) return false;
  diagnostics_.add(place(node), fmt::format("`{}` must be true or false", key));
  return std::nullopt;
}

namespace {

std::string not_what_is_there(const YAML::Node& node) {
  return node.IsScalar() ? fmt::format(", not `{}`", printable(node.Scalar(), 40)) : "";
}

}  // namespace

std::optional<std::int64_t> YamlReader::whole_at(const YAML::Node& map, const std::string& key,
                                                 std::int64_t least) {
  const YAML::Node node = child(map, key);
  if (!node.IsDefined()) return std::nullopt;
  const std::optional<std::int64_t> number = to_whole(text(node));
  if (number && *number >= least) return number;
  diagnostics_.add(place(node), fmt::format("`{}` must be a whole number from {} on{}", key, least,
                                            not_what_is_there(node)));
  return std::nullopt;
}

std::optional<double> YamlReader::amount_at(const YAML::Node& map, const std::string& key) {
  const YAML::Node node = child(map, key);
  if (!node.IsDefined()) return std::nullopt;
  const std::optional<double> number = to_real(text(node));
  if (number && std::isfinite(*number) && *number > 0) return number;
  diagnostics_.add(place(node), fmt::format("`{}` must be a number greater than 0", key));
  return std::nullopt;
}

std::optional<std::int64_t> YamlReader::bytes_at(const YAML::Node& map, const std::string& key) {
  const YAML::Node node = child(map, key);
  if (!node.IsDefined()) return std::nullopt;
  const std::string written = text(node);
  std::size_t digits = 0;
  while (digits < written.size() && written[digits] >= '0' && written[digits] <= '9') ++digits;
  const std::string unit = ascii_lower(written.substr(digits));
  const std::vector<std::string> units = {"", "kb", "mb", "gb", "tb"};
  const auto known = std::ranges::find(units, unit == "b" ? std::string() : unit);
  constexpr std::size_t digits_max = 9;
  if (digits == 0 || digits > digits_max || known == units.end()) {
    diagnostics_.add(place(node), fmt::format("`{}` must be a number of bytes", key),
                     "like 500MB or 10GB");
    return std::nullopt;
  }
  const auto shift = 10 * (known - units.begin());
  return std::int64_t{std::stoll(written.substr(0, digits))} << shift;
}

std::optional<Milliseconds> YamlReader::duration_at(const YAML::Node& map, const std::string& key) {
  const YAML::Node node = child(map, key);
  if (!node.IsDefined()) return std::nullopt;
  const std::optional<Milliseconds> duration = parse_duration(text(node));
  if (!duration) {
    diagnostics_.add(place(node), fmt::format("`{}` must be a duration", key),
                     "like 250ms, 1s, 5m, 2h, 7d");
  }
  return duration;
}

std::optional<std::string> YamlReader::word_at(const YAML::Node& map, const std::string& key,
                                               const std::vector<std::string>& words,
                                               const std::vector<std::string>& later) {
  const YAML::Node node = child(map, key);
  if (!node.IsDefined()) return std::nullopt;
  const std::string word = text(node);
  if (std::ranges::count(words, word) > 0) return word;
  if (std::ranges::count(later, word) > 0) {
    diagnostics_.not_yet(place(node), key + ": " + word);
  } else {
    const std::string near = did_you_mean(word, words);
    diagnostics_.add(place(node), fmt::format("`{}` cannot be `{}`", key, printable(word)),
                     near.empty() ? "one of " + join(words, ", ") : near);
  }
  return std::nullopt;
}

std::vector<std::string> YamlReader::texts_at(const YAML::Node& map, const std::string& key) {
  std::vector<std::string> all;
  const YAML::Node node = child(map, key);
  if (!node.IsDefined()) return all;
  if (!node.IsSequence()) {
    diagnostics_.add(place(node), fmt::format("`{}` must be a list", key), "like [first, second]");
    return all;
  }
  for (const YAML::Node& item : node) all.push_back(text(item));
  return all;
}

Value YamlReader::value(const YAML::Node& node) {
  if (node.IsNull()) return {};
  const std::string word = text(node);
  if (is_quoted(node)) return Value::text(word);
  if (word == "null" || word == "~") return {};
  if (word == "true") return Value(Value::Storage(true));
  if (word == "false") return Value(Value::Storage(false));
  if (const std::optional<std::int64_t> whole = to_whole(word)) return Value::integer(*whole);
  if (const std::optional<double> real = to_real(word)) {
    if (word.find_first_of("0123456789") != std::string::npos) return Value::real(*real);
  }
  return Value::text(word);
}

}  // namespace whimbrel
