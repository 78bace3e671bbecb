#include "report/weigh.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/text.h"

namespace whimbrel {

namespace {

bool is_part_of_a_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}

// As a whole name, in whatever case.
bool names(std::string_view sql, std::string_view name) {
  for (std::size_t at = 0; at + name.size() <= sql.size(); ++at) {
    if (!ascii_iequals(sql.substr(at, name.size()), name)) continue;
    const bool begins = at == 0 || !is_part_of_a_name(sql[at - 1]);
    const std::size_t end = at + name.size();
    if (begins && (end == sql.size() || !is_part_of_a_name(sql[end]))) return true;
  }
  return false;
}

// What a trigger does comes behind its head, which names its own table.
std::string_view body_of(std::string_view ddl) {
  for (std::size_t at = 0; at + 5 <= ddl.size(); ++at) {
    if (names(ddl.substr(at, 5), "begin")) return ddl.substr(at);
  }
  return ddl;
}

void weigh_triggers(const Move& move, const std::vector<const Move*>& others,
                    std::vector<Finding>& findings) {
  const TableSchema& source = move.mapping.source;
  for (std::size_t i = 0; i < std::min(source.triggers.size(), source.trigger_ddl.size()); ++i) {
    const auto with = std::ranges::find_if(others, [&](const Move* other) {
      return names(body_of(source.trigger_ddl[i]), other->mapping.source.name);
    });
    if (with == others.end()) continue;
    const std::string head =
        fmt::format("the trigger {} on {} stays with it", source.triggers[i], source.name);
    for (Finding& finding : findings) {
      if (finding.code != "trigger" || !finding.message.starts_with(head)) continue;
      finding.weight = std::max(finding.weight, Finding::Weight::warning);
      finding.message += fmt::format(
          ": it works with {}, which moves too, so after the switch the old side gets "
          "by it what the new one has not",
          (*with)->mapping.source.name);
      finding.hint = "drop it before the switch, and make it again when you go back";
    }
  }
}

}  // namespace

void weigh_by_plan(const Migration& migration, const Move& move, bool begun,
                   std::vector<Finding>& findings) {
  // Under way already: only the next attempt would be refused.
  for (Finding& finding : findings) {
    const bool is_of_the_start = finding.code == "trigger_fires" ||
                                 finding.code == "order_of_rows" || finding.code == "is_inherited";
    if (begun && is_of_the_start && finding.weight == Finding::Weight::refusal) {
      finding.weight = Finding::Weight::warning;
      finding.message += "; the next attempt would be refused";
    }
  }
  std::vector<const Move*> others;
  for (const Move& other : migration.moves) {
    if (other.index != move.index && other.source == move.source) others.push_back(&other);
  }
  weigh_triggers(move, others, findings);
  const auto moves_too = [&](const Finding& finding) {
    const auto refers = [&](const Move* other) {
      return finding.message.starts_with(other->mapping.source.name + " refers to ");
    };
    return refers(&move) || std::ranges::any_of(others, refers);
  };
  for (Finding& finding : findings) {
    if (finding.code == "referenced" && moves_too(finding)) finding.weight = Finding::Weight::note;
  }
}

}  // namespace whimbrel
