// Rows of one table that refer to no row of another one.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

namespace whimbrel {

struct Dangling {
  static constexpr std::int64_t looked_at_max = 10'000;  // for `digest`
  static constexpr std::int64_t named_max = 3;

  std::string child;
  std::string parent;
  std::int64_t rows = 0;
  std::vector<std::string> named;  // some of them by their keys, as these may be shown
  std::string digest;              // another one where they are other rows

  // `keys`: of the first of them, in an order that does not change, as one text each.
  static Dangling of(std::string child, std::string parent, std::int64_t rows,
                     const std::vector<std::string>& keys);
  // A sentence.
  std::string told() const;
  friend bool operator<(const Dangling& a, const Dangling& b) {
    return std::tie(a.child, a.parent, a.rows, a.digest) <
           std::tie(b.child, b.parent, b.rows, b.digest);
  }
};

}  // namespace whimbrel
