#include <fmt/format.h>

#include <filesystem>

#include "backup/backup.h"
#include "backup/files.h"
#include "base/text.h"
#include "verbs.h"

namespace whimbrel::cli {

int reverse(const Options& options) {
  Context context(options);
  if (const Status journal = context.open_journal(false); !journal.ok())
    return context.fail(journal.error());
  const Phase phase = context.journal().phase();
  if (phase != Phase::finished) {
    return context.fail(Error{ErrorCode::refused,
                              fmt::format("this migration is {}, not finished", name_of(phase)),
                              "until `finish` the way back is `whimbrel rollback`"});
  }
  if (const Status loaded = context.load_finished(); !loaded.ok())
    return context.fail(loaded.error());
  if (is_reshaped(context.plan())) {
    return context.fail(Error{
        ErrorCode::refused, "the way back from tables in another shape is not written as a plan",
        "`whimbrel rollback` brings the old tables back from the archive, with what was written "
        "since; a plan of your own can take tables out of one: see `where` and `between`",
        "nothing was changed"});
  }
  const Result<std::string> state = context.state_folder(false);
  if (!state.ok()) return context.fail(state.error());
  const std::filesystem::path folder = std::filesystem::path(state.value()) / "reverse";
  const std::filesystem::path beside =
      folder.lexically_relative(std::filesystem::absolute(options.plan).parent_path());
  const ReversePlan plan = reverse_plan(context.plan(), context.migration(),
                                        beside.empty() ? folder.string() : beside.string());
  if (const Status made = make_folder(folder.string()); !made.ok())
    return context.fail(made.error());
  for (const auto& [name, ddl] : plan.files) {
    const Status written = write_file((folder / name).string(), ddl);
    if (!written.ok()) return context.fail(written.error());
  }
  if (options.json) return context.finish(done, "reversed", plan.text);
  std::printf("%s", plan.text.c_str());
  return done;
}

}  // namespace whimbrel::cli
