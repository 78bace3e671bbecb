#include "discover/plan_text.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "base/text.h"
#include "plan/print.h"

namespace whimbrel {

namespace {

constexpr std::size_t line_max = 98;

bool is_plain(const std::string& name) {
  static constexpr std::array<std::string_view, 14> words = {
      "null", "true", "false", "yes", "no",       "on", "off",
      "y",    "n",    "inf",   "nan", "infinity", "~",  ""};
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const std::string lower = ascii_lower(name);
  return std::ranges::count(words, lower) == 0 && is_letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

std::optional<std::string> key_text(const std::string& name) {
  return is_plain(name) ? std::optional(name) : yaml_text(name);
}

std::optional<std::string> scalar_text(const std::string& name, bool& uses_dollar) {
  if (is_plain(name)) return name;
  std::string said;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool would_be_filled_in = name.compare(i, 2, "${") == 0;
    said += would_be_filled_in ? std::string("${") + dollar_variable + "}" : name.substr(i, 1);
    uses_dollar = uses_dollar || would_be_filled_in;
  }
  return yaml_text(said);
}

std::optional<std::string> address_text(const std::string& alias, const std::string& table,
                                        bool& uses_dollar) {
  if (is_plain(table)) return alias + "/" + table;
  // Quotes around the whole name are taken away when it is read, those of its parts are not.
  const bool in_quotes = without_quotes(table) != table;
  return scalar_text(alias + "/" + (in_quotes ? '"' + table + '"' : table), uses_dollar);
}

std::optional<std::string> mapping_text(const Expr& expr) {
  const auto* column = std::get_if<ColumnRef>(&expr.node);
  return column != nullptr && is_plain(column->column) ? std::optional(column->column)
                                                       : print_value(expr);
}

std::string comment(std::string_view indent, const std::string& text, std::string_view mark) {
  std::string out;
  std::string line;
  std::istringstream words(text);
  const auto put = [&] {
    if (!line.empty()) out += std::string(indent) + std::string(mark) + line + "\n";
    line.clear();
  };
  for (std::string word; words >> word;) {
    if (indent.size() + mark.size() + line.size() + 1 + word.size() > line_max) put();
    line += " " + word;
  }
  put();
  return out;
}

std::string marked(std::string_view indent, std::string_view mark, const std::string& text) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    out += std::string(indent) + std::string(mark);
    out += line.empty() ? "" : " " + line;
    out += "\n";
  }
  return out;
}

std::optional<std::string> on_one_line(const std::string& text) {
  const bool fits = is_utf8(text) && std::ranges::none_of(text, [](char c) {
                      const auto byte = static_cast<unsigned char>(c);
                      return byte < 0x20 || byte == 0x7f;
                    });
  return fits ? std::optional(text) : std::nullopt;
}

}  // namespace whimbrel
