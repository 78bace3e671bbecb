#include "report/levels.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace whimbrel {

using nlohmann::json;

std::vector<std::set<std::size_t>> parents_of(const Migration& migration) {
  std::vector<std::set<std::size_t>> parents(migration.moves.size());
  for (const Move& move : migration.moves) {
    const auto at = static_cast<std::size_t>(move.index);
    for (const ForeignKey& key : move.mapping.target.foreign_keys) {
      for (const Move& other : migration.moves) {
        const bool is_it =
            other.target == move.target && ascii_iequals(other.stored_target(), key.parent);
        if (is_it) parents[at].insert(static_cast<std::size_t>(other.index));
      }
    }
    for (const Reference& one : move.references) {
      if (one.parent >= 0) parents[at].insert(static_cast<std::size_t>(one.parent));
    }
  }
  return parents;
}

std::string levels_of(const Migration& migration, json& document) {
  const std::vector<std::set<std::size_t>> parents = parents_of(migration);
  const std::size_t count = parents.size();
  std::vector<std::set<std::size_t>> above = parents;  // over any number of steps
  for (bool grows = true; grows;) {
    grows = false;
    for (std::set<std::size_t>& all : above) {
      const std::size_t known = all.size();
      for (const std::size_t one : std::set<std::size_t>(all)) {
        all.insert(above[one].begin(), above[one].end());
      }
      grows = grows || all.size() > known;
    }
  }
  const auto in_one_circle = [&](std::size_t a, std::size_t b) {
    return a == b || (above[a].contains(b) && above[b].contains(a));
  };
  std::vector<std::size_t> level(count, 1);
  for (std::size_t round = 0; round < count; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      for (const std::size_t parent : above[i]) {
        if (!in_one_circle(i, parent)) level[i] = std::max(level[i], level[parent] + 1);
      }
    }
  }
  std::map<std::size_t, std::vector<std::string>> tables;
  std::vector<std::string> lines;
  json circles = json::array();
  for (std::size_t i = 0; i < count; ++i) {
    tables[level[i]].push_back(migration.moves[i].name);
    if (parents[i].contains(i)) {
      lines.push_back(fmt::format("{} refers to itself", migration.moves[i].name));
      circles.push_back({migration.moves[i].name});
    }
    std::vector<std::string> circle;
    bool is_first = true;
    for (std::size_t other = 0; other < count; ++other) {
      if (!in_one_circle(i, other)) continue;
      is_first = is_first && other >= i;
      circle.push_back(migration.moves[other].name);
    }
    if (circle.size() < 2 || !is_first) continue;
    lines.push_back(join(circle, ", ") + " refer to each other");
    circles.push_back(circle);
  }
  std::string text = "levels, each referring only to those above it:\n";
  json levels = json::array();
  for (const auto& [number, names] : tables) {
    text += fmt::format("  {}. {}\n", number, join(names, ", "));
    levels.push_back(names);
  }
  for (const std::string& line : lines) text += fmt::format("  {}\n", line);
  document["levels"] = levels;
  document["circles"] = circles;
  return text;
}

}  // namespace whimbrel
