#include "report/planned.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/text.h"

namespace whimbrel {

namespace {

using nlohmann::json;

constexpr Milliseconds hold_max_unsaid{1000};  // of the grammar

const json& part(const json& object, const char* key) {
  static const json nothing;
  if (!object.is_object()) return nothing;
  const auto it = object.find(key);
  return it == object.end() ? nothing : *it;
}

// Every scalar of a resolved plan is a text.
std::string text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null() || value.is_structured()) return "";
  return value.dump();
}

bool flag(const json& value, bool unsaid) {
  const std::string word = text(value);
  if (word.empty()) return unsaid;
  return word == "true" || word == "yes" || word == "on";
}

std::string words(const json& value) {
  if (!value.is_array()) return text(value);
  std::vector<std::string> all;
  for (const json& one : value) all.push_back(shell_word(text(one)));
  return join(all, " ");
}

std::string as_code(const std::string& text) {
  return text.find('`') == std::string::npos ? "`" + text + "`" : "“" + text + "”";
}

std::string pairs(const json& map) {
  std::vector<std::string> all;
  if (!map.is_object()) return "";
  for (const auto& [name, value] : map.items()) all.push_back(name + " = " + text(value));
  return join(all, ", ");
}

std::string address(const std::string& written) {
  const std::size_t slash = written.find('/');
  if (slash == std::string::npos) return written;
  const std::string_view table = without_quotes(std::string_view(written).substr(slash + 1));
  return written.substr(0, slash + 1) + std::string(table);
}

// Names only: a value may be a secret.
std::string named_values(const json& one) {
  std::vector<std::string> names;
  if (const json& set = part(one, "set"); set.is_object()) {
    for (const auto& [name, value] : set.items()) names.push_back(name);
  }
  std::string told = names.empty() ? "" : ": set " + join(names, ", ");
  const std::string gone = words(part(one, "unset"));
  return gone.empty() ? told : told + (told.empty() ? ": " : "; ") + "unset " + gone;
}

PlannedSwitch planned_switch(const json& one) {
  const json& row = part(one, "row");
  if (!row.is_null()) {
    const json& where = row.is_object() ? row : one;
    const std::string table = row.is_object() ? text(part(row, "table")) : text(row);
    return {"",
            fmt::format("the row of {} where {}: {}", address(table), pairs(part(where, "key")),
                        pairs(part(where, "set"))),
            "the row as it was found"};
  }
  if (const json& functions = part(one, "lambda"); !functions.is_null()) {
    return {"", "variables of " + words(functions) + named_values(one), "the values as found"};
  }
  if (const json& file = part(one, "env_file"); !file.is_null()) {
    return {"", "the file " + text(file) + named_values(one), "the lines as found"};
  }
  if (const json& parameter = part(one, "ssm"); !parameter.is_null()) {
    return {"", "the parameter " + text(parameter), "the version as found"};
  }
  if (const json& functions = part(one, "lambda_concurrency"); !functions.is_null()) {
    return {"", "reserved concurrency of " + words(functions) + ": " + text(part(one, "set")),
            "the concurrency as found"};
  }
  if (const json& object = part(one, "s3"); !object.is_null()) {
    return {"", "the object " + text(object), "the object as found"};
  }
  if (const json& url = part(one, "http"); !url.is_null()) {
    return {"", "a request to " + text(url), "the request of `undo`"};
  }
  if (const json& file = part(one, "file"); !file.is_null()) {
    return {"", "the file " + text(file), "the file as found"};
  }
  return {"", "the command " + as_code(words(part(one, "command"))),
          "the command " + as_code(words(part(one, "undo")))};
}

PlannedCheck planned_check(const json& one) {
  const std::string at = text(part(one, "at"));
  const std::string sql = text(part(one, "sql"));
  if (const std::string table = text(part(one, "new_rows")); !table.empty()) {
    const std::string within = text(part(one, "within"));
    return {at.empty() ? "after" : at, fmt::format("the application writes a row of {} within {}",
                                                   table, within.empty() ? "5m" : within)};
  }
  if (const std::string metric = text(part(one, "metric")); !metric.empty()) {
    const std::string of = text(part(one, "of"));
    return {at.empty() ? "after" : at,
            fmt::format("the metric {}{} stays below {}", metric, of.empty() ? "" : " of " + of,
                        text(part(one, "below")))};
  }
  if (const std::string url = text(part(one, "http")); !url.empty()) {
    return {
        at.empty() ? "after" : at,
        fmt::format("{} answers{}", url, part(one, "expect").is_null() ? "" : " as the plan says")};
  }
  std::string what =
      sql.empty() ? "`" + words(part(one, "command")) + "` ends with 0" : "`" + sql + "`";
  if (const std::string wanted = text(part(one, "expect")); !wanted.empty()) {
    what += " gives " + wanted;
  }
  if (const std::string bound = text(part(one, "below")); !bound.empty()) {
    what += " gives less than " + bound;
  }
  return {at.empty() ? "after" : at, what};
}

void take_tables(Planned& plan, const json& document, const json& about) {
  for (const json& one : part(about, "tables")) {
    plan.tables.push_back(
        {text(part(one, "name")), text(part(one, "from")), text(part(one, "to"))});
  }
  if (!plan.tables.empty()) return;
  for (const json& one : part(document, "tables")) {
    PlannedTable table{text(part(one, "as")), address(text(part(one, "from"))),
                       address(text(part(one, "to")))};
    if (table.name.empty()) table.name = table.from.substr(table.from.find('/') + 1);
    plan.tables.push_back(std::move(table));
  }
}

void take_cutover(Planned& plan, const json& document, const json& file) {
  const json& cutover = part(document, "cutover");
  if (!part(document, "retype").is_null()) {
    plan.switches.push_back({"swap", "new tables take the names of the old ones",
                             "the old tables take their names back"});
  }
  plan.starts_manually = text(cutover) == "manual" || text(part(cutover, "start")) == "manual";
  for (const json& one : part(cutover, "switches")) plan.switches.push_back(planned_switch(one));
  const json& now = part(file, "cutover");
  const std::string window = text(part(part(now, "window"), "max"));
  plan.hold_max = parse_duration(window.empty() ? text(part(now, "max_hold")) : window);
  if (!plan.hold_max && file.is_object()) plan.hold_max = hold_max_unsaid;
}

void take_criteria(Planned& plan, const json& file) {
  for (const bool advisory : {false, true}) {
    const json& wanted = part(file, advisory ? "advisory" : "criteria");
    if (!wanted.is_object()) continue;
    for (const auto& [name, value] : wanted.items()) {
      plan.criteria.push_back({name, text(value), advisory});
    }
  }
}

}  // namespace

Planned planned(const State& state, const json& file) {
  const json journaled = json::parse(state.plan, nullptr, false);
  const json about = json::parse(state.tables, nullptr, false);
  const json& document = journaled.is_object() ? journaled : file;
  Planned plan;
  plan.migration = state.migration.empty() ? text(part(document, "migration")) : state.migration;
  plan.sync = text(part(about, "sync"));
  if (plan.sync.empty()) plan.sync = text(part(document, "sync"));
  if (plan.sync.empty()) plan.sync = "capture";
  if (const json& stores = part(document, "stores"); stores.is_object()) {
    for (const auto& [alias, store] : stores.items()) {
      plan.stores.emplace_back(alias, store.is_object() ? text(part(store, "url")) : text(store));
    }
  }
  take_tables(plan, document, about);
  take_cutover(plan, document, file);
  take_criteria(plan, file);
  for (const json& one : part(document, "checks")) plan.checks.push_back(planned_check(one));
  const json& backup = part(document, "backup");
  plan.backs_up = backup.is_object();
  plan.backup_to = words(part(backup, "to"));
  plan.rolls_back_on_failure = text(part(document, "on_failure")) == "rollback";
  plan.production = text(part(document, "protect")) == "production";
  const json& finish = part(document, "finish");
  plan.finish_after = parse_duration(text(part(finish, "after"))).value_or(Milliseconds(0));
  plan.clean_checks = std::strtoll(text(part(finish, "clean_checks")).c_str(), nullptr, 10);
  plan.rename_source_to = text(part(finish, "rename_source_to"));
  plan.keeps_source = flag(part(finish, "keep_source"), part(document, "retype").is_null());
  plan.view = flag(part(finish, "view"), false);
  plan.drop_after = parse_duration(text(part(finish, "drop_after")));
  return plan;
}

std::string shell_word(const std::string& word) {
  const bool plain = !word.empty() && std::ranges::all_of(word, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:@%+=,").find(c) != std::string_view::npos;
  });
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace whimbrel
