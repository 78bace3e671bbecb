// The text of a KEY=VALUE file, as shells, systemd and the many readers of `.env` files take it.
//
// Only the values that are set change: order, comments, quotes and what is no assignment stay as
// they are. A name may stand there twice; readers take the last, so all of them change together.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace whimbrel {

class EnvText {
 public:
  explicit EnvText(std::string_view text);
  std::string text() const;

  // What readers find; unset where no line gives it a value.
  std::optional<std::string> value(std::string_view name) const;
  // Whether every line of this name, and at least one, gives it this value.
  bool is(std::string_view name, std::string_view value) const;
  // In the lines that are there, else in a new one at the end.
  void set(const std::string& name, const std::string& value);
  void unset(std::string_view name);

  struct Line {
    std::size_t at = 0;  // how many stand before it
    std::string text;
  };
  std::vector<Line> lines_of(std::span<const std::string> names) const;
  // These, and no others of those names; each where it stood, as far as there is such a place.
  void put_back(std::span<const std::string> names, std::span<const Line> lines);

 private:
  // Several lines of the file where quotes go on over their ends.
  struct Entry {
    std::string text;        // without the last newline
    std::string name;        // "" for a comment, or what is no assignment
    std::size_t begin = 0;   // of the value in the text, without its quotes
    std::size_t length = 0;  // of the value
    char quote = '\0';
  };
  static Entry parse(std::string_view text);

  std::vector<Entry> entries_;
  bool ends_with_newline_ = true;
  bool has_returns_ = false;  // lines end as on Windows
};

}  // namespace whimbrel
