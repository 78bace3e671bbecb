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

// After a run or a rollback: the report and the checkpoint, stamped and as `…-latest`.
Status write_documents(Context& context);
// Asks a living runner and waits for its answer; unset when no runner lives.
Result<std::optional<std::string>> ask_runner(Context& context, const std::string& verb,
                                              const std::string& value);

}  // namespace whimbrel::cli
