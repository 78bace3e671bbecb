// One table of a starter plan, with what is guessed and what is to be decided.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "discover/tables.h"

namespace whimbrel {

struct EntryRequest {
  std::string from_alias;
  std::string to_alias;
  Store* from = nullptr;
  Store* to = nullptr;
  const TableSample* source = nullptr;
  const TableSample* target = nullptr;
  const TablePair* pair = nullptr;
  std::string create;                  // "exists", or a file
  std::vector<std::string> open = {};  // what is to be decided about that file
};

struct Entry {
  std::string text;
  bool live = true;  // else the whole entry is a comment, with its reason
  int decisions = 0;
  int guesses = 0;
  bool uses_dollar = false;
  std::string against_dual;  // why links would be refused; "" when they would not
};

Result<Entry> write_entry(const EntryRequest& request);

}  // namespace whimbrel
