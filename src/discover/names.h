// How much two names look like one thing said twice.
//
// Names are compared as words: `OrderID`, `order_ids` and `[order id]` are the same two. Pure
// functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace whimbrel {

using Words = std::vector<std::string>;

// In lower case, singular, split where the case changes, at digits and at anything that is neither
// letter nor digit.
Words words_of(std::string_view name);
// 1: the same words; from 0.9: the same but for spaces and common abbreviations; 0: nothing in
// common.
double likeness(const Words& a, const Words& b);
// Without `prefix`, if that leaves something.
Words without_prefix(const Words& words, const Words& prefix);
// The first word that at least four of five names of several words begin with, or nothing.
Words common_prefix(const std::vector<Words>& names);

// A table's name without what says how old it is: `x_v2` and `new_x` are younger than `x`,
// `x_old` is older.
struct AgedName {
  Words stem;
  int age = 0;               // in the order of being made; 0: the name says nothing
  bool bare_number = false;  // `x2`: said of things that stand side by side as well
};
AgedName aged(std::string_view table);

}  // namespace whimbrel
