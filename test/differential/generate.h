// Values and expressions that go wrong, made from a seed.
//
// Half of them come from a list of old acquaintances (limits, NULs, texts that look like numbers,
// JSON that is none), the rest is random. The same seed gives the same ones on every machine.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "transform/expr.h"
#include "value/schema.h"
#include "value/value.h"

namespace whimbrel::differential {

// WHIMBREL_SEED, or a fixed one; every failure has to print it.
std::uint64_t seed_of_this_run();

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  Random& random() { return random_; }
  // Of the kinds that SQLite holds: null, integer, real, text, bytes. Never NaN.
  Value stored_value();
  std::int64_t integer();
  double real();  // may be infinite, never NaN
  std::string text();
  std::string bytes();
  // What a plan may say besides: true and false, JSON, NaN.
  Value constant();
  // A tree over the columns, of all nodes that can be spelled as SQL.
  ExprPtr tree(const std::vector<std::string>& columns, int depth);
  // A tree that `invert` answers, over one column.
  ExprPtr invertible(const std::string& column);

 private:
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[static_cast<std::size_t>(random_.below(std::ssize(all)))];
  }
  std::string name();
  std::string path();
  std::string short_text();
  MapValues map_over(ExprPtr of);
  JsonObject object_over(const std::vector<std::string>& columns, int depth);

  Random random_;
};

}  // namespace whimbrel::differential
