#include "cutover/env_text.h"

#include <algorithm>

namespace whimbrel {

namespace {

constexpr auto nowhere = std::string_view::npos;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

// Characters that no reader takes for anything but themselves.
bool is_plain(std::string_view value) {
  return std::ranges::all_of(value, [](char c) {
    return is_name_character(c) || std::string_view("/:@%+,=").find(c) != nowhere;
  });
}

bool is_escaped(char c) { return c == '\\' || c == '"' || c == '$' || c == '`'; }

std::string spelled(std::string_view value, char quote) {
  if (quote == '\0' && is_plain(value)) return std::string(value);
  const bool has_single = value.find('\'') != nowhere;
  const bool needs_escapes = std::ranges::any_of(value, is_escaped);
  // Between single quotes everything is itself.
  if (!has_single && (quote != '"' || needs_escapes)) return "'" + std::string(value) + "'";
  std::string out = "\"";
  for (const char c : value) {
    if (is_escaped(c)) out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string read(std::string_view raw, char quote) {
  if (quote != '"') return std::string(raw);
  std::string out;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '\\' && i + 1 < raw.size() && is_escaped(raw[i + 1])) ++i;
    out += raw[i];
  }
  return out;
}

std::size_t closing_quote(std::string_view text, std::size_t open) {
  for (std::size_t i = open + 1; i < text.size(); ++i) {
    if (text[open] == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == text[open]) {
      return i;
    }
  }
  return nowhere;
}

std::size_t line_end(std::string_view text, std::size_t from) {
  return std::min(text.find('\n', from), text.size());
}

}  // namespace

// The first entry of a text that is not empty.
EnvText::Entry EnvText::parse(std::string_view text) {
  std::size_t end = line_end(text, 0);
  Entry entry;
  std::size_t at = 0;
  const auto skip_blanks = [&] {
    while (at < end && is_blank(text[at])) ++at;
  };
  skip_blanks();
  if (text.substr(at, 6) == "export" && at + 6 < end && is_blank(text[at + 6])) {
    at += 6;
    skip_blanks();
  }
  const std::size_t name = at;
  while (at < end && is_name_character(text[at])) ++at;
  const std::string_view found = text.substr(name, at - name);
  skip_blanks();
  if (found.empty() || at >= end || text[at] != '=') {
    entry.text = text.substr(0, end);
    return entry;
  }
  entry.name = found;
  const std::size_t value = ++at;
  skip_blanks();
  const bool is_quoted = at < end && (text[at] == '"' || text[at] == '\'');
  const std::size_t close = is_quoted ? closing_quote(text, at) : nowhere;
  if (close != nowhere) {
    entry.quote = text[at];
    entry.begin = at + 1;
    entry.length = close - at - 1;
    end = line_end(text, close);
  } else {
    // A comment begins at a # after a blank.
    std::size_t until = at;
    while (until < end && !(text[until] == '#' && is_blank(text[until - 1]))) ++until;
    while (until > at && (is_blank(text[until - 1]) || text[until - 1] == '\r')) --until;
    entry.begin = until > at ? at : value;
    entry.length = until - at;
  }
  entry.text = text.substr(0, end);
  return entry;
}

EnvText::EnvText(std::string_view text) {
  ends_with_newline_ = text.empty() || text.ends_with('\n');
  has_returns_ = text.find("\r\n") != nowhere;
  while (!text.empty()) {
    entries_.push_back(parse(text));
    text.remove_prefix(std::min(entries_.back().text.size() + 1, text.size()));
  }
}

std::string EnvText::text() const {
  std::string out;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    out += entries_[i].text;
    if (i + 1 < entries_.size() || ends_with_newline_) out += '\n';
  }
  return out;
}

std::optional<std::string> EnvText::value(std::string_view name) const {
  std::optional<std::string> last;
  for (const Entry& entry : entries_) {
    if (entry.name != name || name.empty()) continue;
    last = read(std::string_view(entry.text).substr(entry.begin, entry.length), entry.quote);
  }
  return last;
}

bool EnvText::is(std::string_view name, std::string_view value) const {
  return this->value(name).has_value() && std::ranges::all_of(entries_, [&](const Entry& entry) {
           return entry.name != name ||
                  read(std::string_view(entry.text).substr(entry.begin, entry.length),
                       entry.quote) == value;
         });
}

void EnvText::set(const std::string& name, const std::string& value) {
  bool is_there = false;
  for (Entry& entry : entries_) {
    if (entry.name != name) continue;
    is_there = true;
    const std::size_t quotes = entry.quote == '\0' ? 0 : 1;
    std::string changed = entry.text;
    changed.replace(entry.begin - quotes, entry.length + 2 * quotes, spelled(value, entry.quote));
    entry = parse(changed);
  }
  if (is_there) return;
  const bool returns = has_returns_ && ends_with_newline_;
  if (has_returns_ && !ends_with_newline_ && !entries_.empty()) entries_.back().text += '\r';
  entries_.push_back(parse(name + "=" + spelled(value, '\0') + (returns ? "\r" : "")));
}

void EnvText::unset(std::string_view name) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.name == name; });
}

std::vector<EnvText::Line> EnvText::lines_of(std::span<const std::string> names) const {
  std::vector<Line> lines;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (std::ranges::count(names, entries_[i].name) > 0) lines.push_back({i, entries_[i].text});
  }
  return lines;
}

void EnvText::put_back(std::span<const std::string> names, std::span<const Line> lines) {
  const bool ended_with_return = !entries_.empty() && entries_.back().text.ends_with('\r');
  for (const std::string& name : names) unset(name);
  for (const Line& line : lines) {  // in the order of the file
    if (line.text.empty()) continue;
    const std::size_t at = std::min(line.at, entries_.size());
    entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(at), parse(line.text));
  }
  // A line that came behind an unfinished one has finished it.
  const bool is_unfinished = !ends_with_newline_ && has_returns_ && !ended_with_return;
  if (is_unfinished && !entries_.empty() && entries_.back().text.ends_with('\r')) {
    entries_.back().text.pop_back();
  }
}

}  // namespace whimbrel
