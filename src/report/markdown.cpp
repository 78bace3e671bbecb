#include "report/markdown.h"

#include <algorithm>

namespace whimbrel {

namespace {

// Line ends would end a paragraph or a row of a table, other control characters would be lost.
std::string on_one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  return out;
}

std::size_t longest_run(std::string_view text, char of) {
  std::size_t longest = 0;
  std::size_t run = 0;
  for (const char c : text) {
    run = c == of ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

}  // namespace

// Between single backticks no other character means anything; a bar would still end a cell.
std::string markdown_text(std::string_view text) {
  constexpr std::string_view special = "\\*_<>[]|#&";
  const std::string line = on_one_line(text);
  const bool paired = std::ranges::count(line, '`') % 2 == 0;
  std::string out;
  bool code = false;
  for (const char c : line) {
    if (c == '`' && paired) code = !code;
    if (c == '`' && !paired) out += '\\';
    if (c == '|' || (!code && special.find(c) != std::string_view::npos)) out += '\\';
    out += c;
  }
  return out;
}

void Markdown::begin_block() {
  if (!out_.empty()) out_ += '\n';
  in_list_ = false;
}

void Markdown::heading(int level, std::string_view text) {
  begin_block();
  out_ += std::string(static_cast<std::size_t>(level), '#') + " " + markdown_text(text) + "\n";
}

void Markdown::paragraph(std::string_view text) {
  begin_block();
  out_ += markdown_text(text) + "\n";
}

void Markdown::item(std::string_view name, std::string_view text) {
  if (!in_list_) begin_block();
  in_list_ = true;
  out_ += "- ";
  if (!name.empty()) out_ += "**" + markdown_text(name) + ":** ";
  out_ += markdown_text(text) + "\n";
}

void Markdown::command(const std::vector<std::string>& lines) {
  begin_block();
  std::size_t longest = 2;
  for (const std::string& line : lines) longest = std::max(longest, longest_run(line, '`'));
  const std::string fence(longest + 1, '`');
  out_ += fence + "\n";
  for (const std::string& line : lines) out_ += on_one_line(line) + "\n";
  out_ += fence + "\n";
}

void Markdown::table(const std::vector<std::string>& head,
                     const std::vector<std::vector<std::string>>& rows) {
  begin_block();
  const auto row = [&](const std::vector<std::string>& cells) {
    out_ += "|";
    for (const std::string& cell : cells) out_ += " " + markdown_text(cell) + " |";
    out_ += "\n";
  };
  row(head);
  out_ += "|";
  for (std::size_t i = 0; i < head.size(); ++i) out_ += "---|";
  out_ += "\n";
  for (const auto& cells : rows) row(cells);
}

}  // namespace whimbrel
