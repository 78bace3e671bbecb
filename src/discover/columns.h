// Which column of one table is which of another: by name, type, references and sampled values.
//
// A guess is never more than a guess: it carries its reasons and a figure, and what is doubtful is
// kept apart from what is put into the plan.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "discover/convert.h"
#include "discover/sample.h"

namespace whimbrel {

enum class Surety {
  same_name,
  other_spelling,  // the same words: case, spaces or underscores differ
  guess,           // put into the plan with its reasons
  doubt,           // only told
};

struct ColumnGuess {
  int source = 0;
  int target = 0;
  double score = 0;  // 0 to 1
  Surety surety = Surety::guess;
  bool by_values = false;  // rows with the same key hold the same, and not just a few values
  Conversion conversion;
  std::vector<std::string> reasons;
};

struct ColumnGuesses {
  std::vector<ColumnGuess> taken;   // in the order of the target's columns
  std::vector<ColumnGuess> doubts;  // best first
  double likeness = 0;              // of the two tables' shapes, 0 to 1
  bool by_values = false;           // of one that is taken
  // Rows with the same key, of which no column holds the same although values occur on both sides.
  std::int64_t keys_given_anew = 0;
};

// Whether a table of the one side is already matched with a table of the other.
enum class Parents { same, different, unknown };
using CompareParents = std::function<Parents(const std::string& source, const std::string& target)>;

ColumnGuesses match_columns(const TableSample& source, const TableSample& target,
                            const Catalog& taker, const CompareParents& parents);

}  // namespace whimbrel
