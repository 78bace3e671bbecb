#include "session/rehearsal.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"

namespace whimbrel {

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* report_file = "migration-report-latest.json";

struct Held {
  std::string migration;
  std::string as_written;
  std::string rolled_back_at;
};

// Of a report everything but the trail, which may be long.
json head_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return {};
  const auto wanted = [](int depth, json::parse_event_t event, json& parsed) {
    const bool is_trail = depth == 1 && event == json::parse_event_t::key && parsed == "trail";
    return !is_trail;
  };
  return json::parse(in, wanted, false);
}

std::string text_at(const json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

std::vector<Held> held_in(const fs::path& file) {
  std::vector<Held> all;
  const json report = head_of(file);
  if (!report.is_object() || !report.contains("rehearsed")) return all;
  for (const json& one : report["rehearsed"]) {
    all.push_back(
        {text_at(report, "migration"), text_at(one, "as_written"), text_at(one, "rolled_back_at")});
  }
  return all;
}

// In all state folders beside this one's, and beside the plan.
std::vector<Held> held_elsewhere(const Session& session) {
  std::error_code ignored;
  std::set<fs::path> places{fs::absolute(session.settings().plan).parent_path() / ".whimbrel"};
  if (!session.settings().state.empty()) {
    fs::path state = fs::absolute(session.settings().state).lexically_normal();
    if (!state.has_filename()) state = state.parent_path();  // it ended with a slash
    places.insert(state.parent_path());
  }
  std::vector<Held> all;
  for (const fs::path& place : places) {
    for (const auto& folder : fs::directory_iterator(place, ignored)) {
      for (Held& one : held_in(folder.path() / report_file)) {
        if (one.migration != session.plan().migration) all.push_back(std::move(one));
      }
    }
  }
  std::ranges::sort(all, {}, &Held::rolled_back_at);
  return all;
}

}  // namespace

Status rehearsal_was_held(Session& session) {
  if (!session.plan().needs_rehearsal || session.settings().force) return {};
  if (session.standing().begun) return {};
  const std::vector<Held> all = held_elsewhere(session);
  const auto same = std::ranges::find(all, session.migration().as_written, &Held::as_written);
  if (same != all.end()) {
    session.host().say(fmt::format("rehearsed: {} was switched and rolled back, by {}\n",
                                   printable(same->migration), printable(same->rolled_back_at)));
    return {};
  }
  const std::string found =
      all.empty() ? "no state folder beside this one's has the report of a switch and a rollback"
                  : fmt::format(
                        "{} was rolled back at {}, but the plan or its files have changed "
                        "since",
                        printable(all.back().migration), printable(all.back().rolled_back_at));
  return Error{ErrorCode::refused,
               "this plan was not rehearsed: " + found,
               "run it with another variant up to the switch, then roll back; from another machine "
               "its migration-report-latest.json is enough, in `.whimbrel/<its migration>/` beside "
               "the plan",
               "nothing was changed",
               {},
               ""};
}

}  // namespace whimbrel
