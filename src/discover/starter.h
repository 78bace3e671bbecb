// A commented starter plan from the live schemas of one or two stores.
//
// What is printed is a plan that can be checked as it is, but for what a comment marked DECIDE
// names. Nothing of it is certain: it is a beginning that a person reads.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/store.h"

namespace whimbrel {

struct StarterSide {
  std::shared_ptr<Store> store;
  std::string url;         // as the plan may say it: a path is beside the plan
  std::string only_table;  // "": all of them
};

struct StarterRequest {
  std::vector<StarterSide> sides;  // one, or the old and the new one
  std::string migration;
  bool writes_files = false;  // the files in `Starter::files` will lie beside the plan
  std::int64_t rows_sampled_max = 500;
};

struct Starter {
  std::string text;
  std::map<std::string, std::string> files;  // what `create:` names
  int tables = 0;                            // that the plan moves as it stands
  int guesses = 0;                           // of columns
  int decisions = 0;
};

// Errors: refused where there is no table to begin with.
Result<Starter> write_starter(const StarterRequest& request);

}  // namespace whimbrel
