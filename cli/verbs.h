// One function a verb; each gives the exit code.
#pragma once

#include "context.h"

namespace whimbrel::cli {

int analyze(const Options& options);
int check(const Options& options);
int run(const Options& options);
int status(const Options& options);
int control(const Options& options, const std::string& verb);  // pause, resume, limits
int verify(const Options& options);
int cutover(const Options& options);
int rollback(const Options& options);
int finish(const Options& options);
int backup(const Options& options);
int restore(const Options& options);
int report(const Options& options);
int schema();
int test(const Options& options);
int diff(const Options& options);
int init(const Options& options);
int reverse(const Options& options);
int measure(const Options& options);
int compare(const Options& options);
int diagnose(const Options& options);

// On the command line odd characters of a name are percent-encoded.
std::string percent_decoded(const std::string& text);
// The journal of `test`, beside the migration's own.
Result<std::unique_ptr<Journal>> trial_journal(Context& context);
// Before a rollback after `finish`.
Status bring_back_old_tables(Context& context);
// Before the switch everything that the old side holds has to have a place in the plan.
Status refuse_added_columns(Context& context);
// Binds the plan without them; false when that is not what is wrong.
bool old_tables_are_gone(Context& context);

// After a run or a rollback: report, page and checkpoint, stamped and as `…-latest`.
Status write_documents(Context& context);
// Asks a living runner and waits for its answer; unset when no runner lives.
Result<std::optional<std::string>> ask_runner(Context& context, const std::string& verb,
                                              const std::string& value);

}  // namespace whimbrel::cli
