#include <fmt/format.h>

#include <filesystem>

#include "base/counted.h"
#include "base/text.h"
#include "discover/settings_text.h"
#include "discover/starter.h"
#include "stores/registry.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

namespace fs = std::filesystem;

struct Named {
  std::string url;
  StarterSide side;
};

// STORE as it is; else what follows the last slash is a table of it.
Result<Named> open_named(const std::string& address, Clock& clock) {
  Result<std::shared_ptr<Store>> whole = open_store(address, clock);
  if (whole.ok()) return Named{address, {std::move(whole).value(), "", ""}};
  const std::size_t slash = address.rfind('/');
  const bool may_be_table = whole.error().code == ErrorCode::not_found &&
                            slash != std::string::npos && slash + 1 < address.size();
  if (!may_be_table) return std::move(whole).error();
  const std::string url = address.substr(0, slash);
  Result<std::shared_ptr<Store>> store = open_store(url, clock);
  if (!store.ok()) {
    // A file that is there, and cannot be opened now.
    const std::string_view scheme = "sqlite:";
    std::error_code ignored;
    const bool is_there =
        url.starts_with(scheme) && fs::is_regular_file(url.substr(scheme.size()), ignored);
    return is_there ? std::move(store).error() : std::move(whole).error();
  }
  return Named{url, {std::move(store).value(), "", percent_decoded(address.substr(slash + 1))}};
}

// Where the plan will lie: a path in it is read from there.
fs::path plan_folder(const Options& options) {
  return options.output.empty() ? fs::current_path() : fs::absolute(options.output).parent_path();
}

std::string beside(const std::string& url, const fs::path& folder) {
  constexpr std::string_view scheme = "sqlite:";
  if (!url.starts_with(scheme)) return url;
  const fs::path path = url.substr(scheme.size());
  if (path.is_absolute()) return url;
  return std::string(scheme) +
         fs::absolute(path).lexically_normal().lexically_proximate(folder).string();
}

// Of the file, or of the database of a server; who comes in there, and how, is nobody's name.
std::string stem(const std::string& url) {
  const std::size_t server = url.find("://");
  if (server == std::string::npos) return fs::path(url.substr(url.find(':') + 1)).stem().string();
  const std::string place = without_passwords(url).substr(server + 3);
  const std::string path = place.substr(0, place.find('?'));
  const std::size_t database = path.find('/');
  const std::string name = database == std::string::npos ? "" : path.substr(database + 1);
  return name.empty() ? url.substr(0, server) : fs::path(name).stem().string();
}

std::string name_of_migration(const std::vector<Named>& stores) {
  const std::string first =
      stores[0].side.only_table.empty() ? stem(stores[0].url) : stores[0].side.only_table;
  if (stores.size() == 1) return migration_name_from(first + "-v2");
  const std::string second =
      stores[1].side.only_table.empty() ? stem(stores[1].url) : stores[1].side.only_table;
  return migration_name_from(first == second ? first : first + "-to-" + second);
}

// All of them or none: what somebody has written by hand is not overwritten.
Status write_all(const Options& options, const Starter& starter) {
  std::map<std::string, std::string> files = {{options.output, starter.text}};
  for (const auto& [name, text] : starter.files) {
    files[(fs::path(options.output).parent_path() / name).string()] = text;
  }
  std::error_code ignored;
  const fs::path folder = plan_folder(options);
  if (!fs::is_directory(folder, ignored)) {
    return Error{ErrorCode::refused, fmt::format("there is no folder {}", folder.string()),
                 "make it first", "nothing was written"};
  }
  for (const auto& [path, text] : files) {
    if (options.force || !fs::exists(path, ignored)) continue;
    return Error{ErrorCode::refused, fmt::format("there is a file {} already", path),
                 "name another one, or say `--force` to write over it", "nothing was written"};
  }
  for (const auto& [path, text] : files) TRY(write_file(path, text));
  return {};
}

}  // namespace

int init(const Options& options) {
  Context context(options);
  std::vector<Named> stores;
  for (const std::string& address : {options.left, options.right}) {
    if (address.empty()) continue;
    Result<Named> named = open_named(address, context.clock());
    if (!named.ok()) {
      return context.fail(std::move(named).error().saying_safe("nothing was written"));
    }
    named.value().side.url = beside(named.value().url, plan_folder(options));
    stores.push_back(std::move(named).value());
  }
  StarterRequest request;
  for (const Named& named : stores) request.sides.push_back(named.side);
  request.migration = name_of_migration(stores);
  request.writes_files = !options.output.empty();
  const Result<Starter> starter = write_starter(request);
  if (!starter.ok()) return context.fail(starter.error());
  const Starter& made = starter.value();
  if (options.output.empty() || options.dry_run) {
    if (options.json) return context.finish(done, "written", made.text);
    std::printf("%s", made.text.c_str());
    return done;
  }
  if (const Status written = write_all(options, made); !written.ok()) {
    return context.fail(written.error());
  }
  context.next({{"whimbrel check " + options.output,
                 made.decisions == 0 ? "nothing is left to decide"
                                     : "after what is marked DECIDE in the plan"}});
  return context.finish(
      done, "written",
      fmt::format("{}: {}, {} guessed, {}", options.output, counted(made.tables, "table"),
                  counted(made.guesses, "column"), counted(made.decisions, "decision")));
}

}  // namespace whimbrel::cli
