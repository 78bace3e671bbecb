#include "plan/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace whimbrel {

namespace {

std::string line_of(const std::string& text, int line) {
  std::size_t begin = 0;
  for (int i = 1; i < line; ++i) {
    begin = text.find('\n', begin);
    if (begin == std::string::npos) return "";
    ++begin;
  }
  return text.substr(begin, std::min(text.find('\n', begin), text.size()) - begin);
}

}  // namespace

void Diagnostics::add(Place at, std::string message, std::string hint) {
  const bool known = std::ranges::any_of(mistakes_, [&](const Mistake& one) {
    return one.message == message && one.at.line == at.line && one.at.column == at.column;
  });
  if (!known) mistakes_.push_back({at, std::move(message), std::move(hint)});
}

void Diagnostics::not_yet(Place at, const std::string& what) {
  add(at, fmt::format("`{}` is part of the grammar, but not yet of this release", what),
      "leave it out, or wait for a release that carries it out");
}

void Diagnostics::no_column(Place at, const std::string& table, const std::string& column,
                            const std::vector<std::string>& columns) {
  const std::string near = did_you_mean(column, columns);
  add(at, fmt::format("{} has no column `{}`", table, printable(column)),
      near.empty() ? "its columns: " + join(columns, ", ") : near);
}

std::string Diagnostics::excerpt(Place at) const {
  if (at.line == 0) return "  in " + file_;
  const std::string written = line_of(text_, at.line);
  const std::string line = printable(without_passwords(written), 160);
  // A password that is left out moves what is behind it.
  const std::size_t begin =
      std::min(static_cast<std::size_t>(std::max(0, at.column - 1)), written.size());
  const std::size_t end = begin + static_cast<std::size_t>(std::max(0, at.length));
  const auto shown = [&](std::size_t of) {
    return static_cast<int>(without_passwords(written.substr(0, of)).size());
  };
  const int column = at.column - static_cast<int>(begin) + shown(begin);
  const int length = end > written.size() ? at.length : shown(end) - shown(begin);
  std::string under(static_cast<std::size_t>(std::max(0, column - 1)), ' ');
  under += '^';
  const int room = static_cast<int>(line.size()) - column;
  under += std::string(static_cast<std::size_t>(std::clamp(length - 1, 0, std::max(0, room))), '~');
  return fmt::format("  at {}:{}:{}\n  {:>5} |{}{}\n        | {}", file_, at.line, at.column,
                     at.line, line.empty() ? "" : " ", line, under);
}

Error Diagnostics::error() const {
  std::vector<Mistake> ordered = mistakes_;
  std::ranges::stable_sort(ordered, [](const Mistake& a, const Mistake& b) {
    return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
  });
  Error error{ErrorCode::invalid_plan,
              ordered.front().message,
              ordered.front().hint,
              "nothing was changed",
              {},
              excerpt(ordered.front().at)};
  if (ordered.size() == 1) return error;
  error.message = fmt::format("the plan has {} mistakes", ordered.size());
  error.hint.clear();
  error.excerpt.clear();
  for (const Mistake& one : ordered) {
    error.excerpt +=
        fmt::format("{}{}\n{}", error.excerpt.empty() ? "" : "\n", one.message, excerpt(one.at));
    if (!one.hint.empty()) error.excerpt += "\n  hint: " + one.hint;
  }
  return error;
}

}  // namespace whimbrel
