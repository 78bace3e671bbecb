// All mistakes of a plan at once, each with its place, a caret and a hint.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace whimbrel {

struct Place {
  int line = 0;    // from 1; 0: no place
  int column = 0;  // from 1
  int length = 1;  // of what the caret underlines
};

struct Mistake {
  Place at;
  std::string message;
  std::string hint;
};

class Diagnostics {
 public:
  Diagnostics(std::string file, std::string text)
      : file_(std::move(file)), text_(std::move(text)) {}

  void add(Place at, std::string message, std::string hint = "");
  // The key belongs to the grammar, and this release does not carry it out.
  void not_yet(Place at, const std::string& what);
  // With the one that may be meant, else with all that there are.
  void no_column(Place at, const std::string& table, const std::string& column,
                 const std::vector<std::string>& columns);
  bool empty() const { return mistakes_.empty(); }
  const std::vector<Mistake>& mistakes() const { return mistakes_; }
  const std::string& file() const { return file_; }
  // invalid_plan, with every mistake in the text; only to be asked when there are any.
  Error error() const;
  // "  at migration.yaml:23:10\n     23 | …\n        |      ^~~~"
  std::string excerpt(Place at) const;

 private:
  std::string file_;
  std::string text_;
  std::vector<Mistake> mistakes_;
};

}  // namespace whimbrel
