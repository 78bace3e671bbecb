// Writes Markdown. As in html.h a value cannot become markup: texts are escaped, and a code's fence
// is longer than any in it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace whimbrel {

class Markdown {
 public:
  void heading(int level, std::string_view text);
  void paragraph(std::string_view text);
  // "- **name:** text"
  void item(std::string_view name, std::string_view text);
  void command(const std::vector<std::string>& lines);
  void table(const std::vector<std::string>& head,
             const std::vector<std::vector<std::string>>& rows);
  std::string end() && { return std::move(out_); }

 private:
  void begin_block();

  std::string out_;
  bool in_list_ = false;
};

// One line of text, in which `code` in backticks stays code.
std::string markdown_text(std::string_view text);

}  // namespace whimbrel
